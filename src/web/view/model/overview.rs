//! What the overview shows.

use chrono::DateTime;

use crate::day::Day;
use crate::state::State;
use crate::web::view::model::{Cell, Loading, Pause, StateCount};
use crate::zone::Zone;

/// The overview of all datasets, one page of it.
#[derive(Debug, Clone)]
pub struct OverviewPage {
    /// What needs a person, the most urgent first. At most some dozens; the rest is counted in `attention_total`.
    pub attention: Vec<AttentionItem>,
    /// How much needs a person in all.
    pub attention_total: usize,
    /// How many datasets there are whose days were not read yet, so that it is not known who needs a person there.
    pub unread: usize,
    /// The text that datasets are filtered by; empty shows all.
    pub query: String,
    /// Only those that need a person for this reason are shown, a line for each.
    pub why: Option<AttentionReason>,
    /// Which page this is, from 1.
    pub page: usize,
    /// How many pages there are, at least 1.
    pub pages: usize,
    /// How many datasets the filter leaves.
    pub found: usize,
    /// How many datasets there are.
    pub total: usize,
    /// The datasets of this page.
    pub datasets: Vec<DatasetRow>,
}

/// Something that needs a person.
#[derive(Debug, Clone)]
pub struct AttentionItem {
    /// Why.
    pub why: AttentionReason,
    /// The dataset it is about, unless it is about many.
    pub dataset: Option<String>,
    /// The day it is about.
    pub day: Option<Day>,
    /// What is wrong, in a sentence or two.
    pub text: String,
    /// Since when the day, or the first of several, is late.
    pub since: Option<DateTime<Zone>>,
}

/// Why something needs a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttentionReason {
    /// A day is in a state that a person should know of: refused, absent, or failed with no attempts left.
    Day(State),
    /// A day is past its deadline.
    Late,
    /// The source has a newer file than the one that a day was loaded from.
    NewerFile,
    /// The files of a dataset do not come at all.
    NoFiles,
    /// The database cannot be reached, or fails.
    Database,
    /// A dataset's target does not fit, or something else holds the dataset up.
    Target,
    /// A dataset's source has been unavailable for long.
    Source,
    /// A daemon refused the configuration.
    Configuration,
    /// The file of a dataset is wrong, or does not fit the database.
    BrokenDataset,
}

/// A dataset, as one row of the overview.
#[derive(Debug, Clone)]
pub struct DatasetRow {
    /// Its name.
    pub name: String,
    /// The template of its files.
    pub source: String,
    /// Its days; `None` while they were not read yet.
    pub days: Option<DaysSummary>,
    /// When its schedule ticks next.
    pub next_tick: Option<DateTime<Zone>>,
    /// Set while its ticks load nothing.
    pub pause: Option<Pause>,
    /// The days that are being loaded.
    pub loading: Vec<Loading>,
}

/// The days of a dataset, as a row of the overview has them.
#[derive(Debug, Clone)]
pub struct DaysSummary {
    /// The last ones, oldest first; about 30.
    pub cells: Vec<Cell>,
    /// How many there are by state.
    pub counts: Vec<StateCount>,
    /// The newest loaded one.
    pub last_loaded: Option<Day>,
    /// How many are late.
    pub late: u64,
    /// How many loaded days have rejected rows.
    pub with_rejects: u64,
}
