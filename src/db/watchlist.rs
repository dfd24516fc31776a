//! The connections that are watched: which are to be cancelled or to hurry, and what they wait for. `watch` asks the
//! server on their behalf.
//!
//! A connection to SQLite can only be stopped by the thread that waits: a [`Waiter`] tells it when to stop, and takes
//! what it waits for.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use crate::db::waiting::LockWait;

/// How long a statement waits before it is told.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// How often a statement that is to be cancelled is cancelled again: one that had not begun yet was missed.
pub(super) const CANCEL_AGAIN: Duration = Duration::from_millis(200);

/// Is told what a connection waits for once it has waited for long, and with `None` that it does so no more.
pub type OnWait = Arc<dyn Fn(Option<&LockWait>) + Send + Sync>;

/// The connections that are watched.
#[derive(Default)]
pub(super) struct Watchlist {
    pub(super) entries: Mutex<WatchEntries>,
    pub(super) changed: Condvar,
}

#[derive(Default)]
pub(super) struct WatchEntries {
    pub(super) all: BTreeMap<u64, WatchEntry>,
    pub(super) last: u64,
    /// The process ends since then: nothing is waited for for long.
    pub(super) process_ends: Option<Instant>,
    /// When it was last told of a wait for the database's file, by whichever connection.
    pub(super) file_wait_reported: Option<Instant>,
    /// The thread that watches is there.
    pub(super) watching: bool,
}

pub(super) struct WatchEntry {
    /// The session's process in the server; `None` for SQLite.
    pub(super) pid: Option<i32>,
    pub(super) on_wait: OnWait,
    pub(super) reported: Option<LockWait>,
    /// When it is looked at next.
    pub(super) next: Instant,
    pub(super) cancelled: bool,
    pub(super) sealed: bool,
    /// What is left to write waits no longer than it must, since then.
    pub(super) in_haste: Option<Instant>,
}

impl WatchEntry {
    pub(super) fn is_to_be_cancelled(&self) -> bool {
        self.cancelled && !self.sealed
    }
}

/// A connection that is watched until this is dropped.
pub struct Watched {
    pub(super) watch: Arc<Watchlist>,
    pub(super) id: u64,
}

/// Cancels what a watched connection does, or has all connections wait no longer than they must.
#[derive(Clone)]
pub struct Canceller {
    pub(super) watch: Weak<Watchlist>,
    /// The connection; `None` for all.
    pub(super) id: Option<u64>,
}

/// What a connection to SQLite knows while it waits for the file's lock.
#[derive(Clone, Default)]
pub struct Waiter {
    pub(super) watch: Weak<Watchlist>,
    /// Its entry, while it is watched.
    pub(super) id: Option<u64>,
}

/// For how long other connections say nothing of a wait for the file that one has told of.
const REPORTED_FOR: Duration = Duration::from_mins(1);

impl Waiter {
    /// True when what the connection does is cancelled.
    pub(super) fn is_cancelled(&self) -> bool {
        self.watch.upgrade().zip(self.id).is_some_and(|(watch, id)| watch.is_cancelled(id))
    }

    /// Since when the connection is to wait no longer than it must: the process ends, or its load was cancelled and has
    /// only its end to write.
    pub(super) fn in_haste_since(&self) -> Option<Instant> {
        let watch = self.watch.upgrade()?;
        let entries = watch.entries();
        let own = self.id.and_then(|id| entries.all.get(&id)).and_then(|entry| entry.in_haste);
        own.or(entries.process_ends)
    }

    /// Tells what is waited for, and with `None` that the wait is over: as the load has it told, else in the log. There it
    /// is told once, by whichever connection waits first.
    pub(super) fn report(&self, waiting: Option<&LockWait>) {
        let watch = self.watch.upgrade();
        let by_load = watch.as_ref().zip(self.id).filter(|(watch, id)| watch.entries().all.contains_key(id));
        let before = watch.as_ref().and_then(|watch| {
            let now = waiting.map(|_| Instant::now());
            std::mem::replace(&mut watch.entries().file_wait_reported, now)
        });
        match (by_load, waiting) {
            (Some((watch, id)), waiting) => watch.report(id, None, waiting),
            (None, Some(waiting)) if before.is_none_or(|before| before.elapsed() >= REPORTED_FOR) => {
                log::info!("{waiting}");
            }
            (None, _) => {}
        }
    }
}

impl Watched {
    /// From here on nothing is cancelled any more, as when a commit follows. False when it was cancelled already: nothing
    /// may be committed then.
    #[must_use]
    pub fn seal(&self) -> bool {
        let mut entries = self.watch.entries();
        let Some(entry) = entries.all.get_mut(&self.id) else { return true };
        entry.sealed = true;
        !entry.cancelled
    }

    /// From here on nothing waits long for SQLite's file: what is left to write can be written later as well.
    pub fn hasten(&self) {
        if let Some(entry) = self.watch.entries().all.get_mut(&self.id) {
            entry.in_haste.get_or_insert_with(Instant::now);
        }
    }

    /// What cancels it.
    #[must_use]
    pub fn canceller(&self) -> Canceller {
        Canceller { watch: Arc::downgrade(&self.watch), id: Some(self.id) }
    }

    /// True when what is under way is to end: it was cancelled, and not sealed before.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.watch.is_cancelled(self.id)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.watch.entries().all.remove(&self.id);
    }
}

impl Canceller {
    /// True when there is nothing left that it could cancel.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.watch.strong_count() == 0
    }

    /// Cancels the connection's statements from here on, until it is sealed. Waits for nothing.
    pub fn cancel(&self) {
        let Some(watch) = self.watch.upgrade() else { return };
        let Some(id) = self.id else {
            watch.entries().process_ends.get_or_insert_with(Instant::now);
            return;
        };
        if let Some(entry) = watch.entries().all.get_mut(&id) {
            entry.cancelled = true;
            entry.next = Instant::now();
            // What it does cannot be cancelled any more, and only its end is left to write.
            if entry.sealed {
                entry.in_haste.get_or_insert(entry.next);
            }
        }
        watch.changed.notify_all();
    }
}

impl Watchlist {
    pub(super) fn entries(&self) -> MutexGuard<'_, WatchEntries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_cancelled(&self, id: u64) -> bool {
        self.entries().all.get(&id).is_some_and(WatchEntry::is_to_be_cancelled)
    }

    pub(super) fn report(&self, id: u64, waited: Option<Duration>, news: Option<&LockWait>) {
        let mut entries = self.entries();
        let Some(entry) = entries.all.get_mut(&id) else { return };
        let pause = waited
            .and_then(|waited| PATIENCE.checked_sub(waited))
            .filter(|left| !left.is_zero())
            .unwrap_or(PATIENCE / 2);
        entry.next = Instant::now() + pause;
        let same = match (&entry.reported, news) {
            (Some(reported), Some(news)) => reported.is_still(news),
            (None, None) => true,
            _ => false,
        };
        if same {
            return;
        }
        entry.reported = news.cloned();
        let on_wait = Arc::clone(&entry.on_wait);
        drop(entries);
        on_wait(news);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::waiting::WaitTarget;

    #[test]
    fn a_wait_is_told_once_until_it_is_another_or_over() {
        let (watch, said) = (Watchlist::default(), Arc::new(Mutex::new(Vec::new())));
        let hears = Arc::clone(&said);
        let on_wait: OnWait = Arc::new(move |waiting| hears.lock().unwrap().push(waiting.map(ToString::to_string)));
        let next = Instant::now();
        let entry =
            WatchEntry { pid: Some(7), on_wait, reported: None, next, cancelled: false, sealed: false, in_haste: None };
        watch.entries().all.insert(1, entry);
        let waits = |on: &str, seconds| {
            let target = WaitTarget::Lock { on: on.to_owned(), holders: Vec::new() };
            watch.report(1, Some(Duration::from_secs(seconds)), Some(&LockWait { target, seconds }));
        };
        waits("orders", 10);
        waits("orders", 15);
        waits("returns", 10);
        watch.report(1, None, None);
        watch.report(1, None, None);
        let lock = |on| Some(format!("waiting for 10 s for a lock on {on}, held by another session"));
        assert_eq!(*said.lock().unwrap(), [lock("orders"), lock("returns"), None]);
    }
}
