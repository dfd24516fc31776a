//! Which tables are dayfill's own.

/// The state tables, each with the version of the migration that creates it.
pub const TABLES: [(&str, &str); 7] = [
    ("processed_days", "0001"),
    ("load_attempts", "0001"),
    ("rejected_rows", "0001"),
    ("workers", "0001"),
    ("paused_datasets", "0003"),
    ("load_cancellations", "0008"),
    ("activity_log", "0010"),
];

/// Names that a migration creates and a later one renames: each with the version of the first.
pub(super) const FORMER_TABLES: [(&str, &str); 1] = [("audit_log", "0003")];

/// The table in which diesel notes the migrations that were applied.
pub const MIGRATIONS: &str = "__diesel_schema_migrations";

/// Every name that dayfill's tables have or had, and that of diesel's.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    FORMER_TABLES.iter().map(|(table, _)| *table).chain(current_names())
}

/// The names that a migrated database has. A table of a former name is somebody else's there.
pub(super) fn current_names() -> impl Iterator<Item = &'static str> {
    TABLES.iter().map(|(table, _)| *table).chain([MIGRATIONS])
}

/// True when a table of that name is one of dayfill's own. Case does not count: SQLite knows none.
#[must_use]
pub fn is_own(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.starts_with("dayfill_") || name == MIGRATIONS || TABLES.iter().any(|(table, _)| *table == name)
}

/// A name of one of our tables, as the database knows it.
pub(super) struct StateRelation {
    pub(super) name: String,
    /// The schema in which it is found; `None` when it is not.
    pub(super) found_in: Option<String>,
    /// Something of that name is where the table would be created.
    pub(super) in_the_way: bool,
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
                let renamed = sql
                    .split(';')
                    .filter_map(|sql| sql.split_once("alter table "))
                    .filter_map(|(_, sql)| Some(sql.split_once(" rename to ")?.1));
                for statement in sql.split("create table ").skip(1).chain(renamed) {
                    let table: String =
                        statement.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
                    created.insert((table, name[..4].to_owned()));
                }
            }
            for (former, version) in FORMER_TABLES {
                assert!(created.remove(&(former.to_owned(), version.to_owned())), "{dialect}: {former}");
            }
            assert_eq!(created, known, "{dialect}: TABLES and the migrations differ");
        }
        assert!(is_own("Activity_Log") && is_own(MIGRATIONS) && is_own("dayfill_stage") && !is_own("orders"));
    }
}
