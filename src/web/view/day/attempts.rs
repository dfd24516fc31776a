//! Every try at loading the day, with what the log said of it.

use maud::{Markup, html};

use crate::state::State;
use crate::web::view::model::{Attempt, CellState, DayPage, Frame};
use crate::web::view::parts::{marked, panel, state};
use crate::web::view::times::{second, time_of_day};
use crate::web::view::words::{length, milliseconds, of};

pub(super) fn attempts(_: &Frame, page: &DayPage) -> Option<Markup> {
    (!page.attempts.is_empty()).then(|| {
        panel("attempts", "Attempts", &html! {
            ol.attempts { @for (place, attempt) in page.attempts.iter().enumerate() { li { (one(place, attempt)) } } }
        })
    })
}

fn one(place: usize, attempt: &Attempt) -> Markup {
    let took = attempt.finished_at.map(|end| (end - attempt.started_at).num_milliseconds());
    let took = took.and_then(|ms| u64::try_from(ms).ok());
    html! {
        p {
            b { "Attempt " (attempt.number) } " "
            (outcome(attempt.outcome.as_deref())) " "
            span.soft {
                (second(attempt.started_at))
                @if let Some(ms) = took { ", " (milliseconds(ms)) }
                ", by " (attempt.trigger) ", on " (attempt.worker) (in_series(attempt))
            }
        }
        @if let Some(error) = &attempt.error { p.error { (error) } }
        @if !attempt.lines.is_empty() {
            details #{ "log-" (place) } {
                summary { (of(length(attempt.lines.len()), "log line")) ", times in UTC" }
                ol.log { @for line in &attempt.lines {
                    li.(level(&line.level)) { (time_of_day(line.at)) " " b { (line.level) } " " (line.message) }
                } }
            }
        }
    }
}

/// Which of its series it is, where that is another number, or where the series has an end.
fn in_series(attempt: &Attempt) -> Markup {
    html! {
        @if let Some(most) = attempt.most { ", " (attempt.in_series) " of " (most) " in its series" }
        @else if attempt.number != u64::from(attempt.in_series) { ", " (attempt.in_series) " in its series" }
    }
}

/// A level's class; a level that is not known has none of its own.
fn level(level: &str) -> &'static str {
    match level {
        "error" => "at-error",
        "warn" => "at-warn",
        _ => "at-info",
    }
}

/// The outcome's word, with the mark of the state that it names, if it names one.
fn outcome(outcome: Option<&str>) -> Markup {
    match outcome.map(|word| (word, State::by_name(word))) {
        None => state(CellState::Stored(State::Running)),
        Some((_, Some(is))) => state(CellState::Stored(is)),
        Some((word, None)) => marked("trouble", word),
    }
}
