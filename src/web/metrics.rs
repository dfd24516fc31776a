//! `/metrics`: what the daemon counts, and how datasets and workers stand now.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use chrono::Utc;

use super::site::Site;
use super::summaries::CachedSummary;
use crate::daemon::DatasetSnapshot;
use crate::dataset::DatasetName;
use crate::db::workers;
use crate::metrics::{self, Days, Process, Seen, Standing};
use crate::state::{MISSING, State as DayState};

/// How long the database has to tell of the workers: who scrapes waits for some seconds only.
const PATIENCE: Duration = Duration::from_secs(2);

/// The metrics of a site.
pub(super) fn router(site: &Arc<Site>) -> Router {
    Router::new().route("/metrics", get(metrics)).with_state(Arc::clone(site))
}

async fn metrics(State(site): State<Arc<Site>>) -> Response {
    let shown = site.daemon().status();
    let kept = site.summaries().all();
    let standing = |(name, dataset)| standing(name, dataset, kept.get(name).map(|kept| days(kept)));
    let datasets: Vec<Standing> = shown.datasets.iter().map(standing).collect();
    // Nothing is known of them while the database is away or silent; the rest is told all the same.
    let answer = site.read_within(PATIENCE, workers::heartbeat_ages).await;
    let database_silent = answer.is_none();
    let workers = answer.and_then(Result::ok);
    let (workers, process, now) = (workers.as_deref(), Process::read(), Utc::now());
    let (configuration_refused, broken_datasets) = (shown.refused.is_some(), shown.broken.len());
    let datasets = &datasets;
    let seen = Seen { datasets, workers, database_silent, configuration_refused, broken_datasets, process, now };
    ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], site.daemon().metrics().expose(&seen)).into_response()
}

/// What the daemon tells of a dataset, with what is known of its days.
fn standing(dataset: &DatasetName, shown: &DatasetSnapshot, days: Option<Days>) -> Standing {
    Standing {
        dataset: dataset.clone(),
        days,
        next_tick: shown.next_tick,
        last_tick: shown.last_tick,
        paused: shown.paused.is_some(),
        troubled: shown.held_up().is_some(),
    }
}

fn days(kept: &CachedSummary) -> Days {
    let summary = &kept.summary;
    let count = |state: DayState| summary.counts.get(state.name()).copied().unwrap_or(0);
    Days {
        states: DayState::ALL.into_iter().map(|state| (state, count(state))).collect(),
        missing: summary.counts.get(MISSING).copied().unwrap_or(0),
        failed_for_good: summary.failed_for_good,
        late: summary.late,
        newer_files: summary.newer_files,
        lag: summary.lag,
    }
}
