//! A lane's work: what a thread does for a dataset, start to end. It blocks, and touches nothing of the daemon's.

use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};

use super::active_dataset::ActiveDataset;
use super::dataset_task::{DatasetTask, StartedTask};
use super::handle::DaemonHandle;
use crate::cron;
use crate::dataset::{Dataset, DatasetName};
use crate::day::{Day, DayRange};
use crate::db::attempts::Trigger;
use crate::db::days;
use crate::db::error::DbError;
use crate::events::{DayEvent, PublishedEvent, Subscriber};
use crate::load_day::Context;
use crate::load_outcome::{FailureScope, LoadOutcome, Unavailable};
use crate::plan::LoadMode;
use crate::ready;
use crate::recheck::{Rechecked, recheck};
use crate::reconcile::{Task, reconcile};
use crate::state::State;

/// What work came to.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own, and any of them go together")]
pub(super) struct TaskResult {
    /// What to say of the last day that came to something.
    pub(super) last: Option<String>,
    /// Some day was loaded.
    pub(super) loaded: bool,
    /// The days that are wanted, not done, and past their deadline; where the work was to see which.
    pub(super) late: Option<Vec<Day>>,
    /// The database was told how attempts ended: their days are wanted again.
    pub(super) told: bool,
    /// The source was asked and answered.
    pub(super) answered: bool,
    /// Why the source could not be asked for some day.
    pub(super) unavailable: Option<Unavailable>,
    /// It was to stop before it was done, maybe.
    pub(super) stopped: bool,
}

/// Why work could not be done.
#[derive(Debug)]
pub(super) enum TaskError {
    /// The database cannot be reached.
    Unreachable(String),
    /// What stays so until a person changes the database.
    Persistent(String),
    /// Something else.
    Other(String),
}

impl TaskError {
    /// What it is when it was met with a database that is no longer in force: nothing that others should wait for. What
    /// was left is looked at in the new one.
    pub(super) fn elsewhere(self) -> Result<TaskResult, Self> {
        match self {
            Self::Unreachable(error) => log::debug!("of the database before: {error}"),
            Self::Persistent(_) | Self::Other(_) => return Err(self),
        }
        Ok(TaskResult { stopped: true, ..TaskResult::default() })
    }
}

impl TaskError {
    fn of(error: &DbError) -> Self {
        let text = error.to_string();
        if error.is_unreachable() {
            Self::Unreachable(text)
        } else if error.stands_until_changed() {
            Self::Persistent(text)
        } else {
            Self::Other(text)
        }
    }
}

impl From<DbError> for TaskError {
    fn from(error: DbError) -> Self {
        Self::of(&error)
    }
}

/// Runs a task; `now` is asked for the time.
pub(super) fn run(
    context: &Context,
    member: &ActiveDataset,
    started: &StartedTask,
    handle: &DaemonHandle,
    now: &dyn Fn() -> DateTime<Utc>,
) -> Result<TaskResult, TaskError> {
    let (job, task) = (&member.job, &started.task);
    #[cfg(test)]
    assert!(job.dataset.name.as_str() != "faulty_lane", "a test asked for a fault");
    if *task == DatasetTask::FindLate {
        let late = Some(late(context, &job.dataset, now())?);
        return Ok(TaskResult { late, ..TaskResult::default() });
    }
    let told = tell(context, &job.dataset.name)?;
    check_target(context, member)?;
    let wanted = cron::wanted(&job.dataset, now()).days;
    let newest = wanted.last().copied();
    let run = Run { context, member, started, newest, observed: Mutex::default() };
    match task {
        DatasetTask::CatchUp(Some(trigger)) | DatasetTask::Resume(trigger, _) => run.catch_up(&wanted, *trigger)?,
        DatasetTask::CatchUp(None) | DatasetTask::FindLate => {}
        DatasetTask::Requested(days, ask, _) => run.load(days.clone(), *ask, Trigger::Page)?,
        // Where order counts, the days before them count too.
        DatasetTask::Due(_) if job.dataset.policy.catch_up.stop_on_failure => {
            run.load(wanted.clone(), LoadMode::Due, Trigger::Due)?;
        }
        DatasetTask::Due(days) => run.load(days.clone(), LoadMode::Due, Trigger::Due)?,
    }
    if handle.manual_loads().may_have_ended() {
        handle.record_ended_loads(&mut context.database.conn()?);
    }
    let Observed { last, loaded, answered, unavailable, broke, .. } = run.into_observed();
    if let Some(hindrance) = broke {
        return Err(hindrance);
    }
    let stopped = started.until.is_halted();
    let late = match task {
        // By the time it is by now: a deadline may have passed meanwhile.
        DatasetTask::CatchUp(_) | DatasetTask::Resume(..) => Some(late(context, &job.dataset, now())?),
        DatasetTask::Due(_) | DatasetTask::FindLate | DatasetTask::Requested(..) => None,
    };
    Ok(TaskResult { last, loaded, late, told, answered, unavailable, stopped })
}

/// Tells the database how the dataset's attempts ended that it was not there to be told of; true when there were any.
fn tell(context: &Context, name: &DatasetName) -> Result<bool, TaskError> {
    if !context.has_pending() {
        return Ok(false);
    }
    let told = context.flush_pending(&mut context.database.conn()?, Some(name));
    told.error.map_or(Ok(!told.datasets.is_empty()), |error| Err(error.into()))
}

fn check_target(context: &Context, member: &ActiveDataset) -> Result<(), TaskError> {
    if member.fits() {
        return Ok(());
    }
    if let Some(unfit) = ready::target(&mut context.database.conn()?, &member.job.dataset)? {
        return Err(TaskError::Other(unfit));
    }
    member.seen_to_fit();
    Ok(())
}

/// The work on days of a dataset, and what was observed of them.
struct Run<'a> {
    context: &'a Context,
    member: &'a ActiveDataset,
    started: &'a StartedTask,
    newest: Option<Day>,
    observed: Mutex<Observed>,
}

#[derive(Default)]
struct Observed {
    last: Option<String>,
    loaded: bool,
    /// How many days of the backlog came to something.
    taken: u32,
    answered: bool,
    unavailable: Option<Unavailable>,
    broke: Option<TaskError>,
}

impl Subscriber for Run<'_> {
    fn receive(&self, event: &PublishedEvent) {
        if let PublishedEvent::Day(event) = event {
            self.observe(event);
        }
    }
}

impl Run<'_> {
    fn catch_up(&self, wanted: &[Day], trigger: Trigger) -> Result<(), DbError> {
        let Some(newest) = self.newest else { return Ok(()) };
        // Whoever asks wants what waits for its time as well, as by the command.
        let ask = match trigger {
            Trigger::Page => LoadMode::NotDone,
            Trigger::Start => LoadMode::Start,
            _ => LoadMode::Tick,
        };
        // First, since a refused day may hold others back.
        if !self.resumes() {
            self.recheck(State::Refused, newest)?;
        }
        self.load(wanted.to_vec(), ask, trigger)?;
        self.member.took(self.observed().taken);
        self.recheck(State::Loaded, newest)
    }

    fn resumes(&self) -> bool {
        matches!(self.started.task, DatasetTask::Resume(..))
    }

    /// Looks at the files of the newest days in that state, unless the source cannot be asked.
    fn recheck(&self, state: State, newest: Day) -> Result<(), DbError> {
        if self.observed().unavailable.is_some() {
            return Ok(());
        }
        let rechecked = recheck(self.context, &self.member.job, state, newest, &self.started.until, self)?;
        let mut observed = self.observed();
        match rechecked {
            Rechecked::NotAsked => {}
            Rechecked::Answered => observed.answered = true,
            Rechecked::Unavailable(error) => observed.unavailable = Some(error),
        }
        Ok(())
    }

    fn load(&self, days: Vec<Day>, ask: LoadMode, trigger: Trigger) -> Result<(), DbError> {
        let Self { context, member, started, .. } = *self;
        let backlog = if self.resumes() { member.backlog_left() } else { member.backlog(trigger) };
        let task = Task {
            days,
            ask,
            trigger,
            concurrency: u32::try_from(started.threads).unwrap_or(u32::MAX),
            backlog: backlog.filter(|_| ask.is_the_schedules()),
            until: started.until.clone(),
            started: started.days.clone(),
        };
        // What did not begin is asked for again by whoever wanted it.
        reconcile(context, &member.job, &task, self).map(drop)
    }

    fn observed(&self) -> MutexGuard<'_, Observed> {
        self.observed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn into_observed(self) -> Observed {
        self.observed.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    fn observe(&self, event: &DayEvent) {
        let mut observed = self.observed();
        observed.loaded |= event.outcome == LoadOutcome::Loaded;
        observed.answered |= event.outcome.source_answered();
        let said = match &event.outcome {
            LoadOutcome::Loaded => "loaded",
            LoadOutcome::Waiting { .. } => "waiting for",
            LoadOutcome::Absent { .. } => "given up",
            LoadOutcome::Failed { .. } | LoadOutcome::Blocked { .. } => {
                self.member.may_not_fit();
                "failed"
            }
            LoadOutcome::Refused { .. } => "refused",
            LoadOutcome::Cancelled { .. } => "cancelled",
            LoadOutcome::DatabaseFailed { error, scope } => {
                self.member.may_not_fit();
                let text = error.to_string();
                observed.broke = Some(match scope {
                    FailureScope::Unreachable => TaskError::Unreachable(text),
                    // That one day may be the only one that it keeps from being loaded.
                    FailureScope::UntilChanged => TaskError::Persistent(format!("{}: {text}", event.day)),
                    FailureScope::Passing => TaskError::Other(text),
                });
                return;
            }
            LoadOutcome::Unavailable(error) => {
                let first = observed.unavailable.get_or_insert_with(|| error.clone());
                first.until = first.until.max(error.until);
                return;
            }
            LoadOutcome::Unchanged { .. }
            | LoadOutcome::Left(_)
            | LoadOutcome::Settled(_)
            | LoadOutcome::Lost
            | LoadOutcome::Interrupted => return,
        };
        // Looking for a file that never came is no work worth counting.
        let absent = matches!(event.outcome, LoadOutcome::Absent { .. });
        observed.taken += u32::from(!absent && Some(event.day) != self.newest);
        observed.last = Some(format!("{}: {said} {}", event.dataset, event.day));
    }
}

/// The wanted days that are past their deadline and not done.
fn late(context: &Context, dataset: &Dataset, now: DateTime<Utc>) -> Result<Vec<Day>, DbError> {
    let wanted = cron::wanted(dataset, now);
    let (Some(first), Some(last)) = (wanted.days.first(), wanted.late_to) else { return Ok(Vec::new()) };
    let range = DayRange { from: *first, to: last };
    let (known, _) = days::known(&mut context.database.conn()?, &dataset.name, range)?;
    let is_late = |day: &Day| {
        let known = known.get(day);
        wanted.is_late(*day, known.map(|known| known.state), known.is_some_and(|known| known.in_target))
    };
    Ok(wanted.within(range).iter().copied().filter(is_late).collect())
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;
    use std::time::Instant;

    use tokio::runtime::Runtime;

    use super::super::events::Event;
    use super::super::sweep;
    use super::super::tests::idle;
    use super::*;
    use crate::config::{self, Environment};
    use crate::db::pool::Database;
    use crate::db::worker::Worker;
    use crate::load_day::{Job, Stop};
    use crate::reconcile::StartedDays;
    use crate::source::Source;

    const ORDERS: &str = r#"
[source]
url = "{day}.csv"
[schedule]
cron = "0 2 * * *"
start = 2024-03-01
[waiting]
deadline = "07:30"
[target]
table = "orders"
key = ["id"]
[rows]
columns = [{ name = "id", type = "text" }]
"#;

    /// A dataset of that name, and what loading it from that folder into a file there needs.
    fn ready(name: &str, folder: &Path, runtime: &Runtime) -> (Context, ActiveDataset) {
        ready_from("2024-03-01", name, folder, runtime)
    }

    /// The same, from another day on.
    fn ready_from(start: &str, name: &str, folder: &Path, runtime: &Runtime) -> (Context, ActiveDataset) {
        let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).unwrap();
        std::fs::create_dir(folder.join("datasets")).unwrap();
        let orders = ORDERS.replace("{day}", &format!("{}/{{day}}", folder.display())).replace("2024-03-01", start);
        write("dayfill.toml", &format!("[database]\nurl = \"sqlite:{}/days.db\"\n", folder.display()));
        write(&format!("datasets/{name}.toml"), &orders);
        let config = config::load(Some(&folder.join("dayfill.toml")), &Environment::default());
        let mut config = config.unwrap_or_else(|problems| panic!("{problems}"));
        let dataset = config.datasets.remove(0);
        let database = Arc::new(Database::new(config.settings.database.url, config.settings.claim.lease, 2));
        let conn = ready::connect(&database).unwrap();
        let worker = Worker::start(&database, conn).unwrap();
        let context = Context::new(database, worker, runtime.handle().clone(), Stop::default(), 1);
        let source = Source::new(&dataset.source, &[]).unwrap();
        (context, ActiveDataset::new(&Arc::new(Job::new(dataset, source))))
    }

    #[test]
    fn a_deadline_that_passes_during_a_look_makes_its_day_late() {
        let folder = tempfile::tempdir().unwrap();
        let runtime = Runtime::new().unwrap();
        let (context, member) = ready("orders", folder.path(), &runtime);
        std::fs::write(folder.path().join("2024-03-01.csv"), "id\na\n").unwrap();
        let handle = DaemonHandle::disconnected();
        let context = context.with_subscribers(handle.subscribers().clone());
        // The clock moves on when the first day has come to something.
        let news = handle.subscribe();
        let now = || if news.is_empty() { "2024-03-02T07:00:00Z" } else { "2024-03-02T08:00:00Z" }.parse().unwrap();
        let result =
            run(&context, &member, &started(DatasetTask::CatchUp(Some(Trigger::Start))), &handle, &now).unwrap();
        assert_eq!(result.last.as_deref(), Some("orders: waiting for 2024-03-02"));
        assert_eq!(result.late, Some(vec!["2024-03-02".parse().unwrap()]));
    }

    #[test]
    fn what_a_clock_that_is_a_month_ahead_notes_is_forgotten_once_it_is_right() {
        let folder = tempfile::tempdir().unwrap();
        let runtime = Runtime::new().unwrap();
        let right = Utc::now();
        let day = |days: i64| Day::new((right + chrono::TimeDelta::days(days)).date_naive());
        let (context, member) = ready_from(&day(-1).to_string(), "orders", folder.path(), &runtime);
        let handle = DaemonHandle::disconnected();
        let ahead = || right + chrono::TimeDelta::days(30);
        run(&context, &member, &started(DatasetTask::CatchUp(Some(Trigger::Start))), &handle, &ahead).unwrap();
        let before = noted_days(&context);
        assert!(before.len() > 30 && before.contains(&day(29)), "{before:?}");
        let name = member.job.dataset.name.clone();
        let members = [(name.clone(), Arc::new(member))].into();
        let look = || sweep::sweep(&context, &[], &members, right).open.unwrap();
        assert_eq!(look().forgot, [name]);
        assert_eq!(noted_days(&context), [day(-1), day(0)]);
        assert_eq!(look().forgot, [], "said once");
    }

    /// That task, as it is started when nothing else is to do.
    fn started(task: DatasetTask) -> StartedTask {
        let (until, days) = (Stop::default(), StartedDays::default());
        StartedTask { name: "orders".parse().unwrap(), task, threads: 1, until, days }
    }

    /// The days that have a row.
    fn noted_days(context: &Context) -> Vec<Day> {
        days::open(&mut context.database.conn().unwrap()).unwrap().0.into_iter().map(|open| open.day).collect()
    }

    /// A server that gives no answer, and does not say for how long.
    fn away() -> Unavailable {
        Unavailable { why: "503".to_owned(), until: None }
    }

    #[test]
    fn a_source_that_answers_one_lane_ends_the_pause_of_the_others() {
        let folder = tempfile::tempdir().unwrap();
        let runtime = Runtime::new().unwrap();
        let (_context, member) = ready("orders", folder.path(), &runtime);
        let (mut daemon, _inbox) = runtime.block_on(idle());
        let (job, now) = (Arc::clone(&member.job), Utc::now());
        let dataset = job.dataset.clone();
        daemon.queue.put(&job, now);
        let look = DatasetTask::CatchUp(Some(Trigger::Start));
        daemon.queue.look(&dataset.name, Some(Trigger::Start));
        assert_eq!(daemon.queue.begin(now, 4)[0].task, look);
        let mut worked = |work, result| {
            let (generation, name, began) = (daemon.database.generation(), dataset.name.clone(), Instant::now());
            daemon.handle_event(Event::TaskEnded { generation, name, task: work, began, result: Ok(result) });
            daemon.queue.begin(now, 4).len()
        };
        assert_eq!(worked(look, TaskResult { unavailable: Some(away()), ..TaskResult::default() }), 0);
        let due = DatasetTask::Due(vec!["2024-03-01".parse().unwrap()]);
        assert_eq!(
            worked(due, TaskResult { answered: true, ..TaskResult::default() }),
            1,
            "it need not wait any longer"
        );
    }

    #[test]
    fn no_file_is_looked_at_again_in_a_source_that_did_not_answer() {
        let folder = tempfile::tempdir().unwrap();
        let runtime = Runtime::new().unwrap();
        let (context, member) = ready("orders", folder.path(), &runtime);
        std::fs::write(folder.path().join("2024-03-01.csv"), "other\na\n").unwrap();
        let handle = DaemonHandle::disconnected();
        let now = || "2024-03-01T07:00:00Z".parse().unwrap();
        let result =
            run(&context, &member, &started(DatasetTask::CatchUp(Some(Trigger::Start))), &handle, &now).unwrap();
        assert_eq!(result.last.as_deref(), Some("orders: refused 2024-03-01"));
        let started = started(DatasetTask::CatchUp(Some(Trigger::Start)));
        for (unavailable, answered) in [(None, true), (Some(away()), false)] {
            let observed = Mutex::new(Observed { unavailable, ..Observed::default() });
            let run = Run { context: &context, member: &member, started: &started, newest: None, observed };
            run.recheck(State::Refused, "2024-03-01".parse().unwrap()).unwrap();
            assert_eq!(run.observed().answered, answered);
        }
    }

    /// `work` has a fault for a dataset of that name while this crate is tested.
    #[test]
    fn a_fault_in_the_work_of_a_dataset_is_its_trouble_and_the_daemon_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let runtime = Runtime::new().unwrap();
        let (context, member) = ready("faulty_lane", folder.path(), &runtime);
        let (mut daemon, mut inbox) = runtime.block_on(idle());
        let (job, now) = (Arc::clone(&member.job), Utc::now());
        let dataset = job.dataset.clone();
        daemon.queue.put(&job, now);
        daemon.queue.look(&dataset.name, Some(Trigger::Start));
        daemon.start_tasks(&Arc::new(context), now);
        let Some(Event::TaskEnded { name, result: Err(TaskError::Other(error)), .. }) = inbox.events.blocking_recv()
        else {
            panic!("it did not end as trouble of the dataset");
        };
        assert_eq!((name, error.as_str()), (dataset.name, "a fault in dayfill: a test asked for a fault"));
    }

    /// `load_day` has a fault for a dataset of that name while this crate is tested.
    #[test]
    fn a_fault_while_a_day_is_loaded_is_a_failed_attempt_and_other_days_go_on() {
        let folder = tempfile::tempdir().unwrap();
        let runtime = Runtime::new().unwrap();
        let (context, member) = ready("faulty", folder.path(), &runtime);
        std::fs::write(folder.path().join("2024-03-01.csv"), "id\na\n").unwrap();
        let handle = DaemonHandle::disconnected();
        let now = || "2024-03-02T07:00:00Z".parse().unwrap();
        let result =
            run(&context, &member, &started(DatasetTask::CatchUp(Some(Trigger::Start))), &handle, &now).unwrap();
        assert_eq!(result.last.as_deref(), Some("faulty: waiting for 2024-03-02"));
        let mut conn = context.database.conn().unwrap();
        let day = "2024-03-01".parse().unwrap();
        let (known, _) = days::known(&mut conn, &member.job.dataset.name, DayRange { from: day, to: day }).unwrap();
        assert_eq!((known[&day].state, known[&day].attempts), (crate::state::State::Failed, 1));
        let rows = days::list_of(&mut conn, "faulty", &[day]).unwrap();
        assert_eq!(rows[0].error.as_deref(), Some("a fault in dayfill: a test asked for a fault"));
    }
}
