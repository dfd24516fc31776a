//! Trouble that passes by itself: tried again later each time.

use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};

use crate::policy::{Policy, doubled};

/// The first pause after trouble, and the longest one.
pub(super) type RetryDelays = (Duration, Duration);

/// Those after trouble with the database or a target.
pub(super) const DELAYS: RetryDelays = (Duration::from_secs(1), Duration::from_secs(30));

/// The same for what a person has to change, each time with a whole file read in vain.
pub(super) const PERSISTENT_DELAYS: RetryDelays = (DELAYS.0, Duration::from_mins(5));

/// Those after trouble with a source: as long as those between a day's attempts. Where it answers for other days, these are
/// not kept from their next look.
pub(super) fn source_delays(policy: &Policy, answered: bool) -> RetryDelays {
    let longest = policy.retry.max_delay;
    let longest = if answered { longest.min(policy.waiting.poll) } else { longest };
    (policy.retry.first_delay.min(longest), longest)
}

/// Trouble that lasts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Trouble {
    error: String,
    since: DateTime<Utc>,
    failures: u32,
    until: DateTime<Utc>,
    /// When it was met last.
    met: Instant,
}

impl Trouble {
    /// Trouble once more, or for the first time. `chance` is from 0 to 1.
    pub(super) fn again(
        before: Option<&Self>,
        error: &str,
        (first, longest): RetryDelays,
        now: DateTime<Utc>,
        chance: f64,
    ) -> Self {
        let failures = before.map_or(1, |trouble| trouble.failures + 1);
        let pause = doubled(first, failures, longest, chance);
        let error = error.to_owned();
        Self {
            error,
            since: before.map_or(now, |trouble| trouble.since),
            failures,
            until: now + pause,
            met: Instant::now(),
        }
    }

    /// What it is.
    pub(super) fn error(&self) -> &str {
        &self.error
    }

    /// Since when it lasts.
    pub(super) fn since(&self) -> DateTime<Utc> {
        self.since
    }

    /// When to try again.
    pub(super) fn until(&self) -> DateTime<Utc> {
        self.until
    }

    /// Ends the pause, after the clock was set: it may end at a time that is far away by now.
    pub(super) fn try_now(&mut self, now: DateTime<Utc>) {
        self.until = now;
        self.since = self.since.min(now);
    }

    /// How long it has lasted, in whole seconds.
    pub(super) fn lasted(&self, now: DateTime<Utc>) -> TimeDelta {
        TimeDelta::seconds((now - self.since).num_seconds())
    }
}

/// Trouble with one subject, from its first error until a task goes well.
#[derive(Debug, Default)]
pub(super) struct TrackedTrouble(Option<Trouble>);

/// Trouble that was recorded.
#[derive(Debug, Clone, Copy)]
pub(super) struct RecordedTrouble {
    /// When to try again.
    pub(super) until: DateTime<Utc>,
    /// There was trouble before.
    pub(super) again: bool,
}

impl TrackedTrouble {
    /// Records trouble, once more or for the first time. While the pause after it lasts, it is the same trouble, which
    /// another task met.
    pub(super) fn record(&mut self, error: &str, delays: RetryDelays) -> RecordedTrouble {
        let now = Utc::now();
        if let Some(before) = self.0.as_mut().filter(|before| now < before.until()) {
            before.met = Instant::now();
            return RecordedTrouble { until: before.until(), again: true };
        }
        let again = self.0.is_some();
        // SQL that fixes it may stand at its end.
        let trouble = Trouble::again(self.0.as_ref(), error.trim_end_matches(';'), delays, now, fastrand::f64());
        let until = trouble.until();
        self.0 = Some(trouble);
        RecordedTrouble { until, again }
    }

    /// Ends the trouble after a task went well that began then, unless the trouble was met after that: how long it
    /// lasted, where there was any.
    pub(super) fn end_by_task_of(&mut self, began: Instant) -> Option<Duration> {
        let is_over = self.0.as_ref().is_some_and(|trouble| trouble.met <= began);
        if is_over { self.end() } else { None }
    }

    /// Ends the trouble: how long it lasted, where there was any.
    pub(super) fn end(&mut self) -> Option<Duration> {
        self.0.take().map(|trouble| trouble.lasted(Utc::now()).to_std().unwrap_or_default())
    }

    /// The trouble, while it lasts.
    pub(super) fn current(&self) -> Option<&Trouble> {
        self.0.as_ref()
    }

    /// Ends the pause, after the clock was set.
    pub(super) fn try_now(&mut self, now: DateTime<Utc>) {
        self.0.iter_mut().for_each(|trouble| trouble.try_now(now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Retry, Waiting};

    #[test]
    fn pauses_double_up_to_half_a_minute_and_the_beginning_is_kept() {
        let now: DateTime<Utc> = "2019-04-02T02:00:00Z".parse().unwrap();
        let mut trouble = Trouble::again(None, "gone", DELAYS, now, 0.5);
        let mut pauses = vec![(trouble.until() - now).num_seconds()];
        for _ in 0..6 {
            let again = trouble.until();
            trouble = Trouble::again(Some(&trouble), "gone", DELAYS, again, 0.5);
            pauses.push((trouble.until() - again).num_seconds());
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30]);
        assert_eq!(trouble.lasted(now + TimeDelta::milliseconds(61_900)), TimeDelta::seconds(61));
    }

    #[test]
    fn pauses_of_a_source_double_up_to_the_longest_delay_of_a_retry() {
        let (minute, quarter, hour) = (Duration::from_mins(1), Duration::from_mins(15), Duration::from_hours(1));
        let usual = Policy::default();
        assert_eq!(source_delays(&usual, false), (minute, hour));
        assert_eq!(source_delays(&usual, true), (minute, quarter), "days that it answers for are polled as usual");
        let impatient = Waiting { poll: Duration::from_secs(1), ..Waiting::default() };
        let impatient = Policy { waiting: impatient, ..Policy::default() };
        assert_eq!(source_delays(&impatient, true), (Duration::from_secs(1), Duration::from_secs(1)));
        let short = Retry { max_delay: Duration::from_secs(9), ..Retry::default() };
        let short = Policy { retry: short, ..Policy::default() };
        assert_eq!(source_delays(&short, false), (Duration::from_secs(9), Duration::from_secs(9)));
    }

    #[test]
    fn trouble_passes_by_work_that_began_after_it_was_met() {
        let (mut trouble, before) = (TrackedTrouble::default(), Instant::now());
        trouble.record("table orders cannot take the rows", DELAYS);
        assert!(trouble.end_by_task_of(before).is_none() && trouble.current().is_some());
        let after = Instant::now();
        // Another lane meets it while the pause lasts.
        trouble.record("the same", DELAYS);
        assert!(trouble.end_by_task_of(after).is_none() && trouble.current().is_some());
        assert!(trouble.end_by_task_of(Instant::now()).is_some() && trouble.current().is_none());
        assert!(trouble.end_by_task_of(Instant::now()).is_none(), "there is none");
    }

    #[test]
    fn a_clock_set_back_does_not_make_the_pause_longer() {
        let now: DateTime<Utc> = "2019-04-02T02:00:00Z".parse().unwrap();
        let mut trouble = Trouble::again(None, "gone", DELAYS, now, 0.5);
        let earlier = now - TimeDelta::hours(1);
        trouble.try_now(earlier);
        assert_eq!(trouble.until(), earlier);
        assert_eq!(trouble.lasted(earlier + TimeDelta::seconds(5)), TimeDelta::seconds(5));
    }
}
