//! What the page of a dataset shows, and the dry run.

use chrono::DateTime;

use crate::day::{Day, DayRange};
use crate::web::actions::Effect;
use crate::web::view::model::{Action, Cell, CellState, Loading, Pause, RowCounts, StateCount};
use crate::zone::Zone;

/// A dataset and all its days.
#[derive(Debug, Clone)]
pub struct DatasetPage {
    /// Its name.
    pub name: String,
    /// The template of its files.
    pub source: String,
    /// The target table.
    pub table: String,
    /// The schedule's cron fields.
    pub cron: String,
    /// The schedule's zone.
    pub timezone: Zone,
    /// The first wanted day.
    pub start: Day,
    /// The last wanted day; `None` goes on for ever.
    pub end: Option<Day>,
    /// How many days before a tick's date the tick's newest day lies.
    pub lag_days: u32,
    /// When the schedule ticks next.
    pub next_tick: Option<DateTime<Zone>>,
    /// Set while its ticks load nothing.
    pub pause: Option<Pause>,
    /// What holds the dataset up, such as a target that does not fit.
    pub trouble: Option<String>,
    /// How many days are late.
    pub late: u64,
    /// How many loaded days have rejected rows.
    pub with_rejects: u64,
    /// Its days by state.
    pub counts: Vec<StateCount>,
    /// The newest loaded day.
    pub last_loaded: Option<Day>,
    /// What this person may ask for now.
    pub actions: Vec<Action>,
    /// The days that are being loaded.
    pub loading: Vec<Loading>,
    /// Every day that is wanted or has a row, oldest first.
    pub cells: Vec<Cell>,
    /// The last 60 to 90 days for the charts, oldest first, without gaps.
    pub history: Vec<DayMeasure>,
    /// The days that are not loaded, newest first; at most some hundreds.
    pub open: Vec<UnloadedDay>,
    /// How many days are not loaded.
    pub open_total: usize,
}

/// A day as the charts show it.
#[derive(Debug, Clone, Copy)]
pub struct DayMeasure {
    /// The day.
    pub day: Day,
    /// What it is.
    pub state: CellState,
    /// Its counts, where rows were counted.
    pub rows: Option<RowCounts>,
    /// How long its last attempt took, in milliseconds.
    pub duration_ms: Option<u64>,
}

/// A day that is not loaded.
#[derive(Debug, Clone)]
pub struct UnloadedDay {
    /// The day.
    pub day: Day,
    /// What it is.
    pub state: CellState,
    /// Past its deadline.
    pub late: bool,
    /// When that was, or will be; `None` where it has none.
    pub deadline: Option<DateTime<Zone>>,
    /// Attempts begun in the present series.
    pub attempts: u32,
    /// Why it is not loaded.
    pub reason: String,
    /// When it is looked at again by itself.
    pub next_look: Option<DateTime<Zone>>,
}

/// What an action would do, before it is asked for.
#[derive(Debug, Clone)]
pub struct DryRun {
    /// The dataset.
    pub dataset: String,
    /// The action.
    pub action: Action,
    /// The days it was asked for; `None` is all wanted days.
    pub range: Option<DayRange>,
    /// What would happen to each day, oldest first.
    pub days: Vec<Effect>,
    /// What reloads among them do to what is not the dataset's, a sentence each.
    pub notes: Vec<String>,
    /// How many of the days that would be touched the schedule does not reach, and the same in words; `None` where it
    /// reaches all.
    pub outside: Option<(usize, String)>,
    /// This person may ask for it.
    pub allowed: bool,
}
