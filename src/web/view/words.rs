//! States, actions, numbers and spans of time in words.

use chrono::{Datelike, TimeDelta};

use crate::day::{Day, DayRange};
use crate::state::State;
use crate::web::view::model::{Action, AttentionReason, Cell, CellState, Pause};
use crate::web::view::times::minute_text;
use crate::wording::printable;

/// How much of what is said of a day its cell has, in bytes: a calendar has many of them, and the day's page says all.
const DETAIL_BYTES: usize = 200;

impl CellState {
    /// All of them, in the order a legend names them.
    pub const ALL: [Self; 11] = [
        Self::Stored(State::Loaded),
        Self::WithRejects,
        Self::Stored(State::Running),
        Self::Stored(State::Waiting),
        Self::Missing,
        Self::Stored(State::Failed),
        Self::Stored(State::Refused),
        Self::Stored(State::Absent),
        Self::Stored(State::Skipped),
        Self::NotWanted,
        Self::Future,
    ];

    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Stored(state) => state.name(),
            Self::WithRejects => "loaded with rejects",
            Self::Missing => "missing",
            Self::NotWanted => "not wanted",
            Self::Future => "upcoming",
        }
    }

    /// Its class in the style sheet, which draws its mark; the script makes it from the state's name.
    pub(super) fn class(self) -> &'static str {
        match self {
            Self::WithRejects => "rejects",
            Self::NotWanted => "unwanted",
            Self::Future => "future",
            other => other.word(),
        }
    }

    /// What it means, in a sentence for people who see it for the first time.
    pub(super) fn meaning(self) -> &'static str {
        match self {
            Self::Stored(State::Loaded) => "The target holds its rows.",
            Self::WithRejects => "The target holds its rows, except the rejected ones.",
            Self::Stored(State::Running) => "A process is loading it.",
            Self::Stored(State::Waiting) => "Its file is not there yet. dayfill looks for it again.",
            Self::Stored(State::Failed) => "An attempt failed. dayfill retries it while attempts are left.",
            Self::Stored(State::Refused) => {
                "Its file cannot be loaded as it is. Fix the file or the dataset, then retry."
            }
            Self::Stored(State::Absent) => "Its file did not arrive in time.",
            Self::Stored(State::Skipped) => "An operator skipped it.",
            Self::Missing => "Wanted and not tried yet. The next tick loads it.",
            Self::NotWanted => "The schedule does not include it.",
            Self::Future => "The schedule includes it later.",
        }
    }

    /// How much it wants to be seen: the mark of a month is that of its most urgent day.
    pub(super) fn urgency(self) -> u8 {
        match self {
            Self::Future => 0,
            Self::NotWanted => 1,
            Self::Stored(State::Loaded) => 2,
            Self::Stored(State::Skipped) => 3,
            Self::WithRejects => 4,
            Self::Stored(State::Absent) => 5,
            Self::Stored(State::Running) => 6,
            Self::Stored(State::Waiting) => 7,
            Self::Missing => 8,
            Self::Stored(State::Failed) => 9,
            Self::Stored(State::Refused) => 10,
        }
    }
}

impl Action {
    /// The words on a button.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::CatchUp => "Catch up",
            Self::Load => "Load",
            Self::Reload => "Reload",
            Self::Retry => "Retry",
            Self::Skip => "Skip",
            Self::Forget => "Forget",
            Self::Cancel => "Cancel load",
            Self::Pause => "Pause",
            Self::Resume => "Resume",
        }
    }

    /// What it does, in a sentence.
    pub(super) fn meaning(self) -> &'static str {
        match self {
            Self::CatchUp => "Loads every wanted day that is not done, oldest first.",
            Self::Load => "Loads days that are not loaded, whatever their state.",
            Self::Reload => "Loads days again, loaded ones too. Their rows stay until the new ones replace them.",
            Self::Retry => "Starts a new series of attempts and loads now.",
            Self::Skip => "Excludes days that are not loaded, until you load them by name.",
            Self::Forget => "Sets days back to missing: the next tick loads them. The target's rows stay until then.",
            Self::Cancel => {
                "Cancels a running load before it commits. The day keeps its previous state; the attempt does not count."
            }
            Self::Pause => "Ticks load nothing until you resume the dataset.",
            Self::Resume => "Ticks load again, and dayfill catches up on the days in between.",
        }
    }
}

impl AttentionReason {
    /// The word and the class of its mark.
    pub(in crate::web) fn word(self) -> (&'static str, &'static str) {
        match self {
            Self::Day(state) => (state.name(), CellState::Stored(state).class()),
            Self::Late => ("late", "late"),
            Self::NewerFile => ("newer file", "late"),
            Self::NoFiles => ("no files", "late"),
            Self::Database => ("database", "trouble"),
            Self::Target => ("blocked", "trouble"),
            Self::Source => ("source unavailable", "trouble"),
            Self::Configuration => ("configuration rejected", "trouble"),
            Self::BrokenDataset => ("broken dataset", "trouble"),
        }
    }

    /// The kinds of which many datasets may be at once.
    pub(in crate::web) fn of_datasets() -> impl Iterator<Item = Self> {
        let of_days = [State::Failed, State::Refused, State::Absent].map(Self::Day);
        of_days.into_iter().chain([Self::Late, Self::NewerFile, Self::NoFiles, Self::Target, Self::Source])
    }

    /// What stands for it in an address, where it is of datasets.
    pub(in crate::web) fn slug(self) -> Option<&'static str> {
        match self {
            Self::Day(state) => Some(state.name()),
            Self::Late => Some("late"),
            Self::NewerFile => Some("newer-file"),
            Self::NoFiles => Some("no-files"),
            Self::Target => Some("held-up"),
            Self::Source => Some("source"),
            Self::Database | Self::Configuration | Self::BrokenDataset => None,
        }
    }
}

/// What a cell says when it is pointed at, and to a screen reader. The script says it the same way, uncut.
pub(super) fn cell(cell: &Cell) -> String {
    use std::fmt::Write as _;
    let mut text = format!("{}: {}", cell.day, cell.state.word());
    if cell.late {
        text.push_str(", late");
    }
    if let Some(rows) = cell.rows {
        let _ = write!(text, ", {}", of(rows, "row"));
    }
    if let (CellState::WithRejects, Some(rejected)) = (cell.state, cell.rejected) {
        let _ = write!(text, ", {} rejected", of(rejected, "line"));
    }
    if let Some(detail) = &cell.detail {
        let _ = write!(text, ". {}", printable(detail, DETAIL_BYTES));
    }
    text
}

/// What a pause says when it is pointed at: since when, by whom and why.
pub(super) fn why_paused(pause: &Pause) -> String {
    let Pause { at: since, who: by, reason, .. } = pause;
    let why = reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    format!("since {} by {by}{why}", minute_text(*since))
}

/// A number with its thousands apart: `1,208`.
pub(super) fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// So many of something: `1 day`, `1,208 rows`.
pub(super) fn of(count: u64, what: &str) -> String {
    format!("{} {what}{}", number(count), if count == 1 { "" } else { "s" })
}

/// The length of a list, as it is counted here.
pub(super) fn length(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

/// Milliseconds: `41 ms`, `8.2 s`, `3 min 20 s`, `2 h 5 min`.
pub(super) fn milliseconds(ms: u64) -> String {
    let seconds = ms / 1_000;
    match seconds {
        0 => format!("{ms} ms"),
        1..60 => format!("{seconds}.{} s", ms % 1_000 / 100),
        _ => span(seconds),
    }
}

/// Whole seconds: `8 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`.
pub(super) fn span(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3_600),
    }
}

/// How long ago: `8 s ago`. What lies ahead by another clock is now.
pub(super) fn ago(past: TimeDelta) -> String {
    format!("{} ago", span(u64::try_from(past.num_seconds()).unwrap_or(0)))
}

/// Bytes in a unit that people read: `812 bytes`, `245.9 kB`.
pub(super) fn bytes(bytes: u64) -> String {
    let (unit, size) = match bytes {
        0..10_000 => return of(bytes, "byte"),
        10_000..1_000_000 => ("kB", 1_000),
        1_000_000..1_000_000_000 => ("MB", 1_000_000),
        _ => ("GB", 1_000_000_000),
    };
    format!("{}.{} {unit}", number(bytes / size), bytes % size * 10 / size)
}

/// A range of days: `2024-03-01 to 2024-03-07`.
pub(super) fn range(range: DayRange) -> String {
    if range.from == range.to { range.from.to_string() } else { format!("{} to {}", range.from, range.to) }
}

/// A day as the end of an axis: `22 Sep`.
pub(super) fn short(day: Day) -> String {
    format!("{} {}", day.date().day(), day.date().format("%b"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_easily() {
        for (n, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(number(n), text);
        }
        assert_eq!(
            (of(1, "day"), of(0, "day"), of(2_000, "day")),
            ("1 day".into(), "0 days".into(), "2,000 days".into())
        );
    }

    #[test]
    fn times_are_short() {
        for (ms, text) in [
            (0, "0 ms"),
            (999, "999 ms"),
            (8_250, "8.2 s"),
            (59_999, "59.9 s"),
            (200_000, "3 min 20 s"),
            (7_500_000, "2 h 5 min"),
            (273_600_000, "3 d 4 h"),
        ] {
            assert_eq!(milliseconds(ms), text);
        }
        assert_eq!(ago(TimeDelta::seconds(-3)), "0 s ago");
    }

    #[test]
    fn bytes_have_a_unit_that_fits() {
        for (n, text) in [(1, "1 byte"), (9_999, "9,999 bytes"), (245_913, "245.9 kB"), (1_250_000, "1.2 MB")] {
            assert_eq!(bytes(n), text);
        }
        assert_eq!(bytes(5_000_000_000_000), "5,000.0 GB");
    }
}
