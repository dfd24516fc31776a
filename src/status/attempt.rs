//! What is known of the attempts at a day.

use chrono::{DateTime, NaiveDateTime, Utc};

use crate::dataset::DatasetName;
use crate::day::Day;
use crate::db::attempt_log;
use crate::db::attempts::{self, Attempt, AttemptOutcome};
use crate::db::error::DbError;
use crate::db::pool::Conn;
use crate::json;

/// How many attempts at a day are told of: a file that is not right and is tried for years has thousands.
const MOST_ATTEMPTS: u32 = 100;

/// An attempt at loading a day. Names are those of the table `load_attempts`; times are UTC, RFC 3339.
#[derive(Debug, Clone, serde::Serialize, utoipa::ToSchema)]
#[schema(as = Attempt)]
pub struct AttemptStatus {
    /// Which of all attempts at the day, from 1: the next one has the next number.
    pub number: u64,
    /// Which of its series, from 1: what `retry.max_attempts` limits.
    pub attempt: i32,
    /// What made it begin: `tick`, `start`, `due`, `change`, `catch-up`, `load`, `retry`, `run-etl` or `page`.
    pub trigger: String,
    /// The id of the process that made it.
    pub worker: String,
    /// The machine or container it ran on; null in attempts of versions that did not note it.
    pub host: Option<String>,
    /// Its process id there.
    pub pid: Option<i64>,
    /// When it began.
    #[serde(serialize_with = "json::time")]
    #[schema(value_type = String, format = DateTime)]
    pub started_at: DateTime<Utc>,
    /// When it ended; null while it runs.
    #[serde(serialize_with = "json::time_or_null")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub finished_at: Option<DateTime<Utc>>,
    /// `loaded`, `failed`, `refused`, `interrupted`, `database` or `lost`; null while it runs.
    #[schema(value_type = Option<String>)]
    pub outcome: Option<AttemptOutcome>,
    /// Milliseconds until the file was open.
    pub source_ms: Option<i64>,
    /// Milliseconds of reading, validating and staging.
    pub stage_ms: Option<i64>,
    /// Milliseconds of the audit.
    pub audit_ms: Option<i64>,
    /// Milliseconds of publishing.
    pub publish_ms: Option<i64>,
    /// Rows in the file.
    pub rows_read: Option<i64>,
    /// Rows that `where` left out.
    pub rows_filtered: Option<i64>,
    /// Rows that could not be taken, each counted as the lines of the file that it spans.
    pub rows_rejected: Option<i64>,
    /// Rows that passed and, with `replace_day`, that the target took.
    pub rows_loaded: Option<i64>,
    /// What went wrong.
    pub error: Option<String>,
    /// What was done, in its order.
    pub log: Vec<LogLine>,
}

/// A line of an attempt's log.
#[derive(Debug, Clone, serde::Serialize, utoipa::ToSchema)]
pub struct LogLine {
    /// Milliseconds since the attempt began.
    pub ms: u64,
    /// What was done.
    pub text: String,
}

/// The newest attempts at a day, newest first.
///
/// # Errors
/// A [`DbError`] when the database does not answer.
pub fn attempts(conn: &mut Conn, dataset: &DatasetName, day: Day) -> Result<Vec<AttemptStatus>, DbError> {
    let newest = attempts::of_day(conn, dataset, day, MOST_ATTEMPTS)?;
    let older = newest.last().map_or(Ok(0), |oldest| attempts::older(conn, dataset, day, oldest))?.unsigned_abs();
    let mut attempts: Vec<_> = newest.into_iter().rev().zip(older + 1..).map(AttemptStatus::of).collect();
    attempts.reverse();
    Ok(attempts)
}

impl AttemptStatus {
    fn of((row, number): (Attempt, u64)) -> Self {
        let line = |(ms, text): (u64, &str)| LogLine { ms, text: text.to_owned() };
        Self {
            number,
            attempt: row.attempt,
            trigger: row.trigger,
            worker: row.worker,
            host: row.host,
            pid: row.pid,
            started_at: row.started_at.and_utc(),
            finished_at: row.finished_at.map(|at: NaiveDateTime| at.and_utc()),
            outcome: row.outcome,
            source_ms: row.source_ms,
            stage_ms: row.stage_ms,
            audit_ms: row.audit_ms,
            publish_ms: row.publish_ms,
            rows_read: row.rows_read,
            rows_filtered: row.rows_filtered,
            rows_rejected: row.rows_rejected,
            rows_loaded: row.rows_loaded,
            error: row.error,
            log: row.log.iter().flat_map(|log| attempt_log::lines(log)).map(line).collect(),
        }
    }
}
