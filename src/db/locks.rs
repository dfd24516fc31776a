//! Locks of PostgreSQL: which sessions hold one that is waited for, in words, and waiting for one within bounds.
//!
//! What looks at tables or alters them waits for no lock without an end: a start, a reload or a look at a table must not
//! hang on a transaction that somebody left open, and other sessions queue behind whoever waits to alter a table.

use std::time::Duration;

use crate::db::error::DbError;
use crate::db::lock_holders::{AGAINST_ALTERING, AGAINST_WRITING, holders, named};
use crate::db::pool::Conn;

/// How long a table to be altered is waited for. Whoever wants to read it meanwhile waits behind us.
pub(super) const TO_ALTER: Duration = Duration::from_secs(2);

/// How long a table to be looked at is waited for. Nobody who reads waits behind us.
pub(super) const TO_LOOK: Duration = Duration::from_secs(10);

/// What a lock on a table is wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LockPurpose {
    /// Looking whether rows can be written to it.
    Looking,
    /// Creating or altering it.
    Altering,
}

impl LockPurpose {
    fn patience(self) -> Duration {
        match self {
            Self::Looking => TO_LOOK,
            Self::Altering => TO_ALTER,
        }
    }

    fn modes(self) -> &'static [&'static str] {
        match self {
            Self::Looking => AGAINST_WRITING,
            Self::Altering => AGAINST_ALTERING,
        }
    }
}

impl Conn {
    /// Does work that may wait for locks on these tables for a short time only; no transaction is open. Where the time
    /// runs out, the error is [`DbError::Locked`], which names who holds them, and `of_db` finds it in the work's own.
    ///
    /// # Errors
    /// The work's error, or a [`DbError`].
    pub(super) fn within_bounds<T, E: From<DbError>>(
        &mut self,
        tables: &[String],
        wanted_for: LockPurpose,
        of_db: fn(&E) -> Option<&DbError>,
        work: impl FnOnce(&mut Self) -> Result<T, E>,
    ) -> Result<T, E> {
        let Self::Postgres(_) = self else { return work(self) };
        self.wait_for_locks(wanted_for.patience())?;
        let done = work(self);
        // A connection that is gone says so itself.
        drop(self.wait_for_locks(Duration::ZERO));
        let Err(error) = done else { return done };
        if !of_db(&error).is_some_and(DbError::waited_too_long) {
            return Err(error);
        }
        let Self::Postgres(handle) = self else { return Err(error) };
        let holders = holders(handle.get(), tables, wanted_for.modes()).unwrap_or_default();
        let (tables, by) = (tables.join(", "), named(&holders));
        Err(DbError::Locked { tables, by, seconds: wanted_for.patience().as_secs() }.into())
    }

    /// How long each lock is waited for from here on; without an end for zero.
    fn wait_for_locks(&mut self, patience: Duration) -> Result<(), DbError> {
        self.batch(&format!("set lock_timeout = {}", patience.as_millis()), "setting how long locks are waited for")
    }
}
