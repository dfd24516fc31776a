//! What a schedule says at some instant, as far as it takes part in what is known of days.

use chrono::{DateTime, Utc};

use crate::day::{Day, DayRange};
use crate::plan;
use crate::state::State;

/// What a dataset's schedule says at some instant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WantedDays {
    /// The wanted days, oldest first. Another table's days are wanted by nobody's schedule.
    pub days: Vec<Day>,
    /// When the schedule ticks next.
    pub next_tick: Option<DateTime<Utc>>,
    /// The newest wanted day whose deadline has passed. Those of older days have passed too.
    pub late_to: Option<Day>,
}

impl WantedDays {
    /// The wanted days within a range.
    #[must_use]
    pub fn within(&self, range: DayRange) -> &[Day] {
        let from = self.days.partition_point(|day| *day < range.from);
        let to = self.days.partition_point(|day| *day <= range.to);
        self.days.get(from..to).unwrap_or_default()
    }

    /// True when the schedule wants the day.
    #[must_use]
    pub fn contains(&self, day: Day) -> bool {
        self.days.binary_search(&day).is_ok()
    }

    /// The newest wanted day.
    #[must_use]
    pub fn newest(&self) -> Option<Day> {
        self.days.last().copied()
    }

    /// True when the day is wanted, past its deadline, and neither in the target nor left out.
    #[must_use]
    pub fn is_late(&self, day: Day, state: Option<State>, in_target: bool) -> bool {
        self.late_to.is_some_and(|to| day <= to) && plan::is_awaited(state, in_target) && self.contains(day)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Day {
        text.parse().unwrap()
    }

    fn wanted(days: &[&str], late_to: Option<&str>) -> WantedDays {
        WantedDays { days: days.iter().map(|text| day(text)).collect(), next_tick: None, late_to: late_to.map(day) }
    }

    #[test]
    fn a_range_may_begin_and_end_anywhere() {
        let wanted = wanted(&["2024-03-01", "2024-03-04", "2024-03-05"], None);
        for (range, number) in [
            ("2024-03-01..2024-03-05", 3),
            ("2024-02-01..2024-03-03", 1),
            ("2024-03-02..2024-03-03", 0),
            ("2024-03-05..2024-04-01", 1),
            ("2024-03-06", 0),
        ] {
            assert_eq!(wanted.within(range.parse().unwrap()).len(), number, "{range}");
        }
        let backwards = DayRange { from: day("2024-03-05"), to: day("2024-03-01") };
        assert_eq!(wanted.within(backwards), []);
    }

    #[test]
    fn a_day_is_late_when_it_is_wanted_awaited_and_past_its_deadline() {
        let wanted = wanted(&["2024-03-01", "2024-03-02", "2024-03-03"], Some("2024-03-02"));
        for (text, state, in_target, late) in [
            ("2024-03-01", None, false, true),
            ("2024-03-02", Some(State::Failed), false, true),
            ("2024-03-02", Some(State::Running), true, false),
            ("2024-03-02", Some(State::Skipped), false, false),
            ("2024-03-03", None, false, false),
            ("2024-02-28", None, false, false),
        ] {
            assert_eq!(wanted.is_late(day(text), state, in_target), late, "{text} {state:?}");
        }
    }
}
