//! The active loads: what the web UI shows of a day while it is loaded.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};

use super::stop::{Stop, StopReason};
use crate::dataset::DatasetName;
use crate::day::{Day, DayRange};

/// The steps of a load, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Its file is being opened.
    Source,
    /// Its rows are read, validated and staged.
    Stage,
    /// The staged rows are checked.
    Audit,
    /// Its rows go to the target.
    Publish,
}

impl Step {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Source, Self::Stage, Self::Audit, Self::Publish];

    /// The step's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Stage => "stage",
            Self::Audit => "audit",
            Self::Publish => "publish",
        }
    }
}

/// A load that is under way.
#[derive(Debug)]
pub struct ActiveLoad {
    /// The dataset.
    pub dataset: DatasetName,
    /// The day.
    pub day: Day,
    /// Which attempt of its series it is, from 1.
    pub attempt: u32,
    /// When it began, by this machine's clock.
    pub began: DateTime<Utc>,
    step: AtomicU8,
    rows: AtomicU64,
    bytes: AtomicU64,
    bytes_total: AtomicU64,
    waits: Arc<Waits>,
    /// The target holds the day's rows of an earlier load.
    pub is_reload: bool,
    stop: Stop,
}

/// What a load waits for in the database, where it has waited for long.
#[derive(Debug, Default)]
pub(super) struct Waits(Mutex<Option<String>>);

impl Waits {
    pub(super) fn set(&self, waits: Option<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = waits;
    }
}

impl ActiveLoad {
    /// The step it is at.
    #[must_use]
    pub fn step(&self) -> Step {
        Step::ALL[usize::from(self.step.load(Ordering::Relaxed)) % Step::ALL.len()]
    }

    /// Rows read so far.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }

    /// Bytes read so far, as stored.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// The file's size, bytes as stored; 0 before it is open.
    #[must_use]
    pub fn bytes_total(&self) -> u64 {
        self.bytes_total.load(Ordering::Relaxed)
    }

    /// What it waits for in the database, in words, where it has waited for long: for whom, and since how long when that
    /// was noticed.
    #[must_use]
    pub fn waits(&self) -> Option<String> {
        self.waits.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn at(&self, step: Step) {
        self.step.store(step as u8, Ordering::Relaxed);
    }

    pub(super) fn opened(&self, bytes: u64) {
        self.bytes_total.store(bytes, Ordering::Relaxed);
    }

    pub(super) fn read(&self, rows: u64, bytes: u64) {
        self.rows.store(rows, Ordering::Relaxed);
        self.bytes.store(bytes, Ordering::Relaxed);
    }
}

/// The loads that are under way.
#[derive(Debug, Default)]
pub struct ActiveLoads(Mutex<Vec<Arc<ActiveLoad>>>);

impl ActiveLoads {
    /// Those of now, in the order they began.
    #[must_use]
    pub fn now(&self) -> Vec<Arc<ActiveLoad>> {
        self.list().clone()
    }

    /// Cancels the loads of a dataset's days, on behalf of whom: those that have not sent their commit publish nothing any
    /// more. It waits for nothing, and so reaches loads for which the database is not to be asked. Those that it reached.
    pub fn cancel(&self, dataset: &DatasetName, days: DayRange, by: &str) -> Vec<Arc<ActiveLoad>> {
        let is_meant = |load: &Arc<ActiveLoad>| load.dataset == *dataset && days.contains(load.day);
        let meant: Vec<_> = self.now().into_iter().filter(is_meant).collect();
        for load in &meant {
            load.stop.abandon_one(StopReason::Cancelled(by.to_owned()));
        }
        meant
    }

    pub(super) fn begin(&self, begun: &NewLoad<'_>) -> ListedLoad<'_> {
        let NewLoad { dataset, day, attempt, is_reload, waits, stop } = *begun;
        let load = Arc::new(ActiveLoad {
            dataset: dataset.clone(),
            day,
            attempt,
            began: Utc::now(),
            step: AtomicU8::new(0),
            rows: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            bytes_total: AtomicU64::new(0),
            waits: Arc::clone(waits),
            is_reload,
            stop: stop.clone(),
        });
        self.list().push(Arc::clone(&load));
        ListedLoad { loads: self, load }
    }

    fn list(&self) -> MutexGuard<'_, Vec<Arc<ActiveLoad>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A load that begins.
pub(super) struct NewLoad<'a> {
    pub(super) dataset: &'a DatasetName,
    pub(super) day: Day,
    pub(super) attempt: u32,
    pub(super) is_reload: bool,
    pub(super) waits: &'a Arc<Waits>,
    pub(super) stop: &'a Stop,
}

/// A load that is listed as active until this is dropped.
pub(super) struct ListedLoad<'a> {
    loads: &'a ActiveLoads,
    load: Arc<ActiveLoad>,
}

impl std::ops::Deref for ListedLoad<'_> {
    type Target = ActiveLoad;

    fn deref(&self) -> &ActiveLoad {
        &self.load
    }
}

impl Drop for ListedLoad<'_> {
    fn drop(&mut self) {
        self.loads.list().retain(|load| !Arc::ptr_eq(load, &self.load));
    }
}
