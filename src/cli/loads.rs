//! Loading from the command line: what every command that loads has in common.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{TimeDelta, Utc};
use tokio::runtime::Runtime;

use crate::cli::activity;
use crate::cli::app::App;
use crate::cli::failure::Failure;
use crate::cli::progress::Bar;
use crate::cli::table::{Table, count, milliseconds};
use crate::dataset::{Dataset, DatasetName};
use crate::day::{self, Day, DayRange};
use crate::db::attempts::Trigger;
use crate::db::pool::{Conn, Database};
use crate::db::worker::Worker;
use crate::events::{DayEvent, PublishedEvent, Subscriber, Subscribers};
use crate::exit_code::ExitCode;
use crate::future_days;
use crate::load_day::{Context, Job, Stop};
use crate::load_outcome::LoadOutcome;
use crate::plan::{LoadMode, SkipReason};
use crate::ready;
use crate::reconcile::{StartedDays, Task, reconcile};
use crate::shutdown;
use crate::source::Source;
use crate::state::State;
use crate::wording::{DIED, RELOAD_DIED, counted, ended, load_again};

/// Days of one dataset to load.
pub(super) struct DatasetDays {
    pub(super) dataset: Dataset,
    pub(super) days: Vec<Day>,
}

/// Collects the events of a command's days.
struct Collector {
    events: Mutex<Vec<DayEvent>>,
    bar: Option<Bar>,
}

impl Subscriber for Collector {
    fn receive(&self, event: &PublishedEvent) {
        if let PublishedEvent::Day(event) = event {
            self.bar.iter().for_each(Bar::day_ended);
            self.events.lock().unwrap_or_else(PoisonError::into_inner).push(event.clone());
        }
    }
}

/// How the loads of a command ended.
pub(super) struct Loads {
    events: Vec<DayEvent>,
    /// A person named the days.
    named: bool,
    interrupted: bool,
    /// Some dataset was left out, and said to be.
    left_out: bool,
    /// The days that did not begin, since a source or the database did not answer, or a stop came before.
    not_tried: Vec<(DatasetName, Day)>,
}

/// How days are asked for, and how many at a time.
#[derive(Clone, Copy)]
pub(super) struct How {
    pub(super) ask: LoadMode,
    pub(super) trigger: Trigger,
    pub(super) concurrency: u32,
}

/// A database whose state tables are ready, and a connection to it.
pub(super) fn ready(app: &App, connections: u32) -> Result<(Arc<Database>, Conn), Failure> {
    let database = app.database(connections);
    let conn = ready::patiently(|| ready::connect(&database))?;
    Ok((database, conn))
}

/// A dataset that can be loaded, with its days.
struct Loadable {
    job: Job,
    days: Vec<Day>,
}

/// Makes the targets ready and the sources known. A dataset for which that cannot be done is left out, and said to be;
/// where that is true of all of them, it is an error.
fn loadable(app: &App, conn: &mut Conn, all: Vec<DatasetDays>) -> Result<(Vec<Loadable>, bool), Failure> {
    let number = all.len();
    let mut loadable = Vec::new();
    let mut wrong = Vec::new();
    for DatasetDays { dataset, days } in all {
        let name = dataset.name.clone();
        let unfit = match ready::patiently(|| ready::target(conn, &dataset)) {
            Err(error) if error.is_unreachable() => return Err(error.into()),
            Err(error) => Some(error.to_string()),
            Ok(unfit) => unfit,
        };
        let source = Source::new(&dataset.source, &app.environment.pairs());
        match (unfit, source) {
            (None, Ok(source)) => loadable.push(Loadable { job: Job::new(dataset, source), days }),
            (Some(why), _) => wrong.push((name, why)),
            (None, Err(error)) => wrong.push((name, error.to_string())),
        }
    }
    if wrong.len() == number && number > 0 {
        let told: Vec<String> = wrong.iter().map(|(name, why)| format!("{name}: {why}")).collect();
        // What is wrong with a table is a line for each column.
        return Err(Failure::of_lines(ExitCode::Configuration, told.iter().flat_map(|told| told.lines())));
    }
    for (name, why) in &wrong {
        log::error!("dataset {name} is left out until this is fixed: {why}");
    }
    Ok((loadable, !wrong.is_empty()))
}

/// Loads the days, dataset by dataset. `printer` receives events beside the subscribers of every command.
pub(super) fn run(
    app: &App,
    all: Vec<DatasetDays>,
    how: How,
    printer: Option<Arc<dyn Subscriber>>,
) -> Result<Loads, Failure> {
    let runtime = Runtime::new()?;
    let (stop, begun) = (Stop::default(), Arc::new(AtomicBool::new(false)));
    shutdown::on_signal(runtime.handle(), stop.clone(), Arc::clone(&begun))?;
    let (database, mut conn) = ready(app, how.concurrency + 1)?;
    let (all, left_out) = loadable(app, &mut conn, all)?;
    if how.ask == LoadMode::NotDone {
        for Loadable { job, .. } in &all {
            let today = future_days::today(&job.dataset, Utc::now(), *conn.now()?);
            future_days::forget(&mut conn, &job.dataset, today)?;
        }
    }
    begun.store(true, Ordering::Release);
    stop.cancels(database.waits());
    let worker = Worker::start(&database, conn)?;
    let context = Context::new(database, worker, runtime.handle().clone(), stop.clone(), how.concurrency);
    let context = context.with_subscribers(printer.into_iter().fold(app.subscribers()?, Subscribers::with));
    let bar = Bar::start(&app.bars, Arc::clone(&context.progress));
    let collector = Collector { events: Mutex::default(), bar };
    let mut not_tried = Vec::new();
    for Loadable { job, days } in all {
        let task = Task {
            days,
            ask: how.ask,
            trigger: how.trigger,
            concurrency: how.concurrency,
            backlog: None,
            until: Stop::default(),
            started: StartedDays::default(),
        };
        let left = reconcile(&context, &job, &task, &collector)?;
        not_tried.extend(left.into_iter().map(|day| (job.dataset.name.clone(), day)));
    }
    let Collector { events, bar } = collector;
    drop(bar);
    // Of a load that was stopped while another program held the SQLite file.
    if context.has_pending()
        && let Ok(mut conn) = context.database.conn_at_once()
        && let Some(error) = context.flush_pending(&mut conn, None).error
    {
        log::warn!("the database was not told how loads ended, the next look finds out: {error}");
    }
    let mut events = events.into_inner().unwrap_or_else(PoisonError::into_inner);
    events.sort_by(|left, right| (&left.dataset, left.day).cmp(&(&right.dataset, right.day)));
    Ok(Loads { events, named: how.ask.is_named(), interrupted: stop.is_abandoned(), left_out, not_tried })
}

/// Loads days as the entries of the activity log say, and writes into these what came of it.
pub(super) fn recorded(
    app: &App,
    begun: &activity::Begun,
    load: impl FnOnce() -> Result<Loads, Failure>,
) -> Result<Loads, Failure> {
    let loads = load();
    let database = app.database(1);
    if loads.as_ref().is_ok_and(Loads::was_interrupted) {
        // Who was told to end waits for no file for long.
        database.waits().cancel();
    }
    activity::end_on(&database, begun, &|dataset, range| match &loads {
        Ok(loads) => loads.outcome(dataset, range),
        Err(failure) => failure.to_string(),
    });
    loads
}

impl Loads {
    /// How the load of a dataset's days within a range ended.
    fn outcome(&self, dataset: &DatasetName, range: Option<DayRange>) -> String {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        let is_its =
            |event: &&DayEvent| event.dataset == *dataset && range.is_none_or(|range| range.contains(event.day));
        for event in self.events.iter().filter(is_its) {
            let word = if is_left(event) { "left alone" } else { described(event).0 };
            *counts.entry(word).or_default() += 1;
        }
        let is_its =
            |(name, day): &&(DatasetName, Day)| name == dataset && range.is_none_or(|range| range.contains(*day));
        let not_tried = self.not_tried.iter().filter(is_its).count();
        if not_tried > 0 {
            counts.insert("not tried", not_tried);
        }
        ended(counts)
    }

    pub(super) fn was_interrupted(&self) -> bool {
        self.interrupted
    }

    /// The days that did not begin, dataset by dataset.
    pub(super) fn not_tried(&self) -> Vec<Day> {
        self.not_tried.iter().map(|(_, day)| *day).collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// The exit code that the worst outcome asks for.
    pub(super) fn exit_code(&self, strict: bool) -> ExitCode {
        let any = |wanted: fn(&LoadOutcome) -> bool| self.events.iter().any(|event| wanted(&event.outcome));
        // Whoever names a day asks for its load, not for that of a process which may have begun with another file. A
        // catch-up asks that the day be loaded, by whomever.
        let elsewhere =
            |outcome: &LoadOutcome| matches!(outcome, LoadOutcome::Left(SkipReason::Busy) | LoadOutcome::Lost);
        if self.interrupted {
            ExitCode::Interrupted
        } else if any(|outcome| matches!(outcome, LoadOutcome::DatabaseFailed { .. })) {
            ExitCode::Database
        } else if any(|outcome| {
            matches!(
                outcome,
                LoadOutcome::Failed { .. }
                    | LoadOutcome::Blocked { .. }
                    | LoadOutcome::Cancelled { .. }
                    | LoadOutcome::Unavailable(_)
                    | LoadOutcome::Settled(State::Failed)
            )
        }) || (self.named && any(elsewhere))
        {
            ExitCode::Failed
        } else if any(|outcome| matches!(outcome, LoadOutcome::Refused { .. })) {
            ExitCode::Refused
        } else if !self.not_tried.is_empty() {
            ExitCode::Failed
        } else if self.left_out {
            ExitCode::Configuration
        } else if strict && any(|outcome| matches!(outcome, LoadOutcome::Waiting { .. })) {
            ExitCode::Waiting
        } else {
            ExitCode::Success
        }
    }

    /// A row for each day that was touched.
    pub(super) fn table(&self) -> String {
        let headings = ["DATASET", "DAY", "STATE", "ROWS>", "FILTERED>", "REJECTED>", "ATTEMPT>", "TIME>", "DETAIL"];
        let mut table = Table::new(&headings);
        let same = |one: &DayEvent, next: &DayEvent| {
            let is_idle = |event: &DayEvent| event.counted_attempt().is_none() && event.measured.rows_read.is_none();
            one.dataset == next.dataset
                && one.day.next() == next.day
                && is_idle(one)
                && is_idle(next)
                && described(one) == described(next)
        };
        // Years of days without a file are a line, not a thousand.
        for run in self.events.chunk_by(same) {
            let ([event, ..], [.., last]) = (run, run) else { continue };
            let (state, detail) = described(event);
            let measured = &event.measured;
            let elapsed: Duration = run.iter().map(|event| event.elapsed).sum();
            table.row(&[
                event.dataset.to_string(),
                DayRange { from: event.day, to: last.day }.to_string(),
                state.to_owned(),
                count(measured.rows_loaded),
                count(measured.rows_filtered),
                count(measured.rows_rejected),
                count(event.counted_attempt().map(i64::from)),
                milliseconds(elapsed.as_millis()),
                of_run(run.len(), detail),
            ]);
        }
        table.render()
    }

    /// How many of the loaded days have rejected rows, as it stands behind their number; nothing where none has.
    fn with_rejects(&self) -> String {
        let has_rejects = |event: &&DayEvent| event.rows_rejected().is_some_and(|rows| rows > 0);
        match self.events.iter().filter(has_rejects).count() {
            0 => String::new(),
            days => format!(" ({days} with rejected rows)"),
        }
    }

    /// One line that counts the states; days that wait for their file are listed, dataset by dataset.
    pub(super) fn summary(&self) -> String {
        let mut parts = Vec::new();
        for state in
            ["loaded", "failed", "refused", "interrupted", "running", "skipped", "absent", "unavailable", "database"]
        {
            let in_state = |event: &&DayEvent| described(event).0 == state && !is_left(event);
            let number = self.events.iter().filter(in_state).count();
            let with_rejects = if state == "loaded" { self.with_rejects() } else { String::new() };
            if number > 0 {
                parts.push(format!("{number} {state}{with_rejects}"));
            }
        }
        if !self.not_tried.is_empty() {
            parts.push(format!("{} not tried", self.not_tried.len()));
        }
        let left = self.events.iter().filter(|event| is_left(event)).count();
        if left > 0 {
            parts.push(format!("{left} left alone"));
        }
        let mut waiting: BTreeMap<&DatasetName, Vec<Day>> = BTreeMap::new();
        for event in &self.events {
            if matches!(event.outcome, LoadOutcome::Waiting { .. }) {
                waiting.entry(&event.dataset).or_default().push(event.day);
            }
        }
        if !waiting.is_empty() {
            let number = waiting.values().map(Vec::len).sum::<usize>();
            let named: Vec<String> =
                waiting.iter().map(|(dataset, days)| format!("{dataset} {}", day::listed(days))).collect();
            parts.push(format!("{number} waiting for a file: {}", named.join("; ")));
        }
        parts.join(", ")
    }
}

/// What there is to say of each day of a run, and how many those are where they are several.
pub(super) fn of_run(days: usize, detail: String) -> String {
    match (days, detail.is_empty()) {
        (1, _) => detail,
        (days, true) => counted(days, "day"),
        (days, false) => format!("{}: {detail}", counted(days, "day")),
    }
}

fn is_left(event: &DayEvent) -> bool {
    matches!(event.outcome, LoadOutcome::Left(_))
}

/// How a day's load ended, as the state that it leads to, and the details. A day that stays loaded is described by what
/// kept it from being loaded again.
fn described(event: &DayEvent) -> (&'static str, String) {
    let outcome = &event.outcome;
    match outcome {
        LoadOutcome::Loaded => ("loaded", String::new()),
        LoadOutcome::Waiting { why, .. } | LoadOutcome::Absent { why, .. } => (outcome.name(), why.clone()),
        LoadOutcome::Unchanged { .. } => ("loaded", "its file is the one that was loaded".to_owned()),
        LoadOutcome::Failed { error, .. } | LoadOutcome::Blocked { error, .. } if event.stays_loaded() => {
            ("failed", event.with_what_stays(&error.message))
        }
        LoadOutcome::Failed { error, attempts_left, .. } | LoadOutcome::Blocked { error, attempts_left, .. } => {
            ("failed", format!("{error} ({} left)", counted(*attempts_left, "attempt")))
        }
        LoadOutcome::Refused { error, .. } => ("refused", event.with_what_stays(&error.in_full)),
        LoadOutcome::Left(SkipReason::Done(State::Loaded)) => {
            ("loaded", format!("already loaded; `{}` loads it again", load_again(event.day, &event.dataset)))
        }
        LoadOutcome::Left(SkipReason::Done(state)) => (state.name(), format!("already {state}")),
        LoadOutcome::Left(leave @ SkipReason::NotToRetry(state)) => (State::name_or_missing(*state), leave.to_string()),
        LoadOutcome::Left(leave @ SkipReason::Busy) => ("running", leave.to_string()),
        LoadOutcome::Left(leave) => ("failed", leave.to_string()),
        LoadOutcome::Settled(State::Loaded) => {
            ("interrupted", format!("{RELOAD_DIED}; `{}` tries it again", load_again(event.day, &event.dataset)))
        }
        LoadOutcome::Settled(state) => (state.name(), DIED.to_owned()),
        LoadOutcome::Lost => ("running", "another process took it over".to_owned()),
        LoadOutcome::Interrupted => ("interrupted", "nothing was published; the attempt does not count".to_owned()),
        LoadOutcome::Cancelled { by, .. } => ("interrupted", format!("cancelled by {by}; the attempt does not count")),
        LoadOutcome::Unavailable(unavailable) => ("unavailable", format!("{unavailable}; no attempt is counted")),
        LoadOutcome::DatabaseFailed { error, .. } => ("database", error.to_string()),
    }
}

/// A span of time in the state table, for people; nothing while it is open.
pub(super) fn span(spent: Option<TimeDelta>) -> String {
    let spent = spent.map(|spent| spent.max(TimeDelta::zero()).num_milliseconds().unsigned_abs());
    spent.map_or_else(String::new, |spent| milliseconds(spent.into()))
}
