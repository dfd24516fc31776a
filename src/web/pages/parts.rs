//! What several pages show alike: states, counts, pauses, loads in flight, times.

use std::sync::Arc;

use chrono::Utc;

use crate::dataset::DatasetName;
use crate::load_day::ActiveLoad;
use crate::state::{MISSING, State as DayState};
use crate::status::Summary;
use crate::web::view::model::{CellState, Loading, StateCount};

/// How many days are in which state: loaded ones first, missing ones last.
pub(super) fn counts(summary: &Summary) -> Vec<StateCount> {
    let states = DayState::ALL.map(|state| (state.name(), CellState::Stored(state)));
    let all = states.into_iter().chain([(MISSING, CellState::Missing)]);
    all.filter_map(|(name, state)| summary.counts.get(name).map(|days| StateCount { state, days: *days })).collect()
}

/// The loads of a dataset that are in flight.
pub(super) fn loading(flights: &[Arc<ActiveLoad>], name: &DatasetName) -> Vec<Loading> {
    let of_it = flights.iter().filter(|flight| flight.dataset == *name);
    of_it.map(|flight| one_loading(flight)).collect()
}

/// A load in flight.
pub(super) fn one_loading(flight: &ActiveLoad) -> Loading {
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
