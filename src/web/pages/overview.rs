//! The overview: read from memory, however many datasets there are.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Html;
use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;

use super::parts::{counts, loading, pause, state_with_rejects};
use super::{Asking, PagesState};
use crate::daemon::{DatasetShown, Shown};
use crate::dataset::DatasetName;
use crate::load_day::Flight;
use crate::source;
use crate::state::State as DayState;
use crate::status::{Kind, NoFiles, RecentDay, Summary};
use crate::web::parameters::Parameters;
use crate::web::problem::Problem;
use crate::web::summaries::Kept;
use crate::web::view;
use crate::web::view::model::{self, Attention, Cell, DatasetRow, DaysInShort, Overview, Why};
use crate::wording::counted;

/// Datasets on one page.
const AT_ONCE: usize = 100;

/// What needs a person and is named; the rest is counted.
const MOST_ATTENTION: usize = 24;

/// How long a source may be unavailable before somebody should look: shorter outages pass by themselves.
const SOURCE_PATIENCE: TimeDelta = TimeDelta::hours(1);

/// What the address asks for: names that hold a text, and which page of them.
#[derive(Deserialize)]
pub(super) struct Search {
    #[serde(default)]
    q: String,
    page: Option<usize>,
}

pub(super) async fn overview(
    State(pages): PagesState,
    asking: Asking,
    Parameters(Search { q, page }): Parameters<Search>,
) -> Result<Html<String>, Problem> {
    let shown = pages.site.board().shown();
    if shown.context.is_none()
        && let Some((since, error)) = shown.unreachable.clone()
    {
        let gone = model::Unreachable { database: shown.database.clone(), since, error };
        return Ok(Html(view::unreachable(&pages.frame(&asking), &gone)));
    }
    let summaries = pages.site.summaries().all();
    let model = overview_of(&shown, &summaries, &q, page.unwrap_or(1));
    Ok(Html(view::overview(&pages.frame(&asking), &model)))
}

fn overview_of(shown: &Shown, summaries: &BTreeMap<DatasetName, Arc<Kept>>, query: &str, page: usize) -> Overview {
    let query = query.trim();
    let fits = |name: &DatasetName| name.as_str().to_lowercase().contains(&query.to_lowercase());
    let found: Vec<(&DatasetName, &DatasetShown)> = shown.datasets.iter().filter(|(name, _)| fits(name)).collect();
    let pages = found.len().div_ceil(AT_ONCE).max(1);
    let page = page.clamp(1, pages);
    let flights = shown.context.as_ref().map(|context| context.flights.now()).unwrap_or_default();
    let rows = found.iter().skip((page - 1) * AT_ONCE).take(AT_ONCE);
    let datasets = rows.map(|(name, dataset)| {
        let summary = summaries.get(*name).map(|kept| &kept.summary);
        row(name, dataset, summary, &flights)
    });
    let (attention, attention_total) = attention(shown, summaries, Utc::now());
    let unread = shown.datasets.keys().filter(|name| !summaries.contains_key(*name)).count();
    Overview {
        attention,
        attention_total,
        unread,
        query: query.to_owned(),
        page,
        pages,
        found: found.len(),
        total: shown.datasets.len(),
        datasets: datasets.collect(),
    }
}

fn row(name: &DatasetName, shown: &DatasetShown, summary: Option<&Summary>, flights: &[Arc<Flight>]) -> DatasetRow {
    let dataset = &shown.job.dataset;
    DatasetRow {
        name: name.to_string(),
        source: source::shown(&dataset.source),
        days: summary.map(days),
        next_tick: shown.next_tick,
        pause: shown.paused.as_ref().map(pause),
        loading: loading(flights, name),
    }
}

fn days(summary: &Summary) -> DaysInShort {
    DaysInShort {
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
        state: state_with_rejects(recent.state, recent.rows_rejected),
        rows: recent.rows_loaded.map(i64::unsigned_abs),
        rejected: recent.rows_rejected.map(i64::unsigned_abs),
        detail: recent.error.clone(),
        late: recent.late,
    }
}

/// What needs a person, the most urgent first, and how much there is in all.
fn attention(
    shown: &Shown,
    summaries: &BTreeMap<DatasetName, Arc<Kept>>,
    now: DateTime<Utc>,
) -> (Vec<Attention>, usize) {
    let about = |why, text: String| Attention { why, dataset: None, day: None, text };
    let mut all = Vec::new();
    all.extend(shown.unreachable.iter().map(|(_, error)| about(Why::Database, error.clone())));
    all.extend(shown.refused.iter().map(|refused| about(Why::Configuration, refused.replace('\n', "; "))));
    all.extend(shown.broken.iter().map(|broken| about(Why::BrokenDataset, broken.problems.join("; "))));
    for (name, dataset) in shown.datasets.iter() {
        let trouble = dataset
            .trouble
            .iter()
            .map(|trouble| Attention { dataset: Some(name.to_string()), ..about(Why::Target, trouble.clone()) });
        all.extend(trouble);
        let lasts = |since: DateTime<Utc>| now - since >= SOURCE_PATIENCE;
        let source = dataset
            .source_trouble
            .iter()
            .filter(|(since, _)| lasts(*since))
            .map(|(_, error)| Attention { dataset: Some(name.to_string()), ..about(Why::Source, error.clone()) });
        all.extend(source);
    }
    let mut total = all.len();
    for (name, kept) in summaries.iter().filter(|(name, _)| shown.datasets.contains_key(*name)) {
        let lines = of_days(name, &kept.summary);
        total += lines.len();
        let room = MOST_ATTENTION.saturating_sub(all.len());
        all.extend(lines.into_iter().take(room));
    }
    all.truncate(MOST_ATTENTION);
    (all, total)
}

/// What needs a person among a dataset's days: a line for each kind, however many days are of it.
fn of_days(name: &DatasetName, summary: &Summary) -> Vec<Attention> {
    let dataset = Some(name.to_string());
    let no_files = summary.no_files.map(|no_files| {
        let newest = summary.recent.last().and_then(|day| day.error.clone()).unwrap_or_default();
        let what = match no_files {
            NoFiles::Never => "no file was ever found".to_owned(),
            NoFiles::Newest(days) => format!("the newest {} have no file", counted(days, "day")),
        };
        Attention { why: Why::NoFiles, dataset: dataset.clone(), day: None, text: format!("{what}: {newest}") }
    });
    // That these days are late or absent is said by that line.
    let is_said = |kind: &&Kind| no_files.is_some() && matches!(kind.state, None | Some(DayState::Absent));
    let of_kind = |kind: &Kind| {
        let why = match kind.state {
            Some(DayState::Loaded) => Why::NewerFile,
            Some(state) => Why::Day(state),
            None => Why::Late,
        };
        let what = match (&kind.error, why) {
            (_, Why::NewerFile) => "the source has a newer file than the one that was loaded".to_owned(),
            (Some(error), _) => error.clone(),
            (None, _) => why.word().0.to_owned(),
        };
        let Kind { days, newest, oldest, .. } = *kind;
        let (day, text) = match days {
            1 => (Some(newest), what),
            _ => (None, format!("{days} days, {oldest}..{newest}: {what}")),
        };
        Attention { why, dataset: dataset.clone(), day, text }
    };
    let kinds: Vec<Attention> = summary.kinds.iter().filter(|kind| !is_said(kind)).map(of_kind).collect();
    no_files.into_iter().chain(kinds).collect()
}
