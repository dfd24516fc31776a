//! What the page of a day shows.

use chrono::{DateTime, Utc};

use crate::day::Day;
use crate::db::rejects::RejectedRow;
use crate::status::{Attempt, DayStatus};
use crate::web::view::model::{Action, Loading, Step};
use crate::zone::Zone;

/// A day of a dataset and what happened to it.
#[derive(Debug, Clone)]
pub struct DayPage {
    /// The dataset.
    pub dataset: String,
    /// The target table.
    pub table: String,
    /// What is known of the day.
    pub day: DayStatus,
    /// The zone of the dataset's schedule.
    pub timezone: Zone,
    /// By when it is to be loaded, of a day that is not.
    pub deadline: Option<DateTime<Utc>>,
    /// When the schedule ticks next, where that tick loads the day.
    pub next_tick: Option<DateTime<Utc>>,
    /// What this person may ask for now.
    pub actions: Vec<Action>,
    /// The load in flight.
    pub loading: Option<Loading>,
    /// The steps of the last attempt; empty where there was none.
    pub steps: Vec<StepResult>,
    /// The rows that could not be taken.
    pub rejects: RejectsPage,
    /// The attempts, newest first.
    pub attempts: Vec<Attempt>,
    /// How many attempts the series of the newest one may have, where the day is tried again until then.
    pub series_end: Option<u32>,
    /// The day before it that is wanted or has a row.
    pub previous: Option<Day>,
    /// The day after it that is wanted or has a row.
    pub next: Option<Day>,
}

/// How many rows a file had, and what became of them: `read` is the sum of the others, but for a refused file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowCounts {
    /// Rows in the file.
    pub read: u64,
    /// Rows that `where` left out.
    pub filtered: u64,
    /// Rows that could not be taken, each counted as the lines of the file that it spans.
    pub rejected: u64,
    /// Rows that passed, and that the target took.
    pub loaded: u64,
    /// Rows that passed, and that a trigger or a rule of the target kept out.
    pub kept_out: u64,
}

impl RowCounts {
    /// The counts of a day's file, where rows were counted.
    #[must_use]
    pub fn of(day: &DayStatus) -> Option<Self> {
        let number = |count: Option<i64>| count.unwrap_or(0).unsigned_abs();
        let kept_out = |read: i64, loaded: i64| {
            let told = day.rows_filtered.unwrap_or(0) + day.rows_rejected.unwrap_or(0) + loaded;
            (read - told).max(0).unsigned_abs()
        };
        day.rows_read.map(|read| Self {
            // A refused file has no loaded rows, and nothing to keep out.
            kept_out: day.rows_loaded.map_or(0, |loaded| kept_out(read, loaded)),
            read: read.unsigned_abs(),
            filtered: number(day.rows_filtered),
            rejected: number(day.rows_rejected),
            loaded: number(day.rows_loaded),
        })
    }
}

/// A step of the last attempt.
#[derive(Debug, Clone)]
pub struct StepResult {
    /// Which.
    pub step: Step,
    /// What came of it.
    pub outcome: StepOutcome,
    /// When it began, where that is known.
    pub began_at: Option<DateTime<Utc>>,
    /// How long it took, in milliseconds.
    pub ms: Option<u64>,
    /// What it did, in a few words: `245,913 bytes`.
    pub text: String,
}

/// What came of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepOutcome {
    /// It is done.
    Done,
    /// It is going on.
    Now,
    /// The attempt ended there.
    Stopped,
    /// The attempt did not come so far.
    NotReached,
}

/// The rows that could not be taken, one page of them.
#[derive(Debug, Clone)]
pub struct RejectsPage {
    /// The rows of this page, by line.
    pub rows: Vec<RejectedRow>,
    /// How many are kept.
    pub total: u64,
    /// How many lines of the file they span, where that is more than there are rows.
    pub lines: Option<u64>,
    /// The first line of this page, where there are rows before it.
    pub before: Option<i64>,
    /// The last line of this page, where there are rows behind it.
    pub behind: Option<i64>,
}
