//! Datasets and dry runs.

use chrono::Datelike;

use super::{Texts, at, cells, counts, day, in_paris, length, loading, noise, range, zone};
use crate::day::Day;
use crate::state::State;
use crate::web::view::model::{
    Action, Cell, CellState, DatasetPage, DayMeasure, DryRun, Effect, Pause, PlannedState, RowCounts, UnloadedDay,
};

pub(in crate::web::view::tests) fn dataset(t: &Texts, from: &str) -> DatasetPage {
    let cells = cells(t, from, "2026-11-20", 0);
    let open: Vec<UnloadedDay> = cells
        .iter()
        .rev()
        .filter(|cell| !matches!(cell.state, CellState::Stored(State::Loaded) | CellState::WithRejects))
        .take(12)
        .map(|cell| UnloadedDay {
            day: cell.day,
            state: cell.state,
            late: cell.late,
            deadline: cell.late.then(|| in_paris("2026-11-20T06:30:00Z")),
            attempts: if cell.state == CellState::Stored(State::Failed) { 5 } else { 0 },
            reason: t.text(cell.detail.as_deref().unwrap_or("no orders that day, said marta")),
            next_look: (cell.state == CellState::Stored(State::Waiting)).then(|| in_paris("2026-11-20T07:45:00Z")),
        })
        .collect();
    let history = cells.iter().rev().take(90).rev().map(|cell| measure(cell.day, cell.state)).collect();
    DatasetPage {
        name: t.text("shopify_config"),
        source: t.text("s3://alg-data-public/{day}.csv"),
        table: t.text("algolia_output"),
        cron: t.text("0 2 * * *"),
        timezone: zone("Europe/Paris"),
        start: day(from),
        end: None,
        lag_days: 1,
        next_tick: Some(in_paris("2026-11-21T01:00:00Z")),
        pause: None,
        trouble: None,
        late: 1,
        with_rejects: length(&cells, CellState::WithRejects),
        counts: counts(&cells),
        last_loaded: Some(day("2026-11-18")),
        actions: Action::ALL.into_iter().filter(|action| *action != Action::Resume).collect(),
        loading: vec![loading(true)],
        history,
        open_total: open.len() + 3,
        open,
        cells,
    }
}

fn measure(day: Day, state: CellState) -> DayMeasure {
    let number = u64::from(day.date().num_days_from_ce().unsigned_abs());
    let loaded = matches!(state, CellState::Stored(State::Loaded) | CellState::WithRejects);
    let rejected = if state == CellState::WithRejects { 1 + noise(number + 1) % 9 } else { 0 };
    let (filtered, good) = (50 + noise(number + 2) % 20, 1_120 + noise(number + 3) % 60);
    let rows = match state {
        CellState::Stored(State::Loaded) | CellState::WithRejects => {
            Some(RowCounts { read: filtered + rejected + good, filtered, rejected, loaded: good, kept_out: 0 })
        }
        CellState::Stored(State::Refused) => {
            Some(RowCounts { read: 1_208, filtered: 0, rejected: 90, loaded: 0, kept_out: 0 })
        }
        _ => None,
    };
    DayMeasure { day, state, rows, duration_ms: loaded.then(|| 38 + noise(number + 4) % 40) }
}

pub(super) fn pause(t: &Texts) -> Pause {
    Pause {
        dataset: String::new(),
        at: at("2026-11-18T14:02:00Z"),
        who: t.text("marta"),
        reason: Some(t.text("the shop moves house")),
    }
}

pub(in crate::web::view::tests) fn held_up(t: &Texts) -> DatasetPage {
    DatasetPage {
        pause: Some(pause(t)),
        trouble: Some(t.text("table algolia_output: column id is text, the dataset says bigint")),
        actions: vec![Action::Resume],
        end: Some(day("2027-03-31")),
        next_tick: None,
        ..dataset(t, "2026-03-02")
    }
}

pub(in crate::web::view::tests) fn no_days(t: &Texts) -> DatasetPage {
    DatasetPage {
        cells: Vec::new(),
        counts: Vec::new(),
        history: Vec::new(),
        open: Vec::new(),
        open_total: 0,
        loading: Vec::new(),
        last_loaded: None,
        late: 0,
        start: day("2026-12-01"),
        name: t.text("next_year"),
        source: t.text("/srv/files/{day}.csv"),
        table: t.text("next_year"),
        cron: t.text("@daily"),
        timezone: zone("UTC"),
        ..dataset(&Texts::plain(), "2026-11-01")
    }
}

pub(in crate::web::view::tests) fn dry_run(t: &Texts, action: Action, days: &str, allowed: bool) -> DryRun {
    let known = cells(&Texts::plain(), &days[..10], &days[12..], 0);
    // The days that are only counted have no text to be shown.
    let of = |(place, cell): (usize, &Cell)| {
        let loaded = cell.state == CellState::Stored(State::Loaded);
        let (becomes, because) = match (action, loaded, cell.state) {
            (_, _, CellState::Stored(State::Running)) => (None, "being loaded by another process"),
            (Action::Skip | Action::CatchUp | Action::Load, true, _) => (None, "already loaded"),
            (Action::Skip, false, _) => (Some(PlannedState::Stored(State::Skipped)), "asked for"),
            (_, true, _) => (Some(PlannedState::Tried), "loaded, asked for"),
            (_, false, _) => (Some(PlannedState::Tried), "its file was not there; look again"),
        };
        let state = if let CellState::Stored(state) = cell.state { Some(state) } else { None };
        Effect {
            day: cell.day,
            state,
            becomes,
            left: None,
            because: if place < 400 { t.text(because) } else { because.to_owned() },
        }
    };
    DryRun {
        dataset: t.text("shopify_config"),
        action,
        range: (action != Action::CatchUp).then(|| range(days)),
        days: known.iter().enumerate().map(of).collect(),
        notes: match action {
            Action::Reload => vec![t.text("a reload of a day deletes the rows that refer to its rows in items")],
            _ => Vec::new(),
        },
        outside: (action == Action::Reload).then(|| (2, t.text("2 of 13 days in the future"))),
        allowed,
    }
}
