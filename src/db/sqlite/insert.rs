//! Inserts of a day's rows into the stage.

use diesel::SqliteConnection;
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::sql_types::{BigInt, Nullable, Text};
use diesel::sqlite::Sqlite;

use crate::db::error::{DbError, Doing, STAGING};
use crate::db::row_sink::{Feed, RowSink};
use crate::validate::{Reject, Row};

/// Fills the stage with all rows that `feed` hands over. One transaction on the temporary database alone: the main file
/// stays free for others.
pub(in crate::db) fn fill_stage<E: From<DbError>>(conn: &mut SqliteConnection, feed: Feed<'_, E>) -> Result<(), E> {
    conn.batch_execute("begin").doing("beginning the stage")?;
    let handed = feed(&mut InsertSink { conn });
    // A stage that was not filled is not read either; the transaction ends all the same.
    let ended = conn.batch_execute("commit").doing("ending the stage");
    handed?;
    Ok(ended?)
}

/// Inserts row by row with one statement that the connection keeps prepared.
struct InsertSink<'a> {
    conn: &'a mut SqliteConnection,
}

impl RowSink for InsertSink<'_> {
    fn row(&mut self, line: u64, row: &Row) -> Result<Option<Reject>, DbError> {
        let line = i64::try_from(line).unwrap_or(i64::MAX);
        let insert = Insert { cells: row.cells().collect(), line };
        insert.execute(self.conn).doing(STAGING).map(|_| None)
    }
}

struct Insert<'a> {
    cells: Vec<Option<&'a str>>,
    line: i64,
}

impl QueryId for Insert<'_> {
    type QueryId = ();
    // The text decides, and is what the connection's statement cache goes by.
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl QueryFragment<Sqlite> for Insert<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        out.push_sql("insert into temp.dayfill_stage values (");
        for cell in &self.cells {
            out.push_bind_param::<Nullable<Text>, _>(cell)?;
            out.push_sql(", ");
        }
        out.push_bind_param::<BigInt, _>(&self.line)?;
        out.push_sql(")");
        Ok(())
    }
}

impl RunQueryDsl<SqliteConnection> for Insert<'_> {}
