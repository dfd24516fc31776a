//! The run queue: which dataset's tasks run when. Pure: it is told the time and how tasks ended, and says which to start.
//! A tick only means "look again": a tick that is lost, doubled or early changes nothing but the hour.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use super::active_dataset::ActiveDataset;
use super::dataset_runtime::{DatasetRuntime, RunningTask, WaitingTask};
use super::dataset_task::{DatasetTask, StartedTask, TaskEnd};
use crate::dataset::DatasetName;
use crate::day::Day;
use crate::db::attempts::Trigger;
use crate::db::paused::Pause;
use crate::load_day::Job;
use crate::plan::LoadMode;
use crate::reconcile::StartedDays;

/// Threads for tasks that load nothing, beside those that load: no deadline waits for the end of a load.
const CHECK_THREADS: usize = 4;

/// How long a task goes on while others wait for its threads. Then it begins no further day, and waits for its next turn.
const SLICE: TimeDelta = TimeDelta::seconds(10);

/// Which dataset is to be looked at when.
#[derive(Default)]
pub(super) struct RunQueue {
    datasets: BTreeMap<DatasetName, DatasetRuntime>,
    /// The paused datasets of the database, whether they are at work here or not.
    paused: BTreeMap<DatasetName, Pause>,
    /// The dataset whose turn was last: the ones behind it are next.
    last_begun: Option<DatasetName>,
    /// When a task under way is to make room for others.
    next_yield: Option<DateTime<Utc>>,
}

impl RunQueue {
    /// Puts a dataset on the queue, or changes it there; of work under way, the days that began go on.
    pub(super) fn put(&mut self, job: &Arc<Job>, now: DateTime<Utc>) {
        let name = &job.dataset.name;
        let dataset = self.datasets.entry(name.clone()).or_insert_with(|| DatasetRuntime::new(job));
        dataset.redefine(job);
        dataset.paused = self.paused.get(name).cloned();
        dataset.aim(now);
    }

    /// Takes a dataset off; days that began go on, and their work is known until it ends: a dataset of that name that comes
    /// meanwhile is not worked on twice.
    pub(super) fn remove(&mut self, name: &DatasetName) {
        if let Some(dataset) = self.datasets.get_mut(name) {
            dataset.take_off();
        }
        self.forget_if_over(name);
    }

    fn forget_if_over(&mut self, name: &DatasetName) {
        if self.datasets.get(name).is_some_and(DatasetRuntime::is_over) {
            self.datasets.remove(name);
        }
    }

    /// The datasets at work, by name.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&DatasetName, &DatasetRuntime)> {
        self.datasets.iter().filter(|(_, dataset)| !dataset.gone)
    }

    /// The same, to be changed.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (&DatasetName, &mut DatasetRuntime)> {
        self.datasets.iter_mut().filter(|(_, dataset)| !dataset.gone)
    }

    /// The definitions in force, by name.
    pub(super) fn definitions(&self) -> BTreeMap<DatasetName, Arc<ActiveDataset>> {
        self.iter().map(|(name, dataset)| (name.clone(), Arc::clone(&dataset.definition))).collect()
    }

    /// A dataset at work.
    pub(super) fn dataset(&self, name: &DatasetName) -> Option<&DatasetRuntime> {
        self.datasets.get(name).filter(|dataset| !dataset.gone)
    }

    /// The paused datasets of the database.
    pub(super) fn paused(&self) -> &BTreeMap<DatasetName, Pause> {
        &self.paused
    }

    /// The same, to be changed.
    pub(super) fn dataset_mut(&mut self, name: &DatasetName) -> Option<&mut DatasetRuntime> {
        self.datasets.get_mut(name).filter(|dataset| !dataset.gone)
    }

    /// Wants a dataset looked at, by the schedule where a trigger is named. While it is being looked at, once more
    /// after that.
    pub(super) fn look(&mut self, name: &DatasetName, trigger: Option<Trigger>) {
        if let Some(dataset) = self.dataset_mut(name) {
            dataset.look(trigger);
            if trigger == Some(Trigger::Page) {
                dataset.try_now();
            }
        }
    }

    /// Wants days of a dataset loaded that a person asked for, but for those that wait to be loaded in that way already.
    pub(super) fn ask(&mut self, name: &DatasetName, mut days: Vec<Day>, ask: LoadMode) {
        let Some(dataset) = self.dataset_mut(name) else { return };
        let left = |work: &DatasetTask| match work {
            DatasetTask::Requested(days, same, begun) if *same == ask => begun.left_of(days),
            _ => Vec::new(),
        };
        let waiting: BTreeSet<Day> = dataset.asked_for().flat_map(left).collect();
        days.retain(|day| !waiting.contains(day));
        if !days.is_empty() {
            dataset.asked_next.push_back(DatasetTask::Requested(days, ask, StartedDays::default()));
        }
        dataset.try_now();
    }

    /// Has these datasets begin nothing by themselves, and no others. One whose pause is over is looked at.
    pub(super) fn pause(&mut self, paused: BTreeMap<DatasetName, Pause>) {
        for (name, dataset) in self.iter_mut() {
            let before = std::mem::replace(&mut dataset.paused, paused.get(name).cloned());
            if before.is_some() && dataset.paused.is_none() {
                dataset.look(Some(Trigger::Page));
            }
        }
        self.paused = paused;
    }

    /// Wants looked at what has its tick or its deadline by now.
    pub(super) fn pass(&mut self, now: DateTime<Utc>) {
        for dataset in self.datasets.values_mut() {
            let ticked = dataset.next_tick.is_some_and(|tick| tick <= now);
            let late = dataset.next_deadline.is_some_and(|deadline| deadline <= now);
            if ticked {
                dataset.last_tick = Some(now);
                dataset.look(Some(Trigger::Tick));
            }
            if late {
                dataset.lates.next = Some(DatasetTask::FindLate);
            }
            if ticked || late {
                dataset.aim(now);
            }
        }
    }

    /// Aims anew after the wall clock was set: ticks to come may lie before those that were aimed at, and pauses end at
    /// a time that may be far away by now.
    pub(super) fn aim(&mut self, now: DateTime<Utc>) {
        self.pass(now);
        for dataset in self.datasets.values_mut().filter(|dataset| !dataset.gone) {
            dataset.aim(now);
            dataset.not_before = None;
            dataset.away_until = None;
            dataset.fruitless = None;
            dataset.trouble.try_now(now);
            dataset.source_trouble.try_now(now);
        }
    }

    /// The next tick or deadline of any dataset.
    pub(super) fn next(&self) -> Option<DateTime<Utc>> {
        self.datasets.values().flat_map(|dataset| [dataset.next_tick, dataset.next_deadline]).flatten().min()
    }

    /// What can begin now; it is under way from here on. `threads` is how many may load: there are never
    /// more of them, however many datasets have work, and a few that load nothing. Datasets take turns.
    pub(super) fn begin(&mut self, now: DateTime<Utc>, threads: usize) -> Vec<StartedTask> {
        self.datasets.values_mut().for_each(|dataset| dataset.prepare(now));
        let mut free_loads = threads.saturating_sub(self.threads(DatasetTask::loads));
        let mut free_checks = CHECK_THREADS.saturating_sub(self.threads(|task| !task.loads()));
        let mut waiting = self.waiting(now);
        let turn = waiting.partition_point(|(name, _)| self.last_begun.as_ref().is_some_and(|last| name <= last));
        waiting.rotate_left(turn);
        let mut loads_waiting = waiting.iter().filter(|(_, kind)| kind.loads).count();
        let mut begun = Vec::new();
        for (name, WaitingTask { lane, loads }) in waiting {
            let free = if loads { &mut free_loads } else { &mut free_checks };
            let Some(dataset) = self.datasets.get_mut(&name).filter(|_| *free > 0) else { continue };
            // Who waits behind it gets a share.
            let share = if loads { (*free / loads_waiting.max(1)).max(1) } else { 1 };
            let started = dataset.begin(&name, lane, share, now);
            if loads {
                loads_waiting -= 1;
                self.last_begun = Some(name);
            }
            *free -= started.as_ref().map_or(0, |started| started.threads);
            begun.extend(started);
        }
        let is_waiting = loads_waiting > 0;
        self.make_room(now, loads_waiting, if is_waiting { 0 } else { free_loads });
        begun
    }

    /// Has tasks that went on for long make room for others that wait, or for more threads of their own.
    fn make_room(&mut self, now: DateTime<Utc>, waiting: usize, free: usize) {
        let running =
            self.datasets.values_mut().flat_map(DatasetRuntime::lanes_mut).filter_map(|lane| lane.running.as_mut());
        let (halted, going_on): (Vec<&mut RunningTask>, Vec<_>) =
            running.filter(|run| run.task.loads()).partition(|run| run.until.is_halted());
        // Those that were halted before make room, too, once the day that they are at has ended.
        let wanted = waiting.max(1).saturating_sub(halted.len());
        let gains = |run: &&mut RunningTask| waiting > 0 || (free > 0 && run.threads < run.most_threads);
        let mut running: Vec<&mut RunningTask> = going_on.into_iter().filter(gains).collect();
        running.sort_by_key(|run| run.began);
        self.next_yield = running.first().map(|run| run.began + SLICE).filter(|at| *at > now);
        let is_over = |run: &&mut RunningTask| run.began + SLICE <= now;
        running.into_iter().take_while(|run| is_over(run)).take(wanted).for_each(|run| run.until.halt());
    }

    /// How many threads are at work on such tasks.
    fn threads(&self, is_such: impl Fn(&DatasetTask) -> bool) -> usize {
        let running = self.datasets.values().flat_map(DatasetRuntime::lanes).filter_map(|lane| lane.running.as_ref());
        running.filter(|run| is_such(&run.task)).map(|run| run.threads).sum()
    }

    /// What waits for nothing but threads, by dataset.
    fn waiting(&self, now: DateTime<Utc>) -> Vec<(DatasetName, WaitingTask)> {
        let of_dataset = |(name, dataset): (&DatasetName, &DatasetRuntime)| {
            dataset.waiting(now).into_iter().map(|waiting| (name.clone(), waiting)).collect::<Vec<_>>()
        };
        self.datasets.iter().flat_map(of_dataset).collect()
    }

    /// Notes that work ended. What could not be done is wanted again.
    pub(super) fn end(&mut self, name: &DatasetName, work: &DatasetTask, ended: TaskEnd) {
        let Some(dataset) = self.datasets.get_mut(name) else { return };
        let Some(run) = dataset.lane_of(work).running.take() else { return };
        if dataset.gone {
            return self.forget_if_over(name);
        }
        match ended {
            TaskEnd::Blocked(until) => dataset.not_before = Some(until),
            TaskEnd::SourceUnavailable(until) => dataset.away_until = Some(until),
            _ => {}
        }
        let again = !matches!(ended, TaskEnd::Done | TaskEnd::Loaded | TaskEnd::NoProgress(_));
        match (work, ended) {
            (DatasetTask::CatchUp(Some(trigger)) | DatasetTask::Resume(trigger, _), TaskEnd::Stopped)
                if !run.superseded =>
            {
                dataset.looks.left = Some(DatasetTask::Resume(*trigger, run.days));
            }
            (DatasetTask::CatchUp(trigger), _) if again => dataset.look(*trigger),
            (DatasetTask::Resume(trigger, _), _) if again => dataset.look(Some(*trigger)),
            (DatasetTask::Requested(days, ask, _), _) => {
                let left = run.days.left_of(days);
                let left = (!left.is_empty()).then(|| DatasetTask::Requested(left, *ask, StartedDays::default()));
                // What is left of work that is done are days that another load of this process has.
                match left {
                    Some(left) if again => dataset.asked_next.push_front(left),
                    left => dataset.held.extend(left),
                }
            }
            (DatasetTask::Due(_), TaskEnd::NoProgress(until)) => dataset.fruitless = Some((work.clone(), until)),
            // What was held back by a day that is tried again may go on now.
            (DatasetTask::Due(_), TaskEnd::Loaded) if dataset.policy().catch_up.stop_on_failure => {
                dataset.look(Some(Trigger::Due));
            }
            // Whether the trouble is over is to be seen even where no day is due any more.
            (DatasetTask::Due(_) | DatasetTask::FindLate, TaskEnd::Blocked(_)) => dataset.look(None),
            // Days that are still due are found by the next look at all open days.
            _ => {}
        }
        if again && *work == DatasetTask::FindLate {
            dataset.lates.next = Some(DatasetTask::FindLate);
        }
    }

    /// Lets the days begin that a person asked for and whose other load has ended. Others do not wait for them.
    pub(super) fn free(&mut self, is_loading: impl Fn(&DatasetName, Day) -> bool) {
        for (name, dataset) in &mut self.datasets {
            for work in std::mem::take(&mut dataset.held) {
                let DatasetTask::Requested(days, ask, _) = work else { continue };
                let (held, free): (Vec<Day>, Vec<Day>) = days.into_iter().partition(|day| is_loading(name, *day));
                let work = |days: Vec<Day>| {
                    (!days.is_empty()).then(|| DatasetTask::Requested(days, ask, StartedDays::default()))
                };
                dataset.held.extend(work(held));
                dataset.asked_next.extend(work(free));
            }
        }
    }

    /// True while days that a person asked for wait until another load of them has ended.
    pub(super) fn holds_some(&self) -> bool {
        self.datasets.values().any(|dataset| !dataset.held.is_empty())
    }

    /// When the first dataset that waits for its trouble to pass may go on, or a task under way is to make room.
    pub(super) fn next_try(&self) -> Option<DateTime<Utc>> {
        let waits = |dataset: &&DatasetRuntime| {
            !dataset.asked_next.is_empty() || dataset.lanes().iter().any(|lane| lane.waiting().is_some())
        };
        let tries =
            self.datasets.values().filter(waits).filter_map(|dataset| dataset.not_before.max(dataset.away_until));
        tries.chain(self.next_yield).min()
    }

    /// How many lanes work now.
    pub(super) fn working(&self) -> usize {
        self.datasets.values().flat_map(DatasetRuntime::lanes).filter(|lane| lane.running.is_some()).count()
    }
}

#[cfg(test)]
mod tests;
