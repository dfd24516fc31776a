//! Poolers between dayfill and PostgreSQL that give a session away between transactions.

use diesel::prelude::*;
use diesel::sql_types::Integer;

use crate::db::error::{DbError, Doing};
use crate::db::pool::Conn;

#[derive(QueryableByName)]
struct Backend {
    #[diesel(sql_type = Integer)]
    pid: i32,
}

/// Fails where two connections work in one session of the server, or one of them moves between sessions: a stage would
/// be in another session than the publishing of its rows, or be another day's.
///
/// # Errors
/// [`DbError::Setup`], or another one when the database does not answer.
pub fn require_sessions(one: &mut Conn, other: &mut Conn) -> Result<(), DbError> {
    let (Conn::Postgres(one), Conn::Postgres(other)) = (one, other) else { return Ok(()) };
    let mut pid = |of_other: bool| {
        let conn = if of_other { other.get() } else { one.get() };
        let backend: QueryResult<Backend> = diesel::sql_query("select pg_backend_pid() as pid").get_result(conn);
        backend.map(|backend| backend.pid).doing("asking which session this is")
    };
    let (before, beside, after) = (pid(false)?, pid(true)?, pid(false)?);
    if before == after && before != beside {
        return Ok(());
    }
    Err(DbError::Setup(
        "a pooler in front of the database shares sessions between connections, as PgBouncer does with pool_mode = \
         transaction or statement: set pool_mode = session for this database, or connect to PostgreSQL itself"
            .to_owned(),
    ))
}
