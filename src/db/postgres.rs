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

use crate::column::{ColumnType, TableName};
use crate::db::error::{COPYING, DbError, SQLSTATE};
use crate::db::stage::{Characters, Feed, RowSink};
use crate::db::statements::Dialect;
use crate::validate::{Reject, Row};

mod catalog;

pub(super) use catalog::{comparing_as_target, find_target};

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
    let is_english = speaks_english(conn);
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

#[derive(QueryableByName)]
struct Name {
    #[diesel(sql_type = Text)]
    name: String,
}

/// What `lc_messages` begins with where messages are English.
const ENGLISH: &str = "^(c|posix|en|english)($|[._@])";

/// Has the server speak English in this session, where the role may choose: dayfill reads its messages.
pub(super) fn speak_english(conn: &mut PgConnection) {
    // Where it may not, errors are told apart by their SQLSTATE as far as it can be had; see `foreign_language`.
    drop(conn.batch_execute(&format!(
        "select set_config('lc_messages', 'C', false) where current_setting('lc_messages') !~* '{ENGLISH}'"
    )));
}

fn speaks_english(conn: &mut PgConnection) -> bool {
    let asked = format!("select current_setting('lc_messages') ~* '{ENGLISH}' as flag");
    // Who does not answer is gone, which the error says in any language.
    diesel::sql_query(asked).get_result(conn).map_or(true, |it: Flag| it.flag)
}

/// The language of the server's messages and the session's role, where that is not English.
pub(super) fn foreign_language(conn: &mut PgConnection) -> QueryResult<Option<(String, String)>> {
    let found: Vec<Language> = diesel::sql_query(format!(
        "select current_setting('lc_messages') as language, quote_ident(current_user) as role \
         where current_setting('lc_messages') !~* '{ENGLISH}'"
    ))
    .load(conn)?;
    Ok(found.into_iter().next().map(|found| (found.language, found.role)))
}

#[derive(QueryableByName)]
struct Language {
    #[diesel(sql_type = Text)]
    language: String,
    #[diesel(sql_type = Text)]
    role: String,
}

/// True when the session may run anonymous blocks, whose errors can tell their SQLSTATE.
pub(super) fn can_report_codes(conn: &mut PgConnection) -> QueryResult<bool> {
    let can: Flag = diesel::sql_query(
        "select exists (select from pg_language where lanname = 'plpgsql' and has_language_privilege(oid, 'usage')) \
         as flag",
    )
    .get_result(conn)?;
    Ok(can.flag)
}

/// Runs a statement, and another after it, in a block that puts the SQLSTATE of an error before its message: diesel
/// does not hand it out, and messages may be in any language. The number of rows that the first one touched.
pub(super) fn run_coded(conn: &mut PgConnection, sql: &str, then: Option<&str>) -> QueryResult<i64> {
    // Text of the dataset stands in the statement: it cannot end a quotation that it cannot guess.
    let quote = format!("$q{}$", uuid::Uuid::new_v4().simple());
    let then = then.map(|then| format!("{then};")).unwrap_or_default();
    conn.batch_execute(&format!(
        "do {quote} declare touched bigint; state text; words text; detailed text; hinted text; col text; con text; \
         tab text; begin execute {inner}{sql}{inner}; get diagnostics touched = row_count; {then} \
         perform set_config('dayfill.touched', touched::text, true); \
         exception when query_canceled or assert_failure or others then get stacked diagnostics \
         state = returned_sqlstate, words = message_text, detailed = pg_exception_detail, \
         hinted = pg_exception_hint, col = column_name, con = constraint_name, tab = table_name; \
         raise exception using errcode = state, message = '{SQLSTATE}' || state || ': ' || words, \
         detail = coalesce(detailed, ''), hint = coalesce(hinted, ''), column = coalesce(col, ''), \
         constraint = coalesce(con, ''), table = coalesce(tab, ''); end {quote}",
        inner = quote.replace("$q", "$s"),
    ))?;
    let touched: Number =
        diesel::sql_query("select current_setting('dayfill.touched')::bigint as number").get_result(conn)?;
    Ok(touched.number)
}

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    number: i64,
}

/// The statement that holds the table's own deferred constraints against its rows; `None` when it has none. Those of
/// other tables that refer to it stay deferred.
pub(super) fn check_deferred(conn: &mut PgConnection, table: &TableName) -> QueryResult<Option<String>> {
    let names: Vec<Name> = diesel::sql_query(
        "select distinct format('%I.%I', n.nspname, k.conname) as name \
         from pg_constraint k join pg_namespace n on n.oid = k.connamespace \
         where k.conrelid = to_regclass($1) and k.condeferrable",
    )
    .bind::<Text, _>(table.quoted())
    .load(conn)?;
    let names: Vec<String> = names.into_iter().map(|found| found.name).collect();
    Ok((!names.is_empty()).then(|| format!("set constraints {} immediate", names.join(", "))))
}

/// True when rows of the table refer to rows of the table.
pub(super) fn refers_to_itself(conn: &mut PgConnection, table: &TableName) -> QueryResult<bool> {
    let found: Flag = diesel::sql_query(
        "select exists (select from pg_constraint where contype = 'f' and conrelid = to_regclass($1) \
         and confrelid = conrelid) as flag",
    )
    .bind::<Text, _>(table.quoted())
    .get_result(conn)?;
    Ok(found.flag)
}

/// The columns of one of the table's constraints.
pub(super) fn constrained_columns(
    conn: &mut PgConnection,
    table: &TableName,
    constraint: &str,
) -> QueryResult<Vec<String>> {
    let names: Vec<Name> = diesel::sql_query(
        "select a.attname::text as name from pg_constraint k \
         join pg_attribute a on a.attrelid = k.conrelid and a.attnum = any(k.conkey) \
         where k.conrelid = to_regclass($1) and k.conname = $2 order by array_position(k.conkey, a.attnum)",
    )
    .bind::<Text, _>(table.quoted())
    .bind::<Text, _>(constraint)
    .load(conn)?;
    Ok(names.into_iter().map(|found| found.name).collect())
}

#[derive(QueryableByName)]
struct Length {
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = BigInt)]
    longest: i64,
}

/// How many characters those columns of the table hold whose type says so.
pub(super) fn lengths(conn: &mut PgConnection, table: &TableName) -> QueryResult<Vec<(String, usize)>> {
    let lengths: Vec<Length> = diesel::sql_query(
        "select attname::text as name, (atttypmod - 4)::bigint as longest from pg_attribute \
         where attrelid = to_regclass($1) and attnum > 0 and atttypmod > 4 \
         and atttypid in ('character varying'::regtype, 'character'::regtype)",
    )
    .bind::<Text, _>(table.quoted())
    .load(conn)?;
    Ok(lengths.into_iter().map(|found| (found.name, usize::try_from(found.longest).unwrap_or(usize::MAX))).collect())
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
