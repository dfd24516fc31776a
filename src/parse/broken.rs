//! What makes a file as a whole unfit to be read.

use super::MAX_FIELDS;
use super::row::RecordFault;
use crate::wording::counted;

/// Why a file as a whole cannot be taken. None of its rows counts then, not even those already handed out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BrokenFile {
    /// There is not even a header.
    #[error("line 1: the file is empty, it has no header")]
    Empty,
    /// The file begins with the byte order mark of UTF-16.
    #[error("line 1: the file is encoded in UTF-16; it must be UTF-8")]
    Utf16,
    /// A record holds more than [`MAX_RECORD_BYTES`](super::MAX_RECORD_BYTES).
    #[error("line {line}: the row that begins here is longer than 1 MiB{}", closing_quote(*open_quote))]
    RecordTooLong {
        /// The line on which the record starts.
        line: u64,
        /// True where a quote is open.
        open_quote: bool,
    },
    /// A record has more than [`MAX_FIELDS`] fields.
    #[error("line {line}: the row that begins here has more than {MAX_FIELDS} fields")]
    TooManyFields {
        /// The line on which the record starts.
        line: u64,
    },
    /// The file ends inside a quoted field.
    #[error(
        "line {line}: the row that begins here has a quote that is still open at the end of the file; the file is cut \
         off, or {}",
        stray_quote(*backslash)
    )]
    OpenQuote {
        /// The line on which the record starts.
        line: u64,
        /// A quote in the record follows a backslash.
        backslash: bool,
    },
    /// The header breaks the rules of RFC 4180.
    #[error("line {line}: the header {}", fault.reason())]
    Header {
        /// The line on which the header starts.
        line: u64,
        /// What is wrong with it.
        fault: RecordFault,
    },
    /// The last row has no line end and fewer fields than the header.
    #[error(
        "line {line}: the last row has no line end and only {fields} of {}; the file is cut off",
        counted(*expected, "field")
    )]
    ShortLastRow {
        /// The line on which the row starts.
        line: u64,
        /// How many fields it has.
        fields: usize,
        /// How many fields the header has.
        expected: usize,
    },
    /// The last row has no line end; its last value may be a part of what it was.
    #[error(
        "line {line} has no line end; the file may be cut off (csv.last_line_end = \"optional\" accepts such files)"
    )]
    NoLineEnd {
        /// The file's last line.
        line: u64,
    },
}

fn closing_quote(open: bool) -> &'static str {
    if open { "; is its closing quote missing?" } else { "" }
}

fn stray_quote(backslash: bool) -> &'static str {
    if backslash {
        "it seems to escape quotes with backslashes (\\\"), and only doubled quotes (\"\") are read"
    } else {
        "the quote is stray"
    }
}
