//! What loading needs: the database and this process in it, when to stop, and a dataset made ready.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::task::AbortHandle;

use crate::dataset::Dataset;
use crate::db::attempts::Measured;
use crate::db::claim::{self, Claim, Ending};
use crate::db::error::DbError;
use crate::db::pool::{Conn, Database};
use crate::db::worker::Worker;
use crate::source::Source;

/// What loading needs, whichever dataset and day.
pub struct Context {
    /// The database.
    pub database: Arc<Database>,
    /// This process, as the database knows it.
    pub worker: Arc<Worker>,
    /// Where requests to sources run.
    pub runtime: tokio::runtime::Handle,
    /// Says when to stop.
    pub stop: Stop,
    /// As many days are loaded at once as there are permits, whichever dataset they are of.
    pub slots: Arc<Semaphore>,
    /// How far loads have come.
    pub progress: Arc<Progress>,
    /// Ends of attempts that the database was not there to be told of.
    pub untold: Mutex<Vec<Untold>>,
}

impl Context {
    /// Waits for a slot to load a day in; `None` when no further day may begin.
    pub(crate) fn slot(&self) -> Option<OwnedSemaphorePermit> {
        if self.stop.is_halted() {
            return None;
        }
        self.runtime.block_on(Arc::clone(&self.slots).acquire_owned()).ok().filter(|_| !self.stop.is_halted())
    }

    /// Tells the database how attempts ended that it was not there to be told of, so that they cost none.
    ///
    /// # Errors
    /// A [`DbError`] when it is still not there; what is left is told next time.
    pub fn tell(&self, conn: &mut Conn) -> Result<(), DbError> {
        loop {
            let Some(untold) = self.untold().pop() else { return Ok(()) };
            let told = claim::end(conn, &untold.claim, &untold.ending, &untold.measured, None);
            if let Err(error) = told {
                self.untold().push(untold);
                return Err(error);
            }
        }
    }

    pub(super) fn untold(&self) -> MutexGuard<'_, Vec<Untold>> {
        self.untold.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The end of an attempt that the database was not there to be told of.
pub struct Untold {
    pub(super) claim: Claim,
    pub(super) ending: Ending,
    pub(super) measured: Measured,
}

/// Tells loads to stop: first that no further one begins, then those in flight before they publish.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<Stopping>);

#[derive(Debug, Default)]
struct Stopping {
    halted: AtomicBool,
    asked: AtomicBool,
    /// Wakes those who wait for `asked`.
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
    pub fn ask(&self) {
        self.halt();
        self.0.asked.store(true, Ordering::SeqCst);
        self.0.told.notify_waiters();
        self.downloads().drain(..).for_each(|download| download.abort());
    }

    /// True when loads in flight are to stop.
    #[must_use]
    pub fn is_asked(&self) -> bool {
        self.0.asked.load(Ordering::SeqCst)
    }

    /// Waits until loads in flight are to stop.
    pub(crate) async fn wait(&self) {
        // Made before the look, so that nothing is missed between the two.
        let told = self.0.told.notified();
        if !self.is_asked() {
            told.await;
        }
    }

    /// Has the stop break a download off, so that nobody waits for a server that says nothing.
    pub(crate) fn breaks_off(&self, download: Option<AbortHandle>) {
        let mut downloads = self.downloads();
        downloads.retain(|download| !download.is_finished());
        downloads.extend(download);
        drop(downloads);
        if self.is_asked() {
            self.ask();
        }
    }

    fn downloads(&self) -> MutexGuard<'_, Vec<AbortHandle>> {
        self.0.downloads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How far the loads of this process have come.
#[derive(Debug, Default)]
pub struct Progress {
    /// Days to load, as far as they are known.
    pub days: AtomicU64,
    /// Rows read.
    pub rows: AtomicU64,
    /// Bytes read, as stored.
    pub bytes: AtomicU64,
    /// Bytes of the files opened so far, as stored.
    pub bytes_known: AtomicU64,
}

/// A dataset, ready to be loaded.
pub struct Job {
    /// The dataset.
    pub dataset: Dataset,
    /// Its source.
    pub source: Source,
    /// The hash of its definition.
    pub definition_hash: String,
}
