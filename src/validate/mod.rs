//! The validator: a raw record becomes a row of the dataset's columns, or is rejected with a reason.
//!
//! What it accepts, PostgreSQL accepts: one refused value would abort the COPY of a whole day. What becomes of rejects,
//! and how many are too many, is left to others.

mod encoding;
mod header;
mod json;
mod number;
mod reject;
mod time;
mod value;
mod value_error;

use crate::column::{Column, ColumnType};
use crate::dataset::{CsvFormat, Rows, Target};
use crate::parse::{RawRow, RecordFault};
use crate::wording::counted;

pub use header::{HeaderError, MissingColumn, NO_NAME};
pub use reject::Reject;
pub(crate) use reject::shown;
pub use value::check_value;

/// The most bytes a key may have: PostgreSQL's btree holds entries of up to 2,704 bytes, headers and padding included.
pub const MAX_KEY_BYTES: usize = 2_600;

/// Why a column's value cannot be taken, when it is not the value itself.
const NULL_IN_KEY: &str = "is null but part of the key";
const NULL_BUT_REQUIRED: &str = "is null but required";
const NOT_UTF8: &str = "is not valid UTF-8";
const KEY_TOO_LONG: &str = "makes the key longer than 2,600 bytes";

/// Checks the records of one file against a dataset's columns.
#[derive(Debug)]
pub struct Validator {
    /// The dataset's columns, in its order.
    fields: Vec<ValidatedColumn>,
    /// How many fields the header has, and so every record must have.
    width: usize,
    delimiter: u8,
    null: Vec<String>,
    unknown: Vec<String>,
    /// [`MAX_KEY_BYTES`] less what further key columns cost in headers and padding.
    max_key: usize,
}

/// One column of the dataset, and where this file has it.
#[derive(Debug)]
struct ValidatedColumn {
    name: String,
    /// The place in the record; `None` where an optional column is not in the file.
    index: Option<usize>,
    kind: ColumnType,
    /// Why a null is refused, if it is.
    refuses_null: Option<&'static str>,
    in_key: bool,
    default: Option<String>,
}

impl Validator {
    /// Finds the dataset's columns in the header, in whatever order they stand there.
    pub fn new(header: &RawRow<'_>, rows: &Rows, target: &Target, format: &CsvFormat) -> Result<Self, HeaderError> {
        let (places, unknown) = header::find(header, &rows.columns)?;
        let field = |(column, index): (&Column, Option<usize>)| {
            let in_key = target.key.contains(&column.name);
            ValidatedColumn {
                name: column.name.to_string(),
                index,
                kind: column.kind,
                refuses_null: match (in_key, column.required) {
                    (true, _) => Some(NULL_IN_KEY),
                    (false, true) => Some(NULL_BUT_REQUIRED),
                    (false, false) => None,
                },
                in_key,
                default: column.default.clone(),
            }
        };
        let fields: Vec<ValidatedColumn> = rows.columns.iter().zip(places).map(field).collect();
        let further_keys = fields.iter().filter(|field| field.in_key).count().saturating_sub(1);
        Ok(Self {
            fields,
            width: header.len(),
            delimiter: format.delimiter,
            null: format.null.clone(),
            unknown,
            max_key: MAX_KEY_BYTES.saturating_sub(12 * further_keys),
        })
    }

    /// The headers of the file that no column uses.
    #[must_use]
    pub fn unknown_columns(&self) -> &[String] {
        &self.unknown
    }

    /// Fills the row with the record's values, normalised; an old row's content is gone either way. The first fault
    /// found rejects the record.
    pub fn check(&self, raw: &RawRow<'_>, row: &mut Row) -> Result<(), Reject> {
        row.clear();
        if let Some(fault) = raw.fault() {
            return Err(self.faulty(raw, fault));
        }
        if raw.len() != self.width {
            let reason = format!("has {}, the header has {}", counted(raw.len(), "field"), self.width);
            return Err(self.reject_whole(raw, reason));
        }
        // Looked at once, as a whole: field by field costs more than all the rest.
        let whole = std::str::from_utf8(raw.data()).ok();
        let mut key = 0;
        for field in &self.fields {
            let given = field.index.and_then(|index| raw.field(index)).filter(|bytes| !self.is_null(bytes));
            let Some(value) = given.or(field.default.as_ref().map(String::as_bytes)) else {
                if let Some(reason) = field.refuses_null {
                    return Err(field.reject(raw, None, reason.to_owned()));
                }
                row.cells.push(None);
                continue;
            };
            let text = if given.is_some() { field.text(raw, whole, value) } else { field.default.as_deref() };
            let start = row.text.len();
            text.ok_or_else(|| not_utf8(value))
                .and_then(|text| check_value(field.kind, text, &mut row.text))
                .map_err(|reason| field.reject(raw, Some(value), reason))?;
            row.cells.push(Some(row.text.len()));
            if field.in_key {
                key += field.key_bytes(row.text.len() - start);
                if key > self.max_key {
                    return Err(field.reject(raw, Some(value), KEY_TOO_LONG.to_owned()));
                }
            }
        }
        Ok(())
    }

    /// A record that breaks the rules of the format.
    #[cold]
    fn faulty(&self, raw: &RawRow<'_>, fault: RecordFault) -> Reject {
        let Some(index) = fault.field() else { return self.reject_whole(raw, fault.reason().to_owned()) };
        let column = self.fields.iter().find(|field| field.index == Some(index)).map(|field| field.name.clone());
        let value = raw.field(index).map(reject::shown);
        Reject { line: raw.line(), column, value, reason: fault.reason().to_owned() }
    }

    #[cold]
    fn reject_whole(&self, raw: &RawRow<'_>, reason: String) -> Reject {
        let text = raw.text(self.delimiter, reject::MAX_VALUE_BYTES);
        Reject { line: raw.line(), column: None, value: Some(reject::shown(&text)), reason }
    }

    fn is_null(&self, bytes: &[u8]) -> bool {
        self.null.iter().any(|null| null.as_bytes() == bytes)
    }
}

#[cold]
fn not_utf8(value: &[u8]) -> String {
    NOT_UTF8.to_owned() + &encoding::encodings([value]).map_or_else(String::new, encoding::would_read)
}

impl ValidatedColumn {
    /// The field as text. `whole` is the record's text if all of it is valid; it need not be cut between characters
    /// where its fields are, and an invalid byte may stand in a field that no column uses.
    fn text<'a>(&self, raw: &RawRow<'_>, whole: Option<&'a str>, bytes: &'a [u8]) -> Option<&'a str> {
        match whole {
            Some(whole) => whole.get(raw.range(self.index?)?),
            None => std::str::from_utf8(bytes).ok(),
        }
    }

    /// What a value of that many bytes costs in an index at most: a `jsonb` of small numbers is six times its text.
    fn key_bytes(&self, len: usize) -> usize {
        if self.kind == ColumnType::Json { len * 6 } else { len }
    }

    #[cold]
    fn reject(&self, raw: &RawRow<'_>, value: Option<&[u8]>, reason: String) -> Reject {
        Reject { line: raw.line(), column: Some(self.name.clone()), value: value.map(reject::shown), reason }
    }
}

/// The values of one record, in the order of the dataset's columns. Made once and filled again and again.
#[derive(Debug, Clone, Default)]
pub struct Row {
    /// All values in one piece.
    text: String,
    /// Where each value ends in `text`; `None` for a null.
    cells: Vec<Option<usize>>,
}

impl Row {
    /// An empty row, to be filled by [`Validator::check`].
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The values; `None` is a null.
    pub fn cells(&self) -> impl Iterator<Item = Option<&str>> {
        let mut start = 0;
        self.cells.iter().map(move |end| {
            let end = (*end)?;
            let text = self.text.get(start..end);
            start = end;
            text
        })
    }

    fn clear(&mut self) {
        self.text.clear();
        self.cells.clear();
    }
}

#[cfg(test)]
mod tests;
