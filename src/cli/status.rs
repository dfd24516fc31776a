//! `status`: what the state table says, as a table or as JSON.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use chrono::{NaiveDateTime, SecondsFormat, Utc};

use crate::cli::app::{App, wanted};
use crate::cli::args::Status;
use crate::cli::failure::Failure;
use crate::cli::loads::span;
use crate::cli::table::{Table, count};
use crate::dataset::Dataset;
use crate::day::{self, Day, DayRange};
use crate::db::days::{self, ProcessedDay};
use crate::db::pool::Conn;
use crate::db::worker;
use crate::exit_code::ExitCode;
use crate::plan::{self, Ask, Decision, Leave};
use crate::reconcile;
use crate::scheduler;
use crate::state::State;
use crate::wording::load_again;

/// What is known of a dataset. Field names are a documented contract (docs/operations.md): they are added to, never
/// renamed.
#[derive(serde::Serialize)]
struct DatasetStatus {
    dataset: String,
    table: String,
    /// When the schedule ticks next.
    next_tick: Option<String>,
    /// How many of the days below are in each state; `missing` counts wanted days without a row.
    counts: BTreeMap<&'static str, u64>,
    days: Vec<DayStatus>,
}

/// What is known of a day. Times are UTC, RFC 3339.
#[derive(serde::Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "the fields of a documented contract")]
struct DayStatus {
    day: Day,
    state: &'static str,
    wanted: bool,
    attempts: i32,
    rows_read: Option<i64>,
    rows_filtered: Option<i64>,
    rows_rejected: Option<i64>,
    rows_loaded: Option<i64>,
    source_url: Option<String>,
    source_etag: Option<String>,
    source_bytes: Option<i64>,
    source_hash: Option<String>,
    started_at: Option<String>,
    finished_at: Option<String>,
    loaded_at: Option<String>,
    next_attempt_at: Option<String>,
    duration_ms: Option<i64>,
    /// Loaded by another definition of the dataset than the one in force.
    older_definition: bool,
    /// Its source has a newer file than the one that was loaded.
    newer_file: bool,
    /// Wanted, not loaded, and past its deadline.
    late: bool,
    /// The older day that failed or was refused and holds this one back.
    held_back_by: Option<Day>,
    error: Option<String>,
    note: Option<String>,
    #[serde(skip)]
    span: (Option<NaiveDateTime>, Option<NaiveDateTime>),
}

/// A process that works with the database now.
#[derive(serde::Serialize)]
struct WorkerStatus {
    id: String,
    host: String,
    pid: i64,
    version: String,
    started_at: String,
    heartbeat_at: String,
    /// What is wrong with the configuration it refused; it goes on with the one before.
    refused_config: Option<String>,
}

pub(super) fn status(app: &App, args: &Status) -> Result<ExitCode, Failure> {
    let mut conn = app.look()?;
    let datasets = app.datasets_or_copies(&args.dataset)?;
    let mut all = Vec::new();
    for dataset in &datasets {
        all.push(of(conn.as_mut(), dataset, args.from, args.to)?);
    }
    let workers = workers(conn.as_mut())?;
    if args.json {
        let database = app.config.settings.database.url.to_string();
        let json = serde_json::json!({ "database": database, "workers": workers, "datasets": all });
        let text = serde_json::to_string_pretty(&json).map_err(std::io::Error::from)?;
        return super::print(&format!("{text}\n"));
    }
    let mut text = String::new();
    if conn.is_none() {
        let _ = writeln!(text, "no state tables yet in {}\n", app.config.settings.database.url);
    }
    for status in &all {
        text.push_str(&render(status, !workers.is_empty()));
    }
    text.push_str(&render_workers(&workers));
    super::print(&super::coloured(&text))
}

/// The processes that work with the database now. A database of before the daemons has nothing to say of them.
fn workers(conn: Option<&mut Conn>) -> Result<Vec<WorkerStatus>, Failure> {
    let Some(conn) = conn else { return Ok(Vec::new()) };
    Ok(worker::alive(conn)?
        .into_iter()
        .map(|worker| WorkerStatus {
            id: worker.id,
            host: worker.host,
            pid: worker.pid,
            version: worker.version,
            started_at: time(worker.started_at),
            heartbeat_at: time(worker.heartbeat_at),
            refused_config: worker.refused_config,
        })
        .collect())
}

/// A time of the state table, UTC, RFC 3339.
fn time(time: NaiveDateTime) -> String {
    time.and_utc().to_rfc3339_opts(SecondsFormat::Millis, true)
}

fn of(
    mut conn: Option<&mut Conn>,
    dataset: &Dataset,
    from: Option<Day>,
    to: Option<Day>,
) -> Result<DatasetStatus, Failure> {
    let definition = dataset.definition_hash();
    // The ends of what both databases hold and sort as text.
    let (first, last) = (Day::MIN, Day::MAX);
    let range = DayRange { from: from.unwrap_or(first), to: to.unwrap_or(last) };
    let read = |conn: &mut Conn| days::list(conn, dataset.name.as_str(), Some(range));
    let rows = conn.as_deref_mut().map(read).transpose()?.unwrap_or_default();
    // Another table's days are wanted by nobody's schedule.
    let wanted = if dataset.is_copy() { Vec::new() } else { wanted(dataset, from, to) };
    let now = Utc::now();
    let deadline = dataset.policy.waiting.deadline;
    let is_late = |day: Day| {
        let at = deadline.and_then(|time| scheduler::deadline(&dataset.schedule, time, day));
        wanted.binary_search(&day).is_ok() && at.is_some_and(|at| at <= now)
    };
    let held_back = held_back(conn, dataset)?;
    let mut by_day: BTreeMap<Day, DayStatus> = wanted.iter().map(|day| (*day, missing(*day))).collect();
    for row in rows {
        let day = Day::new(row.day);
        by_day.insert(day, of_row(row, wanted.binary_search(&day).is_ok(), &definition));
    }
    for day in by_day.values_mut() {
        day.late = plan::is_awaited(State::by_name(day.state), day.loaded_at.is_some()) && is_late(day.day);
        day.held_back_by = held_back.get(&day.day).copied();
    }
    let mut counts = BTreeMap::new();
    for day in by_day.values() {
        *counts.entry(day.state).or_insert(0) += 1;
    }
    Ok(DatasetStatus {
        dataset: dataset.name.to_string(),
        table: dataset.target.table.to_string(),
        next_tick: scheduler::next_tick(&dataset.schedule, now).map(|tick| time(tick.naive_utc())),
        counts,
        days: by_day.into_values().collect(),
    })
}

/// The days that a tick would not load now because an older one failed or was refused, each with that one. It may be older
/// than the days that are shown.
fn held_back(conn: Option<&mut Conn>, dataset: &Dataset) -> Result<BTreeMap<Day, Day>, Failure> {
    let in_order = dataset.policy.catch_up.stop_on_failure && !dataset.is_copy();
    let Some(conn) = conn.filter(|_| in_order) else { return Ok(BTreeMap::new()) };
    let decided = reconcile::decide(conn, dataset, &wanted(dataset, None, None), Ask::Tick, None)?;
    let held = decided.into_iter().filter_map(|(day, decision)| match decision {
        Decision::Leave(Leave::HeldBack(by)) => Some((day, by)),
        _ => None,
    });
    Ok(held.collect())
}

fn missing(day: Day) -> DayStatus {
    DayStatus {
        day,
        state: "missing",
        wanted: true,
        attempts: 0,
        rows_read: None,
        rows_filtered: None,
        rows_rejected: None,
        rows_loaded: None,
        source_url: None,
        source_etag: None,
        source_bytes: None,
        source_hash: None,
        started_at: None,
        finished_at: None,
        loaded_at: None,
        next_attempt_at: None,
        duration_ms: None,
        older_definition: false,
        newer_file: false,
        late: false,
        held_back_by: None,
        error: None,
        note: None,
        span: (None, None),
    }
}

fn of_row(row: ProcessedDay, wanted: bool, definition: &str) -> DayStatus {
    let spent = row.started_at.zip(row.finished_at).map(|(from, to)| (to - from).num_milliseconds());
    DayStatus {
        day: Day::new(row.day),
        state: row.state.0.name(),
        wanted,
        attempts: row.attempts,
        rows_read: row.rows_read,
        rows_filtered: row.rows_filtered,
        rows_rejected: row.rows_rejected,
        rows_loaded: row.rows_loaded,
        older_definition: row.in_target() && row.definition_hash.as_deref() != Some(definition),
        newer_file: row.newer_etag.is_some(),
        late: false,
        held_back_by: None,
        source_url: row.source_url,
        source_etag: row.source_etag,
        source_bytes: row.source_bytes,
        source_hash: row.source_hash,
        started_at: row.started_at.map(time),
        finished_at: row.finished_at.map(time),
        loaded_at: row.loaded_at.map(time),
        next_attempt_at: row.next_attempt_at.map(time),
        duration_ms: spent,
        error: row.error,
        note: row.note,
        span: (row.started_at, row.finished_at),
    }
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
