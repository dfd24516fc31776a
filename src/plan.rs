//! Which days to load, and why: wanted days minus done days. Pure; the story and the claim both decide by it.

use std::collections::BTreeMap;
use std::fmt;

use chrono::{NaiveDate, NaiveDateTime};

use crate::dataset::Schedule;
use crate::day::{Day, DayRange};
use crate::policy::Policy;
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

impl Known {
    /// A loaded day. However many attempts it took, nothing hangs on them any more.
    pub const LOADED: Self =
        Self { state: State::Loaded, attempts: 0, in_target: true, next_look: None, owner: Owner::Gone };
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
    /// By a tick of the schedule: what is not done and due by now, and what was given up lately.
    Tick,
    /// By the day's own clock between ticks: what waits or failed and is due by now, or was left by its process.
    Due,
    /// By a person who wants all that is not done, due or not, and what was given up lately.
    NotDone,
    /// By a person who names the day: whatever it is, unless it is loaded.
    Named,
    /// By a person who insists: a loaded day too.
    Forced,
    /// Because the file of a loaded day is another by now.
    Changed,
}

impl Ask {
    /// True when a person asks, and waits for the answer.
    #[must_use]
    pub fn is_a_persons(self) -> bool {
        matches!(self, Self::NotDone | Self::Named | Self::Forced)
    }

    /// True when an older day that failed or was refused may hold this one back.
    #[must_use]
    pub fn keeps_order(self) -> bool {
        matches!(self, Self::Tick | Self::Due | Self::NotDone)
    }

    /// True when a person named the day.
    #[must_use]
    pub fn is_named(self) -> bool {
        matches!(self, Self::Named | Self::Forced)
    }
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
    /// It was given up; look again.
    Absent,
    /// Its file is another than the one that was loaded.
    Changed,
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
    /// An older day failed or was refused, and the dataset stops on failure.
    HeldBack(Day),
    /// The tick takes no more of the backlog.
    NextTick,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("missing"),
            Self::Waiting => f.write_str("its file was not there; look again"),
            Self::Failed(1) => f.write_str("failed 1 time"),
            Self::Failed(times) => write!(f, "failed {times} times"),
            Self::LeftRunning => f.write_str("left by a process that died or stalled"),
            Self::Absent => f.write_str("its file never came; look again"),
            Self::Changed => f.write_str("its file changed after it was loaded"),
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
            Self::HeldBack(day) => write!(f, "held back by {day}, which failed or was refused"),
            Self::NextTick => f.write_str("left for the next tick"),
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

/// True when the schedule wants the day: when it is one of its [`wanted`] days.
#[must_use]
pub fn is_wanted(schedule: &Schedule, last_tick: Option<NaiveDate>, day: Day) -> bool {
    let newest = last_tick.map(|date| Day::new(date).minus(schedule.lag_days));
    newest.is_some_and(|newest| schedule.start <= day && day <= schedule.end.map_or(newest, |end| end.min(newest)))
        && schedule.days.contains(day.weekday())
}

/// True when the target still lacks a wanted day that nobody decided to leave out; past its deadline such a day is
/// late.
#[must_use]
pub fn is_awaited(state: Option<State>, in_target: bool) -> bool {
    !in_target && !matches!(state, Some(State::Loaded | State::Skipped | State::Absent))
}

/// What to do with one day; `None` is a day without a row. `now` is the database's clock, UTC; `max_attempts` is how
/// many attempts a day has.
#[must_use]
pub fn decide(known: Option<&Known>, ask: Ask, now: NaiveDateTime, max_attempts: u32) -> Decision {
    let Some(known) = known else {
        let looked_at_before = matches!(ask, Ask::Due | Ask::Changed);
        return if looked_at_before { Decision::Leave(Leave::NotDue) } else { Decision::Load(Reason::Missing) };
    };
    let named = ask.is_named();
    let due = match ask {
        Ask::Tick | Ask::Due => known.next_look.is_none_or(|next| next <= now),
        Ask::NotDone | Ask::Named | Ask::Forced => true,
        Ask::Changed => false,
    };
    match known.state {
        State::Running if known.owner == Owner::Alive => Decision::Leave(Leave::Busy),
        State::Running if ask == Ask::Forced || (named && !known.in_target) => Decision::Load(Reason::LeftRunning),
        State::Running if known.in_target => Decision::Settle(State::Loaded),
        State::Running if known.attempts >= max_attempts => Decision::Settle(State::Failed),
        State::Running => Decision::Load(Reason::LeftRunning),
        State::Loaded if ask == Ask::Forced => Decision::Load(Reason::Asked(State::Loaded)),
        State::Loaded if ask == Ask::Changed => Decision::Load(Reason::Changed),
        State::Loaded => Decision::Leave(Leave::Done(State::Loaded)),
        state if named => Decision::Load(Reason::Asked(state)),
        State::Waiting if due => Decision::Load(Reason::Waiting),
        State::Failed if known.attempts >= max_attempts => Decision::Leave(Leave::Exhausted),
        State::Failed if due => Decision::Load(Reason::Failed(known.attempts)),
        State::Waiting | State::Failed => Decision::Leave(Leave::NotDue),
        State::Absent if matches!(ask, Ask::Tick | Ask::NotDone) => Decision::Load(Reason::Absent),
        state @ (State::Refused | State::Absent | State::Skipped) => Decision::Leave(Leave::Done(state)),
    }
}

/// True when a day holds back newer ones where order counts: it failed or was refused, or failed before and is being
/// tried once more.
fn holds_back(known: &Known) -> bool {
    match known.state {
        State::Failed | State::Refused => true,
        State::Running => known.attempts > 1 && !known.in_target,
        State::Loaded | State::Waiting | State::Absent | State::Skipped => false,
    }
}

/// Decides for each of `days`, in their order, which is oldest first; the last is the newest wanted day. `backlog` is
/// how many are taken besides that one; `None` is all.
#[must_use]
pub fn plan(
    days: &[Day],
    known: &BTreeMap<Day, Known>,
    ask: Ask,
    now: NaiveDateTime,
    policy: &Policy,
    mut backlog: Option<u32>,
) -> Vec<(Day, Decision)> {
    let in_order = policy.catch_up.stop_on_failure && ask.keeps_order();
    let newest = days.last().copied();
    let absent_from = newest.map(|day| day.minus(policy.waiting.absent_days));
    let mut held_by = None;
    let mut one = |day: Day| {
        let known = known.get(&day);
        let decision = decide(known, ask, now, policy.retry.max_attempts);
        match decision {
            Decision::Leave(_) => {
                if held_by.is_none() && in_order && known.is_some_and(holds_back) {
                    held_by = Some(day);
                }
                return decision;
            }
            Decision::Settle(_) => return decision,
            Decision::Load(_) => {}
        }
        if decision == Decision::Load(Reason::Absent) && absent_from.is_some_and(|from| day <= from) {
            return Decision::Leave(Leave::Done(State::Absent));
        }
        if let Some(older) = held_by {
            return Decision::Leave(Leave::HeldBack(older));
        }
        match &mut backlog {
            Some(0) if Some(day) != newest => return Decision::Leave(Leave::NextTick),
            // Looking for a file that never came is no work worth counting.
            Some(left) if Some(day) != newest && decision != Decision::Load(Reason::Absent) => *left -= 1,
            _ => {}
        }
        decision
    };
    days.iter().map(|day| (*day, one(*day))).collect()
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

    const NOW: NaiveDateTime = NaiveDate::from_ymd_opt(2019, 4, 2).unwrap().and_hms_opt(12, 0, 0).unwrap();

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
        for state in [State::Loaded, State::Skipped, State::Refused] {
            assert_eq!(decide(Some(&known(state)), Ask::NotDone, NOW, 5), Decision::Leave(Leave::Done(state)));
        }
        let exhausted = Known { attempts: 5, ..known(State::Failed) };
        assert_eq!(decide(Some(&exhausted), Ask::NotDone, NOW, 5), Decision::Leave(Leave::Exhausted));
        let live = Known { owner: Owner::Alive, ..known(State::Running) };
        assert_eq!(decide(Some(&live), Ask::Forced, NOW, 5), Decision::Leave(Leave::Busy));
    }

    #[test]
    fn the_schedule_waits_for_the_next_look_and_a_person_does_not() {
        let later = NOW + chrono::TimeDelta::seconds(1);
        for state in [State::Waiting, State::Failed] {
            let known = Known { next_look: Some(later), ..known(state) };
            for ask in [Ask::Tick, Ask::Due] {
                assert_eq!(decide(Some(&known), ask, NOW, 5), Decision::Leave(Leave::NotDue));
                assert!(matches!(decide(Some(&known), ask, later, 5), Decision::Load(_)));
            }
            assert!(matches!(decide(Some(&known), Ask::NotDone, NOW, 5), Decision::Load(_)));
        }
    }

    #[test]
    fn a_day_left_running_is_tried_again_until_its_attempts_run_out() {
        let left = known(State::Running);
        assert_eq!(decide(Some(&left), Ask::NotDone, NOW, 5), Decision::Load(Reason::LeftRunning));
        assert_eq!(decide(Some(&left), Ask::NotDone, NOW, 1), Decision::Settle(State::Failed));
        let reload = Known { in_target: true, ..left };
        assert_eq!(decide(Some(&reload), Ask::NotDone, NOW, 5), Decision::Settle(State::Loaded));
        assert_eq!(decide(Some(&reload), Ask::Forced, NOW, 1), Decision::Load(Reason::LeftRunning));
        assert_eq!(decide(Some(&reload), Ask::Named, NOW, 5), Decision::Settle(State::Loaded), "only force reloads");
        assert_eq!(decide(Some(&left), Ask::Named, NOW, 1), Decision::Load(Reason::LeftRunning));
    }

    #[test]
    fn naming_a_day_loads_it_unless_it_is_loaded() {
        for state in [State::Waiting, State::Failed, State::Refused, State::Absent, State::Skipped] {
            assert_eq!(decide(Some(&known(state)), Ask::Named, NOW, 1), Decision::Load(Reason::Asked(state)));
        }
        assert_eq!(
            decide(Some(&known(State::Loaded)), Ask::Named, NOW, 1),
            Decision::Leave(Leave::Done(State::Loaded))
        );
        assert!(matches!(decide(Some(&known(State::Loaded)), Ask::Forced, NOW, 1), Decision::Load(_)));
    }

    /// The days of a plan that are loaded, for April 2019 with these states from its first day on.
    fn loaded(states: &[Option<State>], ask: Ask, policy: &Policy) -> Vec<String> {
        let days: Vec<Day> = schedule_days(states.len());
        let rows = days.iter().zip(states).filter_map(|(day, state)| Some((*day, known((*state)?)))).collect();
        let backlog = policy.catch_up.max_days_per_tick.filter(|_| ask == Ask::Tick);
        let plan = plan(&days, &rows, ask, NOW, policy, backlog);
        plan.into_iter().filter(|(_, d)| matches!(d, Decision::Load(_))).map(|(day, _)| day.to_string()).collect()
    }

    fn schedule_days(number: usize) -> Vec<Day> {
        let tick = day("2019-04-01").date() + chrono::TimeDelta::days(i64::try_from(number).unwrap() - 1);
        wanted(&schedule("2019-04-01", None, 0, ""), Some(tick))
    }

    #[test]
    fn between_ticks_only_days_that_were_looked_at_are_due() {
        assert_eq!(decide(None, Ask::Due, NOW, 5), Decision::Leave(Leave::NotDue));
        assert_eq!(decide(Some(&known(State::Absent)), Ask::Due, NOW, 5), Decision::Leave(Leave::Done(State::Absent)));
        assert_eq!(decide(Some(&known(State::Running)), Ask::Due, NOW, 5), Decision::Load(Reason::LeftRunning));
    }

    #[test]
    fn a_changed_file_concerns_loaded_days_alone() {
        assert_eq!(decide(Some(&known(State::Loaded)), Ask::Changed, NOW, 5), Decision::Load(Reason::Changed));
        assert_eq!(decide(None, Ask::Changed, NOW, 5), Decision::Leave(Leave::NotDue));
        for state in [State::Waiting, State::Failed, State::Refused, State::Absent, State::Skipped] {
            assert!(matches!(decide(Some(&known(state)), Ask::Changed, NOW, 5), Decision::Leave(_)), "{state}");
        }
    }

    #[test]
    fn absent_days_are_looked_for_while_they_are_new() {
        let mut policy = Policy::default();
        policy.waiting.absent_days = 2;
        let absent = [Some(State::Absent); 4];
        assert_eq!(loaded(&absent, Ask::Tick, &policy), ["2019-04-03", "2019-04-04"]);
        policy.waiting.absent_days = 0;
        assert_eq!(loaded(&absent, Ask::Tick, &policy), [""; 0]);
    }

    #[test]
    fn a_tick_takes_so_much_of_the_backlog_and_always_the_newest_day() {
        let mut policy = Policy::default();
        policy.catch_up.max_days_per_tick = Some(1);
        let states = [None, Some(State::Loaded), None, None];
        assert_eq!(loaded(&states, Ask::Tick, &policy), ["2019-04-01", "2019-04-04"]);
        assert_eq!(loaded(&states, Ask::NotDone, &policy), ["2019-04-01", "2019-04-03", "2019-04-04"]);
        policy.catch_up.max_days_per_tick = Some(0);
        assert_eq!(loaded(&states, Ask::Tick, &policy), ["2019-04-04"]);
    }

    #[test]
    fn an_older_day_that_failed_or_was_refused_holds_back_newer_ones_where_that_is_asked_for() {
        let mut policy = Policy::default();
        let states = [None, Some(State::Refused), None];
        assert_eq!(loaded(&states, Ask::Tick, &policy), ["2019-04-01", "2019-04-03"]);
        policy.catch_up.stop_on_failure = true;
        assert_eq!(loaded(&states, Ask::Tick, &policy), ["2019-04-01"]);
        let held = plan(
            &schedule_days(3),
            &BTreeMap::from([(day("2019-04-02"), known(State::Refused))]),
            Ask::Tick,
            NOW,
            &policy,
            None,
        );
        assert_eq!(held[2].1, Decision::Leave(Leave::HeldBack(day("2019-04-02"))));
        // One that is tried again now does not, until it fails again.
        assert_eq!(loaded(&[Some(State::Failed), None], Ask::Tick, &policy), ["2019-04-01", "2019-04-02"]);
    }

    #[test]
    fn a_day_that_failed_and_is_tried_again_elsewhere_holds_back_newer_ones() {
        let mut policy = Policy::default();
        policy.catch_up.stop_on_failure = true;
        let planned = |attempts, in_target| {
            let running = Known { attempts, in_target, owner: Owner::Alive, ..known(State::Running) };
            let rows = BTreeMap::from([(day("2019-04-01"), running)]);
            plan(&schedule_days(2), &rows, Ask::Tick, NOW, &policy, None)[1].1
        };
        assert_eq!(planned(2, false), Decision::Leave(Leave::HeldBack(day("2019-04-01"))));
        assert_eq!(planned(1, false), Decision::Load(Reason::Missing), "it did not fail yet");
        assert_eq!(planned(2, true), Decision::Load(Reason::Missing), "its rows are there");
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
            for days in -3..length + 3 {
                let day = Day::new(first + chrono::TimeDelta::days(i64::from(days)));
                prop_assert_eq!(is_wanted(&schedule, Some(tick), day), wanted.contains(&day), "{}", day);
            }
            prop_assert!(wanted.windows(2).all(|pair| pair[0].next() == pair[1]));
            let rows: BTreeMap<Day, Known> = holes
                .iter()
                .map(|(offset, state)| (Day::new(first + chrono::TimeDelta::days(i64::from(*offset))), known(*state)))
                .collect();
            let plan = plan(&wanted, &rows, Ask::NotDone, NOW, &Policy::default(), None);
            let wanted_last = wanted.last().copied();
            prop_assert_eq!(plan.iter().map(|(day, _)| *day).collect::<Vec<_>>(), wanted);
            for (day, decision) in plan {
                let lately = wanted_last.is_some_and(|last| day > last.minus(30));
                let done = rows.get(&day).is_some_and(|known| match known.state {
                    State::Loaded | State::Skipped | State::Refused => true,
                    State::Absent => !lately,
                    _ => false,
                });
                prop_assert_eq!(matches!(decision, Decision::Load(_)), !done);
            }
        }
    }
}
