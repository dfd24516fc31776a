//! How counts, reasons and commands are worded in messages.

use std::fmt::{Display, Write as _};

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

/// The rows of a loaded day, and how many of its file were rejected where some were: `150 rows, 1 rejected`.
#[must_use]
pub fn loaded_rows(loaded: i64, rejected: i64) -> String {
    let rows = counted(loaded, "row");
    if rejected == 0 { rows } else { format!("{rows}, {rejected} rejected") }
}

/// How what was asked for ended, as the activity log has it: `done: 59 days: 57 loaded, 1 refused, 1 waiting`. Counts of
/// nothing are left out.
#[must_use]
pub fn ended<'a>(counts: impl IntoIterator<Item = (&'a str, usize)>) -> String {
    let counts: Vec<(&str, usize)> = counts.into_iter().filter(|(_, days)| *days > 0).collect();
    if counts.is_empty() {
        return "done".to_owned();
    }
    let days: usize = counts.iter().map(|(_, days)| days).sum();
    let counts: Vec<String> = counts.iter().map(|(what, days)| format!("{days} {what}")).collect();
    format!("done: {}: {}", counted(days, "day"), counts.join(", "))
}

/// Why a day that was left running is not running any more.
pub const DIED: &str = "its process died or stalled";

/// The same of a day whose rows were in the target before, and are so still: it was to be loaded again.
pub const RELOAD_DIED: &str = "a reload was interrupted, its process died or stalled; the day stays loaded as it was";

/// A refusal with what a person has to see of the file to mend it: its first rejected row, or the line taken for its
/// header.
#[must_use]
pub fn with_first(error: &str, first: Option<&str>) -> String {
    first.map_or_else(|| error.to_owned(), |first| format!("{error}; {first}"))
}

/// The longest text from outside that a message, the database or a page holds, in bytes.
pub const MOST_BYTES: usize = 2 << 10;

/// How many names a message lists.
pub const MOST_NAMES: usize = 10;

/// What stands for the rest of a text that was cut.
const CUT: &str = "...";

/// How many bytes of a name a list shows: ten of them stay below [`MOST_BYTES`].
const NAME_BYTES: usize = 100;

/// A text from outside (a file, a server, a person) as it can stand in a log line, a message or on a terminal: what
/// would end the line, steer the terminal or turn the direction of the text is escaped, and what is longer than
/// `max_bytes` is cut and ends in `...`. What is printable already stays as it is, so that doing it twice changes
/// nothing.
#[must_use]
pub fn printable(text: &str, max_bytes: usize) -> String {
    let mut shown = String::new();
    // Where to cut if the text turns out not to fit.
    let mut room = 0;
    for char in text.chars() {
        if is_harmful(char) {
            shown.extend(char.escape_debug());
        } else {
            shown.push(char);
        }
        if shown.len() > max_bytes {
            shown.truncate(room);
            shown.push_str(CUT);
            break;
        }
        if shown.len() <= max_bytes.saturating_sub(CUT.len()) {
            room = shown.len();
        }
    }
    shown
}

/// The same for a text of several lines, which stay lines, however long they are.
#[must_use]
pub fn printable_lines(text: &str) -> String {
    if text.chars().any(|char| char != '\n' && is_harmful(char)) {
        text.split('\n').map(|line| printable(line, usize::MAX)).collect::<Vec<_>>().join("\n")
    } else {
        text.to_owned()
    }
}

/// A JSON text as it can stand on a terminal: what JSON leaves as it is and would steer one is written as an escape of
/// JSON's, so that the values stay the same. Line ends between values stay.
#[must_use]
pub fn printable_json(json: &str) -> String {
    let mut shown = String::with_capacity(json.len());
    for char in json.chars() {
        if char != '\n' && is_harmful(char) {
            let mut units = [0; 2];
            shown.extend(char.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")));
        } else {
            shown.push(char);
        }
    }
    shown
}

/// A text of ours in colours, which may hold what others said: our colours stay, all else that steers a terminal is
/// escaped. What others say cannot be told from ours where it is a colour; it must be printable before it is put in.
#[must_use]
pub fn printable_styled(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("\u{1b}[") {
        shown.push_str(&printable_lines(before));
        let length = after.find(|char: char| !char.is_ascii_digit() && char != ';').unwrap_or(after.len());
        let (numbers, behind) = after.split_at(length);
        rest = if let Some(behind) = behind.strip_prefix('m') {
            shown.extend(["\u{1b}[", numbers, "m"]);
            behind
        } else {
            shown.push_str("\\u{1b}[");
            after
        };
    }
    shown.push_str(&printable_lines(rest));
    shown
}

/// Whether a character does something else than stand in its line: control characters, line ends, what turns the
/// direction of a text (Unicode Standard Annex 9, section 2), and marks that nobody sees.
#[must_use]
pub fn is_harmful(char: char) -> bool {
    char.is_control()
        || matches!(char,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' // direction
            | '\u{2028}' | '\u{2029}' // line and paragraph separators
            | '\u{feff}' | '\u{e0000}'..='\u{e007f}' // byte order mark, tags
        )
}

/// Names from outside in a row, each printable and cut, the first `most` of them: `a, b and 7,998 more`.
#[must_use]
pub fn named<N: AsRef<str>>(names: impl IntoIterator<Item = N>, most: usize) -> String {
    let mut names = names.into_iter();
    let shown: Vec<String> = names.by_ref().take(most).map(|name| printable(name.as_ref(), NAME_BYTES)).collect();
    match names.count() {
        0 => shown.join(", "),
        more => format!("{} and {} more", shown.join(", "), grouped(more)),
    }
}

/// A number with its digits in groups of three: `7,998`.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A text from outside, as a message shows it: in quotes, cut where it is long.
#[must_use]
pub fn quoted(text: &str) -> String {
    let cut: String = text.chars().take(100).collect();
    let more = if cut.len() < text.len() { CUT } else { "" };
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

/// A message of several lines as one: the lines are joined with semicolons, or with a space behind a colon.
#[must_use]
pub fn one_line(message: &str) -> String {
    let mut line = String::new();
    for part in message.lines().map(str::trim).filter(|part| !part.is_empty()) {
        let joint = match line.chars().last() {
            None => "",
            Some(':') => " ",
            Some(_) => "; ",
        };
        line.push_str(joint);
        line.push_str(part);
    }
    line
}

/// Bytes in lower-case hexadecimal.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        _ = write!(text, "{byte:02x}");
        text
    })
}

/// The name spelled most like the given one, which may be no further away than `most` edits; that is asked with the
/// length of the longer of the two. Case and blanks around them count for nothing.
pub fn nearest<'a>(
    given: &str,
    names: impl IntoIterator<Item = &'a str>,
    most: impl Fn(usize) -> usize,
) -> Option<&'a str> {
    let plain = |name: &str| name.trim().to_lowercase();
    let given = plain(given);
    let length = given.chars().count();
    let distance = |name: &'a str| {
        let plain = plain(name);
        let (other, most) = (plain.chars().count(), most(length.max(plain.chars().count())));
        // A file may have thousands of long names: what differs too much in length is not compared.
        let distance = (length.abs_diff(other) <= most).then(|| strsim::damerau_levenshtein(&given, &plain))?;
        (distance <= most).then_some((distance, name))
    };
    names.into_iter().filter_map(distance).min_by_key(|(distance, _)| *distance).map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_found_unless_it_is_far() {
        let names = ["cron", "timezone", "lag_days"];
        for (given, found) in
            [("crom", Some("cron")), ("time_zone", Some("timezone")), (" CRON", Some("cron")), ("x", None)]
        {
            assert_eq!(nearest(given, names, |longer| longer / 2), found, "{given}");
        }
    }

    #[test]
    fn a_message_of_several_lines_becomes_one() {
        assert_eq!(one_line("failed:\n  no route\n\n  is it up?"), "failed: no route; is it up?");
    }

    #[test]
    fn one_stands_alone() {
        for (number, text) in [(0, "0 rows"), (1, "1 row"), (2, "2 rows"), (11, "11 rows"), (101, "101 rows")] {
            assert_eq!(counted(number, "row"), text);
        }
        assert_eq!(counted(-1i64, "wanted day"), "-1 wanted days");
        assert_eq!(plural(1u64, "attempt"), "attempt");
    }

    #[test]
    fn an_end_counts_its_days() {
        let all = [("loaded", 57), ("failed", 0), ("refused", 1), ("waiting", 1)];
        assert_eq!(ended(all), "done: 59 days: 57 loaded, 1 refused, 1 waiting");
        assert_eq!((ended([]), ended([("skipped", 1)])), ("done".to_owned(), "done: 1 day: 1 skipped".to_owned()));
    }

    #[test]
    fn rejected_rows_of_a_loaded_day_are_named_where_there_are_any() {
        for (loaded, rejected, text) in
            [(150, 0, "150 rows"), (150, 1, "150 rows, 1 rejected"), (1, 2, "1 row, 2 rejected")]
        {
            assert_eq!(loaded_rows(loaded, rejected), text);
        }
    }

    #[test]
    fn a_refusal_names_its_first_row_where_there_is_one() {
        assert_eq!(with_first("2 rows rejected", None), "2 rows rejected");
        assert_eq!(with_first("2 rows rejected", Some("the first: line 3")), "2 rows rejected; the first: line 3");
    }

    #[test]
    fn a_text_from_outside_is_cut_where_it_is_long() {
        assert_eq!(quoted("a\n\"b\""), r#""a\n\"b\"""#);
        assert_eq!(quoted(&"é".repeat(100)), format!("\"{}\"", "é".repeat(100)));
        assert_eq!(quoted(&"é".repeat(101)), format!("\"{}...\"", "é".repeat(100)));
    }

    #[test]
    fn what_steers_a_terminal_or_ends_a_line_is_escaped_and_long_texts_are_cut() {
        let cases = [
            ("", 10, ""),
            ("Ann é 日本 \"x\" \\n", 100, "Ann é 日本 \"x\" \\n"),
            ("a\nb\r\tc\0", 100, "a\\nb\\r\\tc\\0"),
            ("\u{1b}[31mred\u{7f}\u{9b}", 100, "\\u{1b}[31mred\\u{7f}\\u{9b}"),
            ("\u{202e}txt\u{2066}\u{200f}\u{61c}", 100, "\\u{202e}txt\\u{2066}\\u{200f}\\u{61c}"),
            ("a\u{2028}b\u{feff}\u{e0041}", 100, "a\\u{2028}b\\u{feff}\\u{e0041}"),
            // What joins letters and signs is a part of them.
            ("\u{200d}", 100, "\u{200d}"),
            ("0123456789", 10, "0123456789"),
            ("01234567890", 10, "0123456..."),
            ("ééééé", 9, "ééé..."),
            // Never half of an escape.
            ("abc\u{1b}\u{1b}", 10, "abc..."),
        ];
        for (text, most, shown) in cases {
            assert_eq!(printable(text, most), shown, "{text:?}");
            assert!(shown.len() <= most);
            assert_eq!(printable(shown, most), shown, "a second time");
        }
    }

    #[test]
    fn lines_stay_lines() {
        assert_eq!(printable_lines("a\n\tb\n"), "a\n\\tb\n");
        assert_eq!(printable_lines("a\nb"), "a\nb");
        assert_eq!(printable_lines("\u{1b}[2J\r\nb"), "\\u{1b}[2J\\r\nb");
    }

    #[test]
    fn json_keeps_its_values() {
        let value = serde_json::json!({ "a": "\u{1b}\u{9b}\u{202e}\u{7f}\u{e0041}\n\té", "b": [1] });
        let shown = printable_json(&serde_json::to_string_pretty(&value).unwrap());
        assert!(!shown.chars().any(|char| char != '\n' && is_harmful(char)), "{shown}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), value);
    }

    #[test]
    fn colours_stay_and_nothing_else_that_steers() {
        for (text, shown) in [
            ("\u{1b}[1m\u{1b}[31mred\u{1b}[0m\n", "\u{1b}[1m\u{1b}[31mred\u{1b}[0m\n"),
            ("a\u{1b}[2Jb\u{1b}]0;c\u{7}\u{9b}1m", "a\\u{1b}[2Jb\\u{1b}]0;c\\u{7}\\u{9b}1m"),
            ("\u{1b}[", "\\u{1b}["),
            ("\u{1b}[3", "\\u{1b}[3"),
            ("\u{1b}[\u{1b}[0m", "\\u{1b}[\u{1b}[0m"),
        ] {
            assert_eq!(printable_styled(text), shown, "{text:?}");
        }
    }

    #[test]
    fn many_names_are_counted() {
        let many = |number: usize| (1..=number).map(|at| format!("n{at}")).collect::<Vec<_>>();
        assert_eq!(named(many(0), 10), "");
        assert_eq!(named(many(2), 10), "n1, n2");
        assert_eq!(named(many(10), 10), "n1, n2, n3, n4, n5, n6, n7, n8, n9, n10");
        assert_eq!(named(many(8008), 10), "n1, n2, n3, n4, n5, n6, n7, n8, n9, n10 and 7,998 more");
        assert_eq!(named(many(1_234_568), 1), "n1 and 1,234,567 more");
        assert_eq!(named(["a\nb", &"x".repeat(200)], 10), format!("a\\nb, {}...", "x".repeat(97)));
    }
}
