//! Instants as pages show them: in UTC, or in a dataset's zone where its schedule is spoken of. Each names its zone, and
//! says in `datetime` which instant it is; from that the script makes the reader's own time, shown when pointed at.

use chrono::{DateTime, MappedLocalTime, Offset as _, SecondsFormat, TimeZone, Utc};
use maud::{Markup, html};

use crate::zone::Zone;

/// How an instant is written to the minute.
const MINUTE: &str = "%Y-%m-%d %H:%M";

/// An instant, to the minute, in UTC.
pub(super) fn minute(at: DateTime<Utc>) -> Markup {
    time(at, &minute_text(at))
}

/// The same as a text, for where no element can stand.
pub(super) fn minute_text(at: DateTime<Utc>) -> String {
    format!("{} UTC", at.format(MINUTE))
}

/// An instant, to the second, in UTC.
pub(super) fn second(at: DateTime<Utc>) -> Markup {
    time(at, &at.format("%Y-%m-%d %H:%M:%S UTC").to_string())
}

/// An instant's time of day, to the millisecond, in UTC.
pub(super) fn time_of_day(at: DateTime<Utc>) -> Markup {
    time(at, &at.format("%H:%M:%S%.3f").to_string())
}

/// An instant that a schedule sets, to the minute, by the clock of the schedule's zone. Where that clock shows the time
/// twice, in the hour it is set back, the offset says which of the two it is.
pub(super) fn scheduled(at: DateTime<Zone>) -> Markup {
    let zone = at.timezone();
    let twice = matches!(zone.offset_from_local_datetime(&at.naive_local()), MappedLocalTime::Ambiguous(..));
    let offset = if twice { format!(" ({})", at.offset().fix()) } else { String::new() };
    time(at.to_utc(), &format!("{}{offset} {zone}", at.format(MINUTE)))
}

fn time(at: DateTime<Utc>, text: &str) -> Markup {
    html! { time datetime=(at.to_rfc3339_opts(SecondsFormat::AutoSi, true)) { (text) } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_is_read_by_people_and_by_programs() {
        let at = DateTime::from_timestamp_millis(1_795_332_665_120).unwrap();
        let html = minute(at).into_string();
        assert_eq!(html, "<time datetime=\"2026-11-22T07:31:05.120Z\">2026-11-22 07:31 UTC</time>");
    }

    #[test]
    fn what_a_schedule_sets_is_told_by_the_clock_of_its_zone() {
        for (zone, at, text) in [
            ("UTC", "2026-11-22T07:31:05Z", "2026-11-22 07:31 UTC"),
            ("Europe/Paris", "2026-11-22T07:31:05Z", "2026-11-22 08:31 Europe/Paris"),
            ("Europe/Paris", "2026-07-22T22:30:00Z", "2026-07-23 00:30 Europe/Paris"),
            ("Asia/Kolkata", "2026-11-22T20:00:00Z", "2026-11-23 01:30 Asia/Kolkata"),
            // The clock is set forward: from 01:59 to 03:00.
            ("Europe/Paris", "2026-03-29T00:59:00Z", "2026-03-29 01:59 Europe/Paris"),
            ("Europe/Paris", "2026-03-29T01:00:00Z", "2026-03-29 03:00 Europe/Paris"),
            // And back: 02:30 comes twice.
            ("Europe/Paris", "2026-10-24T23:59:00Z", "2026-10-25 01:59 Europe/Paris"),
            ("Europe/Paris", "2026-10-25T00:30:00Z", "2026-10-25 02:30 (+02:00) Europe/Paris"),
            ("Europe/Paris", "2026-10-25T01:30:00Z", "2026-10-25 02:30 (+01:00) Europe/Paris"),
            ("Europe/Paris", "2026-10-25T02:00:00Z", "2026-10-25 03:00 Europe/Paris"),
        ] {
            let instant: DateTime<Utc> = at.parse().unwrap();
            let html = scheduled(instant.with_timezone(&zone.parse().unwrap())).into_string();
            assert_eq!(html, format!("<time datetime=\"{at}\">{text}</time>"));
        }
    }
}
