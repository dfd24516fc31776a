//! The overview: read from memory, however many datasets there are.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Html;
use chrono::Utc;
use serde::Deserialize;

use super::attention::{self, AttentionLine};
use super::parts::{counts, loading};
use super::{PageRequest, PagesState};
use crate::daemon::{DaemonStatus, DatasetSnapshot};
use crate::dataset::DatasetName;
use crate::load_day::ActiveLoad;
use crate::source;
use crate::status::{RecentDay, Summary};
use crate::web::parameters::Parameters;
use crate::web::problem::Problem;
use crate::web::summaries::CachedSummary;
use crate::web::view;
use crate::web::view::model::{self, AttentionReason, Cell, CellState, DatasetRow, DaysSummary, OverviewPage};

/// Datasets on one page.
const AT_ONCE: usize = 100;

/// What needs a person and is named; the rest is counted.
const MOST_ATTENTION: usize = 24;

/// What the address asks for: names that hold a text, or datasets that need a person for a reason, and which page of
/// them.
#[derive(Deserialize)]
pub(super) struct OverviewQuery {
    #[serde(default)]
    q: String,
    why: Option<String>,
    page: Option<usize>,
}

pub(super) async fn overview(
    State(pages): PagesState,
    asking: PageRequest,
    Parameters(OverviewQuery { q, why, page }): Parameters<OverviewQuery>,
) -> Result<Html<String>, Problem> {
    let shown = pages.site.daemon().status();
    if shown.context.is_none()
        && let Some((since, error)) = shown.unreachable.clone()
    {
        let gone = model::UnreachablePage { database: shown.database.clone(), since, error };
        return Ok(Html(view::unreachable(&pages.frame(&asking), &gone)));
    }
    let summaries = pages.site.summaries().all();
    let why = why.and_then(|slug| AttentionReason::of_datasets().find(|why| why.slug() == Some(&slug)));
    let lines = attention::lines(&shown, &summaries, Utc::now());
    let model = overview_of(&shown, &summaries, lines, (&q, why, page.unwrap_or(1)));
    Ok(Html(view::overview(&pages.frame(&asking), &model)))
}

fn overview_of(
    shown: &DaemonStatus,
    summaries: &BTreeMap<DatasetName, Arc<CachedSummary>>,
    lines: Vec<AttentionLine>,
    (query, why, page): (&str, Option<AttentionReason>, usize),
) -> OverviewPage {
    let query = query.trim();
    let (mut attention, needing) = match why {
        None => (attention::together(lines), None),
        Some(why) => {
            let (lines, needing) = attention::of_one_kind(lines, why);
            (lines, Some(needing))
        }
    };
    let attention_total = attention.len();
    attention.truncate(MOST_ATTENTION);
    let fits = |name: &DatasetName| {
        name.as_str().to_lowercase().contains(&query.to_lowercase())
            && needing.as_ref().is_none_or(|needing| needing.contains(name.as_str()))
    };
    let found: Vec<(&DatasetName, &DatasetSnapshot)> = shown.datasets.iter().filter(|(name, _)| fits(name)).collect();
    let pages = found.len().div_ceil(AT_ONCE).max(1);
    let page = page.clamp(1, pages);
    let flights = shown.context.as_ref().map(|context| context.active_loads.now()).unwrap_or_default();
    let rows = found.iter().skip((page - 1) * AT_ONCE).take(AT_ONCE);
    let datasets = rows.map(|(name, dataset)| {
        let summary = summaries.get(*name).map(|kept| &kept.summary);
        row(name, dataset, summary, &flights)
    });
    let unread = shown.datasets.keys().filter(|name| !summaries.contains_key(*name)).count();
    OverviewPage {
        attention,
        attention_total,
        unread,
        query: query.to_owned(),
        why,
        page,
        pages,
        found: found.len(),
        total: shown.datasets.len(),
        datasets: datasets.collect(),
    }
}

fn row(
    name: &DatasetName,
    shown: &DatasetSnapshot,
    summary: Option<&Summary>,
    flights: &[Arc<ActiveLoad>],
) -> DatasetRow {
    let dataset = &shown.job.dataset;
    DatasetRow {
        name: name.to_string(),
        source: source::shown(&dataset.source),
        days: summary.map(days),
        next_tick: shown.next_tick.map(|at| at.with_timezone(&dataset.schedule.timezone)),
        pause: shown.paused.clone(),
        loading: loading(flights, name),
    }
}

fn days(summary: &Summary) -> DaysSummary {
    DaysSummary {
        cells: summary.recent.iter().map(cell).collect(),
        counts: counts(summary),
        last_loaded: summary.last_loaded,
        late: summary.late,
        with_rejects: summary.with_rejects,
    }
}

fn cell(recent: &RecentDay) -> Cell {
    Cell {
        day: recent.day,
        state: CellState::of(recent.state, recent.rows_rejected),
        rows: recent.rows_loaded.map(i64::unsigned_abs),
        rejected: recent.rows_rejected.map(i64::unsigned_abs),
        detail: recent.error.clone(),
        late: recent.late,
    }
}
