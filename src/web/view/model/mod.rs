//! What the pages show: plain values, filled by whoever has the database and the configuration. A page shows a text as
//! it is given here and escapes it; secrets are masked before they come here.

mod administration;
mod dataset;
mod day;
mod overview;

pub use administration::{
    ActivityLogPage, ConfigurationKey, ConfigurationPage, DaemonRow, DaemonsPage, ForbiddenPage, LoginPage,
    ProblemPage, RejectedConfiguration, UnreachablePage,
};
pub use dataset::{DatasetPage, DayMeasure, DryRun, UnloadedDay};
pub use day::{DayPage, RejectsPage, RowCounts, StepOutcome, StepResult};
pub use overview::{AttentionItem, AttentionReason, DatasetRow, DaysSummary, OverviewPage};

pub use crate::load_day::Step;
pub use crate::status::Pause;
pub use crate::web::action::{Action, LONGEST_REASON};
pub use crate::web::actions::{Effect, PlannedState};

use chrono::{DateTime, Utc};

use crate::day::Day;
use crate::state::State;
use crate::web::view::links::Links;

/// What surrounds every page.
#[derive(Debug, Clone)]
pub struct Frame {
    /// The URLs.
    pub links: Links,
    /// The version that answers.
    pub version: String,
    /// When the page was made.
    pub now: DateTime<Utc>,
    /// What the stream of events said of itself before the page was made: a page that hears another number has missed
    /// something.
    pub told: u64,
    /// Who is logged in; `None` where nobody is, or where nobody has to be.
    pub who: Option<CurrentUser>,
    /// What came of what was just asked for.
    pub notice: Option<Notice>,
}

/// Who is logged in.
#[derive(Debug, Clone)]
pub struct CurrentUser {
    /// The name.
    pub name: String,
    /// The role, as the configuration names it.
    pub role: String,
}

/// What came of what was just asked for, told once.
#[derive(Debug, Clone)]
pub struct Notice {
    /// It was done, or is being done.
    pub done: bool,
    /// A sentence.
    pub text: String,
}

/// What a day is, as a cell of a calendar shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CellState {
    /// It has a row in the state table.
    Stored(State),
    /// It is loaded, but for rows that could not be taken.
    WithRejects,
    /// It is wanted and has none.
    Missing,
    /// The schedule does not include it.
    NotWanted,
    /// The schedule includes it later.
    Future,
}

impl From<Option<State>> for CellState {
    fn from(state: Option<State>) -> Self {
        state.map_or(Self::Missing, Self::Stored)
    }
}

impl CellState {
    /// A day's state, told apart where rows of its file could not be taken.
    #[must_use]
    pub fn of(state: Option<State>, rejected: Option<i64>) -> Self {
        if state == Some(State::Loaded) && rejected > Some(0) { Self::WithRejects } else { state.into() }
    }
}

/// A day of a calendar.
#[derive(Debug, Clone)]
pub struct Cell {
    /// The day.
    pub day: Day,
    /// What it is.
    pub state: CellState,
    /// The rows that were loaded.
    pub rows: Option<u64>,
    /// The rows of its file that could not be taken.
    pub rejected: Option<u64>,
    /// What is said of it: an error, a note.
    pub detail: Option<String>,
    /// Past its deadline.
    pub late: bool,
}

/// How many days are in a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StateCount {
    /// The state.
    pub state: CellState,
    /// How many days.
    pub days: u64,
}

/// A load in flight.
#[derive(Debug, Clone)]
pub struct Loading {
    /// Its day.
    pub day: Day,
    /// The step it is at.
    pub step: Step,
    /// Rows read so far.
    pub rows: u64,
    /// Bytes read so far, as stored.
    pub bytes: u64,
    /// The file's size as stored, where the source tells it.
    pub bytes_total: Option<u64>,
    /// Rows per second of late.
    pub rows_per_second: Option<u64>,
    /// What it waits for in the database, and who is in the way, where it has waited for long.
    pub waiting_for: Option<String>,
}
