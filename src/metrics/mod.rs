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
use crate::events::{PublishedEvent, Subscriber};
use crate::load_outcome::{FailureScope, LoadOutcome};

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

impl Subscriber for Metrics {
    fn receive(&self, event: &PublishedEvent) {
        let mut inner = self.inner();
        match event {
            PublishedEvent::Day(event) => {
                // A database that is gone is met and counted by the loop, once for all days that find it gone.
                let is_gone = |scope: &FailureScope| *scope == FailureScope::Unreachable;
                if matches!(&event.outcome, LoadOutcome::DatabaseFailed { scope, .. } if !is_gone(scope)) {
                    inner.database_errors += 1;
                }
                inner.datasets.entry(event.dataset.clone()).or_default().count(event);
            }
            PublishedEvent::DatasetBlocked { dataset, .. } => {
                inner.datasets.entry(dataset.clone()).or_default().troubles += 1;
            }
            PublishedEvent::DatabaseLost { .. } | PublishedEvent::DatabaseFailed { .. } => inner.database_errors += 1,
            _ => {}
        }
    }
}
