//! Which days to load, and why: wanted days minus done days. Pure; the story and the claim both decide by it.

use std::collections::BTreeMap;
use std::fmt;

use chrono::{NaiveDate, NaiveDateTime};

use crate::dataset::Schedule;
use crate::day::{Day, DayRange};
use crate::state::State;

/// What is known of a day that has a row in the state table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// Its state.
    pub state: State,
    /// The attempts begun so far.
    pub attempts: u32,
    /// The target holds its rows from an earlier load.
    pub in_target: bool,
    /// When a waiting or failed day is due, in UTC.
    pub next_look: Option<NaiveDateTime>,
    /// What became of the process that a running day belongs to.
    pub owner: Owner,
}

/// What became of the process that a running day belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// It lives and its lease holds.
    Alive,
    /// It is dead, or it let its lease run out.
    Gone,
}

/// How a day is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// By the schedule at that instant (UTC): what is not done and due by then.
    Due(NaiveDateTime),
    /// By a person who wants all that is not done, due or not.
    NotDone,
    /// By a person who names the day: whatever it is, unless it is loaded.
    Named,
    /// By a person who insists: a loaded day too.
    Forced,
}

/// What to do with a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Load it.
    Load(Reason),
    /// Its process is gone and there is nothing more to try: the day moves to that state.
    Settle(State),
    /// Leave it.
    Leave(Leave),
}

/// Why a day is loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// It is wanted and was never looked at.
    Missing,
    /// Its file was not there; look again.
    Waiting,
    /// Its last attempt failed; that many were begun.
    Failed(u32),
    /// Its process is gone.
    LeftRunning,
    /// A person asked, whatever the state.
    Asked(State),
}

/// Why a day is left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leave {
    /// It is in a state that only a person changes, or loaded.
    Done(State),
    /// Its attempts are used up.
    Exhausted,
    /// Its next look is later.
    NotDue,
    /// Another process is loading it.
    Busy,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("missing"),
            Self::Waiting => f.write_str("its file was not there; look again"),
            Self::Failed(1) => f.write_str("failed 1 time"),
            Self::Failed(times) => write!(f, "failed {times} times"),
            Self::LeftRunning => f.write_str("left by a process that died or stalled"),
            Self::Asked(state) => write!(f, "{state}, asked for"),
        }
    }
}

impl fmt::Display for Leave {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done(state) => write!(f, "already {state}"),
            Self::Exhausted => f.write_str("failed, its attempts are used up"),
            Self::NotDue => f.write_str("not due yet"),
            Self::Busy => f.write_str("being loaded by another process"),
        }
    }
}

/// The wanted days of a schedule, oldest first: from `start` to the earlier of `end` and the last tick's date minus the
/// lag, those weekdays that bring a file. No tick yet: none.
#[must_use]
pub fn wanted(schedule: &Schedule, last_tick: Option<NaiveDate>) -> Vec<Day> {
    let Some(newest) = last_tick.map(|date| Day::new(date).minus(schedule.lag_days)) else { return Vec::new() };
    let to = schedule.end.map_or(newest, |end| end.min(newest));
    let range = DayRange { from: schedule.start, to };
    range.days().filter(|day| schedule.days.contains(day.weekday())).collect()
}

/// What to do with one day; `None` is a day without a row. `max_attempts` is how many attempts a day has.
#[must_use]
pub fn decide(known: Option<&Known>, ask: Ask, max_attempts: u32) -> Decision {
    let Some(known) = known else { return Decision::Load(Reason::Missing) };
    let named = matches!(ask, Ask::Named | Ask::Forced);
    let due = match ask {
        Ask::Due(now) => known.next_look.is_none_or(|next| next <= now),
        Ask::NotDone | Ask::Named | Ask::Forced => true,
    };
    match known.state {
        State::Running if known.owner == Owner::Alive => Decision::Leave(Leave::Busy),
        State::Running if ask == Ask::Forced || (named && !known.in_target) => Decision::Load(Reason::LeftRunning),
        State::Running if known.in_target => Decision::Settle(State::Loaded),
        State::Running if known.attempts >= max_attempts => Decision::Settle(State::Failed),
        State::Running => Decision::Load(Reason::LeftRunning),
        State::Loaded if ask == Ask::Forced => Decision::Load(Reason::Asked(State::Loaded)),
        State::Loaded => Decision::Leave(Leave::Done(State::Loaded)),
        state if named => Decision::Load(Reason::Asked(state)),
        State::Waiting if due => Decision::Load(Reason::Waiting),
        State::Failed if known.attempts >= max_attempts => Decision::Leave(Leave::Exhausted),
        State::Failed if due => Decision::Load(Reason::Failed(known.attempts)),
        State::Waiting | State::Failed => Decision::Leave(Leave::NotDue),
        state @ (State::Refused | State::Absent | State::Skipped) => Decision::Leave(Leave::Done(state)),
    }
}

/// Decides for each of `days`, in their order.
#[must_use]
pub fn plan(days: &[Day], known: &BTreeMap<Day, Known>, ask: Ask, max_attempts: u32) -> Vec<(Day, Decision)> {
    days.iter().map(|day| (*day, decide(known.get(day), ask, max_attempts))).collect()
}

#[cfg(test)]
mod tests {
    use chrono::Datelike;
    use proptest::prelude::*;

    use super::*;
    use crate::dataset::Weekdays;

    fn day(text: &str) -> Day {
        text.parse().unwrap()
    }

    fn schedule(start: &str, end: Option<&str>, lag_days: u32, days: &str) -> Schedule {
        Schedule {
            cron: "0 2 * * *".to_owned(),
            timezone: chrono_tz::UTC,
            start: day(start),
            end: end.map(day),
            lag_days,
            days: if days.is_empty() { Weekdays::ALL } else { days.parse().unwrap() },
        }
    }

    fn known(state: State) -> Known {
        Known { state, attempts: 1, in_target: state == State::Loaded, next_look: None, owner: Owner::Gone }
    }

    fn texts(days: &[Day]) -> Vec<String> {
        days.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_tick_of_the_second_wants_the_first_with_a_lag_of_one_day() {
        let schedule = schedule("2019-04-01", None, 1, "");
        assert_eq!(texts(&wanted(&schedule, Some(day("2019-04-02").date()))), ["2019-04-01"]);
        assert_eq!(wanted(&schedule, Some(day("2019-04-01").date())), []);
        assert_eq!(wanted(&schedule, None), []);
    }

    #[test]
    fn wanted_days_end_at_the_end_and_keep_to_their_weekdays() {
        let weekdays = schedule("2019-04-01", Some("2019-04-09"), 0, "mon-fri");
        let days = wanted(&weekdays, Some(day("2030-01-01").date()));
        assert_eq!(days.len(), 7);
        assert_eq!(texts(&days[4..6]), ["2019-04-05", "2019-04-08"]);
    }

    #[test]
    fn done_days_are_left() {
        for state in [State::Loaded, State::Skipped, State::Refused, State::Absent] {
            assert_eq!(decide(Some(&known(state)), Ask::NotDone, 5), Decision::Leave(Leave::Done(state)));
        }
        let exhausted = Known { attempts: 5, ..known(State::Failed) };
        assert_eq!(decide(Some(&exhausted), Ask::NotDone, 5), Decision::Leave(Leave::Exhausted));
        let live = Known { owner: Owner::Alive, ..known(State::Running) };
        assert_eq!(decide(Some(&live), Ask::Forced, 5), Decision::Leave(Leave::Busy));
    }

    #[test]
    fn the_schedule_waits_for_the_next_look_and_a_person_does_not() {
        let noon = day("2019-04-02").date().and_hms_opt(12, 0, 0).unwrap();
        let later = noon + chrono::TimeDelta::seconds(1);
        for state in [State::Waiting, State::Failed] {
            let known = Known { next_look: Some(later), ..known(state) };
            assert_eq!(decide(Some(&known), Ask::Due(noon), 5), Decision::Leave(Leave::NotDue));
            assert!(matches!(decide(Some(&known), Ask::Due(later), 5), Decision::Load(_)));
            assert!(matches!(decide(Some(&known), Ask::NotDone, 5), Decision::Load(_)));
        }
    }

    #[test]
    fn a_day_left_running_is_tried_again_until_its_attempts_run_out() {
        let left = known(State::Running);
        assert_eq!(decide(Some(&left), Ask::NotDone, 5), Decision::Load(Reason::LeftRunning));
        assert_eq!(decide(Some(&left), Ask::NotDone, 1), Decision::Settle(State::Failed));
        let reload = Known { in_target: true, ..left };
        assert_eq!(decide(Some(&reload), Ask::NotDone, 5), Decision::Settle(State::Loaded));
        assert_eq!(decide(Some(&reload), Ask::Forced, 1), Decision::Load(Reason::LeftRunning));
        assert_eq!(decide(Some(&reload), Ask::Named, 5), Decision::Settle(State::Loaded), "only force reloads");
        assert_eq!(decide(Some(&left), Ask::Named, 1), Decision::Load(Reason::LeftRunning));
    }

    #[test]
    fn naming_a_day_loads_it_unless_it_is_loaded() {
        for state in [State::Waiting, State::Failed, State::Refused, State::Absent, State::Skipped] {
            assert_eq!(decide(Some(&known(state)), Ask::Named, 1), Decision::Load(Reason::Asked(state)));
        }
        assert_eq!(decide(Some(&known(State::Loaded)), Ask::Named, 1), Decision::Leave(Leave::Done(State::Loaded)));
        assert!(matches!(decide(Some(&known(State::Loaded)), Ask::Forced, 1), Decision::Load(_)));
    }

    fn any_state() -> impl Strategy<Value = State> {
        proptest::sample::select(State::ALL.to_vec())
    }

    proptest! {
        /// The plan never repeats a day, never skips one and keeps the order: loaded days and planned days together
        /// are the wanted days, whatever holes there are.
        #[test]
        fn wanted_is_done_and_planned_together(
            start in 0i32..4000, length in 0i32..400, lag in 0u32..5, holes in proptest::collection::btree_map(0i32..400, any_state(), 0..60)
        ) {
            let first = NaiveDate::from_num_days_from_ce_opt(730_000 + start).unwrap();
            let schedule = Schedule { start: Day::new(first), lag_days: lag, ..schedule("2019-04-01", None, 0, "") };
            let tick = NaiveDate::from_num_days_from_ce_opt(first.num_days_from_ce() + length).unwrap();
            let wanted = wanted(&schedule, Some(tick));
            prop_assert_eq!(wanted.len(), usize::try_from((length - i32::try_from(lag).unwrap() + 1).max(0)).unwrap());
            prop_assert!(wanted.windows(2).all(|pair| pair[0].next() == pair[1]));
            let rows: BTreeMap<Day, Known> = holes
                .iter()
                .map(|(offset, state)| (Day::new(first + chrono::TimeDelta::days(i64::from(*offset))), known(*state)))
                .collect();
            let plan = plan(&wanted, &rows, Ask::NotDone, 5);
            prop_assert_eq!(plan.iter().map(|(day, _)| *day).collect::<Vec<_>>(), wanted);
            for (day, decision) in plan {
                let done = rows.get(&day).is_some_and(|known| {
                    matches!(known.state, State::Loaded | State::Skipped | State::Refused | State::Absent)
                });
                prop_assert_eq!(matches!(decision, Decision::Load(_)), !done);
            }
        }
    }
}
