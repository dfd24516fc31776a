//! Ticks across changes of the clock.

use chrono::{Datelike, LocalResult, NaiveDateTime, NaiveTime, Offset, TimeDelta, TimeZone};
use chrono_tz::Tz;

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
    for good in ["0 2 * * *", "*/20 * * * *", "30 0 2 * * *", "@daily", "@weekly", "0 2 * * mon-fri", "0 0 29 2 *"] {
        assert!(parse(good).is_ok(), "{good}");
    }
}

#[test]
fn what_is_wrong_with_an_expression_is_named_with_what_is_allowed() {
    let write = "write five fields (minute, hour, day of the month, month, weekday) such as \"0 2 * * *\", six \
                 with the seconds in front, or a nickname such as \"@daily\"";
    let nicknames = "the nicknames are @yearly, @monthly, @weekly, @daily, @hourly";
    let takes = |field: &str, takes: &str| {
        format!("its {field}; it takes {takes}, *, ranges (1-5), lists (1,3) and steps (*/2)")
    };
    let (minutes, hours, dates) = ("0 to 59", "0 to 23", "1 to 31");
    let (months, weekdays) = ("1 to 12 or jan to dec", "0 to 7 or sun to sat");
    for (bad, expected) in [
        ("", format!("it is empty; {write}")),
        (" ", format!("it is empty; {write}")),
        ("bla", format!("it has 1 field; {write}")),
        ("* * *", format!("it has 3 fields; {write}")),
        ("0 0 2 * * * 2019", format!("it has 7 fields; {write}")),
        ("@dayly", nicknames.to_owned()),
        ("@reboot", nicknames.to_owned()),
        ("@daily @daily", nicknames.to_owned()),
        ("60 * * * *", takes("minute is \"60\"", minutes)),
        ("x 2 * * *", takes("minute is \"x\"", minutes)),
        ("@daily 2 * * *", nicknames.to_owned()),
        ("0 25 * * *", takes("hour is \"25\"", hours)),
        ("*/0 * * * *", takes("minute is \"*/0\"", minutes)),
        ("0 9-5 * * *", takes("hour is \"9-5\"", hours)),
        ("0 2 0 * *", takes("day of the month is \"0\"", dates)),
        ("0 2 * jan-foo *", takes("month is \"jan-foo\"", months)),
        ("0 2 * * lun", takes("weekday is \"lun\"", weekdays)),
        ("0 2 * @x 8", takes("month is \"@x\"", months)),
        ("61 0 2 * * *", takes("second is \"61\"", minutes)),
        ("0 0 24 * * *", takes("hour is \"24\"", hours)),
    ] {
        let message = parse(bad).map(drop).unwrap_err();
        assert_eq!(message, format!("is not a cron expression: {expected}"), "{bad}");
    }
    let never = parse("0 0 31 2 *").map(drop).unwrap_err();
    assert_eq!(never, "is not a cron expression that ever ticks: there is no such date");
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

/// Zones and years, each with both of its changes in the year, or with what else happened to its clocks.
const YEARS: &[(&str, i32)] = &[
    ("Africa/Cairo", 2024),      // at midnight
    ("Africa/Casablanca", 2025), // back in Ramadan, not in autumn
    ("America/Asuncion", 2023),  // at midnight
    ("America/Havana", 2024),    // at midnight
    ("America/New_York", 2025),
    ("America/Nuuk", 2024),      // at 22:00 before the date it is for
    ("America/Santiago", 2024),  // 24:00 becomes 23:00 and 01:00
    ("America/Sao_Paulo", 2018), // at midnight
    ("America/St_Johns", 2010),  // at 00:01, half an hour off
    ("America/St_Johns", 2024),
    ("Antarctica/Troll", 2025),    // two hours
    ("Asia/Amman", 2021),          // at midnight
    ("Asia/Beirut", 2024),         // at midnight
    ("Asia/Kathmandu", 1985),      // a quarter of an hour was added
    ("Asia/Kathmandu", 2024),      // no changes, 5:45 off
    ("Asia/Tehran", 2021),         // at midnight, half an hour off
    ("Australia/Adelaide", 2025),  // half an hour off
    ("Australia/Lord_Howe", 2025), // half an hour
    ("Europe/Dublin", 2025),       // winter is the exception
    ("Europe/Lisbon", 1992),       // into another zone
    ("Pacific/Apia", 2011),        // 30 December was left out
    ("Pacific/Apia", 2020),
    ("Pacific/Chatham", 2025), // 12:45 off, at 02:45
    ("UTC", 2024),
];

/// Times of day at, in and around the changes above, as cron fields.
const TIMES: &[&str] = &[
    "0 0", "1 0", "15 0", "30 0", "59 0", "0 1", "30 1", "45 1", "0 2", "15 2", "30 2", "45 2", "0 3", "15 3", "45 3",
    "0 12", "0 22", "30 22", "0 23", "30 23", "59 23",
];

/// Where the clock of a zone should show a tick of that local time: there, or where the gap ends that it lies in.
fn expected(zone: Tz, local: NaiveDateTime) -> DateTime<Utc> {
    match zone.from_local_datetime(&local) {
        LocalResult::Single(tick) | LocalResult::Ambiguous(tick, _) => tick.to_utc(),
        LocalResult::None => {
            // With the offset before the gap, the local time names an instant as far after the gap's end as it lies
            // after the gap's begin.
            let before = zone.offset_from_utc_datetime(&(local - TimeDelta::days(1))).fix();
            let mut instant = before.from_local_datetime(&local).unwrap().to_utc();
            while zone.offset_from_utc_datetime(&(instant - TimeDelta::seconds(1)).naive_utc()).fix() != before {
                instant -= TimeDelta::seconds(1);
            }
            instant
        }
    }
}

/// The instant of each local time on these dates, and all answers around it.
fn ticks_are_as_expected(zone: &str, time: &str, dates: impl Iterator<Item = NaiveDate>) {
    let schedule = schedule(&format!("{time} * * *"), zone);
    let (minute, hour) = time.split_once(' ').unwrap();
    let local = NaiveTime::from_hms_opt(hour.parse().unwrap(), minute.parse().unwrap(), 0).unwrap();
    let mut last = None;
    for date in dates {
        let at = format!("{zone} {time} {date}");
        let tick = expected(schedule.timezone.name().parse().unwrap(), date.and_time(local));
        let just_before = tick - TimeDelta::milliseconds(1);
        if let Some((last_date, last)) = last {
            assert!(tick > last, "{at}");
            assert_eq!(next_tick(&schedule, last), Some(tick), "{at}");
            assert_eq!(last_tick(&schedule, just_before), Some(last_date), "{at}");
        }
        // The clock set back: the same questions have the same answers.
        assert_eq!(next_tick(&schedule, just_before), Some(tick), "{at}");
        assert_eq!(last_tick_at(&schedule, tick), Some(tick), "{at}");
        assert_eq!(last_tick(&schedule, tick), Some(date), "{at}");
        last = Some((date, tick));
    }
}

fn dates(year: i32) -> impl Iterator<Item = NaiveDate> {
    NaiveDate::from_ymd_opt(year, 1, 1).unwrap().iter_days().take_while(move |date| date.year() == year)
}

#[test]
fn a_daily_schedule_ticks_once_for_every_date_of_a_year() {
    for (zone, year) in YEARS {
        // Samoa had no 30 December then; croner does not look across a gap as long as that.
        let dates =
            dates(*year).take_while(|date| (*zone, date.to_string().as_str()) != ("Pacific/Apia", "2011-12-30"));
        ticks_are_as_expected(zone, "30 2", dates);
    }
}

#[test]
fn around_changes_of_the_clock_a_daily_schedule_ticks_once_whatever_its_time() {
    for (name, year) in YEARS {
        let zone: Tz = name.parse().unwrap();
        let offset = |date: NaiveDate| zone.offset_from_utc_datetime(&date.and_time(NaiveTime::MIN)).fix();
        for change in dates(*year).filter(|date| offset(*date) != offset(*date - TimeDelta::days(1))) {
            if (*name, change.year()) == ("Pacific/Apia", 2011) && change.month() == 12 {
                continue;
            }
            for time in TIMES {
                ticks_are_as_expected(name, time, (change - TimeDelta::days(3)).iter_days().take(5));
            }
        }
    }
}

#[test]
fn next_ticks_that_are_not_daily() {
    for (zone, cron, after, tick) in [
        ("UTC", "0 2 * * mon-fri", "2019-04-05T02:00:00Z", Some("2019-04-08T02:00:00Z")),
        ("UTC", "0 2 * * *", "2019-04-05T01:59:59.999Z", Some("2019-04-05T02:00:00Z")),
        ("UTC", "0 2 * * *", "2019-04-05T02:00:00.001Z", Some("2019-04-06T02:00:00Z")),
        ("UTC", "30 0 2 * * *", "2019-04-05T02:00:00Z", Some("2019-04-05T02:00:30Z")),
        ("UTC", "@monthly", "2019-04-07T12:00:00Z", Some("2019-05-01T00:00:00Z")),
        ("UTC", "0 0 29 2 *", "2096-03-01T00:00:00Z", Some("2104-02-29T00:00:00Z")),
        ("UTC", "0 0 31 2 *", "2019-04-07T12:00:00Z", None),
        // Intervals follow the hands of the clock: none in the gap, both passes of the overlap.
        ("America/New_York", "*/20 * * * *", "2025-03-09T06:40:00Z", Some("2025-03-09T07:00:00Z")),
        ("America/New_York", "*/20 * * * *", "2025-11-02T05:40:00Z", Some("2025-11-02T06:00:00Z")),
        ("America/New_York", "*/20 * * * *", "2025-11-02T06:40:00Z", Some("2025-11-02T07:00:00Z")),
    ] {
        let found = next_tick(&schedule(cron, zone), after.parse().unwrap());
        assert_eq!(found, tick.map(|tick| tick.parse().unwrap()), "{zone} {cron} {after}");
        if let Ok(parsed) = parse(cron) {
            assert_eq!(parsed.next_tick(zone.parse().unwrap(), after.parse().unwrap()), found);
        }
    }
}
