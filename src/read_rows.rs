//! From bytes to rows: parse and validate joined, the header in between. Pure; who brings the bytes and who takes the
//! rows is left to others.

use crate::dataset::Dataset;
use crate::parse::{ParseError, Parser, RawRow};
use crate::validate::{Reject, Row, Validator};

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

/// Why reading ended early.
#[derive(Debug)]
pub enum ReadError<E> {
    /// The file must not be loaded, not even in part.
    Refused(String),
    /// The taker of rows failed.
    Taker(E),
}

/// Reads the rows of one file.
pub struct RowReader<'a> {
    parser: Parser,
    records: Records<'a>,
}

struct Records<'a> {
    dataset: &'a Dataset,
    validator: Option<Validator>,
    row: Row,
}

impl<'a> RowReader<'a> {
    /// A reader at the start of a file.
    #[must_use]
    pub fn new(dataset: &'a Dataset) -> Self {
        let records = Records { dataset, validator: None, row: Row::default() };
        Self { parser: Parser::new(&dataset.csv), records }
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
        let records = &mut self.records;
        self.parser.push(bytes, &mut |raw| records.take(raw, each)).map_err(flatten)
    }

    /// Ends the file.
    ///
    /// # Errors
    /// A [`ReadError`] when it ends too early, or has not even a header.
    pub fn finish<E>(&mut self, each: &mut dyn FnMut(Taken<'_>) -> Result<(), E>) -> Result<(), ReadError<E>> {
        let records = &mut self.records;
        self.parser.finish(&mut |raw| records.take(raw, each)).map_err(flatten)
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
                let validator =
                    Validator::new(&raw, rows, target, csv).map_err(|error| ReadError::Refused(error.to_string()))?;
                Taken::Header(self.validator.insert(validator).unknown_columns())
            }
            Some(validator) => match validator.check(&raw, &mut self.row) {
                Ok(()) => Taken::Accepted { line: raw.line(), row: &self.row },
                Err(reject) => Taken::Rejected { lines: raw.lines(), reject },
            },
        };
        each(taken).map_err(ReadError::Taker)
    }
}

fn flatten<E>(error: ParseError<ReadError<E>>) -> ReadError<E> {
    match error {
        ParseError::File(broken) => ReadError::Refused(broken.to_string()),
        ParseError::Row(error) => error,
    }
}
