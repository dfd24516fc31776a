//! What loading needs: the database and this process in it, when to stop and to try again, and a dataset made ready.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::AbortHandle;

use crate::dataset::Dataset;
use crate::db::pool::Database;
use crate::db::worker::Worker;
use crate::source::Source;

/// What loading needs, whichever dataset and day.
pub struct Context {
    /// The database.
    pub database: Arc<Database>,
    /// This process, as the database knows it.
    pub worker: Worker,
    /// Where requests to sources run.
    pub runtime: tokio::runtime::Handle,
    /// Says when to stop.
    pub stop: Stop,
    /// When what did not load is tried again.
    pub retry: Retry,
    /// How far loads have come.
    pub progress: Arc<Progress>,
}

/// When what did not load is tried again.
#[derive(Debug, Clone, Copy)]
pub struct Retry {
    /// How many attempts a day has.
    pub max_attempts: u32,
    /// The pause after the first failed attempt; it doubles with each further one.
    pub first_delay: Duration,
    /// The longest pause.
    pub max_delay: Duration,
    /// When a file that is not there is looked for again.
    pub look_again: Duration,
}

impl Retry {
    /// The pause after that many failed attempts, a tenth longer or shorter at random so that days that failed together
    /// do not come back together; `None` when attempts are used up.
    pub(super) fn delay(&self, attempts: u32) -> Option<Duration> {
        let doubled = self.first_delay.saturating_mul(2u32.saturating_pow(attempts.saturating_sub(1)));
        let jitter = 0.9 + 0.2 * fastrand::f64();
        (attempts < self.max_attempts).then(|| doubled.min(self.max_delay).mul_f64(jitter))
    }
}

/// Tells loads in flight to stop before they publish, and no further one to begin.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<Stopping>);

#[derive(Debug, Default)]
struct Stopping {
    asked: AtomicBool,
    /// Downloads that a reader may be waiting for.
    downloads: Mutex<Vec<AbortHandle>>,
}

impl Stop {
    /// Asks for the stop.
    pub fn ask(&self) {
        self.0.asked.store(true, Ordering::SeqCst);
        self.downloads().drain(..).for_each(|download| download.abort());
    }

    /// True when the stop was asked for.
    #[must_use]
    pub fn is_asked(&self) -> bool {
        self.0.asked.load(Ordering::SeqCst)
    }

    /// Has the stop break a download off, so that nobody waits for a server that says nothing.
    pub(super) fn breaks_off(&self, download: Option<AbortHandle>) {
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
