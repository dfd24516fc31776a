//! What is known of datasets, days and processes: one computation for `status`, the API and the page. The names of the
//! fields are a documented contract (docs/status-json.md, docs/api.md): they are added to, never renamed.
//!
//! When a schedule ticks is computed a layer above; it comes in as a [`WantedDays`].

mod day;
mod page;
mod summary;
mod wanted;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use crate::dataset::{Dataset, DatasetName};
use crate::day::{Day, DayRange};
use crate::db::attempts::{self, AttemptOutcome};
use crate::db::days;
use crate::db::error::DbError;
use crate::db::paused;
use crate::db::pool::Conn;
use crate::db::target;
use crate::definition;
use crate::json;
use crate::plan::{Decision, LoadMode, SkipReason};
use crate::reconcile;
use crate::state::State;

pub use self::day::DayStatus;
pub use self::page::{DaysPage, Selection, page};
pub use self::summary::{Attention, AttentionKind, NoFiles, RecentDay, Summary, summary};
pub use self::wanted::WantedDays;
pub use crate::db::activity_log::ActivityEntry;
pub use crate::db::attempt_log::LogLine;
pub use crate::db::attempts::Attempt;
pub use crate::db::paused::Pause;
pub use crate::db::workers::{RegisteredWorker, alive as workers};
pub use crate::json::instant;

/// What is known of a dataset.
#[derive(Debug, Clone, serde::Serialize)]
pub struct DatasetStatus {
    /// Its name; `NAME@TABLE` for days loaded into another table.
    pub dataset: String,
    /// The target table.
    pub table: String,
    /// When the schedule ticks next.
    #[serde(serialize_with = "json::time_or_null")]
    pub next_tick: Option<DateTime<Utc>>,
    /// Since when, by whom and why it is paused; null when it is not.
    pub paused: Option<Pause>,
    /// What keeps it as a whole from being loaded, and loaded days whose rows are gone; each in lines of its own.
    pub problems: Vec<String>,
    /// How many of the days below are in each state; `missing` counts wanted days without a row.
    pub counts: BTreeMap<&'static str, u64>,
    /// Each day that is wanted or has a row, oldest first.
    pub days: Vec<DayStatus>,
}

/// What is known of a dataset and its days within a range. Without a connection there are no state tables yet.
///
/// # Errors
/// A [`DbError`] when the database does not answer.
pub fn of(
    mut conn: Option<&mut Conn>,
    dataset: &Dataset,
    wanted: &WantedDays,
    range: DayRange,
) -> Result<DatasetStatus, DbError> {
    let problems = conn.as_deref_mut().map(|conn| problems(conn, dataset)).unwrap_or_default();
    let paused = conn.as_deref_mut().map(|conn| paused::of(conn, &dataset.name)).transpose()?.flatten();
    let days = days(conn, dataset, wanted, range)?;
    let mut counts = BTreeMap::new();
    for day in &days {
        *counts.entry(State::name_or_missing(day.state)).or_insert(0) += 1;
    }
    Ok(DatasetStatus {
        dataset: dataset.name.to_string(),
        table: dataset.target.table.to_string(),
        next_tick: wanted.next_tick,
        paused,
        problems,
        counts,
        days,
    })
}

/// What is wrong with the target. Who may look at dayfill's tables need not have a right to it, nor may it be locked:
/// nothing is told then, as `check` and the loads tell that.
fn problems(conn: &mut Conn, dataset: &Dataset) -> Vec<String> {
    let found = target::unfit(conn, dataset).and_then(|unfit| match unfit {
        Some(unfit) => Ok(Some(unfit)),
        None => target::lost_rows(conn, dataset),
    });
    let problem = found.unwrap_or_else(|error| {
        log::debug!("{}: whether its table fits cannot be told: {error}", dataset.name);
        None
    });
    problem.into_iter().collect()
}

/// What is known of a dataset's days within a range: each that is wanted or has a row, oldest first. Without a
/// connection there are no state tables yet.
///
/// # Errors
/// A [`DbError`] when the database does not answer.
pub fn days(
    mut conn: Option<&mut Conn>,
    dataset: &Dataset,
    wanted: &WantedDays,
    range: DayRange,
) -> Result<Vec<DayStatus>, DbError> {
    let read = |conn: &mut Conn| days::list(conn, dataset.name.as_str(), Some(range));
    let rows = conn.as_deref_mut().map(read).transpose()?.unwrap_or_default();
    let mut by_day: BTreeMap<Day, DayStatus> =
        wanted.within(range).iter().map(|day| (*day, DayStatus::missing(*day))).collect();
    let definition = definition::hash(dataset);
    by_day.extend(rows.into_iter().map(|row| (row.day, DayStatus::of_row(row, wanted, &definition))));
    let mut days: Vec<DayStatus> = by_day.into_values().collect();
    if let Some(conn) = conn.as_deref_mut() {
        reloads(conn, dataset, range, &mut days)?;
    }
    complete(conn, dataset, wanted, &mut days)?;
    Ok(days)
}

/// Adds to loaded days what became of tries to load them again: their rows show nothing of it.
fn reloads(conn: &mut Conn, dataset: &Dataset, range: DayRange, days: &mut [DayStatus]) -> Result<(), DbError> {
    let failed = attempts::failed_reloads(conn, &dataset.name, range)?;
    for day in days.iter_mut().filter(|day| day.state == Some(State::Loaded)) {
        day.reload_error = failed.get(&day.day).map(|(outcome, error)| {
            let why = error.as_ref().map_or_else(String::new, |error| format!(": {error}"));
            let ended = match outcome {
                AttemptOutcome::Database => "the database rejected its last reload",
                AttemptOutcome::Refused => "its last reload was refused",
                AttemptOutcome::Interrupted => "its last reload was interrupted",
                AttemptOutcome::Lost => "the process of its last reload died",
                AttemptOutcome::Failed | AttemptOutcome::Loaded => "its last reload failed",
            };
            format!("{ended}, the rows are those from before{why}")
        });
    }
    Ok(())
}

/// How many attempts at a day are read: a file that is not right and is tried for years has thousands.
const MOST_ATTEMPTS: u32 = 100;

/// The newest attempts at a day, newest first.
///
/// # Errors
/// A [`DbError`] when the database does not answer.
pub fn attempts(conn: &mut Conn, dataset: &DatasetName, day: Day) -> Result<Vec<Attempt>, DbError> {
    attempts::of_day(conn, dataset, day, MOST_ATTEMPTS)
}

/// What is known of one day; `None` when it is neither wanted nor has a row.
///
/// # Errors
/// A [`DbError`] when the database does not answer.
pub fn of_day(conn: &mut Conn, dataset: &Dataset, wanted: &WantedDays, day: Day) -> Result<Option<DayStatus>, DbError> {
    Ok(days(Some(conn), dataset, wanted, DayRange { from: day, to: day })?.pop())
}

/// Adds what hangs on other days, or on the clock.
fn complete(
    conn: Option<&mut Conn>,
    dataset: &Dataset,
    wanted: &WantedDays,
    days: &mut [DayStatus],
) -> Result<(), DbError> {
    let held_back = held_back(conn, dataset, wanted)?;
    for day in days {
        day.late = wanted.is_late(day.day, day.state, day.loaded_at.is_some());
        day.held_back_by = held_back.get(&day.day).copied();
    }
    Ok(())
}

/// The days that a tick would not load now because an older one failed or was refused, each with that one. It may be
/// older than the days that are shown.
fn held_back(conn: Option<&mut Conn>, dataset: &Dataset, wanted: &WantedDays) -> Result<BTreeMap<Day, Day>, DbError> {
    let in_order = dataset.policy.catch_up.stop_on_failure && !dataset.is_copy();
    let Some(conn) = conn.filter(|_| in_order) else { return Ok(BTreeMap::new()) };
    let decided = reconcile::decide(conn, dataset, &wanted.days, LoadMode::Tick, None)?;
    let held = decided.into_iter().filter_map(|(day, decision)| match decision {
        Decision::Skip(SkipReason::HeldBack(by)) => Some((day, by)),
        _ => None,
    });
    Ok(held.collect())
}
