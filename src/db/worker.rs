//! The worker: this process as the database knows it. It holds a lock for life, so that others can tell at once when it
//! is dead, and a heartbeat that keeps its claims while it lives.
//!
//! The lock is a session advisory lock on PostgreSQL and a locked file beside the SQLite file. Lock and heartbeat share
//! one connection that does nothing else; a pid would prove nothing across containers.

use std::collections::HashSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use chrono::{NaiveDateTime, TimeDelta};
use diesel::prelude::*;

use crate::db::error::{DbError, Doing};
use crate::db::pool::{Conn, Database, on};
use crate::db::schema::{processed_days, workers};

/// How old the last heartbeat of a worker is when its row is cleared away.
const FORGET_AFTER: TimeDelta = TimeDelta::days(7);

/// This process, registered. Dropping it ends the heartbeat and takes the registration back.
pub struct Worker {
    id: String,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    /// The tokens of the claims to keep, and whether the heartbeat goes on.
    beats: Mutex<Beats>,
    /// Wakes the heartbeat to end it.
    wake: Condvar,
}

#[derive(Default)]
struct Beats {
    tokens: HashSet<String>,
    /// What is wrong with the configuration that this process refused.
    refused_config: Option<String>,
    /// A beat is wanted now, not at its time.
    at_once: bool,
    stopped: bool,
}

/// Keeps a claim while it lives; see [`Worker::keep`].
pub struct Kept<'a> {
    worker: &'a Worker,
    token: String,
}

#[derive(Insertable)]
#[diesel(table_name = workers)]
struct NewWorker<'a> {
    id: &'a str,
    host: &'a str,
    pid: i64,
    version: &'a str,
    started_at: NaiveDateTime,
    heartbeat_at: NaiveDateTime,
}

/// What is held for life on behalf of a worker.
enum LifeLock {
    /// The session holds an advisory lock.
    Session,
    /// The file is locked while it is open, and removed at the end.
    File { path: PathBuf, locked: File },
}

impl LifeLock {
    fn error(&self, source: std::io::Error) -> DbError {
        let path = if let Self::File { path, .. } = self { path.display().to_string() } else { String::new() };
        DbError::LockFile { path, source }
    }
}

impl Worker {
    /// Registers this process and starts its heartbeat, a third of the lease apart. `conn` is kept for both.
    ///
    /// # Errors
    /// A [`DbError`] when the lock or the row cannot be written.
    pub fn start(database: &Arc<Database>, mut conn: Conn) -> Result<Self, DbError> {
        let id = uuid::Uuid::new_v4().to_string();
        let lock = lock_for_life(&mut conn, &id)?;
        register(&mut conn, &id)?;
        let shared = Arc::new(Shared { beats: Mutex::default(), wake: Condvar::new() });
        let (database, lock_pending) = (Arc::clone(database), false);
        let heartbeat = Heartbeat { database, conn: Some(conn), id: id.clone(), lock, lock_pending };
        let thread = std::thread::spawn({
            let shared = Arc::clone(&shared);
            move || heartbeat.run(&shared)
        });
        Ok(Self { id, shared, thread: Some(thread) })
    }

    /// The worker's id, as claims hold it.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Notes, for all to see, what is wrong with the configuration that this process refused; `None` when it took the last
    /// one.
    pub fn note_refused_config(&self, problems: Option<String>) {
        let mut beats = self.shared.lock();
        beats.refused_config = problems;
        beats.at_once = true;
        self.shared.wake.notify_all();
    }

    /// Extends a claim's lease until the guard is dropped, which waits for a beat under way. It must be dropped before
    /// publishing: a beat would wait for the row that publishing holds.
    #[must_use]
    pub fn keep(&self, token: &str) -> Kept<'_> {
        self.shared.lock().tokens.insert(token.to_owned());
        Kept { worker: self, token: token.to_owned() }
    }
}

impl Drop for Kept<'_> {
    fn drop(&mut self) {
        self.worker.shared.lock().tokens.remove(&self.token);
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.shared.lock().stopped = true;
        self.shared.wake.notify_all();
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Beats> {
        self.beats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The thread that beats, with the connection that holds the lock.
struct Heartbeat {
    database: Arc<Database>,
    conn: Option<Conn>,
    id: String,
    lock: LifeLock,
    /// The session's lock is not ours yet: the server still holds it for the session that broke, which stands for us.
    lock_pending: bool,
}

impl Heartbeat {
    fn run(mut self, shared: &Shared) {
        let every = self.database.lease() / 3;
        let mut beats = shared.lock();
        while !beats.stopped {
            let quiet = |beats: &mut Beats| !beats.stopped && !beats.at_once;
            let (guard, _) =
                shared.wake.wait_timeout_while(beats, every, quiet).unwrap_or_else(PoisonError::into_inner);
            beats = guard;
            if !beats.stopped {
                beats.at_once = false;
                // The lock on the tokens is held meanwhile, so that a claim that is let go sees no later beat.
                if let Err(error) = self.beat(&beats) {
                    // Who works with the database says what is wrong with it.
                    log::debug!("heartbeat of worker {}: {error}; trying again in {every:?}", self.id);
                    self.conn = None;
                }
            }
        }
        drop(beats);
        if let Some(conn) = &mut self.conn
            && let Err(error) = on!(conn, c => diesel::delete(workers::table.find(&self.id)).execute(c))
        {
            log::debug!("worker {} could not take its registration back: {error}", self.id);
        }
        if let LifeLock::File { path, .. } = &self.lock {
            drop(std::fs::remove_file(path));
        }
    }

    fn beat(&mut self, beats: &Beats) -> Result<(), DbError> {
        // The file's time is the end of the lease too: it needs no lock of the database, which a long publish holds.
        if let LifeLock::File { locked, .. } = &self.lock {
            locked.set_modified(SystemTime::now() + self.database.lease()).map_err(|source| self.lock.error(source))?;
        }
        if self.conn.is_none() {
            // The session and its lock went with the connection; the file of SQLite is still locked.
            self.conn = Some(self.database.connect()?);
            self.lock_pending = matches!(self.lock, LifeLock::Session);
        }
        let Some(conn) = &mut self.conn else { return Ok(()) };
        if self.lock_pending
            && let Conn::Postgres(link) = conn
        {
            // Never waits: the server may take hours to notice that the old session is gone.
            let locked = super::postgres::try_lock_worker(link.get(), &self.id).doing("locking the worker's id")?;
            self.lock_pending = !locked;
        }
        beat(conn, &self.id, beats, self.database.lease())
    }
}

/// Extends the leases of the tokens that are still claims, and notes that the worker lives.
fn beat(conn: &mut Conn, id: &str, beats: &Beats, lease: Duration) -> Result<(), DbError> {
    let now = conn.now()?;
    if !beats.tokens.is_empty() {
        let ours = processed_days::table.filter(processed_days::claim.eq_any(&beats.tokens));
        on!(conn, c => diesel::update(ours).set(processed_days::lease_until.eq(now + lease)).execute(c))
            .doing("extending the lease")?;
    }
    let seen = (workers::heartbeat_at.eq(now), workers::refused_config.eq(&beats.refused_config));
    on!(conn, c => diesel::update(workers::table.find(id)).set(seen).execute(c)).doing("noting the heartbeat").map(drop)
}

/// A process as the database knows it.
#[derive(Debug, Queryable, Selectable)]
#[diesel(table_name = workers)]
pub struct Registered {
    /// Its id, as claims hold it.
    pub id: String,
    /// The machine or container it runs on.
    pub host: String,
    /// Its process id there.
    pub pid: i64,
    /// Its version.
    pub version: String,
    /// When it started.
    pub started_at: NaiveDateTime,
    /// Its last sign of life.
    pub heartbeat_at: NaiveDateTime,
    /// What is wrong with the configuration it refused.
    pub refused_config: Option<String>,
}

/// The processes that are alive now, by the time they started.
///
/// # Errors
/// A [`DbError`] when the database does not answer.
pub fn alive(conn: &mut Conn) -> Result<Vec<Registered>, DbError> {
    let all: Vec<Registered> = on!(conn, c => workers::table
        .order((workers::started_at, workers::id))
        .select(Registered::as_select())
        .load(c))
    .doing("reading the workers")?;
    let mut alive = Vec::new();
    for worker in all {
        if is_alive(conn, &worker.id)? {
            alive.push(worker);
        }
    }
    Ok(alive)
}

fn register(conn: &mut Conn, id: &str) -> Result<(), DbError> {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let now = conn.now()?;
    let worker = NewWorker {
        id,
        host: host.trim(),
        pid: i64::from(std::process::id()),
        version: env!("CARGO_PKG_VERSION"),
        started_at: now,
        heartbeat_at: now,
    };
    conn.transaction(|conn| {
        conn.commit_in_background()?;
        let old = workers::table.filter(workers::heartbeat_at.lt(now - FORGET_AFTER));
        let ids: Vec<String> =
            on!(conn, c => old.select(workers::id).load(c)).doing("looking for workers of long ago")?;
        for id in ids {
            if !is_alive(conn, &id)? {
                forget_lock_file(conn, &id)?;
                on!(conn, c => diesel::delete(workers::table.find(&id)).execute(c)).doing("clearing a worker away")?;
            }
        }
        on!(conn, c => diesel::insert_into(workers::table).values(&worker).execute(c))
            .doing("registering the worker")
            .map(drop)
    })
}

fn lock_for_life(conn: &mut Conn, id: &str) -> Result<LifeLock, DbError> {
    match conn {
        Conn::Sqlite(link) => {
            let database = super::sqlite::database_file(link.get()).doing("asking for the database's file")?;
            let path = lock_file(Path::new(&database), id);
            let lock = || {
                std::fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
                let file = File::create(&path)?;
                file.lock()?;
                Ok(file)
            };
            match lock() {
                Ok(locked) => Ok(LifeLock::File { path, locked }),
                Err(source) => Err(DbError::LockFile { path: path.display().to_string(), source }),
            }
        }
        Conn::Postgres(link) => {
            super::postgres::lock_worker(link.get(), id).doing("locking the worker's id").map(|()| LifeLock::Session)
        }
    }
}

/// The file that a worker of a SQLite database keeps locked: `dayfill.db.workers/ID`.
fn lock_file(database: &Path, id: &str) -> PathBuf {
    let mut folder = database.as_os_str().to_owned();
    folder.push(".workers");
    Path::new(&folder).join(id)
}

/// True when the worker's lock is held, by a process that lives. What cannot be told counts as alive: the lease decides.
pub(super) fn is_alive(conn: &mut Conn, id: &str) -> Result<bool, DbError> {
    match conn {
        Conn::Postgres(link) => super::postgres::worker_holds_lock(link.get(), id),
        Conn::Sqlite(link) => super::sqlite::database_file(link.get()).map(|database| {
            match File::open(lock_file(Path::new(&database), id)) {
                Ok(file) => file.try_lock_shared().is_err(),
                Err(error) => error.kind() != std::io::ErrorKind::NotFound,
            }
        }),
    }
    .doing("asking whether the worker lives")
}

/// True when a SQLite worker's file says that its leases hold: a long publish of another process keeps it from the
/// database. Both clocks are this machine's.
pub(super) fn is_leased_by_file(conn: &mut Conn, id: &str) -> Result<bool, DbError> {
    let Conn::Sqlite(link) = conn else { return Ok(false) };
    let database = super::sqlite::database_file(link.get()).doing("asking for the database's file")?;
    let until = std::fs::metadata(lock_file(Path::new(&database), id)).and_then(|file| file.modified());
    Ok(until.is_ok_and(|until| until > SystemTime::now()))
}

fn forget_lock_file(conn: &mut Conn, id: &str) -> Result<(), DbError> {
    if let Conn::Sqlite(link) = conn {
        let database = super::sqlite::database_file(link.get()).doing("asking for the database's file")?;
        // It may be gone already.
        drop(std::fs::remove_file(lock_file(Path::new(&database), id)));
    }
    Ok(())
}
