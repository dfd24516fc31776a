//! The rows of `load_attempts`: one per try, begun with the claim.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use diesel::backend::Backend;
use diesel::deserialize::{self, FromSql, FromSqlRow};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};

use crate::dataset::DatasetName;
use crate::day::{Day, DayRange};
use crate::db::attempt_log::{LogLine, StoredLog};
use crate::db::columns::Timestamp;
use crate::db::days::ProcessedDay;
use crate::db::encoding::Texts;
use crate::db::error::{DbError, Doing};
use crate::db::pool::{Conn, on};
use crate::db::schema::{load_attempts, processed_days};
use crate::db::worker_lock;
use crate::db::workers;
use crate::json;
use crate::load_outcome::LoadOutcome;

/// What a day left by its process is told.
pub(super) const LOST: &str = "the process that was loading it died or stalled";

/// What the error of an attempt that somebody cancelled begins with; who it was follows.
pub(super) const CANCELLED: &str = "cancelled by ";

/// What made a load begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trigger {
    /// The `catch-up` command.
    CatchUp,
    /// The `load` command.
    Load,
    /// The `retry` command.
    Retry,
    /// The `run-etl` command.
    RunEtl,
    /// A tick of the schedule.
    Tick,
    /// The start of the daemon.
    Start,
    /// The day's own clock: its file is looked for again, or it is tried again.
    Due,
    /// Its file changed after it was loaded.
    Change,
    /// A person or a program, on the page or through its API.
    Page,
}

impl Trigger {
    /// The trigger's name in the table.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::CatchUp => "catch-up",
            Self::Load => "load",
            Self::Retry => "retry",
            Self::RunEtl => "run-etl",
            Self::Tick => "tick",
            Self::Start => "start",
            Self::Due => "due",
            Self::Change => "change",
            Self::Page => "page",
        }
    }
}

/// What was counted and timed in an attempt, as far as it came.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Measured {
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
    /// Rows the filter left out.
    pub rows_filtered: Option<i64>,
    /// Rows that could not be taken, each counted as the lines of the file that it spans.
    pub rows_rejected: Option<i64>,
    /// Rows that passed the filter.
    pub rows_loaded: Option<i64>,
}

impl Measured {
    /// How many rows the target took and how many passed the filter, where they are not the same number: a trigger or a
    /// rule of the target keeps rows out without an error.
    #[must_use]
    pub fn kept_out(&self) -> Option<(i64, i64)> {
        let passed = self.rows_read? - self.rows_rejected? - self.rows_filtered?;
        let loaded = self.rows_loaded?;
        (loaded < passed).then_some((loaded, passed))
    }
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromSqlRow)]
pub enum AttemptOutcome {
    /// The target took the day's rows.
    Loaded,
    /// Something went wrong with the file, its source or the rows.
    Failed,
    /// A check said no.
    Refused,
    /// It was stopped or cancelled.
    Interrupted,
    /// The database failed.
    Database,
    /// Its process died or stalled.
    Lost,
}

impl AttemptOutcome {
    const ALL: [Self; 6] = [Self::Loaded, Self::Failed, Self::Refused, Self::Interrupted, Self::Database, Self::Lost];

    /// The outcome's name in the table.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Loaded => "loaded",
            Self::Failed => "failed",
            Self::Refused => "refused",
            Self::Interrupted => "interrupted",
            Self::Database => "database",
            Self::Lost => "lost",
        }
    }
}

impl serde::Serialize for AttemptOutcome {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<DB: Backend> FromSql<Text, DB> for AttemptOutcome
where
    String: FromSql<Text, DB>,
{
    fn from_sql(bytes: DB::RawValue<'_>) -> deserialize::Result<Self> {
        let name = String::from_sql(bytes)?;
        let found = Self::ALL.into_iter().find(|outcome| outcome.name() == name);
        found.ok_or_else(|| format!("{name:?} is not the outcome of an attempt").into())
    }
}

#[derive(Insertable)]
#[diesel(table_name = load_attempts)]
struct NewAttempt<'a> {
    claim: &'a str,
    dataset: &'a str,
    day: Day,
    attempt: i32,
    trigger: &'a str,
    worker: &'a str,
    host: &'a str,
    pid: i64,
    started_at: Timestamp,
}

/// Records that an attempt of this process begins, from the row that was claimed for it.
pub(super) fn begin(conn: &mut Conn, row: &ProcessedDay, trigger: Trigger, now: Timestamp) -> Result<(), DbError> {
    let (host, pid) = workers::this_process();
    let begun = NewAttempt {
        claim: row.claim.as_deref().unwrap_or_default(),
        dataset: &row.dataset,
        day: row.day,
        attempt: row.attempts,
        trigger: trigger.name(),
        worker: row.worker.as_deref().unwrap_or_default(),
        host: &host,
        pid,
        started_at: now,
    };
    on!(conn, c => diesel::insert_into(load_attempts::table).values(&begun).execute(c))
        .doing("recording the attempt")
        .map(drop)
}

/// Records how an attempt ended, and what was told of it.
pub(super) fn end(
    conn: &mut Conn,
    token: &str,
    outcome: AttemptOutcome,
    measured: &Measured,
    log: Option<&str>,
    error: Option<&str>,
    now: Timestamp,
) -> Result<(), DbError> {
    use load_attempts as la;
    let mut texts = Texts::default();
    let log = log.map(|log| texts.storable(conn, log.to_owned())).transpose()?;
    let error = error.map(|error| texts.storable(conn, error.to_owned())).transpose()?;
    let ended = (
        la::finished_at.eq(now),
        la::outcome.eq(outcome.name()),
        la::source_ms.eq(measured.source_ms),
        la::stage_ms.eq(measured.stage_ms),
        la::audit_ms.eq(measured.audit_ms),
        la::publish_ms.eq(measured.publish_ms),
        la::rows_read.eq(measured.rows_read),
        la::rows_filtered.eq(measured.rows_filtered),
        la::rows_rejected.eq(measured.rows_rejected),
        la::rows_loaded.eq(measured.rows_loaded),
        la::error.eq(error),
        la::log.eq(log),
    );
    on!(conn, c => diesel::update(la::table.find(token)).set(ended).execute(c))
        .doing("recording the attempt's end")
        .map(drop)
}

/// Writes what was told of an attempt anew.
pub(super) fn save_log(conn: &mut Conn, token: &str, log: Option<&str>) -> Result<(), DbError> {
    on!(conn, c => diesel::update(load_attempts::table.find(token)).set(load_attempts::log.eq(log)).execute(c))
        .doing("saving the attempt's log")
        .map(drop)
}

/// How an attempt has ended whose claim is gone from the day: it published, or another process took the day over. What
/// is neither (`None`) was ended by its own process, to which only the answer got lost; looking for a file that is not
/// there leaves no attempt.
pub(super) fn ended(conn: &mut Conn, token: &str) -> Result<Option<LoadOutcome>, DbError> {
    let attempt = load_attempts::table.find(token).select(load_attempts::outcome);
    let found: Option<Option<AttemptOutcome>> =
        on!(conn, c => attempt.first(c).optional()).doing("reading how the attempt ended")?;
    Ok(match found {
        Some(Some(AttemptOutcome::Loaded)) => Some(LoadOutcome::Loaded),
        Some(None | Some(AttemptOutcome::Lost)) => Some(LoadOutcome::Lost),
        Some(Some(_)) | None => None,
    })
}

/// True when the worker that left the day behind noted that the attempt is not to be counted.
pub(super) fn is_uncounted(conn: &mut Conn, row: &ProcessedDay) -> Result<bool, DbError> {
    match (&row.worker, &row.claim) {
        (Some(id), Some(claim)) => worker_lock::is_uncounted(conn, id, claim),
        _ => Ok(false),
    }
}

/// Records that the process of a running day is gone; where it left word that the attempt was interrupted, that.
pub(super) fn lost(conn: &mut Conn, row: &ProcessedDay, now: Timestamp) -> Result<(), DbError> {
    let token = row.claim.as_deref().unwrap_or_default();
    let (outcome, error) =
        if is_uncounted(conn, row)? { (AttemptOutcome::Interrupted, None) } else { (AttemptOutcome::Lost, Some(LOST)) };
    end(conn, token, outcome, &Measured::default(), None, error, now)
}

/// Takes an attempt back: looking for a file that is not there costs none.
pub(super) fn take_back(conn: &mut Conn, token: &str) -> Result<(), DbError> {
    on!(conn, c => diesel::delete(load_attempts::table.find(token)).execute(c))
        .doing("taking the attempt back")
        .map(drop)
}

/// An attempt at loading a day. Names are those of the table `load_attempts`; times are UTC, RFC 3339.
#[derive(Debug, Clone, Queryable, Selectable, serde::Serialize, utoipa::ToSchema)]
#[diesel(table_name = load_attempts)]
pub struct Attempt {
    /// Its claim's token.
    #[serde(skip)]
    pub claim: String,
    /// Which of all attempts at the day, from 1: the next one has the next number.
    #[diesel(select_expression = 0_i64.into_sql::<BigInt>(), deserialize_as = i64)]
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
    #[diesel(deserialize_as = Timestamp)]
    pub started_at: DateTime<Utc>,
    /// When it ended; null while it runs.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub finished_at: Option<Timestamp>,
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
    #[diesel(deserialize_as = StoredLog)]
    pub log: Vec<LogLine>,
}

/// The newest attempts at a day, newest first; at most that many.
///
/// # Errors
/// A [`DbError`] when the database does not answer.
pub fn of_day(conn: &mut Conn, dataset: &DatasetName, day: Day, limit: u32) -> Result<Vec<Attempt>, DbError> {
    let mut newest: Vec<Attempt> = on!(conn, c => load_attempts::table
        .filter(load_attempts::dataset.eq(dataset.as_str()))
        .filter(load_attempts::day.eq(day))
        .order((load_attempts::started_at.desc(), load_attempts::claim.desc()))
        .limit(limit.into())
        .select(Attempt::as_select())
        .load(c))
    .doing("reading the day's attempts")?;
    let older = newest.last().map_or(Ok(0), |oldest| count_older(conn, dataset, day, oldest))?.unsigned_abs();
    for (attempt, number) in newest.iter_mut().rev().zip(older + 1..) {
        attempt.number = number;
    }
    Ok(newest)
}

/// Of a dataset's days within a range that are loaded, how the newest attempt ended that was made after that and did not
/// replace their rows, with its error. One that somebody cancelled is none of them.
///
/// # Errors
/// A [`DbError`] when the database does not answer.
pub fn failed_reloads(
    conn: &mut Conn,
    dataset: &DatasetName,
    DayRange { from, to }: DayRange,
) -> Result<BTreeMap<Day, (AttemptOutcome, Option<String>)>, DbError> {
    use load_attempts as la;
    use processed_days as pd;
    let is_of_day = pd::dataset.eq(la::dataset).and(pd::day.eq(la::day));
    let rows: Vec<(Day, Option<AttemptOutcome>, Option<String>)> = on!(conn, c => la::table
        .inner_join(pd::table.on(is_of_day))
        .filter(la::dataset.eq(dataset.as_str()))
        .filter(la::day.between(from, to))
        .filter(pd::state.eq("loaded"))
        .filter(la::started_at.nullable().gt(pd::loaded_at))
        .filter(la::outcome.ne(AttemptOutcome::Loaded.name()))
        .order((la::started_at, la::claim))
        .select((la::day, la::outcome, la::error))
        .load(c))
    .doing("reading the attempts at loaded days")?;
    let by_somebody = |error: &Option<String>| error.as_ref().is_some_and(|error| error.starts_with(CANCELLED));
    let others = rows.into_iter().filter(|(.., error)| !by_somebody(error));
    Ok(others.filter_map(|(day, outcome, error)| Some((day, (outcome?, error)))).collect())
}

/// How many attempts at the day are older than that one. Their number does not change: only the newest may be taken
/// back.
fn count_older(conn: &mut Conn, dataset: &DatasetName, day: Day, than: &Attempt) -> Result<i64, DbError> {
    use load_attempts as la;
    let before = la::started_at.lt(Timestamp::from(than.started_at));
    let before = before.or(la::started_at.eq(Timestamp::from(than.started_at)).and(la::claim.lt(&than.claim)));
    on!(conn, c => la::table
        .filter(la::dataset.eq(dataset.as_str()))
        .filter(la::day.eq(day))
        .filter(before)
        .count()
        .get_result(c))
    .doing("counting the day's attempts")
}
