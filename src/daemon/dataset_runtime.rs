//! A dataset at work in the daemon: its schedule, its tasks, its pause, and what is in its way. Pure: it is told the time.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use chrono::{DateTime, Days, Utc};

use super::active_dataset::ActiveDataset;
use super::dataset_task::{DatasetTask, StartedTask};
use super::trouble::TrackedTrouble;
use crate::cron;
use crate::dataset::{Dataset, DatasetName};
use crate::day::Day;
use crate::db::attempts::Trigger;
use crate::db::paused::Pause;
use crate::load_day::{Job, Stop};
use crate::policy::Policy;
use crate::reconcile::StartedDays;

/// A task that waits for its turn.
pub(super) struct WaitingTask {
    pub(super) lane: usize,
    pub(super) loads: bool,
}

/// A task under way.
#[derive(Debug)]
pub(super) struct RunningTask {
    pub(super) task: DatasetTask,
    pub(super) began: DateTime<Utc>,
    pub(super) threads: usize,
    /// How many it could use.
    pub(super) most_threads: usize,
    pub(super) until: Stop,
    /// The days of it that began.
    pub(super) days: StartedDays,
    /// The dataset became another meanwhile, or was taken off.
    pub(super) superseded: bool,
}

/// Tasks of one kind and dataset, which run one after another: what comes next, and what is under way.
#[derive(Debug, Default)]
pub(super) struct TaskLane {
    /// What a task left when others waited for its threads.
    pub(super) left: Option<DatasetTask>,
    pub(super) next: Option<DatasetTask>,
    pub(super) running: Option<RunningTask>,
}

impl TaskLane {
    /// What waits for its turn.
    pub(super) fn waiting(&self) -> Option<&DatasetTask> {
        self.left.as_ref().or(self.next.as_ref())
    }

    pub(super) fn clear(&mut self) {
        (self.left, self.next) = (None, None);
    }
}

/// A dataset at work in the daemon: all that is known of it there.
pub(super) struct DatasetRuntime {
    /// Its definition in force.
    pub(super) definition: Arc<ActiveDataset>,
    /// What keeps it from being loaded.
    pub(super) trouble: TrackedTrouble,
    /// Why its source cannot be asked.
    pub(super) source_trouble: TrackedTrouble,
    /// Late days that were logged.
    pub(super) late: BTreeSet<Day>,
    /// Days asked for of which it was logged that they did not begin.
    pub(super) not_begun_logged: BTreeSet<Day>,
    pub(super) next_tick: Option<DateTime<Utc>>,
    /// When the last tick was taken.
    pub(super) last_tick: Option<DateTime<Utc>>,
    pub(super) next_deadline: Option<DateTime<Utc>>,
    /// What the schedule wants.
    pub(super) looks: TaskLane,
    /// What the clocks of days want. It need not wait until a long catch-up is over.
    pub(super) dues: TaskLane,
    /// What deadlines want, which does not wait either.
    pub(super) lates: TaskLane,
    /// What persons ask for, and what waits for its turn there.
    pub(super) asked: TaskLane,
    pub(super) asked_next: VecDeque<DatasetTask>,
    /// What persons ask for and waits until another load of the same days has ended.
    pub(super) held: Vec<DatasetTask>,
    /// A user paused it: it begins nothing but what users ask for.
    pub(super) paused: Option<Pause>,
    /// Due days of which nothing came, and until when nothing else is expected.
    pub(super) fruitless: Option<(DatasetTask, DateTime<Utc>)>,
    /// The dataset was taken off while it was worked on.
    pub(super) gone: bool,
    pub(super) not_before: Option<DateTime<Utc>>,
    /// Its source could not be asked, and until when it is not asked again, unless a person wants it to be.
    pub(super) away_until: Option<DateTime<Utc>>,
}

impl DatasetRuntime {
    pub(super) fn new(job: &Arc<Job>) -> Self {
        Self {
            definition: Arc::new(ActiveDataset::new(job)),
            trouble: TrackedTrouble::default(),
            source_trouble: TrackedTrouble::default(),
            late: BTreeSet::new(),
            not_begun_logged: BTreeSet::new(),
            next_tick: None,
            last_tick: None,
            next_deadline: None,
            looks: TaskLane::default(),
            dues: TaskLane::default(),
            lates: TaskLane::default(),
            asked: TaskLane::default(),
            asked_next: VecDeque::new(),
            held: Vec::new(),
            paused: None,
            fruitless: None,
            gone: false,
            not_before: None,
            away_until: None,
        }
    }

    /// Puts another definition in force. Days under way go on; what is left of their tasks is for the new one.
    pub(super) fn redefine(&mut self, job: &Arc<Job>) {
        let Self { definition, trouble, source_trouble, .. } = Self::new(job);
        (self.definition, self.trouble, self.source_trouble) = (definition, trouble, source_trouble);
        (self.fruitless, self.gone) = (None, false);
        self.try_now();
        self.supersede();
    }

    /// Takes the dataset off. Days under way go on.
    pub(super) fn take_off(&mut self) {
        self.gone = true;
        (self.next_tick, self.next_deadline) = (None, None);
        self.supersede();
        self.lanes_mut().into_iter().for_each(TaskLane::clear);
        self.asked_next.clear();
        self.held.clear();
        self.late.clear();
    }

    /// True when it was taken off and none of its tasks is under way any more.
    pub(super) fn is_over(&self) -> bool {
        self.gone && self.lanes().iter().all(|lane| lane.running.is_none())
    }

    pub(super) fn policy(&self) -> &Policy {
        &self.definition.job.dataset.policy
    }

    /// Ends pauses that are over, and takes up what comes next.
    pub(super) fn prepare(&mut self, now: DateTime<Utc>) {
        if self.not_before.is_some_and(|until| now < until) {
            return;
        }
        // Over: what is wanted from here on waits for its turn, not for a time that is past.
        self.not_before = None;
        self.away_until = self.away_until.filter(|until| now < *until);
        self.leave_fruitless(now);
        if self.asked.running.is_none() && self.asked.next.is_none() {
            self.asked.next = self.asked_next.pop_front();
        }
    }

    /// What waits for nothing but threads.
    pub(super) fn waiting(&self, now: DateTime<Utc>) -> Vec<WaitingTask> {
        if self.not_before.is_some_and(|until| now < until) {
            return Vec::new();
        }
        let (paused, away) = (self.paused.is_some(), self.away_until.is_some());
        let is_held = |task: &DatasetTask| match task {
            DatasetTask::FindLate => false,
            DatasetTask::CatchUp(None) | DatasetTask::Requested(..) => away,
            DatasetTask::CatchUp(Some(_)) | DatasetTask::Resume(..) | DatasetTask::Due(_) => paused || away,
        };
        let of_lane = |(lane, tasks): (usize, &TaskLane)| {
            let task = tasks.waiting().filter(|task| tasks.running.is_none() && !is_held(task))?;
            Some(WaitingTask { lane, loads: task.loads() })
        };
        self.lanes().into_iter().enumerate().filter_map(of_lane).collect()
    }

    /// Takes what waits in that lane; it is under way from here on.
    pub(super) fn begin(
        &mut self,
        name: &DatasetName,
        lane: usize,
        threads: usize,
        now: DateTime<Utc>,
    ) -> Option<StartedTask> {
        let definition = Arc::clone(&self.definition);
        let lane = [&mut self.looks, &mut self.dues, &mut self.lates, &mut self.asked].into_iter().nth(lane)?;
        let task = lane.left.take().or_else(|| lane.next.take())?;
        let days = match &task {
            DatasetTask::Resume(_, days) | DatasetTask::Requested(_, _, days) => days.clone(),
            _ => StartedDays::default(),
        };
        let (most_threads, until) = (task.most_threads(&definition.job.dataset.policy), Stop::default());
        let threads = threads.min(most_threads);
        let run = RunningTask {
            task: task.clone(),
            began: now,
            threads,
            most_threads,
            until: until.clone(),
            days: days.clone(),
            superseded: false,
        };
        lane.running = Some(run);
        Some(StartedTask { name: name.clone(), task, threads, until, days })
    }

    /// Has what is under way begin no further day: the dataset is another from here on.
    pub(super) fn supersede(&mut self) {
        if let Some(DatasetTask::Resume(trigger, _)) = self.looks.left.take() {
            self.look(Some(trigger));
        }
        for run in self.lanes_mut().into_iter().filter_map(|lane| lane.running.as_mut()) {
            run.superseded = true;
            run.until.halt();
        }
    }

    /// Wants these days tried. What was wanted so before is forgotten: it is among them, or done.
    pub(super) fn due(&mut self, days: Vec<Day>) {
        self.dues.next = (!days.is_empty()).then_some(DatasetTask::Due(days));
    }

    /// The days that users asked for and that did not begin, oldest first.
    pub(super) fn not_begun(&self) -> Vec<Day> {
        let of_task = |task: &DatasetTask| match task {
            DatasetTask::Requested(days, _, begun) => begun.left_of(days),
            _ => Vec::new(),
        };
        self.asked_for().flat_map(of_task).collect::<BTreeSet<Day>>().into_iter().collect()
    }

    /// Who asks for something may have changed what was in the way.
    pub(super) fn try_now(&mut self) {
        (self.not_before, self.away_until) = (None, None);
    }

    /// What persons asked for and is not over, in its order.
    pub(super) fn asked_for(&self) -> impl Iterator<Item = &DatasetTask> {
        self.asked.running.iter().map(|run| &run.task).chain(&self.asked.next).chain(&self.asked_next).chain(&self.held)
    }

    pub(super) fn lanes(&self) -> [&TaskLane; 4] {
        [&self.looks, &self.dues, &self.lates, &self.asked]
    }

    pub(super) fn lanes_mut(&mut self) -> [&mut TaskLane; 4] {
        [&mut self.looks, &mut self.dues, &mut self.lates, &mut self.asked]
    }

    pub(super) fn lane_of(&mut self, work: &DatasetTask) -> &mut TaskLane {
        match work {
            DatasetTask::CatchUp(_) | DatasetTask::Resume(..) => &mut self.looks,
            DatasetTask::Due(_) => &mut self.dues,
            DatasetTask::FindLate => &mut self.lates,
            DatasetTask::Requested(..) => &mut self.asked,
        }
    }

    pub(super) fn aim(&mut self, now: DateTime<Utc>) {
        let Dataset { schedule, policy, .. } = &self.definition.job.dataset;
        // Every schedule ticks again; where the calendar leaves a date out (Apia, 2011) the search may not see beyond
        // it.
        self.next_tick = cron::next_tick(schedule, now).or_else(|| now.checked_add_days(Days::new(1)));
        let last = cron::last_tick_at(schedule, now);
        let deadline = policy.waiting.deadline.zip(last);
        self.next_deadline = deadline
            .and_then(|(time, last)| cron::first_time_after(schedule.timezone, time, last))
            .filter(|deadline| *deadline > now);
    }

    /// Takes due days off that were tried for nothing a moment ago. Other days may be due at any time.
    pub(super) fn leave_fruitless(&mut self, now: DateTime<Utc>) {
        if let Some((days, until)) = &self.fruitless {
            if now >= *until {
                self.fruitless = None;
            } else if self.dues.next.as_ref() == Some(days) {
                self.dues.next = None;
            }
        }
    }

    pub(super) fn look(&mut self, trigger: Option<Trigger>) {
        // What was wanted first says why.
        let trigger = match &self.looks.next {
            Some(DatasetTask::CatchUp(first)) => first.or(trigger),
            _ => trigger,
        };
        self.looks.next = Some(DatasetTask::CatchUp(trigger));
    }
}
