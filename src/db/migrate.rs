//! The migrations of the state tables: which are pending, and applying them.

use diesel::QueryableByName;
use diesel::RunQueryDsl;
use diesel::migration::{Migration, MigrationSource};
use diesel::sql_types::Text;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use crate::db::error::{DbError, Doing};
use crate::db::locks::LockPurpose;
use crate::db::pool::{Conn, on};
use crate::db::state_tables;

const POSTGRES: EmbeddedMigrations = embed_migrations!("migrations/postgres");
const SQLITE: EmbeddedMigrations = embed_migrations!("migrations/sqlite");

/// The tables that a migration may have to wait for.
const ALTERED: [&str; 7] =
    ["processed_days", "load_attempts", "rejected_rows", "workers", "audit_log", "activity_log", "paused_datasets"];

#[derive(QueryableByName)]
struct Version {
    #[diesel(sql_type = Text)]
    version: String,
}

/// True when the state tables are there, of whatever version.
///
/// # Errors
/// A [`DbError`] when the database does not answer.
pub fn has_state_tables(conn: &mut Conn) -> Result<bool, DbError> {
    // Another program's table may have the name of one.
    Ok(has_table(conn, "processed_days")? && !applied(conn)?.is_empty())
}

/// The names of the migrations that this version knows and the database does not have yet. Only looks: creating the
/// migrations' own table would need a right that a migrated database no longer asks for.
///
/// # Errors
/// A [`DbError`] when the database does not answer.
pub fn pending(conn: &mut Conn) -> Result<Vec<String>, DbError> {
    let applied = applied(conn)?;
    let known = known(conn)?;
    Ok(known.into_iter().filter(|(version, _)| !applied.contains(version)).map(|(_, name)| name).collect())
}

/// The versions that are noted as applied.
pub(super) fn applied(conn: &mut Conn) -> Result<Vec<String>, DbError> {
    if !has_table(conn, state_tables::MIGRATIONS)? {
        return Ok(Vec::new());
    }
    let sql = format!("select version from {}", state_tables::MIGRATIONS);
    let rows: Vec<Version> =
        on!(conn, c => diesel::sql_query(sql).load(c)).doing("reading which migrations were applied")?;
    Ok(rows.into_iter().map(|row| row.version).collect())
}

/// The versions and names of the migrations that this version of dayfill has.
pub(super) fn known(conn: &Conn) -> Result<Vec<(String, String)>, DbError> {
    match conn {
        Conn::Postgres(_) => names::<diesel::pg::Pg>(&POSTGRES),
        Conn::Sqlite(_) => names::<diesel::sqlite::Sqlite>(&SQLITE),
    }
}

fn names<DB: diesel::backend::Backend>(source: &EmbeddedMigrations) -> Result<Vec<(String, String)>, DbError> {
    let migrations: Vec<Box<dyn Migration<DB>>> =
        source.migrations().map_err(|error| DbError::Migration(error.to_string()))?;
    Ok(migrations
        .iter()
        .map(|migration| (migration.name().version().to_string(), migration.name().to_string()))
        .collect())
}

/// Applies what is pending, all in one transaction and under one lock, so that processes that start at once do not
/// meet. The names of what was applied.
///
/// # Errors
/// A [`DbError`]; nothing was applied then.
pub fn migrate(conn: &mut Conn) -> Result<Vec<String>, DbError> {
    if pending(conn)?.is_empty() {
        return Ok(Vec::new());
    }
    let tables = ALTERED.map(str::to_owned);
    conn.within_bounds(&tables, LockPurpose::Altering, |error| Some(error), migrate_pending)
}

fn migrate_pending(conn: &mut Conn) -> Result<Vec<String>, DbError> {
    conn.transaction(|conn| {
        conn.lock_for_ddl()?;
        let pending = pending(conn)?;
        if let Conn::Postgres(handle) = conn {
            super::postgres::create_state_schema(handle.get()).doing("creating database.schema")?;
        }
        match conn {
            Conn::Postgres(handle) => handle.get().run_pending_migrations(POSTGRES).map(drop),
            Conn::Sqlite(handle) => handle.get().run_pending_migrations(SQLITE).map(drop),
        }
        .map_err(|error| DbError::Migration(error.to_string()))?;
        Ok(pending)
    })
}

/// True when a table of that name is found without naming a schema.
pub(super) fn has_table(conn: &mut Conn, name: &str) -> Result<bool, DbError> {
    match conn {
        Conn::Postgres(handle) => super::postgres::has_table(handle.get(), name),
        Conn::Sqlite(handle) => super::sqlite::has_table(handle.get(), name),
    }
    .doing("looking for a table")
}

impl Conn {
    /// Keeps other processes from creating or altering tables until the transaction ends. On SQLite the transaction
    /// itself does.
    pub(super) fn lock_for_ddl(&mut self) -> Result<(), DbError> {
        match self {
            Self::Postgres(handle) => super::postgres::lock_for_ddl(handle.get()).doing("waiting for other migrations"),
            Self::Sqlite(_) => Ok(()),
        }
    }
}
