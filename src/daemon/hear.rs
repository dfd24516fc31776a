//! What the daemon makes of the events it hears of.

use std::collections::BTreeMap;
use std::time::Instant;

use chrono::{DateTime, TimeDelta, Utc};

use super::Daemon;
use super::agenda::{Ended, Work};
use super::board::{Asked, News};
use super::events::{Event, Signal};
use super::lane::{Came, Hindrance};
use super::link::{Connected, set_aside};
use super::pulse::Pulsed;
use super::stopping::say_not_begun;
use super::trouble::{PAUSES, STANDING_PAUSES, source_pauses};
use crate::dataset::DatasetName;
use crate::day::{self, Day};
use crate::db::attempts::Trigger;
use crate::db::paused::Paused;
use crate::load_day::Told;

/// What trouble may be with, beside datasets.
const LOOKING: &str = "looking at the open days";
const TELLING: &str = "noting how attempts ended";

/// How long due days are left of which nothing came: what holds them back takes its time.
const FRUITLESS: TimeDelta = TimeDelta::seconds(30);

impl Daemon {
    pub(super) fn hear(&mut self, event: Option<Event>) {
        match event {
            // The sender is ours, so that there is always one.
            None => {}
            Some(Event::Signal(Signal::Stop)) => self.stop_signal(),
            Some(Event::Signal(Signal::Reload)) => self.reload.now(),
            Some(Event::FilesChanged) => self.reload.soon(),
            Some(Event::Connected { generation, connected }) => self.connected(generation, connected),
            Some(Event::Pulsed { generation, pulsed }) => self.pulsed(generation, *pulsed),
            Some(Event::Worked { generation, name, work, began, came }) => {
                let is_of_now = generation == self.link.generation();
                let came = if is_of_now { came } else { came.or_else(Hindrance::elsewhere) };
                self.worked(&name, &work, began, came);
            }
            Some(Event::Cleared(cleared)) => self.cleared(cleared),
            Some(Event::Asked(asked)) => self.asked(asked),
            Some(Event::Read(read)) => self.read(*read),
            Some(Event::Broke(what, panic)) => {
                // The loop cannot know what the thread left undone; a new process can.
                log::error!("{what}: {panic}; the daemon ends, to be started again");
                std::process::exit(1);
            }
        }
    }

    fn connected(&mut self, generation: u32, connected: Result<Connected, String>) {
        self.link.ended_connecting();
        if generation != self.link.generation() {
            return connected.into_iter().for_each(|connected| set_aside(connected.context));
        }
        match connected {
            Ok(Connected { context, paused }) => {
                self.reached();
                self.paused(paused);
                context.worker.note_refused_config(self.problems());
                self.link.take(context);
            }
            Err(error) => self.lost(&error),
        }
        if !self.ready {
            self.ready = true;
            (self.configuration.in_force)();
            self.manager.ready(&self.status_text());
        }
    }

    fn pulsed(&mut self, generation: u32, pulsed: Pulsed) {
        let now = Utc::now();
        let lease = self.configuration.connection.lease;
        let Pulsed { open, told } = pulsed;
        self.told_ends(told);
        self.link.let_go_of_older();
        if generation != self.link.generation() {
            // It says nothing about the database that is in force by now.
            self.pulse.ended(now, lease, None);
            return self.pulse.soon(now);
        }
        match open {
            Ok(open) => {
                self.reached();
                self.troubles.passed(LOOKING);
                self.paused(open.paused.clone());
                open.forgot.iter().for_each(|name| self.news.push(News::Dataset(name.clone())));
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
            Err(Hindrance::Standing(error) | Hindrance::Other(error)) => {
                self.board.metrics().database_failed();
                self.troubles.met(LOOKING, &error, PAUSES);
                self.pulse.ended(now, lease, None);
            }
        }
    }

    /// These datasets are paused, and no others.
    pub(super) fn paused(&mut self, paused: Vec<Paused>) {
        let now: BTreeMap<DatasetName, Paused> =
            paused.into_iter().filter_map(|paused| Some((paused.dataset.parse().ok()?, paused))).collect();
        if now == self.pauses {
            return;
        }
        for name in now.keys().filter(|name| !self.pauses.contains_key(name) && self.members.contains_key(name)) {
            log::info!("{name}: paused; no day begins by itself");
        }
        for name in self.pauses.keys().filter(|name| !now.contains_key(name) && self.members.contains_key(name)) {
            log::info!("{name}: goes on after a pause");
        }
        self.agenda.pause(&now.keys().cloned().collect());
        self.pauses = now;
        self.news.push(News::Daemon);
    }

    pub(super) fn asked(&mut self, asked: Asked) {
        match asked {
            Asked::CatchUp(dataset) => self.agenda.look(&dataset, Some(Trigger::Page)),
            // It came in just before the stop was to be seen.
            Asked::Load { dataset, days, .. } if self.stopping.is_some() => say_not_begun(&dataset, &days),
            Asked::Load { dataset, days, ask } => self.agenda.ask(&dataset, days, ask),
            Asked::Changed(dataset) => {
                self.pulse.soon(Utc::now());
                self.news.push(News::Dataset(dataset));
            }
        }
    }

    /// Days whose attempts the database was told the end of only now are as before them, and wanted again.
    fn told_ends(&mut self, told: Told) {
        for name in &told.datasets {
            self.agenda.look(name, Some(Trigger::Due));
        }
        told.all.into_iter().for_each(|name| self.news.push(News::Dataset(name)));
        match told.error {
            None => self.troubles.passed(TELLING),
            // That is said of the database, once.
            Some(error) if error.is_unreachable() => log::debug!("{TELLING}: {error}"),
            Some(error) => {
                self.board.metrics().database_failed();
                self.troubles.met(TELLING, &error.to_string(), PAUSES);
            }
        }
    }

    fn worked(&mut self, name: &DatasetName, work: &Work, began: Instant, came: Result<Came, Hindrance>) {
        let is_member = self.members.contains_key(name);
        // What waited or failed just now has a clock of its own.
        if came.as_ref().map_or(true, |came| came.last.is_some()) {
            self.pulse.soon(Utc::now());
        }
        let ended = match came {
            Ok(came) => self.done(name, work, began, &came),
            // It met the trouble that is over by now.
            Err(Hindrance::Unreachable(error)) if self.link.came_back_after(began) => {
                log::debug!("{name}: {error}");
                Ended::Unreachable
            }
            Err(Hindrance::Unreachable(error)) => {
                self.lost(&error);
                Ended::Unreachable
            }
            Err(Hindrance::Standing(error)) if is_member => {
                self.board.metrics().troubled(name);
                Ended::Troubled(self.troubles.met(name.as_str(), &error, STANDING_PAUSES))
            }
            Err(Hindrance::Other(error)) if is_member => {
                self.board.metrics().troubled(name);
                Ended::Troubled(self.troubles.met(name.as_str(), &error, PAUSES))
            }
            // Nobody waits for a dataset that is gone.
            Err(Hindrance::Standing(error) | Hindrance::Other(error)) => {
                log::debug!("{name}: {error}");
                Ended::CutShort
            }
        };
        self.agenda.end(name, work, ended);
    }

    fn done(&mut self, name: &DatasetName, work: &Work, began: Instant, came: &Came) -> Ended {
        let fruitless = matches!(work, Work::Due(_)) && came.last.is_none();
        // Seeing which days are late asks nothing of the target.
        if *work != Work::Late && self.troubles.passed_by_work_of(name.as_str(), began) {
            self.agenda.trouble_passed(name);
        }
        if let Some(late) = &came.late {
            self.say_late(name, late);
        }
        if let Some(last) = &came.last {
            self.last = Some((name.clone(), last.clone()));
            self.manager.status(&self.status_text());
        }
        if came.told {
            self.agenda.look(name, Some(Trigger::Due));
        }
        let away = self.source(name, came);
        match came {
            Came { cut_short: true, .. } => Ended::CutShort,
            _ if away.is_some() => away.map_or(Ended::Done, Ended::Away),
            Came { loaded: true, .. } => Ended::Loaded,
            _ if fruitless => Ended::Fruitless(Utc::now() + FRUITLESS),
            _ => Ended::Done,
        }
    }

    /// Notes whether the dataset's source can be asked; where it cannot, when to try again.
    fn source(&mut self, name: &DatasetName, came: &Came) -> Option<DateTime<Utc>> {
        let member = self.members.get(name)?;
        let Some(unavailable) = &came.unavailable else {
            if came.answered {
                self.sources.passed(name.as_str());
                self.agenda.source_answers(name);
            }
            return None;
        };
        let pauses = source_pauses(&member.job.dataset.policy, came.answered);
        self.board.metrics().troubled(name);
        self.news.push(News::Dataset(name.clone()));
        let next = self.sources.met(name.as_str(), &format!("source unavailable: {unavailable}"), pauses);
        // Before, no request would be sent.
        Some(unavailable.until.map_or(next, |until| next.max(until)))
    }

    /// Says which days are late, each once.
    fn say_late(&mut self, name: &DatasetName, late: &[Day]) {
        if !self.members.contains_key(name) {
            return;
        }
        let said = self.late.entry(name.clone()).or_default();
        said.retain(|day| late.contains(day));
        let news: Vec<Day> = late.iter().copied().filter(|day| said.insert(*day)).collect();
        let deadline = self.members.get(name).and_then(|member| member.job.dataset.policy.waiting.deadline);
        if let (false, Some(deadline)) = (news.is_empty(), deadline) {
            log::warn!("{name}: late, not loaded by {}: {}", deadline.format("%H:%M"), day::listed(&news));
        }
    }

    /// The database cannot be reached: said once.
    fn lost(&mut self, error: &str) {
        let now = Utc::now();
        self.board.metrics().database_failed();
        if self.link.lost(error, now) {
            self.news.push(News::Daemon);
            let error = error.trim_end_matches(';');
            log::error!("{error}; trying again until it is back, no attempt is counted");
        } else {
            log::debug!("{error}");
        }
        self.manager.status(&self.status_text());
    }

    /// The database answers.
    fn reached(&mut self) {
        let now = Utc::now();
        if let Some(lasted) = self.link.reached(now) {
            log::info!("the database is back after {} s", lasted.num_seconds());
            self.news.push(News::Daemon);
            self.manager.status(&self.status_text());
            self.pulse.soon(now);
        }
        // What the page shows of the configuration, and what a reload compares with, follow.
        if self.link.renewed_credentials() {
            self.reload.soon();
        }
    }
}
