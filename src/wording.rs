//! How counts, reasons and commands are worded in messages.

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

/// Why a day that was left running is not running any more.
pub const DIED: &str = "its process died or stalled";

/// A refusal with the first rejected row, which a person has to see to mend the file.
#[must_use]
pub fn with_first(error: &str, first: Option<&str>) -> String {
    first.map_or_else(|| error.to_owned(), |first| format!("{error}; the first: {first}"))
}

/// A text from outside, as a message shows it: in quotes, cut where it is long.
#[must_use]
pub fn quoted(text: &str) -> String {
    let cut: String = text.chars().take(100).collect();
    let more = if cut.len() < text.len() { "..." } else { "" };
    format!("{:?}", cut + more)
}

/// The command that loads days of a dataset again, as it can be pasted into a shell. Without its dataset it would load
/// those days of every dataset.
#[must_use]
pub fn load_again(days: impl Display, dataset: impl Display) -> String {
    format!("dayfill load --force {days} --dataset {dataset}")
}

/// What a panic said, as an error: a fault in this program.
#[must_use]
pub fn fault(panic: &(dyn std::any::Any + Send)) -> String {
    let said = panic.downcast_ref::<&str>().map(ToString::to_string).or_else(|| panic.downcast_ref().cloned());
    format!("a fault in dayfill: {}", said.unwrap_or_default())
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

    #[test]
    fn a_refusal_names_its_first_row_where_there_is_one() {
        assert_eq!(with_first("2 rows rejected", None), "2 rows rejected");
        assert_eq!(with_first("2 rows rejected", Some("line 3")), "2 rows rejected; the first: line 3");
    }

    #[test]
    fn a_text_from_outside_is_cut_where_it_is_long() {
        assert_eq!(quoted("a\n\"b\""), r#""a\n\"b\"""#);
        assert_eq!(quoted(&"é".repeat(100)), format!("\"{}\"", "é".repeat(100)));
        assert_eq!(quoted(&"é".repeat(101)), format!("\"{}...\"", "é".repeat(100)));
    }
}
