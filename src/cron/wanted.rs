//! What a schedule says of days at some instant.

use chrono::{DateTime, Utc};

use super::deadline;
use super::{last_tick, next_tick};
use crate::dataset::Dataset;
use crate::plan;
use crate::status::WantedDays;

/// What a dataset's schedule says now.
#[must_use]
pub fn wanted(dataset: &Dataset, now: DateTime<Utc>) -> WantedDays {
    let schedule = &dataset.schedule;
    let next_tick = next_tick(schedule, now);
    if dataset.is_copy() {
        return WantedDays { next_tick, ..WantedDays::default() };
    }
    let days = plan::wanted(schedule, last_tick(schedule, now));
    let late_to = dataset.policy.waiting.deadline.and_then(|time| {
        // The deadline of a later day never comes earlier.
        let late = days.partition_point(|day| deadline::of_day(schedule, time, *day).is_some_and(|at| at <= now));
        days.get(late.checked_sub(1)?).copied()
    });
    WantedDays { days, next_tick, late_to }
}
