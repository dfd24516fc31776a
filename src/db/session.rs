//! What every database session is told before its first statement.

use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::r2d2::CustomizeConnection;
use diesel::{PgConnection, SqliteConnection};

use crate::column::Identifier;
use crate::db::watchlist::Waiter;

/// How much of the stage PostgreSQL keeps in memory. With its default of 8 MB it writes most pages twice: staging and
/// inserting a million rows took 8 to 15% longer (docs/benchmarks.md). Only a session that stages takes it.
const STAGE_BUFFERS: &str = "64MB";

/// How often a server that can (PostgreSQL 14, on Linux) looks whether we are still there while it works or waits for a
/// lock on our behalf: a statement of a process that was killed does not stay in the queue for a lock.
const CLIENT_CHECK: &str = "2s";

/// What every PostgreSQL session is told first. The time limits that a role or database may set would end a worker's
/// session, which idles for life, or a long publish; compiling the insert takes longer than it saves. With
/// `row_security` off a policy that would hide rows from a statement makes it fail: a day's old rows that the delete
/// does not see would stay beside the new ones.
///
/// Where dayfill's own tables have a schema of their own, it is all of the search path; the path that the session came
/// with is kept for what is said about targets (`Conn::on_targets`).
///
/// Each session shares in the worker's lock: while any of them is there, the process is.
#[derive(Debug)]
pub(super) struct PostgresSession {
    pub(super) lease: Duration,
    pub(super) worker_key: i64,
    pub(super) schema: Option<Identifier>,
}

impl CustomizeConnection<PgConnection, diesel::r2d2::Error> for PostgresSession {
    fn on_acquire(&self, conn: &mut PgConnection) -> Result<(), diesel::r2d2::Error> {
        super::postgres::speak_english(conn);
        // A pooler's session that another client used may have temporary tables behind it, and keeps its buffers then.
        // Whatever else is wrong with the session, the next statement says.
        drop(conn.batch_execute(&format!("set temp_buffers = '{STAGE_BUFFERS}'")));
        conn.batch_execute(&format!(
            "set timezone = 'UTC'; set datestyle = 'ISO, YMD'; set standard_conforming_strings = on; \
             set default_transaction_isolation = 'read committed'; set statement_timeout = 0; set lock_timeout = 0; \
             set idle_in_transaction_session_timeout = {}; set client_min_messages = warning; \
             set jit = off; set row_security = off; \
             select set_config(name, '0', false) from pg_settings \
             where name in ('idle_session_timeout', 'transaction_timeout'); \
             select set_config(name, '{CLIENT_CHECK}', false) from pg_settings \
             where name = 'client_connection_check_interval' and version() ~* 'linux'; \
             select pg_advisory_lock_shared({})",
            self.lease.as_millis(),
            self.worker_key
        ))
        .map_err(diesel::r2d2::Error::QueryError)?;
        let Some(schema) = &self.schema else { return Ok(()) };
        conn.batch_execute(&format!(
            "select set_config('dayfill.search_path', \
             coalesce(nullif(current_setting('dayfill.search_path', true), ''), current_setting('search_path')), false), \
             set_config('dayfill.schema', '{schema}', false), set_config('search_path', quote_ident('{schema}'), false)"
        ))
        .map_err(diesel::r2d2::Error::QueryError)
    }
}

/// What every SQLite connection is told first: the busy timeout before all, since even the others may meet a lock.
#[derive(Debug)]
pub(super) struct SqliteSession;

impl CustomizeConnection<SqliteConnection, diesel::r2d2::Error> for SqliteSession {
    fn on_acquire(&self, conn: &mut SqliteConnection) -> Result<(), diesel::r2d2::Error> {
        super::sqlite::wait_inside(conn)
            .and_then(|()| use_wal(conn))
            .and_then(|()| {
                conn.batch_execute("pragma synchronous = normal; pragma foreign_keys = on; pragma temp_store = file")
            })
            .and_then(|()| super::sqlite::refuse_writes(conn, true))
            .map_err(diesel::r2d2::Error::QueryError)
    }
}

/// Switches the file to WAL. The switch itself does not wait for others' locks, whatever the timeout (tried); taking
/// the whole file and letting go of it does.
fn use_wal(conn: &mut SqliteConnection) -> diesel::QueryResult<()> {
    loop {
        match conn.batch_execute("pragma journal_mode = wal") {
            Err(error) if error.to_string().contains("locked") => {
                super::sqlite::while_locked(conn, &Waiter::default(), |conn| {
                    conn.batch_execute("begin exclusive; rollback")
                })?;
            }
            switched => return switched,
        }
    }
}
