//! The target: the table a dataset's rows end up in, held against the dataset before anything is loaded.

use std::fmt;

use diesel::RunQueryDsl;

use crate::column::{ColumnType, Identifier};
use crate::dataset::{Dataset, Mode};
use crate::db::error::{DbError, Doing};
use crate::db::pool::{Conn, on};
use crate::db::stage;
use crate::db::statements::{Statements, TargetColumn};

/// A table as the database's catalog shows it.
pub(super) struct Found {
    /// Its columns, in order.
    pub(super) columns: Vec<FoundColumn>,
    /// The name of the constraint behind its primary key.
    pub(super) key_constraint: Option<String>,
    /// `a` and `A` are two columns.
    pub(super) names_have_case: bool,
}

/// A column as the database's catalog shows it.
pub(super) struct FoundColumn {
    pub(super) name: String,
    /// Its type, in the database's words.
    pub(super) kind: String,
    /// The dataset types whose every value it takes.
    pub(super) takes: Vec<ColumnType>,
    pub(super) not_null: bool,
    /// It fills itself when a row brings no value.
    pub(super) filled: bool,
    /// It is part of the primary key.
    pub(super) key: bool,
}

/// What a dataset's target needs before it can take rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readiness {
    /// Nothing.
    Ready,
    /// The table, or columns of it, are to be created by these statements.
    Needs(Vec<String>),
}

/// A dataset and its target do not go together. Which dataset it is, whoever shows this says.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// The table cannot take the rows.
    #[error("{0}")]
    Unfit(Unfit),
    /// The database does not take an expression of the dataset.
    #[error("{key}: {message}")]
    Sql {
        /// The key in its file.
        key: String,
        /// What the database says.
        message: String,
    },
    /// The database failed.
    #[error(transparent)]
    Db(#[from] DbError),
}

/// Why a table cannot take a dataset's rows, with the statements that would change it.
#[derive(Debug)]
pub struct Unfit {
    table: String,
    reasons: Vec<String>,
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "table {} cannot take the rows:", self.table)?;
        self.reasons.iter().try_for_each(|reason| write!(f, "\n  {reason}"))
    }
}

/// Sees what the target needs, changing nothing, and has the database read the dataset's SQL on an empty stage.
///
/// # Errors
/// A [`TargetError`] that names the columns or the key of the dataset's file.
pub fn examine(conn: &mut Conn, dataset: &Dataset) -> Result<Readiness, TargetError> {
    let readiness = readiness(conn, dataset)?;
    read_sql(conn, dataset, readiness == Readiness::Ready)?;
    Ok(readiness)
}

/// Creates the target, or the columns it lacks, if need be, and has the database read the dataset's SQL on an empty
/// stage. Looks first: `create table if not exists` needs the right to create even where there is nothing to do.
///
/// # Errors
/// A [`TargetError`] that names the columns or the key of the dataset's file.
pub fn prepare(conn: &mut Conn, dataset: &Dataset) -> Result<(), TargetError> {
    if readiness(conn, dataset)? != Readiness::Ready {
        // A dataset that cannot be loaded leaves no table behind.
        read_sql(conn, dataset, false)?;
        conn.transaction(|conn| {
            conn.lock_for_ddl()?;
            // Another process may have done it while this one waited.
            if let Readiness::Needs(statements) = readiness(conn, dataset)? {
                for sql in statements {
                    log::info!("{}: {sql}", dataset.name);
                    conn.batch(&sql, "creating the target")?;
                }
            }
            Ok::<_, TargetError>(())
        })?;
    }
    read_sql(conn, dataset, true)
}

fn readiness(conn: &mut Conn, dataset: &Dataset) -> Result<Readiness, TargetError> {
    let table = &dataset.target.table;
    let found = match conn {
        Conn::Postgres(link) => super::postgres::find_target(link.get(), table),
        Conn::Sqlite(link) => super::sqlite::find_target(link.get(), table),
    }
    .doing("reading the target's columns")?;
    let statements = conn.statements(dataset);
    let Some(found) = found else { return Ok(Readiness::Needs(vec![statements.create_target()])) };
    let wanted = statements.target_columns();
    let mut reasons = found.unfit_columns(dataset, &statements, &wanted);
    reasons.extend(found.unfit_key(dataset, matches!(conn, Conn::Sqlite(_))));
    if !reasons.is_empty() {
        return Err(TargetError::Unfit(Unfit { table: table.to_string(), reasons }));
    }
    let missing = wanted.iter().filter(|column| found.column(column.name).is_none());
    let needs: Vec<String> = missing.map(|column| statements.add_column(column)).collect();
    Ok(if needs.is_empty() { Readiness::Ready } else { Readiness::Needs(needs) })
}

impl Found {
    /// SQLite knows no case in names; PostgreSQL does in quoted ones, which ours are.
    fn same(&self, one: &str, other: &str) -> bool {
        if self.names_have_case { one == other } else { one.eq_ignore_ascii_case(other) }
    }

    fn column(&self, name: &Identifier) -> Option<&FoundColumn> {
        self.columns.iter().find(|column| self.same(&column.name, name.as_str()))
    }

    fn unfit_columns(
        &self,
        dataset: &Dataset,
        statements: &Statements<'_>,
        wanted: &[TargetColumn<'_>],
    ) -> Vec<String> {
        let table = dataset.target.table.quoted();
        let mut reasons = Vec::new();
        for column in wanted {
            let Some(found) = self.column(column.name) else { continue };
            let name = column.name.quoted();
            if !found.takes.contains(&column.kind) {
                let kind = (statements.dialect.kind)(column.kind);
                reasons.push(format!(
                    "column {} is {}, the dataset has {}: alter table {table} alter column {name} type {kind};",
                    column.name,
                    found.kind,
                    column.kind.name()
                ));
            }
            // A derived column's nulls are not known before the insert, which then names the column.
            let derived = dataset.rows.derive.iter().any(|derived| derived.name == *column.name);
            if found.not_null && !column.not_null && !derived {
                reasons.push(format!(
                    "column {} is not null, the dataset may bring nulls: set required = true for it, or \
                     alter table {table} alter column {name} drop not null;",
                    column.name
                ));
            }
        }
        let written = |name: &str| wanted.iter().any(|column| self.same(column.name.as_str(), name));
        for found in self.columns.iter().filter(|found| found.not_null && !found.filled && !written(&found.name)) {
            reasons.push(format!(
                "column {} is not null and has no default, the dataset has no such column: \
                 alter table {table} alter column \"{}\" drop not null;",
                found.name, found.name
            ));
        }
        reasons
    }

    fn unfit_key(&self, dataset: &Dataset, sqlite: bool) -> Option<String> {
        let target = &dataset.target;
        let key = target.primary_key();
        let has: Vec<&str> = self.columns.iter().filter(|c| c.key).map(|c| c.name.as_str()).collect();
        if has.len() == key.len() && key.iter().all(|name| has.iter().any(|has| self.same(has, name.as_str()))) {
            return None;
        }
        let table = target.table.quoted();
        let names = key.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(", ");
        let quoted = key.iter().map(|name| name.quoted()).collect::<Vec<_>>().join(", ");
        let mode = Mode::ALL.iter().find(|(_, mode)| *mode == target.mode).map_or("", |(name, _)| name);
        let is = if has.is_empty() { "there is none".to_owned() } else { format!("it is ({})", has.join(", ")) };
        let change = match &self.key_constraint {
            _ if sqlite => {
                "SQLite cannot change a primary key: rename the table, and the next start creates it anew".to_owned()
            }
            Some(name) => {
                format!("alter table {table} drop constraint \"{name}\", add primary key ({quoted});")
            }
            None => format!("alter table {table} add primary key ({quoted});"),
        };
        Some(format!("its primary key must be ({names}) for mode {mode}, {is}: {change}"))
    }
}

/// Has the database plan what publishing would run. If it does not take the whole, its parts tell which key is wrong.
fn read_sql(conn: &mut Conn, dataset: &Dataset, target_is_ready: bool) -> Result<(), TargetError> {
    stage::create(conn, dataset)?;
    let statements = conn.statements(dataset);
    let day = dataset.schedule.start;
    let whole = if target_is_ready { plan(conn, &statements.insert(day)) } else { Ok(()) };
    if target_is_ready && whole.is_ok() {
        return Ok(());
    }
    for (key, sql) in statements.probes(day) {
        match plan(conn, &sql) {
            Err(DbError::Statement { source, doing }) => {
                let message = source.to_string();
                let error = DbError::Statement { source, doing };
                // A database in trouble says nothing about the expression.
                let own = error.is_the_databases_own();
                return Err(if own { error.into() } else { TargetError::Sql { key, message } });
            }
            planned => planned?,
        }
    }
    Ok(whole?)
}

fn plan(conn: &mut Conn, sql: &str) -> Result<(), DbError> {
    let explain = format!("explain {sql}");
    on!(conn, c => diesel::sql_query(explain).execute(c)).doing("planning the insert into the target").map(drop)
}
