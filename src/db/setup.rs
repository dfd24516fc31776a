//! The setup of a database: whether it can hold the state tables, or holds them, and what to change where it cannot.

use crate::db::error::{DbError, Doing};
use crate::db::migrate;
use crate::db::pool::Conn;
use crate::db::state_tables::{FORMER_TABLES, MIGRATIONS, StateRelation, TABLES, current_names};

/// What a database has of our tables.
#[derive(Debug, Default)]
pub struct SetupReport {
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
pub fn inspect(conn: &mut Conn) -> Result<SetupReport, DbError> {
    let relations = match conn {
        Conn::Postgres(handle) => super::postgres::state_relations(handle.get()),
        Conn::Sqlite(handle) => super::sqlite::state_relations(handle.get()),
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
    let mut report = SetupReport::default();
    if let Some(applied) = &applied {
        let newest = known.iter().map(|(version, _)| version.as_str()).max().unwrap_or_default();
        // Other programs that use diesel name their migrations by dates.
        let newer = |version: &&String| version.len() == newest.len() && version.as_str() > newest;
        if let Some(newer) = applied.iter().filter(newer).max() {
            report.notes.push(format!(
                "a newer dayfill migrated the database (migration {newer}; this one has {newest}): upgrade this one soon"
            ));
        }
        report.problems.extend(not_ours(conn, &relations, applied));
    }
    if let Conn::Postgres(handle) = conn
        && report.problems.is_empty()
    {
        let problems = super::postgres::problems(handle.get(), applied.is_some() && !pending.is_empty());
        report.problems = problems.doing("looking at the session's rights")?;
    }
    if let Some(applied) = applied
        && report.problems.is_empty()
    {
        report.problems.extend(missing(&relations, &applied));
    }
    if let Conn::Postgres(handle) = conn
        && report.problems.is_empty()
    {
        let left = super::postgres::left_behind(handle.get(), MIGRATIONS);
        report.notes.extend(left.doing("looking for dayfill's tables in other schemas")?);
    }
    report.pending = pending;
    Ok(report)
}

/// Fails where a person has to change something first.
///
/// # Errors
/// [`DbError::Setup`], or another one when the database does not answer.
pub fn require(conn: &mut Conn) -> Result<SetupReport, DbError> {
    let report = inspect(conn)?;
    if report.problems.is_empty() { Ok(report) } else { Err(DbError::Setup(report.problems.join("\n"))) }
}

/// The error of who only looks, with what to grant where it is a right on our tables that is lacking.
#[must_use]
pub fn explained(conn: &mut Conn, error: DbError) -> DbError {
    let Conn::Postgres(handle) = conn else { return error };
    if !error.words().contains("permission denied") {
        return error;
    }
    match super::postgres::problems(handle.get(), false) {
        Ok(problems) if !problems.is_empty() => DbError::Setup(format!("{error}\n{}", problems.join("\n"))),
        _ => error,
    }
}

/// Tables of our names that no migration of ours created.
fn not_ours(conn: &Conn, relations: &[StateRelation], applied: &[String]) -> Option<String> {
    let tables = TABLES.iter().chain(&FORMER_TABLES);
    let version = |name: &str| tables.clone().find(|(table, _)| *table == name).map(|(_, version)| *version);
    let foreign = |relation: &&StateRelation| match version(&relation.name) {
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
fn missing(relations: &[StateRelation], applied: &[String]) -> Option<String> {
    let ours = |relation: &&StateRelation| {
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
    let is_current = |relation: &&StateRelation| current_names().any(|name| name == relation.name);
    let mut schemas: Vec<&str> =
        relations.iter().filter(is_current).filter_map(|relation| relation.found_in.as_deref()).collect();
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
