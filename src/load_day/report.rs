//! What became of a day.

use std::time::Duration;

use crate::day::Day;
use crate::db::attempts::Measured;
use crate::db::error::DbError;
use crate::plan::Leave;
use crate::state::State;

/// What became of a day.
#[derive(Debug)]
pub struct Report {
    /// The day.
    pub day: Day,
    /// Which attempt it was, from 1; `None` where none began.
    pub attempt: Option<u32>,
    /// What came of it.
    pub outcome: Outcome,
    /// What was counted and timed.
    pub measured: Measured,
    /// How long it all took.
    pub elapsed: Duration,
}

/// What came of asking for a day to be loaded.
#[derive(Debug)]
pub enum Outcome {
    /// It is loaded.
    Loaded,
    /// Its file is not there.
    Waiting {
        /// What was found instead.
        why: String,
        /// It waited before.
        still: bool,
    },
    /// Its file is not there, and it waited long enough: it is absent by now, or was before.
    Absent {
        /// What was found instead.
        why: String,
        /// It was absent before.
        still: bool,
    },
    /// It failed.
    Failed {
        /// What went wrong.
        error: String,
        /// How many attempts are left.
        left: u32,
    },
    /// A check said no.
    Refused {
        /// Which, and why.
        error: String,
        /// The first rejected row, where rejects are the reason. It holds a value of the file: not for logs.
        first: Option<String>,
    },
    /// It was loaded from the very same file before.
    Unchanged,
    /// It was left alone.
    Left(Leave),
    /// Its process was gone with nothing more to try.
    Settled(State),
    /// Another process took it over meanwhile.
    Lost,
    /// It was stopped before it published.
    Interrupted,
    /// The database failed.
    Database(DbError),
}
