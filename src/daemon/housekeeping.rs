//! Clears what was kept for long enough, each day and when the daemon starts, on a thread of its own. Nothing waits for it,
//! the end of the daemon neither: a batch is cleared whole or not at all, and the next walk finds what is left.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};

use super::Daemon;
use super::events::Event;
use super::handle_event::{database_failed, database_recovered};
use crate::db::error::DbError;
use crate::db::old_attempts::OldAttempts;
use crate::db::pool::Database;
use crate::load_day::{Context, Stop};
use crate::wording::counted;

/// How often.
const EVERY: TimeDelta = TimeDelta::days(1);
/// When it is tried again after the database could not be reached.
const AGAIN: TimeDelta = TimeDelta::minutes(1);
/// How much longer than a batch took it rests after it, so that loads hardly notice ...
const RESTS: u32 = 4;
/// ... and the longest rest.
const LONGEST_REST: Duration = Duration::from_secs(1);
/// What trouble may be with.
const CLEARING: &str = "clearing old attempts";

/// When it is done next.
#[derive(Debug)]
pub(super) struct Housekeeping {
    next: DateTime<Utc>,
    out: bool,
}

impl Housekeeping {
    pub(super) fn new(now: DateTime<Utc>) -> Self {
        Self { next: now, out: false }
    }

    /// At the next turn, or once more when what goes on has ended.
    pub(super) fn soon(&mut self, now: DateTime<Utc>) {
        self.next = now;
    }

    /// Also where the clock was set back, and the next time seems to be far away.
    fn is_due(&self, now: DateTime<Utc>) -> bool {
        !self.out && (self.next <= now || now + EVERY < self.next)
    }

    fn begun(&mut self, now: DateTime<Utc>) {
        self.next = now + EVERY;
        self.out = true;
    }
}

impl Daemon {
    pub(super) fn clear_old_attempts_if_due(&mut self, context: &Arc<Context>, now: DateTime<Utc>) {
        if !self.housekeeping.is_due(now) {
            return;
        }
        self.housekeeping.begun(now);
        let old = OldAttempts::older_than(self.configuration.keep_attempts);
        let (database, stop) = (Arc::clone(&context.database), self.stop.clone());
        self.thread("housekeeping", move || Event::AttemptsCleared(clear(&database, old, &stop)));
    }

    /// Old attempts were cleared, so many.
    pub(super) fn cleared(&mut self, cleared: Result<usize, DbError>) {
        self.housekeeping.out = false;
        match cleared {
            Ok(number) => {
                self.events.extend(database_recovered(CLEARING, &mut self.clearing_trouble));
                let level = if number > 0 { log::Level::Info } else { log::Level::Debug };
                log::log!(level, "cleared {} older than retention.attempts", counted(number, "attempt"));
            }
            // Whoever loads or looks says so.
            Err(error) if error.is_unreachable() => {
                log::debug!("{CLEARING}: {error}");
                self.housekeeping.soon(Utc::now() + AGAIN);
            }
            Err(error) => {
                let (until, event) = database_failed(CLEARING, &error.to_string(), &mut self.clearing_trouble);
                self.events.push(event);
                self.housekeeping.soon(until);
            }
        }
    }
}

/// Clears batch after batch until the daemon stops; how many attempts in all.
fn clear(database: &Database, mut old: OldAttempts, stop: &Stop) -> Result<usize, DbError> {
    let mut number = 0;
    while !stop.is_halted() {
        let began = Instant::now();
        // ConfigValue back while it rests.
        let Some(cleared) = old.clear_batch(&mut database.conn_at_once()?)? else { break };
        number += cleared;
        std::thread::sleep((began.elapsed() * RESTS).min(LONGEST_REST));
    }
    Ok(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_done_at_the_start_each_day_and_when_asked_for() {
        let now = Utc::now();
        let mut housekeeping = Housekeeping::new(now);
        assert!(housekeeping.is_due(now));
        housekeeping.begun(now);
        assert!(!housekeeping.is_due(now + EVERY), "it goes on");
        housekeeping.out = false;
        assert!(!housekeeping.is_due(now + EVERY - TimeDelta::seconds(1)));
        assert!(housekeeping.is_due(now + EVERY));
        assert!(housekeeping.is_due(now - TimeDelta::seconds(1)), "the clock was set back");
        housekeeping.begun(now);
        housekeeping.soon(now);
        housekeeping.out = false;
        assert!(housekeeping.is_due(now), "asked for while it went on");
    }
}
