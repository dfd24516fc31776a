//! The rows of a target: a day's old ones deleted, doubled keys rejected, and what its triggers and references do.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text};

use crate::audit::{TooManyRejected, audit};
use crate::column::{Identifier, TableName};
use crate::dataset::Dataset;
use crate::day::Day;
use crate::db::error::{COUNTING, DELETING, DOUBLES, DbError, Doing, WRITING};
use crate::db::pool::{Conn, on};
use crate::db::rejects;
use crate::db::stage::StagedDay;
use crate::validate::Reject;
use crate::wording::counted;

/// Nothing was published; the target is as it was.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The claim is no longer ours: another process took the day over.
    #[error("the claim was lost to another process")]
    Lost,
    /// With the rows whose key comes twice, too many are rejected.
    #[error(transparent)]
    Refused(#[from] TooManyRejected),
    /// The load was to stop before it was sent to be committed.
    #[error("the load was stopped")]
    Stopped,
    /// Somebody asked for the load to be cancelled: who, with the reason that was given.
    #[error("the load was cancelled by {0}")]
    Cancelled(String),
    /// The database failed.
    #[error(transparent)]
    Db(#[from] DbError),
}

/// True when a trigger of the table may run at an `insert`, `delete` or `update`.
pub(super) fn has_trigger(conn: &mut Conn, table: &TableName, verb: &str) -> Result<bool, DbError> {
    match conn {
        Conn::Postgres(handle) => super::postgres::has_trigger(handle.get(), table, verb),
        Conn::Sqlite(handle) => super::sqlite::has_trigger(handle.get(), table, verb),
    }
    .doing("looking for triggers of the target")
}

/// Takes the day's old rows out of the target. Rows that a trigger keeps there are an error: they would stand beside
/// the new ones. They are looked for only where a trigger could keep one.
pub(super) fn delete_day(conn: &mut Conn, day: Day, dataset: &Dataset) -> Result<(), DbError> {
    let table = &dataset.target.table;
    let statements = conn.statements(dataset);
    let (delete, count_day) = (statements.delete_day(day), statements.count_day(day));
    conn.execute(&delete, DELETING)?;
    if !has_trigger(conn, table, "delete")? {
        return Ok(());
    }
    match count(conn, &count_day)? {
        0 => Ok(()),
        rows => Err(DbError::RowsStay { table: table.to_string(), rows: counted(rows, "row") }),
    }
}

/// How many references of a SQLite target lead nowhere; `None` where the database itself tells in time.
pub(super) fn broken_references(conn: &mut Conn, dataset: &Dataset) -> Result<Option<i64>, DbError> {
    match conn {
        Conn::Postgres(_) => Ok(None),
        Conn::Sqlite(handle) => super::sqlite::broken_references(handle.get(), &dataset.target.table)
            .doing("checking the target's references"),
    }
}

/// Fails where more references lead nowhere than before, as SQLite's commit would.
pub(super) fn no_more_broken_references(
    conn: &mut Conn,
    dataset: &Dataset,
    before: Option<i64>,
) -> Result<(), DbError> {
    if before.is_some() && broken_references(conn, dataset)? > before {
        let words = "FOREIGN KEY constraint failed".to_owned();
        let kind = diesel::result::DatabaseErrorKind::ForeignKeyViolation;
        let source = diesel::result::Error::DatabaseError(kind, Box::new(words));
        return Err(DbError::Statement { doing: WRITING, source });
    }
    Ok(())
}

#[derive(QueryableByName)]
struct RowCount {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

pub(super) fn count(conn: &mut Conn, sql: &str) -> Result<i64, DbError> {
    let counted: RowCount = on!(conn, c => diesel::sql_query(sql).get_result(c)).doing(COUNTING)?;
    Ok(counted.count)
}

pub(super) fn comparing_as_target(conn: &mut Conn, dataset: &Dataset) -> Result<Vec<String>, DbError> {
    let (table, key) = (&dataset.target.table, &dataset.target.key);
    match conn {
        Conn::Postgres(handle) => super::postgres::comparing_as_target(handle.get(), table, key),
        Conn::Sqlite(handle) => super::sqlite::comparing_as_target(handle.get(), table, key),
    }
    .doing("reading how the target compares keys")
}

#[derive(QueryableByName)]
struct Double {
    #[diesel(sql_type = BigInt)]
    line: i64,
    #[diesel(sql_type = BigInt)]
    first_line: i64,
    #[diesel(sql_type = Nullable<Text>)]
    value: Option<String>,
}

/// Rejects each staged row whose key stands on an earlier line, and audits the day again.
pub(super) fn reject_doubles(conn: &mut Conn, day: Day, staged: &mut StagedDay<'_>) -> Result<(), PublishError> {
    let statements = conn.statements(staged.dataset);
    let key = comparing_as_target(conn, staged.dataset)?;
    // The filter is computed here, and may fail on a row.
    let doubles = conn.savepoint(|conn| {
        for sql in statements.gather_doubles(day, &key) {
            conn.batch(&sql, DOUBLES)?;
        }
        count(conn, &statements.count_doubles())
    });
    let doubles = doubles?.unsigned_abs();
    if doubles == 0 {
        return Ok(());
    }
    let first: Vec<Double> = on!(conn, c => diesel::sql_query(statements.first_doubles(rejects::KEPT)).load(c))
        .doing("reading the doubled keys")?;
    let kept = first.len() as u64;
    let key = staged.dataset.target.key.iter().map(Identifier::as_str).collect::<Vec<_>>().join(", ");
    for Double { line, first_line, value } in first {
        let reason = format!("is the key of line {first_line} already");
        let reject = Reject { line: line.unsigned_abs(), column: Some(key.clone()), value, reason };
        staged.keep(1, reject)?;
    }
    staged.counts.rejected += doubles - kept;
    staged.counts.rejected_rows += doubles - kept;
    audit(staged.counts, &staged.dataset.limits)?;
    conn.execute(&statements.remove_doubles(), "taking doubled keys out of the stage")?;
    Ok(())
}
