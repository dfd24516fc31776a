//! What is counted of one dataset since the process started.

use crate::events::DayEvent;
use crate::load_day::Step;
use crate::load_outcome::LoadOutcome;

/// The outcomes of attempts, as the label names them.
pub(super) const OUTCOMES: [&str; 9] =
    ["loaded", "waiting", "failed", "refused", "unchanged", "interrupted", "lost", "unavailable", "database"];

/// The steps of a load.
pub(super) const STEPS: [Step; 4] = [Step::Source, Step::Stage, Step::Audit, Step::Publish];

/// Where the buckets of a duration end, in milliseconds, and as the label says it in seconds: as it is written in
/// the text, so that a series stays the same one.
pub(super) const BUCKETS: [(u64, &str); 10] = [
    (10, "0.01"),
    (100, "0.1"),
    (500, "0.5"),
    (1_000, "1.0"),
    (5_000, "5.0"),
    (15_000, "15.0"),
    (60_000, "60.0"),
    (300_000, "300.0"),
    (900_000, "900.0"),
    (3_600_000, "3600.0"),
];

/// How often something took how long.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Durations {
    /// How often at most as long as each bucket says, and longer than the one before.
    buckets: [u64; BUCKETS.len()],
    /// How often.
    pub(super) count: u64,
    /// All of them together, in milliseconds.
    pub(super) sum: u64,
}

impl Durations {
    fn observe(&mut self, milliseconds: u64) {
        let bucket = BUCKETS.iter().position(|(end, _)| milliseconds <= *end);
        if let Some(count) = bucket.and_then(|bucket| self.buckets.get_mut(bucket)) {
            *count += 1;
        }
        self.count += 1;
        self.sum += milliseconds;
    }

    /// How often at most as long as each bucket says.
    pub(super) fn at_most(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let sums = self.buckets.iter().scan(0, |sum, count| {
            *sum += count;
            Some(*sum)
        });
        BUCKETS.iter().map(|(_, label)| *label).zip(sums)
    }
}

/// What is counted of one dataset.
#[derive(Debug, Default, Clone)]
pub(super) struct Counted {
    /// Attempts, by outcome.
    pub(super) attempts: [u64; OUTCOMES.len()],
    /// Durations, by step.
    pub(super) durations: [Durations; STEPS.len()],
    /// Rows in the files.
    pub(super) rows_read: u64,
    /// Rows that the filter left out of loaded days.
    pub(super) rows_filtered: u64,
    /// Rows that could not be taken, each counted as the lines of the file that it spans.
    pub(super) rows_rejected: u64,
    /// Rows of loaded days.
    pub(super) rows_loaded: u64,
    /// Bytes read, as stored.
    pub(super) bytes: u64,
    /// Attempts that failed at their file.
    pub(super) source_errors: u64,
    /// Days taken over from processes that died or stalled.
    pub(super) takeovers: u64,
    /// How often something else than its days held the dataset up.
    pub(super) troubles: u64,
}

impl Counted {
    /// How many attempts ended so.
    pub(super) fn ended(&self, outcome: &str) -> u64 {
        OUTCOMES.iter().zip(self.attempts).filter(|(name, _)| **name == outcome).map(|(_, count)| count).sum()
    }

    pub(super) fn count(&mut self, event: &DayEvent) {
        let number = |count: Option<i64>| count.and_then(|count| u64::try_from(count).ok()).unwrap_or_default();
        let measured = &event.measured;
        let ended = event.attempt_outcome();
        if let Some(count) = OUTCOMES.iter().position(|name| Some(*name) == ended) {
            self.attempts[count] += 1;
        }
        let durations = [measured.source_ms, measured.stage_ms, measured.audit_ms, measured.publish_ms];
        for (step, milliseconds) in self.durations.iter_mut().zip(durations) {
            if milliseconds.is_some() {
                step.observe(number(milliseconds));
            }
        }
        self.rows_read += number(measured.rows_read);
        self.rows_rejected += number(measured.rows_rejected);
        // Those of a publish that failed are rolled back.
        if event.outcome == LoadOutcome::Loaded {
            self.rows_filtered += number(measured.rows_filtered);
            self.rows_loaded += number(measured.rows_loaded);
        }
        self.bytes += event.bytes;
        self.source_errors += u64::from(event.source_failed);
        self.takeovers += u64::from(event.taken_over);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_in_the_buckets_that_are_as_long_or_longer() {
        let mut durations = Durations::default();
        for milliseconds in [0, 10, 11, 5_000, 3_600_001] {
            durations.observe(milliseconds);
        }
        let counts: Vec<u64> = durations.at_most().map(|(_, count)| count).collect();
        assert_eq!(counts, [2, 3, 3, 3, 4, 4, 4, 4, 4, 4]);
        assert_eq!((durations.count, durations.sum), (5, 3_605_022));
    }

    #[test]
    fn buckets_are_said_in_seconds() {
        for (milliseconds, label) in BUCKETS {
            let seconds: f64 = label.parse().unwrap();
            assert!((seconds * 1000.0 - f64::from(u32::try_from(milliseconds).unwrap())).abs() < 1e-9, "{label}");
        }
        assert!(BUCKETS.is_sorted());
    }
}
