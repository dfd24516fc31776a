//! Rejects: rows that cannot be taken, told so that a person can find and mend them.

use std::fmt;
use std::fmt::Write as _;

/// The most bytes of a value that a reject keeps.
const MAX_VALUE_BYTES: usize = 2_048;

/// A row that was not taken, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reject {
    /// The line on which the row starts.
    pub line: u64,
    /// The column at fault; `None` if it is the row as a whole.
    pub column: Option<String>,
    /// The value at fault as the file has it, cut if long, with bytes that are no text escaped; `None` if there is
    /// none.
    pub value: Option<String>,
    /// What is wrong with it, as the end of a sentence that began with the value.
    pub reason: String,
}

impl fmt::Display for Reject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}", self.line)?;
        if let Some(column) = &self.column {
            write!(f, ", column {column}")?;
        }
        f.write_str(":")?;
        if let Some(value) = &self.value {
            // A message is one line, whatever the value holds.
            f.write_str(" \"")?;
            for c in value.chars() {
                if c.is_control() { write!(f, "{}", c.escape_default())? } else { f.write_char(c)? }
            }
            f.write_str("\"")?;
        }
        write!(f, " {}", self.reason)
    }
}

/// Bytes as text for people: what is no UTF-8, and NUL, which no database takes as text, are written `\xNN`.
pub(crate) fn shown(bytes: &[u8]) -> String {
    let mut text = String::new();
    let mut push = |piece: &str| {
        let fits = text.len() + piece.len() <= MAX_VALUE_BYTES;
        text.push_str(if fits { piece } else { "…" });
        fits
    };
    let mut pieces = bytes.utf8_chunks().flat_map(|chunk| {
        let valid = chunk.valid().chars().map(Ok);
        valid.chain(chunk.invalid().iter().copied().map(Err))
    });
    let mut buffer = [0; 4];
    let _ = pieces.all(|piece| match piece {
        Ok('\0') => push("\\x00"),
        Ok(c) => push(c.encode_utf8(&mut buffer)),
        Err(byte) => push(&format!("\\x{byte:02X}")),
    });
    text
}
