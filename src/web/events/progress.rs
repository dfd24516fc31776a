//! What is new about the loads in load since they were looked at last.

use std::sync::Arc;

use axum::response::sse::Event;

use super::messages::{DayMessage, ProgressEvent, event};
use crate::load_day::ActiveLoad;
use crate::state::State;

/// The loads that were in load, and how far they were.
#[derive(Default)]
pub(super) struct ProgressTracker(Vec<(Arc<ActiveLoad>, ProgressEvent)>);

impl ProgressTracker {
    /// Looks at the loads that are in load now: a day that was not among them is running, and what moved on is told.
    pub(super) fn observe(&mut self, loads: &[Arc<ActiveLoad>]) -> Vec<Event> {
        let mut events = Vec::new();
        let mut now = Vec::with_capacity(loads.len());
        for load in loads {
            let progress = progress(load);
            let before = self.0.iter().find(|(seen, _)| Arc::ptr_eq(seen, load)).map(|(_, before)| before);
            if before.is_none() {
                let message = DayMessage::of_state(load.dataset.as_str(), load.day, State::Running);
                events.push(event("day", &message));
            }
            if before != Some(&progress) {
                events.push(event("progress", &progress));
            }
            now.push((Arc::clone(load), progress));
        }
        self.0 = now;
        events
    }
}

/// How far a load is.
fn progress(load: &ActiveLoad) -> ProgressEvent {
    ProgressEvent {
        dataset: load.dataset.to_string(),
        day: load.day,
        step: load.step().name(),
        rows: load.rows(),
        bytes: load.bytes(),
        bytes_total: load.bytes_total(),
        waiting_for: load.waits(),
    }
}
