//! Rejects: rows that cannot be taken, told so that a person can find and mend them.

use std::fmt;

use crate::wording::{is_harmful, printable};

/// The most bytes of a value that a reject keeps.
pub(super) const MAX_VALUE_BYTES: usize = 2_048;

/// The most bytes of a value that a message shows.
const MESSAGE_BYTES: usize = 500;

/// A row that was not taken, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reject {
    /// The line on which the row starts.
    pub line: u64,
    /// The column at fault; `None` if it is the row as a whole.
    pub column: Option<String>,
    /// The value at fault, cut if long, with control characters and bytes that are no text escaped; the row's text where
    /// the row as a whole is at fault, `None` if there is none.
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
            write!(f, " \"{}\"", printable(value, MESSAGE_BYTES))?;
        }
        write!(f, " {}", self.reason)
    }
}

/// Bytes as text for people: what is no UTF-8, and NUL, which no database takes as text, are written `\xNN`; control
/// characters and the like as [`printable`] does it.
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
        Ok(c) if is_harmful(c) => push(&c.escape_debug().to_string()),
        Ok(c) => push(c.encode_utf8(&mut buffer)),
        Err(byte) => push(&format!("\\x{byte:02X}")),
    });
    text
}
