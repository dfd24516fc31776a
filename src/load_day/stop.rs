//! When loads are to stop: all of them, or one.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::AbortHandle;

use crate::db::watchlist::Canceller;

/// Tells loads to stop: first that no further one begins, then those in flight before they publish.
#[derive(Clone, Default)]
pub struct Stop(Arc<Stopping>);

#[derive(Default)]
struct Stopping {
    halted: AtomicBool,
    abandoned: AtomicBool,
    /// Why one load is to stop and the others are not.
    reason: OnceLock<StopReason>,
    /// Wakes those who wait for `abandoned`.
    told: Notify,
    /// Downloads that a reader may be waiting for.
    downloads: Mutex<Vec<AbortHandle>>,
    /// Statements that the database may be waiting with.
    statements: Mutex<Vec<Canceller>>,
    /// The stops of single loads, which stop with all.
    single: Mutex<Vec<Weak<Stopping>>>,
}

/// Why one load is to stop and the others are not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum StopReason {
    /// Somebody asked for it: who, and the reason that was given.
    Cancelled(String),
    /// It takes longer than it may.
    TookTooLong(Duration),
}

impl fmt::Debug for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Stopping { halted, abandoned, reason, .. } = self.0.as_ref();
        let mut shown = f.debug_struct("Stop");
        shown.field("halted", halted).field("abandoned", abandoned).field("reason", reason).finish_non_exhaustive()
    }
}

impl Stop {
    /// Lets no further load begin; those in flight go on.
    pub fn halt(&self) {
        self.0.halted.store(true, Ordering::SeqCst);
    }

    /// True when no further load may begin.
    #[must_use]
    pub fn is_halted(&self) -> bool {
        self.0.halted.load(Ordering::SeqCst)
    }

    /// Stops the loads in flight too, but for what was sent to be committed.
    pub fn abandon(&self) {
        self.halt();
        self.0.abandoned.store(true, Ordering::SeqCst);
        self.0.told.notify_waiters();
        lock(&self.0.downloads).drain(..).for_each(|download| download.abort());
        lock(&self.0.statements).iter().for_each(Canceller::cancel);
        let single: Vec<_> = lock(&self.0.single).drain(..).collect();
        single.iter().filter_map(Weak::upgrade).for_each(|single| Self(single).abandon());
    }

    /// True when loads in flight are to stop.
    #[must_use]
    pub fn is_abandoned(&self) -> bool {
        self.0.abandoned.load(Ordering::SeqCst)
    }

    /// Stops one load, whose stop this is.
    pub(super) fn abandon_one(&self, reason: StopReason) {
        // The first reason is the one that is told.
        drop(self.0.reason.set(reason));
        self.abandon();
    }

    /// Why this one load is to stop; `None` when all are, or none.
    pub(super) fn reason(&self) -> Option<&StopReason> {
        self.0.reason.get()
    }

    /// The stop of one load, which stops with all.
    pub(super) fn of_one(&self) -> Self {
        let one = Self::default();
        let mut single = lock(&self.0.single);
        single.retain(|single| single.strong_count() > 0);
        single.push(Arc::downgrade(&one.0));
        drop(single);
        if self.is_abandoned() {
            one.abandon();
        }
        one
    }

    /// Waits until loads in flight are to stop.
    pub(crate) async fn wait(&self) {
        // Made before the look, so that nothing is missed between the two.
        let told = self.0.told.notified();
        if !self.is_abandoned() {
            told.await;
        }
    }

    /// Has the stop break a download off, so that nobody waits for a server that says nothing.
    pub(crate) fn breaks_off(&self, download: Option<AbortHandle>) {
        let mut downloads = lock(&self.0.downloads);
        downloads.retain(|download| !download.is_finished());
        downloads.extend(download);
        drop(downloads);
        if self.is_abandoned() {
            self.abandon();
        }
    }

    /// Has the stop cancel the statements of a connection, so that nobody waits for a lock.
    pub(crate) fn cancels(&self, statements: Canceller) {
        let mut all = lock(&self.0.statements);
        all.retain(|known| !known.is_gone());
        all.push(statements);
        drop(all);
        if self.is_abandoned() {
            self.abandon();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_load_stops_with_all_and_alone() {
        let all = Stop::default();
        let (one, other) = (all.of_one(), all.of_one());
        one.abandon_one(StopReason::Cancelled("anna".to_owned()));
        one.abandon_one(StopReason::TookTooLong(Duration::ZERO));
        assert_eq!(one.reason(), Some(&StopReason::Cancelled("anna".to_owned())), "the first reason stays");
        assert!(one.is_abandoned() && !other.is_abandoned() && !all.is_halted());
        all.abandon();
        assert!(other.is_abandoned() && other.reason().is_none());
        assert!(all.of_one().is_abandoned(), "one that begins too late");
    }
}
