//! Poolers between dayfill and PostgreSQL that give a session away between transactions.

use diesel::PgConnection;
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::Integer;

use crate::db::error::{DbError, Doing};
use crate::db::pool::Conn;

/// Fails where two connections work in one session of the server, or one of them moves between sessions: a stage would
/// be in another session than the publishing of its rows, or be another day's.
///
/// # Errors
/// [`DbError::Setup`], or another one when the database does not answer.
pub fn require_sessions(one: &mut Conn, other: &mut Conn) -> Result<(), DbError> {
    let (Conn::Postgres(one), Conn::Postgres(other)) = (one, other) else { return Ok(()) };
    let (one, other) = (one.get(), other.get());
    if !share(one, other)
        .and_then(|shared| Ok(shared || move_about(one, other)?))
        .doing("asking which session this is")?
    {
        return Ok(());
    }
    Err(DbError::Setup(
        "a pooler in front of the database shares sessions between connections, as PgBouncer does with pool_mode = \
         transaction or statement: set pool_mode = session for this database, or connect to PostgreSQL itself"
            .to_owned(),
    ))
}

/// True when both are seen in one session, or one of them in two: a pooler with one session for all shows that, and
/// would have the second wait for the first in a transaction.
fn share(one: &mut PgConnection, other: &mut PgConnection) -> QueryResult<bool> {
    let (before, beside, after) = (session(one)?, session(other)?, session(one)?);
    Ok(before != after || before == beside)
}

/// True when one of them is in another session after a transaction. A transaction of each at once takes two sessions of
/// a pooler. Those are free again then, and it hands out either the longest or the shortest free one: the first is not
/// the one that the second connection had, the second is not the one that the first connection had.
fn move_about(one: &mut PgConnection, other: &mut PgConnection) -> QueryResult<bool> {
    one.batch_execute("begin")?;
    let first = session(one)?;
    other.batch_execute("begin")?;
    let second = session(other)?;
    one.batch_execute("commit")?;
    other.batch_execute("commit")?;
    Ok(session(other)? != second || session(one)? != first)
}

#[derive(QueryableByName)]
struct Backend {
    #[diesel(sql_type = Integer)]
    pid: i32,
}

fn session(conn: &mut PgConnection) -> QueryResult<i32> {
    let backend: Backend = diesel::sql_query("select pg_backend_pid() as pid").get_result(conn)?;
    Ok(backend.pid)
}
