//! Reconciling: wanted days minus done days, oldest first. It decides which days to load; `load_day` loads them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use log::Level;

use crate::dataset::Dataset;
use crate::day::{Day, DayRange, runs};
use crate::db::attempts::Trigger;
use crate::db::days;
use crate::db::error::DbError;
use crate::db::pool::Conn;
use crate::events::{DayEvent, PublishedEvent, Subscriber};
use crate::load_day::{Context, Job, Stop, load_day};
use crate::load_outcome::{FailureScope, LoadOutcome};
use crate::plan::{Decision, LoadMode, Reason, SkipReason, plan};
use crate::wording::counted;

/// So many days in a row to which the source gives no answer, and no further one of the dataset is begun: each takes as
/// long as requests are repeated. Fewer may be the trouble of those days' files, and keep no other day.
const MOST_UNANSWERED: usize = 3;

/// So many days in a row that the database keeps from being loaded for the very same reason, and no further one of the
/// dataset is begun: each would be read in vain.
const MOST_BLOCKED: usize = 3;

/// What the days of a run had in common so far, which may be reason enough to begin no further one.
#[derive(Default)]
struct Streaks(Mutex<Streak>);

#[derive(Default)]
struct Streak {
    /// Days in a row to which the source gave no answer.
    unanswered: usize,
    /// Days in a row that the database blocked, all for this reason.
    blocked: usize,
    reason: String,
}

impl Streaks {
    /// Counts a day; true when it is one too many.
    fn is_enough(&self, outcome: &LoadOutcome) -> bool {
        let mut streak = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if outcome.source_answered() {
            streak.unanswered = 0;
        }
        match outcome {
            LoadOutcome::Unavailable(_) => {
                streak.unanswered += 1;
                return streak.unanswered >= MOST_UNANSWERED;
            }
            LoadOutcome::Blocked { error, .. } if streak.reason == error.message => streak.blocked += 1,
            LoadOutcome::Blocked { error, .. } => {
                streak.reason.clone_from(&error.message);
                streak.blocked = 1;
            }
            LoadOutcome::Loaded => streak.blocked = 0,
            _ => return false,
        }
        streak.blocked >= MOST_BLOCKED
    }
}

/// Days of one dataset that are to be looked at, and how.
#[derive(Debug, Clone)]
pub struct Task {
    /// The days, oldest first.
    pub days: Vec<Day>,
    /// How they are asked for.
    pub ask: LoadMode,
    /// What the attempts are said to come from.
    pub trigger: Trigger,
    /// How many are loaded at once.
    pub concurrency: u32,
    /// How many days are taken besides the newest; `None` is all.
    pub backlog: Option<u32>,
    /// Says when no further day of them is to begin.
    pub until: Stop,
    /// Which of them began.
    pub started: StartedDays,
}

/// The days of a task that began; whoever gave the task can ask for them.
#[derive(Debug, Clone, Default)]
pub struct StartedDays(Arc<Mutex<BTreeSet<Day>>>);

impl StartedDays {
    /// Notes that a day begins; false, and it must not begin, when no further one may.
    pub(crate) fn begin(&self, day: Day, stop: &Stop) -> bool {
        let mut days = self.days();
        // Looked at with the list in hand: who stops first and then asks which days began is told of all that do.
        let may_begin = !stop.is_halted();
        if may_begin {
            days.insert(day);
        }
        may_begin
    }

    /// Takes a day back of which nothing came, because the database failed or another load has it: it is still to begin.
    pub(crate) fn take_back(&self, day: Day) {
        self.days().remove(&day);
    }

    /// Those of the days that did not begin.
    #[must_use]
    pub fn left_of(&self, days: &[Day]) -> Vec<Day> {
        let started = self.days();
        days.iter().copied().filter(|day| !started.contains(day)).collect()
    }

    fn days(&self) -> MutexGuard<'_, BTreeSet<Day>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PartialEq for StartedDays {
    fn eq(&self, other: &Self) -> bool {
        let days = self.days().clone();
        days == *other.days()
    }
}

impl Eq for StartedDays {}

/// What to do with each of `days` of a dataset, in their order, by what the state table says now. `backlog` is how many
/// of them are taken besides the newest; `None` is all.
///
/// # Errors
/// A [`DbError`] when the database does not answer.
pub fn decide(
    conn: &mut Conn,
    dataset: &Dataset,
    days: &[Day],
    ask: LoadMode,
    backlog: Option<u32>,
) -> Result<Vec<(Day, Decision)>, DbError> {
    let (Some(from), Some(to)) = (days.iter().min(), days.iter().max()) else { return Ok(Vec::new()) };
    let (known, now) = days::known(conn, &dataset.name, DayRange { from: *from, to: *to })?;
    Ok(plan(days, &known, ask, *now, &dataset.policy, backlog))
}

/// Loads those of the task's days that are not left alone, in their order. Each day is published as it ends, to the
/// subscribers of the context and to the caller; of those left alone, the ones that were named or that another process is
/// loading. A day that fails does not stop the others, unless its dataset stops on failure; a database that fails does, a
/// source that answers none of several days, and the stop. What is returned are the days that did not begin because of
/// that.
///
/// # Errors
/// A [`DbError`] when the state table cannot be read.
pub fn reconcile(context: &Context, job: &Job, task: &Task, caller: &dyn Subscriber) -> Result<Vec<Day>, DbError> {
    let mut conn = context.database.conn()?;
    let began = Instant::now();
    let decided = decide(&mut conn, &job.dataset, &task.days, task.ask, task.backlog)?;
    drop(conn);
    let in_order = job.dataset.policy.catch_up.stop_on_failure && task.ask.keeps_order();
    let todo = still_to_begin(to_do(job, task.ask, decided), task, in_order);
    log_plan(job, task, &todo, began.elapsed());
    context.progress.days.fetch_add(todo.len() as u64, Ordering::Relaxed);
    let next = AtomicUsize::new(0);
    let enough = Stop::default();
    let (alike, streaks, tried) = (DaysAlike::new(todo.len()), Streaks::default(), Mutex::new(BTreeSet::new()));
    let publish = |event: &PublishedEvent| {
        context.subscribers.receive(event);
        caller.receive(event);
    };
    let take = || {
        let day = *todo.get(next.fetch_add(1, Ordering::Relaxed))?;
        let slot = context.slot().filter(|_| !enough.is_halted() && !task.until.is_halted())?;
        task.started.begin(day, &context.stop).then_some((slot, day))
    };
    std::thread::scope(|scope| {
        for _ in 0..todo.len().min(task.concurrency as usize) {
            scope.spawn(|| {
                while let Some((slot, day)) = take() {
                    let mut event = load_day(context, job, day, task.ask, task.trigger);
                    if gives_day_back(&event.outcome) {
                        task.started.take_back(day);
                    }
                    if streaks.is_enough(&event.outcome) || ends_the_run(&event.outcome, in_order) {
                        enough.halt();
                    }
                    tried.lock().unwrap_or_else(PoisonError::into_inner).insert(day);
                    event.is_summarized = alike.add(&event);
                    // While the load is still in flight: who stops the process waits for those.
                    publish(&PublishedEvent::Day(event));
                    drop(slot);
                }
            });
        }
    });
    alike.into_events().iter().for_each(publish);
    let tried = tried.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok(todo.into_iter().filter(|day| !tried.contains(day)).collect())
}

/// True when the day is still to begin, since the database failed or another load of this process has it.
fn gives_day_back(outcome: &LoadOutcome) -> bool {
    matches!(
        outcome,
        LoadOutcome::Unavailable(_) | LoadOutcome::DatabaseFailed { .. } | LoadOutcome::Left(SkipReason::Here)
    )
}

/// True when no further day of the run is to begin. Days in conflict with others are another matter than a database that
/// is gone.
fn ends_the_run(outcome: &LoadOutcome, in_order: bool) -> bool {
    match outcome {
        LoadOutcome::DatabaseFailed { scope: FailureScope::Unreachable, .. } => true,
        LoadOutcome::Failed { .. }
        | LoadOutcome::Blocked { .. }
        | LoadOutcome::Refused { .. }
        | LoadOutcome::Unavailable(_)
        | LoadOutcome::DatabaseFailed { .. } => in_order,
        _ => false,
    }
}

/// Those of the days that did not begin in a part of the task before: what came of the others stays so, and holds back
/// newer days where order counts.
fn still_to_begin(days: Vec<Day>, task: &Task, in_order: bool) -> Vec<Day> {
    let left = task.started.left_of(&days);
    if in_order && left.len() < days.len() {
        days.into_iter().take_while(|day| left.contains(day)).collect()
    } else {
        left
    }
}

/// The days that are not left alone.
fn to_do(job: &Job, ask: LoadMode, decided: Vec<(Day, Decision)>) -> Vec<Day> {
    log_decided(job, ask, &decided);
    let mut todo = Vec::new();
    for (day, decision) in decided {
        match decision {
            // What a person named is answered for, whatever comes of it; and so is what another process is loading now,
            // since it is not done. The claim decides again, with the day's row in its hands.
            Decision::Skip(leave) if !ask.is_named() && !matches!(leave, SkipReason::Busy | SkipReason::Here) => {
                // Years of days that are long done are of no interest but to who looks for one of them.
                let level = if matches!(leave, SkipReason::Done(_)) { Level::Trace } else { Level::Debug };
                log::log!(level, "{} {day}: {leave}", job.dataset.name);
            }
            Decision::Skip(_) | Decision::Load(_) | Decision::Settle(_) => todo.push(day),
        }
    }
    todo
}

fn log_plan(job: &Job, task: &Task, todo: &[Day], elapsed: Duration) {
    let (dataset, days, elapsed_ms) = (job.dataset.name.as_str(), task.days.len(), elapsed.as_millis());
    let message = format!("looked at {} in {elapsed_ms} ms, {} not left alone", counted(days, "day"), todo.len());
    log::debug!(dataset, days, elapsed_ms; "{dataset}: {message}");
}

fn log_decided(job: &Job, ask: LoadMode, decided: &[(Day, Decision)]) {
    let dataset = job.dataset.name.as_str();
    // A backlog takes its time; who watches wants to know how much of it there is.
    if let (LoadMode::Tick | LoadMode::Start, Some(backlog)) = (ask, backlog(decided)) {
        log::info!(dataset; "{dataset}: {backlog}");
    }
    // Between ticks it would be said at every retry of the day that holds them.
    if let (LoadMode::Tick | LoadMode::Start | LoadMode::NotDone, Some(held_back)) = (ask, held_back(decided)) {
        log::info!(dataset; "{dataset}: {held_back}");
    }
}

/// How many days there are to load, and from when to when, where there are several. Days whose files are only looked
/// for, because they were not there the last time, are none of them.
fn backlog(decided: &[(Day, Decision)]) -> Option<String> {
    let is_to_load = |decision: &Decision| match decision {
        Decision::Load(reason) => !matches!(reason, Reason::Waiting | Reason::Absent),
        Decision::Skip(_) | Decision::Settle(_) => false,
    };
    let to_load = decided.iter().filter(|(_, decision)| is_to_load(decision));
    let days: Vec<Day> = to_load.map(|(day, _)| *day).collect();
    let [first, .., last] = days[..] else { return None };
    let number = counted(days.len(), "day");
    Some(match runs(&days)[..] {
        [run] => format!("{number} to load, {run}"),
        _ => format!("{number} to load, the first {first}, the last {last}"),
    })
}

/// How many days without a file have a line each in the log.
const MOST_LINES: usize = 20;

/// Days of a run that ended alike, which get one line in the end: those that the source gave no answer to, and, where
/// there are so many days that a line each would bury all other lines, those without a file.
struct DaysAlike {
    no_file: bool,
    days: Mutex<BTreeMap<String, BTreeMap<Day, DayEvent>>>,
}

impl DaysAlike {
    /// Those of a run of that many days.
    fn new(days: usize) -> Self {
        Self { no_file: days > MOST_LINES, days: Mutex::default() }
    }

    /// Adds a day, if it is one of these.
    fn add(&self, event: &DayEvent) -> bool {
        let same = match &event.outcome {
            LoadOutcome::Unavailable(unavailable) => format!("unavailable: {}", without_place(&unavailable.why)),
            LoadOutcome::Waiting { why, again, .. } if self.no_file => format!("waiting {again}: {why}"),
            LoadOutcome::Absent { why, again } if self.no_file => format!("absent {again}: {why}"),
            _ => return false,
        };
        let mut days = self.days.lock().unwrap_or_else(PoisonError::into_inner);
        days.entry(same).or_default().insert(event.day, event.clone());
        true
    }

    fn into_events(self) -> Vec<PublishedEvent> {
        let alike = self.days.into_inner().unwrap_or_else(PoisonError::into_inner);
        let event = |events: BTreeMap<Day, DayEvent>| {
            let days = events.keys().copied().collect();
            let DayEvent { dataset, mode, outcome, .. } = events.into_values().next()?;
            Some(PublishedEvent::DaysAlike { dataset, days, mode, outcome })
        };
        alike.into_values().filter_map(event).collect()
    }
}

/// An error of a source without the place of the file, which is another for each day.
fn without_place(error: &str) -> &str {
    let is_place = |text: &str| text.contains("://") || text.starts_with('/');
    error.split_once(": ").filter(|(place, _)| is_place(place)).map_or(error, |(_, why)| why)
}

/// How many days are held back, and by which.
fn held_back(decided: &[(Day, Decision)]) -> Option<String> {
    let mut held = decided.iter().filter_map(|(_, decision)| match decision {
        Decision::Skip(leave @ SkipReason::HeldBack(_)) => Some(leave),
        _ => None,
    });
    // One day holds all newer ones back.
    let leave = held.next()?;
    Some(format!("{} {leave}", counted(1 + held.count(), "day")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::State;

    /// The plan for days of March 2024.
    fn plan_of(days: &[(u32, Decision)]) -> Vec<(Day, Decision)> {
        let day = |number: u32| format!("2024-03-{number:02}").parse().unwrap();
        days.iter().map(|(number, decision)| (day(*number), *decision)).collect()
    }

    #[test]
    fn the_place_of_a_file_is_no_part_of_what_days_have_in_common() {
        for (error, why) in [
            ("http://h/2024-03-01.csv: 503 Service Unavailable", "503 Service Unavailable"),
            ("s3://b/2024-03-01.csv: error: refused", "error: refused"),
            ("/mnt/x/2024-03-01.csv: Stale file handle", "Stale file handle"),
            (
                "the folder /mnt/x does not exist; check source.url",
                "the folder /mnt/x does not exist; check source.url",
            ),
        ] {
            assert_eq!(without_place(error), why);
        }
    }

    #[test]
    fn a_backlog_is_what_will_be_loaded() {
        let (missing, absent) = (Decision::Load(Reason::Missing), Decision::Load(Reason::Absent));
        let (failed, waiting) = (Decision::Load(Reason::Failed(1)), Decision::Load(Reason::Waiting));
        let (done, later) = (Decision::Skip(SkipReason::Done(State::Loaded)), Decision::Skip(SkipReason::NextTick));
        let busy = Decision::Skip(SkipReason::Busy);
        for (plan, said) in [
            (&[][..], None),
            (&[(1, done), (2, missing)], None),
            (&[(1, missing), (2, failed)], Some("2 days to load, 2024-03-01..2024-03-02")),
            (&[(1, absent), (2, waiting), (3, busy), (4, Decision::Settle(State::Failed)), (5, missing)], None),
            (&[(1, absent), (2, missing), (3, missing)], Some("2 days to load, 2024-03-02..2024-03-03")),
            (
                &[(1, missing), (2, done), (3, missing)],
                Some("2 days to load, the first 2024-03-01, the last 2024-03-03"),
            ),
            // A backlog in pieces, and today's day far from it.
            (
                &[(1, missing), (2, missing), (3, later), (4, later), (30, missing)],
                Some("3 days to load, the first 2024-03-01, the last 2024-03-30"),
            ),
        ] {
            assert_eq!(backlog(&plan_of(plan)).as_deref(), said, "{plan:?}");
        }
    }

    #[test]
    fn days_that_are_held_back_are_counted() {
        let held = Decision::Skip(SkipReason::HeldBack("2024-03-02".parse().unwrap()));
        let (refused, missing) = (Decision::Skip(SkipReason::Done(State::Refused)), Decision::Load(Reason::Missing));
        for (plan, said) in [
            (&[(1, missing), (2, refused)][..], None),
            (&[(2, refused), (3, held)], Some("1 day held back by 2024-03-02, which failed or was refused")),
            (
                &[(2, refused), (3, held), (5, held)],
                Some("2 days held back by 2024-03-02, which failed or was refused"),
            ),
        ] {
            assert_eq!(held_back(&plan_of(plan)).as_deref(), said, "{plan:?}");
        }
    }
}
