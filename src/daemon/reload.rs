//! Reading the configuration again: a valid one takes effect. Where the main file is wrong, the old configuration goes on
//! whole; where the file of a dataset is, or does not fit the database, that dataset's old definition goes on.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};

use super::config_reader::{NewConfiguration, ReadJob};
use super::configuration::{BrokenDataset, DaemonConfig, Read};
use super::database_session::set_aside;
use super::dataset_runtime::DatasetRuntime;
use super::events::Event;
use super::{Daemon, watch};
use crate::dataset::DatasetName;
use crate::day;
use crate::db::attempts::Trigger;
use crate::events::PublishedEvent;
use crate::load_day::Job;

/// How long files must have rested before they are read: who writes one often writes several.
const REST: Duration = Duration::from_millis(500);

/// When the configuration is read again, and what came of the last time.
pub(super) struct Reloader {
    read: Arc<Read>,
    at: Option<Instant>,
    /// Somebody asked for it, and wants to know that nothing changed.
    asked: bool,
    out: bool,
    refused: Option<String>,
    refused_at: Option<DateTime<Utc>>,
    in_force_since: DateTime<Utc>,
}

impl Reloader {
    pub(super) fn new(read: Arc<Read>) -> Self {
        Self { read, at: None, asked: false, out: false, refused: None, refused_at: None, in_force_since: Utc::now() }
    }

    /// Reads at the loop's next turn.
    pub(super) fn now(&mut self) {
        self.at = Some(Instant::now());
        self.asked = true;
    }

    /// Reads when the files have rested.
    pub(super) fn soon(&mut self) {
        if self.at.is_none() || !self.asked {
            self.at = Some(Instant::now() + REST);
        }
    }

    /// How long until it is due.
    pub(super) fn due_in(&self) -> Option<Duration> {
        self.at.filter(|_| !self.out).map(|at| at.saturating_duration_since(Instant::now()))
    }

    /// When one was refused last.
    pub(super) fn refused_at(&self) -> Option<DateTime<Utc>> {
        self.refused_at
    }

    /// Since when the present one is in force.
    pub(super) fn in_force_since(&self) -> DateTime<Utc> {
        self.in_force_since
    }

    /// What is wrong with the configuration that was refused last, and since then none taken.
    pub(super) fn refused(&self) -> Option<String> {
        self.refused.clone()
    }
}

impl Daemon {
    pub(super) fn reload_if_due(&mut self) {
        if self.reloader.out || self.reloader.at.is_none_or(|at| at > Instant::now()) {
            return;
        }
        self.reloader.at = None;
        self.reloader.out = true;
        // Anew, before the files are read: a folder that was replaced is another to the system.
        self.watch = watch(&self.configuration, &self.send);
        self.manager.reloading();
        let reading = ReadJob {
            read: Arc::clone(&self.reloader.read),
            old: self.queue.iter().map(|(_, dataset)| Arc::clone(&dataset.definition.job)).collect(),
            old_keys: Arc::clone(&self.configuration.keys),
            context: self.database.context().cloned(),
            connection: self.configuration.connection.clone(),
            stop: self.stop.clone(),
            flights: Arc::clone(self.database.flights()),
            subscribers: self.handle.subscribers().clone(),
            runtime: tokio::runtime::Handle::current(),
        };
        self.thread("reload", move || Event::ConfigurationRead(Box::new(reading.read())));
    }

    pub(super) fn read(&mut self, read: Result<NewConfiguration, Vec<String>>) {
        self.reloader.out = false;
        if self.stopping.is_some() {
            return read.ok().and_then(|new| new.context).into_iter().for_each(set_aside);
        }
        let asked = std::mem::take(&mut self.reloader.asked);
        let known = self.problems();
        let refused = match read {
            Ok(new) => {
                self.obey(new, asked);
                self.events.push(PublishedEvent::ConfigurationApplied);
                None
            }
            Err(problems) => {
                self.reloader.refused_at = Some(Utc::now());
                let refused = problems.join("\n");
                self.events.push(PublishedEvent::ConfigurationRejected { problems });
                Some(refused)
            }
        };
        self.reloader.refused.clone_from(&refused);
        let problems = self.problems();
        if problems != known
            && let Some(context) = self.database.context()
        {
            context.worker.note_refused_config(problems);
        }
        let said = refused.map(|_| "configuration rejected, see the log; the previous one stays in force".to_owned());
        self.manager.ready(&said.unwrap_or_else(|| self.status_text()));
    }

    /// What is wrong with the files as they are, a line per problem; `None` when all of them are in force.
    pub(super) fn problems(&self) -> Option<String> {
        let broken = self.configuration.broken.iter().flat_map(|broken| &broken.problems).cloned();
        let all: Vec<String> = self.reloader.refused().into_iter().chain(broken).collect();
        (!all.is_empty()).then(|| all.join("\n"))
    }

    /// Says which datasets cannot be used, but for those that were told before.
    pub(super) fn say_broken(&self, told: &[BrokenDataset]) {
        for broken in self.configuration.broken.iter().filter(|broken| !told.contains(broken)) {
            for problem in &broken.problems {
                log::error!("wrong dataset file: {problem}");
            }
            let what = if broken.older_in_force { "its older definition stays in force" } else { "it is left out" };
            log::error!("dataset {}: {what} until this is fixed; the other datasets go on", broken.name);
        }
    }

    fn obey(&mut self, new: NewConfiguration, asked: bool) {
        let NewConfiguration { mut configuration, context, paused } = new;
        let changes = configuration.changes(&self.configuration);
        let told = std::mem::replace(&mut self.configuration.broken, std::mem::take(&mut configuration.broken));
        self.say_broken(&told);
        for fixed in told.iter().filter(|told| self.configuration.broken.iter().all(|now| now.name != told.name)) {
            log::info!("dataset {}: its file is in order", fixed.name);
        }
        if changes.is_empty() {
            context.into_iter().for_each(set_aside);
            if told != self.configuration.broken {
                return;
            }
            let level = if asked || self.reloader.refused.is_some() { log::Level::Info } else { log::Level::Debug };
            log::log!(level, "the configuration was read again: nothing changed");
            return;
        }
        let moved = !configuration.connection.database.same_place(&self.configuration.connection.database);
        // A tick that comes just now is still a tick of the old schedule.
        self.queue.pass(Utc::now());
        self.take_datasets(&configuration, moved);
        if configuration.connection != self.configuration.connection {
            // Without a connection there was none before either: the next try is by the new settings.
            self.database.replace(context);
        }
        if configuration.watched != self.configuration.watched {
            self.watch = watch(&configuration, &self.send);
        }
        if configuration.keep_attempts != self.configuration.keep_attempts {
            self.housekeeping.soon(Utc::now());
        }
        configuration.broken = std::mem::take(&mut self.configuration.broken);
        self.configuration = configuration;
        self.reloader.in_force_since = Utc::now();
        if let Some(paused) = paused {
            self.paused(paused);
        }
        self.sweeper.soon(Utc::now());
        // Said when it is so; and the level first, so that one that shows more shows this.
        (self.configuration.in_force)();
        for change in &changes {
            log::info!("configuration: {change}");
        }
        if moved {
            let database = &self.configuration.connection.database;
            log::warn!("the database is another now: wanted days that are not in {database} are loaded there");
        }
    }

    /// Datasets come, go and change. Those that stay as they are keep their connections, but in another database all
    /// are looked at anew.
    fn take_datasets(&mut self, configuration: &DaemonConfig, moved: bool) {
        let now = Utc::now();
        let is_gone = |name: &DatasetName| configuration.jobs.iter().all(|job| job.dataset.name != *name);
        let gone: Vec<DatasetName> = self.queue.iter().map(|(name, _)| name.clone()).filter(is_gone).collect();
        for name in gone {
            let days = self.queue.dataset(&name).map(DatasetRuntime::not_begun).unwrap_or_default();
            if !days.is_empty() {
                log::warn!("{name}: it was taken off before days that were asked for began: {}", day::listed(&days));
            }
            self.queue.remove(&name);
        }
        for job in &configuration.jobs {
            let Job { dataset, .. } = job.as_ref();
            let known = self.queue.dataset(&dataset.name);
            if !moved && known.is_some_and(|known| known.definition.job.dataset == *dataset) {
                continue;
            }
            self.queue.put(job, now);
            self.queue.look(&dataset.name, dataset.policy.catch_up.on_start.then_some(Trigger::Start));
        }
    }
}
