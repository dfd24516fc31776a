//! The log as a subscriber: a line for each event that an operator wants to read.

use std::time::Duration;

use log::Level;

use crate::day::{Day, listed};
use crate::events::{DayEvent, PublishedEvent, Subscriber};
use crate::load_outcome::LoadOutcome;
use crate::plan::LoadMode;
use crate::state::State;
use crate::wording::{DIED, RELOAD_DIED, counted, load_again, loaded_rows};

/// Writes events to the log.
#[derive(Debug, Default)]
pub struct EventLog;

impl Subscriber for EventLog {
    fn receive(&self, event: &PublishedEvent) {
        match event {
            PublishedEvent::Day(event) => log_day(event),
            PublishedEvent::DaysAlike { dataset, days, mode, outcome } => {
                if let Some(line) = line_of(days, &text_of_several(outcome)) {
                    let (level, dataset, number) = (level(outcome, *mode), dataset.as_str(), days.len());
                    log::log!(level, dataset, days = number; "{dataset}{line}");
                }
            }
            PublishedEvent::DaysLate { dataset, days, deadline } => {
                log::warn!("{dataset}: late, not loaded by {}: {}", deadline.format("%H:%M"), listed(days));
            }
            PublishedEvent::DatasetBlocked { dataset, error, again } => log_blocked(dataset.as_str(), error, *again),
            PublishedEvent::DatasetUnblocked { dataset, after } => log_unblocked(dataset.as_str(), *after),
            PublishedEvent::DatasetPaused { dataset } => log::info!("{dataset}: paused; no day begins by itself"),
            PublishedEvent::DatasetResumed { dataset } => log::info!("{dataset}: goes on after a pause"),
            PublishedEvent::DatabaseLost { error, again: true } => log::debug!("{error}"),
            PublishedEvent::DatabaseLost { error, again: false } => {
                let error = error.trim_end_matches(';');
                log::error!("{error}; trying again until it is back, no attempt is counted");
            }
            PublishedEvent::DatabaseBack { after } => log::info!("the database is back after {} s", after.as_secs()),
            PublishedEvent::DatabaseFailed { doing, error, again } => log_blocked(doing, error, *again),
            PublishedEvent::DatabaseRecovered { doing, after } => log_unblocked(doing, *after),
            PublishedEvent::ConfigurationRejected { problems } => {
                for problem in problems {
                    log::error!("invalid configuration: {problem}");
                }
                let number = counted(problems.len(), "problem");
                log::warn!("configuration rejected, {number}; the previous one stays in force");
            }
            PublishedEvent::DaySkipped { .. }
            | PublishedEvent::DatasetChanged { .. }
            | PublishedEvent::ConfigurationApplied => {}
        }
    }
}

fn log_blocked(subject: &str, error: &str, again: bool) {
    if again {
        log::debug!("{subject}: {error}");
    } else {
        // SQL that fixes it may stand at its end.
        let error = error.trim_end_matches(';');
        log::error!("{subject}: {error}; trying again until it passes, no attempt is counted");
    }
}

fn log_unblocked(subject: &str, after: Duration) {
    log::info!("{subject}: goes on after {} s", after.as_secs());
}

fn log_day(event: &DayEvent) {
    let (dataset, day) = (event.dataset.as_str(), event.day.to_string());
    let (attempt, elapsed_ms) = (event.counted_attempt(), event.elapsed.as_millis());
    let (rows, rejected) = (event.rows_loaded(), event.rows_rejected());
    let level = if event.is_summarized { Level::Debug } else { level(&event.outcome, event.mode) };
    let message = text(event);
    log::log!(level, dataset, day = day.as_str(), attempt, rows, rejected, elapsed_ms; "{dataset} {day}: {message}");
}

fn level(outcome: &LoadOutcome, mode: LoadMode) -> Level {
    match outcome {
        // What was known before is no news, unless a person asks for it.
        LoadOutcome::Waiting { again: true, .. } | LoadOutcome::Absent { again: true, .. } | LoadOutcome::Left(_) => {
            if mode.is_named() {
                Level::Info
            } else {
                Level::Debug
            }
        }
        LoadOutcome::Loaded
        | LoadOutcome::Waiting { again: false, .. }
        | LoadOutcome::Unchanged { .. }
        | LoadOutcome::Interrupted
        | LoadOutcome::Cancelled { .. } => Level::Info,
        LoadOutcome::Absent { again: false, .. } | LoadOutcome::Settled(_) | LoadOutcome::Lost => Level::Warn,
        LoadOutcome::Failed { .. } | LoadOutcome::Blocked { .. } | LoadOutcome::Refused { .. } => Level::Error,
        // The daemon says these once, however many days meet them.
        LoadOutcome::Unavailable(_) | LoadOutcome::DatabaseFailed { .. } => {
            if mode.is_a_persons() {
                Level::Error
            } else {
                Level::Debug
            }
        }
    }
}

fn text(event: &DayEvent) -> String {
    match &event.outcome {
        LoadOutcome::Loaded => {
            let (rows, rejected) = (event.rows_loaded(), event.rows_rejected());
            let loaded = loaded_rows(rows.unwrap_or_default(), rejected.unwrap_or_default());
            format!("loaded {loaded} in {} ms", event.elapsed.as_millis())
        }
        LoadOutcome::Waiting { why, again: true, .. } => format!("still waiting: {why}"),
        LoadOutcome::Absent { why, again: false } => format!("waited long enough, now absent: {why}"),
        LoadOutcome::Absent { why, again: true } => format!("still absent: {why}"),
        LoadOutcome::Failed { error, .. } | LoadOutcome::Blocked { error, .. } if event.stays_loaded() => {
            format!("failed: {}", event.with_what_stays(&error.message))
        }
        LoadOutcome::Failed { error, attempts_left, .. } | LoadOutcome::Blocked { error, attempts_left, .. } => {
            format!("failed, {} left: {error}", counted(*attempts_left, "attempt"))
        }
        LoadOutcome::Refused { error, .. } => format!("refused: {}", event.with_what_stays(&error.message)),
        LoadOutcome::Unchanged { .. } => "the file changed, its content did not".to_owned(),
        LoadOutcome::Left(leave) => leave.to_string(),
        LoadOutcome::Settled(State::Loaded) => {
            format!("{RELOAD_DIED}; `{}` tries it again", load_again(event.day, &event.dataset))
        }
        LoadOutcome::Settled(state) => format!("{DIED}; now {state}"),
        LoadOutcome::Lost => "another process took the day over; nothing was published here".to_owned(),
        LoadOutcome::Interrupted => "interrupted before publishing; the attempt does not count".to_owned(),
        LoadOutcome::Cancelled { by, .. } => {
            format!("cancelled by {by}; nothing was published, the attempt does not count")
        }
        LoadOutcome::DatabaseFailed { error, .. } => error.to_string(),
        outcome @ (LoadOutcome::Waiting { again: false, .. } | LoadOutcome::Unavailable(_)) => text_of_several(outcome),
    }
}

/// What is said of days that ended alike.
fn text_of_several(outcome: &LoadOutcome) -> String {
    match outcome {
        LoadOutcome::Waiting { why, .. } => format!("waiting: {why}"),
        LoadOutcome::Absent { why, .. } => format!("absent: {why}"),
        LoadOutcome::Unavailable(unavailable) => format!("unavailable, no attempt is counted: {unavailable}"),
        outcome => outcome.name().to_owned(),
    }
}

/// The line of days of which that is said, behind the dataset's name.
fn line_of(days: &[Day], said: &str) -> Option<String> {
    match days {
        [] => None,
        [day] => Some(format!(" {day}: {said}")),
        days => Some(format!(": {} {said} ({})", counted(days.len(), "day"), listed(days))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_that_ended_alike_are_one_line() {
        let day = |number: u32| format!("2024-03-{number:02}").parse::<Day>().unwrap();
        let said = |days: &[Day]| line_of(days, "unavailable: gone").unwrap();
        assert_eq!(said(&[day(1)]), " 2024-03-01: unavailable: gone");
        assert_eq!(said(&[day(1), day(2), day(4)]), ": 3 days unavailable: gone (2024-03-01..2024-03-02, 2024-03-04)");
    }
}
