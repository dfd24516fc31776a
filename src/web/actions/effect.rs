//! What an order does to a day.

use super::Action;
use crate::day::Day;
use crate::db::cancellation::CancelRequest;
use crate::db::day_action::DayActionError;
use crate::load_day::ActiveLoad;
use crate::plan::{Decision, Known, Owner, SkipReason};
use crate::state::{MISSING, Move, State, after, settled};
use crate::wording::{DIED, RELOAD_DIED};

/// Why there is nothing to cancel.
const NOT_RUNNING: &str = "no process is loading it";

/// What an order does, or would do, to a day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effect {
    /// The day.
    pub day: Day,
    /// Its state before; `None` is missing.
    pub state: Option<State>,
    /// What it becomes; `None` leaves it alone.
    pub becomes: Option<PlannedState>,
    /// Why.
    pub because: String,
    /// Why it is left alone, for programs; `None` where it is not.
    pub left: Option<UnchangedReason>,
}

/// What an order makes of a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlannedState {
    /// Its load is tried: loaded, if that goes well.
    Tried,
    /// It is in that state, whatever its file.
    Stored(State),
    /// It has no row any more.
    Missing,
}

impl PlannedState {
    /// The name of the state that it is in if all goes well, or `missing`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Tried => State::Loaded.name(),
            Self::Stored(state) => state.name(),
            Self::Missing => MISSING,
        }
    }
}

/// Why a day is left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnchangedReason {
    /// It is in a state that needs nothing more.
    Done,
    /// Its time will come: it is not due, or others come first.
    Later,
    /// A process is loading it.
    Busy,
    /// Its state does not allow it.
    Illegal,
}

impl Effect {
    /// True unless the day is left alone.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.becomes.is_some()
    }

    /// Of a day that is to be loaded, or not.
    pub(super) fn of_decision(day: Day, state: Option<State>, decision: Decision) -> Self {
        let (becomes, because, left) = match decision {
            Decision::Load(reason) => (Some(PlannedState::Tried), reason.to_string(), None),
            Decision::Settle(state @ State::Loaded) => {
                (Some(PlannedState::Stored(state)), RELOAD_DIED.to_owned(), None)
            }
            Decision::Settle(state) => (Some(PlannedState::Stored(state)), DIED.to_owned(), None),
            Decision::Skip(leave) => {
                let left = match leave {
                    SkipReason::Done(_) | SkipReason::Exhausted => UnchangedReason::Done,
                    SkipReason::NotDue | SkipReason::NotToRetry(_) | SkipReason::HeldBack(_) | SkipReason::NextTick => {
                        UnchangedReason::Later
                    }
                    SkipReason::Busy | SkipReason::Here => UnchangedReason::Busy,
                };
                (None, leave.to_string(), Some(left))
            }
        };
        Self { day, state, becomes, because, left }
    }

    /// Of a day that would be skipped or forgotten.
    pub(super) fn of_move(day: Day, known: Option<&Known>, action: Action) -> Self {
        let state = known.map(|known| known.state);
        let mut effect = Self::moved(day, state, action);
        let settled = known.map(|known| match known.state {
            State::Running => settled(known.in_target),
            state => state,
        });
        if known.is_some_and(|known| known.state == State::Running && known.owner == Owner::Alive) {
            effect.leave(&DayActionError::Busy);
        } else if let Err(illegal) = after(settled, move_of(action), false) {
            effect.leave(&illegal.into());
        }
        effect
    }

    /// Of a day whose load would be cancelled: it goes back to the state it had before the attempt.
    pub(super) fn of_cancel(day: Day, known: Option<&Known>) -> Self {
        let state = known.map(|known| known.state);
        let alive = known.filter(|known| known.state == State::Running && known.owner == Owner::Alive);
        let Some(known) = alive else {
            let because = NOT_RUNNING.to_owned();
            return Self { day, state, becomes: None, because, left: Some(UnchangedReason::Illegal) };
        };
        let becomes = match known {
            Known { in_target: true, .. } => PlannedState::Stored(State::Loaded),
            Known { attempts: 2.., .. } => PlannedState::Stored(State::Failed),
            _ => PlannedState::Missing,
        };
        let because = "running; returns to its previous state".to_owned();
        Self { day, state, becomes: Some(becomes), because, left: None }
    }

    /// Of a day whose load in this process was cancelled.
    pub(super) fn of_own_cancelled(flight: &ActiveLoad) -> Self {
        let ActiveLoad { day, attempt: attempts, is_reload: in_target, .. } = *flight;
        let known = Known { state: State::Running, attempts, in_target, next_look: None, owner: Owner::Alive };
        Self::of_cancel(day, Some(&known))
    }

    /// It was asked to be cancelled, and may have ended meanwhile.
    pub(super) fn asked_to_cancel(&mut self, asked: &CancelRequest) {
        if !matches!(asked, CancelRequest::Noted { .. }) {
            self.left = Some(UnchangedReason::Illegal);
            self.becomes = None;
            NOT_RUNNING.clone_into(&mut self.because);
        }
    }

    /// Of a day that was skipped or forgotten.
    pub(super) fn moved(day: Day, state: Option<State>, action: Action) -> Self {
        let becomes = if action == Action::Skip { PlannedState::Stored(State::Skipped) } else { PlannedState::Missing };
        let because = format!("{}, asked for", State::name_or_missing(state));
        Self { day, state, becomes: Some(becomes), because, left: None }
    }

    /// It is left alone since the schedule does not want it, and a retry takes no such day.
    pub(super) fn leave_unwanted(&mut self) {
        self.left = Some(UnchangedReason::Later);
        self.becomes = None;
        "outside the schedule: a retry leaves it, `load` takes it".clone_into(&mut self.because);
    }

    /// This process is loading it: the order waits for that, and does then what is still to be done.
    pub(super) fn wait(&mut self) {
        (self.left, self.becomes) = (None, Some(PlannedState::Tried));
        "running; waits until that load ends".clone_into(&mut self.because);
    }

    /// It could not be done.
    pub(super) fn leave(&mut self, error: &DayActionError) {
        self.left =
            Some(if matches!(error, DayActionError::Busy) { UnchangedReason::Busy } else { UnchangedReason::Illegal });
        self.becomes = None;
        self.because = error.to_string();
    }
}

fn move_of(action: Action) -> Move {
    if action == Action::Skip { Move::Skipped } else { Move::Forgotten }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day() -> Day {
        "2024-03-01".parse().unwrap()
    }

    #[test]
    fn a_move_is_foreseen_as_it_will_be_made() {
        let known = |state, in_target, owner| Known { state, attempts: 1, in_target, next_look: None, owner };
        for (known, skipped, forgotten) in [
            (None, true, true),
            (Some(known(State::Loaded, true, Owner::Gone)), false, true),
            (Some(known(State::Refused, false, Owner::Gone)), true, true),
            (Some(known(State::Running, false, Owner::Alive)), false, false),
            (Some(known(State::Running, false, Owner::Gone)), true, true),
            (Some(known(State::Running, true, Owner::Gone)), false, true),
        ] {
            for (action, done) in [(Action::Skip, skipped), (Action::Forget, forgotten)] {
                let effect = Effect::of_move(day(), known.as_ref(), action);
                assert_eq!(effect.is_done(), done, "{action:?} {known:?}");
                let busy = known.is_some_and(|known| known.owner == Owner::Alive);
                let left = (!done).then_some(if busy { UnchangedReason::Busy } else { UnchangedReason::Illegal });
                assert_eq!(effect.left, left, "{action:?} {known:?}");
            }
        }
    }
}
