//! A time zone, by its IANA name. Its rules come with the program: the machine may have none, or old ones.
//!
//! jiff reads them, since its releases follow the tz database within weeks. chrono-tz, which speaks chrono's traits by
//! itself, had the rules of 2025 in November 2026: Vancouver, Edmonton and Winnipeg, which keep summer time all year
//! since that month, were an hour off.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};

use chrono::{
    Datelike, FixedOffset, MappedLocalTime, NaiveDate, NaiveDateTime, NaiveTime, Offset, TimeZone, Timelike, Utc,
};
use jiff::Timestamp;
use jiff::civil;
use jiff::tz::{self, AmbiguousOffset};

/// A time zone.
#[derive(Clone, Copy)]
pub struct Zone(&'static tz::TimeZone);

/// There is no such zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not a time zone")]
pub struct NoSuchZone;

/// The zones that were asked for. They are never let go of, as there are only some hundred in all.
static ASKED_FOR: Mutex<BTreeMap<String, Zone>> = Mutex::new(BTreeMap::new());

impl Zone {
    /// UTC.
    pub const UTC: Self = Self(&tz::TimeZone::UTC);

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.0.iana_name().unwrap_or("UTC")
    }

    /// The names of all zones.
    pub fn names() -> impl Iterator<Item = String> {
        tz::db().available().map(|name| name.to_string())
    }
}

impl FromStr for Zone {
    type Err = NoSuchZone;

    fn from_str(name: &str) -> Result<Self, NoSuchZone> {
        let mut asked_for = ASKED_FOR.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(zone) = asked_for.get(name) {
            return Ok(*zone);
        }
        let found = tz::db().get(name).ok().filter(|found| found.iana_name() == Some(name)).ok_or(NoSuchZone)?;
        let zone = Self(Box::leak(Box::new(found)));
        asked_for.insert(name.to_owned(), zone);
        Ok(zone)
    }
}

impl PartialEq for Zone {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for Zone {}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A zone's offset at some instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ZoneOffset {
    zone: Zone,
    fixed: FixedOffset,
}

impl ZoneOffset {
    fn new(zone: Zone, offset: tz::Offset) -> Self {
        Self { zone, fixed: FixedOffset::east_opt(offset.seconds()).unwrap_or(Utc.fix()) }
    }
}

impl Offset for ZoneOffset {
    fn fix(&self) -> FixedOffset {
        self.fixed
    }
}

impl fmt::Display for ZoneOffset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fixed.fmt(f)
    }
}

impl TimeZone for Zone {
    type Offset = ZoneOffset;

    fn from_offset(offset: &ZoneOffset) -> Self {
        offset.zone
    }

    fn offset_from_local_date(&self, local: &NaiveDate) -> MappedLocalTime<ZoneOffset> {
        self.offset_from_local_datetime(&local.and_time(NaiveTime::MIN))
    }

    fn offset_from_local_datetime(&self, local: &NaiveDateTime) -> MappedLocalTime<ZoneOffset> {
        let of = |offset| ZoneOffset::new(*self, offset);
        match self.0.to_ambiguous_timestamp(civil(local)).offset() {
            AmbiguousOffset::Unambiguous { offset } => MappedLocalTime::Single(of(offset)),
            AmbiguousOffset::Gap { .. } => MappedLocalTime::None,
            AmbiguousOffset::Fold { before, after } => MappedLocalTime::Ambiguous(of(before), of(after)),
        }
    }

    fn offset_from_utc_date(&self, utc: &NaiveDate) -> ZoneOffset {
        self.offset_from_utc_datetime(&utc.and_time(NaiveTime::MIN))
    }

    fn offset_from_utc_datetime(&self, utc: &NaiveDateTime) -> ZoneOffset {
        let second = utc.and_utc().timestamp();
        let outside = if second < 0 { Timestamp::MIN } else { Timestamp::MAX };
        ZoneOffset::new(*self, self.0.to_offset(Timestamp::from_second(second).unwrap_or(outside)))
    }
}

/// The same local time to the second; where it is out of reach, the last one that is not.
fn civil(local: &NaiveDateTime) -> civil::DateTime {
    let small = |number: u32| i8::try_from(number).ok();
    let to_the_second = || {
        let (year, month, day) = (i16::try_from(local.year()).ok()?, small(local.month())?, small(local.day())?);
        let (hour, minute, second) = (small(local.hour())?, small(local.minute())?, small(local.second())?);
        civil::DateTime::new(year, month, day, hour, minute, second, 0).ok()
    };
    let outside = if local.year() < 0 { civil::DateTime::MIN } else { civil::DateTime::MAX };
    to_the_second().unwrap_or(outside)
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta};
    use chrono_tz::TZ_VARIANTS;

    use super::*;

    #[test]
    fn a_zone_goes_by_its_very_name() {
        for name in ["UTC", "Europe/Paris", "America/Argentina/Buenos_Aires", "Etc/GMT+3"] {
            assert_eq!(name.parse::<Zone>().unwrap().name(), name);
        }
        for wrong in ["europe/paris", "Europe/Pari", "", "CEST-1", "/etc/localtime"] {
            assert_eq!(wrong.parse::<Zone>(), Err(NoSuchZone), "{wrong}");
        }
        assert!(Zone::names().any(|name| name == "Asia/Tokyo"));
    }

    /// These keep summer time since November 2026 (the tz database's edition 2026b and later).
    #[test]
    fn rules_of_this_year_are_known() {
        for (name, hours) in [("America/Vancouver", -7), ("America/Edmonton", -6), ("Europe/Paris", 1)] {
            let zone: Zone = name.parse().unwrap();
            let winter: DateTime<Utc> = "2026-12-01T12:00:00Z".parse().unwrap();
            let offset = zone.offset_from_utc_datetime(&winter.naive_utc()).fix();
            assert_eq!(offset.local_minus_utc(), hours * 3600, "{name}");
        }
    }

    #[test]
    fn what_is_out_of_reach_has_the_last_offset_there_is() {
        let paris: Zone = "Europe/Paris".parse().unwrap();
        assert_eq!(DateTime::<Utc>::MAX_UTC.naive_utc().year(), 262_142);
        assert_eq!(paris.offset_from_utc_datetime(&NaiveDateTime::MAX).fix().local_minus_utc(), 3600);
        assert!(paris.offset_from_local_datetime(&NaiveDateTime::MIN).single().is_some());
    }

    /// Another reading of the same database, in hours of summer and winter and around each change; of years of which both
    /// have the same edition.
    #[test]
    fn all_zones_have_the_offsets_that_another_library_gives_them() {
        let mut compared = 0;
        for theirs in TZ_VARIANTS {
            let Ok(ours) = theirs.name().parse::<Zone>() else { continue };
            compared += 1;
            let mut at: DateTime<Utc> = "2019-01-01T00:00:00Z".parse().unwrap();
            for _ in 0..(2 * 366 * 2) {
                at += TimeDelta::hours(12);
                let (utc, same) = (at.naive_utc(), theirs.offset_from_utc_datetime(&at.naive_utc()).fix());
                assert_eq!(ours.offset_from_utc_datetime(&utc).fix(), same, "{ours} {at}");
                let local = ours.offset_from_local_datetime(&utc).map(|offset| offset.fix());
                assert_eq!(local, theirs.offset_from_local_datetime(&utc).map(|offset| offset.fix()), "{ours} {at}");
            }
        }
        assert!(compared > 500, "{compared} of {}", TZ_VARIANTS.len());
    }
}
