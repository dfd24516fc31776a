//! Whether the wall clock was set, told from the monotonic clock, which nobody sets.

use std::fmt;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};

/// Differences up to this are the work of the clock's daily care, or of the time between two readings.
const TOLERANCE: Duration = Duration::from_secs(2);

/// Both clocks at one moment.
#[derive(Debug, Clone, Copy)]
pub struct Clocks {
    /// The wall clock.
    pub wall: DateTime<Utc>,
    /// The monotonic clock; it stands while the machine sleeps.
    pub monotonic: Instant,
}

impl Clocks {
    /// Both clocks now.
    #[must_use]
    pub fn read() -> Self {
        Self { wall: Utc::now(), monotonic: Instant::now() }
    }
}

/// How the wall clock moved beyond the time that went by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Jump {
    /// It was set forward by that much, or the machine slept so long.
    Forward(Duration),
    /// It was set back by that much.
    Back(Duration),
}

impl fmt::Display for Jump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Forward(by) => write!(f, "the clock was set forward by {} s, or the machine slept", by.as_secs()),
            Self::Back(by) => write!(f, "the clock was set back by {} s", by.as_secs()),
        }
    }
}

/// Compares the clocks each time it is asked with the time before.
#[derive(Debug)]
pub struct ClockWatch(Clocks);

impl ClockWatch {
    /// A watch that begins now.
    #[must_use]
    pub fn new(now: Clocks) -> Self {
        Self(now)
    }

    /// The jump since the last look, if there was one of more than two seconds.
    pub fn look(&mut self, now: Clocks) -> Option<Jump> {
        let before = std::mem::replace(&mut self.0, now);
        let passed = now.monotonic.saturating_duration_since(before.monotonic);
        // Negative when the wall clock went back, and then no Duration.
        let jump = match (now.wall - before.wall).to_std() {
            Ok(shown) if shown >= passed => Jump::Forward(shown.checked_sub(passed)?),
            Ok(shown) => Jump::Back(passed.checked_sub(shown)?),
            Err(_) => Jump::Back(passed + (before.wall - now.wall).to_std().ok()?),
        };
        let (Jump::Forward(by) | Jump::Back(by)) = jump;
        (by > TOLERANCE).then_some(jump)
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    #[test]
    fn a_jump_is_what_the_wall_clock_moved_beyond_the_time_that_passed() {
        // Milliseconds by the monotonic clock, by the wall clock, and the jump.
        for (passed, shown, jump) in [
            (0, 0, None),
            (60_000, 60_000, None),
            (60_000, 62_000, None),
            (60_000, 58_000, None),
            (60_000, 62_001, Some(Jump::Forward(Duration::from_millis(2_001)))),
            (60_000, 57_999, Some(Jump::Back(Duration::from_millis(2_001)))),
            (500, 3_600_500, Some(Jump::Forward(Duration::from_hours(1)))),
            (500, -3_599_500, Some(Jump::Back(Duration::from_hours(1)))),
            (500, -500, None),
        ] {
            let start = Clocks::read();
            let mut watch = ClockWatch::new(start);
            let later = Clocks {
                wall: start.wall + TimeDelta::milliseconds(shown),
                monotonic: start.monotonic + Duration::from_millis(passed.try_into().unwrap()),
            };
            assert_eq!(watch.look(later), jump, "{passed} {shown}");
            assert_eq!(watch.look(later), None, "a jump is told once");
        }
    }
}
