//! Overviews: with much to do, calm, empty.

use super::dataset::pause;
use super::{PROBLEM, Texts, cells, counts, day, in_paris, length, loading};
use crate::state::State;
use crate::web::view::model::{AttentionItem, AttentionReason, Cell, CellState, DatasetRow, DaysSummary, OverviewPage};

fn row(t: &Texts, name: &str, seed: u64) -> DatasetRow {
    let mut cells = cells(&Texts::plain(), "2026-10-22", "2026-11-20", seed);
    let busy = seed.is_multiple_of(3);
    for cell in cells.iter_mut().rev().take(if busy { 0 } else { 2 }) {
        *cell = Cell {
            state: CellState::Stored(State::Loaded),
            rows: Some(1_180),
            rejected: None,
            detail: None,
            late: false,
            ..cell.clone()
        };
    }
    if !seed.is_multiple_of(5) {
        cells[22] = Cell { state: CellState::Stored(State::Loaded), detail: None, ..cells[22].clone() };
    }
    for detail in cells.iter_mut().filter_map(|cell| cell.detail.as_mut()) {
        *detail = t.text(detail);
    }
    DatasetRow {
        name: t.text(name),
        source: t.text(&format!("s3://shop-exports/{name}/{{day}}.csv.gz")),
        days: Some(DaysSummary {
            counts: counts(&cells),
            with_rejects: length(&cells, CellState::WithRejects),
            cells,
            last_loaded: Some(day("2026-11-19")),
            late: u64::from(busy),
        }),
        next_tick: Some(in_paris("2026-11-21T02:00:00Z")),
        pause: (seed == 2).then(|| pause(t)),
        loading: if busy { vec![loading(seed != 3)] } else { Vec::new() },
    }
}

fn attention(t: &Texts) -> Vec<AttentionItem> {
    let of = |why, dataset: Option<&str>, on: Option<&str>, text: &str| AttentionItem {
        why,
        dataset: dataset.map(|name| t.text(name)),
        day: on.map(day),
        text: t.text(text),
        since: (why == AttentionReason::Late).then(|| in_paris("2026-11-20T06:30:00Z")),
    };
    vec![
        of(
            AttentionReason::Configuration,
            None,
            None,
            "datasets/orders.toml: rows.where: column \"amuont\" does not exist",
        ),
        of(AttentionReason::Day(State::Refused), Some("shopify_config"), Some("2026-11-13"), PROBLEM),
        of(
            AttentionReason::Day(State::Failed),
            Some("payments"),
            Some("2026-11-17"),
            "5 attempts: connection reset by peer after 12.4 MB",
        ),
        of(AttentionReason::Late, Some("orders"), Some("2026-11-19"), "no such file"),
        of(
            AttentionReason::Target,
            Some("refunds"),
            None,
            "table refunds: column amount is text, the dataset says numeric",
        ),
        of(
            AttentionReason::Database,
            None,
            None,
            "could not write: no space left on device; trying again until it passes, no attempt is counted",
        ),
    ]
}

pub(in crate::web::view::tests) fn overview(t: &Texts, datasets: usize) -> OverviewPage {
    let names =
        ["shopify_config", "orders", "payments", "refunds", "a-dataset-with-a-name-that-is-rather-long-for-its-row"];
    let name = |place: usize| names.get(place).map_or_else(|| format!("export_{place:04}"), ToString::to_string);
    let attention = attention(t);
    OverviewPage {
        attention_total: attention.len() + 2,
        attention,
        unread: 0,
        query: String::new(),
        why: None,
        page: 1,
        pages: datasets.div_ceil(100).max(1),
        found: datasets,
        total: datasets,
        datasets: (0..datasets.min(100)).map(|place| row(t, &name(place), place as u64)).collect(),
    }
}

pub(in crate::web::view::tests) fn calm(t: &Texts) -> OverviewPage {
    let mut overview = OverviewPage { attention: Vec::new(), attention_total: 0, ..overview(&Texts::plain(), 3) };
    overview.datasets = (1..3).map(|seed| row(t, ["", "orders", "payments"][seed], seed as u64)).collect();
    overview
}

/// Just after the start: nothing was read yet.
pub(in crate::web::view::tests) fn unread(t: &Texts) -> OverviewPage {
    let calm = calm(t);
    let datasets = calm.datasets.into_iter().map(|row| DatasetRow { days: None, ..row }).collect();
    OverviewPage { unread: 3, datasets, ..calm }
}

pub(in crate::web::view::tests) fn empty() -> OverviewPage {
    OverviewPage {
        attention: Vec::new(),
        attention_total: 0,
        unread: 0,
        query: String::new(),
        why: None,
        page: 1,
        pages: 1,
        found: 0,
        total: 0,
        datasets: Vec::new(),
    }
}

pub(in crate::web::view::tests) fn nothing_found(t: &Texts) -> OverviewPage {
    OverviewPage { query: t.text("ordres"), total: 12, ..empty() }
}
