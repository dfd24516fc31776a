//! The checks on a staged day. Only [`audit`] can make a [`Passed`], and publishing takes nothing less.

use crate::dataset::{Limits, MaxRejected};
use crate::wording::counted;

/// What was counted while a day was staged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Rows in the file, the header not among them. A rejected row that spans several lines counts as that many, since
    /// a stray quote may have swallowed whole rows.
    pub read: u64,
    /// Rows that could not be taken.
    pub rejected: u64,
}

/// Proof that a staged day passed its checks.
#[derive(Debug)]
pub struct Passed(());

/// A staged day did not pass.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error(
    "{} of {} rejected ({:.1}%), the limit is {limit}",
    .counts.rejected,
    counted(.counts.read, "row"),
    percent(.counts)
)]
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

#[expect(clippy::cast_precision_loss, reason = "a share of rows; no file has 2^53 of them")]
fn percent(counts: &Counts) -> f64 {
    if counts.read == 0 { 0.0 } else { counts.rejected as f64 * 100.0 / counts.read as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passes(rejected: u64, read: u64, limit: &str) -> bool {
        audit(Counts { read, rejected }, &Limits { max_rejected: limit.parse().unwrap(), ..Limits::default() }).is_ok()
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
        for (rejected, read, text) in [
            (90, 1208, "90 of 1208 rows rejected (7.5%), the limit is 1%"),
            (1, 2, "1 of 2 rows rejected (50.0%), the limit is 1%"),
            (1, 1, "1 of 1 row rejected (100.0%), the limit is 1%"),
        ] {
            let limits = Limits { max_rejected: MaxRejected::Percent(1.0), ..Limits::default() };
            assert_eq!(audit(Counts { read, rejected }, &limits).unwrap_err().to_string(), text);
        }
    }
}
