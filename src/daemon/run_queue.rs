//! The queue: which dataset is to be looked at when. Pure: it is told the time and what came of the work, and says
//! what to begin. A tick only means "look again", so that a tick lost, doubled or early changes nothing but the hour.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use chrono::{DateTime, Days, TimeDelta, Utc};

use crate::cron;
use crate::dataset::{Dataset, DatasetName, Schedule};
use crate::day::Day;
use crate::db::attempts::Trigger;
use crate::load_day::{Begun, Stop};
use crate::plan::LoadMode;
use crate::policy::Policy;

/// Threads for tasks that load nothing, beside those that load: no deadline waits for the end of a load.
const CHECK_THREADS: usize = 4;

/// How long a task goes on while others wait for its threads. Then it begins no further day, and waits for its next turn.
const SLICE: TimeDelta = TimeDelta::seconds(10);

/// Work on one dataset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum DatasetTask {
    /// See that the target fits, load what the schedule wants where a trigger is named, and see which days are late.
    CatchUp(Option<Trigger>),
    /// Go on with what the schedule wants, where the task before left off. The days that began are noted there.
    Resume(Trigger, Begun),
    /// Try these days, whose own clock says so.
    Due(Vec<Day>),
    /// See which days are late.
    FindLate,
    /// Load these days, which a person asked for on the page. Which of them began is noted there.
    Requested(Vec<Day>, LoadMode, Begun),
}

/// How work ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TaskEnd {
    /// It was done, and no day was loaded.
    Done,
    /// It was done, and some day was loaded.
    Loaded,
    /// Nothing came of the days that were due: older ones hold them back. They need not be tried again before then.
    NoProgress(DateTime<Utc>),
    /// The database cannot be reached; all datasets wait for it.
    Unreachable,
    /// Something else stood in the way; the dataset waits until then.
    Blocked(DateTime<Utc>),
    /// The dataset's source cannot be asked; what wants files of it waits until then.
    SourceUnavailable(DateTime<Utc>),
    /// It was to stop: the dataset became another, or others waited. What is left is for the new one, or for later.
    Stopped,
}

impl DatasetTask {
    /// True when it may load days.
    fn loads(&self) -> bool {
        !matches!(self, Self::CatchUp(None) | Self::FindLate)
    }

    /// How many threads it can use at most.
    fn most_threads(&self, policy: &Policy) -> usize {
        let days = match self {
            Self::CatchUp(None) | Self::FindLate => 1,
            Self::CatchUp(Some(_)) | Self::Resume(..) => usize::MAX,
            Self::Due(days) | Self::Requested(days, ..) => days.len(),
        };
        days.min(policy.catch_up.concurrency as usize).max(1)
    }
}

/// A task that is to run now.
#[derive(Debug, Clone)]
pub(super) struct StartedTask {
    /// The dataset.
    pub(super) name: DatasetName,
    /// What is to be done.
    pub(super) task: DatasetTask,
    /// How many threads it may use.
    pub(super) threads: usize,
    /// Says when no further day of it is to begin.
    pub(super) until: Stop,
    /// Notes which of its days began.
    pub(super) days: Begun,
}

/// A task that waits for its turn.
struct Waiting {
    lane: usize,
    loads: bool,
}

/// A task under way.
#[derive(Debug)]
struct RunningTask {
    task: DatasetTask,
    began: DateTime<Utc>,
    threads: usize,
    /// How many it could use.
    most_threads: usize,
    until: Stop,
    /// The days of it that began.
    days: Begun,
    /// The dataset became another meanwhile, or was taken off.
    superseded: bool,
}

/// Tasks of one kind and dataset, which run one after another: what comes next, and what is under way.
#[derive(Debug, Default)]
struct TaskLane {
    /// What a task left when others waited for its threads.
    left: Option<DatasetTask>,
    next: Option<DatasetTask>,
    running: Option<RunningTask>,
}

impl TaskLane {
    /// What waits for its turn.
    fn waiting(&self) -> Option<&DatasetTask> {
        self.left.as_ref().or(self.next.as_ref())
    }

    fn clear(&mut self) {
        (self.left, self.next) = (None, None);
    }
}

#[derive(Debug)]
struct Entry {
    schedule: Schedule,
    policy: Policy,
    next_tick: Option<DateTime<Utc>>,
    /// When the last tick was taken.
    last_tick: Option<DateTime<Utc>>,
    next_deadline: Option<DateTime<Utc>>,
    /// What the schedule wants.
    looks: TaskLane,
    /// What the clocks of days want. It need not wait until a long catch-up is over.
    dues: TaskLane,
    /// What deadlines want, which does not wait either.
    lates: TaskLane,
    /// What persons ask for, and what waits for its turn there.
    asked: TaskLane,
    asked_next: VecDeque<DatasetTask>,
    /// What persons ask for and waits until another load of the same days has ended.
    held: Vec<DatasetTask>,
    /// A person paused it: it begins nothing but what persons ask for.
    paused: bool,
    /// Due days of which nothing came, and until when nothing else is expected.
    fruitless: Option<(DatasetTask, DateTime<Utc>)>,
    /// The dataset was taken off while it was worked on.
    gone: bool,
    not_before: Option<DateTime<Utc>>,
    /// Its source could not be asked, and until when it is not asked again, unless a person wants it to be.
    away_until: Option<DateTime<Utc>>,
}

/// Which dataset is to be looked at when.
#[derive(Debug, Default)]
pub(super) struct RunQueue {
    entries: BTreeMap<DatasetName, Entry>,
    /// The dataset whose turn was last: the ones behind it are next.
    last_begun: Option<DatasetName>,
    /// When a task under way is to make room for others.
    next_yield: Option<DateTime<Utc>>,
}

impl RunQueue {
    /// Puts a dataset on the queue, or changes it there; of work under way, the days that began go on.
    pub(super) fn put(&mut self, dataset: &Dataset, now: DateTime<Utc>) {
        let Dataset { name, schedule, policy, .. } = dataset;
        let old = self.entries.remove(name);
        let old = old.unwrap_or_else(|| Entry::new(schedule, policy));
        let mut entry = Entry {
            schedule: schedule.clone(),
            policy: policy.clone(),
            fruitless: None,
            gone: false,
            not_before: None,
            away_until: None,
            ..old
        };
        entry.supersede();
        entry.aim(now);
        self.entries.insert(name.clone(), entry);
    }

    /// Takes a dataset off; days that began go on, and their work is known until it ends: a dataset of that name that comes
    /// meanwhile is not worked on twice.
    pub(super) fn remove(&mut self, name: &DatasetName) {
        let Some(entry) = self.entries.get_mut(name) else { return };
        entry.gone = true;
        (entry.next_tick, entry.next_deadline) = (None, None);
        entry.supersede();
        entry.lanes_mut().into_iter().for_each(TaskLane::clear);
        entry.asked_next.clear();
        entry.held.clear();
        self.forget_if_over(name);
    }

    fn forget_if_over(&mut self, name: &DatasetName) {
        let over = |entry: &Entry| entry.gone && entry.lanes().iter().all(|lane| lane.running.is_none());
        if self.entries.get(name).is_some_and(over) {
            self.entries.remove(name);
        }
    }

    /// The dataset's place, unless it was taken off.
    fn entry(&mut self, name: &DatasetName) -> Option<&mut Entry> {
        self.entries.get_mut(name).filter(|entry| !entry.gone)
    }

    /// Wants a dataset looked at, by the schedule where a trigger is named. While it is being looked at, once more
    /// after that.
    pub(super) fn look(&mut self, name: &DatasetName, trigger: Option<Trigger>) {
        if let Some(entry) = self.entry(name) {
            entry.look(trigger);
            if trigger == Some(Trigger::Page) {
                entry.try_now();
            }
        }
    }

    /// The dataset's source could be asked: whatever waits for that may begin.
    pub(super) fn source_answers(&mut self, name: &DatasetName) {
        if let Some(entry) = self.entry(name) {
            entry.away_until = None;
        }
    }

    /// The dataset's trouble is over: whatever waits for that may begin.
    pub(super) fn trouble_passed(&mut self, name: &DatasetName) {
        if let Some(entry) = self.entry(name) {
            entry.not_before = None;
        }
    }

    /// Wants these days of a dataset tried. What was wanted so before is forgotten: it is among them, or done.
    pub(super) fn due(&mut self, name: &DatasetName, days: Vec<Day>) {
        if let Some(entry) = self.entry(name) {
            entry.dues.next = (!days.is_empty()).then_some(DatasetTask::Due(days));
        }
    }

    /// Wants days of a dataset loaded that a person asked for, but for those that wait to be loaded in that way already.
    pub(super) fn ask(&mut self, name: &DatasetName, mut days: Vec<Day>, ask: LoadMode) {
        let Some(entry) = self.entry(name) else { return };
        let left = |work: &DatasetTask| match work {
            DatasetTask::Requested(days, same, begun) if *same == ask => begun.left_of(days),
            _ => Vec::new(),
        };
        let waiting: BTreeSet<Day> = entry.asked_for().flat_map(left).collect();
        days.retain(|day| !waiting.contains(day));
        if !days.is_empty() {
            entry.asked_next.push_back(DatasetTask::Requested(days, ask, Begun::default()));
        }
        entry.try_now();
    }

    /// Has these datasets begin nothing by themselves, and no others. One whose pause is over is looked at.
    pub(super) fn pause(&mut self, paused: &BTreeSet<DatasetName>) {
        for (name, entry) in &mut self.entries {
            let before = std::mem::replace(&mut entry.paused, paused.contains(name));
            if before && !entry.paused && !entry.gone {
                entry.look(Some(Trigger::Page));
            }
        }
    }

    /// Wants looked at what has its tick or its deadline by now.
    pub(super) fn pass(&mut self, now: DateTime<Utc>) {
        for entry in self.entries.values_mut() {
            let ticked = entry.next_tick.is_some_and(|tick| tick <= now);
            let late = entry.next_deadline.is_some_and(|deadline| deadline <= now);
            if ticked {
                entry.last_tick = Some(now);
                entry.look(Some(Trigger::Tick));
            }
            if late {
                entry.lates.next = Some(DatasetTask::FindLate);
            }
            if ticked || late {
                entry.aim(now);
            }
        }
    }

    /// Aims anew after the wall clock was set: ticks to come may lie before those that were aimed at, and pauses end at
    /// a time that may be far away by now.
    pub(super) fn aim(&mut self, now: DateTime<Utc>) {
        self.pass(now);
        for entry in self.entries.values_mut().filter(|entry| !entry.gone) {
            entry.aim(now);
            entry.not_before = None;
            entry.away_until = None;
            entry.fruitless = None;
        }
    }

    /// The next tick or deadline of any dataset.
    pub(super) fn next(&self) -> Option<DateTime<Utc>> {
        self.entries.values().flat_map(|entry| [entry.next_tick, entry.next_deadline]).flatten().min()
    }

    /// The next tick of a dataset.
    pub(super) fn next_tick(&self, name: &DatasetName) -> Option<DateTime<Utc>> {
        self.entries.get(name)?.next_tick
    }

    /// When the last tick of a dataset was taken.
    pub(super) fn last_tick(&self, name: &DatasetName) -> Option<DateTime<Utc>> {
        self.entries.get(name)?.last_tick
    }

    /// What can begin now; it is under way from here on. `threads` is how many may load: there are never
    /// more of them, however many datasets have work, and a few that load nothing. Datasets take turns.
    pub(super) fn begin(&mut self, now: DateTime<Utc>, threads: usize) -> Vec<StartedTask> {
        self.entries.values_mut().for_each(|entry| entry.prepare(now));
        let mut free_loads = threads.saturating_sub(self.threads(DatasetTask::loads));
        let mut free_checks = CHECK_THREADS.saturating_sub(self.threads(|task| !task.loads()));
        let mut waiting = self.waiting(now);
        let turn = waiting.partition_point(|(name, _)| self.last_begun.as_ref().is_some_and(|last| name <= last));
        waiting.rotate_left(turn);
        let mut loads_waiting = waiting.iter().filter(|(_, kind)| kind.loads).count();
        let mut begun = Vec::new();
        for (name, Waiting { lane, loads }) in waiting {
            let free = if loads { &mut free_loads } else { &mut free_checks };
            let Some(entry) = self.entries.get_mut(&name).filter(|_| *free > 0) else { continue };
            // Who waits behind it gets a share.
            let share = if loads { (*free / loads_waiting.max(1)).max(1) } else { 1 };
            let started = entry.begin(&name, lane, share, now);
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
        let running = self.entries.values_mut().flat_map(Entry::lanes_mut).filter_map(|lane| lane.running.as_mut());
        let may_end = |run: &&mut RunningTask| {
            let gains = waiting > 0 || (free > 0 && run.threads < run.most_threads);
            gains && run.task.loads() && !run.until.is_halted()
        };
        let mut running: Vec<&mut RunningTask> = running.filter(may_end).collect();
        running.sort_by_key(|run| run.began);
        self.next_yield = running.first().map(|run| run.began + SLICE).filter(|at| *at > now);
        let is_over = |run: &&mut RunningTask| run.began + SLICE <= now;
        running.into_iter().take_while(|run| is_over(&run)).take(waiting.max(1)).for_each(|run| run.until.halt());
    }

    /// How many threads are at work on such tasks.
    fn threads(&self, is_such: impl Fn(&DatasetTask) -> bool) -> usize {
        let running = self.entries.values().flat_map(Entry::lanes).filter_map(|lane| lane.running.as_ref());
        running.filter(|run| is_such(&run.task)).map(|run| run.threads).sum()
    }

    /// What waits for nothing but threads, by dataset.
    fn waiting(&self, now: DateTime<Utc>) -> Vec<(DatasetName, Waiting)> {
        let of_entry = |(name, entry): (&DatasetName, &Entry)| {
            entry.waiting(now).into_iter().map(|waiting| (name.clone(), waiting)).collect::<Vec<_>>()
        };
        self.entries.iter().flat_map(of_entry).collect()
    }

    /// Notes that work ended. What could not be done is wanted again.
    pub(super) fn end(&mut self, name: &DatasetName, work: &DatasetTask, ended: TaskEnd) {
        let Some(entry) = self.entries.get_mut(name) else { return };
        let Some(run) = entry.lane_of(work).running.take() else { return };
        if entry.gone {
            return self.forget_if_over(name);
        }
        match ended {
            TaskEnd::Blocked(until) => entry.not_before = Some(until),
            TaskEnd::SourceUnavailable(until) => entry.away_until = Some(until),
            _ => {}
        }
        let again = !matches!(ended, TaskEnd::Done | TaskEnd::Loaded | TaskEnd::NoProgress(_));
        match (work, ended) {
            (DatasetTask::CatchUp(Some(trigger)) | DatasetTask::Resume(trigger, _), TaskEnd::Stopped)
                if !run.superseded =>
            {
                entry.looks.left = Some(DatasetTask::Resume(*trigger, run.days));
            }
            (DatasetTask::CatchUp(trigger), _) if again => entry.look(*trigger),
            (DatasetTask::Resume(trigger, _), _) if again => entry.look(Some(*trigger)),
            (DatasetTask::Requested(days, ask, _), _) => {
                let left = run.days.left_of(days);
                let left = (!left.is_empty()).then(|| DatasetTask::Requested(left, *ask, Begun::default()));
                // What is left of work that is done are days that another load of this process has.
                match left {
                    Some(left) if again => entry.asked_next.push_front(left),
                    left => entry.held.extend(left),
                }
            }
            (DatasetTask::Due(_), TaskEnd::NoProgress(until)) => entry.fruitless = Some((work.clone(), until)),
            // What was held back by a day that is tried again may go on now.
            (DatasetTask::Due(_), TaskEnd::Loaded) if entry.policy.catch_up.stop_on_failure => {
                entry.look(Some(Trigger::Due));
            }
            // Whether the trouble is over is to be seen even where no day is due any more.
            (DatasetTask::Due(_) | DatasetTask::FindLate, TaskEnd::Blocked(_)) => entry.look(None),
            // Days that are still due are found by the next look at all open days.
            _ => {}
        }
        if again && *work == DatasetTask::FindLate {
            entry.lates.next = Some(DatasetTask::FindLate);
        }
    }

    /// Lets the days begin that a person asked for and whose other load has ended. Others do not wait for them.
    pub(super) fn free(&mut self, is_loading: impl Fn(&DatasetName, Day) -> bool) {
        for (name, entry) in &mut self.entries {
            for work in std::mem::take(&mut entry.held) {
                let DatasetTask::Requested(days, ask, _) = work else { continue };
                let (held, free): (Vec<Day>, Vec<Day>) = days.into_iter().partition(|day| is_loading(name, *day));
                let work =
                    |days: Vec<Day>| (!days.is_empty()).then(|| DatasetTask::Requested(days, ask, Begun::default()));
                entry.held.extend(work(held));
                entry.asked_next.extend(work(free));
            }
        }
    }

    /// True while days that a person asked for wait until another load of them has ended.
    pub(super) fn holds_some(&self) -> bool {
        self.entries.values().any(|entry| !entry.held.is_empty())
    }

    /// When the first dataset that waits for its trouble to pass may go on, or a task under way is to make room.
    pub(super) fn next_try(&self) -> Option<DateTime<Utc>> {
        let waits =
            |entry: &&Entry| !entry.asked_next.is_empty() || entry.lanes().iter().any(|lane| lane.waiting().is_some());
        let tries = self.entries.values().filter(waits).filter_map(|entry| entry.not_before.max(entry.away_until));
        tries.chain(self.next_yield).min()
    }

    /// The days that a person asked for and that did not begin, oldest first, of each dataset that has any.
    pub(super) fn not_begun(&self) -> impl Iterator<Item = (&DatasetName, Vec<Day>)> {
        let of_work = |work: &DatasetTask| match work {
            DatasetTask::Requested(days, _, begun) => begun.left_of(days),
            _ => Vec::new(),
        };
        let of_entry = move |entry: &Entry| {
            entry.asked_for().flat_map(of_work).collect::<BTreeSet<Day>>().into_iter().collect::<Vec<Day>>()
        };
        let left = self.entries.iter().map(move |(name, entry)| (name, of_entry(entry)));
        left.filter(|(_, days)| !days.is_empty())
    }

    /// How many lanes work now.
    pub(super) fn working(&self) -> usize {
        self.entries.values().flat_map(Entry::lanes).filter(|lane| lane.running.is_some()).count()
    }
}

impl Entry {
    fn new(schedule: &Schedule, policy: &Policy) -> Self {
        Self {
            schedule: schedule.clone(),
            policy: policy.clone(),
            next_tick: None,
            last_tick: None,
            next_deadline: None,
            looks: TaskLane::default(),
            dues: TaskLane::default(),
            lates: TaskLane::default(),
            asked: TaskLane::default(),
            asked_next: VecDeque::new(),
            held: Vec::new(),
            paused: false,
            fruitless: None,
            gone: false,
            not_before: None,
            away_until: None,
        }
    }

    /// Ends pauses that are over, and takes up what comes next.
    fn prepare(&mut self, now: DateTime<Utc>) {
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
    fn waiting(&self, now: DateTime<Utc>) -> Vec<Waiting> {
        if self.not_before.is_some_and(|until| now < until) {
            return Vec::new();
        }
        let (paused, away) = (self.paused, self.away_until.is_some());
        let is_held = |task: &DatasetTask| match task {
            DatasetTask::FindLate => false,
            DatasetTask::CatchUp(None) | DatasetTask::Requested(..) => away,
            DatasetTask::CatchUp(Some(_)) | DatasetTask::Resume(..) | DatasetTask::Due(_) => paused || away,
        };
        let of_lane = |(lane, tasks): (usize, &TaskLane)| {
            let task = tasks.waiting().filter(|task| tasks.running.is_none() && !is_held(task))?;
            Some(Waiting { lane, loads: task.loads() })
        };
        self.lanes().into_iter().enumerate().filter_map(of_lane).collect()
    }

    /// Takes what waits in that lane; it is under way from here on.
    fn begin(&mut self, name: &DatasetName, lane: usize, threads: usize, now: DateTime<Utc>) -> Option<StartedTask> {
        let policy = &self.policy;
        let lane = [&mut self.looks, &mut self.dues, &mut self.lates, &mut self.asked].into_iter().nth(lane)?;
        let task = lane.left.take().or_else(|| lane.next.take())?;
        let days = match &task {
            DatasetTask::Resume(_, days) | DatasetTask::Requested(_, _, days) => days.clone(),
            _ => Begun::default(),
        };
        let (most_threads, until) = (task.most_threads(policy), Stop::default());
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
    fn supersede(&mut self) {
        if let Some(DatasetTask::Resume(trigger, _)) = self.looks.left.take() {
            self.look(Some(trigger));
        }
        for run in self.lanes_mut().into_iter().filter_map(|lane| lane.running.as_mut()) {
            run.superseded = true;
            run.until.halt();
        }
    }

    /// Who asks for something may have changed what was in the way.
    fn try_now(&mut self) {
        (self.not_before, self.away_until) = (None, None);
    }

    /// What persons asked for and is not over, in its order.
    fn asked_for(&self) -> impl Iterator<Item = &DatasetTask> {
        self.asked.running.iter().map(|run| &run.task).chain(&self.asked.next).chain(&self.asked_next).chain(&self.held)
    }

    fn lanes(&self) -> [&TaskLane; 4] {
        [&self.looks, &self.dues, &self.lates, &self.asked]
    }

    fn lanes_mut(&mut self) -> [&mut TaskLane; 4] {
        [&mut self.looks, &mut self.dues, &mut self.lates, &mut self.asked]
    }

    fn lane_of(&mut self, work: &DatasetTask) -> &mut TaskLane {
        match work {
            DatasetTask::CatchUp(_) | DatasetTask::Resume(..) => &mut self.looks,
            DatasetTask::Due(_) => &mut self.dues,
            DatasetTask::FindLate => &mut self.lates,
            DatasetTask::Requested(..) => &mut self.asked,
        }
    }

    fn aim(&mut self, now: DateTime<Utc>) {
        // Every schedule ticks again; where the calendar leaves a date out (Apia, 2011) the search may not see beyond
        // it.
        self.next_tick = cron::next_tick(&self.schedule, now).or_else(|| now.checked_add_days(Days::new(1)));
        let last = cron::last_tick_at(&self.schedule, now);
        let deadline = self.policy.waiting.deadline.zip(last);
        self.next_deadline = deadline
            .and_then(|(time, last)| cron::first_time_after(self.schedule.timezone, time, last))
            .filter(|deadline| *deadline > now);
    }

    /// Takes due days off that were tried for nothing a moment ago. Other days may be due at any time.
    fn leave_fruitless(&mut self, now: DateTime<Utc>) {
        if let Some((days, until)) = &self.fruitless {
            if now >= *until {
                self.fruitless = None;
            } else if self.dues.next.as_ref() == Some(days) {
                self.dues.next = None;
            }
        }
    }

    fn look(&mut self, trigger: Option<Trigger>) {
        // What was wanted first says why.
        let trigger = match &self.looks.next {
            Some(DatasetTask::CatchUp(first)) => first.or(trigger),
            _ => trigger,
        };
        self.looks.next = Some(DatasetTask::CatchUp(trigger));
    }
}

#[cfg(test)]
mod tests;
