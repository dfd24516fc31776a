//! From bytes to rows: parse and validate joined, the header in between. Pure; who brings the bytes and who takes the
//! rows is left to others.

mod doubts;
mod opening;

use crate::dataset::Dataset;
use crate::parse::{FIRST_BYTES, ParseError, Parser, RawRow};
use crate::validate::{HeaderError, Reject, Row, Validator};

pub use doubts::{Doubt, Look};

use doubts::Doubts;

/// What became of one record of the file.
pub enum RecordOutcome<'a> {
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
    doubts: Doubts,
}

impl<'a> RowReader<'a> {
    /// A reader at the start of a file.
    #[must_use]
    pub fn new(dataset: &'a Dataset) -> Self {
        let records = Records { dataset, validator: None, row: Row::default(), doubts: Doubts::default() };
        Self { parser: Parser::new(&dataset.csv), records, opening: Some(Vec::new()) }
    }

    /// Reads what comes next of the file.
    ///
    /// # Errors
    /// A [`ReadError`]; the reader is then good for nothing.
    pub fn push<E>(
        &mut self,
        bytes: &[u8],
        each: &mut dyn FnMut(RecordOutcome<'_>) -> Result<(), E>,
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
    pub fn finish<E>(&mut self, each: &mut dyn FnMut(RecordOutcome<'_>) -> Result<(), E>) -> Result<(), ReadError<E>> {
        let records = &mut self.records;
        let finished = self.parser.finish(&mut |raw| records.take(raw, each));
        finished.map_err(|error| self.error(error))
    }

    /// What the accepted rows so far may be instead of what they were read as.
    #[must_use]
    pub fn doubts(&self) -> &[Doubt] {
        self.records.doubts.found()
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
        each: &mut dyn FnMut(RecordOutcome<'_>) -> Result<(), E>,
    ) -> Result<(), ReadError<E>> {
        let taken = match &self.validator {
            None => {
                let Dataset { rows, target, csv, .. } = self.dataset;
                let refused = |error: HeaderError| Refusal { error: error.to_string(), line: None };
                let validator =
                    Validator::new(&raw, rows, target, csv).map_err(|error| ReadError::Refused(refused(error)))?;
                self.doubts = Doubts::of(&raw);
                RecordOutcome::Header(self.validator.insert(validator).unknown_columns())
            }
            Some(validator) => match validator.check(&raw, &mut self.row) {
                Ok(()) => {
                    self.doubts.look_at(&raw, &self.dataset.csv);
                    RecordOutcome::Accepted { line: raw.line(), row: &self.row }
                }
                Err(reject) => RecordOutcome::Rejected { lines: raw.lines(), reject },
            },
        };
        each(taken).map_err(ReadError::Taker)
    }
}
