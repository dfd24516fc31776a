//! A job in the daemon, with what is known of it there.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::db::attempts::Trigger;
use crate::load_day::Job;

/// A dataset at work in the daemon.
pub(super) struct ActiveDataset {
    /// The dataset, ready to be loaded.
    pub(super) job: Arc<Job>,
    /// Its target was seen to fit.
    fits: AtomicBool,
    /// How many older days may still be taken before the next tick.
    backlog: Mutex<Option<u32>>,
}

impl ActiveDataset {
    /// A dataset that was not looked at yet.
    pub(super) fn new(job: &Arc<Job>) -> Self {
        let backlog = Mutex::new(job.dataset.policy.catch_up.max_days_per_tick);
        Self { job: Arc::clone(job), fits: AtomicBool::new(false), backlog }
    }

    /// True once its target was seen to fit.
    pub(super) fn fits(&self) -> bool {
        self.fits.load(Ordering::Relaxed)
    }

    /// Its target fits, and need not be looked at again.
    pub(super) fn seen_to_fit(&self) {
        self.fits.store(true, Ordering::Relaxed);
    }

    /// A load failed: somebody may have changed the target.
    pub(super) fn may_not_fit(&self) {
        self.fits.store(false, Ordering::Relaxed);
    }

    /// How many older days a catch-up may take: a tick begins anew, whatever follows takes of what is left.
    pub(super) fn backlog(&self, trigger: Trigger) -> Option<u32> {
        if matches!(trigger, Trigger::Tick | Trigger::Start | Trigger::Page) {
            *self.lock_backlog() = self.job.dataset.policy.catch_up.max_days_per_tick;
        }
        self.backlog_left()
    }

    /// How many older days may still be taken.
    pub(super) fn backlog_left(&self) -> Option<u32> {
        *self.lock_backlog()
    }

    /// So many older days were taken.
    pub(super) fn took(&self, days: u32) {
        let mut backlog = self.lock_backlog();
        *backlog = backlog.map(|left| left.saturating_sub(days));
    }

    fn lock_backlog(&self) -> MutexGuard<'_, Option<u32>> {
        self.backlog.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
