//! How one attempt to load a day ended, and what that does to the day. `load_day` makes it; everything that writes,
//! counts, logs or shows the end of an attempt reads it here.

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::plan::SkipReason;
use crate::state::{self, Move, State};

/// How one attempt to load a day ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoadOutcome {
    /// The target holds the rows of its file.
    Loaded,
    /// Its file is not there yet.
    Waiting {
        /// Where the file was looked for.
        url: String,
        /// What the source said instead.
        why: String,
        /// The day waited before.
        again: bool,
        /// When dayfill looks again.
        retry_in: Duration,
    },
    /// Its file did not come in time.
    Absent {
        /// What the source said instead.
        why: String,
        /// The day was absent before.
        again: bool,
    },
    /// Something went wrong with the file, the rows or dayfill itself.
    Failed {
        /// What went wrong.
        error: LoadError,
        /// How many attempts are left.
        attempts_left: u32,
        /// When dayfill tries again; `None` when no attempts are left.
        retry_in: Option<Duration>,
    },
    /// The database keeps this day from being loaded until somebody changes the database.
    Blocked {
        /// What keeps it.
        error: LoadError,
        /// How many attempts are left.
        attempts_left: u32,
        /// When dayfill tries again.
        retry_in: Duration,
    },
    /// A check before publish rejected the file.
    Refused {
        /// The check, and why.
        error: LoadError,
        /// The file, where it was opened.
        file: Option<RefusedFile>,
    },
    /// The file is the one that was loaded or refused before, under another tag.
    Unchanged {
        /// Its tag now.
        tag: Option<String>,
    },
    /// The day was not tried.
    Left(SkipReason),
    /// The process that was loading it is gone and no attempt is left; the day has this state now.
    Settled(State),
    /// Another process took the day over.
    Lost,
    /// The process shuts down; nothing was published.
    Interrupted,
    /// Somebody cancelled the load; nothing was published.
    Cancelled {
        /// Who, with the reason that was given.
        by: String,
        /// How long a day that is due by its own clock is left alone.
        retry_in: Duration,
    },
    /// The source cannot be asked now.
    Unavailable(Unavailable),
    /// The database failed.
    DatabaseFailed {
        /// What it said.
        error: LoadError,
        /// How far the failure reaches.
        scope: FailureScope,
    },
}

/// What went wrong with a load, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadError {
    /// For logs: without values of rows.
    pub message: String,
    /// For the state tables, the web UI and `status`: with everything that helps to fix it. It may hold values of rows.
    pub in_full: String,
}

impl LoadError {
    /// An error that holds no values of rows.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        let message = message.into();
        Self { in_full: message.clone(), message }
    }
}

/// As logs may have it.
impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.message)
    }
}

/// How far a failure of the database reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureScope {
    /// The database cannot be reached: no day can be loaded.
    Unreachable,
    /// It stays until somebody changes the database.
    UntilChanged,
    /// Another attempt may succeed.
    Passing,
}

/// A source that cannot be asked now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unavailable {
    /// Why.
    pub why: String,
    /// Until when its server asked to be left alone, where it did.
    pub until: Option<DateTime<Utc>>,
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.why)
    }
}

/// A refused file, as far as it tells whether the source's file is still that one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedFile {
    /// Its size, bytes as stored, where the server says it.
    pub bytes: Option<i64>,
    /// When it was last changed.
    pub modified: DateTime<Utc>,
    /// SHA-256 of its stored bytes; `None` where it was not read to its end.
    pub hash: Option<String>,
    /// What tells this version of it from others.
    pub tag: String,
}

/// A day's state before an attempt and after it; `None` is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StateChange {
    /// Before.
    pub from: Option<State>,
    /// After.
    pub to: Option<State>,
}

impl LoadOutcome {
    /// The outcome in one word.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Loaded => "loaded",
            Self::Waiting { .. } => "waiting",
            Self::Absent { .. } => "absent",
            Self::Failed { .. } | Self::Blocked { .. } => "failed",
            Self::Refused { .. } => "refused",
            Self::Unchanged { .. } => "unchanged",
            Self::Left(_) => "left alone",
            Self::Settled(state) => state.name(),
            Self::Lost => "lost",
            Self::Interrupted | Self::Cancelled { .. } => "interrupted",
            Self::Unavailable(_) => "unavailable",
            Self::DatabaseFailed { .. } => "database",
        }
    }

    /// True when an attempt that ends so counts against the day's attempts.
    #[must_use]
    pub fn counts(&self) -> bool {
        matches!(self, Self::Loaded | Self::Failed { .. } | Self::Refused { .. } | Self::Lost)
    }

    /// True when the day's source answered, whatever it said.
    #[must_use]
    pub fn source_answered(&self) -> bool {
        match self {
            Self::Loaded
            | Self::Waiting { .. }
            | Self::Absent { .. }
            | Self::Failed { .. }
            | Self::Blocked { .. }
            | Self::Refused { .. }
            | Self::Unchanged { .. } => true,
            Self::Left(_)
            | Self::Settled(_)
            | Self::Lost
            | Self::Interrupted
            | Self::Cancelled { .. }
            | Self::Unavailable(_)
            | Self::DatabaseFailed { .. } => false,
        }
    }

    /// What the end of the attempt does to the claimed day; `None` where the day is as before the attempt.
    #[must_use]
    pub fn day_move(&self) -> Option<Move> {
        match self {
            Self::Loaded => Some(Move::Published),
            Self::Waiting { .. } => Some(Move::FileMissing),
            Self::Failed { .. } | Self::Blocked { .. } => Some(Move::Failed),
            Self::Refused { .. } => Some(Move::Refused),
            Self::Absent { .. }
            | Self::Unchanged { .. }
            | Self::Left(_)
            | Self::Settled(_)
            | Self::Lost
            | Self::Interrupted
            | Self::Cancelled { .. }
            | Self::Unavailable(_)
            | Self::DatabaseFailed { .. } => None,
        }
    }

    /// The claimed day's state after an attempt that ends so; `before` is the state before the claim, `in_target` says
    /// that the target holds its rows of an earlier load.
    #[must_use]
    pub fn state_after(&self, before: Option<State>, in_target: bool) -> Option<State> {
        let Some(moved) = self.day_move() else { return before };
        state::after(Some(State::Running), moved, in_target).ok().flatten()
    }

    /// What went wrong, where something did.
    #[must_use]
    pub fn error(&self) -> Option<&LoadError> {
        match self {
            Self::Failed { error, .. }
            | Self::Blocked { error, .. }
            | Self::Refused { error, .. }
            | Self::DatabaseFailed { error, .. } => Some(error),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_counts_when_the_file_was_tried_to_its_end() {
        let error = || LoadError::new("gone");
        let retry_in = Duration::ZERO;
        for (outcome, counts, after, after_reload) in [
            (LoadOutcome::Loaded, true, State::Loaded, State::Loaded),
            (
                LoadOutcome::Failed { error: error(), attempts_left: 1, retry_in: None },
                true,
                State::Failed,
                State::Loaded,
            ),
            (LoadOutcome::Blocked { error: error(), attempts_left: 1, retry_in }, false, State::Failed, State::Loaded),
            (LoadOutcome::Refused { error: error(), file: None }, true, State::Refused, State::Loaded),
            (
                LoadOutcome::Waiting { url: String::new(), why: String::new(), again: false, retry_in },
                false,
                State::Waiting,
                State::Loaded,
            ),
            (LoadOutcome::Unchanged { tag: None }, false, State::Refused, State::Refused),
            (LoadOutcome::Interrupted, false, State::Refused, State::Refused),
            (LoadOutcome::Cancelled { by: String::new(), retry_in }, false, State::Refused, State::Refused),
            (
                LoadOutcome::Unavailable(Unavailable { why: String::new(), until: None }),
                false,
                State::Refused,
                State::Refused,
            ),
            (
                LoadOutcome::DatabaseFailed { error: error(), scope: FailureScope::Unreachable },
                false,
                State::Refused,
                State::Refused,
            ),
        ] {
            assert_eq!(outcome.counts(), counts, "{outcome:?}");
            let before = Some(State::Refused);
            assert_eq!(outcome.state_after(before, false), Some(after), "{outcome:?}");
            assert_eq!(outcome.state_after(before, true), Some(after_reload), "{outcome:?}");
        }
    }
}
