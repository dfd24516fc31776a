//! `/api/v1/datasets`: the datasets in short, from memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use super::parameters::DatasetInPath;
use crate::daemon::DatasetSnapshot;
use crate::dataset::Dataset;
use crate::day::Day;
use crate::source;
use crate::status::{Attention, Pause, RecentDay, Summary, instant};
use crate::web::Site;
use crate::web::problem::Problem;
use crate::web::summaries::CachedSummary;

/// The datasets.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Datasets {
    /// One per dataset, by name.
    datasets: Vec<DatasetBrief>,
}

/// A dataset in short.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Dataset)]
pub(super) struct DatasetBrief {
    /// Its name.
    dataset: String,
    /// The target table.
    table: String,
    /// Where its files are, secrets masked.
    source: String,
    /// When its days are wanted.
    schedule: ScheduleDetail,
    /// When the schedule ticks next.
    #[schema(format = DateTime)]
    next_tick: Option<String>,
    /// How many days are in each state, by the state's name or `missing`; a state without days is not in it. This and
    /// what follows of days is null until it was read for the first time after the start.
    #[schema(value_type = Option<BTreeMap<String, u64>>)]
    counts: Option<BTreeMap<&'static str, u64>>,
    /// The newest day whose rows are in the target.
    #[schema(value_type = Option<String>, format = Date)]
    last_loaded: Option<Day>,
    /// Days from `last_loaded` to the newest wanted one.
    lag: Option<u64>,
    /// Days from the oldest wanted one that is still to be loaded (missing, running, waiting, or failed with attempts
    /// left) to the newest wanted one, both included; 0 when none is.
    days_behind: Option<u64>,
    /// How many wanted days are past their deadline and neither in the target nor left out.
    late: Option<u64>,
    /// How many days need a person: failed with no attempts left, refused, absent, late, or with a newer file.
    attention_total: Option<u64>,
    /// When the days were looked at.
    #[schema(format = DateTime)]
    read_at: Option<String>,
    /// Since when, by whom and why it is paused; null when it is not.
    paused: Option<Pause>,
    /// What keeps it from being loaded, such as a target that does not fit; null when nothing does.
    trouble: Option<String>,
}

/// When a dataset's days are wanted.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Schedule)]
pub(super) struct ScheduleDetail {
    /// Five or six cron fields, or a nickname such as `@daily`.
    cron: String,
    /// The zone that the fields are read in.
    timezone: &'static str,
    /// The first wanted day.
    #[schema(value_type = String, format = Date)]
    start: Day,
    /// The last wanted day; null goes on for ever.
    #[schema(value_type = Option<String>, format = Date)]
    end: Option<Day>,
    /// How many days before a tick's date the tick's newest day lies.
    lag_days: u32,
    /// The weekdays that bring a file, `mon` to `sun`.
    days: Vec<&'static str>,
}

/// A dataset.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct DatasetDetail {
    #[serde(flatten)]
    brief: DatasetBrief,
    /// The newest wanted days, oldest first, about 30.
    recent: Vec<RecentDay>,
    /// Days that need a person, newest first, at most 20; `attention_total` counts all.
    attention: Vec<Attention>,
}

impl DatasetBrief {
    fn of(shown: &DatasetSnapshot, kept: Option<&CachedSummary>) -> Self {
        let dataset = &shown.job.dataset;
        let summary = kept.map(|kept| &kept.summary);
        Self {
            dataset: dataset.name.to_string(),
            table: dataset.target.table.to_string(),
            source: source::shown(&dataset.source),
            schedule: ScheduleDetail::of(dataset),
            next_tick: shown.next_tick.map(instant),
            counts: summary.map(|summary| summary.counts.clone()),
            last_loaded: summary.and_then(|summary| summary.last_loaded),
            lag: summary.and_then(|summary| summary.lag),
            days_behind: summary.map(|summary| summary.days_behind),
            late: summary.map(|summary| summary.late),
            attention_total: summary.map(|summary| summary.attention_total),
            read_at: kept.map(|kept| instant(kept.read_at)),
            paused: shown.paused.clone(),
            trouble: shown.held_up().map(ToOwned::to_owned),
        }
    }
}

impl ScheduleDetail {
    fn of(dataset: &Dataset) -> Self {
        let schedule = &dataset.schedule;
        Self {
            cron: schedule.cron.clone(),
            timezone: schedule.timezone.name(),
            start: schedule.start,
            end: schedule.end,
            lag_days: schedule.lag_days,
            days: schedule.days.names(),
        }
    }
}

/// All datasets, by name. Made from memory: `read_at` says how fresh the counts are.
#[utoipa::path(
    get,
    path = "/api/v1/datasets",
    operation_id = "list_datasets",
    tag = "datasets",
    responses((status = OK, body = Datasets))
)]
pub(super) async fn list(State(site): State<Arc<Site>>) -> Json<Datasets> {
    let (shown, kept) = (site.daemon().status(), site.summaries().all());
    let brief = |(name, dataset)| DatasetBrief::of(dataset, kept.get(name).map(Arc::as_ref));
    Json(Datasets { datasets: shown.datasets.iter().map(brief).collect() })
}

/// A dataset, with its newest days and those that need a person.
#[utoipa::path(
    get,
    path = "/api/v1/datasets/{name}",
    operation_id = "show_dataset",
    tag = "datasets",
    params(DatasetInPath),
    responses(
        (status = OK, body = DatasetDetail),
        (status = NOT_FOUND, body = Problem, content_type = "application/problem+json", description = "no-such-dataset")
    )
)]
pub(super) async fn one(State(site): State<Arc<Site>>, DatasetInPath(shown): DatasetInPath) -> Json<DatasetDetail> {
    let kept = site.summaries().of(&shown.job.dataset.name);
    let brief = DatasetBrief::of(&shown, kept.as_deref());
    let (recent, attention) = kept.map_or_else(Default::default, |kept| {
        let Summary { recent, attention, .. } = &kept.summary;
        (recent.clone(), attention.clone())
    });
    Json(DatasetDetail { brief, recent, attention })
}
