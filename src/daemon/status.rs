//! What the daemon says of itself to the service manager.

use chrono::{DateTime, Utc};

use super::Daemon;
use crate::wording::counted;

impl Daemon {
    /// One line for people who look at the service.
    pub(super) fn status_text(&self) -> String {
        if self.database.unreachable().is_some() {
            return "waiting for the database".to_owned();
        }
        let (said, next) = match &self.last {
            Some((name, said)) => (said.clone(), self.queue.dataset(name).and_then(|dataset| dataset.next_tick)),
            None => (self.counted(), self.queue.next()),
        };
        let next = next.map_or_else(String::new, |at| format!("; next tick {}", short(at)));
        format!("{said}{next}")
    }

    pub(super) fn counted(&self) -> String {
        counted(self.queue.iter().count(), "dataset")
    }
}

/// The time of a tick, with its date when it is not within a day.
fn short(at: DateTime<Utc>) -> String {
    let soon = (at - Utc::now()).num_hours() < 24;
    at.format(if soon { "%H:%M UTC" } else { "%Y-%m-%d %H:%M UTC" }).to_string()
}
