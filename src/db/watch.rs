//! Watches PostgreSQL connections at work from another connection: asks who blocks a statement that waits for long, and
//! cancels statements.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use diesel::prelude::*;
use diesel::sql_types::{Array, Bool, Double, Integer, Text};

use crate::db::error::{DbError, Doing};
use crate::db::lock_holders::HOLDER;
use crate::db::pool::{Conn, Database};
use crate::db::waiting::{LockWait, WaitTarget};
use crate::db::watchlist::{CANCEL_AGAIN, Canceller, OnWait, PATIENCE, Waiter, WatchEntry, Watched, Watchlist};

impl Database {
    /// Watches a connection. `on_wait` is called for long waits, from another thread.
    ///
    /// # Errors
    /// A [`DbError`] when the database does not answer.
    pub fn watch(self: &Arc<Self>, conn: &mut Conn, on_wait: OnWait) -> Result<Watched, DbError> {
        let pid = conn.server_process()?;
        let watch = Arc::clone(self.watched());
        let mut entries = watch.entries();
        entries.last += 1;
        let id = entries.last;
        let next = Instant::now() + PATIENCE;
        entries.all.insert(
            id,
            WatchEntry { pid, on_wait, reported: None, next, cancelled: false, sealed: false, in_haste: None },
        );
        if let Conn::Sqlite(handle) = conn {
            handle.watched_as(Waiter { watch: Arc::downgrade(&watch), id: Some(id) });
        }
        if pid.is_some() && !std::mem::replace(&mut entries.watching, true) {
            let (watch, database) = (Arc::clone(&watch), Arc::downgrade(self));
            let thread = std::thread::Builder::new().name("lock watch".to_owned());
            entries.watching = thread.spawn(move || watch.run(&database)).is_ok();
        }
        drop(entries);
        Ok(Watched { watch, id })
    }

    /// What has its connections wait no longer for SQLite's file than they must, from when the process is to end.
    #[must_use]
    pub fn waits(&self) -> Canceller {
        Canceller { watch: Arc::downgrade(self.watched()), id: None }
    }

    /// For a connection that is not watched.
    pub(super) fn waiter(&self) -> Waiter {
        Waiter { watch: Arc::downgrade(self.watched()), id: None }
    }
}

impl Conn {
    /// The session's process in the server; `None` for SQLite.
    fn server_process(&mut self) -> Result<Option<i32>, DbError> {
        #[derive(QueryableByName)]
        struct Process {
            #[diesel(sql_type = Integer)]
            pid: i32,
        }
        let Self::Postgres(handle) = self else { return Ok(None) };
        let process: Process = diesel::sql_query("select pg_backend_pid() as pid")
            .get_result(handle.get())
            .doing("asking for the session's process")?;
        Ok(Some(process.pid))
    }
}

impl Watchlist {
    /// Looks at what is due until nothing is watched any more.
    fn run(&self, database: &Weak<Database>) {
        loop {
            let mut entries = self.entries();
            let next = entries.all.values().map(|entry| entry.next).min();
            let Some(database) = next.and_then(|_| database.upgrade()) else {
                entries.watching = false;
                return;
            };
            let pause = next.map_or(PATIENCE, |next| next.saturating_duration_since(Instant::now()));
            if !pause.is_zero() {
                drop(self.changed.wait_timeout(entries, pause));
                continue;
            }
            drop(entries);
            if let Err(error) = self.look(&database) {
                log::debug!("looking at what statements wait for: {error}");
            }
            self.put_off();
        }
    }

    /// What was due and is still is looked at again after a pause: the database did not answer.
    fn put_off(&self) {
        let now = Instant::now();
        for entry in self.entries().all.values_mut() {
            entry.next = entry.next.max(now + if entry.is_to_be_cancelled() { CANCEL_AGAIN } else { PATIENCE / 10 });
        }
    }

    fn look(&self, database: &Database) -> Result<(), DbError> {
        let mut conn = database.conn_at_once()?;
        let Conn::Postgres(handle) = &mut conn else { return Ok(()) };
        self.cancel(handle.get())?;
        let now = Instant::now();
        let due: Vec<(u64, i32)> = {
            let entries = self.entries();
            let is_due = entries.all.iter().filter(|(_, entry)| entry.next <= now && !entry.is_to_be_cancelled());
            is_due.filter_map(|(id, entry)| Some((*id, entry.pid?))).collect()
        };
        let waits = waits(handle.get(), &due.iter().map(|(_, pid)| *pid).collect::<Vec<_>>())?;
        for (id, pid) in due {
            let waits = waits.iter().find(|waits| waits.pid == pid);
            let waited = waits.map(|waits| Duration::from_secs_f64(waits.seconds.max(0.0)));
            let news = match (waits, waited) {
                (Some(waits), Some(waited)) if waited >= PATIENCE => Some(waits.waiting(handle.get())?),
                _ => None,
            };
            self.report(id, waited, news.as_ref());
        }
        Ok(())
    }

    /// Cancels what is to be cancelled. Sealing a connection, or having it watched no more, waits for this: a statement
    /// that comes later is not hit.
    fn cancel(&self, conn: &mut PgConnection) -> Result<(), DbError> {
        for entry in self.entries().all.values().filter(|entry| entry.is_to_be_cancelled()) {
            diesel::sql_query("select pg_cancel_backend($1)")
                .bind::<diesel::sql_types::Nullable<Integer>, _>(entry.pid)
                .execute(conn)
                .doing("cancelling a statement")?;
        }
        Ok(())
    }
}

/// A session that waits.
#[derive(QueryableByName)]
struct WaitingSession {
    #[diesel(sql_type = Integer)]
    pid: i32,
    #[diesel(sql_type = Bool)]
    for_standby: bool,
    /// What is locked.
    #[diesel(sql_type = Text)]
    locked: String,
    #[diesel(sql_type = Double)]
    seconds: f64,
}

impl WaitingSession {
    fn waiting(&self, conn: &mut PgConnection) -> Result<LockWait, DbError> {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole seconds that have passed")]
        let seconds = self.seconds as u64;
        if self.for_standby {
            return Ok(LockWait { target: WaitTarget::Standby, seconds });
        }
        let holders = diesel::sql_query(format!(
            "select {HOLDER} from pg_stat_activity a where a.pid = any(pg_blocking_pids($1)) order by seconds desc, pid"
        ))
        .bind::<Integer, _>(self.pid)
        .load(conn)
        .doing("asking who holds a lock")?;
        Ok(LockWait { target: WaitTarget::Lock { on: self.locked.clone(), holders }, seconds })
    }
}

/// Which of these sessions wait for a lock or a synchronous standby. Since when a lock is waited for the server knows
/// from version 14 on (`pg_locks.waitstart`, null for an instant); before, since when the statement runs stands for it.
fn waits(conn: &mut PgConnection, pids: &[i32]) -> Result<Vec<WaitingSession>, DbError> {
    if pids.is_empty() {
        return Ok(Vec::new());
    }
    diesel::sql_query(
        "select a.pid, a.wait_event = 'SyncRep' as for_standby, coalesce(l.locked, 'the database') as locked, \
         extract(epoch from clock_timestamp() - coalesce(l.since, case \
           when a.wait_event = 'SyncRep' or current_setting('server_version_num')::int < 140000 then a.query_start \
           else clock_timestamp() end))::float8 as seconds \
         from pg_stat_activity a left join lateral (\
           select coalesce(l.relation::regclass::text, case l.locktype when 'transactionid' then 'a row' \
           when 'advisory' then 'the right to create tables' else l.locktype end) as locked, \
           (to_jsonb(l) ->> 'waitstart')::timestamptz as since \
           from pg_locks l where l.pid = a.pid and not l.granted limit 1) l on true \
         where a.pid = any($1) and (a.wait_event_type = 'Lock' or a.wait_event = 'SyncRep')",
    )
    .bind::<Array<Integer>, _>(pids)
    .load(conn)
    .doing("asking what statements wait for")
}
