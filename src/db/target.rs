//! The target: the table a dataset's rows end up in, held against the dataset before anything is loaded.

use std::fmt;

use diesel::sql_types::Text;
use diesel::{QueryableByName, RunQueryDsl};

use crate::dataset::{Dataset, Mode};
use crate::day::{Day, listed, runs};
use crate::db::days;
use crate::db::error::{DbError, Doing};
use crate::db::locks::LockPurpose;
use crate::db::migrate;
use crate::db::pool::{Conn, on};
use crate::db::stage;
use crate::wording::{counted, load_again};

pub(super) mod existing;
pub(super) mod reload;
mod unfit;

use existing::TargetLookup;
use unfit::Fitting;

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

impl TargetError {
    fn of_db(&self) -> Option<&DbError> {
        if let Self::Db(error) = self { Some(error) } else { None }
    }
}

/// Why a table cannot take a dataset's rows, with the statements that would change it.
#[derive(Debug)]
pub struct Unfit {
    table: String,
    cannot: &'static str,
    /// Who owns the table, where the session's role may not alter it.
    owner: Option<String>,
    reasons: Vec<String>,
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "table {} cannot {}", self.table, self.cannot)?;
        if let Some(owner) = &self.owner {
            write!(f, "; its owner, {owner}, can change that")?;
        }
        f.write_str(":")?;
        self.reasons.iter().try_for_each(|reason| write!(f, "\n  {reason}"))
    }
}

/// Sees what the target needs, changing nothing, and has the database read the dataset's SQL on an empty stage.
///
/// # Errors
/// A [`TargetError`] that names the columns or the key of the dataset's file.
pub fn examine(conn: &mut Conn, dataset: &Dataset) -> Result<Readiness, TargetError> {
    conn.on_targets(|conn| {
        let readiness = readiness(conn, dataset)?;
        read_sql(conn, dataset, readiness == Readiness::Ready)?;
        Ok(readiness)
    })
}

/// What a reload of a day does beside writing its rows anew: to columns that the dataset does not fill, to rows that
/// refer to its rows, and by triggers. One sentence each; none where there is no such table.
///
/// # Errors
/// A [`DbError`] when the database does not answer.
pub fn reload_notes(conn: &mut Conn, dataset: &Dataset) -> Result<Vec<String>, DbError> {
    conn.on_targets(|conn| {
        let TargetLookup::ExistingTable(found) = find(conn, dataset)? else { return Ok(Vec::new()) };
        let table = &dataset.target.table;
        let attached = match conn {
            Conn::Postgres(handle) => super::postgres::attached(handle.get(), table),
            Conn::Sqlite(handle) => super::sqlite::attached(handle.get(), table),
        }
        .doing("looking what refers to the target")?;
        Ok(reload::notes(dataset, &found, &conn.statements(dataset).target_columns(), &attached))
    })
}

/// The first of these days for which a partitioned target has no partition, with the statement that creates one; `None`
/// where each has one, or the target is not partitioned by the day alone.
///
/// # Errors
/// A [`DbError`] when the database does not answer.
pub fn missing_partition(conn: &mut Conn, dataset: &Dataset, days: &[Day]) -> Result<Option<(Day, String)>, DbError> {
    conn.on_targets(|conn| match conn {
        Conn::Postgres(handle) => super::postgres::missing_partition(handle.get(), &dataset.target, days)
            .doing("looking for the target's partitions"),
        Conn::Sqlite(_) => Ok(None),
    })
}

/// Creates the target, or the columns it lacks, if need be, and has the database read the dataset's SQL on an empty
/// stage. Looks first: `create table if not exists` needs the right to create even where there is nothing to do.
///
/// # Errors
/// A [`TargetError`] that names the columns or the key of the dataset's file.
pub fn prepare(conn: &mut Conn, dataset: &Dataset) -> Result<(), TargetError> {
    let done = conn.on_targets(|conn| {
        let mut done = Vec::new();
        if readiness(conn, dataset)? != Readiness::Ready {
            // A dataset that cannot be loaded leaves no table behind.
            read_sql(conn, dataset, false)?;
            let tables = [dataset.target.table.quoted()];
            done =
                conn.within_bounds(&tables, LockPurpose::Altering, TargetError::of_db, |conn| create(conn, dataset))?;
        }
        read_sql(conn, dataset, true).map(|()| done)
    })?;
    if let Some(lost) = lost_days(conn, dataset, &done)? {
        log::warn!("{}: its table was created anew: {lost}", dataset.name);
    }
    Ok(())
}

/// Which days are recorded as loaded into a target that these statements create, so that their rows are gone, and how
/// to load them again.
///
/// # Errors
/// A [`DbError`] when the database does not answer.
pub fn lost_days(conn: &mut Conn, dataset: &Dataset, statements: &[String]) -> Result<Option<String>, DbError> {
    let creates = statements.iter().any(|sql| sql.starts_with("create table"));
    if !creates || !migrate::has_state_tables(conn)? {
        return Ok(None);
    }
    let (name, table) = (&dataset.name, &dataset.target.table);
    Ok(days::with_rows(conn, dataset)?.map(|(number, days)| {
        let number = counted(number, "day");
        format!(
            "{number} recorded as loaded had rows in table {table}, which was not there any more: to load them again \
             run \"dayfill load --force {days} --dataset {name}\""
        )
    }))
}

/// Why the table cannot take the dataset's rows, by the catalog alone; `None` where it can, or where a load creates it.
///
/// # Errors
/// A [`DbError`] when the database does not answer.
pub fn unfit(conn: &mut Conn, dataset: &Dataset) -> Result<Option<String>, DbError> {
    match conn.on_targets(|conn| readiness(conn, dataset)) {
        Ok(_) => Ok(None),
        Err(TargetError::Db(error)) => Err(error),
        Err(error) => Ok(Some(error.to_string())),
    }
}

/// Which days are recorded as loaded by the present definition and have no row in the target: it was created anew, or
/// emptied, or somebody deleted them. Where the table's key begins with the day, each day is looked up in it; elsewhere
/// that would read the whole table, or a day's rows are another day's by now (`upsert`), and only a table without any
/// row is told of.
///
/// # Errors
/// A [`DbError`] when the database does not answer.
pub fn lost_rows(conn: &mut Conn, dataset: &Dataset) -> Result<Option<String>, DbError> {
    if !migrate::has_state_tables(conn)? {
        return Ok(None);
    }
    let days = days::all_with_rows(conn, dataset)?;
    if days.is_empty() {
        return Ok(None);
    }
    let table = &dataset.target.table;
    let looked = [table.to_string()];
    let (lost, why) = conn.within_bounds(
        &looked,
        LockPurpose::Looking,
        |error| Some(error),
        |conn| days_without_rows(conn, dataset, days),
    )?;
    Ok((!lost.is_empty()).then(|| {
        let (number, named) = (counted(lost.len(), "day"), listed(&lost));
        let have = if lost.len() == 1 { "has" } else { "have" };
        let (first, name) = (runs(&lost).first().map(ToString::to_string).unwrap_or_default(), &dataset.name);
        let all = if runs(&lost).len() > 1 { "loads the first of them again" } else { "loads them again" };
        format!(
            "{number} recorded as loaded {have} no rows in table {table}{why} ({named}): `{}` {all}; \
             if you removed them, `dayfill forget {first} --dataset {name}`, and the same with `skip`, leaves them out",
            load_again(&first, name)
        )
    }))
}

/// Those of the days that have no rows in the target, as far as that can be told without reading all of it, and why.
fn days_without_rows(conn: &mut Conn, dataset: &Dataset, days: Vec<Day>) -> Result<(Vec<Day>, &'static str), DbError> {
    let seen = conn.on_targets(|conn| find(conn, dataset))?;
    Ok(match &seen {
        TargetLookup::Nothing { .. } => (days, ", which is not there"),
        TargetLookup::ExistingTable(found)
            if found.has_index_of(&dataset.target.day_column) && is_each_days(dataset) =>
        {
            let sql = conn.statements(dataset).days_without_rows(&days);
            let lost: Vec<Lost> = conn.on_targets(|conn| {
                on!(conn, c => diesel::sql_query(sql).load(c)).doing("looking for the rows of loaded days")
            })?;
            (lost.into_iter().filter_map(|lost| lost.day.parse().ok()).collect(), "")
        }
        TargetLookup::ExistingTable(_) => {
            let sql = conn.statements(dataset).first_row();
            let rows: Vec<Lost> = conn.on_targets(|conn| {
                on!(conn, c => diesel::sql_query(sql).load(c)).doing("looking for rows of the target")
            })?;
            if rows.is_empty() { (days, ", which is empty") } else { (Vec::new(), "") }
        }
    })
}

/// True where a day's rows are no other day's.
fn is_each_days(dataset: &Dataset) -> bool {
    dataset.target.mode == Mode::ReplaceDay
}

#[derive(QueryableByName)]
struct Lost {
    #[diesel(sql_type = Text)]
    day: String,
}

fn find(conn: &mut Conn, dataset: &Dataset) -> Result<TargetLookup, DbError> {
    match conn {
        Conn::Postgres(handle) => super::postgres::find_target(handle.get(), &dataset.target.table),
        Conn::Sqlite(handle) => super::sqlite::find_target(handle.get(), &dataset.target),
    }
    .doing("reading the target's columns")
}

/// The statements that were run.
fn create(conn: &mut Conn, dataset: &Dataset) -> Result<Vec<String>, TargetError> {
    let done = conn.transaction(|conn| {
        conn.lock_for_ddl()?;
        // Another process may have done it while this one waited.
        let Readiness::Needs(statements) = readiness(conn, dataset)? else { return Ok(Vec::new()) };
        statements.iter().try_for_each(|sql| conn.batch(sql, "creating the target"))?;
        Ok::<_, TargetError>(statements)
    })?;
    // Said when it is done: it is tried again where a lock is in the way.
    for sql in &done {
        log::info!("{}: {sql}", dataset.name);
    }
    Ok(done)
}

fn readiness(conn: &mut Conn, dataset: &Dataset) -> Result<Readiness, TargetError> {
    let target = &dataset.target;
    let seen = find(conn, dataset)?;
    let statements = conn.statements(dataset);
    let unfit =
        |cannot, owner, reasons| TargetError::Unfit(Unfit { table: target.table.to_string(), cannot, owner, reasons });
    let found = match seen {
        TargetLookup::ExistingTable(found) => found,
        TargetLookup::Nothing { hindrances } if hindrances.is_empty() => {
            return Ok(Readiness::Needs(vec![statements.create_target()]));
        }
        TargetLookup::Nothing { hindrances } => return Err(unfit("be created", None, hindrances)),
    };
    let wanted = statements.target_columns();
    let reasons = Fitting { dataset, statements: &statements, wanted: &wanted, found: &found }.reasons();
    if !reasons.is_empty() {
        let owner = found.server.as_ref().filter(|server| !server.is_owner).map(|server| server.owner.clone());
        return Err(unfit("take the rows", owner, reasons));
    }
    let missing = wanted.iter().filter(|column| found.column(column.name).is_none());
    let needs: Vec<String> = missing.map(|column| statements.add_column(column)).collect();
    Ok(if needs.is_empty() { Readiness::Ready } else { Readiness::Needs(needs) })
}

/// Has the database plan what publishing would run, and waits no longer than for a look for whoever locks the target.
fn read_sql(conn: &mut Conn, dataset: &Dataset, target_is_ready: bool) -> Result<(), TargetError> {
    conn.within_bounds(&[dataset.target.table.quoted()], LockPurpose::Looking, TargetError::of_db, |conn| {
        plan_all(conn, dataset, target_is_ready)
    })
}

/// Has the database plan what publishing would run. If it does not take the whole, its parts tell which key is wrong.
fn plan_all(conn: &mut Conn, dataset: &Dataset, target_is_ready: bool) -> Result<(), TargetError> {
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
