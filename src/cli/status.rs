//! `status`: what the state table says, as a table or as JSON.

use std::fmt::Write as _;

use chrono::Utc;

use crate::cli::app::App;
use crate::cli::args::Status;
use crate::cli::failure::Failure;
use crate::cli::loads::span;
use crate::cli::table::{Table, count};
use crate::day::{self, Day, DayRange};
use crate::exit_code::ExitCode;
use crate::plan::Leave;
use crate::scheduler;
use crate::status::{self, DatasetStatus, DayStatus, Pause, WorkerStatus};
use crate::wording::load_again;

pub(super) fn status(app: &App, args: &Status) -> Result<ExitCode, Failure> {
    let mut conn = app.look()?;
    let datasets = app.datasets_or_copies(&args.dataset)?;
    let range = DayRange { from: args.from.unwrap_or(Day::MIN), to: args.to.unwrap_or(Day::MAX) };
    let mut all = Vec::new();
    for dataset in &datasets {
        all.push(status::of(conn.as_mut(), dataset, &scheduler::wanted(dataset, Utc::now()), range)?);
    }
    let workers = conn.as_mut().map(status::workers).transpose()?.unwrap_or_default();
    if args.json {
        let database = app.config.settings.database.url.to_string();
        let json = serde_json::json!({ "database": database, "workers": workers, "datasets": all });
        let text = serde_json::to_string_pretty(&json).map_err(std::io::Error::from)?;
        return super::print(&format!("{text}\n"));
    }
    let mut text = String::new();
    if conn.is_none() {
        let _ = writeln!(text, "no state tables yet in {}\n", app.config.settings.database.url.whole());
    }
    for status in &all {
        text.push_str(&render(status, !workers.is_empty()));
    }
    text.push_str(&render_workers(&workers));
    super::print(&super::coloured(&text))
}

fn render(status: &DatasetStatus, at_work: bool) -> String {
    let counts: Vec<String> = status.counts.iter().map(|(state, count)| format!("{count} {state}")).collect();
    let last = status.days.iter().rev().find(|day| day.state == "loaded");
    let last = last.map_or_else(String::new, |last| format!("; last loaded {}", last.day));
    let counts = if counts.is_empty() { "no days wanted yet".to_owned() } else { counts.join(", ") };
    // Nobody wakes at ticks while nobody is at work.
    let next = status.next_tick.as_ref().filter(|_| at_work);
    let next = next.map_or_else(String::new, |next| format!("; next tick {next}"));
    let mut text = format!("{} into {}: {counts}{last}{next}\n", status.dataset, status.table);
    if let Some(Pause { at, who, reason }) = &status.paused {
        let why = reason.as_ref().map_or_else(String::new, |reason| format!(": {reason}"));
        let _ = writeln!(text, "paused since {at} by {who}{why}");
    }
    let mut table = Table::new(&["DAY", "STATE", "ROWS>", "FILTERED>", "REJECTED>", "ATTEMPTS>", "TIME>", "DETAIL"]);
    for day in &status.days {
        table.row(vec![
            day.day.to_string(),
            day.state.to_owned(),
            count(day.rows_loaded),
            count(day.rows_filtered),
            count(day.rows_rejected),
            if day.state == "missing" { String::new() } else { day.attempts.to_string() },
            span(day.span.0, day.span.1),
            detail(day),
        ]);
    }
    if !table.is_empty() {
        text.push_str(&table.render());
    }
    let older: Vec<Day> = status.days.iter().filter(|day| day.older_definition).map(|day| day.day).collect();
    if !older.is_empty() {
        let _ = writeln!(text, "loaded by an older definition of the dataset: {}", day::listed(&older));
        let _ = writeln!(text, "  {}", reload_of(&older, &status.dataset));
    }
    text.push('\n');
    text
}

/// How days are loaded again: all of them, or the first where there are too many to name.
fn reload_of(days: &[Day], dataset: &str) -> String {
    let runs = day::runs(days);
    let named: Vec<String> = runs.iter().take(day::MOST_LISTED).map(ToString::to_string).collect();
    let which = if named.len() < runs.len() { "the first of them" } else { "them" };
    format!("`{}` loads {which} again", load_again(named.join(" "), dataset))
}

fn detail(day: &DayStatus) -> String {
    let late = day.late.then(|| "late".to_owned());
    let held = day.held_back_by.map(|by| Leave::HeldBack(by).to_string());
    let newer = day.newer_file.then(|| "its file changed after it was loaded".to_owned());
    let next = day.next_attempt_at.as_ref().map(|next| format!("next look {next}"));
    [late, held, day.error.clone(), day.note.clone(), newer, next].into_iter().flatten().collect::<Vec<_>>().join("; ")
}

fn render_workers(workers: &[WorkerStatus]) -> String {
    let mut text = String::new();
    for worker in workers {
        let WorkerStatus { host, pid, version, started_at, heartbeat_at, refused_config, .. } = worker;
        let _ = writeln!(
            text,
            "at work: {host} pid {pid}, dayfill {version}, since {started_at}, heartbeat {heartbeat_at}"
        );
        for problem in refused_config.iter().flat_map(|problems| problems.lines()) {
            let _ = writeln!(text, "  refused configuration: {problem}");
        }
    }
    text
}
