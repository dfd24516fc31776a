//! What became of a day.

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::day::Day;
use crate::db::attempts::Measured;
use crate::db::error::DbError;
use crate::plan::SkipReason;
use crate::state::State;

/// What became of a day.
#[derive(Debug)]
pub struct Report {
    /// The day.
    pub day: Day,
    /// Which attempt it was, from 1; `None` where none began.
    pub attempt: Option<u32>,
    /// The day was taken over from a process that died or stalled.
    pub taken_over: bool,
    /// What came of it.
    pub outcome: Outcome,
    /// A loaded day that was to be loaded again, and failed or was refused: it is loaded still, as it was.
    pub stays_loaded: bool,
    /// It failed because its file could not be opened or read to its end.
    pub source_failed: bool,
    /// How many bytes of its file were read, as stored.
    pub bytes: u64,
    /// What was counted and timed.
    pub measured: Measured,
    /// How long it all took.
    pub elapsed: Duration,
}

impl Report {
    /// The attempt that counts against the day's; `None` where none began, or where it was given back.
    #[must_use]
    pub fn counted_attempt(&self) -> Option<u32> {
        let given_back = matches!(
            self.outcome,
            Outcome::Waiting { .. }
                | Outcome::Unchanged
                | Outcome::Interrupted
                | Outcome::Cancelled { .. }
                | Outcome::Unavailable(_)
                | Outcome::Database(_)
        );
        self.attempt.filter(|_| !given_back)
    }

    /// What went wrong, and where it is so that the day stays loaded all the same.
    #[must_use]
    pub fn with_what_stays(&self, error: impl Into<String>) -> String {
        let error = error.into();
        if !self.stays_loaded {
            return error;
        }
        format!("{}; the day stays loaded as it was", error.trim_end_matches(';'))
    }

    /// True when the day's source was asked and answered, whatever it said.
    #[must_use]
    pub fn source_answered(&self) -> bool {
        match &self.outcome {
            Outcome::Waiting { .. }
            | Outcome::Absent { .. }
            | Outcome::Loaded
            | Outcome::Unchanged
            | Outcome::Failed { .. }
            | Outcome::Refused { .. } => true,
            Outcome::Left(_)
            | Outcome::Settled(_)
            | Outcome::Lost
            | Outcome::Interrupted
            | Outcome::Cancelled { .. }
            | Outcome::Unavailable(_)
            | Outcome::Database(_) => false,
        }
    }

    /// How the attempt ended, in a word; `None` where none began.
    #[must_use]
    pub fn ended(&self) -> Option<&'static str> {
        self.attempt?;
        match self.outcome {
            Outcome::Loaded => Some("loaded"),
            Outcome::Waiting { .. } => Some("waiting"),
            Outcome::Failed { .. } => Some("failed"),
            Outcome::Refused { .. } => Some("refused"),
            Outcome::Unchanged => Some("unchanged"),
            Outcome::Interrupted | Outcome::Cancelled { .. } => Some("interrupted"),
            Outcome::Lost => Some("lost"),
            Outcome::Unavailable(_) => Some("unavailable"),
            Outcome::Database(_) => Some("database"),
            Outcome::Absent { .. } | Outcome::Left(_) | Outcome::Settled(_) => None,
        }
    }
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
        /// It stays so until a person changes the database.
        blocked: bool,
    },
    /// A check said no.
    Refused {
        /// Which, and why.
        error: String,
        /// The first rejected row, where rejects are the reason. It holds a value of the file: not for logs.
        first: Option<String>,
    },
    /// It was loaded from, or refused for, the very same file before.
    Unchanged,
    /// It was left alone.
    Left(SkipReason),
    /// Its process was gone with nothing more to try.
    Settled(State),
    /// Another process took it over meanwhile.
    Lost,
    /// It was stopped before it published, since the process is to end.
    Interrupted,
    /// It was cancelled before it published; the process goes on.
    Cancelled {
        /// By whom, with the reason that was given.
        by: String,
    },
    /// Its source cannot be asked now, or the place of its files cannot be seen; why. It passes by itself.
    Unavailable(Unavailable),
    /// The database failed.
    Database(DbError),
}

/// A source that cannot be asked now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unavailable {
    /// What is the matter.
    pub why: String,
    /// Until when its server asked to be left alone, where it did; it is not asked before.
    pub until: Option<DateTime<Utc>>,
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_that_was_given_back_does_not_count() {
        let why = String::new;
        for (outcome, counts) in [
            (Outcome::Loaded, true),
            (Outcome::Failed { error: why(), left: 1, blocked: false }, true),
            (Outcome::Refused { error: why(), first: None }, true),
            (Outcome::Lost, true),
            (Outcome::Waiting { why: why(), still: false }, false),
            (Outcome::Unchanged, false),
            (Outcome::Interrupted, false),
            (Outcome::Cancelled { by: why() }, false),
            (Outcome::Unavailable(Unavailable { why: why(), until: None }), false),
            (Outcome::Database(DbError::Unreachable(why())), false),
        ] {
            let report = Report {
                day: Day::MIN,
                attempt: Some(2),
                taken_over: false,
                stays_loaded: false,
                outcome,
                source_failed: false,
                bytes: 0,
                measured: Measured::default(),
                elapsed: Duration::ZERO,
            };
            assert_eq!(report.counted_attempt(), counts.then_some(2), "{:?}", report.outcome);
        }
    }
}
