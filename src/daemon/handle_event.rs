//! What the daemon makes of the events it hears of.

use std::collections::BTreeMap;
use std::time::Instant;

use chrono::{DateTime, TimeDelta, Utc};

use super::Daemon;
use super::database_session::{OpenedDatabase, set_aside};
use super::dataset_runtime::DatasetRuntime;
use super::dataset_task::{DatasetTask, TaskEnd};
use super::events::{Event, Signal};
use super::handle::DaemonCommand;
use super::shutdown::say_not_begun;
use super::sweep::SweepResult;
use super::task::{TaskError, TaskResult};
use super::trouble::{DELAYS, PERSISTENT_DELAYS, RecordedTrouble, RetryDelays, TrackedTrouble, source_delays};
use crate::dataset::DatasetName;
use crate::day::Day;
use crate::db::attempts::Trigger;
use crate::db::paused::Pause;
use crate::events::PublishedEvent;
use crate::load_day::FlushedOutcomes;

/// What trouble may be with, beside datasets.
const LOOKING: &str = "looking at the open days";
const TELLING: &str = "noting how attempts ended";

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
                self.events.extend(database_recovered(LOOKING, &mut self.sweep_trouble));
                self.paused(open.paused.clone());
                let changed = |dataset: &DatasetName| PublishedEvent::DatasetChanged { dataset: dataset.clone() };
                self.events.extend(open.forgot.iter().map(changed));
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
                self.events.push(database_failed(LOOKING, &error, &mut self.sweep_trouble).1);
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
                (None, Some(_)) => self.events.push(PublishedEvent::DatasetPaused { dataset: name.clone() }),
                (Some(_), None) => self.events.push(PublishedEvent::DatasetResumed { dataset: name.clone() }),
                _ => {}
            }
        }
        self.queue.pause(now);
    }

    pub(super) fn handle_command(&mut self, command: DaemonCommand) {
        match command {
            DaemonCommand::CatchUp(dataset) => self.queue.look(&dataset, Some(Trigger::Page)),
            // It came in just before the stop was to be seen.
            DaemonCommand::Load { dataset, days, .. } if self.stopping.is_some() => say_not_begun(&dataset, &days),
            DaemonCommand::Load { dataset, days, ask } => self.queue.ask(&dataset, days, ask),
            DaemonCommand::Changed(dataset) => {
                self.sweeper.soon(Utc::now());
                self.events.push(PublishedEvent::DatasetChanged { dataset });
            }
        }
    }

    /// Days whose attempts the database was told the end of only now are as before them, and wanted again.
    fn told_ends(&mut self, told: FlushedOutcomes) {
        for name in &told.datasets {
            self.queue.look(name, Some(Trigger::Due));
        }
        told.all.into_iter().for_each(|name| self.events.push(PublishedEvent::DatasetChanged { dataset: name }));
        match told.error {
            None => self.events.extend(database_recovered(TELLING, &mut self.flush_trouble)),
            // That is said of the database, once.
            Some(error) if error.is_unreachable() => log::debug!("{TELLING}: {error}"),
            Some(error) => {
                self.events.push(database_failed(TELLING, &error.to_string(), &mut self.flush_trouble).1);
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
        let RecordedTrouble { until, again } = dataset.trouble.record(error, delays);
        let (dataset, error) = (name.clone(), error.to_owned());
        self.events.push(PublishedEvent::DatasetBlocked { dataset, error, again });
        TaskEnd::Blocked(until)
    }

    fn done(&mut self, name: &DatasetName, work: &DatasetTask, began: Instant, result: &TaskResult) -> TaskEnd {
        let fruitless = matches!(work, DatasetTask::Due(_)) && result.last.is_none();
        // Seeing which days are late asks nothing of the target.
        let mut away = None;
        if let Some(dataset) = self.queue.dataset_mut(name) {
            if *work != DatasetTask::FindLate
                && let Some(after) = dataset.trouble.end_by_task_of(began)
            {
                dataset.not_before = None;
                self.events.push(PublishedEvent::DatasetUnblocked { dataset: name.clone(), after });
            }
            if let Some(late) = &result.late {
                self.events.extend(newly_late(name, dataset, late));
            }
            if result.told {
                dataset.look(Some(Trigger::Due));
            }
            let (next, event) = check_source(name, dataset, result);
            away = next;
            self.events.extend(event);
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

    /// The database cannot be reached.
    fn lost(&mut self, error: &str) {
        let again = !self.database.lost(error, Utc::now());
        self.events.push(PublishedEvent::DatabaseLost { error: error.to_owned(), again });
        self.manager.status(&self.status_text());
    }

    /// The database answers.
    fn reached(&mut self) {
        let now = Utc::now();
        if let Some(lasted) = self.database.reached(now) {
            self.events.push(PublishedEvent::DatabaseBack { after: lasted.to_std().unwrap_or_default() });
            self.manager.status(&self.status_text());
            self.sweeper.soon(now);
        }
        // What the page shows of the configuration, and what a reload compares with, follow.
        if self.database.renewed_credentials() {
            self.reloader.soon();
        }
    }
}

/// Records whether the dataset's source can be asked: where it cannot, when to try again; and what is to be published.
fn check_source(
    name: &DatasetName,
    dataset: &mut DatasetRuntime,
    result: &TaskResult,
) -> (Option<DateTime<Utc>>, Option<PublishedEvent>) {
    let Some(unavailable) = &result.unavailable else {
        if !result.answered {
            return (None, None);
        }
        dataset.away_until = None;
        let unblocked = |after| PublishedEvent::DatasetUnblocked { dataset: name.clone(), after };
        return (None, dataset.source_trouble.end().map(unblocked));
    };
    let delays = source_delays(dataset.policy(), result.answered);
    let error = format!("source unavailable: {unavailable}");
    let RecordedTrouble { until, again } = dataset.source_trouble.record(&error, delays);
    // Before, no request would be sent.
    let until = unavailable.until.map_or(until, |asked| until.max(asked));
    (Some(until), Some(PublishedEvent::DatasetBlocked { dataset: name.clone(), error, again }))
}

/// The days that became late, each published once.
fn newly_late(name: &DatasetName, dataset: &mut DatasetRuntime, late: &[Day]) -> Option<PublishedEvent> {
    dataset.late.retain(|day| late.contains(day));
    let days: Vec<Day> = late.iter().copied().filter(|day| dataset.late.insert(*day)).collect();
    let deadline = dataset.policy().waiting.deadline.filter(|_| !days.is_empty())?;
    Some(PublishedEvent::DaysLate { dataset: name.clone(), days, deadline })
}

/// Records that the database failed the daemon's own work: when to try again, and what is to be published.
pub(super) fn database_failed(
    doing: &'static str,
    error: &str,
    trouble: &mut TrackedTrouble,
) -> (DateTime<Utc>, PublishedEvent) {
    let RecordedTrouble { until, again } = trouble.record(error, DELAYS);
    (until, PublishedEvent::DatabaseFailed { doing, error: error.to_owned(), again })
}

/// Records that the daemon's own work succeeds: what is to be published, if the database failed it before.
pub(super) fn database_recovered(doing: &'static str, trouble: &mut TrackedTrouble) -> Option<PublishedEvent> {
    trouble.end().map(|after| PublishedEvent::DatabaseRecovered { doing, after })
}
