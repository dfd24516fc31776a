//! Loading from the command line: what every command that loads has in common.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
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
use crate::exit_code::ExitCode;
use crate::future_days;
use crate::load_day::{Begun, Context, Job, Outcome, Report, Stop};
use crate::plan::{LoadMode, SkipReason};
use crate::ready;
use crate::reconcile::{Task, reconcile};
use crate::shutdown;
use crate::source::Source;
use crate::state::State;
use crate::wording::{DIED, RELOAD_DIED, counted, ended, load_again, with_first};

/// Days of one dataset to load.
pub(super) struct DatasetDays {
    pub(super) dataset: Dataset,
    pub(super) days: Vec<Day>,
}

/// What came of all days.
pub(super) struct Loads {
    reports: Vec<(DatasetName, Report)>,
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

/// Loads the days, dataset by dataset. `each` sees every report as it comes.
pub(super) fn run(
    app: &App,
    all: Vec<DatasetDays>,
    how: How,
    each: &mut dyn FnMut(&Dataset, &Report),
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
    let bar = Bar::start(&app.bars, Arc::clone(&context.progress));
    let (mut reports, mut not_tried) = (Vec::new(), Vec::new());
    for Loadable { job, days } in all {
        let task = Task {
            days,
            ask: how.ask,
            trigger: how.trigger,
            concurrency: how.concurrency,
            backlog: None,
            until: Stop::default(),
            begun: Begun::default(),
        };
        let left = reconcile(&context, &job, &task, &mut |report| {
            each(&job.dataset, &report);
            bar.iter().for_each(Bar::day_ended);
            reports.push((job.dataset.name.clone(), report));
        })?;
        not_tried.extend(left.into_iter().map(|day| (job.dataset.name.clone(), day)));
    }
    drop(bar);
    // Of a load that was stopped while another program held the SQLite file.
    if context.has_untold()
        && let Ok(mut conn) = context.database.conn_at_once()
        && let Some(error) = context.tell(&mut conn, None).error
    {
        log::warn!("the database was not told how loads ended, the next look finds out: {error}");
    }
    reports.sort_by(|(left, a), (right, b)| (left, a.day).cmp(&(right, b.day)));
    Ok(Loads { reports, named: how.ask.is_named(), interrupted: stop.is_abandoned(), left_out, not_tried })
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
        let is_its = |(name, report): &&(DatasetName, Report)| {
            name == dataset && range.is_none_or(|range| range.contains(report.day))
        };
        for (dataset, report) in self.reports.iter().filter(is_its) {
            let word = if is_left(report) { "left alone" } else { told(dataset, report).0 };
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
        self.reports.is_empty()
    }

    /// The exit code that the worst report asks for.
    pub(super) fn exit_code(&self, strict: bool) -> ExitCode {
        let any = |wanted: fn(&Outcome) -> bool| self.reports.iter().any(|(_, report)| wanted(&report.outcome));
        // Whoever names a day asks for its load, not for that of a process which may have begun with another file. A
        // catch-up asks that the day be loaded, by whomever.
        let elsewhere = |outcome: &Outcome| matches!(outcome, Outcome::Left(SkipReason::Busy) | Outcome::Lost);
        if self.interrupted {
            ExitCode::Interrupted
        } else if any(|outcome| matches!(outcome, Outcome::Database(_))) {
            ExitCode::Database
        } else if any(|outcome| {
            matches!(
                outcome,
                Outcome::Failed { .. }
                    | Outcome::Cancelled { .. }
                    | Outcome::Unavailable(_)
                    | Outcome::Settled(State::Failed)
            )
        }) || (self.named && any(elsewhere))
        {
            ExitCode::Failed
        } else if any(|outcome| matches!(outcome, Outcome::Refused { .. })) {
            ExitCode::Refused
        } else if !self.not_tried.is_empty() {
            ExitCode::Failed
        } else if self.left_out {
            ExitCode::Configuration
        } else if strict && any(|outcome| matches!(outcome, Outcome::Waiting { .. })) {
            ExitCode::Waiting
        } else {
            ExitCode::Success
        }
    }

    /// A row for each day that was touched.
    pub(super) fn table(&self) -> String {
        let headings = ["DATASET", "DAY", "STATE", "ROWS>", "FILTERED>", "REJECTED>", "ATTEMPT>", "TIME>", "DETAIL"];
        let mut table = Table::new(&headings);
        let same = |one: &(DatasetName, Report), next: &(DatasetName, Report)| {
            let is_idle = |report: &Report| report.counted_attempt().is_none() && report.measured.rows_read.is_none();
            one.0 == next.0
                && one.1.day.next() == next.1.day
                && is_idle(&one.1)
                && is_idle(&next.1)
                && told(&one.0, &one.1) == told(&next.0, &next.1)
        };
        // Years of days without a file are a line, not a thousand.
        for run in self.reports.chunk_by(same) {
            let ([(dataset, report), ..], [.., (_, last)]) = (run, run) else { continue };
            let (state, detail) = told(dataset, report);
            let measured = &report.measured;
            let elapsed: Duration = run.iter().map(|(_, report)| report.elapsed).sum();
            table.row(&[
                dataset.to_string(),
                DayRange { from: report.day, to: last.day }.to_string(),
                state.to_owned(),
                count(measured.rows_loaded),
                count(measured.rows_filtered),
                count(measured.rows_rejected),
                count(report.counted_attempt().map(i64::from)),
                milliseconds(elapsed.as_millis()),
                of_run(run.len(), detail),
            ]);
        }
        table.render()
    }

    /// How many of the loaded days have rejected rows, as it stands behind their number; nothing where none has.
    fn with_rejects(&self) -> String {
        let has_rejects = |report: &Report| {
            matches!(report.outcome, Outcome::Loaded) && report.measured.rows_rejected.is_some_and(|rows| rows > 0)
        };
        match self.reports.iter().filter(|(_, report)| has_rejects(report)).count() {
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
            let in_state =
                |(dataset, report): &&(DatasetName, Report)| told(dataset, report).0 == state && !is_left(report);
            let number = self.reports.iter().filter(in_state).count();
            let with_rejects = if state == "loaded" { self.with_rejects() } else { String::new() };
            if number > 0 {
                parts.push(format!("{number} {state}{with_rejects}"));
            }
        }
        if !self.not_tried.is_empty() {
            parts.push(format!("{} not tried", self.not_tried.len()));
        }
        let left = self.reports.iter().filter(|(_, report)| is_left(report)).count();
        if left > 0 {
            parts.push(format!("{left} left alone"));
        }
        let mut waiting: BTreeMap<&DatasetName, Vec<Day>> = BTreeMap::new();
        for (dataset, report) in &self.reports {
            if matches!(report.outcome, Outcome::Waiting { .. }) {
                waiting.entry(dataset).or_default().push(report.day);
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

fn is_left(report: &Report) -> bool {
    matches!(report.outcome, Outcome::Left(_))
}

/// What came of a day, as the state that it leads to, and what there is to say beside. A day that stays loaded is told
/// by what kept it from being loaded again.
fn told(dataset: &DatasetName, report: &Report) -> (&'static str, String) {
    match &report.outcome {
        Outcome::Loaded => ("loaded", String::new()),
        Outcome::Waiting { why, .. } => ("waiting", why.clone()),
        Outcome::Absent { why, .. } => ("absent", why.clone()),
        Outcome::Unchanged => ("loaded", "its file is the one that was loaded".to_owned()),
        Outcome::Failed { error, .. } if report.stays_loaded => ("failed", report.with_what_stays(error)),
        Outcome::Failed { error, left, .. } => ("failed", format!("{error} ({} left)", counted(*left, "attempt"))),
        Outcome::Refused { error, first } => ("refused", report.with_what_stays(with_first(error, first.as_deref()))),
        Outcome::Left(SkipReason::Done(State::Loaded)) => {
            ("loaded", format!("already loaded; `{}` loads it again", load_again(report.day, dataset)))
        }
        Outcome::Left(SkipReason::Done(state)) => (state.name(), format!("already {state}")),
        Outcome::Left(leave @ SkipReason::NotToRetry(state)) => (State::name_or_missing(*state), leave.to_string()),
        Outcome::Left(leave @ SkipReason::Busy) => ("running", leave.to_string()),
        Outcome::Left(leave) => ("failed", leave.to_string()),
        Outcome::Settled(State::Loaded) => {
            ("interrupted", format!("{RELOAD_DIED}; `{}` tries it again", load_again(report.day, dataset)))
        }
        Outcome::Settled(state) => (state.name(), DIED.to_owned()),
        Outcome::Lost => ("running", "another process took it over".to_owned()),
        Outcome::Interrupted => ("interrupted", "nothing was published; the attempt does not count".to_owned()),
        Outcome::Cancelled { by } => ("interrupted", format!("cancelled by {by}; the attempt does not count")),
        Outcome::Unavailable(error) => ("unavailable", format!("{error}; no attempt is counted")),
        Outcome::Database(error) => ("database", error.to_string()),
    }
}

/// A span of time in the state table, for people; nothing while it is open.
pub(super) fn span(spent: Option<TimeDelta>) -> String {
    let spent = spent.map(|spent| spent.max(TimeDelta::zero()).num_milliseconds().unsigned_abs());
    spent.map_or_else(String::new, |spent| milliseconds(spent.into()))
}
