//! The checks on a staged day. Only [`audit`] can make a [`Passed`], and publishing takes nothing less.

use crate::dataset::{Limits, MaxRejected};
use crate::wording::counted;

/// What was counted while a day was staged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Rows in the file, the header not among them. A rejected row that spans several lines counts as that many, since
    /// a stray quote may have swallowed whole rows.
    pub read: u64,
    /// Rows that could not be taken, each counted as the lines that it spans.
    pub rejected: u64,
    /// The same, each counted once.
    pub rejected_rows: u64,
}

impl Counts {
    /// Counts a row as rejected that spans `lines` lines and was counted as read.
    pub fn reject(&mut self, lines: u64) {
        self.rejected += lines;
        self.rejected_rows += 1;
    }

    /// How many were rejected, behind the number of rows; where some span several lines, how many lines and how many
    /// rows: `90`, `90 lines (3 rows)`.
    #[must_use]
    pub fn rejected_text(&self) -> String {
        let Self { rejected, rejected_rows, .. } = *self;
        if rejected == rejected_rows {
            rejected.to_string()
        } else {
            format!("{} ({})", counted(rejected, "line"), counted(rejected_rows, "row"))
        }
    }
}

/// Proof that a staged day passed its checks.
#[derive(Debug)]
pub struct Passed(());

/// A staged day did not pass.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{} rejected ({:.1}%), the limit is {limit}", share(.counts), percent(.counts))]
pub struct TooManyRejected {
    /// What was counted.
    pub counts: Counts,
    /// What is allowed.
    pub limit: MaxRejected,
}

/// Holds what was counted against the dataset's limits.
///
/// # Errors
/// [`TooManyRejected`] when more rows were rejected than the dataset allows.
pub fn audit(counts: Counts, limits: &Limits) -> Result<Passed, TooManyRejected> {
    let within = match limits.max_rejected {
        MaxRejected::Count(most) => counts.rejected <= most,
        MaxRejected::Percent(most) => counts.rejected == 0 || percent(&counts) <= most,
    };
    if within { Ok(Passed(())) } else { Err(TooManyRejected { counts, limit: limits.max_rejected }) }
}

/// How many of how many. Where rows span several lines, it is lines that are counted, and held against the limit.
fn share(counts: &Counts) -> String {
    let spans = counts.rejected != counts.rejected_rows;
    let read = if spans { counts.read.to_string() } else { counted(counts.read, "row") };
    format!("{} of {read}", counts.rejected_text())
}

#[expect(clippy::cast_precision_loss, reason = "a share of rows; no file has 2^53 of them")]
fn percent(counts: &Counts) -> f64 {
    if counts.read == 0 { 0.0 } else { counts.rejected as f64 * 100.0 / counts.read as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passes(rejected: u64, read: u64, limit: &str) -> bool {
        audit(
            Counts { read, rejected, rejected_rows: rejected },
            &Limits { max_rejected: limit.parse().unwrap(), ..Limits::default() },
        )
        .is_ok()
    }

    #[test]
    fn the_limit_itself_is_allowed() {
        for (rejected, read, limit, expected) in [
            (0, 0, "0", true),
            (0, 0, "0%", true),
            (0, 1000, "0%", true),
            (1, 1000, "0", false),
            (10, 1000, "1%", true),
            (11, 1000, "1%", false),
            (10, 1000, "10", true),
            (11, 1000, "10", false),
            (1000, 1000, "100%", true),
        ] {
            assert_eq!(passes(rejected, read, limit), expected, "{rejected} of {read}, {limit}");
        }
    }

    #[test]
    fn the_refusal_says_how_many() {
        for (rejected, rejected_rows, read, text) in [
            (90, 90, 1208, "90 of 1208 rows rejected (7.5%), the limit is 1%"),
            (1, 1, 2, "1 of 2 rows rejected (50.0%), the limit is 1%"),
            (1, 1, 1, "1 of 1 row rejected (100.0%), the limit is 1%"),
            (90, 3, 1208, "90 lines (3 rows) of 1208 rejected (7.5%), the limit is 1%"),
            (2, 1, 3, "2 lines (1 row) of 3 rejected (66.7%), the limit is 1%"),
        ] {
            let limits = Limits { max_rejected: MaxRejected::Percent(1.0), ..Limits::default() };
            assert_eq!(audit(Counts { read, rejected, rejected_rows }, &limits).unwrap_err().to_string(), text);
        }
    }
}
