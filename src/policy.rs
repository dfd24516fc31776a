//! How a dataset's days are caught up with, tried again and waited for.

use std::time::Duration;

use chrono::NaiveTime;

/// How a dataset's days are caught up with, tried again and waited for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Policy {
    /// How its days are caught up with.
    pub catch_up: CatchUp,
    /// How its failed days are tried again.
    pub retry: Retry,
    /// How its days are looked for whose file is not there.
    pub waiting: Waiting,
}

/// How days are caught up with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatchUp {
    /// The daemon catches up when it starts, not only at ticks.
    pub on_start: bool,
    /// How many days of a dataset are loaded at once.
    pub concurrency: u32,
    /// How many days of the backlog one tick takes, the newest wanted day not counted; `None` is all of them.
    pub max_days_per_tick: Option<u32>,
    /// A day that failed or was refused holds back newer ones.
    pub stop_on_failure: bool,
}

impl Default for CatchUp {
    fn default() -> Self {
        Self { on_start: true, concurrency: 1, max_days_per_tick: None, stop_on_failure: false }
    }
}

/// How failed days are tried again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retry {
    /// How often a day is tried before a person has to look at it.
    pub max_attempts: u32,
    /// The delay after the first attempt; it doubles with each further one.
    pub first_delay: Duration,
    /// The longest delay.
    pub max_delay: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self { max_attempts: 5, first_delay: Duration::from_mins(1), max_delay: Duration::from_hours(1) }
    }
}

impl Retry {
    /// The pause after that many failed attempts; `None` when they are used up. `chance`, from 0 to 1, makes it up to a
    /// tenth shorter or longer, so that days that failed together do not come back together.
    #[must_use]
    pub fn delay(&self, attempts: u32, chance: f64) -> Option<Duration> {
        (attempts < self.max_attempts).then(|| doubled(self.first_delay, attempts, self.max_delay, chance))
    }
}

impl Retry {
    /// The longest pause there is, with all that chance may add.
    #[must_use]
    pub fn longest_delay(&self) -> Duration {
        self.first_delay.max(self.max_delay).mul_f64(1.1)
    }
}

/// A pause that doubles with each failure up to a longest one, a tenth shorter or longer by `chance` from 0 to 1.
#[must_use]
pub fn doubled(first: Duration, failures: u32, longest: Duration, chance: f64) -> Duration {
    let doubled = first.saturating_mul(2u32.saturating_pow(failures.saturating_sub(1)));
    doubled.min(longest).mul_f64(0.9 + 0.2 * chance)
}

/// How days are looked for whose file is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// The time between two looks.
    pub poll: Duration,
    /// How long after the first look a day is given up.
    pub give_up_after: Duration,
    /// Days given up are looked for again at each tick when they are among that many newest ones.
    pub absent_days: u32,
    /// The time of day, in the dataset's zone, by which a day is to be loaded: the first such time after its tick.
    pub deadline: Option<NaiveTime>,
}

impl Default for Waiting {
    fn default() -> Self {
        Self { poll: Duration::from_mins(15), give_up_after: Duration::from_hours(72), absent_days: 30, deadline: None }
    }
}

/// What to do about a file that is another than the one its day was loaded from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnChange {
    /// Say so; a person decides.
    Warn,
    /// Load the day again.
    Reload,
    /// Do not look.
    Ignore,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_until_attempts_run_out() {
        let retry = Retry { max_attempts: 5, first_delay: Duration::from_mins(1), max_delay: Duration::from_mins(5) };
        let minutes = |attempts| retry.delay(attempts, 0.5).map(|delay| delay.as_secs() / 60);
        let pauses: Vec<_> = (1..=5).map(minutes).collect();
        assert_eq!(pauses, [Some(1), Some(2), Some(4), Some(5), None]);
        assert_eq!(retry.delay(1, 0.0), Some(Duration::from_secs(54)));
        assert_eq!(retry.delay(1, 1.0), Some(Duration::from_secs(66)));
    }
}
