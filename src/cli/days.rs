//! `retry`, `skip`, `forget`, `pause` and `resume`: what a person decides about days and datasets.

use std::collections::{BTreeMap, BTreeSet};

use crate::cli::activity::{self, Entries};
use crate::cli::app::{App, days_of, wanted};
use crate::cli::args::{DaysArgs, PauseArgs, Resume, RetryArgs, Skip};
use crate::cli::catch_up::{conclude, concurrency};
use crate::cli::failure::Failure;
use crate::cli::loads::{self, DatasetDays, How, of_run};
use crate::cli::outside;
use crate::cli::table::Table;
use crate::dataset::{Dataset, DatasetName};
use crate::day::{self, Day, DayRange};
use crate::db::attempts::Trigger;
use crate::db::day_action::{DayAction, DayActionError, apply};
use crate::db::days;
use crate::db::paused;
use crate::db::pool::Conn;
use crate::exit_code::ExitCode;
use crate::plan::{LoadMode, ToRetry};
use crate::state::State;
use crate::wording::{ended, load_again};

pub(super) fn retry(app: &App, args: &RetryArgs) -> Result<ExitCode, Failure> {
    let datasets =
        if args.all_datasets { app.datasets_or_copies(&[])? } else { vec![app.one_dataset(args.dataset.as_deref())?] };
    if args.dry_run {
        let mut conn = app.look()?;
        let chosen: Result<Vec<Chosen>, Failure> =
            datasets.into_iter().map(|dataset| choose(conn.as_mut(), dataset, args)).collect();
        return would_retry(&chosen?);
    }
    let (_, mut conn) = loads::ready(app, 1)?;
    let mut code = ExitCode::Success;
    let (mut all, mut begun) = (Vec::new(), Vec::new());
    for dataset in datasets {
        let Chosen { dataset, days, left } = choose(Some(&mut conn), dataset, args)?;
        super::print(&left_alone(&dataset, &left))?;
        if days.is_empty() {
            continue;
        }
        let states = format!("{} days", to_retry(args));
        let what = Entries { action: "retry", dataset: &dataset.name, ranges: &args.days, reason: Some(&states) };
        begun.extend(activity::begin(&mut conn, &what)?);
        let fresh = each(&mut conn, &dataset.name, &days, DayAction::NewSeries)?;
        super::print(&fresh.said)?;
        code = if fresh.refused { ExitCode::Failed } else { code };
        all.push(DatasetDays { dataset, days });
    }
    drop(conn);
    if all.is_empty() {
        return super::print("nothing to retry\n");
    }
    let how =
        How { ask: LoadMode::Retry(to_retry(args)), trigger: Trigger::Retry, concurrency: concurrency(app, None) };
    let loads = loads::recorded(app, &begun, || loads::run(app, all, how, None))?;
    let loaded = conclude(&loads, false)?;
    Ok(if loaded == ExitCode::Success { code } else { loaded })
}

/// The days of a dataset that a retry takes, and why it takes none of the others that were named.
struct Chosen {
    dataset: Dataset,
    days: Vec<Day>,
    left: BTreeMap<&'static str, Vec<Day>>,
}

/// Which states a retry takes: those that were named, else all.
fn to_retry(args: &RetryArgs) -> ToRetry {
    let RetryArgs { failed, refused, absent, .. } = *args;
    if failed || refused || absent { ToRetry { failed, refused, absent } } else { ToRetry::ALL }
}

/// Chooses among the days that were named, or all that have a row. Without a connection there are no rows yet.
fn choose(conn: Option<&mut Conn>, dataset: Dataset, args: &RetryArgs) -> Result<Chosen, Failure> {
    let all = DayRange { from: Day::MIN, to: Day::MAX };
    let known = conn.map(|conn| days::known(conn, &dataset.name, all)).transpose()?.map(|(known, _)| known);
    let known = known.unwrap_or_default();
    let wanted: BTreeSet<Day> = wanted(&dataset, None, None).into_iter().collect();
    let to_retry = to_retry(args);
    let named = if args.days.is_empty() { known.keys().copied().collect() } else { days_of(&args.days)? };
    let (mut days, mut left): (Vec<Day>, BTreeMap<&str, Vec<Day>>) = Default::default();
    for day in named {
        match known.get(&day).map(|known| known.state) {
            Some(state) if to_retry.contains(state) && wanted.contains(&day) => days.push(day),
            _ if args.days.is_empty() => {}
            Some(State::Loaded) => left.entry(State::Loaded.name()).or_default().push(day),
            _ if !wanted.contains(&day) => left.entry("not wanted").or_default().push(day),
            state => left.entry(state.map_or("missing", State::name)).or_default().push(day),
        }
    }
    Ok(Chosen { dataset, days, left })
}

/// The days that were named and are left alone, a line for each reason.
fn left_alone(dataset: &Dataset, left: &BTreeMap<&'static str, Vec<Day>>) -> String {
    let name = &dataset.name;
    let line = |(reason, days): (&&str, &Vec<Day>)| {
        let hint = match *reason {
            "loaded" => format!("; `{}` loads such a day again", load_again(days[0], name)),
            _ => format!("; `dayfill load {} --dataset {name}` loads such a day", days[0]),
        };
        format!("{name}: left alone, {reason}: {}{hint}\n", day::listed(days))
    };
    left.iter().filter(|(_, days)| !days.is_empty()).map(line).collect()
}

fn would_retry(chosen: &[Chosen]) -> Result<ExitCode, Failure> {
    let mut table = Table::new(&["DATASET", "DAY", "WOULD BE", "BECAUSE"]);
    let mut left = String::new();
    for Chosen { dataset, days, left: alone } in chosen {
        for range in day::runs(days) {
            let because = of_run(range.days().count(), "failed, refused or absent".to_owned());
            table.row(&[dataset.name.to_string(), range.to_string(), "tried".to_owned(), because]);
        }
        left.push_str(&left_alone(dataset, alone));
    }
    let text = if table.is_empty() { "nothing to retry\n".to_owned() } else { table.render() };
    super::print_coloured(&format!("{text}{left}"))
}

pub(super) fn skip(app: &App, args: &Skip) -> Result<ExitCode, Failure> {
    let reason = args.reason.as_deref();
    act(app, &args.days, ("skip", DayAction::Skip(reason)), reason)
}

pub(super) fn forget(app: &App, args: &DaysArgs) -> Result<ExitCode, Failure> {
    act(app, args, ("forget", DayAction::Forget), None)
}

/// Carries out an action on each day, and says so.
fn act(app: &App, args: &DaysArgs, action: (&str, DayAction<'_>), reason: Option<&str>) -> Result<ExitCode, Failure> {
    let dataset = app.one_dataset(args.dataset.as_deref())?;
    let days = days_of(&args.days)?;
    let (_, mut conn) = loads::ready(app, 1)?;
    let (name, action) = action;
    if name == "skip" {
        outside::tell(&mut conn, &dataset, &days)?;
    }
    let what = Entries { action: name, dataset: &dataset.name, ranges: &args.days, reason };
    let begun = activity::begin(&mut conn, &what)?;
    let done = each(&mut conn, &dataset.name, &days, action);
    activity::end(app, &begun, &|_, range| match &done {
        Ok(done) => {
            let within =
                |days: &[Day]| days.iter().filter(|day| range.is_none_or(|range| range.contains(**day))).count();
            let past = if name == "skip" { "skipped" } else { "forgotten" };
            ended([(past, within(&done.taken)), ("left alone", within(&done.left))])
        }
        Err(failure) => failure.to_string(),
    });
    let done = done?;
    super::print(&done.said)?;
    Ok(if done.refused { ExitCode::Failed } else { ExitCode::Success })
}

/// What came of an action on several days.
#[derive(Default)]
struct Done {
    taken: Vec<Day>,
    left: Vec<Day>,
    said: String,
    refused: bool,
}

/// Carries out an action on each day. A day that cannot take it does not stop the others.
fn each(conn: &mut Conn, name: &DatasetName, days: &[Day], action: DayAction<'_>) -> Result<Done, Failure> {
    let past = match action {
        DayAction::Skip(_) => Some("skipped"),
        DayAction::Forget => Some("forgotten"),
        DayAction::NewSeries => None,
    };
    let mut all = Done::default();
    for day in days {
        match apply(conn, name, *day, action) {
            Ok(before) => {
                let before = before.map_or("missing", State::name);
                all.said.extend(past.map(|past| format!("{name} {day}: {past} (it was {before})\n")));
                all.taken.push(*day);
            }
            Err(DayActionError::Db(error)) => return Err(error.into()),
            Err(error) => {
                all.said.extend([format!("{name} {day}: {error}\n")]);
                all.left.push(*day);
                all.refused = true;
            }
        }
    }
    Ok(all)
}

pub(super) fn pause(app: &App, args: &PauseArgs) -> Result<ExitCode, Failure> {
    let dataset = app.one_dataset(args.dataset.as_deref())?;
    change(app, &dataset.name, "pause", args.reason.as_deref(), &|conn| {
        let paused = paused::pause(conn, &dataset.name, &activity::who(), args.reason.as_deref())?;
        Ok(if paused { "paused: daemons begin no day of it by themselves" } else { "paused already" })
    })
}

pub(super) fn resume(app: &App, args: &Resume) -> Result<ExitCode, Failure> {
    let dataset = app.one_dataset(args.dataset.as_deref())?;
    change(app, &dataset.name, "resume", None, &|conn| {
        let resumed = paused::resume(conn, &dataset.name)?;
        Ok(if resumed { "resumed: daemons catch up with what was left" } else { "not paused" })
    })
}

/// Pauses or resumes a dataset, and says what came of it.
fn change(
    app: &App,
    name: &DatasetName,
    action: &str,
    reason: Option<&str>,
    act: &dyn Fn(&mut Conn) -> Result<&'static str, Failure>,
) -> Result<ExitCode, Failure> {
    let (_, mut conn) = loads::ready(app, 1)?;
    let begun = activity::begin(&mut conn, &Entries { action, dataset: name, ranges: &[], reason })?;
    let done = act(&mut conn);
    activity::end(app, &begun, &|_, _| done.as_ref().map_or_else(ToString::to_string, |_| ended([])));
    super::print(&format!("{name}: {}\n", done?))
}
