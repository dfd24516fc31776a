//! Rows on their way into the stage: who takes them, and which hold characters that the database lacks.

use std::borrow::Cow;

use crate::column::ColumnType;
use crate::dataset::Dataset;
use crate::db::encoding::Encoding;
use crate::db::error::DbError;
use crate::db::pool::{Conn, Database};
use crate::validate::{Reject, Row, shown};

/// Takes accepted rows, one by one.
pub trait RowSink {
    /// Takes a row that begins on that line, or says why the database could not hold it.
    ///
    /// # Errors
    /// A [`DbError`] when the database fails.
    fn row(&mut self, line: u64, row: &Row) -> Result<Option<Reject>, DbError>;
}

/// Hands all rows of a file to a sink.
pub type Feed<'a, E> = &'a mut dyn FnMut(&mut dyn RowSink) -> Result<(), E>;

/// The characters that the database's encoding has, asked for while a COPY holds the connection.
pub(super) struct Characters<'a> {
    encoding: Encoding,
    dataset: &'a Dataset,
    database: &'a Database,
    /// The connection that asks, once one is needed.
    asks: Option<Conn>,
}

impl<'a> Characters<'a> {
    /// Those of the database; `None` where it has them all.
    pub(super) fn of(conn: &mut Conn, database: &'a Database, dataset: &'a Dataset) -> Result<Option<Self>, DbError> {
        Ok(Encoding::of(conn)?.map(|encoding| Self { encoding, dataset, database, asks: None }))
    }

    /// Why the row cannot be copied, if it holds a character that the database has none for.
    pub(super) fn lacking(&mut self, line: u64, row: &Row) -> Result<Option<Reject>, DbError> {
        for (column, text) in self.dataset.rows.columns.iter().zip(row.cells()) {
            let Some(text) = text.filter(|text| !text.is_ascii() || column.kind == ColumnType::Json) else { continue };
            let meant = if column.kind == ColumnType::Json { unescaped(text) } else { Cow::Borrowed(text) };
            if self.encoding.unknown(&meant).is_some() {
                let asks = match &mut self.asks {
                    Some(asks) => asks,
                    None => self.asks.insert(self.database.conn_at_once()?),
                };
                self.encoding.ask(asks, &meant)?;
            }
            if let Some(c) = self.encoding.lacking(&meant) {
                let reason = format!(
                    "holds {c:?} (U+{:04X}), which the database's encoding {} does not have",
                    u32::from(c),
                    self.encoding.name
                );
                let value = Some(shown(text.as_bytes()));
                return Ok(Some(Reject { line, column: Some(column.name.to_string()), value, reason }));
            }
        }
        Ok(None)
    }
}

/// A JSON text with the characters that its `\\uXXXX` stand for beside it: `jsonb` turns them into those.
fn unescaped(json: &str) -> Cow<'_, str> {
    let codes = json.match_indices("\\u").filter_map(|(at, _)| u16::from_str_radix(json.get(at + 2..at + 6)?, 16).ok());
    let meant: String = char::decode_utf16(codes).filter_map(Result::ok).collect();
    if meant.is_empty() { Cow::Borrowed(json) } else { Cow::Owned(format!("{json}{meant}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_of_json_stand_for_characters() {
        for (json, meant) in
            [(r#""plain""#, ""), (r#""\u20ac""#, "€"), (r#"{"a": "\ud83d\ude00", "b": "\u00e9"}"#, "\u{1F600}é")]
        {
            assert_eq!(unescaped(json), format!("{json}{meant}"));
        }
    }
}
