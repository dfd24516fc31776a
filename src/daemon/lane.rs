//! The work itself: what a thread does for a dataset, start to end. It blocks, and touches nothing of the daemon's.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use chrono::Utc;

use super::agenda::Work;
use crate::dataset::Dataset;
use crate::day::{Day, DayRange};
use crate::db::attempts::Trigger;
use crate::db::days;
use crate::db::error::DbError;
use crate::load_day::{Context, Job, Outcome, Report};
use crate::plan::{self, Ask};
use crate::ready;
use crate::recheck::recheck;
use crate::reconcile::{Task, reconcile};
use crate::scheduler;

/// A dataset at work in the daemon.
pub(super) struct Member {
    /// The dataset, ready to be loaded.
    pub(super) job: Arc<Job>,
    /// Its target was seen to fit.
    pub(super) fits: AtomicBool,
}

/// What work came to.
#[derive(Debug, Default)]
pub(super) struct Came {
    /// What to say of the last day that came to something.
    pub(super) last: Option<String>,
    /// Some day was loaded.
    pub(super) loaded: bool,
    /// The days that are wanted, not done, and past their deadline; where the work was to see which.
    pub(super) late: Option<Vec<Day>>,
}

/// Why work could not be done.
#[derive(Debug)]
pub(super) enum Hindrance {
    /// The database cannot be reached.
    Unreachable(String),
    /// Something else.
    Other(String),
}

impl From<DbError> for Hindrance {
    fn from(error: DbError) -> Self {
        let text = error.to_string();
        if error.is_unreachable() { Self::Unreachable(text) } else { Self::Other(text) }
    }
}

/// Does the work.
pub(super) fn work(context: &Context, member: &Member, work: &Work) -> Result<Came, Hindrance> {
    let Member { job, fits } = member;
    if !fits.load(Ordering::Relaxed) {
        let unfit = ready::targets(&mut context.database.conn()?, std::iter::once(&job.dataset))?;
        if !unfit.is_empty() {
            return Err(Hindrance::Other(unfit.join("; ")));
        }
        fits.store(true, Ordering::Relaxed);
    }
    let mut run = Run { context, job, last: None, loaded: false, broke: None };
    let wanted = wanted(&job.dataset);
    match work {
        Work::Look(Some(trigger)) => run.look(&wanted, *trigger)?,
        Work::Look(None) => {}
        // Where order counts, the days before them count too.
        Work::Due(_) if job.dataset.policy.catch_up.stop_on_failure => {
            run.load(wanted.clone(), Ask::Due, Trigger::Due)?;
        }
        Work::Due(days) => run.load(days.clone(), Ask::Due, Trigger::Due)?,
    }
    if let Some(hindrance) = run.broke {
        return Err(hindrance);
    }
    let (last, loaded) = (run.last, run.loaded);
    let late = match work {
        Work::Look(_) => Some(late(context, &job.dataset, &wanted)?),
        Work::Due(_) => None,
    };
    Ok(Came { last, loaded, late })
}

/// The wanted days of a dataset as of now, oldest first.
fn wanted(dataset: &Dataset) -> Vec<Day> {
    plan::wanted(&dataset.schedule, scheduler::last_tick(&dataset.schedule, Utc::now()))
}

struct Run<'a> {
    context: &'a Context,
    job: &'a Job,
    last: Option<String>,
    loaded: bool,
    broke: Option<Hindrance>,
}

impl Run<'_> {
    fn look(&mut self, wanted: &[Day], trigger: Trigger) -> Result<(), DbError> {
        let Some(newest) = wanted.last() else { return Ok(()) };
        self.load(wanted.to_vec(), Ask::Tick, trigger)?;
        let Self { context, job, .. } = *self;
        recheck(context, job, *newest, &mut |report| self.note(&report))
    }

    fn load(&mut self, days: Vec<Day>, ask: Ask, trigger: Trigger) -> Result<(), DbError> {
        let Self { context, job, .. } = *self;
        let task = Task { days, ask, trigger, concurrency: job.dataset.policy.catch_up.concurrency };
        reconcile(context, job, &task, &mut |report| self.note(&report))
    }

    fn note(&mut self, report: &Report) {
        self.loaded |= matches!(report.outcome, Outcome::Loaded);
        let said = match &report.outcome {
            Outcome::Loaded => "loaded",
            Outcome::Waiting { .. } => "waiting for",
            Outcome::Absent { .. } => "given up",
            Outcome::Failed { .. } => "failed",
            Outcome::Refused { .. } => "refused",
            Outcome::Database(error) => {
                let text = error.to_string();
                let unreachable = error.is_unreachable();
                self.broke = Some(if unreachable { Hindrance::Unreachable(text) } else { Hindrance::Other(text) });
                return;
            }
            Outcome::Unchanged | Outcome::Left(_) | Outcome::Settled(_) | Outcome::Lost | Outcome::Interrupted => {
                return;
            }
        };
        self.last = Some(format!("{}: {said} {}", self.job.dataset.name, report.day));
    }
}

/// The wanted days that are past their deadline and not done.
fn late(context: &Context, dataset: &Dataset, wanted: &[Day]) -> Result<Vec<Day>, DbError> {
    let (Some(deadline), Some(first), Some(last)) = (dataset.policy.waiting.deadline, wanted.first(), wanted.last())
    else {
        return Ok(Vec::new());
    };
    let range = DayRange { from: *first, to: *last };
    let (known, _) = days::known(&mut context.database.conn()?, &dataset.name, range)?;
    let now = Utc::now();
    let awaited = |day: Day| {
        let known = known.get(&day);
        plan::is_awaited(known.map(|known| known.state), known.is_some_and(|known| known.in_target))
    };
    let passed = |day: Day| scheduler::deadline(&dataset.schedule, deadline, day).is_some_and(|at| at <= now);
    Ok(wanted.iter().copied().filter(|day| awaited(*day) && passed(*day)).collect())
}

/// What a panic said.
pub(super) fn panicked(panic: &(dyn std::any::Any + Send)) -> String {
    let said = panic.downcast_ref::<&str>().map(ToString::to_string).or_else(|| panic.downcast_ref().cloned());
    format!("a fault in dayfill: {}", said.unwrap_or_default())
}
