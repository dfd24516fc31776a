//! `catch-up` and `load`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use chrono::Utc;

use crate::cli::activity::{self, Entries};
use crate::cli::app::{App, days_of, wanted};
use crate::cli::args::{CatchUpArgs, LoadArgs};
use crate::cli::failure::Failure;
use crate::cli::loads::{self, DatasetDays, How, Loads, of_run};
use crate::cli::outside;
use crate::cli::table::Table;
use crate::cron;
use crate::dataset::{Dataset, DatasetName, Schedule};
use crate::day::{Day, DayRange};
use crate::db::attempts::Trigger;
use crate::exit_code::ExitCode;
use crate::plan::{Decision, LoadMode, Reason, SkipReason};
use crate::reconcile;
use crate::state::State;
use crate::status;
use crate::wording::{DIED, RELOAD_DIED, counted};

pub(super) fn catch_up(app: &App, args: &CatchUpArgs) -> Result<ExitCode, Failure> {
    let datasets = app.datasets(&args.dataset)?;
    if let (Some(from), Some(to)) = (args.from, args.to)
        && to < from
    {
        return Err(Failure::new(ExitCode::Usage, format!("--to {to} is before --from {from}")));
    }
    if args.dry_run {
        return dry_run(app, args);
    }
    let all: Vec<DatasetDays> = datasets
        .into_iter()
        .map(|dataset| DatasetDays { days: wanted(dataset, args.from, args.to), dataset: dataset.clone() })
        .collect();
    let how =
        How { ask: LoadMode::NotDone, trigger: Trigger::CatchUp, concurrency: concurrency(app, args.concurrency) };
    let loads = loads::run(app, all, how, None)?;
    if loads.is_empty() && !loads.was_interrupted() {
        super::print(&nothing_to_do(app, args)?)?;
        return Ok(loads.exit_code(args.strict));
    }
    conclude(&loads, args.strict)
}

pub(super) fn load(app: &App, args: &LoadArgs) -> Result<ExitCode, Failure> {
    let days = days_of(&args.days)?;
    let datasets = app.datasets_or_copies(&args.dataset)?;
    let all: Vec<_> = datasets.into_iter().map(|dataset| DatasetDays { dataset, days: days.clone() }).collect();
    let ask = if args.force { LoadMode::Forced } else { LoadMode::Named };
    let how = How { ask, trigger: Trigger::Load, concurrency: concurrency(app, None) };
    let action = if args.force { "reload" } else { "load" };
    let mut begun = Vec::new();
    {
        let (_, mut conn) = loads::ready(app, 1)?;
        outside::confirm(&mut conn, &all, args.yes)?;
        for DatasetDays { dataset, .. } in &all {
            let what = Entries { action, dataset: &dataset.name, ranges: &args.days, reason: None };
            begun.extend(activity::begin(&mut conn, &what)?);
        }
    }
    conclude(&loads::recorded(app, &begun, || loads::run(app, all, how, None))?, args.strict)
}

pub(super) fn concurrency(app: &App, asked: Option<u32>) -> u32 {
    asked.unwrap_or(app.config.settings.policy.catch_up.concurrency)
}

/// Prints the table of days and the summary.
pub(super) fn conclude(loads: &Loads, strict: bool) -> Result<ExitCode, Failure> {
    super::print_coloured(&format!("{}\n{}\n", loads.table(), loads.summary()))?;
    Ok(loads.exit_code(strict))
}

/// Why there is nothing to do: what became of the wanted days.
fn nothing_to_do(app: &App, args: &CatchUpArgs) -> Result<String, Failure> {
    let mut reasons: BTreeMap<String, u64> = BTreeMap::new();
    for (_, _, decision) in decided(app, args)? {
        if let Decision::Skip(leave) = decision {
            *reasons.entry(leave.to_string()).or_default() += 1;
        }
    }
    let days: u64 = reasons.values().sum();
    let reasons: Vec<String> = reasons.iter().map(|(reason, days)| format!("{days} {reason}")).collect();
    let reasons = if reasons.is_empty() { String::new() } else { format!(" ({})", reasons.join(", ")) };
    let mut text = format!("nothing to do for {}{reasons}\n", counted(days, "wanted day"));
    for dataset in app.datasets(&args.dataset)? {
        if wanted(dataset, args.from, args.to).is_empty() {
            let why = none_wanted(dataset, &wanted(dataset, None, None));
            let _ = writeln!(text, "{}: {why}", dataset.name);
        }
    }
    Ok(text)
}

/// Why none of a dataset's days is wanted, or none of those within the bounds that were given.
fn none_wanted(dataset: &Dataset, all: &[Day]) -> String {
    let Schedule { start, end, lag_days, timezone, .. } = &dataset.schedule;
    if let ([first, ..], [.., last]) = (all, all) {
        return format!("its wanted days are {}, none within --from and --to", DayRange { from: *first, to: *last });
    }
    let now = Utc::now();
    if start.date() > now.with_timezone(timezone).date_naive() {
        return format!("schedule.start = {start} is in the future");
    }
    let ticked = cron::last_tick(&dataset.schedule, now);
    if ticked.is_some_and(|date| Day::new(date).minus(*lag_days) >= *start) {
        let to = end.map_or_else(|| "today".to_owned(), |end| end.to_string());
        return format!("no day from schedule.start = {start} to {to} is one of schedule.days");
    }
    let next = cron::next_tick(&dataset.schedule, now).map(status::instant);
    let next = next.map_or_else(String::new, |next| format!("; the next tick is {next}"));
    let lag = if *lag_days > 0 { format!(" with schedule.lag_days = {lag_days}") } else { String::new() };
    format!("no tick has asked for a day since schedule.start = {start}{lag}{next}")
}

/// What a catch-up would do with each wanted day, by the state table as it is.
fn decided(app: &App, args: &CatchUpArgs) -> Result<Vec<(DatasetName, Day, Decision)>, Failure> {
    let mut conn = app.look()?;
    let mut all = Vec::new();
    for dataset in app.datasets(&args.dataset)? {
        let days = wanted(dataset, args.from, args.to);
        let decided = match &mut conn {
            Some(conn) => reconcile::decide(conn, dataset, &days, LoadMode::NotDone, None)?,
            None => days.into_iter().map(|day| (day, Decision::Load(Reason::Missing))).collect(),
        };
        all.extend(decided.into_iter().map(|(day, decision)| (dataset.name.clone(), day, decision)));
    }
    Ok(all)
}

fn dry_run(app: &App, args: &CatchUpArgs) -> Result<ExitCode, Failure> {
    let mut rows = Vec::new();
    for (dataset, day, decision) in decided(app, args)? {
        let (would, because) = match decision {
            Decision::Load(reason) => ("tried".to_owned(), reason.to_string()),
            Decision::Settle(State::Loaded) => (State::Loaded.to_string(), RELOAD_DIED.to_owned()),
            Decision::Settle(state) => (state.to_string(), DIED.to_owned()),
            Decision::Skip(leave @ SkipReason::HeldBack(_)) => ("left alone".to_owned(), leave.to_string()),
            Decision::Skip(_) => continue,
        };
        rows.push((dataset, day, would, because));
    }
    let mut table = Table::new(&["DATASET", "DAY", "WOULD BE", "BECAUSE"]);
    let same = |one: &(DatasetName, Day, String, String), next: &(DatasetName, Day, String, String)| {
        one.0 == next.0 && one.1.next() == next.1 && (&one.2, &one.3) == (&next.2, &next.3)
    };
    for run in rows.chunk_by(same) {
        let ([(dataset, from, would, because), ..], [.., (_, to, ..)]) = (run, run) else { continue };
        let range = DayRange { from: *from, to: *to };
        table.row(&[dataset.to_string(), range.to_string(), would.clone(), of_run(run.len(), because.clone())]);
    }
    let text = if table.is_empty() { nothing_to_do(app, args)? } else { table.render() };
    super::print_coloured(&text)
}
