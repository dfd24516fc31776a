//! How the daemon ends: loads in flight get their time, and are then cancelled before they commit, whatever they wait
//! for. Nothing else is waited for: what only looks, connects or reads has nothing to lose.

use std::time::{Duration, Instant};

use super::Daemon;
use crate::dataset::DatasetName;
use crate::day::{self, Day};

/// How long the last words to the database may take: ends of attempts, and that this process is gone.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// How long cancelled loads may take to end: longer takes only a commit that was sent, as when a synchronous standby is
/// away, and a database that does not answer at all.
const ABANDONED: Duration = Duration::from_secs(5);

/// How often it is seen whether loads are still in flight.
pub(super) const CHECK: Duration = Duration::from_millis(100);

impl Daemon {
    pub(super) fn stop_signal(&mut self) {
        if self.stop.is_abandoned() {
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
        self.manager.stopping();
        // At once: this may be the loop's last turn, and what is asked for from here on is refused.
        self.show();
        self.say_not_begun();
        // What has only its last line left to say ends before anybody could read this.
        if !self.database.flights().now().is_empty() {
            log::info!(
                "shutting down: running loads have {} s to finish; signal again to cancel them",
                grace.as_secs()
            );
        }
    }

    /// Says which days that a person asked for did not begin, each once.
    pub(super) fn say_not_begun(&mut self) {
        for (name, dataset) in self.queue.iter_mut() {
            let mut days = dataset.not_begun();
            days.retain(|day| dataset.not_begun_logged.insert(*day));
            if !days.is_empty() {
                say_not_begun(name, &days);
            }
        }
    }

    /// Has loads in flight end before they publish.
    pub(super) fn abandon(&mut self) {
        self.stop.abandon();
        self.abandoned = Some(Instant::now());
        log::warn!("cancelling running loads, except those being committed; their days keep their previous state");
    }

    pub(super) fn is_over(&self) -> bool {
        let unanswered = self.abandoned.is_some_and(|at| at.elapsed() >= ABANDONED);
        self.stopping.is_some() && (self.database.in_flight() == 0 || unanswered)
    }

    /// Says which loads the end does not wait for any longer: their database did not answer.
    pub(super) fn say_unanswered(&self) {
        if self.database.in_flight() == 0 {
            return;
        }
        for load in self.database.flights().now() {
            log::warn!(
                "{} {}: ending without the database's answer (step {}); the day is loaded or not, the next look tells",
                load.dataset,
                load.day,
                load.step().name()
            );
        }
    }

    /// Tells the database what it does not know yet, and signs off, as far as that can be done in short.
    pub(super) async fn sign_off(self) {
        let contexts = self.database.into_contexts();
        let (send, done) = tokio::sync::oneshot::channel();
        let say = move || {
            for context in contexts {
                if context.has_pending()
                    && let Ok(mut conn) = context.database.conn_at_once()
                {
                    drop(context.flush_pending(&mut conn, None));
                }
                context.worker.sign_off();
                context.database.fold_log();
            }
            let _ = send.send(());
        };
        if std::thread::Builder::new().name("last words".to_owned()).spawn(say).is_ok() {
            drop(tokio::time::timeout(LAST_WORDS, done).await);
        }
    }
}

/// Says which of the days that a person asked for did not begin.
pub(super) fn say_not_begun(name: &DatasetName, days: &[Day]) {
    let days = day::listed(days);
    log::warn!("{name}: stopping before days that were asked for on the page began, ask for them again: {days}");
}
