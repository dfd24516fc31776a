//! What the page of a day shows.

use chrono::{DateTime, Utc};

use crate::day::Day;
use crate::web::view::model::{Action, CellState, Loading, Step};
use crate::zone::Zone;

/// A day of a dataset and what happened to it.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "four facts that are true or not, each of its own")]
pub struct DayPage {
    /// The dataset.
    pub dataset: String,
    /// The target table.
    pub table: String,
    /// The day.
    pub day: Day,
    /// What it is.
    pub state: CellState,
    /// The schedule wants it now.
    pub wanted: bool,
    /// It is past its deadline.
    pub late: bool,
    /// By when it is to be loaded, of a day that is not.
    pub deadline: Option<DateTime<Zone>>,
    /// It was loaded by another definition of the dataset than the one in force.
    pub older_definition: bool,
    /// Its source has a newer file than the one that was loaded.
    pub newer_file: bool,
    /// What went wrong, or what was found in place of the file.
    pub error: Option<String>,
    /// What a person said.
    pub note: Option<String>,
    /// When it is looked at again by itself.
    pub next_look: Option<DateTime<Zone>>,
    /// When the schedule ticks next, where that tick loads the day.
    pub next_tick: Option<DateTime<Zone>>,
    /// What this person may ask for now.
    pub actions: Vec<Action>,
    /// The load in flight.
    pub loading: Option<Loading>,
    /// The steps of the last attempt; empty where there was none.
    pub steps: Vec<StepDone>,
    /// The counts of the loaded or refused file.
    pub rows: Option<RowCounts>,
    /// The file.
    pub file: File,
    /// The rows that could not be taken.
    pub rejects: Rejects,
    /// The attempts, newest first.
    pub attempts: Vec<Attempt>,
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

/// A step of the last attempt.
#[derive(Debug, Clone)]
pub struct StepDone {
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

/// The file that was loaded or last looked for.
#[derive(Debug, Clone, Default)]
pub struct File {
    /// Its place.
    pub url: Option<String>,
    /// Its version in its source's words.
    pub etag: Option<String>,
    /// Its size as stored.
    pub bytes: Option<u64>,
    /// When it was last changed.
    pub modified: Option<DateTime<Utc>>,
    /// SHA-256 of it as stored.
    pub hash: Option<String>,
    /// When the target last took its rows.
    pub loaded_at: Option<DateTime<Utc>>,
}

/// The rows that could not be taken, one page of them.
#[derive(Debug, Clone)]
pub struct Rejects {
    /// The rows of this page, by line.
    pub rows: Vec<Reject>,
    /// How many are kept.
    pub total: u64,
    /// How many lines of the file they span, where that is more than there are rows.
    pub lines: Option<u64>,
    /// The first line of this page, where there are rows before it.
    pub before: Option<u64>,
    /// The last line of this page, where there are rows behind it.
    pub behind: Option<u64>,
}

/// A row that could not be taken.
#[derive(Debug, Clone)]
pub struct Reject {
    /// The line on which it begins, from 1.
    pub line: u64,
    /// The column; `None` for a row with a wrong number of fields.
    pub column: Option<String>,
    /// The value.
    pub value: Option<String>,
    /// Why.
    pub reason: String,
}

/// A try at loading the day.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// Which of all attempts at the day, from 1.
    pub number: u64,
    /// Which of its series, from 1.
    pub in_series: u32,
    /// How many a series may have, where the day is tried again until then.
    pub most: Option<u32>,
    /// What made it begin.
    pub trigger: String,
    /// Who made it: host and process.
    pub worker: String,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// How it ended, in the state table's word; `None` while it runs.
    pub outcome: Option<String>,
    /// What went wrong.
    pub error: Option<String>,
    /// Its log lines, oldest first.
    pub lines: Vec<LogLine>,
}

/// A line of the log.
#[derive(Debug, Clone)]
pub struct LogLine {
    /// When.
    pub at: DateTime<Utc>,
    /// `error`, `warn`, `info`, `debug` or `trace`.
    pub level: String,
    /// The message.
    pub message: String,
}
