//! How counts and commands are worded in messages.

use std::fmt::Display;

/// A count with what is counted, which stands alone for one and takes an `s` for any other number: `1 row`, `0 rows`.
#[must_use]
pub fn counted<N: Copy + Display + PartialEq + From<u8>>(number: N, noun: &str) -> String {
    format!("{number} {}", plural(number, noun))
}

/// What is counted, as it stands behind that number where the number is written in a way of its own.
#[must_use]
pub fn plural<N: Copy + PartialEq + From<u8>>(number: N, noun: &str) -> String {
    if number == N::from(1) { noun.to_owned() } else { format!("{noun}s") }
}

/// The command that loads days of a dataset again, as it can be pasted into a shell. Without its dataset it would load
/// those days of every dataset.
#[must_use]
pub fn load_again(days: impl Display, dataset: impl Display) -> String {
    format!("dayfill load --force {days} --dataset {dataset}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_stands_alone() {
        for (number, text) in [(0, "0 rows"), (1, "1 row"), (2, "2 rows"), (11, "11 rows"), (101, "101 rows")] {
            assert_eq!(counted(number, "row"), text);
        }
        assert_eq!(counted(-1i64, "wanted day"), "-1 wanted days");
        assert_eq!(plural(1u64, "attempt"), "attempt");
    }
}
