//! The loads in flight: what a page shows of a day while it is loaded.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};

use super::stop::{Stop, Why};
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

/// A load in flight.
#[derive(Debug)]
pub struct Flight {
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
    pub(super) fn tell(&self, waits: Option<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = waits;
    }
}

impl Flight {
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

/// The loads in flight.
#[derive(Debug, Default)]
pub struct Flights(Mutex<Vec<Arc<Flight>>>);

impl Flights {
    /// Those of now, in the order they began.
    #[must_use]
    pub fn now(&self) -> Vec<Arc<Flight>> {
        self.list().clone()
    }

    /// Cancels the loads of a dataset's days, on behalf of whom: those that have not sent their commit publish nothing any
    /// more. It waits for nothing, and so reaches loads for which the database is not to be asked. Those that it reached.
    pub fn cancel(&self, dataset: &DatasetName, days: DayRange, by: &str) -> Vec<Arc<Flight>> {
        let is_meant = |flight: &Arc<Flight>| flight.dataset == *dataset && days.contains(flight.day);
        let meant: Vec<_> = self.now().into_iter().filter(is_meant).collect();
        for flight in &meant {
            flight.stop.abandon_one(Why::Cancelled(by.to_owned()));
        }
        meant
    }

    pub(super) fn begin(&self, begun: &Begin<'_>) -> Airborne<'_> {
        let Begin { dataset, day, attempt, is_reload, waits, stop } = *begun;
        let flight = Arc::new(Flight {
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
        self.list().push(Arc::clone(&flight));
        Airborne { flights: self, flight }
    }

    fn list(&self) -> MutexGuard<'_, Vec<Arc<Flight>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A load that begins.
pub(super) struct Begin<'a> {
    pub(super) dataset: &'a DatasetName,
    pub(super) day: Day,
    pub(super) attempt: u32,
    pub(super) is_reload: bool,
    pub(super) waits: &'a Arc<Waits>,
    pub(super) stop: &'a Stop,
}

/// A flight that is listed until this is dropped.
pub(super) struct Airborne<'a> {
    flights: &'a Flights,
    flight: Arc<Flight>,
}

impl std::ops::Deref for Airborne<'_> {
    type Target = Flight;

    fn deref(&self) -> &Flight {
        &self.flight
    }
}

impl Drop for Airborne<'_> {
    fn drop(&mut self) {
        self.flights.list().retain(|flight| !Arc::ptr_eq(flight, &self.flight));
    }
}
