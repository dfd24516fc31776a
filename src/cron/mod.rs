//! When a dataset's schedule ticks. The only module that names the cron crates.
//!
//! A tick is an instant, computed each time anew by croner from the rules of the dataset's time zone: nothing is
//! remembered between two questions, so a clock that is set forward or back changes what is asked and not what is
//! answered.
//!
//! A schedule with one time of day ticks once for every date: where the clock jumps over that time (the gap of spring)
//! at the first instant after the gap, where the time comes twice (the overlap of autumn) the first time. A schedule
//! with several times or with intervals (`*/20 * * * *`) follows the hands of the clock: no ticks in the gap, two
//! passes through the overlap. To days that makes no difference, since all of these ticks fall on one date.

mod clock;
mod deadline;
mod timer;
mod wanted;
mod wrong;

use chrono::{DateTime, NaiveDate, TimeDelta, Timelike, Utc};
use croner::Cron;
use croner::errors::CronError;
use croner::parser::{CronParser, Year};

use crate::dataset::Schedule;
use crate::zone::Zone;

pub use clock::{ClockWatch, Clocks, Jump};
pub use deadline::{deadline, first_time_after};
pub use timer::{Timer, TimerError};
pub use wanted::wanted;
pub use wrong::NICKNAMES;

/// A cron expression that was read and does tick.
#[derive(Debug, Clone)]
pub struct CronExpression(Cron);

/// Reads five or six cron fields (the sixth, in front, is the seconds) or a nickname such as `@daily`.
///
/// # Errors
/// A message when it is no such expression, or when it never ticks (`0 0 31 2 *`).
pub fn parse(cron: &str) -> Result<CronExpression, String> {
    let parsed = read(cron).map_err(|error| {
        format!("is not a cron expression: {}", wrong::why(cron, |cron| read(cron).is_ok(), &error.to_string()))
    })?;
    if parsed.find_next_occurrence(&DateTime::UNIX_EPOCH, true).is_err() {
        return Err("is not a cron expression that ever ticks: there is no such date".to_owned());
    }
    Ok(CronExpression(parsed))
}

fn read(cron: &str) -> Result<Cron, CronError> {
    // A seventh field, the year, would make an end of days that `end` does not show.
    CronParser::builder().year(Year::Disallowed).build().parse(cron)
}

impl CronExpression {
    /// The first tick after `after`, that instant excluded; `None` when there is none in the calendar.
    #[must_use]
    pub fn next_tick(&self, timezone: Zone, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let after = whole_second(after, timezone)?;
        self.0.find_next_occurrence(&after, false).ok().map(|tick| tick.to_utc())
    }

    /// The last tick at or before `now`, in the zone; `None` when there was none.
    fn last_tick(&self, timezone: Zone, now: DateTime<Utc>) -> Option<DateTime<Zone>> {
        let now = whole_second(now, timezone)?;
        self.0.find_previous_occurrence(&now, true).ok()
    }

    /// The date that a tick belongs to. It is the tick's own, but for a gap that ends at midnight (Nuuk's of 2024): a
    /// tick from within the gap comes on the next date, and belongs to the one on which the gap began.
    fn date_of(&self, tick: &DateTime<Zone>) -> Option<NaiveDate> {
        if self.0.is_time_matching(tick).ok()? {
            return Some(tick.date_naive());
        }
        let second = TimeDelta::seconds(1);
        let before = (*tick).checked_sub_signed(second)?;
        Some((before.naive_local() + second).date())
    }
}

/// Ticks fall on whole seconds, so that the rest of the second changes nothing.
fn whole_second(instant: DateTime<Utc>, timezone: Zone) -> Option<DateTime<Zone>> {
    Some(instant.with_nanosecond(0)?.with_timezone(&timezone))
}

/// The schedule's first tick after `after`, that instant excluded; `None` when there is none in the calendar.
#[must_use]
pub fn next_tick(schedule: &Schedule, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
    CronExpression(read(&schedule.cron).ok()?).next_tick(schedule.timezone, after)
}

/// The schedule's last tick at or before `now`; `None` when there was none.
#[must_use]
pub fn last_tick_at(schedule: &Schedule, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    CronExpression(read(&schedule.cron).ok()?).last_tick(schedule.timezone, now).map(|tick| tick.to_utc())
}

/// The date, in the dataset's zone, that the schedule's last tick at or before `now` belongs to; `None` when there was
/// no tick.
#[must_use]
pub fn last_tick(schedule: &Schedule, now: DateTime<Utc>) -> Option<NaiveDate> {
    let cron = CronExpression(read(&schedule.cron).ok()?);
    let tick = cron.last_tick(schedule.timezone, now)?;
    cron.date_of(&tick)
}

#[cfg(test)]
mod tests;
