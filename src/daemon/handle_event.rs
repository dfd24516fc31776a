//! What the daemon makes of the events it hears of.

use std::collections::BTreeMap;
use std::time::Instant;

use chrono::{DateTime, TimeDelta, Utc};

use super::Daemon;
use super::database_session::{OpenedDatabase, set_aside};
use super::dataset_runtime::DatasetRuntime;
use super::dataset_task::{DatasetTask, TaskEnd};
use super::events::{Event, Signal};
use super::handle::{DaemonCommand, News};
use super::shutdown::say_not_begun;
use super::sweep::SweepResult;
use super::task::{TaskError, TaskResult};
use super::trouble::{DELAYS, PERSISTENT_DELAYS, RetryDelays, source_delays};
use crate::dataset::DatasetName;
use crate::day::{self, Day};
use crate::db::attempts::Trigger;
use crate::db::paused::Pause;
use crate::load_day::Told;

/// What trouble may be with, beside datasets.
pub(super) const LOOKING: &str = "looking at the open days";
pub(super) const TELLING: &str = "noting how attempts ended";

/// How long due days are left of which nothing came: what holds them back takes its time.
const FRUITLESS: TimeDelta = TimeDelta::seconds(30);

impl Daemon {
    pub(super) fn handle_event(&mut self, event: Event) {
        match event {
            Event::Signal(Signal::Stop) => self.stop_signal(),
            Event::Signal(Signal::Reload) => self.reloader.now(),
            Event::FilesChanged => self.reloader.soon(),
            Event::Connected { generation, connected } => self.connected(generation, connected),
            Event::SweepEnded { generation, result } => self.sweep_ended(generation, *result),
            Event::TaskEnded { generation, name, task, began, result } => {
                let is_of_now = generation == self.database.generation();
                let result = if is_of_now { result } else { result.or_else(TaskError::elsewhere) };
                self.task_ended(&name, &task, began, result);
            }
            Event::AttemptsCleared(cleared) => self.cleared(cleared),
            Event::ConfigurationRead(read) => self.read(*read),
            Event::ThreadPanicked(what, panic) => {
                // The loop cannot know what the thread left undone; a new process can.
                log::error!("{what}: {panic}; the daemon ends, to be started again");
                std::process::exit(1);
            }
        }
    }

    fn connected(&mut self, generation: u32, connected: Result<OpenedDatabase, String>) {
        self.database.ended_connecting();
        if generation != self.database.generation() {
            return connected.into_iter().for_each(|connected| set_aside(connected.context));
        }
        match connected {
            Ok(OpenedDatabase { context, paused }) => {
                self.reached();
                self.paused(paused);
                context.worker.note_refused_config(self.problems());
                self.database.take(context);
            }
            Err(error) => self.lost(&error),
        }
        if !self.ready {
            self.ready = true;
            (self.configuration.in_force)();
            self.manager.ready(&self.status_text());
        }
    }

    fn sweep_ended(&mut self, generation: u32, result: SweepResult) {
        let now = Utc::now();
        let lease = self.configuration.connection.lease;
        let SweepResult { open, told } = result;
        self.told_ends(told);
        self.database.let_go_of_older();
        if generation != self.database.generation() {
            // It says nothing about the database that is in force by now.
            self.sweeper.ended(now, lease, None);
            return self.sweeper.soon(now);
        }
        match open {
            Ok(open) => {
                self.reached();
                self.sweep_trouble.end();
                self.paused(open.paused.clone());
                open.forgot.iter().for_each(|name| self.news.push(News::Dataset(name.clone())));
                let mut due = open.due(&self.queue.definitions());
                for (name, dataset) in self.queue.iter_mut() {
                    dataset.due(due.days.remove(name).unwrap_or_default());
                }
                self.sweeper.ended(now, lease, due.next_in);
            }
            Err(TaskError::Unreachable(error)) => {
                self.lost(&error);
                self.sweeper.ended(now, lease, None);
            }
            Err(TaskError::Persistent(error) | TaskError::Other(error)) => {
                self.handle.metrics().database_failed();
                self.sweep_trouble.record(&error, DELAYS);
                self.sweeper.ended(now, lease, None);
            }
        }
    }

    /// These datasets are paused, and no others.
    pub(super) fn paused(&mut self, paused: Vec<Pause>) {
        let now: BTreeMap<DatasetName, Pause> =
            paused.into_iter().filter_map(|paused| Some((paused.dataset.parse().ok()?, paused))).collect();
        if now == *self.queue.paused() {
            return;
        }
        for (name, dataset) in self.queue.iter() {
            match (&dataset.paused, now.get(name)) {
                (None, Some(_)) => log::info!("{name}: paused; no day begins by itself"),
                (Some(_), None) => log::info!("{name}: goes on after a pause"),
                _ => {}
            }
        }
        self.queue.pause(now);
        self.news.push(News::Daemon);
    }

    pub(super) fn handle_command(&mut self, command: DaemonCommand) {
        match command {
            DaemonCommand::CatchUp(dataset) => self.queue.look(&dataset, Some(Trigger::Page)),
            // It came in just before the stop was to be seen.
            DaemonCommand::Load { dataset, days, .. } if self.stopping.is_some() => say_not_begun(&dataset, &days),
            DaemonCommand::Load { dataset, days, ask } => self.queue.ask(&dataset, days, ask),
            DaemonCommand::Changed(dataset) => {
                self.sweeper.soon(Utc::now());
                self.news.push(News::Dataset(dataset));
            }
        }
    }

    /// Days whose attempts the database was told the end of only now are as before them, and wanted again.
    fn told_ends(&mut self, told: Told) {
        for name in &told.datasets {
            self.queue.look(name, Some(Trigger::Due));
        }
        told.all.into_iter().for_each(|name| self.news.push(News::Dataset(name)));
        match told.error {
            None => self.flush_trouble.end(),
            // That is said of the database, once.
            Some(error) if error.is_unreachable() => log::debug!("{TELLING}: {error}"),
            Some(error) => {
                self.handle.metrics().database_failed();
                self.flush_trouble.record(&error.to_string(), DELAYS);
            }
        }
    }

    fn task_ended(
        &mut self,
        name: &DatasetName,
        work: &DatasetTask,
        began: Instant,
        result: Result<TaskResult, TaskError>,
    ) {
        // What waited or failed just now has a clock of its own.
        if result.as_ref().map_or(true, |result| result.last.is_some()) {
            self.sweeper.soon(Utc::now());
        }
        let ended = match result {
            Ok(result) => self.done(name, work, began, &result),
            // It met the trouble that is over by now.
            Err(TaskError::Unreachable(error)) if self.database.came_back_after(began) => {
                log::debug!("{name}: {error}");
                TaskEnd::Unreachable
            }
            Err(TaskError::Unreachable(error)) => {
                self.lost(&error);
                TaskEnd::Unreachable
            }
            Err(TaskError::Persistent(error)) => self.blocked(name, &error, PERSISTENT_DELAYS),
            Err(TaskError::Other(error)) => self.blocked(name, &error, DELAYS),
        };
        self.queue.end(name, work, ended);
    }

    /// Something stands in the dataset's way.
    fn blocked(&mut self, name: &DatasetName, error: &str, delays: RetryDelays) -> TaskEnd {
        let Some(dataset) = self.queue.dataset_mut(name) else {
            // Nobody waits for a dataset that is gone.
            log::debug!("{name}: {error}");
            return TaskEnd::Stopped;
        };
        self.handle.metrics().troubled(name);
        TaskEnd::Blocked(dataset.trouble.record(error, delays))
    }

    fn done(&mut self, name: &DatasetName, work: &DatasetTask, began: Instant, result: &TaskResult) -> TaskEnd {
        let fruitless = matches!(work, DatasetTask::Due(_)) && result.last.is_none();
        // Seeing which days are late asks nothing of the target.
        let mut away = None;
        if let Some(dataset) = self.queue.dataset_mut(name) {
            if *work != DatasetTask::FindLate && dataset.trouble.end_by_task_of(began) {
                dataset.not_before = None;
            }
            if let Some(late) = &result.late {
                log_late(name, dataset, late);
            }
            if result.told {
                dataset.look(Some(Trigger::Due));
            }
            if result.unavailable.is_some() {
                self.handle.metrics().troubled(name);
                self.news.push(News::Dataset(name.clone()));
            }
            away = check_source(dataset, result);
        }
        if let Some(last) = &result.last {
            self.last = Some((name.clone(), last.clone()));
            self.manager.status(&self.status_text());
        }
        match result {
            TaskResult { stopped: true, .. } => TaskEnd::Stopped,
            _ if away.is_some() => away.map_or(TaskEnd::Done, TaskEnd::SourceUnavailable),
            TaskResult { loaded: true, .. } => TaskEnd::Loaded,
            _ if fruitless => TaskEnd::NoProgress(Utc::now() + FRUITLESS),
            _ => TaskEnd::Done,
        }
    }

    /// The database cannot be reached: said once.
    fn lost(&mut self, error: &str) {
        let now = Utc::now();
        self.handle.metrics().database_failed();
        if self.database.lost(error, now) {
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
        if let Some(lasted) = self.database.reached(now) {
            log::info!("the database is back after {} s", lasted.num_seconds());
            self.news.push(News::Daemon);
            self.manager.status(&self.status_text());
            self.sweeper.soon(now);
        }
        // What the page shows of the configuration, and what a reload compares with, follow.
        if self.database.renewed_credentials() {
            self.reloader.soon();
        }
    }
}

/// Notes whether the dataset's source can be asked; where it cannot, when to try again.
fn check_source(dataset: &mut DatasetRuntime, result: &TaskResult) -> Option<DateTime<Utc>> {
    let Some(unavailable) = &result.unavailable else {
        if result.answered {
            dataset.source_trouble.end();
            dataset.away_until = None;
        }
        return None;
    };
    let delays = source_delays(dataset.policy(), result.answered);
    let next = dataset.source_trouble.record(&format!("source unavailable: {unavailable}"), delays);
    // Before, no request would be sent.
    Some(unavailable.until.map_or(next, |until| next.max(until)))
}

/// Logs which days are late, each once.
fn log_late(name: &DatasetName, dataset: &mut DatasetRuntime, late: &[Day]) {
    dataset.late.retain(|day| late.contains(day));
    let news: Vec<Day> = late.iter().copied().filter(|day| dataset.late.insert(*day)).collect();
    let deadline = dataset.policy().waiting.deadline;
    if let (false, Some(deadline)) = (news.is_empty(), deadline) {
        log::warn!("{name}: late, not loaded by {}: {}", deadline.format("%H:%M"), day::listed(&news));
    }
}
