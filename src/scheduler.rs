//! The ticks of a dataset's schedule, computed in its own time zone. The only file that names the cron crates.

use chrono::{DateTime, NaiveDate, Timelike, Utc};
use chrono_tz::Tz;
use croner::Cron;
use croner::errors::CronError;
use croner::parser::{CronParser, Year};

use crate::dataset::Schedule;

/// A cron expression that was read and does tick.
#[derive(Debug, Clone)]
pub struct CronExpression(Cron);

/// Reads five or six cron fields (the sixth, in front, is the seconds) or a nickname such as `@daily`.
///
/// # Errors
/// A message when it is no such expression, or when it never ticks (`0 0 31 2 *`).
pub fn parse(cron: &str) -> Result<CronExpression, String> {
    let parsed = read(cron).map_err(|error| format!("is not a cron expression ({})", reason(cron, &error)))?;
    if parsed.find_next_occurrence(&DateTime::UNIX_EPOCH, true).is_err() {
        return Err("is not a cron expression that ever ticks".to_owned());
    }
    Ok(CronExpression(parsed))
}

fn reason(cron: &str, error: &CronError) -> String {
    match cron.split_whitespace().count() {
        _ if cron.contains('@') => "the nicknames are @yearly, @monthly, @weekly, @daily and @hourly".to_owned(),
        5 | 6 => error.to_string().trim_end_matches('.').to_owned(),
        count => format!("it has {count} fields, not five, or six with the seconds"),
    }
}

fn read(cron: &str) -> Result<Cron, CronError> {
    // A seventh field, the year, would make an end of days that `end` does not show.
    CronParser::builder().year(Year::Disallowed).build().parse(cron)
}

impl CronExpression {
    /// The date, in the zone, of the last tick at or before `now`; `None` when there was none.
    #[must_use]
    pub fn last_tick(&self, timezone: Tz, now: DateTime<Utc>) -> Option<NaiveDate> {
        // Ticks fall on whole seconds, so that the rest of the second changes nothing.
        let now = now.with_nanosecond(0)?.with_timezone(&timezone);
        // Fixed-time jobs tick once a day across both changes of the clock: in the gap of spring at its end, in the
        // repeated hour of autumn in the first pass (croner's rule, kept by the tables below).
        self.0.find_previous_occurrence(&now, true).ok().map(|tick| tick.date_naive())
    }
}

/// The date, in the dataset's zone, of the schedule's last tick at or before `now`; `None` when there was none.
#[must_use]
pub fn last_tick(schedule: &Schedule, now: DateTime<Utc>) -> Option<NaiveDate> {
    CronExpression(read(&schedule.cron).ok()?).last_tick(schedule.timezone, now)
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;
    use crate::dataset::Weekdays;

    fn schedule(cron: &str, zone: &str) -> Schedule {
        Schedule {
            cron: cron.to_owned(),
            timezone: zone.parse().unwrap(),
            start: "2000-01-01".parse().unwrap(),
            end: None,
            lag_days: 0,
            days: Weekdays::ALL,
        }
    }

    #[test]
    fn what_is_read_and_what_is_not() {
        for good in ["0 2 * * *", "*/20 * * * *", "30 0 2 * * *", "@daily", "@weekly", "0 2 * * mon-fri", "0 0 29 2 *"]
        {
            assert!(parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "x",
            "* * * *",
            "0 0 2 * * * 2019",
            "60 2 * * *",
            "0 25 * * *",
            "@often",
            "@reboot",
            "0 0 31 2 *",
            "@daily @daily",
            "0 2 * * lun",
        ] {
            let message = parse(bad).map(drop).unwrap_err();
            assert!(message.starts_with("is not a cron expression"), "{bad}: {message}");
        }
    }

    /// Zone, cron, now in UTC, the date of the last tick. Each zone is looked at around both of its changes.
    const TICKS: &[(&str, &str, &str, &str)] = &[
        // Spring: 02:00 EST is 03:00 EDT at 07:00Z.
        ("America/New_York", "30 2 * * *", "2025-03-09T06:59:59Z", "2025-03-08"),
        ("America/New_York", "30 2 * * *", "2025-03-09T07:00:00Z", "2025-03-09"),
        ("America/New_York", "30 2 * * *", "2025-03-09T07:10:00Z", "2025-03-09"),
        ("America/New_York", "30 2 * * *", "2025-03-09T12:00:00Z", "2025-03-09"),
        ("America/New_York", "0 2 * * *", "2025-03-10T05:59:59Z", "2025-03-09"),
        ("America/New_York", "0 2 * * *", "2025-03-10T06:00:00Z", "2025-03-10"),
        // Autumn: 02:00 EDT is 01:00 EST at 06:00Z; 01:30 comes at 05:30Z and again at 06:30Z.
        ("America/New_York", "30 1 * * *", "2025-11-02T05:29:59Z", "2025-11-01"),
        ("America/New_York", "30 1 * * *", "2025-11-02T05:30:00Z", "2025-11-02"),
        ("America/New_York", "30 1 * * *", "2025-11-02T06:10:00Z", "2025-11-02"),
        ("America/New_York", "30 1 * * *", "2025-11-02T06:30:00.5Z", "2025-11-02"),
        ("America/New_York", "30 1 * * *", "2025-11-03T06:29:59Z", "2025-11-02"),
        ("America/New_York", "30 1 * * *", "2025-11-03T06:30:00Z", "2025-11-03"),
        // Spring: 01:00 GMT is 02:00 IST at 01:00Z.
        ("Europe/Dublin", "30 1 * * *", "2025-03-30T00:59:59Z", "2025-03-29"),
        ("Europe/Dublin", "30 1 * * *", "2025-03-30T01:00:00Z", "2025-03-30"),
        ("Europe/Dublin", "5 2 * * *", "2025-03-31T01:04:59Z", "2025-03-30"),
        ("Europe/Dublin", "5 2 * * *", "2025-03-31T01:05:00Z", "2025-03-31"),
        // Autumn: 02:00 IST is 01:00 GMT at 01:00Z.
        ("Europe/Dublin", "30 1 * * *", "2025-10-26T00:29:59Z", "2025-10-25"),
        ("Europe/Dublin", "30 1 * * *", "2025-10-26T00:30:00Z", "2025-10-26"),
        ("Europe/Dublin", "30 1 * * *", "2025-10-26T01:10:00Z", "2025-10-26"),
        ("Europe/Dublin", "5 2 * * *", "2025-10-27T02:04:59Z", "2025-10-26"),
        ("Europe/Dublin", "5 2 * * *", "2025-10-27T02:05:00Z", "2025-10-27"),
        // Spring at midnight: 00:00 -03 is 01:00 -02 at 03:00Z.
        ("America/Sao_Paulo", "30 0 * * *", "2018-11-04T02:59:59Z", "2018-11-03"),
        ("America/Sao_Paulo", "30 0 * * *", "2018-11-04T03:00:00Z", "2018-11-04"),
        ("America/Sao_Paulo", "0 0 * * *", "2018-11-04T03:00:00Z", "2018-11-04"),
        // Autumn at midnight: 00:00 -02 of the 18th is 23:00 -03 of the 17th at 02:00Z.
        ("America/Sao_Paulo", "30 23 * * *", "2018-02-18T01:29:59Z", "2018-02-16"),
        ("America/Sao_Paulo", "30 23 * * *", "2018-02-18T01:30:00Z", "2018-02-17"),
        ("America/Sao_Paulo", "30 23 * * *", "2018-02-18T02:10:00Z", "2018-02-17"),
        ("America/Sao_Paulo", "0 0 * * *", "2018-02-18T02:59:59Z", "2018-02-17"),
        ("America/Sao_Paulo", "0 0 * * *", "2018-02-18T03:00:00Z", "2018-02-18"),
        // Half an hour: 02:00 +10:30 is 02:30 +11 at 15:30Z; 02:00 +11 is 01:30 +10:30 at 15:00Z.
        ("Australia/Lord_Howe", "15 2 * * *", "2025-10-04T15:29:59Z", "2025-10-04"),
        ("Australia/Lord_Howe", "15 2 * * *", "2025-10-04T15:30:00Z", "2025-10-05"),
        ("Australia/Lord_Howe", "45 1 * * *", "2025-04-05T14:44:59Z", "2025-04-05"),
        ("Australia/Lord_Howe", "45 1 * * *", "2025-04-05T14:45:00Z", "2025-04-06"),
        ("Australia/Lord_Howe", "45 1 * * *", "2025-04-05T15:05:00Z", "2025-04-06"),
        // No changes at all, and schedules that are not daily.
        ("UTC", "0 2 * * *", "2019-04-02T01:59:59.999Z", "2019-04-01"),
        ("UTC", "0 2 * * *", "2019-04-02T02:00:00Z", "2019-04-02"),
        ("UTC", "0 2 * * mon-fri", "2019-04-07T12:00:00Z", "2019-04-05"),
        ("UTC", "@monthly", "2019-04-07T12:00:00Z", "2019-04-01"),
        ("America/New_York", "*/20 * * * *", "2025-11-02T06:10:00Z", "2025-11-02"),
    ];

    #[test]
    fn the_last_tick_is_found_across_changes_of_the_clock() {
        for (zone, cron, now, tick) in TICKS {
            let now = now.parse().unwrap();
            let found = last_tick(&schedule(cron, zone), now).map(|date| date.to_string());
            assert_eq!(found.as_deref(), Some(*tick), "{zone} {cron} {now}");
        }
    }

    #[test]
    fn a_daily_schedule_ticks_on_every_date_once() {
        for (zone, cron, changes) in [
            ("America/New_York", "30 2 * * *", ["2018-03-09T12:00:00Z", "2018-11-02T12:00:00Z"]),
            ("Europe/Dublin", "30 1 * * *", ["2018-03-23T12:00:00Z", "2018-10-26T12:00:00Z"]),
            ("America/Sao_Paulo", "30 0 * * *", ["2018-02-16T12:00:00Z", "2018-11-02T12:00:00Z"]),
            ("Australia/Lord_Howe", "45 1 * * *", ["2018-03-30T12:00:00Z", "2018-10-05T12:00:00Z"]),
        ] {
            let schedule = schedule(cron, zone);
            for from in changes {
                let from: DateTime<Utc> = from.parse().unwrap();
                let mut last = last_tick(&schedule, from).unwrap();
                for quarter in 1..(4 * 96) {
                    let now = from + TimeDelta::minutes(15 * quarter);
                    let tick = last_tick(&schedule, now).unwrap();
                    assert!(tick == last || Some(tick) == last.succ_opt(), "{zone} {now}: {last} -> {tick}");
                    last = tick;
                }
            }
        }
    }
}
