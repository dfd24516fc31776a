//! What only PostgreSQL says: COPY into the stage, advisory locks; its catalog is read in `catalog`.

use std::cell::RefCell;
use std::io::Write;

use chrono::NaiveDateTime;
use diesel::connection::SimpleConnection;
use diesel::pg::CopyTarget;
use diesel::prelude::*;
use diesel::query_builder::AstPass;
use diesel::sql_types::{BigInt, Bool, Text, Timestamp};
use diesel::{PgConnection, pg::Pg};

use crate::column::ColumnType;
use crate::db::error::{COPYING, DbError, Doing};
use crate::db::stage::{Characters, Feed, RowSink};
use crate::db::statements::Dialect;
use crate::validate::{Reject, Row};

mod catalog;
mod constraints;
mod left_behind;
mod messages;
mod partitions;
mod state;

pub(super) use catalog::{attached, comparing_as_target, find_target};
pub(super) use constraints::{check_deferred, constrained_columns, has_trigger, lengths, refers_to_itself};
pub(super) use left_behind::left_behind;
use messages::speaks_english;
pub(super) use messages::{can_report_codes, foreign_language, run_coded, speak_english};
pub(super) use partitions::missing_partition;
pub(super) use state::{problems, state_relations};

/// How PostgreSQL says what both databases can.
pub(super) const DIALECT: Dialect = Dialect {
    temp: "pg_temp",
    kind: |kind| match kind {
        ColumnType::Double => "double precision",
        ColumnType::Json => "jsonb",
        other => other.name(),
    },
    // `jsonb` would lose the order of keys, and doubled ones, which a target of `json` or `text` can hold.
    stage_kind: |kind| if kind == ColumnType::Json { "json" } else { (DIALECT.kind)(kind) },
    line_kind: "bigint",
    sql: |sql| &sql.postgres,
    cast: |sql, kind| format!("(\n{sql}\n)::{}", (DIALECT.stage_kind)(kind)),
    day: |day| format!("date '{day}'"),
    now: "now()",
    fence: "offset 0",
};

/// The advisory lock under which tables are created and altered: "dayfill" in ASCII.
const DDL_LOCK: i64 = 0x64_61_79_66_69_6c_6c;

/// How much is handed to COPY at once: each write is one message to the server.
const COPY_WRITE: usize = 64 * 1024;

#[derive(QueryableByName)]
struct Flag {
    #[diesel(sql_type = Bool)]
    flag: bool,
}

#[derive(QueryableByName)]
struct SchemaName {
    #[diesel(sql_type = Text)]
    name: String,
}

#[derive(QueryableByName)]
struct Instant {
    #[diesel(sql_type = Timestamp)]
    instant: NaiveDateTime,
}

pub(super) fn now(conn: &mut PgConnection) -> QueryResult<NaiveDateTime> {
    let now: Instant = diesel::sql_query("select clock_timestamp() as instant").get_result(conn)?;
    Ok(now.instant)
}

/// Reads `pg_class`, although `to_regclass` alone would do: alone it answers from the session's cache, which inside a
/// transaction does not hear of a table that another session has created meanwhile until a relation is locked (tried).
pub(super) fn has_table(conn: &mut PgConnection, name: &str) -> QueryResult<bool> {
    let found: Flag = diesel::sql_query("select exists (select from pg_class where oid = to_regclass($1)) as flag")
        .bind::<Text, _>(name)
        .get_result(conn)?;
    Ok(found.flag)
}

/// Creates the schema of the state tables where one is named and not there; who may not create one need not.
pub(super) fn create_state_schema(conn: &mut PgConnection) -> QueryResult<()> {
    let missing: Vec<SchemaName> = diesel::sql_query(
        "select quote_ident(named) as name from (select current_setting('dayfill.schema', true) as named) as setting \
         where named <> '' and not exists (select from pg_namespace where nspname = named)",
    )
    .load(conn)?;
    missing.iter().try_for_each(|schema| conn.batch_execute(&format!("create schema {}", schema.name)))
}

pub(super) fn lock_for_ddl(conn: &mut PgConnection) -> QueryResult<()> {
    diesel::sql_query("select pg_advisory_xact_lock($1)").bind::<BigInt, _>(DDL_LOCK).execute(conn).map(drop)
}

/// The key of a worker's advisory lock: the first 64 bits of its random id.
pub(super) fn worker_key(id: &str) -> i64 {
    let bits = uuid::Uuid::parse_str(id).map_or(0, |id| id.as_u64_pair().0);
    i64::from_ne_bytes(bits.to_ne_bytes())
}

/// Looks the lock up rather than tries to take it, so that two who ask at once do not take each other for the worker.
/// `pg_locks` shows the two halves of a 64-bit key as `classid` and `objid`, with `objsubid` 1.
pub(super) fn worker_holds_lock(conn: &mut PgConnection, id: &str) -> QueryResult<bool> {
    let held: Flag = diesel::sql_query(
        "select exists (select from pg_locks where locktype = 'advisory' and granted and objsubid = 1 \
         and database = (select oid from pg_database where datname = current_database()) \
         and classid::bigint = (($1 >> 32) & 4294967295) and objid::bigint = ($1 & 4294967295)) as flag",
    )
    .bind::<BigInt, _>(worker_key(id))
    .get_result(conn)?;
    Ok(held.flag)
}

/// True when the server was started after the worker's last sign of life. Then nobody's lock outlived the start, and
/// that a worker holds none says nothing about it.
pub(super) fn restarted_since_heartbeat(conn: &mut PgConnection, id: &str) -> QueryResult<bool> {
    let restarted: Flag = diesel::sql_query(
        "select exists (select from workers where id = $1 and heartbeat_at < pg_postmaster_start_time()) as flag",
    )
    .bind::<Text, _>(id)
    .get_result(conn)?;
    Ok(restarted.flag)
}

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
pub(super) fn fill_stage<E: From<DbError>>(
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
