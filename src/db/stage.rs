//! The stage: a temporary table of this session that takes a day's rows before they are audited.

use std::borrow::Cow;

use crate::audit::Counts;
use crate::column::ColumnType;
use crate::dataset::Dataset;
use crate::db::encoding::Encoding;
use crate::db::error::DbError;
use crate::db::pool::{Conn, Database};
use crate::db::rejects::Rejects;
use crate::db::statements::{Dialect, Statements};
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

/// A day's rows in the stage, with what was counted and rejected on the way. The stage belongs to the connection's
/// session: only publishing on the same connection finds it.
pub struct StagedDay<'a> {
    /// The dataset whose rows they are.
    pub(super) dataset: &'a Dataset,
    /// What was counted.
    pub counts: Counts,
    /// What was rejected.
    pub rejects: Rejects,
    /// The first rejected row that was found, in words.
    pub first_reject: Option<String>,
}

impl<'a> StagedDay<'a> {
    /// An empty day, before its file is read.
    #[must_use]
    pub fn new(dataset: &'a Dataset) -> Self {
        Self { dataset, counts: Counts::default(), rejects: Rejects::default(), first_reject: None }
    }

    /// Counts an accepted row.
    pub fn accepted(&mut self) {
        self.counts.read += 1;
    }

    /// Counts and keeps a rejected row that spans `lines` lines of the file.
    ///
    /// # Errors
    /// A [`DbError`] when it cannot be kept.
    pub fn rejected(&mut self, lines: u64, reject: Reject) -> Result<(), DbError> {
        self.counts.read += lines;
        self.keep(lines, reject)
    }

    /// Counts a row as rejected that was counted as read before, and keeps it.
    pub(super) fn keep(&mut self, lines: u64, reject: Reject) -> Result<(), DbError> {
        self.counts.reject(lines);
        self.first_reject.get_or_insert_with(|| reject.to_string());
        self.rejects.push(reject)
    }
}

/// Makes an empty stage of the dataset's columns and fills it with what `feed` hands over. Another connection to the
/// database is made where it is to be asked for characters that its encoding may lack.
///
/// # Errors
/// The feeder's error, or a [`DbError`]; the stage is then good for nothing.
pub fn fill<E: From<DbError>>(
    conn: &mut Conn,
    database: &Database,
    dataset: &Dataset,
    feed: Feed<'_, E>,
) -> Result<(), E> {
    let characters = Encoding::of(conn)?.map(|encoding| Characters { encoding, dataset, database, asks: None });
    unconfirmed(conn, |conn| {
        make(conn, dataset)?;
        match conn {
            Conn::Postgres(link) => super::postgres::fill_stage(link.get(), characters, feed),
            Conn::Sqlite(link) => super::sqlite::fill_stage(link.get(), feed),
        }
    })
}

/// The characters that the database's encoding has, asked for while a COPY holds the connection.
pub(super) struct Characters<'a> {
    encoding: Encoding,
    dataset: &'a Dataset,
    database: &'a Database,
    /// The connection that asks, once one is needed.
    asks: Option<Conn>,
}

impl Characters<'_> {
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

/// Makes an empty stage of the dataset's columns.
pub(super) fn create(conn: &mut Conn, dataset: &Dataset) -> Result<(), DbError> {
    unconfirmed(conn, |conn| make(conn, dataset))
}

/// On PostgreSQL, does the work in a transaction whose commit waits for no disk and no standby: the stage goes with its
/// session. (On SQLite a transaction would take the lock of all writers.)
fn unconfirmed<E: From<DbError>>(conn: &mut Conn, work: impl FnOnce(&mut Conn) -> Result<(), E>) -> Result<(), E> {
    if matches!(conn, Conn::Sqlite(_)) {
        return conn.on_own_tables(work);
    }
    conn.transaction(|conn| {
        conn.commit_in_background()?;
        work(conn)
    })
}

fn make(conn: &mut Conn, dataset: &Dataset) -> Result<(), DbError> {
    let statements = conn.statements(dataset);
    let sql = statements.create_stage();
    conn.batch(&sql, "creating the stage")
}

impl Conn {
    /// The statements of a dataset in this database's dialect.
    pub(super) fn statements<'a>(&self, dataset: &'a Dataset) -> Statements<'a> {
        let dialect: &'static Dialect = match self {
            Self::Postgres(_) => &super::postgres::DIALECT,
            Self::Sqlite(_) => &super::sqlite::DIALECT,
        };
        Statements { dataset, dialect }
    }
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
