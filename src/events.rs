//! What happens in dayfill, told once to whoever subscribes: the log, the metrics, traces, the live web UI, the
//! activity log. An event is published after the commit that made it true, so that a subscriber that reads the state
//! tables finds what the event says. docs/architecture-events.md lists the events and their fields.
//!
//! A new subscriber implements [`Subscriber`] and is added in `App::subscribers` of `cli` (commands and daemon), or in
//! `DaemonHandle::new` (the daemon alone).

use std::sync::Arc;
use std::time::Duration;

use chrono::NaiveTime;

use crate::dataset::DatasetName;
use crate::day::Day;
use crate::db::attempts::{Measured, Trigger};
use crate::load_outcome::{LoadOutcome, StateChange};
use crate::plan::LoadMode;
use crate::state::State;

/// Receives events.
pub trait Subscriber: Send + Sync {
    /// Receives an event, on the thread that published it.
    fn receive(&self, event: &PublishedEvent);
}

/// The subscribers of a process.
#[derive(Clone, Default)]
pub struct Subscribers(Vec<Arc<dyn Subscriber>>);

impl Subscribers {
    /// The same with one more.
    #[must_use]
    pub fn with(mut self, subscriber: Arc<dyn Subscriber>) -> Self {
        self.0.push(subscriber);
        self
    }
}

impl Subscriber for Subscribers {
    fn receive(&self, event: &PublishedEvent) {
        self.0.iter().for_each(|subscriber| subscriber.receive(event));
    }
}

/// An event, as subscribers receive it.
#[derive(Debug, Clone)]
pub enum PublishedEvent {
    /// An attempt to load a day ended.
    Day(DayEvent),
    /// Days of one run ended alike. Each had its own `Day` event with `is_summarized`.
    DaysAlike {
        /// The dataset.
        dataset: DatasetName,
        /// The days, oldest first.
        days: Vec<Day>,
        /// How they were asked for.
        mode: LoadMode,
        /// How their attempts ended, as that of the oldest day has it.
        outcome: LoadOutcome,
    },
    /// Somebody skipped a day.
    DaySkipped {
        /// The dataset.
        dataset: DatasetName,
        /// The day.
        day: Day,
    },
    /// Days are past their deadline and not loaded.
    DaysLate {
        /// The dataset.
        dataset: DatasetName,
        /// The days that became late, oldest first.
        days: Vec<Day>,
        /// The dataset's deadline.
        deadline: NaiveTime,
    },
    /// A problem outside its days blocks a dataset: its table, its source, the database.
    DatasetBlocked {
        /// The dataset.
        dataset: DatasetName,
        /// The problem.
        error: String,
        /// It was blocked before.
        again: bool,
    },
    /// The problem that blocked a dataset is gone.
    DatasetUnblocked {
        /// The dataset.
        dataset: DatasetName,
        /// How long it was blocked.
        after: Duration,
    },
    /// Somebody paused a dataset.
    DatasetPaused {
        /// The dataset.
        dataset: DatasetName,
    },
    /// Somebody resumed a paused dataset.
    DatasetResumed {
        /// The dataset.
        dataset: DatasetName,
    },
    /// Days of a dataset changed in the state tables: skipped, forgotten, or given back after an attempt.
    DatasetChanged {
        /// The dataset.
        dataset: DatasetName,
    },
    /// The database cannot be reached.
    DatabaseLost {
        /// What it or the network said.
        error: String,
        /// It could not be reached before.
        again: bool,
    },
    /// The database can be reached again.
    DatabaseBack {
        /// How long it could not be reached.
        after: Duration,
    },
    /// The database failed the daemon's own work.
    DatabaseFailed {
        /// What the daemon was doing.
        doing: &'static str,
        /// What the database said.
        error: String,
        /// It failed before.
        again: bool,
    },
    /// The daemon's own work that the database failed succeeds again.
    DatabaseRecovered {
        /// What the daemon was doing.
        doing: &'static str,
        /// How long it failed.
        after: Duration,
    },
    /// A configuration was read and is in force.
    ConfigurationApplied,
    /// A configuration was read and is invalid; the one before stays in force.
    ConfigurationRejected {
        /// What is wrong with it, a line each.
        problems: Vec<String>,
    },
}

/// An attempt to load a day ended, or the day was found to need none.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own, and any of them go together")]
pub struct DayEvent {
    /// The dataset.
    pub dataset: DatasetName,
    /// The day.
    pub day: Day,
    /// How the day was asked for.
    pub mode: LoadMode,
    /// What began the attempt.
    pub trigger: Trigger,
    /// Which attempt of its series it was, from 1; `None` where none began.
    pub attempt: Option<u32>,
    /// The day was taken over from a process that died or stalled.
    pub taken_over: bool,
    /// The target held the day's rows of an earlier load.
    pub is_reload: bool,
    /// The day's state before and after; `None` where it is not known, since the database failed or another process has
    /// the day.
    pub change: Option<StateChange>,
    /// How the attempt ended.
    pub outcome: LoadOutcome,
    /// The attempt failed because its file could not be opened or read to its end.
    pub source_failed: bool,
    /// How many bytes of the file were read, as stored.
    pub bytes: u64,
    /// What was counted and timed.
    pub measured: Measured,
    /// How long everything took.
    pub elapsed: Duration,
    /// A `DaysAlike` event follows that has this day: the run has many days of which the same is to be said.
    pub is_summarized: bool,
}

impl DayEvent {
    /// An event of a day of the dataset `orders`, for tests.
    #[cfg(test)]
    pub(crate) fn sample(day: &str, outcome: LoadOutcome) -> Self {
        Self {
            dataset: "orders".parse().unwrap_or_else(|_| unreachable!()),
            day: day.parse().unwrap_or(Day::MIN),
            mode: LoadMode::Named,
            trigger: Trigger::Load,
            attempt: Some(1),
            taken_over: false,
            is_reload: false,
            change: Some(StateChange { from: None, to: outcome.state_after(None, false) }),
            outcome,
            source_failed: false,
            bytes: 0,
            measured: Measured::default(),
            elapsed: Duration::ZERO,
            is_summarized: false,
        }
    }

    /// The number of the attempt, where it counts against the day's attempts.
    #[must_use]
    pub fn counted_attempt(&self) -> Option<u32> {
        self.attempt.filter(|_| self.outcome.counts())
    }

    /// The outcome of the attempt in one word; `None` where no attempt began.
    #[must_use]
    pub fn attempt_outcome(&self) -> Option<&'static str> {
        self.attempt.map(|_| self.outcome.name())
    }

    /// True when the day was to be loaded again and stays loaded as it was, since the attempt published nothing.
    #[must_use]
    pub fn stays_loaded(&self) -> bool {
        self.is_reload && self.outcome != LoadOutcome::Loaded && self.outcome.day_move().is_some()
    }

    /// What went wrong, and that the day stays loaded where it does.
    #[must_use]
    pub fn with_what_stays(&self, error: &str) -> String {
        if !self.stays_loaded() {
            return error.to_owned();
        }
        format!("{}; the day stays loaded as it was", error.trim_end_matches(';'))
    }

    /// The rows that went to the target: of a publish that failed they were counted, too.
    #[must_use]
    pub fn rows_loaded(&self) -> Option<i64> {
        self.measured.rows_loaded.filter(|_| self.outcome == LoadOutcome::Loaded)
    }

    /// The rejected rows of a file that was loaded.
    #[must_use]
    pub fn rows_rejected(&self) -> Option<i64> {
        self.measured.rows_rejected.filter(|_| self.outcome == LoadOutcome::Loaded)
    }

    /// The day's state now, where it is known and stored.
    #[must_use]
    pub fn state(&self) -> Option<State> {
        self.change.and_then(|change| change.to)
    }
}
