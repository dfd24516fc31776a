//! Accepted rows that may be something else than they were read as. Nothing proves it, so they are warned of.

use std::fmt;

use crate::dataset::CsvFormat;
use crate::parse::RawRow;

/// What accepted rows of a file look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// A quoted field holds line ends, and without the quotes each of the lines would be a row.
    Swallowed,
    /// A quote stands inside a field, and another one at the end of a later field: a delimiter before the first is
    /// missing, and the text between them was split at its delimiters.
    Split,
    /// The row is the header once more.
    Header,
}

/// Accepted rows that all look like that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Doubt {
    /// What they look like.
    pub look: Look,
    /// How many there are.
    pub rows: u64,
    /// The line on which the first of them begins.
    pub first: u64,
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { look, rows, first } = self;
        let verb = |one, many| if *rows == 1 { format!("1 row {one}") } else { format!("{rows} rows {many}") };
        match look {
            Look::Swallowed => write!(
                f,
                "{} line ends inside quotes (the first on line {first}), and without the quotes each of the lines would \
                 be a row; where quotes are text, set csv.quote to a character that the file does not have",
                verb("holds", "hold")
            ),
            Look::Split => write!(
                f,
                "{} a quote inside a field that only a later field closes (the first on line {first}); if a delimiter is \
                 missing before that quote, values are in the wrong columns",
                verb("has", "have")
            ),
            Look::Header => write!(
                f,
                "{} the header (the first on line {first}); the file may be several files in one",
                verb("repeats", "repeat")
            ),
        }
    }
}

/// The doubts about a file's rows so far.
#[derive(Debug, Default)]
pub(super) struct Doubts {
    header: Vec<Vec<u8>>,
    found: Vec<Doubt>,
}

impl Doubts {
    pub(super) fn of(header: &RawRow<'_>) -> Self {
        Self { header: header.fields().map(<[u8]>::to_vec).collect(), found: Vec::new() }
    }

    /// Looks at an accepted row.
    pub(super) fn look_at(&mut self, row: &RawRow<'_>, format: &CsvFormat) {
        if row.lines() > 1 && row.looks_like_rows(format.delimiter, row.len()) {
            self.note(Look::Swallowed, row.line());
        }
        if row.looks_split(format.quote) {
            self.note(Look::Split, row.line());
        }
        if row.fields().eq(self.header.iter().map(Vec::as_slice)) {
            self.note(Look::Header, row.line());
        }
    }

    fn note(&mut self, look: Look, first: u64) {
        match self.found.iter_mut().find(|doubt| doubt.look == look) {
            Some(doubt) => doubt.rows += 1,
            None => self.found.push(Doubt { look, rows: 1, first }),
        }
    }

    pub(super) fn found(&self) -> &[Doubt] {
        &self.found
    }
}
