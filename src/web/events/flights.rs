//! What is new about the loads in flight since they were looked at last.

use std::sync::Arc;

use bytes::Bytes;

use super::kinds::{DayEvent, ProgressEvent, frame};
use crate::load_day::Flight;
use crate::state::State;

/// The loads that were in flight, and how far they were.
#[derive(Default)]
pub(super) struct Seen(Vec<(Arc<Flight>, ProgressEvent)>);

impl Seen {
    /// Looks at the loads that are in flight now: a day that was not among them is running, and what moved on is told.
    pub(super) fn look(&mut self, flights: &[Arc<Flight>]) -> Vec<Bytes> {
        let mut frames = Vec::new();
        let mut now = Vec::with_capacity(flights.len());
        for flight in flights {
            let progress = progress(flight);
            let before = self.0.iter().find(|(seen, _)| Arc::ptr_eq(seen, flight)).map(|(_, before)| before);
            if before.is_none() {
                let (dataset, state) = (flight.dataset.as_str(), State::Running.name());
                let event =
                    DayEvent { dataset, day: flight.day, state, rows_loaded: None, rows_rejected: None, error: None };
                frames.push(frame("day", &event));
            }
            if before != Some(&progress) {
                frames.push(frame("progress", &progress));
            }
            now.push((Arc::clone(flight), progress));
        }
        self.0 = now;
        frames
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
