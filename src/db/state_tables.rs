//! Which tables are dayfill's own.

/// The state tables, each with the version of the migration that creates it.
pub const TABLES: [(&str, &str); 7] = [
    ("processed_days", "0001"),
    ("load_attempts", "0001"),
    ("rejected_rows", "0001"),
    ("workers", "0001"),
    ("audit_log", "0003"),
    ("paused_datasets", "0003"),
    ("load_cancellations", "0008"),
];

/// The table in which diesel notes the migrations that were applied.
pub const MIGRATIONS: &str = "__diesel_schema_migrations";

/// True when a table of that name is one of dayfill's own. Case does not count: SQLite knows none.
#[must_use]
pub fn is_own(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.starts_with("dayfill_") || name == MIGRATIONS || TABLES.iter().any(|(table, _)| *table == name)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use super::*;

    #[test]
    fn every_table_that_a_migration_creates_is_known_as_our_own() {
        let known: BTreeSet<_> =
            TABLES.iter().map(|(table, version)| ((*table).to_owned(), (*version).to_owned())).collect();
        for dialect in ["postgres", "sqlite"] {
            let mut created = BTreeSet::new();
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(dialect);
            for migration in fs::read_dir(folder).unwrap() {
                let migration = migration.unwrap();
                let name = migration.file_name().into_string().unwrap();
                let sql = fs::read_to_string(migration.path().join("up.sql")).unwrap().to_lowercase();
                for statement in sql.split("create table ").skip(1) {
                    let table: String =
                        statement.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
                    created.insert((table, name[..4].to_owned()));
                }
            }
            assert_eq!(created, known, "{dialect}: TABLES and the migrations differ");
        }
        assert!(is_own("Audit_Log") && is_own(MIGRATIONS) && is_own("dayfill_stage") && !is_own("orders"));
    }
}
