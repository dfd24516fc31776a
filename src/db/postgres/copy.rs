//! COPY of a day's rows into the stage.

use std::cell::RefCell;
use std::io::Write;

use diesel::PgConnection;
use diesel::pg::{CopyTarget, Pg};
use diesel::prelude::*;
use diesel::query_builder::AstPass;
use diesel::sql_types::BigInt;

use super::messages::speaks_english;
use crate::db::error::{COPYING, DbError, Doing};
use crate::db::row_sink::{Characters, Feed, RowSink};
use crate::validate::{Reject, Row};

/// How much is handed to COPY at once: each write is one message to the server.
const COPY_WRITE: usize = 64 * 1024;

/// The stage as a COPY target. diesel wants a table with columns; the statement names the stage alone, whose columns
/// are the dataset's.
struct Stage;

mod stage_table {
    diesel::table! {
        /// Only a name for COPY to start from.
        stage (dayfill_line) {
            dayfill_line -> BigInt,
        }
    }
}

impl CopyTarget for Stage {
    type Table = stage_table::stage::table;
    type SqlType = BigInt;

    fn walk_target(mut pass: AstPass<'_, '_, Pg>) -> QueryResult<()> {
        pass.push_sql("pg_temp.dayfill_stage");
        Ok(())
    }
}

/// Fills the stage with all rows that `feed` hands over.
pub(in crate::db) fn fill_stage<E: From<DbError>>(
    conn: &mut PgConnection,
    characters: Option<Characters<'_>>,
    feed: Feed<'_, E>,
) -> Result<(), E> {
    // Asked before: after an error the transaction answers nothing more.
    let is_english = speaks_english(conn).doing("asking for the language of the server's messages")?;
    let feed = RefCell::new(feed);
    // COPY is given diesel's own error to end with; the feeder's waits here.
    let stopped = RefCell::new(None);
    let characters = RefCell::new(characters);
    let copied = diesel::copy_from(stage_table::stage::table)
        .from_raw_data(Stage, |copy: &mut dyn Write| {
            let mut sink = CopySink {
                copy,
                buffer: Vec::with_capacity(2 * COPY_WRITE),
                characters: characters.borrow_mut().take(),
            };
            let ended = (feed.borrow_mut())(&mut sink).and_then(|()| Ok(sink.flush()?));
            ended.map_err(|error| {
                *stopped.borrow_mut() = Some(error);
                diesel::result::Error::RollbackTransaction
            })
        })
        .execute(conn);
    match stopped.into_inner() {
        Some(error) => Err(error),
        None => match copied {
            Ok(_) => Ok(()),
            // The rows were validated: what cannot be read is rather about the database than about them.
            Err(source) if !is_english => Err(DbError::Unreadable { doing: COPYING, source }.into()),
            Err(source) => Err(DbError::Statement { doing: COPYING, source }.into()),
        },
    }
}

/// Writes rows in COPY's text format (PostgreSQL's manual, COPY, "Text Format").
struct CopySink<'a> {
    copy: &'a mut dyn Write,
    buffer: Vec<u8>,
    /// Those of a database that does not have them all.
    characters: Option<Characters<'a>>,
}

impl CopySink<'_> {
    fn flush(&mut self) -> Result<(), DbError> {
        let written = self.copy.write_all(&self.buffer);
        self.buffer.clear();
        written.map_err(DbError::Copy)
    }
}

impl RowSink for CopySink<'_> {
    fn row(&mut self, line: u64, row: &Row) -> Result<Option<Reject>, DbError> {
        if let Some(characters) = &mut self.characters
            && let Some(reject) = characters.lacking(line, row)?
        {
            return Ok(Some(reject));
        }
        for cell in row.cells() {
            match cell {
                Some(text) => escape(text.as_bytes(), &mut self.buffer),
                None => self.buffer.extend_from_slice(b"\\N"),
            }
            self.buffer.push(b'\t');
        }
        // Writing to a vector cannot fail.
        drop(writeln!(self.buffer, "{line}"));
        if self.buffer.len() >= COPY_WRITE {
            self.flush()?;
        }
        Ok(None)
    }
}

fn escape(text: &[u8], out: &mut Vec<u8>) {
    let mut rest = text;
    while let Some(at) = rest.iter().position(|byte| matches!(byte, b'\\' | b'\t' | b'\n' | b'\r')) {
        out.extend_from_slice(&rest[..at]);
        out.push(b'\\');
        out.push(match rest[at] {
            b'\t' => b't',
            b'\n' => b'n',
            b'\r' => b'r',
            backslash => backslash,
        });
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_copy_reads_specially_is_escaped() {
        let mut out = Vec::new();
        escape("a\tb\\c\nd\re".as_bytes(), &mut out);
        assert_eq!(out, b"a\\tb\\\\c\\nd\\re");
    }
}
