//! Reconciling: wanted days minus done days, oldest first. It decides which days to load; `load_day` loads them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use log::Level;

use crate::day::{Day, DayRange};
use crate::db::attempts::Trigger;
use crate::db::days;
use crate::db::error::DbError;
use crate::db::pool::Conn;
use crate::load_day::{Context, Job, Outcome, Report, Stop, load_day};
use crate::plan::{Ask, Decision, Leave, plan};

/// What to do with each of `days` of a dataset, in their order, by what the state table says now.
///
/// # Errors
/// A [`DbError`] when the database does not answer.
pub fn decide(
    conn: &mut Conn,
    dataset: &crate::dataset::DatasetName,
    days: &[Day],
    ask: Ask,
    max_attempts: u32,
) -> Result<Vec<(Day, Decision)>, DbError> {
    let (Some(from), Some(to)) = (days.iter().min(), days.iter().max()) else { return Ok(Vec::new()) };
    let known = days::known(conn, dataset, Some(DayRange { from: *from, to: *to }))?;
    Ok(plan(days, &known, ask, max_attempts))
}

/// Loads those of `days` that are not left alone, in their order, at most `concurrency` at a time. Each day is reported
/// as it ends; of those left alone, the ones that were named or that another process is loading. A day that fails does
/// not stop the others; a database that fails does, and so does the stop.
///
/// # Errors
/// A [`DbError`] when the state table cannot be read.
pub fn reconcile(
    context: &Context,
    job: &Job,
    days: &[Day],
    ask: Ask,
    trigger: Trigger,
    concurrency: usize,
    report: &mut dyn FnMut(Report),
) -> Result<(), DbError> {
    let mut conn = context.database.conn()?;
    let decided = decide(&mut conn, &job.dataset.name, days, ask, context.retry.max_attempts)?;
    drop(conn);
    let mut todo = Vec::new();
    let named = matches!(ask, Ask::Named | Ask::Forced);
    for (day, decision) in decided {
        match decision {
            // What a person named is answered for, whatever comes of it; and so is what another process is loading now,
            // since it is not done. The claim decides again, with the day's row in its hands.
            Decision::Leave(leave) if !named && leave != Leave::Busy => {
                log::debug!("{} {day}: {leave}", job.dataset.name);
            }
            Decision::Leave(_) | Decision::Load(_) | Decision::Settle(_) => todo.push(day),
        }
    }
    context.progress.days.fetch_add(todo.len() as u64, Ordering::Relaxed);
    let next = AtomicUsize::new(0);
    let broken = Stop::default();
    let take = || {
        let halted = context.stop.is_asked() || broken.is_asked();
        if halted { None } else { todo.get(next.fetch_add(1, Ordering::Relaxed)).copied() }
    };
    let (send, reports) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..concurrency.min(todo.len()) {
            let send = send.clone();
            scope.spawn(|| {
                let send = send;
                while let Some(day) = take() {
                    let loaded = load_day(context, job, day, ask, trigger);
                    // Days in conflict with others are another matter than a database that is gone.
                    if matches!(&loaded.outcome, Outcome::Database(error) if error.is_unreachable()) {
                        broken.ask();
                    }
                    // The receiver outlives every loader.
                    drop(send.send(loaded));
                }
            });
        }
        drop(send);
        for loaded in reports {
            log_report(job, &loaded);
            report(loaded);
        }
    });
    Ok(())
}

fn log_report(job: &Job, report: &Report) {
    let Report { day, attempt, measured, elapsed, outcome } = report;
    let (dataset, day) = (job.dataset.name.as_str(), day.to_string());
    let (attempt, elapsed_ms) = (attempt.unwrap_or_default(), elapsed.as_millis());
    let rows = measured.rows_loaded.unwrap_or_default();
    let (level, message) = match outcome {
        Outcome::Loaded => (Level::Info, format!("loaded {rows} rows in {elapsed_ms} ms")),
        Outcome::Waiting { why } => (Level::Info, format!("waiting: {why}")),
        Outcome::Failed { error, left } => (Level::Error, format!("failed, {left} attempts left: {error}")),
        Outcome::Refused { error, .. } => (Level::Error, format!("refused: {error}")),
        Outcome::Left(leave) => (Level::Info, leave.to_string()),
        Outcome::Settled(state) => (Level::Warn, format!("its process died or stalled; now {state}")),
        Outcome::Lost => (Level::Warn, "another process took the day over; nothing was published here".to_owned()),
        Outcome::Interrupted => (Level::Info, "interrupted before publishing; the attempt does not count".to_owned()),
        Outcome::Database(error) => (Level::Error, error.to_string()),
    };
    log::log!(level, dataset, day = day.as_str(), attempt, rows, elapsed_ms; "{dataset} {day}: {message}");
}
