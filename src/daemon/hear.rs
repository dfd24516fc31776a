//! What the daemon makes of the events it hears of.

use std::sync::Arc;
use std::time::Instant;

use chrono::Utc;

use super::Daemon;
use super::agenda::{Ended, Work};
use super::events::{Event, Signal};
use super::lane::{Came, Hindrance};
use super::pulse::Open;
use super::trouble::Trouble;
use crate::dataset::DatasetName;
use crate::day::Day;
use crate::load_day::Context;

impl Daemon {
    pub(super) fn hear(&mut self, event: Option<Event>) {
        match event {
            // The sender is ours, so that there is always one.
            None => {}
            Some(Event::Signal(Signal::Stop)) => self.stop_signal(),
            Some(Event::Signal(Signal::Reload)) => self.reload.now(),
            Some(Event::FilesChanged) => self.reload.soon(),
            Some(Event::Connected { told, connected }) => self.connected(told, connected),
            Some(Event::Pulsed(pulsed)) => self.pulsed(pulsed),
            Some(Event::Worked { name, work, began, came }) => self.worked(&name, &work, began, came),
            Some(Event::Read(read)) => self.read(*read),
            Some(Event::Broke(what, panic)) => {
                // The loop cannot know what the thread left undone; a new process can.
                log::error!("{what}: {panic}; the daemon ends, to be started again");
                std::process::exit(1);
            }
        }
    }

    fn connected(&mut self, told: u32, connected: Result<Arc<Context>, String>) {
        self.threads -= 1;
        self.connecting = false;
        if told != self.told {
            return;
        }
        match connected {
            Ok(context) => {
                self.reached();
                context.worker.note_refused_config(self.reload.refused());
                self.context = Some(context);
            }
            Err(error) => self.lost(&error),
        }
        if !self.ready {
            self.ready = true;
            (self.configuration.in_force)();
            self.notify.ready(&self.status_text());
        }
    }

    fn pulsed(&mut self, pulsed: Result<Open, Hindrance>) {
        self.threads -= 1;
        let now = Utc::now();
        let lease = self.configuration.lease;
        match pulsed {
            Ok(open) => {
                self.reached();
                let due = open.due(&self.members);
                for name in self.members.keys() {
                    self.agenda.due(name, due.days.get(name).cloned().unwrap_or_default());
                }
                self.pulse.ended(now, lease, due.next_in);
            }
            Err(Hindrance::Unreachable(error)) => {
                self.lost(&error);
                self.pulse.ended(now, lease, None);
            }
            Err(Hindrance::Other(error)) => {
                log::error!("looking at the open days: {error}");
                self.pulse.ended(now, lease, None);
            }
        }
    }

    fn worked(&mut self, name: &DatasetName, work: &Work, began: Instant, came: Result<Came, Hindrance>) {
        self.threads -= 1;
        let now = Utc::now();
        // What waited or failed just now has a clock of its own.
        self.pulse.soon(now);
        let ended = match came {
            Ok(came) => {
                if let Some(trouble) = self.troubles.remove(name) {
                    log::info!("{name}: goes on after {} s", trouble.lasted(now).num_seconds());
                }
                if let Some(late) = &came.late {
                    self.say_late(name, late);
                }
                if let Some(last) = came.last {
                    self.last = Some((name.clone(), last));
                }
                self.notify.status(&self.status_text());
                if came.loaded { Ended::Loaded } else { Ended::Done }
            }
            // It met the trouble that is over by now.
            Err(Hindrance::Unreachable(error)) if self.back_at.is_some_and(|back| began < back) => {
                log::debug!("{name}: {error}");
                Ended::Unreachable
            }
            Err(Hindrance::Unreachable(error)) => {
                self.lost(&error);
                Ended::Unreachable
            }
            Err(Hindrance::Other(error)) => {
                let trouble = Trouble::again(self.troubles.get(name), now, fastrand::f64());
                if self.troubles.contains_key(name) {
                    log::debug!("{name}: {error}");
                } else {
                    log::error!("{name}: {error}; trying again until it passes, no attempt is counted");
                }
                let until = trouble.until();
                self.troubles.insert(name.clone(), trouble);
                Ended::Troubled(until)
            }
        };
        self.agenda.end(name, work, ended);
    }

    /// Says which days are late, each once.
    fn say_late(&mut self, name: &DatasetName, late: &[Day]) {
        let said = self.late.entry(name.clone()).or_default();
        said.retain(|day| late.contains(day));
        let news: Vec<String> = late.iter().filter(|day| said.insert(**day)).map(ToString::to_string).collect();
        let deadline = self.members.get(name).and_then(|member| member.job.dataset.policy.waiting.deadline);
        if let (false, Some(deadline)) = (news.is_empty(), deadline) {
            log::warn!("{name}: late, not loaded by {}: {}", deadline.format("%H:%M"), news.join(", "));
        }
    }

    /// The database cannot be reached: said once.
    fn lost(&mut self, error: &str) {
        let now = Utc::now();
        if self.unreachable.is_none() {
            log::error!("{error}; trying again until it is back, no attempt is counted");
        } else {
            log::debug!("{error}");
        }
        self.unreachable = Some(Trouble::again(self.unreachable.as_ref(), now, fastrand::f64()));
        self.notify.status(&self.status_text());
    }

    /// The database answers.
    fn reached(&mut self) {
        if let Some(trouble) = self.unreachable.take() {
            let now = Utc::now();
            log::info!("the database is back after {} s", trouble.lasted(now).num_seconds());
            self.back_at = Some(Instant::now());
            self.notify.status(&self.status_text());
            self.pulse.soon(now);
        }
    }
}
