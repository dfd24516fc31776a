//! Reconciling: wanted days minus done days, oldest first. It decides which days to load; `load_day` loads them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use log::Level;

use crate::dataset::Dataset;
use crate::day::{Day, DayRange, listed, runs};
use crate::db::attempts::Trigger;
use crate::db::days;
use crate::db::error::DbError;
use crate::db::pool::Conn;
use crate::load_day::{Begun, Context, Job, Outcome, Report, Stop, load_day};
use crate::plan::{Decision, LoadMode, Reason, SkipReason, plan};
use crate::state::State;
use crate::wording::{DIED, RELOAD_DIED, counted, load_again, loaded_rows};

/// So many days in a row to which the source gives no answer, and no further one of the dataset is begun: each takes as
/// long as requests are repeated. Fewer may be the trouble of those days' files, and keep no other day.
const MOST_UNANSWERED: usize = 3;

/// So many days in a row that the database keeps from being loaded for the very same reason, and no further one of the
/// dataset is begun: each would be read in vain.
const MOST_BLOCKED: usize = 3;

/// How many days in a row were blocked for the reason that the last one was.
#[derive(Default)]
struct Blocked(Mutex<(String, usize)>);

impl Blocked {
    /// Takes what came of a day; true when it is one too many.
    fn is_enough(&self, outcome: &Outcome) -> bool {
        let mut alike = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match outcome {
            Outcome::Failed { error, blocked: true, .. } if alike.0 == *error => alike.1 += 1,
            Outcome::Failed { error, blocked: true, .. } => *alike = (error.clone(), 1),
            Outcome::Loaded => *alike = (String::new(), 0),
            _ => return false,
        }
        alike.1 >= MOST_BLOCKED
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
    pub begun: Begun,
}

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

/// Loads those of the task's days that are not left alone, in their order. Each day is reported as it ends; of those
/// left alone, the ones that were named or that another process is loading. A day that fails does not stop the others,
/// unless its dataset stops on failure; a database that fails does, a source that answers none of several days, and the
/// stop. What is returned are the days that did not begin because of that.
///
/// # Errors
/// A [`DbError`] when the state table cannot be read.
pub fn reconcile(
    context: &Context,
    job: &Job,
    task: &Task,
    report: &mut dyn FnMut(Report),
) -> Result<Vec<Day>, DbError> {
    let mut conn = context.database.conn()?;
    let begun = Instant::now();
    let decided = decide(&mut conn, &job.dataset, &task.days, task.ask, task.backlog)?;
    drop(conn);
    let in_order = job.dataset.policy.catch_up.stop_on_failure && task.ask.keeps_order();
    let todo = still_to_begin(to_do(job, task.ask, decided), task, in_order);
    log_plan(job, task, &todo, begun.elapsed());
    context.progress.days.fetch_add(todo.len() as u64, Ordering::Relaxed);
    let next = AtomicUsize::new(0);
    let enough = Stop::default();
    let (runs, mut tried) = (Runs::new(todo.len()), BTreeSet::new());
    let (unanswered, blocked) = (AtomicUsize::new(0), Blocked::default());
    let take = || {
        let day = *todo.get(next.fetch_add(1, Ordering::Relaxed))?;
        let slot = context.slot().filter(|_| !enough.is_halted() && !task.until.is_halted())?;
        task.begun.begin(day, &context.stop).then_some((slot, day))
    };
    let (send, reports) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..todo.len().min(task.concurrency as usize) {
            let send = send.clone();
            scope.spawn(|| {
                let send = send;
                while let Some((slot, day)) = take() {
                    let loaded = load_day(context, job, day, task.ask, task.trigger);
                    // Said while the load is still in flight: who stops the process waits for those.
                    log_report(job, task.ask, &loaded, &runs);
                    drop(slot);
                    let unavailable = matches!(loaded.outcome, Outcome::Unavailable(_));
                    if unavailable || matches!(loaded.outcome, Outcome::Database(_) | Outcome::Left(SkipReason::Here)) {
                        task.begun.take_back(day);
                    }
                    if loaded.source_answered() {
                        unanswered.store(0, Ordering::Relaxed);
                    }
                    let away = unavailable && unanswered.fetch_add(1, Ordering::Relaxed) + 1 >= MOST_UNANSWERED;
                    // Days in conflict with others are another matter than a database that is gone.
                    let broken = matches!(&loaded.outcome, Outcome::Database(error) if error.is_unreachable());
                    let failed = matches!(
                        loaded.outcome,
                        Outcome::Failed { .. }
                            | Outcome::Refused { .. }
                            | Outcome::Unavailable(_)
                            | Outcome::Database(_)
                    );
                    if broken || away || blocked.is_enough(&loaded.outcome) || (in_order && failed) {
                        enough.halt();
                    }
                    // The receiver outlives every loader.
                    drop(send.send(loaded));
                }
            });
        }
        drop(send);
        for loaded in reports {
            tried.insert(loaded.day);
            report(loaded);
        }
    });
    runs.log(job);
    Ok(todo.into_iter().filter(|day| !tried.contains(day)).collect())
}

/// Those of the days that did not begin in a part of the task before: what came of the others stays so, and holds back
/// newer days where order counts.
fn still_to_begin(days: Vec<Day>, task: &Task, in_order: bool) -> Vec<Day> {
    let left = task.begun.left_of(&days);
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

/// How many days may have a line each that says that there is no file.
const MOST_LINES: usize = 20;

/// Days of which the same is to be said, which get one line in the end: those that the source gave no answer to, and,
/// where there are so many days that a line each would bury all other lines, those without a file.
struct Runs {
    no_file: bool,
    days: Mutex<BTreeMap<(Level, String), DaysSaid>>,
}

/// Days, and what is said of each. It is the same but for the place of its file.
type DaysSaid = BTreeMap<Day, String>;

impl Runs {
    /// Of a task with that many days.
    fn new(days: usize) -> Self {
        Self { no_file: days > MOST_LINES, days: Mutex::default() }
    }

    /// Takes a day's line, if it is one of these: true when it is to be said in the end.
    fn takes(&self, report: &Report, level: Level) -> bool {
        let (same, said) = match &report.outcome {
            Outcome::Unavailable(error) => {
                let said = |error: &str| format!("unavailable, no attempt is counted: {error}");
                (said(without_place(&error.why)), said(&error.why))
            }
            Outcome::Waiting { why, .. } if self.no_file => of_state(State::Waiting, why),
            Outcome::Absent { why, .. } if self.no_file => of_state(State::Absent, why),
            _ => return false,
        };
        let mut days = self.days.lock().unwrap_or_else(PoisonError::into_inner);
        days.entry((level, same)).or_default().insert(report.day, said);
        true
    }

    fn log(self, job: &Job) {
        let dataset = job.dataset.name.as_str();
        for ((level, _), said) in self.days.into_inner().unwrap_or_else(PoisonError::into_inner) {
            let days: Vec<Day> = said.keys().copied().collect();
            let number = days.len();
            if let Some(line) = line_of(&days, said.into_values().next()) {
                log::log!(level, dataset, days = number; "{dataset}{line}");
            }
        }
    }
}

/// What is said of a day whose file was not there.
fn of_state(state: State, why: &str) -> (String, String) {
    let said = format!("{state}: {why}");
    (said.clone(), said)
}

/// The line of days of which that is said, behind the dataset's name.
fn line_of(days: &[Day], said: Option<String>) -> Option<String> {
    let said = said?;
    Some(match days {
        [day] => format!(" {day}: {said}"),
        days => format!(": {} {said} ({})", counted(days.len(), "day"), listed(days)),
    })
}

/// An error of a source without the place of the file, which is another for each day.
fn without_place(error: &str) -> &str {
    let is_place = |text: &str| text.contains("://") || text.starts_with('/');
    error.split_once(": ").filter(|(place, _)| is_place(place)).map_or(error, |(_, why)| why)
}

fn log_report(job: &Job, ask: LoadMode, report: &Report, runs: &Runs) {
    let (dataset, day, outcome) = (job.dataset.name.as_str(), report.day.to_string(), &report.outcome);
    let (attempt, elapsed_ms) = (report.counted_attempt(), report.elapsed.as_millis());
    // Rows of a publish that failed were counted too.
    let of_loaded = |rows: Option<i64>| rows.filter(|_| matches!(outcome, Outcome::Loaded));
    let rows = of_loaded(report.measured.rows_loaded);
    let rejected = of_loaded(report.measured.rows_rejected);
    // What was known before is no news, unless a person asks for it.
    let known = if ask.is_named() { Level::Info } else { Level::Debug };
    let (level, message) = match outcome {
        Outcome::Loaded => {
            let loaded = loaded_rows(rows.unwrap_or_default(), rejected.unwrap_or_default());
            (Level::Info, format!("loaded {loaded} in {elapsed_ms} ms"))
        }
        Outcome::Waiting { why, still: false } => (Level::Info, format!("waiting: {why}")),
        Outcome::Waiting { why, still: true } => (known, format!("still waiting: {why}")),
        Outcome::Absent { why, still: false } => (Level::Warn, format!("waited long enough, now absent: {why}")),
        Outcome::Absent { why, still: true } => (known, format!("still absent: {why}")),
        Outcome::Failed { error, .. } if report.stays_loaded => {
            (Level::Error, format!("failed: {}", report.with_what_stays(error)))
        }
        Outcome::Failed { error, left, .. } => {
            (Level::Error, format!("failed, {} left: {error}", counted(*left, "attempt")))
        }
        Outcome::Refused { error, .. } => (Level::Error, format!("refused: {}", report.with_what_stays(error))),
        Outcome::Unchanged => (Level::Info, "the file is another, its content is the same".to_owned()),
        Outcome::Left(leave) => (known, leave.to_string()),
        Outcome::Settled(State::Loaded) => {
            let again = load_again(report.day, dataset);
            (Level::Warn, format!("{RELOAD_DIED}; `{again}` tries it again"))
        }
        Outcome::Settled(state) => (Level::Warn, format!("{DIED}; now {state}")),
        Outcome::Lost => (Level::Warn, "another process took the day over; nothing was published here".to_owned()),
        Outcome::Interrupted => (Level::Info, "interrupted before publishing; the attempt does not count".to_owned()),
        Outcome::Cancelled { by } => {
            (Level::Info, format!("cancelled by {by}; nothing was published, the attempt does not count"))
        }
        // The daemon says these once, however many days meet them.
        Outcome::Unavailable(error) => {
            let level = if ask.is_a_persons() { Level::Error } else { Level::Debug };
            (level, format!("unavailable, no attempt is counted: {error}"))
        }
        Outcome::Database(error) if ask.is_a_persons() => (Level::Error, error.to_string()),
        Outcome::Database(error) => (Level::Debug, error.to_string()),
    };
    let level = if runs.takes(report, level) { Level::Debug } else { level };
    log::log!(level, dataset, day = day.as_str(), attempt, rows, rejected, elapsed_ms; "{dataset} {day}: {message}");
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
    fn days_of_which_the_same_is_said_are_one_line() {
        let day = |number: u32| format!("2024-03-{number:02}").parse::<Day>().unwrap();
        let said = |days: &[Day]| line_of(days, Some("unavailable: gone".to_owned())).unwrap();
        assert_eq!(said(&[day(1)]), " 2024-03-01: unavailable: gone");
        assert_eq!(said(&[day(1), day(2), day(4)]), ": 3 days unavailable: gone (2024-03-01..2024-03-02, 2024-03-04)");
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
