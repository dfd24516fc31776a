//! Watching connections at work: who blocks a statement that waits for long is asked on another connection and told, and
//! a statement can be cancelled.
//!
//! This is for PostgreSQL. A connection to SQLite can only be stopped by the thread that waits: a [`Waiter`] tells it when
//! to stop, and takes what it tells.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use diesel::prelude::*;
use diesel::sql_types::{Array, Bool, Double, Integer, Text};

use crate::db::error::{DbError, Doing};
use crate::db::locks::{HOLDER, Holder, named};
use crate::db::pool::{Conn, Database};

/// How long a statement waits before it is told.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// How often a statement that is to be cancelled is cancelled again: one that had not begun yet was missed.
const CANCEL_AGAIN: Duration = Duration::from_millis(200);

/// What a statement waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    wanted: Wanted,
    /// How long it has waited.
    seconds: u64,
}

/// What is waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Wanted {
    /// A lock in PostgreSQL: what is locked, and the sessions in the way.
    Lock { on: String, holders: Vec<Holder> },
    /// A standby that confirms the commit.
    Standby,
    /// SQLite's write lock: the file, and who holds it, in words.
    File { path: String, holder: String },
}

impl Waiting {
    /// For SQLite's write lock.
    pub(super) fn for_file(path: String, waited: Duration, holder: String) -> Self {
        Self { wanted: Wanted::File { path, holder }, seconds: waited.as_secs() }
    }

    /// True when it is the same that is waited for, and the same sessions are in the way.
    pub(super) fn is_still(&self, other: &Self) -> bool {
        let pids = |holders: &[Holder]| holders.iter().map(|holder| holder.pid).collect::<Vec<_>>();
        match (&self.wanted, &other.wanted) {
            (Wanted::Lock { on, holders }, Wanted::Lock { on: other, holders: others }) => {
                on == other && pids(holders) == pids(others)
            }
            (one, other) => one == other,
        }
    }
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { wanted, seconds } = self;
        write!(f, "waiting for {seconds} s for ")?;
        match wanted {
            Wanted::Lock { on, holders } => write!(f, "a lock on {on}, held by {}", named(holders)),
            Wanted::Standby => f.write_str(
                "a synchronous standby to confirm the commit; the rows are on the primary's disk, see \
                 pg_stat_replication and synchronous_standby_names",
            ),
            Wanted::File { path, holder } => write!(f, "the write lock of the SQLite file {path}, held by {holder}"),
        }
    }
}

/// Is told what a connection waits for once it has waited for long, and with `None` that it does so no more.
pub type Tell = Arc<dyn Fn(Option<&Waiting>) + Send + Sync>;

/// The connections that are watched.
#[derive(Default)]
pub(super) struct Watch {
    entries: Mutex<Entries>,
    changed: Condvar,
}

#[derive(Default)]
struct Entries {
    all: BTreeMap<u64, Entry>,
    last: u64,
    /// The process ends since then: nothing is waited for for long.
    process_ends: Option<Instant>,
    /// When it was last told of a wait for the database's file, by whichever connection.
    told_of_file: Option<Instant>,
    /// The thread that watches is there.
    watching: bool,
}

struct Entry {
    /// The session's process in the server; `None` for SQLite.
    pid: Option<i32>,
    tell: Tell,
    told: Option<Waiting>,
    /// When it is looked at next.
    next: Instant,
    cancelled: bool,
    sealed: bool,
    /// What is left to write waits no longer than it must, since then.
    in_haste: Option<Instant>,
}

impl Entry {
    fn is_to_be_cancelled(&self) -> bool {
        self.cancelled && !self.sealed
    }
}

/// A connection that is watched until this is dropped.
pub struct Watched {
    watch: Arc<Watch>,
    id: u64,
}

/// Cancels what a watched connection does, or has all connections wait no longer than they must.
#[derive(Clone)]
pub struct Canceller {
    watch: Weak<Watch>,
    /// The connection; `None` for all.
    id: Option<u64>,
}

/// What a connection to SQLite knows while it waits for the file's lock.
#[derive(Clone, Default)]
pub struct Waiter {
    watch: Weak<Watch>,
    /// Its entry, while it is watched.
    id: Option<u64>,
}

/// For how long other connections say nothing of a wait for the file that one has told of.
const TOLD_FOR: Duration = Duration::from_mins(1);

impl Waiter {
    /// True when what the connection does is cancelled.
    pub(super) fn is_cancelled(&self) -> bool {
        self.watch.upgrade().zip(self.id).is_some_and(|(watch, id)| watch.is_cancelled(id))
    }

    /// Since when the connection is to wait no longer than it must: the process ends, or its load was cancelled and has
    /// only its end to write.
    pub(super) fn in_haste_since(&self) -> Option<Instant> {
        let watch = self.watch.upgrade()?;
        let entries = watch.entries();
        let own = self.id.and_then(|id| entries.all.get(&id)).and_then(|entry| entry.in_haste);
        own.or(entries.process_ends)
    }

    /// Tells what is waited for, and with `None` that the wait is over: as the load has it told, else in the log. There it
    /// is told once, by whichever connection waits first.
    pub(super) fn tell(&self, waiting: Option<&Waiting>) {
        let watch = self.watch.upgrade();
        let by_load = watch.as_ref().zip(self.id).filter(|(watch, id)| watch.entries().all.contains_key(id));
        let before = watch.as_ref().and_then(|watch| {
            let now = waiting.map(|_| Instant::now());
            std::mem::replace(&mut watch.entries().told_of_file, now)
        });
        match (by_load, waiting) {
            (Some((watch, id)), waiting) => watch.tell(id, None, waiting),
            (None, Some(waiting)) if before.is_none_or(|before| before.elapsed() >= TOLD_FOR) => {
                log::info!("{waiting}");
            }
            (None, _) => {}
        }
    }
}

impl Watched {
    /// From here on nothing is cancelled any more, as when a commit follows. False when it was cancelled already: nothing
    /// may be committed then.
    #[must_use]
    pub fn seal(&self) -> bool {
        let mut entries = self.watch.entries();
        let Some(entry) = entries.all.get_mut(&self.id) else { return true };
        entry.sealed = true;
        !entry.cancelled
    }

    /// From here on nothing waits long for SQLite's file: what is left to write can be written later as well.
    pub fn hasten(&self) {
        if let Some(entry) = self.watch.entries().all.get_mut(&self.id) {
            entry.in_haste.get_or_insert_with(Instant::now);
        }
    }

    /// What cancels it.
    #[must_use]
    pub fn canceller(&self) -> Canceller {
        Canceller { watch: Arc::downgrade(&self.watch), id: Some(self.id) }
    }

    /// True when what is under way is to end: it was cancelled, and not sealed before.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.watch.is_cancelled(self.id)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.watch.entries().all.remove(&self.id);
    }
}

impl Canceller {
    /// True when there is nothing left that it could cancel.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.watch.strong_count() == 0
    }

    /// Cancels the connection's statements from here on, until it is sealed. Waits for nothing.
    pub fn cancel(&self) {
        let Some(watch) = self.watch.upgrade() else { return };
        let Some(id) = self.id else {
            watch.entries().process_ends.get_or_insert_with(Instant::now);
            return;
        };
        if let Some(entry) = watch.entries().all.get_mut(&id) {
            entry.cancelled = true;
            entry.next = Instant::now();
            // What it does cannot be cancelled any more, and only its end is left to write.
            if entry.sealed {
                entry.in_haste.get_or_insert(entry.next);
            }
        }
        watch.changed.notify_all();
    }
}

impl Database {
    /// Watches a connection. `tell` is told of long waits, from another thread.
    ///
    /// # Errors
    /// A [`DbError`] when the database does not answer.
    pub fn watch(self: &Arc<Self>, conn: &mut Conn, tell: Tell) -> Result<Watched, DbError> {
        let pid = conn.server_process()?;
        let watch = Arc::clone(self.watched());
        let mut entries = watch.entries();
        entries.last += 1;
        let id = entries.last;
        let next = Instant::now() + PATIENCE;
        entries.all.insert(id, Entry { pid, tell, told: None, next, cancelled: false, sealed: false, in_haste: None });
        if let Conn::Sqlite(link) = conn {
            link.watched_as(Waiter { watch: Arc::downgrade(&watch), id: Some(id) });
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
        let Self::Postgres(link) = self else { return Ok(None) };
        let process: Process = diesel::sql_query("select pg_backend_pid() as pid")
            .get_result(link.get())
            .doing("asking for the session's process")?;
        Ok(Some(process.pid))
    }
}

impl Watch {
    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_cancelled(&self, id: u64) -> bool {
        self.entries().all.get(&id).is_some_and(Entry::is_to_be_cancelled)
    }

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
        let Conn::Postgres(link) = &mut conn else { return Ok(()) };
        self.cancel(link.get())?;
        let now = Instant::now();
        let due: Vec<(u64, i32)> = {
            let entries = self.entries();
            let is_due = entries.all.iter().filter(|(_, entry)| entry.next <= now && !entry.is_to_be_cancelled());
            is_due.filter_map(|(id, entry)| Some((*id, entry.pid?))).collect()
        };
        let waits = waits(link.get(), &due.iter().map(|(_, pid)| *pid).collect::<Vec<_>>())?;
        for (id, pid) in due {
            let waits = waits.iter().find(|waits| waits.pid == pid);
            let waited = waits.map(|waits| Duration::from_secs_f64(waits.seconds.max(0.0)));
            let news = match (waits, waited) {
                (Some(waits), Some(waited)) if waited >= PATIENCE => Some(waits.waiting(link.get())?),
                _ => None,
            };
            self.tell(id, waited, news.as_ref());
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

    fn tell(&self, id: u64, waited: Option<Duration>, news: Option<&Waiting>) {
        let mut entries = self.entries();
        let Some(entry) = entries.all.get_mut(&id) else { return };
        let pause = waited
            .and_then(|waited| PATIENCE.checked_sub(waited))
            .filter(|left| !left.is_zero())
            .unwrap_or(PATIENCE / 2);
        entry.next = Instant::now() + pause;
        let same = match (&entry.told, news) {
            (Some(told), Some(news)) => told.is_still(news),
            (None, None) => true,
            _ => false,
        };
        if same {
            return;
        }
        entry.told = news.cloned();
        let tell = Arc::clone(&entry.tell);
        drop(entries);
        tell(news);
    }
}

/// A session that waits.
#[derive(QueryableByName)]
struct Waits {
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

impl Waits {
    fn waiting(&self, conn: &mut PgConnection) -> Result<Waiting, DbError> {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole seconds that have passed")]
        let seconds = self.seconds as u64;
        if self.for_standby {
            return Ok(Waiting { wanted: Wanted::Standby, seconds });
        }
        let holders = diesel::sql_query(format!(
            "select {HOLDER} from pg_stat_activity a where a.pid = any(pg_blocking_pids($1)) order by seconds desc, pid"
        ))
        .bind::<Integer, _>(self.pid)
        .load(conn)
        .doing("asking who holds a lock")?;
        Ok(Waiting { wanted: Wanted::Lock { on: self.locked.clone(), holders }, seconds })
    }
}

/// Which of these sessions wait for a lock or a synchronous standby. Since when a lock is waited for the server knows
/// from version 14 on (`pg_locks.waitstart`, null for an instant); before, since when the statement runs stands for it.
fn waits(conn: &mut PgConnection, pids: &[i32]) -> Result<Vec<Waits>, DbError> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_in_words() {
        let lock = |on: &str| Wanted::Lock { on: on.to_owned(), holders: Vec::new() };
        let waiting = |on: Option<&str>| Waiting { wanted: on.map_or(Wanted::Standby, lock), seconds: 12 };
        assert_eq!(
            waiting(Some("orders")).to_string(),
            "waiting for 12 s for a lock on orders, held by another session"
        );
        assert!(waiting(None).to_string().starts_with("waiting for 12 s for a synchronous standby"));
        assert!(waiting(None).is_still(&Waiting { seconds: 30, ..waiting(None) }));
        assert!(!waiting(None).is_still(&waiting(Some("orders"))));
        let file = |holder: &str| Waiting::for_file("/x.db".to_owned(), Duration::from_secs(12), holder.to_owned());
        let said = "waiting for 12 s for the write lock of the SQLite file /x.db, held by process 7 (python3)";
        assert_eq!(file("process 7 (python3)").to_string(), said);
        assert!(!file("process 7").is_still(&file("process 8")));
    }

    #[test]
    fn a_wait_is_told_once_until_it_is_another_or_over() {
        let (watch, said) = (Watch::default(), Arc::new(Mutex::new(Vec::new())));
        let hears = Arc::clone(&said);
        let tell: Tell = Arc::new(move |waiting| hears.lock().unwrap().push(waiting.map(ToString::to_string)));
        let next = Instant::now();
        let entry = Entry { pid: Some(7), tell, told: None, next, cancelled: false, sealed: false, in_haste: None };
        watch.entries().all.insert(1, entry);
        let waits = |on: &str, seconds| {
            let wanted = Wanted::Lock { on: on.to_owned(), holders: Vec::new() };
            watch.tell(1, Some(Duration::from_secs(seconds)), Some(&Waiting { wanted, seconds }));
        };
        waits("orders", 10);
        waits("orders", 15);
        waits("returns", 10);
        watch.tell(1, None, None);
        watch.tell(1, None, None);
        let lock = |on| Some(format!("waiting for 10 s for a lock on {on}, held by another session"));
        assert_eq!(*said.lock().unwrap(), [lock("orders"), lock("returns"), None]);
    }
}
