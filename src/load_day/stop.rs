//! When loads are to stop.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::task::AbortHandle;

/// Tells loads to stop: first that no further one begins, then those in flight before they publish.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<Stopping>);

#[derive(Debug, Default)]
struct Stopping {
    halted: AtomicBool,
    abandoned: AtomicBool,
    /// Wakes those who wait for `abandoned`.
    told: Notify,
    /// Downloads that a reader may be waiting for.
    downloads: Mutex<Vec<AbortHandle>>,
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

    /// Stops the loads in flight too.
    pub fn abandon(&self) {
        self.halt();
        self.0.abandoned.store(true, Ordering::SeqCst);
        self.0.told.notify_waiters();
        self.downloads().drain(..).for_each(|download| download.abort());
    }

    /// True when loads in flight are to stop.
    #[must_use]
    pub fn is_abandoned(&self) -> bool {
        self.0.abandoned.load(Ordering::SeqCst)
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
        let mut downloads = self.downloads();
        downloads.retain(|download| !download.is_finished());
        downloads.extend(download);
        drop(downloads);
        if self.is_abandoned() {
            self.abandon();
        }
    }

    fn downloads(&self) -> MutexGuard<'_, Vec<AbortHandle>> {
        self.0.downloads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
