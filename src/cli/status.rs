//! `status`: what the state table says, as a table or as JSON.

use std::fmt::Write as _;

use chrono::Utc;

use crate::cli::app::App;
use crate::cli::args::Status;
use crate::cli::failure::Failure;
use crate::cli::loads::{of_run, span};
use crate::cli::table::{Table, count};
use crate::cron;
use crate::dataset::Dataset;
use crate::day::{self, Day, DayRange};
use crate::db::error::DbError;
use crate::db::pool::Conn;
use crate::db::setup;
use crate::exit_code::ExitCode;
use crate::plan::SkipReason;
use crate::state::State;
use crate::status::{self, DatasetStatus, DayStatus, Pause, RegisteredWorker, instant};
use crate::wording::{MOST_BYTES, counted, load_again, printable};

pub(super) fn status(app: &App, args: &Status) -> Result<ExitCode, Failure> {
    let mut conn = app.look()?;
    let datasets = app.datasets_or_copies(&args.dataset)?;
    let range = DayRange { from: args.from.unwrap_or(Day::MIN), to: args.to.unwrap_or(Day::MAX) };
    let (all, workers) = read(conn.as_mut(), &datasets, range).map_err(|error| match &mut conn {
        Some(conn) => setup::explained(conn, error),
        None => error,
    })?;
    if args.json {
        let database = app.config.settings.database.url.to_string();
        let json = serde_json::json!({ "database": database, "workers": workers, "datasets": all });
        let text = serde_json::to_string_pretty(&json).map_err(std::io::Error::from)?;
        return super::print_json(&format!("{text}\n"));
    }
    let mut text = String::new();
    if conn.is_none() {
        let database = app.config.settings.database.url.whole().to_string();
        let _ = writeln!(text, "no state tables yet in {}\n", printable(&database, MOST_BYTES));
    }
    let shown = match (args.all, args.from.is_some() || args.to.is_some()) {
        (true, _) => Shown::EachDay,
        (false, true) => Shown::Runs,
        (false, false) => Shown::OpenAndRecent,
    };
    for status in &all {
        text.push_str(&render(status, shown, !workers.is_empty()));
    }
    text.push_str(&render_workers(&workers));
    super::print_coloured(&text)
}

/// What the state tables say of each dataset, and who is at work.
fn read(
    mut conn: Option<&mut Conn>,
    datasets: &[Dataset],
    range: DayRange,
) -> Result<(Vec<DatasetStatus>, Vec<RegisteredWorker>), DbError> {
    let mut all = Vec::new();
    for dataset in datasets {
        all.push(status::of(conn.as_deref_mut(), dataset, &cron::wanted(dataset, Utc::now()), range)?);
    }
    let workers = conn.map(status::workers).transpose()?.unwrap_or_default();
    Ok((all, workers))
}

/// Which days are shown, and how.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shown {
    /// Those that are not loaded and the newest [`RECENT`], days of which the same is to be said on one line.
    OpenAndRecent,
    /// All of a range, days of which the same is to be said on one line.
    Runs,
    /// All, a line each.
    EachDay,
}

/// How many of the newest days are shown whether they are loaded or not.
const RECENT: usize = 14;

fn render(status: &DatasetStatus, shown: Shown, at_work: bool) -> String {
    let counts: Vec<String> = status.counts.iter().map(|(state, count)| counted_state(status, state, *count)).collect();
    let last = status.days.iter().rev().find(|day| day.state == Some(State::Loaded));
    let last = last.map_or_else(String::new, |last| format!("; last loaded {}", last.day));
    let counts = if counts.is_empty() { "no days wanted yet".to_owned() } else { counts.join(", ") };
    // Nobody wakes at ticks while nobody is at work.
    let next = status.next_tick.filter(|_| at_work);
    let next = next.map_or_else(String::new, |next| format!("; next tick {}", instant(next)));
    let mut text = format!("{} into {}: {counts}{last}{next}\n", status.dataset, status.table);
    if let Some(Pause { at, who, reason, .. }) = &status.paused {
        let why = reason.as_ref().map_or_else(String::new, |reason| format!(": {}", printable(reason, MOST_BYTES)));
        let _ = writeln!(text, "paused since {} by {}{why}", instant(*at), printable(who, MOST_BYTES));
    }
    for problem in &status.problems {
        // The reasons why a table does not fit have lines of their own.
        let lines: Vec<String> = problem.lines().map(|line| printable(line, usize::MAX)).collect();
        let _ = writeln!(text, "problem: {}", lines.join("\n"));
    }
    text.push_str(&render_days(&status.days, shown));
    let older: Vec<Day> = status.days.iter().filter(|day| day.older_definition).map(|day| day.day).collect();
    if !older.is_empty() {
        let _ = writeln!(text, "loaded by an older definition of the dataset: {}", day::listed(&older));
        let _ = writeln!(text, "  {}", reload_of(&older, &status.dataset));
    }
    text.push('\n');
    text
}

/// How many days are in a state, and how many of the loaded ones have rejected rows.
fn counted_state(status: &DatasetStatus, state: &str, count: u64) -> String {
    let has_rejects =
        |day: &&DayStatus| day.state == Some(State::Loaded) && day.rows_rejected.is_some_and(|rows| rows > 0);
    match status.days.iter().filter(has_rejects).count() {
        with_rejects @ 1.. if state == "loaded" => format!("{count} loaded ({with_rejects} with rejected rows)"),
        _ => format!("{count} {state}"),
    }
}

fn render_days(all: &[DayStatus], shown: Shown) -> String {
    let recent = all.len().saturating_sub(RECENT);
    let is_shown = |(place, day): &(usize, &DayStatus)| {
        shown != Shown::OpenAndRecent
            || *place >= recent
            || day.state != Some(State::Loaded)
            || day.newer_file
            || day.reload_error.is_some()
    };
    let days: Vec<&DayStatus> = all.iter().enumerate().filter(is_shown).map(|(_, day)| day).collect();
    let mut table = Table::new(&["DAY", "STATE", "ROWS>", "FILTERED>", "REJECTED>", "ATTEMPTS>", "TIME>", "DETAIL"]);
    for run in days.chunk_by(|day, next| shown != Shown::EachDay && is_same(day, next)) {
        let ([day, ..], [.., last]) = (run, run) else { continue };
        let alone = run.len() == 1;
        table.row(&[
            DayRange { from: day.day, to: last.day }.to_string(),
            State::name_or_missing(day.state).to_owned(),
            count(day.rows_loaded),
            count(day.rows_filtered),
            count(day.rows_rejected),
            if day.state.is_none() { String::new() } else { day.attempts.to_string() },
            if alone { span(day.started_at.zip(day.finished_at).map(|(from, to)| to - from)) } else { String::new() },
            detail(run),
        ]);
    }
    let mut text = if table.is_empty() { String::new() } else { table.render() };
    let hidden = all.len() - days.len();
    if hidden > 0 {
        let _ = writeln!(text, "and {}, with --all", counted(hidden, "older loaded day"));
    }
    text
}

/// True when one line can stand for a day and the next: no rows are told of either, and all else is the same.
fn is_same(day: &DayStatus, next: &DayStatus) -> bool {
    let said = |day: &DayStatus| (day.state, day.attempts, day.rows_read, day.rows_rejected, said(day));
    day.day.next() == next.day
        && day.state != Some(State::Loaded)
        && day.state != Some(State::Running)
        && said(day) == said(next)
}

/// How days are loaded again: all of them, or the first where there are too many to name.
fn reload_of(days: &[Day], dataset: &str) -> String {
    let runs = day::runs(days);
    let named: Vec<String> = runs.iter().take(day::MOST_LISTED).map(ToString::to_string).collect();
    let which = if named.len() < runs.len() { "the first of them" } else { "them" };
    format!("`{}` loads {which} again", load_again(named.join(" "), dataset))
}

/// What there is to say of the days on a line.
fn detail(run: &[&DayStatus]) -> String {
    let Some(day) = run.first() else { return String::new() };
    let next = run.iter().filter_map(|day| day.next_attempt_at).min();
    let next = next.map(|next| format!("next look {}", instant(next)));
    of_run(run.len(), said(day).into_iter().chain(next).collect::<Vec<_>>().join("; "))
}

/// What there is to say of a day, but for when it is looked at next.
fn said(day: &DayStatus) -> Vec<String> {
    let late = day.late.then(|| "late".to_owned());
    let held = day.held_back_by.map(|by| SkipReason::HeldBack(by).to_string());
    let newer = day.newer_file.then(|| "its file changed after it was loaded".to_owned());
    let rejected = day.rows_rejected.filter(|rows| *rows > 0 && day.state == Some(State::Loaded));
    let rejected = rejected.map(|lines| format!("{} rejected", counted(lines, "line")));
    let running = day.started_at.filter(|_| day.state == Some(State::Running));
    let running = running.map(|at| format!("running since {}", instant(at)));
    [running, rejected, late, held, day.error.clone(), day.reload_error.clone(), day.note.clone(), newer]
        .into_iter()
        .flatten()
        .collect()
}

fn render_workers(workers: &[RegisteredWorker]) -> String {
    let mut text = String::new();
    for worker in workers {
        let RegisteredWorker { host, pid, version, started_at, heartbeat_at, refused_config, .. } = worker;
        let _ = writeln!(
            text,
            "at work: {} pid {pid}, dayfill {version}, since {}, heartbeat {}",
            printable(host, MOST_BYTES),
            instant(*started_at),
            instant(*heartbeat_at)
        );
        for problem in refused_config.iter().flat_map(|problems| problems.lines()) {
            let _ = writeln!(text, "  refused configuration: {}", printable(problem, usize::MAX));
        }
    }
    text
}
