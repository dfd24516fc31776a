//! How datasets stand: what is not counted but looked at when somebody asks, by whoever asks.

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::Process;
use crate::dataset::DatasetName;
use crate::state::State;

/// How a dataset stands now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The dataset.
    pub dataset: DatasetName,
    /// Its days, as the state table says; `None` while that is not known.
    pub days: Option<Days>,
    /// Its next tick. One that is past was not taken.
    pub next_tick: Option<DateTime<Utc>>,
    /// When its last tick was taken, since the process started.
    pub last_tick: Option<DateTime<Utc>>,
    /// It is paused.
    pub paused: bool,
    /// Something else than its days keeps it from being loaded.
    pub troubled: bool,
}

/// The days of a dataset.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Days {
    /// How many are in each state; none in one that is not there.
    pub states: HashMap<State, u64>,
    /// How many are wanted and have no row.
    pub missing: u64,
    /// How many are failed with no attempts left. They are among the failed ones.
    pub failed_for_good: u64,
    /// How many wanted days are past their deadline and not done.
    pub late: u64,
    /// How many loaded days have a newer file in their source.
    pub newer_files: u64,
    /// Days from the newest one whose rows are in the target to the newest wanted one: 0 where that is the same; `None`
    /// where no day is wanted, or none is in the target.
    pub lag: Option<u64>,
}

/// Everything that is looked at when somebody asks for the metrics.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// The datasets.
    pub datasets: &'a [Standing],
    /// How long ago each worker that is alive gave its last sign of life, by the database's clock; `None` while that is
    /// not known.
    pub workers: Option<&'a [Duration]>,
    /// The database was asked for them and did not answer in time.
    pub database_silent: bool,
    /// The main file of the configuration is wrong; the configuration from before is in force.
    pub configuration_refused: bool,
    /// How many datasets cannot be used as their files have them.
    pub broken_datasets: usize,
    /// This process.
    pub process: Process,
    /// Now.
    pub now: DateTime<Utc>,
}
