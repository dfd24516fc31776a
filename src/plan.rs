//! Which days to load, and why: wanted days minus done days. Pure; the story and the claim both decide by it.

mod outside;

use std::collections::BTreeMap;
use std::fmt;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};

use crate::dataset::Schedule;
use crate::day::{Day, DayRange};
use crate::policy::Policy;
use crate::state::{self, State};

pub use outside::Outside;

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
    pub next_look: Option<DateTime<Utc>>,
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
    /// It is this process.
    Here,
    /// It is dead, or it let its lease run out.
    Gone,
}

/// How a day is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoadMode {
    /// By a tick of the schedule: what is not done and due by now, and what was given up lately.
    Tick,
    /// By the daemon's start, or a dataset that changed: as by a tick, and what waits is looked for whether due or not.
    Start,
    /// By the day's own clock between ticks: what waits or failed and is due by now, or was left by its process.
    Due,
    /// By a person who wants all that is not done, due or not, and what was given up lately.
    NotDone,
    /// By a person who names the day: whatever it is, unless it is loaded.
    Named,
    /// By a person who wants days of these states tried anew, and not what became of them meanwhile.
    Retry(ToRetry),
    /// By a person who insists: a loaded day too.
    Forced,
    /// Because the file of a loaded or refused day is another by now.
    Changed,
}

/// The states whose days a retry takes. A day that its process left running has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ToRetry {
    /// Days that failed.
    pub failed: bool,
    /// Days that were refused.
    pub refused: bool,
    /// Days whose files never came.
    pub absent: bool,
}

impl ToRetry {
    /// All that a retry may take.
    pub const ALL: Self = Self { failed: true, refused: true, absent: true };

    /// True when a retry takes a day of that state.
    #[must_use]
    pub fn contains(self, state: State) -> bool {
        match state {
            State::Failed | State::Running => self.failed,
            State::Refused => self.refused,
            State::Absent => self.absent,
            State::Loaded | State::Waiting | State::Skipped => false,
        }
    }
}

impl fmt::Display for ToRetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let states = [State::Failed, State::Refused, State::Absent].into_iter().filter(|state| self.contains(*state));
        f.write_str(&states.map(State::name).collect::<Vec<_>>().join(", "))
    }
}

impl LoadMode {
    /// True when a person asks, and waits for the answer.
    #[must_use]
    pub fn is_a_persons(self) -> bool {
        matches!(self, Self::NotDone | Self::Named | Self::Retry(_) | Self::Forced)
    }

    /// True when an older day that failed or was refused may hold this one back.
    #[must_use]
    pub fn keeps_order(self) -> bool {
        matches!(self, Self::Tick | Self::Start | Self::Due | Self::NotDone)
    }

    /// True when the schedule asks for the dataset's wanted days.
    #[must_use]
    pub fn is_the_schedules(self) -> bool {
        matches!(self, Self::Tick | Self::Start)
    }

    /// True when a person named the day.
    #[must_use]
    pub fn is_named(self) -> bool {
        matches!(self, Self::Named | Self::Retry(_) | Self::Forced)
    }
}

/// What to do with a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Load it.
    Load(Reason),
    /// Its process is gone and there is nothing more to try: the day moves to that state.
    Settle(State),
    /// Skip it.
    Skip(SkipReason),
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
    /// Its file is another than the one that was loaded or refused.
    Changed,
    /// A person asked, whatever the state.
    Asked(State),
}

/// Why a day is left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SkipReason {
    /// It is in a state that only a person changes, or loaded.
    Done(State),
    /// Its attempts are used up.
    Exhausted,
    /// Its next look is later.
    NotDue,
    /// It is asked for by a retry and in none of the states that one takes; `None` is missing.
    NotToRetry(Option<State>),
    /// Another process is loading it.
    Busy,
    /// This process is loading it already.
    Here,
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
            Self::Changed => f.write_str("its file changed"),
            Self::Asked(state) => write!(f, "{state}, asked for"),
        }
    }
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done(state) => write!(f, "already {state}"),
            Self::Exhausted => f.write_str("failed, its attempts are used up"),
            Self::NotDue => f.write_str("not due yet"),
            Self::NotToRetry(state) => {
                let is = state.map_or("missing", State::name);
                write!(f, "{is}: a retry leaves it, `load` takes it")
            }
            Self::Busy => f.write_str("being loaded by another process"),
            Self::Here => f.write_str("being loaded by this process already"),
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
/// late, also when its file was given up.
#[must_use]
pub fn is_awaited(state: Option<State>, in_target: bool) -> bool {
    !in_target && !matches!(state, Some(State::Loaded | State::Skipped))
}

/// What to do with one day; `None` is a day without a row. `now` is the database's clock, UTC. A look or an attempt that
/// lies further ahead than the policy's longest pause was written by a clock that was wrong, or by another policy: it is
/// due.
#[must_use]
pub fn decide(known: Option<&Known>, ask: LoadMode, now: DateTime<Utc>, policy: &Policy) -> Decision {
    let max_attempts = policy.retry.max_attempts;
    let Some(known) = known else {
        return match ask {
            LoadMode::Due | LoadMode::Changed => Decision::Skip(SkipReason::NotDue),
            LoadMode::Retry(_) => Decision::Skip(SkipReason::NotToRetry(None)),
            LoadMode::Tick | LoadMode::Start | LoadMode::NotDone | LoadMode::Named | LoadMode::Forced => {
                Decision::Load(Reason::Missing)
            }
        };
    };
    let named = ask.is_named();
    let due = match ask {
        LoadMode::Start if known.state == State::Waiting => true,
        LoadMode::Tick | LoadMode::Start | LoadMode::Due => {
            let furthest = now + longest_pause(known.state, policy);
            known.next_look.is_none_or(|next| next <= now || next > furthest)
        }
        LoadMode::NotDone | LoadMode::Named | LoadMode::Retry(_) | LoadMode::Forced => true,
        LoadMode::Changed => false,
    };
    match known.state {
        State::Running if known.owner == Owner::Alive => Decision::Skip(SkipReason::Busy),
        State::Running if known.owner == Owner::Here => Decision::Skip(SkipReason::Here),
        State::Running if ask == LoadMode::Forced || (named && !known.in_target) => Decision::Load(Reason::LeftRunning),
        State::Running if known.in_target || known.attempts >= max_attempts => {
            Decision::Settle(state::settled(known.in_target))
        }
        State::Running => Decision::Load(Reason::LeftRunning),
        State::Loaded if ask == LoadMode::Forced => Decision::Load(Reason::Asked(State::Loaded)),
        State::Loaded | State::Refused if ask == LoadMode::Changed => Decision::Load(Reason::Changed),
        State::Loaded => Decision::Skip(SkipReason::Done(State::Loaded)),
        state if matches!(ask, LoadMode::Retry(to_retry) if !to_retry.contains(state)) => {
            Decision::Skip(SkipReason::NotToRetry(Some(state)))
        }
        state if named => Decision::Load(Reason::Asked(state)),
        State::Waiting if due => Decision::Load(Reason::Waiting),
        State::Failed if known.attempts >= max_attempts => Decision::Skip(SkipReason::Exhausted),
        State::Failed if due => Decision::Load(Reason::Failed(known.attempts)),
        State::Waiting | State::Failed => Decision::Skip(SkipReason::NotDue),
        State::Absent if matches!(ask, LoadMode::Tick | LoadMode::Start | LoadMode::NotDone) => {
            Decision::Load(Reason::Absent)
        }
        state @ (State::Refused | State::Absent | State::Skipped) => Decision::Skip(SkipReason::Done(state)),
    }
}

/// The longest pause before a day in that state is due.
fn longest_pause(state: State, policy: &Policy) -> TimeDelta {
    let longest = match state {
        State::Waiting => policy.waiting.poll,
        _ => policy.retry.longest_delay(),
    };
    // A clock is not read to the second on both sides.
    TimeDelta::from_std(longest).map_or(TimeDelta::weeks(52), |longest| longest + TimeDelta::seconds(5))
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
    ask: LoadMode,
    now: DateTime<Utc>,
    policy: &Policy,
    mut backlog: Option<u32>,
) -> Vec<(Day, Decision)> {
    let in_order = policy.catch_up.stop_on_failure && ask.keeps_order();
    let newest = days.last().copied();
    let absent_from = newest.map(|day| day.minus(policy.waiting.absent_days));
    let mut held_by = None;
    let mut one = |day: Day| {
        let known = known.get(&day);
        let decision = decide(known, ask, now, policy);
        match decision {
            Decision::Skip(_) => {
                if held_by.is_none() && in_order && known.is_some_and(holds_back) {
                    held_by = Some(day);
                }
                return decision;
            }
            Decision::Settle(_) => return decision,
            Decision::Load(_) => {}
        }
        if decision == Decision::Load(Reason::Absent) && absent_from.is_some_and(|from| day <= from) {
            return Decision::Skip(SkipReason::Done(State::Absent));
        }
        if let Some(older) = held_by {
            return Decision::Skip(SkipReason::HeldBack(older));
        }
        match &mut backlog {
            Some(0) if Some(day) != newest => return Decision::Skip(SkipReason::NextTick),
            // Looking for a file that never came is no work worth counting.
            Some(left) if Some(day) != newest && decision != Decision::Load(Reason::Absent) => *left -= 1,
            _ => {}
        }
        decision
    };
    days.iter().map(|day| (*day, one(*day))).collect()
}

#[cfg(test)]
mod tests;
