//! The metrics: what is counted while the daemon works, and what is looked at when somebody asks, written as Prometheus
//! reads it. Serving it is another's, and so is finding out how the datasets stand.
//!
//! Names follow Prometheus's rules, of which one costs a detour: `days` in a name is taken for a unit that should have
//! been seconds. Ours are calendar days that are counted, so that their names say `day`. Labels are dataset, state,
//! step and outcome; the days themselves are never one.

mod counted;
mod process;
mod standing;
mod text;
mod write;

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};

pub use self::process::Process;
pub use self::standing::{Days, Seen, Standing};
pub use self::text::CONTENT_TYPE;

use self::counted::Counted;
use crate::dataset::DatasetName;
use crate::db::error::DbError;
use crate::load_day::{Outcome, Report};

/// What the daemon counts since it started.
#[derive(Debug, Default)]
pub struct Metrics(Mutex<Inner>);

#[derive(Debug, Default, Clone)]
struct Inner {
    datasets: BTreeMap<DatasetName, Counted>,
    database_errors: u64,
    /// The database answered when it was asked last.
    database_up: bool,
    /// When the daemon's loop turned last.
    turned: Option<DateTime<Utc>>,
}

impl Metrics {
    /// The loop turned. It has these datasets and no others: what was counted of others is forgotten, and what is
    /// counted begins at 0, so that the first of its kind is seen to be an increase.
    pub fn turned<'a>(
        &self,
        now: DateTime<Utc>,
        database_up: bool,
        datasets: impl Iterator<Item = &'a DatasetName> + Clone,
    ) {
        let mut inner = self.inner();
        inner.turned = Some(now);
        inner.database_up = database_up;
        // It turns often, and its datasets are nearly always the same.
        if !inner.datasets.keys().eq(datasets.clone()) {
            let mut before = std::mem::take(&mut inner.datasets);
            inner.datasets = datasets.map(|name| (name.clone(), before.remove(name).unwrap_or_default())).collect();
        }
    }

    /// Counts what became of a day.
    pub fn heard(&self, dataset: &DatasetName, report: &Report) {
        let mut inner = self.inner();
        // A database that is gone is met and counted by the loop, once for all days that find it gone.
        let failed = |error: &DbError| !error.is_unreachable();
        if matches!(&report.outcome, Outcome::Database(error) if failed(error)) {
            inner.database_errors += 1;
        }
        inner.datasets.entry(dataset.clone()).or_default().heard(report);
    }

    /// Counts an error of the database that no day's report tells of.
    pub fn database_failed(&self) {
        self.inner().database_errors += 1;
    }

    /// Counts that something else than its days held a dataset up.
    pub fn troubled(&self, dataset: &DatasetName) {
        self.inner().datasets.entry(dataset.clone()).or_default().troubles += 1;
    }

    /// Everything, as text.
    #[must_use]
    pub fn expose(&self, seen: &Seen<'_>) -> String {
        // Copied, so that nobody who counts waits for the writing.
        let inner = self.inner().clone();
        write::write(&inner, seen)
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
