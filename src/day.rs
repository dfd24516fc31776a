//! A day: the calendar date that names a file and the rows it brings. Never a timestamp; zones end before this type.

use std::fmt;
use std::str::FromStr;

use chrono::{Datelike, Days, NaiveDate, Weekday};

use crate::wording::counted;

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

impl fmt::Display for DayRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.from == self.to { write!(f, "{}", self.from) } else { write!(f, "{}..{}", self.from, self.to) }
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

/// How many days can be asked for at once, on the command line as on the page: eleven years less some days. More are
/// most likely a mistyped year.
pub const MOST_DAYS: usize = 4000;

/// How many runs of days a message names.
pub const MOST_LISTED: usize = 5;

/// The runs of consecutive days among days that are in order.
#[must_use]
pub fn runs(days: &[Day]) -> Vec<DayRange> {
    let run = |run: &[Day]| Some(DayRange { from: *run.first()?, to: *run.last()? });
    days.chunk_by(|day, next| day.next() == *next).filter_map(run).collect()
}

/// Days that are in order, on one line however many there are: `2024-03-01..2024-03-30, 2024-04-02`. Past
/// [`MOST_LISTED`] runs the rest is counted: ` and 12 more days`.
#[must_use]
pub fn listed(days: &[Day]) -> String {
    let runs = runs(days);
    let (named, rest) = runs.split_at(runs.len().min(MOST_LISTED));
    let named: Vec<String> = named.iter().map(ToString::to_string).collect();
    match rest.iter().map(|run| run.days().count()).sum::<usize>() {
        0 => named.join(", "),
        more => format!("{} and {}", named.join(", "), counted(more, "more day")),
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

    #[test]
    fn days_are_listed_on_one_line_however_many_there_are() {
        // Runs of days in March 2024, and how they are listed.
        for (ranges, text) in [
            (&[][..], ""),
            (&[(1, 1)], "2024-03-01"),
            (&[(1, 2)], "2024-03-01..2024-03-02"),
            (&[(1, 30)], "2024-03-01..2024-03-30"),
            (&[(1, 1), (3, 5)], "2024-03-01, 2024-03-03..2024-03-05"),
            (
                &[(1, 1), (3, 3), (5, 5), (7, 7), (9, 12)],
                "2024-03-01, 2024-03-03, 2024-03-05, 2024-03-07, 2024-03-09..2024-03-12",
            ),
            (
                &[(1, 1), (3, 3), (5, 5), (7, 7), (9, 9), (11, 11)],
                "2024-03-01, 2024-03-03, 2024-03-05, 2024-03-07, 2024-03-09 and 1 more day",
            ),
            (
                &[(1, 1), (3, 3), (5, 5), (7, 7), (9, 9), (11, 20), (22, 23)],
                "2024-03-01, 2024-03-03, 2024-03-05, 2024-03-07, 2024-03-09 and 12 more days",
            ),
        ] {
            let day = |number: u32| Day::new(NaiveDate::from_ymd_opt(2024, 3, number).unwrap());
            let days: Vec<Day> = ranges.iter().flat_map(|(from, to)| *from..=*to).map(day).collect();
            assert_eq!(listed(&days), text, "{ranges:?}");
        }
        // Months and years end within a run.
        let range: DayRange = "2023-12-30..2024-03-02".parse().unwrap();
        let days: Vec<Day> = range.days().collect();
        assert_eq!(listed(&days), range.to_string());
    }
}
