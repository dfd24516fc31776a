//! Deadlines: the time of day by which a day is to be loaded.

use chrono::{DateTime, Days, NaiveDate, NaiveTime, TimeDelta, TimeZone, Utc};

use super::next_tick;
use crate::dataset::{Dataset, Schedule};
use crate::day::Day;
use crate::zone::Zone;

/// When a wanted day of the dataset is late, or will be; `None` where its days have no deadline.
#[must_use]
pub fn deadline(dataset: &Dataset, day: Day) -> Option<DateTime<Utc>> {
    of_day(&dataset.schedule, dataset.policy.waiting.deadline?, day)
}

/// When the day is late: at the first `time` of the zone's clock after the first tick that wants the day. `None` when
/// no tick ever does.
pub(super) fn of_day(schedule: &Schedule, time: NaiveTime, day: Day) -> Option<DateTime<Utc>> {
    let date = day.date().checked_add_days(Days::new(schedule.lag_days.into()))?;
    let midnight = instant(schedule.timezone, date, NaiveTime::MIN)?;
    // Midnight itself may be the tick.
    let tick = next_tick(schedule, midnight - TimeDelta::seconds(1))?;
    first_time_after(schedule.timezone, time, tick)
}

/// The first instant after another at which the zone's clock shows that time of day.
#[must_use]
pub fn first_time_after(timezone: Zone, time: NaiveTime, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let date = after.with_timezone(&timezone).date_naive();
    [date, date.succ_opt()?].into_iter().filter_map(|date| instant(timezone, date, time)).find(|at| *at > after)
}

/// The instant of a local time: the first of two where the clock is set back, the end of the gap where it is set
/// forward.
fn instant(timezone: Zone, date: NaiveDate, time: NaiveTime) -> Option<DateTime<Utc>> {
    let local = date.and_time(time);
    // No gap is longer than a day: the longest left out a whole one (Apia, 2011).
    let quarters = (0..=24 * 4).map(|quarter| local + TimeDelta::minutes(15 * quarter));
    quarters.into_iter().find_map(|local| timezone.from_local_datetime(&local).earliest()).map(|at| at.to_utc())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::Weekdays;

    fn schedule(cron: &str, zone: &str, lag_days: u32) -> Schedule {
        Schedule {
            cron: cron.to_owned(),
            timezone: zone.parse().unwrap(),
            start: "2019-01-01".parse().unwrap(),
            end: None,
            lag_days,
            days: Weekdays::ALL,
        }
    }

    #[test]
    fn the_deadline_is_the_first_such_time_after_the_tick_that_wants_the_day() {
        // Cron, zone, lag, deadline, day, when the day is late.
        let table = [
            ("0 2 * * *", "UTC", 1, "07:30", "2019-04-01", "2019-04-02T07:30:00Z"),
            ("0 2 * * *", "Europe/Paris", 1, "07:30", "2019-04-01", "2019-04-02T05:30:00Z"),
            ("0 22 * * *", "UTC", 0, "07:30", "2019-04-01", "2019-04-02T07:30:00Z"),
            ("0 0 * * *", "UTC", 0, "00:00", "2019-04-01", "2019-04-02T00:00:00Z"),
            ("0 2 * * mon", "UTC", 0, "03:00", "2019-04-02", "2019-04-08T03:00:00Z"),
            // 02:30 is left out on 2019-03-31 in Paris: the end of the gap, 03:00, counts.
            ("0 1 * * *", "Europe/Paris", 0, "02:30", "2019-03-31", "2019-03-31T01:00:00Z"),
            // And comes twice on 2019-10-27: the first one counts.
            ("0 1 * * *", "Europe/Paris", 0, "02:30", "2019-10-27", "2019-10-27T00:30:00Z"),
        ];
        for (cron, zone, lag, time, day, at) in table {
            let time = NaiveTime::parse_from_str(time, "%H:%M").unwrap();
            let found = of_day(&schedule(cron, zone, lag), time, day.parse().unwrap());
            assert_eq!(found, Some(at.parse().unwrap()), "{cron} {zone} {time} {day}");
        }
    }
}
