//! Days that a person names and that a schedule does not reach: before its start, after its end, or in the future. Who
//! names many of them has most likely mistyped.

use std::fmt;

use chrono::{DateTime, Utc};

use crate::dataset::Schedule;
use crate::day::Day;
use crate::state::State;
use crate::wording::counted;

/// How many days were named, and how many of them the schedule does not reach and dayfill knows nothing of. Days of
/// which it knows something were reached once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outside {
    all: usize,
    /// How many, and where that is: `before start (2024-01-01)`.
    kinds: Vec<(usize, String)>,
}

impl Outside {
    /// Counts days of a dataset with that schedule, each with its state; `None` is missing.
    #[must_use]
    pub fn count(
        schedule: &Schedule,
        now: DateTime<Utc>,
        days: impl IntoIterator<Item = (Day, Option<State>)>,
    ) -> Self {
        let today = now.with_timezone(&schedule.timezone).date_naive();
        let (mut all, mut before, mut after, mut future) = (0, 0, 0, 0);
        for (day, state) in days {
            all += 1;
            if state.is_some() {
                continue;
            }
            if day < schedule.start {
                before += 1;
            } else if day.date() > today {
                future += 1;
            } else if schedule.end.is_some_and(|end| day > end) {
                after += 1;
            }
        }
        let end = schedule.end.map(|end| end.to_string()).unwrap_or_default();
        let kinds = [
            (before, format!("before start ({})", schedule.start)),
            (after, format!("after end ({end})")),
            (future, "in the future".to_owned()),
        ];
        Self { all, kinds: kinds.into_iter().filter(|(days, _)| *days > 0).collect() }
    }

    /// True when the schedule reaches all of them.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.kinds.is_empty()
    }

    /// How many it does not reach.
    #[must_use]
    pub fn days(&self) -> usize {
        self.kinds.iter().map(|(days, _)| days).sum()
    }
}

impl fmt::Display for Outside {
    /// `3 of 12 days before start (2024-01-01)`, `5 of 12 days: 3 before start (2024-01-01) and 2 in the future`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = counted(self.all, "day");
        match self.days() {
            1 if self.all == 1 => f.write_str(&all)?,
            outside if outside == self.all => write!(f, "all {all}")?,
            outside => write!(f, "{outside} of {all}")?,
        }
        if let [(_, kind)] = self.kinds.as_slice() {
            return write!(f, " {kind}");
        }
        for (place, (days, kind)) in self.kinds.iter().enumerate() {
            let joined = match place {
                0 => ": ",
                place if place + 1 == self.kinds.len() => " and ",
                _ => ", ",
            };
            write!(f, "{joined}{days} {kind}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::Weekdays;
    use crate::day::DayRange;

    #[test]
    fn days_that_a_schedule_does_not_reach_are_counted_apart() {
        let count = |zone: &str, range: &str, known: Option<State>| {
            let schedule = Schedule {
                cron: "@daily".to_owned(),
                timezone: zone.parse().unwrap(),
                start: "2024-01-01".parse().unwrap(),
                end: Some("2024-01-06".parse().unwrap()),
                lag_days: 0,
                days: Weekdays::ALL,
            };
            let now = "2024-01-07T23:00:00Z".parse().unwrap();
            let days = range.parse::<DayRange>().unwrap().days();
            let found = Outside::count(&schedule, now, days.map(|day| (day, known)));
            (found.to_string(), found.days())
        };
        for (zone, range, text, days) in [
            ("UTC", "2024-01-01..2024-01-06", "0 of 6 days", 0),
            ("UTC", "2023-12-29..2024-01-06", "3 of 9 days before start (2024-01-01)", 3),
            ("UTC", "2023-12-31", "1 day before start (2024-01-01)", 1),
            ("UTC", "2014-01-01..2014-01-07", "all 7 days before start (2024-01-01)", 7),
            ("UTC", "2024-01-06..2024-01-07", "1 of 2 days after end (2024-01-06)", 1),
            (
                "UTC",
                "2023-12-31..2024-01-09",
                "4 of 10 days: 1 before start (2024-01-01), 1 after end (2024-01-06) and 2 in the future",
                4,
            ),
            // It is the 8th there already.
            ("Europe/Paris", "2024-01-06..2024-01-09", "3 of 4 days: 2 after end (2024-01-06) and 1 in the future", 3),
        ] {
            assert_eq!(count(zone, range, None), (text.to_owned(), days), "{zone} {range}");
        }
        assert_eq!(count("UTC", "2023-12-31", Some(State::Loaded)).1, 0, "it is known");
    }
}
