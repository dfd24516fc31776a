//! Which tables are dayfill's own, and whether what stands in the database under their names is.

use crate::db::error::{DbError, Doing};
use crate::db::migrate;
use crate::db::pool::Conn;

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
const FORMER_TABLES: [(&str, &str); 1] = [("activity_log", "0003")];

/// The table in which diesel notes the migrations that were applied.
pub const MIGRATIONS: &str = "__diesel_schema_migrations";

/// Every name that dayfill's tables have or had, and that of diesel's.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    TABLES.iter().chain(&FORMER_TABLES).map(|(table, _)| *table).chain([MIGRATIONS])
}

/// True when a table of that name is one of dayfill's own. Case does not count: SQLite knows none.
#[must_use]
pub fn is_own(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.starts_with("dayfill_") || name == MIGRATIONS || TABLES.iter().any(|(table, _)| *table == name)
}

/// A name of one of our tables, as the database knows it.
pub(super) struct Relation {
    pub(super) name: String,
    /// The schema in which it is found; `None` when it is not.
    pub(super) found_in: Option<String>,
    /// Something of that name is where the table would be created.
    pub(super) in_the_way: bool,
}

/// What a database has of our tables.
#[derive(Debug, Default)]
pub struct Examined {
    /// The migrations that are to be applied.
    pub pending: Vec<String>,
    /// What should be known and keeps nobody from anything.
    pub notes: Vec<String>,
    /// What a person has to change before anything can be loaded, each with what to do.
    pub problems: Vec<String>,
}

/// Looks whether the database can hold our tables, or holds them, changing nothing.
///
/// # Errors
/// A [`DbError`] when the database does not answer.
pub fn examine(conn: &mut Conn) -> Result<Examined, DbError> {
    let relations = match conn {
        Conn::Postgres(link) => super::postgres::state_relations(link.get()),
        Conn::Sqlite(link) => super::sqlite::state_relations(link.get()),
    }
    .doing("looking for dayfill's own tables")?;
    // Who may not read which migrations were applied is told so, not what follows from it.
    let applied = match migrate::applied(conn) {
        Err(error) if error.is_unreachable() => return Err(error),
        applied => applied.ok(),
    };
    let known = migrate::known(conn)?;
    let is_applied = |version: &str| applied.iter().flatten().any(|applied| applied == version);
    let pending: Vec<String> =
        known.iter().filter(|(version, _)| !is_applied(version)).map(|(_, name)| name.clone()).collect();
    let mut examined = Examined::default();
    if let Some(applied) = &applied {
        let newest = known.iter().map(|(version, _)| version.as_str()).max().unwrap_or_default();
        // Other programs that use diesel name their migrations by dates.
        let newer = |version: &&String| version.len() == newest.len() && version.as_str() > newest;
        if let Some(newer) = applied.iter().filter(newer).max() {
            examined.notes.push(format!(
                "the database was brought up to date by a newer dayfill (migration {newer}; this one has {newest}): \
                 upgrade this one soon"
            ));
        }
        examined.problems.extend(not_ours(conn, &relations, applied));
    }
    if let Conn::Postgres(link) = conn
        && examined.problems.is_empty()
    {
        let problems = super::postgres::problems(link.get(), applied.is_some() && !pending.is_empty());
        examined.problems = problems.doing("looking at the session's rights")?;
    }
    if let Some(applied) = applied
        && examined.problems.is_empty()
    {
        examined.problems.extend(missing(&relations, &applied));
    }
    if let Conn::Postgres(link) = conn
        && examined.problems.is_empty()
    {
        let left = super::postgres::left_behind(link.get(), MIGRATIONS);
        examined.notes.extend(left.doing("looking for dayfill's tables in other schemas")?);
    }
    examined.pending = pending;
    Ok(examined)
}

/// Fails where a person has to change something first.
///
/// # Errors
/// [`DbError::Setup`], or another one when the database does not answer.
pub fn require(conn: &mut Conn) -> Result<Examined, DbError> {
    let examined = examine(conn)?;
    if examined.problems.is_empty() { Ok(examined) } else { Err(DbError::Setup(examined.problems.join("\n"))) }
}

/// The error of who only looks, with what to grant where it is a right on our tables that is lacking.
#[must_use]
pub fn explained(conn: &mut Conn, error: DbError) -> DbError {
    let Conn::Postgres(link) = conn else { return error };
    if !error.words().contains("permission denied") {
        return error;
    }
    match super::postgres::problems(link.get(), false) {
        Ok(problems) if !problems.is_empty() => DbError::Setup(format!("{error}\n{}", problems.join("\n"))),
        _ => error,
    }
}

/// Tables of our names that no migration of ours created.
fn not_ours(conn: &Conn, relations: &[Relation], applied: &[String]) -> Option<String> {
    let tables = TABLES.iter().chain(&FORMER_TABLES);
    let version = |name: &str| tables.clone().find(|(table, _)| *table == name).map(|(_, version)| *version);
    let foreign = |relation: &&Relation| match version(&relation.name) {
        Some(version) => relation.in_the_way && !applied.iter().any(|applied| applied == version),
        // Another program's migrations are noted in it.
        None => relation.in_the_way && !applied.is_empty() && !applied.iter().any(|applied| applied == "0001"),
    };
    let names: Vec<&str> = relations.iter().filter(foreign).map(|relation| relation.name.as_str()).collect();
    if names.is_empty() {
        return None;
    }
    let way = match conn {
        Conn::Postgres(_) => {
            "set database.schema to a schema for dayfill's own tables, such as \"dayfill\" (it is created if need be)"
        }
        Conn::Sqlite(_) => "name another file in database.url",
    };
    Some(format!(
        "the database has what is not dayfill's under the names of its own tables, {}: {way}",
        names.join(", ")
    ))
}

/// Tables that are gone, or that other tables of the same name hide.
fn missing(relations: &[Relation], applied: &[String]) -> Option<String> {
    let ours = |relation: &&Relation| {
        let version = TABLES.iter().find(|(table, _)| *table == relation.name).map(|(_, version)| *version);
        version.is_some_and(|version| applied.iter().any(|applied| applied == version))
    };
    let gone = relations.iter().filter(ours).filter(|relation| relation.found_in.is_none());
    let gone: Vec<&str> = gone.map(|relation| relation.name.as_str()).collect();
    if !gone.is_empty() {
        return Some(format!(
            "{MIGRATIONS} says that they were created, but there is no {}: restore the database from a backup",
            gone.join(", ")
        ));
    }
    let mut schemas: Vec<&str> = relations.iter().filter_map(|relation| relation.found_in.as_deref()).collect();
    schemas.sort_unstable();
    schemas.dedup();
    (!applied.is_empty() && schemas.len() > 1).then(|| {
        format!(
            "dayfill's own tables are found in several schemas of the search path, {}: set database.schema to the one \
             that holds the right ones",
            schemas.join(", ")
        )
    })
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
