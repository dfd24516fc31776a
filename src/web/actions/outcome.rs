//! What came of an order, as the activity log has it: a word, and how many days it is true of. An order that was turned
//! down has its error there, which begins with neither word.

use super::{Action, Effect};
use crate::wording::counted;

/// It was done.
const DONE: &str = "done";

/// It is to be done: of days that are to be loaded, the attempts tell what became of each.
const ACCEPTED: &str = "accepted";

/// What came of an order that was carried out.
pub(super) fn outcome(action: Action, effects: &[Effect]) -> String {
    let word = if action.loads() { ACCEPTED } else { DONE };
    let (done, all) = (effects.iter().filter(|effect| effect.is_done()).count(), effects.len());
    match all {
        0 => word.to_owned(),
        _ if done == all => format!("{word}: {}", counted(all, "day")),
        _ => format!("{word}: {done} of {}", counted(all, "day")),
    }
}

/// True of what came of an order that was carried out, false of an error.
#[must_use]
pub fn went_well(outcome: &str) -> bool {
    let (word, counts) = outcome.split_once(": ").unwrap_or((outcome, ""));
    let is_bad = |count: &str| count.ends_with(" failed") || count.ends_with(" refused");
    [DONE, ACCEPTED].contains(&word) && !counts.split([',', ':']).any(is_bad)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::day::Day;
    use crate::db::activity_log;
    use crate::plan::{Decision, Reason, SkipReason};
    use crate::state::State;
    use crate::web::actions::ActionError;

    #[test]
    fn the_outcome_counts_what_was_done() {
        let load = Effect::of_decision(Day::MIN, None, Decision::Load(Reason::Missing));
        let left = Effect::of_decision(Day::MIN, Some(State::Loaded), Decision::Skip(SkipReason::Done(State::Loaded)));
        for (action, effects, text) in [
            (Action::Pause, vec![], "done"),
            (Action::Skip, vec![load.clone()], "done: 1 day"),
            (Action::Forget, vec![load.clone(), left.clone(), load.clone()], "done: 2 of 3 days"),
            (Action::Skip, vec![left.clone()], "done: 0 of 1 day"),
            (Action::CatchUp, vec![], "accepted"),
            (Action::Reload, vec![load.clone(), left], "accepted: 1 of 2 days"),
            (Action::Retry, vec![load], "accepted: 1 day"),
        ] {
            assert_eq!(outcome(action, &effects), text);
            assert!(went_well(text), "{text}");
        }
    }

    #[test]
    fn an_end_with_days_that_failed_did_not_go_well() {
        assert!(went_well("done: 2 days: 1 loaded, 1 waiting"));
        for text in ["done: 1 day: 1 refused", "done: 3 days: 1 failed, 2 loaded"] {
            assert!(!went_well(text), "{text}");
        }
    }

    #[test]
    fn an_error_did_not_go_well_whatever_it_begins_with() {
        let paused = |dataset: &str| ActionError::Paused(dataset.to_owned()).to_string();
        for text in [&paused("done"), &paused("accepted_orders"), &ActionError::Ending.to_string(), activity_log::BEGUN]
        {
            assert!(!went_well(text), "{text}");
        }
    }
}
