//! How the daemon ends: loads in flight get their time, and are then abandoned before they publish.

use std::time::Instant;

use super::Daemon;

impl Daemon {
    pub(super) fn stop_signal(&mut self) {
        if self.stop.is_asked() {
            log::warn!("ended at once by a further signal");
            std::process::exit(130);
        }
        if self.stopping.is_some() {
            self.abandon();
            return;
        }
        self.stop.halt();
        let grace = self.configuration.grace;
        self.stopping = Some(Instant::now() + grace);
        self.notify.stopping();
        if self.agenda.working() > 0 {
            log::info!(
                "stopping: no further day begins; loads in flight have {} s, once more abandons them",
                grace.as_secs()
            );
        }
    }

    /// Has loads in flight end before they publish.
    pub(super) fn abandon(&mut self) {
        self.stop.ask();
        log::warn!("abandoning the loads in flight; their days are as they were before");
    }

    pub(super) fn is_over(&self) -> bool {
        self.stopping.is_some() && self.threads == 0
    }
}
