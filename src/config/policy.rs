//! The sections `catch_up`, `retry` and `waiting`: in the main file for all datasets, in a dataset's file for that one.

use chrono::NaiveTime;
use config::{Value, ValueKind};

use super::section::{TomlSection, boolean, duration, integer, text};
use crate::policy::{CatchUp, Policy, Retry, Waiting};

/// Reads the three sections of a file; what they leave out is as in `default`.
pub(super) fn read(file: &mut TomlSection, default: &Policy) -> Policy {
    Policy {
        catch_up: catch_up(file.section("catch_up"), &default.catch_up),
        retry: retry(file.section("retry"), &default.retry),
        waiting: waiting(file.section("waiting"), &default.waiting),
    }
}

fn catch_up(mut section: TomlSection, default: &CatchUp) -> CatchUp {
    let read = CatchUp {
        on_start: section.read("on_start", boolean).unwrap_or(default.on_start),
        concurrency: section.read("concurrency", integer(1, 64)).unwrap_or(default.concurrency),
        max_days_per_tick: section.read("max_days_per_tick", days).unwrap_or(default.max_days_per_tick),
        stop_on_failure: section.read("stop_on_failure", boolean).unwrap_or(default.stop_on_failure),
    };
    section.finish();
    read
}

/// A number of days, or all of them.
fn days(value: &Value) -> Result<Option<u32>, String> {
    match &value.kind {
        ValueKind::String(text) if text == "all" => Ok(None),
        _ => integer(0, 100_000)(value).map(Some).map_err(|message| format!("is not \"all\", and {message}")),
    }
}

fn retry(mut section: TomlSection, default: &Retry) -> Retry {
    let max_attempts = section.read("max_attempts", integer(1, 1000)).unwrap_or(default.max_attempts);
    let first = section.read_or("first_delay", default.first_delay, duration("0s", "30d"));
    let max = section.read_or("max_delay", default.max_delay, duration("0s", "30d"));
    if let (Some(first), Some(max)) = (first, max)
        && first > max
    {
        if section.was_given("first_delay") {
            section.wrong("first_delay", format!("is longer than max_delay, {max:?}"));
        } else if section.was_given("max_delay") {
            section.wrong("max_delay", format!("is shorter than first_delay, {first:?}"));
        }
    }
    section.finish();
    Retry {
        max_attempts,
        first_delay: first.unwrap_or(default.first_delay),
        max_delay: max.unwrap_or(default.max_delay),
    }
}

fn waiting(mut section: TomlSection, default: &Waiting) -> Waiting {
    let read = Waiting {
        poll: section.read("poll", duration("1s", "30d")).unwrap_or(default.poll),
        give_up_after: section.read("give_up_after", duration("1s", "3650d")).unwrap_or(default.give_up_after),
        absent_days: section.read("absent_days", integer(0, 3650)).unwrap_or(default.absent_days),
        deadline: section.read("deadline", time_of_day).unwrap_or(default.deadline),
    };
    section.finish();
    read
}

/// A time of day, or none of them.
fn time_of_day(value: &Value) -> Result<Option<NaiveTime>, String> {
    let text = text(value)?;
    if text == "none" {
        return Ok(None);
    }
    NaiveTime::parse_from_str(&text, "%H:%M")
        .map(Some)
        .map_err(|_| "is not a time of day such as \"07:30\", nor \"none\"".to_owned())
}
