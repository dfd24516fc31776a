//! What several pages show alike: states, counts, pauses, loads in flight, times.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::dataset::DatasetName;
use crate::db::paused::Paused;
use crate::load_day::Flight;
use crate::state::State as DayState;
use crate::status::{DayStatus, MISSING, Summary};
use crate::web::view::model::{CellState, Loading, Pause, RowCounts, StateCount};

/// A state by its name, as a cell shows it.
pub(super) fn state_of(name: &str) -> CellState {
    DayState::by_name(name).map_or(CellState::Missing, CellState::Stored)
}

/// A state of the status, as a cell shows it.
pub(super) fn cell_state(state: Option<DayState>) -> CellState {
    state.map_or(CellState::Missing, CellState::Stored)
}

/// A day's state by its name and its rejected rows, as a cell shows it.
pub(super) fn state_with_rejects(name: &str, rejected: Option<i64>) -> CellState {
    match state_of(name) {
        CellState::Stored(DayState::Loaded) if rejected > Some(0) => CellState::WithRejects,
        state => state,
    }
}

/// A pause, as a page shows it.
pub(super) fn pause(paused: &Paused) -> Pause {
    Pause { since: paused.at.and_utc(), by: paused.who.clone(), reason: paused.reason.clone() }
}

/// How many days are in which state: loaded ones first, missing ones last.
pub(super) fn counts(summary: &Summary) -> Vec<StateCount> {
    let states = DayState::ALL.map(|state| (state.name(), CellState::Stored(state)));
    let all = states.into_iter().chain([(MISSING, CellState::Missing)]);
    all.filter_map(|(name, state)| summary.counts.get(name).map(|days| StateCount { state, days: *days })).collect()
}

/// The loads of a dataset that are in flight.
pub(super) fn loading(flights: &[Arc<Flight>], name: &DatasetName) -> Vec<Loading> {
    let of_it = flights.iter().filter(|flight| flight.dataset == *name);
    of_it.map(|flight| one_loading(flight)).collect()
}

/// A load in flight.
pub(super) fn one_loading(flight: &Flight) -> Loading {
    let seconds = (Utc::now() - flight.began).num_seconds().unsigned_abs();
    Loading {
        day: flight.day,
        step: flight.step(),
        rows: flight.rows(),
        bytes: flight.bytes(),
        bytes_total: Some(flight.bytes_total()).filter(|bytes| *bytes > 0),
        rows_per_second: flight.rows().checked_div(seconds).filter(|rows| *rows > 0),
        waiting_for: flight.waits(),
    }
}

/// The counts of a day's file, where rows were counted.
pub(super) fn rows(day: &DayStatus) -> Option<RowCounts> {
    let number = |count: Option<i64>| count.unwrap_or(0).unsigned_abs();
    let kept_out = |read: i64, loaded: i64| {
        let told = day.rows_filtered.unwrap_or(0) + day.rows_rejected.unwrap_or(0) + loaded;
        (read - told).max(0).unsigned_abs()
    };
    day.rows_read.map(|read| RowCounts {
        // A refused file has no loaded rows, and nothing to keep out.
        kept_out: day.rows_loaded.map_or(0, |loaded| kept_out(read, loaded)),
        read: read.unsigned_abs(),
        filtered: number(day.rows_filtered),
        rejected: number(day.rows_rejected),
        loaded: number(day.rows_loaded),
    })
}

/// A time as the status has it.
pub(super) fn instant(text: &str) -> Option<DateTime<Utc>> {
    text.parse().ok()
}
