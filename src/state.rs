//! The states of a day and every legal move between them.

use std::fmt;

/// A stored state of a day. A day that is wanted and has no row is "missing": computed, never stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// A process holds the day's claim. Left when the attempt ends, however it ends; or taken over.
    Running,
    /// The target holds the day's rows. Left by a forced reload or by forgetting.
    Loaded,
    /// The file is not there yet. Left when a later look finds it, or when a person skips or forgets it.
    Waiting,
    /// An attempt went wrong. Left by the next attempt until they run out, then by a person.
    Failed,
    /// A check or too many rejects said no. Left when its file is another by now, or by a person.
    Refused,
    /// The file never came in time. Left when a look finds it after all, or by a person.
    Absent,
    /// A person decided that the day is not loaded. Left by a person only.
    Skipped,
}

/// The name of what a wanted day without a row is.
pub const MISSING: &str = "missing";

/// What can happen to a day, and moves it from state to state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Move {
    /// A process took the day to load it; over a running day, because its owner is dead or stalled.
    Claimed,
    /// The rows are in the target.
    Published,
    /// The file is not there.
    FileMissing,
    /// The attempt went wrong.
    Failed,
    /// A check said no.
    Refused,
    /// The file did not come within its time.
    GaveUp,
    /// A person decided to leave the day out.
    Skipped,
    /// A person had the day forgotten: back to missing.
    Forgotten,
}

/// A move that the table of moves does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a day that is {} cannot be {moved}", State::name_or_missing(*.state))]
pub struct IllegalMove {
    /// The state the day is in; `None` is missing.
    pub state: Option<State>,
    /// What should have happened.
    pub moved: Move,
}

impl State {
    /// All states, in the order a summary names them.
    pub const ALL: [Self; 7] =
        [Self::Loaded, Self::Running, Self::Waiting, Self::Failed, Self::Refused, Self::Absent, Self::Skipped];

    /// The state's name, as the state table holds it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Loaded => "loaded",
            Self::Waiting => "waiting",
            Self::Failed => "failed",
            Self::Refused => "refused",
            Self::Absent => "absent",
            Self::Skipped => "skipped",
        }
    }

    /// The name of a day's state; `None` is a day without a row.
    #[must_use]
    pub fn name_or_missing(state: Option<Self>) -> &'static str {
        state.map_or(MISSING, Self::name)
    }

    /// The state of that name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl fmt::Display for Move {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Claimed => "claimed",
            Self::Published => "published",
            Self::FileMissing => "left waiting",
            Self::Failed => "failed",
            Self::Refused => "refused",
            Self::GaveUp => "given up",
            Self::Skipped => "skipped",
            Self::Forgotten => "forgotten",
        })
    }
}

/// What a running day becomes when its process is gone and nobody takes it over: loaded where the target holds its rows.
#[must_use]
pub fn settled(in_target: bool) -> State {
    if in_target { State::Loaded } else { State::Failed }
}

/// The state after a move; `None` is missing, before and after. `in_target` says that the target holds the day's rows
/// from an earlier load: a reload that does not publish leaves such a day loaded.
///
/// # Errors
/// [`IllegalMove`] for a move that is not in the table.
pub fn after(state: Option<State>, moved: Move, in_target: bool) -> Result<Option<State>, IllegalMove> {
    use Move as M;
    use State as S;
    Ok(match (state, moved) {
        (_, M::Claimed) => Some(S::Running),
        (Some(S::Running), M::Published) => Some(S::Loaded),
        (Some(S::Running), M::FileMissing | M::Failed | M::Refused) if in_target => Some(S::Loaded),
        (Some(S::Running | S::Waiting), M::FileMissing) => Some(S::Waiting),
        (Some(S::Running), M::Failed) => Some(S::Failed),
        (Some(S::Running), M::Refused) => Some(S::Refused),
        (Some(S::Waiting), M::GaveUp) | (Some(S::Absent), M::FileMissing) => Some(S::Absent),
        (None | Some(S::Waiting | S::Failed | S::Refused | S::Absent | S::Skipped), M::Skipped) => Some(S::Skipped),
        (None | Some(S::Loaded | S::Waiting | S::Failed | S::Refused | S::Absent | S::Skipped), M::Forgotten) => None,
        (state, moved) => return Err(IllegalMove { state, moved }),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_read_back() {
        for state in State::ALL {
            assert_eq!(State::by_name(state.name()), Some(state));
        }
    }

    #[test]
    fn only_a_running_day_can_be_published() {
        for state in State::ALL.into_iter().map(Some).chain([None]) {
            let moved = after(state, Move::Published, false);
            assert_eq!(moved.is_ok(), state == Some(State::Running), "{state:?}");
        }
    }

    #[test]
    fn a_reload_that_does_not_publish_leaves_the_day_loaded() {
        for moved in [Move::FileMissing, Move::Failed, Move::Refused] {
            assert_eq!(after(Some(State::Running), moved, true), Ok(Some(State::Loaded)));
        }
    }

    #[test]
    fn a_running_day_is_neither_skipped_nor_forgotten() {
        assert!(after(Some(State::Running), Move::Skipped, false).is_err());
        assert!(after(Some(State::Running), Move::Forgotten, false).is_err());
        assert!(after(Some(State::Loaded), Move::Skipped, false).is_err());
    }

    /// A day as its row and the target show it. The claim is no part of `after`: it comes with `Claimed` and goes with
    /// every other move, as each transaction that writes the row has it.
    #[derive(Debug, Clone, Copy, Default)]
    struct Seen {
        state: Option<State>,
        claim: Option<usize>,
        in_target: bool,
    }

    fn any_event() -> impl Strategy<Value = Move> {
        use Move as M;
        proptest::sample::select(vec![
            M::Claimed,
            M::Published,
            M::FileMissing,
            M::Failed,
            M::Refused,
            M::GaveUp,
            M::Skipped,
            M::Forgotten,
        ])
    }

    proptest! {
        /// Whatever happens to a day: it runs exactly while it is claimed; only publishing puts it into the target; and
        /// a day in the target is loaded, unless it is claimed to be loaded again, until a person forgets it.
        #[test]
        fn no_sequence_of_events_reaches_a_state_that_lies(moves in proptest::collection::vec(any_event(), 0..200)) {
            let mut day = Seen::default();
            for (token, moved) in moves.into_iter().enumerate() {
                let before = day;
                // A move that is not legal changes nothing.
                let Ok(state) = after(before.state, moved, before.in_target) else { continue };
                day.state = state;
                day.claim = (moved == Move::Claimed).then_some(token);
                day.in_target = match moved {
                    Move::Published => true,
                    Move::Forgotten => false,
                    _ => before.in_target,
                };
                prop_assert_eq!(day.state == Some(State::Running), day.claim.is_some(), "{:?}: {:?}", moved, day);
                prop_assert!(day.state != Some(State::Loaded) || day.in_target, "{:?}: {:?}", moved, day);
                prop_assert!(
                    !day.in_target || matches!(day.state, Some(State::Loaded | State::Running)),
                    "{:?}: {:?}", moved, day
                );
                if before.state == Some(State::Refused) && day.state != before.state {
                    let another_try = moved == Move::Claimed && day.state == Some(State::Running);
                    prop_assert!(another_try || matches!(moved, Move::Skipped | Move::Forgotten), "{:?}", moved);
                }
                // Another file of a refused or loaded day is always a new attempt.
                prop_assert!(after(day.state, Move::Claimed, day.in_target).is_ok());
                if before.state == Some(State::Loaded) && day.state != before.state {
                    prop_assert!(matches!(moved, Move::Claimed | Move::Forgotten), "{:?} left loaded", moved);
                }
            }
        }
    }
}
