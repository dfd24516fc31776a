//! Rejected rows: kept aside while a day is staged, then written to `rejected_rows`.

use std::io::{BufRead, BufReader, Seek, SeekFrom, Write};

use diesel::prelude::*;
use tempfile::SpooledTempFile;

use crate::dataset::DatasetName;
use crate::day::Day;
use crate::db::encoding::Texts;
use crate::db::error::{DbError, Doing};
use crate::db::pool::{Conn, on};
use crate::db::schema::rejected_rows;
use crate::validate::Reject;

/// How many rejected rows of a day are kept; all are counted.
pub const KEPT: u64 = 10_000;

/// How many bytes of rejects stay in memory before they go to a temporary file.
const IN_MEMORY: usize = 256 * 1024;

/// How many rows one insert takes.
const BATCH: usize = 500;

/// A row of a day's file that could not be taken.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[diesel(table_name = rejected_rows)]
pub struct RejectedRow {
    /// The line on which it begins, from 1.
    pub line: i64,
    /// The column; null for a row with a wrong number of fields.
    pub column_name: Option<String>,
    /// The value, cut at 2,048 bytes.
    pub value: Option<String>,
    /// Why it could not be taken.
    pub reason: String,
}

impl From<Reject> for RejectedRow {
    fn from(Reject { line, column, value, reason }: Reject) -> Self {
        Self { line: i64::try_from(line).unwrap_or(i64::MAX), column_name: column, value, reason }
    }
}

/// The rejected rows of an attempt: the first [`KEPT`], in the order they were found. They are spooled, because COPY
/// holds the connection while they are found and memory must not grow with them.
pub struct RejectSpool {
    kept: u64,
    spool: SpooledTempFile,
}

impl Default for RejectSpool {
    fn default() -> Self {
        Self { kept: 0, spool: SpooledTempFile::new(IN_MEMORY) }
    }
}

impl RejectSpool {
    /// Keeps a rejected row if there is room.
    ///
    /// # Errors
    /// [`DbError::Spool`] when the temporary file cannot be written.
    pub fn push(&mut self, reject: Reject) -> Result<(), DbError> {
        if self.kept >= KEPT {
            return Ok(());
        }
        self.kept += 1;
        serde_json::to_writer(&mut self.spool, &RejectedRow::from(reject))
            .map_err(|error| DbError::Spool(error.into()))?;
        self.spool.write_all(b"\n").map_err(DbError::Spool)
    }

    fn each_batch(&mut self, write: &mut dyn FnMut(Vec<RejectedRow>) -> Result<(), DbError>) -> Result<(), DbError> {
        self.spool.seek(SeekFrom::Start(0)).map_err(DbError::Spool)?;
        let mut batch = Vec::new();
        for line in BufReader::new(&mut self.spool).lines() {
            let line = line.map_err(DbError::Spool)?;
            batch.push(serde_json::from_str(&line).map_err(|error| DbError::Spool(error.into()))?);
            if batch.len() == BATCH {
                write(std::mem::take(&mut batch))?;
            }
        }
        if batch.is_empty() { Ok(()) } else { write(batch) }
    }
}

/// Writes an attempt's rejects in place of those of the attempt before.
pub(super) fn replace(conn: &mut Conn, dataset: &str, day: Day, rejects: &mut RejectSpool) -> Result<(), DbError> {
    let old = rejected_rows::table.filter(rejected_rows::dataset.eq(dataset)).filter(rejected_rows::day.eq(day));
    on!(conn, c => diesel::delete(old).execute(c)).doing("replacing the rejected rows")?;
    let mut texts = Texts::default();
    rejects.each_batch(&mut |batch| {
        let mut rows = Vec::new();
        for RejectedRow { line, column_name, value, reason } in batch {
            let value = value.map(|value| texts.storable(conn, value)).transpose()?;
            let reason = texts.storable(conn, reason)?;
            let of_day = (rejected_rows::dataset.eq(dataset), rejected_rows::day.eq(day));
            rows.push((of_day, RejectedRow { line, column_name, value, reason }));
        }
        on!(conn, c => diesel::insert_into(rejected_rows::table).values(&rows).execute(c))
            .doing("writing the rejected rows")
            .map(drop)
    })
}

/// The rejected rows of a day that are kept, by line: those behind a line where one is named, at most that many.
///
/// # Errors
/// A [`DbError`] when the database does not answer.
pub fn page(
    conn: &mut Conn,
    dataset: &DatasetName,
    day: Day,
    after: Option<i64>,
    limit: u32,
) -> Result<Vec<RejectedRow>, DbError> {
    on!(conn, c => rejected_rows::table
        .filter(rejected_rows::dataset.eq(dataset.as_str()))
        .filter(rejected_rows::day.eq(day))
        .filter(rejected_rows::line.gt(after.unwrap_or(i64::MIN)))
        .order(rejected_rows::line)
        .limit(limit.into())
        .select(RejectedRow::as_select())
        .load(c))
    .doing("reading the day's rejected rows")
}

/// The rejected rows of a day that are kept next before a line, by line.
///
/// # Errors
/// A [`DbError`] when the database does not answer.
pub fn page_before(
    conn: &mut Conn,
    dataset: &DatasetName,
    day: Day,
    before: i64,
    limit: u32,
) -> Result<Vec<RejectedRow>, DbError> {
    let mut rows: Vec<RejectedRow> = on!(conn, c => rejected_rows::table
        .filter(rejected_rows::dataset.eq(dataset.as_str()))
        .filter(rejected_rows::day.eq(day))
        .filter(rejected_rows::line.lt(before))
        .order(rejected_rows::line.desc())
        .limit(limit.into())
        .select(RejectedRow::as_select())
        .load(c))
    .doing("reading the day's rejected rows")?;
    rows.reverse();
    Ok(rows)
}

/// How many rejected rows of a day are kept.
///
/// # Errors
/// A [`DbError`] when the database does not answer.
pub fn kept(conn: &mut Conn, dataset: &DatasetName, day: Day) -> Result<i64, DbError> {
    on!(conn, c => rejected_rows::table
        .filter(rejected_rows::dataset.eq(dataset.as_str()))
        .filter(rejected_rows::day.eq(day))
        .count()
        .get_result(c))
    .doing("counting the day's rejected rows")
}
