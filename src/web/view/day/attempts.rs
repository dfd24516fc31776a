//! Every try at loading the day, with what the log said of it.

use chrono::{DateTime, TimeDelta, Utc};
use maud::{Markup, html};

use crate::db::attempts::AttemptOutcome;
use crate::state::State;
use crate::status::{Attempt, LogLine};
use crate::web::view::model::{CellState, DayPage, Frame};
use crate::web::view::parts::{marked, panel, state};
use crate::web::view::times::{second, time_of_day};
use crate::web::view::words::{length, milliseconds, of};

pub(super) fn attempts(_: &Frame, page: &DayPage) -> Option<Markup> {
    (!page.attempts.is_empty()).then(|| {
        panel(
            "attempts",
            "Attempts",
            &html! {
                ol.attempts { @for (place, attempt) in page.attempts.iter().enumerate() {
                    li { (one(place, attempt, page.series_end.filter(|_| place == 0))) }
                } }
            },
        )
    })
}

fn one(place: usize, attempt: &Attempt, series_end: Option<u32>) -> Markup {
    let took = attempt.finished_at.map(|end| (*end - attempt.started_at).num_milliseconds());
    let took = took.and_then(|ms| u64::try_from(ms).ok());
    html! {
        p {
            b { "Attempt " (attempt.number) } " "
            (outcome(attempt.outcome)) " "
            span.soft {
                (second(attempt.started_at))
                @if let Some(ms) = took { ", " (milliseconds(ms)) }
                ", by " (attempt.trigger) ", on " (process(attempt)) (in_series(attempt, series_end))
            }
        }
        @if let Some(error) = &attempt.error { p.error { (error) } }
        @if !attempt.log.is_empty() {
            details #{ "log-" (place) } {
                summary { (of(length(attempt.log.len()), "log line")) ", times in UTC" }
                ol.log { @for line in &attempt.log { li { (time_of_day(at(attempt, line))) " " (line.text) } } }
            }
        }
    }
}

/// Who made it: host and process; of a version that did not note them, the beginning of its worker's id.
fn process(attempt: &Attempt) -> String {
    let short = attempt.worker.get(..8).unwrap_or(&attempt.worker);
    let process = attempt.host.as_ref().zip(attempt.pid).map(|(host, pid)| format!("{host} pid {pid}"));
    process.unwrap_or_else(|| short.to_owned())
}

fn at(attempt: &Attempt, line: &LogLine) -> DateTime<Utc> {
    attempt.started_at + TimeDelta::milliseconds(i64::try_from(line.ms).unwrap_or(0))
}

/// Which of its series it is, where that is another number, or where the series has an end.
fn in_series(attempt: &Attempt, end: Option<u32>) -> Markup {
    html! {
        @if let Some(end) = end { ", attempt " (attempt.attempt) " of " (end) }
        @else if Ok(attempt.number) != u64::try_from(attempt.attempt) { ", attempt " (attempt.attempt) " of its series" }
    }
}

/// The outcome's word, with the mark of the state that it leaves the day in, if it leaves it in one.
fn outcome(outcome: Option<AttemptOutcome>) -> Markup {
    match outcome.map(|outcome| (outcome.name(), State::by_name(outcome.name()))) {
        None => state(CellState::Stored(State::Running)),
        Some((_, Some(is))) => state(CellState::Stored(is)),
        Some((word, None)) => marked("trouble", word),
    }
}
