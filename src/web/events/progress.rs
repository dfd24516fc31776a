//! What is new about the loads in flight since they were looked at last.

use std::sync::Arc;

use axum::response::sse::Event;

use super::messages::{DayEvent, ProgressEvent, event};
use crate::load_day::Flight;
use crate::state::State;

/// The loads that were in flight, and how far they were.
#[derive(Default)]
pub(super) struct ProgressTracker(Vec<(Arc<Flight>, ProgressEvent)>);

impl ProgressTracker {
    /// Looks at the loads that are in flight now: a day that was not among them is running, and what moved on is told.
    pub(super) fn observe(&mut self, flights: &[Arc<Flight>]) -> Vec<Event> {
        let mut events = Vec::new();
        let mut now = Vec::with_capacity(flights.len());
        for flight in flights {
            let progress = progress(flight);
            let before = self.0.iter().find(|(seen, _)| Arc::ptr_eq(seen, flight)).map(|(_, before)| before);
            if before.is_none() {
                let (dataset, state) = (flight.dataset.as_str(), State::Running.name());
                let started =
                    DayEvent { dataset, day: flight.day, state, rows_loaded: None, rows_rejected: None, error: None };
                events.push(event("day", &started));
            }
            if before != Some(&progress) {
                events.push(event("progress", &progress));
            }
            now.push((Arc::clone(flight), progress));
        }
        self.0 = now;
        events
    }
}

/// How far a load is.
fn progress(flight: &Flight) -> ProgressEvent {
    ProgressEvent {
        dataset: flight.dataset.to_string(),
        day: flight.day,
        step: flight.step().name(),
        rows: flight.rows(),
        bytes: flight.bytes(),
        bytes_total: flight.bytes_total(),
        waiting_for: flight.waits(),
    }
}
