//! What the daemon does for one dataset at a time, and how that ends.

use chrono::{DateTime, Utc};

use crate::dataset::DatasetName;
use crate::day::Day;
use crate::db::attempts::Trigger;
use crate::load_day::Stop;
use crate::plan::LoadMode;
use crate::policy::Policy;
use crate::reconcile::StartedDays;

/// Work on one dataset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum DatasetTask {
    /// See that the target fits, load what the schedule wants where a trigger is named, and see which days are late.
    CatchUp(Option<Trigger>),
    /// Go on with what the schedule wants, where the task before left off. The days that began are noted there.
    Resume(Trigger, StartedDays),
    /// Try these days, whose own clock says so.
    Due(Vec<Day>),
    /// See which days are late.
    FindLate,
    /// Load these days, which a person asked for on the page. Which of them began is noted there.
    Requested(Vec<Day>, LoadMode, StartedDays),
}

/// How work ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TaskEnd {
    /// It was done, and no day was loaded.
    Done,
    /// It was done, and some day was loaded.
    Loaded,
    /// Nothing came of the days that were due: older ones hold them back. They need not be tried again before then.
    NoProgress(DateTime<Utc>),
    /// The database cannot be reached; all datasets wait for it.
    Unreachable,
    /// Something else stood in the way; the dataset waits until then.
    Blocked(DateTime<Utc>),
    /// The dataset's source cannot be asked; what wants files of it waits until then.
    SourceUnavailable(DateTime<Utc>),
    /// It was to stop: the dataset became another, or others waited. What is left is for the new one, or for later.
    Stopped,
}

impl DatasetTask {
    /// True when it may load days.
    pub(super) fn loads(&self) -> bool {
        !matches!(self, Self::CatchUp(None) | Self::FindLate)
    }

    /// How many threads it can use at most.
    pub(super) fn most_threads(&self, policy: &Policy) -> usize {
        let days = match self {
            Self::CatchUp(None) | Self::FindLate => 1,
            Self::CatchUp(Some(_)) | Self::Resume(..) => usize::MAX,
            Self::Due(days) | Self::Requested(days, ..) => days.len(),
        };
        days.min(policy.catch_up.concurrency as usize).max(1)
    }
}

/// A task that is to run now.
#[derive(Debug, Clone)]
pub(super) struct StartedTask {
    /// The dataset.
    pub(super) name: DatasetName,
    /// What is to be done.
    pub(super) task: DatasetTask,
    /// How many threads it may use.
    pub(super) threads: usize,
    /// Says when no further day of it is to begin.
    pub(super) until: Stop,
    /// Notes which of its days began.
    pub(super) days: StartedDays,
}
