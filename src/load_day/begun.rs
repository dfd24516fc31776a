//! Which days of a task began.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::stop::Stop;
use crate::day::Day;

/// The days of a task that began, for who gave it to ask for.
#[derive(Debug, Clone, Default)]
pub struct Begun(Arc<Mutex<BTreeSet<Day>>>);

impl Begun {
    /// Notes that a day begins; false, and it must not begin, when no further one may.
    pub(crate) fn begin(&self, day: Day, stop: &Stop) -> bool {
        let mut days = self.days();
        // FileStatus at with the list in hand: who stops first and then asks which days began is told of all that do.
        let may_begin = !stop.is_halted();
        if may_begin {
            days.insert(day);
        }
        may_begin
    }

    /// Takes a day back of which nothing came, because the database failed or another load has it: it is still to begin.
    pub(crate) fn take_back(&self, day: Day) {
        self.days().remove(&day);
    }

    /// Those of the days that did not begin.
    #[must_use]
    pub fn left_of(&self, days: &[Day]) -> Vec<Day> {
        let begun = self.days();
        days.iter().copied().filter(|day| !begun.contains(day)).collect()
    }

    fn days(&self) -> MutexGuard<'_, BTreeSet<Day>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PartialEq for Begun {
    fn eq(&self, other: &Self) -> bool {
        let days = self.days().clone();
        days == *other.days()
    }
}

impl Eq for Begun {}
