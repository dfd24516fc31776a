//! What loading needs: the database, this process in it, and a dataset with its source.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::active_loads::ActiveLoads;
use super::stop::Stop;
use crate::dataset::{Dataset, DatasetName};
use crate::db::attempt_log::AttemptLog;
use crate::db::attempts::Measured;
use crate::db::claim::{self, Claim};
use crate::db::error::DbError;
use crate::db::pool::{Conn, Database};
use crate::db::worker::{HeldClaim, Worker};
use crate::definition;
use crate::events::Subscribers;
use crate::load_outcome::LoadOutcome;
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
    slots: Arc<Semaphore>,
    /// How many days are being loaded or looked at now.
    pub in_flight: AtomicUsize,
    /// The active loads; one list for all contexts of a process, so that those of an older one are among them.
    pub active_loads: Arc<ActiveLoads>,
    /// How far loads have come.
    pub progress: Arc<Progress>,
    /// Who hears of events.
    pub subscribers: Subscribers,
    /// How attempts ended that could not be written.
    pending: Mutex<Vec<PendingOutcome>>,
}

impl Context {
    /// What `loads` days at once need.
    #[must_use]
    pub fn new(
        database: Arc<Database>,
        worker: Worker,
        runtime: tokio::runtime::Handle,
        stop: Stop,
        loads: u32,
    ) -> Self {
        Self {
            database,
            worker: Arc::new(worker),
            runtime,
            stop,
            slots: Arc::new(Semaphore::new(loads as usize)),
            in_flight: AtomicUsize::new(0),
            active_loads: Arc::default(),
            progress: Arc::new(Progress::default()),
            subscribers: Subscribers::default(),
            pending: Mutex::default(),
        }
    }

    /// The same, with its loads in that list.
    #[must_use]
    pub fn with_active_loads(self, active_loads: &Arc<ActiveLoads>) -> Self {
        Self { active_loads: Arc::clone(active_loads), ..self }
    }

    /// The same, with those who hear of events.
    #[must_use]
    pub fn with_subscribers(self, subscribers: Subscribers) -> Self {
        Self { subscribers, ..self }
    }

    /// Waits for a slot to load a day in; `None` when no further day may begin.
    pub(crate) fn slot(&self) -> Option<Slot<'_>> {
        if self.stop.is_halted() {
            return None;
        }
        let permit = self.runtime.block_on(Arc::clone(&self.slots).acquire_owned()).ok()?;
        // Counted before the look at the stop: who stops first and then counts misses no load.
        self.in_flight.fetch_add(1, Ordering::SeqCst);
        let slot = Slot { context: self, _permit: permit };
        (!self.stop.is_halted()).then_some(slot)
    }

    /// Writes how attempts ended that could not be written before, so that they cost none: those of one dataset, or all.
    pub fn flush_pending(&self, conn: &mut Conn, dataset: Option<&DatasetName>) -> FlushedOutcomes {
        let of_it = |pending: &mut PendingOutcome| dataset.is_none_or(|dataset| *dataset == pending.dataset);
        let mut flushed = FlushedOutcomes::default();
        let all: Vec<PendingOutcome> = self.pending().extract_if(.., of_it).collect();
        for pending in all {
            let in_vain = |error: &DbError| error.is_unreachable() || error.is_of_a_held_file();
            let gone = flushed.error.as_ref().is_some_and(in_vain);
            let PendingOutcome { claim, outcome, measured, log, .. } = &pending;
            let ended = (!gone).then(|| claim::end(conn, claim, outcome, measured, log, None));
            match ended {
                Some(Ok(_)) => {
                    // Who cancelled a load does not want it begun anew.
                    if !matches!(pending.outcome, LoadOutcome::Cancelled { .. }) {
                        flushed.datasets.insert(pending.dataset.clone());
                    }
                    flushed.all.insert(pending.dataset);
                }
                Some(Err(error)) => {
                    flushed.error = Some(error);
                    self.pending().push(pending);
                }
                None => self.pending().push(pending),
            }
        }
        flushed
    }

    /// True when attempts ended and that could not be written.
    pub fn has_pending(&self) -> bool {
        !self.pending().is_empty()
    }

    pub(super) fn pending(&self) -> MutexGuard<'_, Vec<PendingOutcome>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Permission to load a day.
pub(crate) struct Slot<'a> {
    context: &'a Context,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        self.context.in_flight.fetch_sub(1, Ordering::SeqCst);
    }
}

/// How an attempt ended, which could not be written. The claim is held until it is.
pub struct PendingOutcome {
    pub(super) dataset: DatasetName,
    pub(super) claim: Claim,
    pub(super) outcome: LoadOutcome,
    pub(super) measured: Measured,
    pub(super) log: AttemptLog,
    pub(super) _held: HeldClaim,
}

/// What came of writing pending outcomes.
#[derive(Debug, Default)]
pub struct FlushedOutcomes {
    /// The datasets of which days are wanted again: they are as before the attempt, which was not cancelled.
    pub datasets: BTreeSet<DatasetName>,
    /// The datasets of which some were written.
    pub all: BTreeSet<DatasetName>,
    /// Why not all could be written; the next flush tries again.
    pub error: Option<DbError>,
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

impl Job {
    /// A dataset with its source.
    #[must_use]
    pub fn new(dataset: Dataset, source: Source) -> Self {
        Self { definition_hash: definition::hash(&dataset), dataset, source }
    }
}
