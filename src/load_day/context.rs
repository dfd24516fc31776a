//! What loading needs: the database and this process in it.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::flights::Flights;
use super::stop::Stop;
use crate::dataset::DatasetName;
use crate::db::attempt_log::AttemptLog;
use crate::db::attempts::Measured;
use crate::db::claim::{self, Claim, Ending};
use crate::db::error::DbError;
use crate::db::pool::{Conn, Database};
use crate::db::worker::{HeldClaim, Worker};

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
    /// The loads in flight; one list for all contexts of a process, so that those of an older one are among them.
    pub flights: Arc<Flights>,
    /// How far loads have come.
    pub progress: Arc<Progress>,
    /// Ends of attempts that the database was not there to be told of.
    untold: Mutex<Vec<Untold>>,
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
            flights: Arc::default(),
            progress: Arc::new(Progress::default()),
            untold: Mutex::default(),
        }
    }

    /// The same, with its loads in that list.
    #[must_use]
    pub fn with_flights(self, flights: &Arc<Flights>) -> Self {
        Self { flights: Arc::clone(flights), ..self }
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

    /// Tells the database how attempts ended that it was not there to be told of, so that they cost none: those of one
    /// dataset, or all.
    pub fn tell(&self, conn: &mut Conn, dataset: Option<&DatasetName>) -> Told {
        let of_it = |untold: &mut Untold| dataset.is_none_or(|dataset| *dataset == untold.dataset);
        let mut told = Told::default();
        let all: Vec<Untold> = self.untold().extract_if(.., of_it).collect();
        for untold in all {
            let in_vain = |error: &DbError| error.is_unreachable() || error.is_of_a_held_file();
            let gone = told.error.as_ref().is_some_and(in_vain);
            let Untold { claim, ending, measured, log, .. } = &untold;
            let ended = (!gone).then(|| claim::end(conn, claim, ending, measured, log, None));
            match ended {
                Some(Ok(_)) => {
                    // Who cancelled a load does not want it begun anew.
                    if !matches!(untold.ending, Ending::Cancelled { .. }) {
                        told.datasets.insert(untold.dataset.clone());
                    }
                    told.all.insert(untold.dataset);
                }
                Some(Err(error)) => {
                    told.error = Some(error);
                    self.untold().push(untold);
                }
                None => self.untold().push(untold),
            }
        }
        told
    }

    /// True when there are ends of attempts that the database was not told of.
    pub fn has_untold(&self) -> bool {
        !self.untold().is_empty()
    }

    pub(super) fn untold(&self) -> MutexGuard<'_, Vec<Untold>> {
        self.untold.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Leave to load a day.
pub(crate) struct Slot<'a> {
    context: &'a Context,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        self.context.in_flight.fetch_sub(1, Ordering::SeqCst);
    }
}

/// The end of an attempt that the database was not there to be told of. The claim is held until it is.
pub struct Untold {
    pub(super) dataset: DatasetName,
    pub(super) claim: Claim,
    pub(super) ending: Ending,
    pub(super) measured: Measured,
    pub(super) log: AttemptLog,
    pub(super) _held: HeldClaim,
}

/// What came of telling the database how attempts ended.
#[derive(Debug, Default)]
pub struct Told {
    /// The datasets of which days are wanted again: they are as before the attempt, which was not cancelled.
    pub datasets: BTreeSet<DatasetName>,
    /// The datasets of which it was told something.
    pub all: BTreeSet<DatasetName>,
    /// Why it could not be told of all; what is left is told next time.
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
