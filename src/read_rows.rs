//! From bytes to rows: parse and validate joined, the header in between. Pure; who brings the bytes and who takes the
//! rows is left to others.

mod opening;

use crate::dataset::Dataset;
use crate::parse::{FIRST_BYTES, ParseError, Parser, RawRow};
use crate::validate::{HeaderError, Reject, Row, Validator};

/// What became of one record of the file.
pub enum Taken<'a> {
    /// The header was understood; these of its columns the dataset does not name.
    Header(&'a [String]),
    /// A row was accepted.
    Accepted {
        /// The line on which it begins, from 1.
        line: u64,
        /// Its values.
        row: &'a Row,
    },
    /// A row was rejected.
    Rejected {
        /// How many lines of the file it spans.
        lines: u64,
        /// Why.
        reject: Reject,
    },
}

/// Why a file must not be loaded, not even in part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What is wrong, without any row's values.
    pub error: String,
    /// The line that was taken for the header, where that is what is wrong. It may be a row: no log line holds it.
    pub line: Option<String>,
}

/// Rows that two stray quotes may have swallowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "{} line ends inside quotes (the first on line {first}), and without the quotes each of the lines would be a row; \
     where quotes are text, set csv.quote to a character that the file does not have",
    if *rows == 1 { "1 row holds".to_owned() } else { format!("{rows} rows hold") }
)]
pub struct Swallowed {
    /// How many accepted rows hold such lines.
    pub rows: u64,
    /// The line on which the first of them begins.
    pub first: u64,
}

/// Why reading ended early.
#[derive(Debug)]
pub enum ReadError<E> {
    /// The file must not be loaded, not even in part.
    Refused(Refusal),
    /// The taker of rows failed.
    Taker(E),
}

/// Reads the rows of one file.
pub struct RowReader<'a> {
    parser: Parser,
    records: Records<'a>,
    /// The file's first bytes, until its header was understood.
    opening: Option<Vec<u8>>,
}

struct Records<'a> {
    dataset: &'a Dataset,
    validator: Option<Validator>,
    row: Row,
    swallowed: Option<Swallowed>,
}

impl<'a> RowReader<'a> {
    /// A reader at the start of a file.
    #[must_use]
    pub fn new(dataset: &'a Dataset) -> Self {
        let records = Records { dataset, validator: None, row: Row::default(), swallowed: None };
        Self { parser: Parser::new(&dataset.csv), records, opening: Some(Vec::new()) }
    }

    /// Reads what comes next of the file.
    ///
    /// # Errors
    /// A [`ReadError`]; the reader is then good for nothing.
    pub fn push<E>(
        &mut self,
        bytes: &[u8],
        each: &mut dyn FnMut(Taken<'_>) -> Result<(), E>,
    ) -> Result<(), ReadError<E>> {
        if let Some(opening) = &mut self.opening {
            let room = FIRST_BYTES - opening.len();
            opening.extend_from_slice(&bytes[..bytes.len().min(room)]);
        }
        let records = &mut self.records;
        let pushed = self.parser.push(bytes, &mut |raw| records.take(raw, each));
        pushed.map_err(|error| self.error(error))?;
        if self.records.validator.is_some() {
            self.opening = None;
        }
        Ok(())
    }

    /// Ends the file.
    ///
    /// # Errors
    /// A [`ReadError`] when it ends too early, or has not even a header.
    pub fn finish<E>(&mut self, each: &mut dyn FnMut(Taken<'_>) -> Result<(), E>) -> Result<(), ReadError<E>> {
        let records = &mut self.records;
        let finished = self.parser.finish(&mut |raw| records.take(raw, each));
        finished.map_err(|error| self.error(error))
    }

    /// Accepted rows that hold lines which look like rows of their own, if there were any so far.
    #[must_use]
    pub fn swallowed(&self) -> Option<Swallowed> {
        self.records.swallowed
    }

    /// Why reading ended; where it ended before the header was understood, with what the file seems to be instead.
    fn error<E>(&self, error: ParseError<ReadError<E>>) -> ReadError<E> {
        let error = match error {
            ParseError::File(broken) => broken.to_string(),
            ParseError::Row(ReadError::Refused(refusal)) => refusal.error,
            ParseError::Row(taker) => return taker,
        };
        let opening = self.opening.as_deref().filter(|_| self.records.validator.is_none()).unwrap_or_default();
        ReadError::Refused(opening::explain(error, opening, self.records.dataset))
    }
}

impl Records<'_> {
    fn take<E>(
        &mut self,
        raw: RawRow<'_>,
        each: &mut dyn FnMut(Taken<'_>) -> Result<(), E>,
    ) -> Result<(), ReadError<E>> {
        let taken = match &self.validator {
            None => {
                let Dataset { rows, target, csv, .. } = self.dataset;
                let refused = |error: HeaderError| Refusal { error: error.to_string(), line: None };
                let validator =
                    Validator::new(&raw, rows, target, csv).map_err(|error| ReadError::Refused(refused(error)))?;
                Taken::Header(self.validator.insert(validator).unknown_columns())
            }
            Some(validator) => match validator.check(&raw, &mut self.row) {
                Ok(()) => {
                    if raw.lines() > 1 && raw.looks_like_rows(self.dataset.csv.delimiter, raw.len()) {
                        let first = Swallowed { rows: 0, first: raw.line() };
                        self.swallowed.get_or_insert(first).rows += 1;
                    }
                    Taken::Accepted { line: raw.line(), row: &self.row }
                }
                Err(reject) => Taken::Rejected { lines: raw.lines(), reject },
            },
        };
        each(taken).map_err(ReadError::Taker)
    }
}
