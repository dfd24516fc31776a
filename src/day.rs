//! A day: the calendar date that names a file and the rows it brings. Never a timestamp; zones end before this type.

use std::fmt;
use std::str::FromStr;

use chrono::{Datelike, Days, NaiveDate, Weekday};

/// A calendar date in the proleptic Gregorian calendar, from 0001-01-01 to 9999-12-31.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(NaiveDate);

/// The text is no day.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a day (YYYY-MM-DD)")]
pub struct NotADay(pub String);

impl Day {
    /// The first day that can be written, 0001-01-01.
    pub const MIN: Self = Self(match NaiveDate::from_ymd_opt(1, 1, 1) {
        Some(date) => date,
        None => NaiveDate::MIN,
    });

    /// The last day that can be written, 9999-12-31.
    pub const MAX: Self = Self(match NaiveDate::from_ymd_opt(9999, 12, 31) {
        Some(date) => date,
        None => NaiveDate::MAX,
    });

    /// The day of a date.
    #[must_use]
    pub fn new(date: NaiveDate) -> Self {
        Self(date)
    }

    /// The date of this day.
    #[must_use]
    pub fn date(self) -> NaiveDate {
        self.0
    }

    /// The day after; the last day there is stays itself.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.succ_opt().unwrap_or(self.0))
    }

    /// The day that many days earlier; the first day there is stays itself.
    #[must_use]
    pub fn minus(self, days: u32) -> Self {
        Self(self.0.checked_sub_days(Days::new(days.into())).unwrap_or(NaiveDate::MIN))
    }

    /// The day of the week.
    #[must_use]
    pub fn weekday(self) -> Weekday {
        self.0.weekday()
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0.format("%Y-%m-%d").to_string())
    }
}

impl FromStr for Day {
    type Err = NotADay;

    fn from_str(text: &str) -> Result<Self, NotADay> {
        let bytes = text.as_bytes();
        let shape = bytes.len() == 10
            && bytes.iter().enumerate().all(|(i, b)| if i == 4 || i == 7 { *b == b'-' } else { b.is_ascii_digit() });
        let date = shape.then(|| NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()).flatten();
        date.filter(|date| date.year() > 0).map(Self).ok_or_else(|| NotADay(text.to_owned()))
    }
}

impl serde::Serialize for Day {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A run of days, both ends included, written `2019-04-01` or `2019-04-01..2019-04-07`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DayRange {
    /// The first day.
    pub from: Day,
    /// The last day; not before `from`.
    pub to: Day,
}

impl DayRange {
    /// Every day of the range, oldest first.
    pub fn days(self) -> impl Iterator<Item = Day> {
        std::iter::successors(Some(self.from), |day| Some(day.next())).take_while(move |day| *day <= self.to)
    }

    /// True when the day lies within the range.
    #[must_use]
    pub fn contains(self, day: Day) -> bool {
        self.from <= day && day <= self.to
    }
}

impl FromStr for DayRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (from, to) = text.split_once("..").unwrap_or((text, text));
        let from: Day = from.parse().map_err(|e: NotADay| e.to_string())?;
        let to: Day = to.parse().map_err(|e: NotADay| e.to_string())?;
        if to < from {
            return Err(format!("{to} is before {from}"));
        }
        Ok(Self { from, to })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_written_as_it_is_read() {
        for text in ["2019-04-01", "2020-02-29", "0001-01-01", "9999-12-31"] {
            assert_eq!(text.parse::<Day>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_day_is_refused() {
        for text in [
            "",
            "2019-4-1",
            "2019-02-29",
            "0000-01-01",
            "20190401",
            "2019-04-01 ",
            "2019-04-01T00",
            "+019-04-01",
            "2019-13-01",
        ] {
            assert_eq!(text.parse::<Day>(), Err(NotADay(text.to_owned())));
        }
    }

    #[test]
    fn a_range_holds_both_ends() {
        let range: DayRange = "2019-04-29..2019-05-02".parse().unwrap();
        let days: Vec<String> = range.days().map(|day| day.to_string()).collect();
        assert_eq!(days, ["2019-04-29", "2019-04-30", "2019-05-01", "2019-05-02"]);
        assert_eq!("2019-04-01".parse::<DayRange>().unwrap().days().count(), 1);
        assert!("2019-04-02..2019-04-01".parse::<DayRange>().is_err());
    }
}
