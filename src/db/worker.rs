//! The worker: this process as the database knows it. It holds a lock for life, so that others can tell at once when it
//! is dead, and a heartbeat that keeps its claims while it lives.

use std::collections::{HashMap, HashSet};
use std::io::Write as _;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use diesel::prelude::*;

use crate::db::cancellation::{self, LOOKS_EVERY};
use crate::db::encoding::Texts;
use crate::db::error::{DbError, Doing};
use crate::db::pool::{Conn, Database, on};
use crate::db::schema::{processed_days, workers};
use crate::db::worker_lock::{self, WorkerLock};
use crate::db::workers::register;

/// This process, registered, until [`Worker::sign_off`] or its end.
pub struct Worker {
    database: Arc<Database>,
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What the heartbeat is told. Each lock is held for a moment only, but for `kept`: a beat holds that while its
/// transaction is open, so that a claim that is let go sees no later beat.
#[derive(Default)]
struct Shared {
    signals: Mutex<Signals>,
    /// Wakes the heartbeat for its signals.
    wake: Condvar,
    /// The tokens of the claims that are this process's own, whether they are kept or not, and what cancels their loads.
    held: Mutex<HashMap<String, OnCancel>>,
    /// The tokens of the claims whose leases are extended.
    kept: Mutex<HashSet<String>>,
    /// What is wrong with the configuration that this process refused.
    refused_config: Mutex<Option<String>>,
    /// The tokens of the claims whose attempts are not to be counted, as far as the database was not told.
    uncounted: Mutex<HashSet<String>>,
}

/// Is told that a load is to be cancelled: by whom, with the reason that was given.
pub type OnCancel = Arc<dyn Fn(String) + Send + Sync>;

#[derive(Default)]
struct Signals {
    /// A beat is wanted now, not at its time.
    at_once: bool,
    /// There is a claim whose load may be to be cancelled.
    claimed: bool,
    stopped: bool,
}

/// A claim in this process's hands; see [`Worker::hold`].
pub struct HeldClaim {
    shared: Arc<Shared>,
    token: String,
}

impl Worker {
    /// Registers this process and starts its heartbeat, a third of the lease apart. `conn` is kept for it.
    ///
    /// # Errors
    /// A [`DbError`] when the lock or the row cannot be written.
    pub fn start(database: &Arc<Database>, mut conn: Conn) -> Result<Self, DbError> {
        let lock = worker_lock::acquire(&mut conn, database.worker())?;
        register(&mut conn, database.worker())?;
        let shared = Arc::new(Shared::default());
        let heartbeat = Heartbeat { database: Arc::clone(database), conn: Some(conn), lock };
        let thread = std::thread::spawn({
            let shared = Arc::clone(&shared);
            move || heartbeat.run(&shared)
        });
        Ok(Self { database: Arc::clone(database), shared, thread: Mutex::new(Some(thread)) })
    }

    /// The worker's id, as claims hold it.
    #[must_use]
    pub fn id(&self) -> &str {
        self.database.worker()
    }

    /// Notes, for all to see, what is wrong with the configuration that this process refused; `None` when it took the
    /// last one. Does not wait for the database.
    pub fn note_refused_config(&self, problems: Option<String>) {
        *lock(&self.shared.refused_config) = problems;
        lock(&self.shared.signals).at_once = true;
        self.shared.wake.notify_all();
    }

    /// Takes a claim into this process's hands until the guard is dropped, and extends its lease. `on_cancel` is told
    /// when somebody asks for its load to be cancelled, from another thread.
    #[must_use]
    pub fn hold(&self, token: &str, on_cancel: OnCancel) -> HeldClaim {
        lock(&self.shared.held).insert(token.to_owned(), on_cancel);
        lock(&self.shared.signals).claimed = true;
        self.shared.wake.notify_all();
        let held = HeldClaim { shared: Arc::clone(&self.shared), token: token.to_owned() };
        held.resume_renewal();
        held
    }

    /// Ends the heartbeat and takes the registration back; waits for the database.
    pub fn sign_off(&self) {
        lock(&self.shared.signals).stopped = true;
        self.shared.wake.notify_all();
        if let Some(thread) = lock(&self.thread).take() {
            drop(thread.join());
        }
    }

    /// True when the claim is in this process's hands: its owner lives, whatever became of the lease.
    pub(super) fn holds(&self, token: &str) -> bool {
        lock(&self.shared.held).contains_key(token)
    }
}

impl HeldClaim {
    /// Has the lease extended, as from the beginning.
    pub fn resume_renewal(&self) {
        lock(&self.shared.kept).insert(self.token.clone());
    }

    /// Notes that the attempt is not to be counted, which the database could not be told. Where it never can be until this
    /// process ends, the worker's file tells it to who takes the day over.
    pub fn is_not_to_count(&self) {
        lock(&self.shared.uncounted).insert(self.token.clone());
    }

    /// Lets the lease be, and waits for a beat under way. It must be called before publishing: a beat would wait for
    /// the row that publishing holds.
    pub fn stop_renewal(&self) {
        lock(&self.shared.kept).remove(&self.token);
    }
}

impl Drop for HeldClaim {
    fn drop(&mut self) {
        self.stop_renewal();
        lock(&self.shared.held).remove(&self.token);
        lock(&self.shared.uncounted).remove(&self.token);
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.sign_off();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The thread that beats, with a connection that does nothing else.
struct Heartbeat {
    database: Arc<Database>,
    conn: Option<Conn>,
    lock: WorkerLock,
}

impl Heartbeat {
    fn run(mut self, shared: &Shared) {
        let every = self.database.lease() / 3;
        let mut next = Instant::now() + every;
        loop {
            let until_next = next.saturating_duration_since(Instant::now());
            let claimed = !lock(&shared.held).is_empty();
            let pause = if claimed { until_next.min(LOOKS_EVERY) } else { until_next };
            let quiet = |signals: &mut Signals| !signals.stopped && !signals.at_once && (claimed || !signals.claimed);
            let (mut signals, _) = shared
                .wake
                .wait_timeout_while(lock(&shared.signals), pause, quiet)
                .unwrap_or_else(PoisonError::into_inner);
            if signals.stopped {
                break;
            }
            signals.claimed = false;
            let is_due = std::mem::take(&mut signals.at_once) || next <= Instant::now();
            drop(signals);
            if claimed && let Err(error) = self.look_for_cancelled(shared) {
                // The next beat makes a new connection.
                log::debug!("heartbeat of worker {}: {error}", self.database.worker());
            }
            if !is_due {
                continue;
            }
            next = Instant::now() + every;
            // A session that broke tells of it only when it is used; a new one may do at once.
            let broken = self.conn.is_some() && self.beat(shared).is_err();
            if (broken || self.conn.is_none())
                && let Err(error) = self.beat(shared)
            {
                // Who works with the database says what is wrong with it.
                log::debug!("heartbeat of worker {}: {error}; trying again in {every:?}", self.database.worker());
            }
        }
        self.sign_off(&lock(&shared.uncounted).clone());
    }

    /// Has those loads cancelled that somebody asked for.
    fn look_for_cancelled(&mut self, shared: &Shared) -> Result<(), DbError> {
        let held: Vec<String> = lock(&shared.held).keys().cloned().collect();
        let Some(conn) = self.conn.as_mut().filter(|_| !held.is_empty()) else { return Ok(()) };
        for (token, by) in cancellation::of(conn, &held)? {
            let on_cancel = lock(&shared.held).get(&token).cloned();
            if let Some(cancel) = on_cancel {
                cancel(by);
            }
        }
        Ok(())
    }

    fn beat(&mut self, shared: &Shared) -> Result<(), DbError> {
        // The file's time is the end of the lease too: it needs no lock of the database, which a long publish holds.
        if let WorkerLock::File { locked, .. } = &self.lock {
            locked.set_modified(SystemTime::now() + self.database.lease()).map_err(|source| self.lock.error(source))?;
        }
        let mut conn = match self.conn.take() {
            Some(conn) => conn,
            None => self.database.connect()?,
        };
        let refused = lock(&shared.refused_config).clone();
        beat(&mut conn, self.database.worker(), &shared.kept, refused.as_deref(), self.database.lease())?;
        self.conn = Some(conn);
        Ok(())
    }

    fn sign_off(&mut self, uncounted: &HashSet<String>) {
        let id = self.database.worker();
        // First, since the process may end while the database is waited for.
        if let WorkerLock::File { locked, .. } = &mut self.lock {
            for token in uncounted {
                drop(writeln!(locked, "{token}"));
            }
        }
        if let Some(conn) = &mut self.conn
            && let Err(error) = conn.transaction(|conn| {
                // Who ends waits for no standby.
                conn.commit_in_background()?;
                on!(conn, c => diesel::delete(workers::table.find(id)).execute(c)).doing("signing off")
            })
        {
            log::debug!("worker {id} could not take its registration back: {error}");
        }
        if let WorkerLock::File { path, .. } = &self.lock
            && uncounted.is_empty()
        {
            drop(std::fs::remove_file(path));
        }
    }
}

/// Extends the leases of the tokens that are still claims, and notes that the worker lives.
fn beat(
    conn: &mut Conn,
    id: &str,
    kept: &Mutex<HashSet<String>>,
    refused_config: Option<&str>,
    lease: Duration,
) -> Result<(), DbError> {
    let refused_config =
        refused_config.map(|problems| Texts::default().storable(conn, problems.to_owned())).transpose()?;
    // Held until the commit, so that a claim that is let go sees no later beat; but not while SQLite's write lock is
    // waited for: a load that wants to publish would wait here, where nothing cancels it.
    let mut held = None;
    conn.transaction(|conn| {
        let kept = &**held.insert(lock(kept));
        // A beat must not wait for a standby: it would hold the rows of days meanwhile, which publishing wants.
        conn.commit_in_background()?;
        let now = conn.now()?;
        if !kept.is_empty() {
            let ours = processed_days::table.filter(processed_days::claim.eq_any(kept));
            on!(conn, c => diesel::update(ours).set(processed_days::lease_until.eq(now + lease)).execute(c))
                .doing("extending the lease")?;
        }
        let seen = (workers::heartbeat_at.eq(now), workers::refused_config.eq(&refused_config));
        on!(conn, c => diesel::update(workers::table.find(id)).set(seen).execute(c))
            .doing("noting the heartbeat")
            .map(drop)
    })
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;
    use crate::db::migrate::migrate;
    use crate::db::url::DatabaseUrl;

    #[test]
    fn a_beat_that_waits_for_a_held_file_keeps_no_load_from_publishing() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("days.db");
        let url = DatabaseUrl::Sqlite(file.clone());
        let database = Arc::new(Database::new(url, Duration::from_mins(1), 2));
        let mut conn = database.connect().unwrap();
        migrate(&mut conn).unwrap();
        let worker = Worker::start(&database, conn).unwrap();
        let held = worker.hold("a token", Arc::new(|_| {}));
        let mut other = database.connect().unwrap();
        other
            .transaction(|_| {
                let leased_until =
                    || std::fs::metadata(worker_lock::lock_file(&file, worker.id())).unwrap().modified().unwrap();
                let before = leased_until();
                worker.note_refused_config(None);
                // A beat writes there first.
                while leased_until() == before {
                    std::thread::yield_now();
                }
                let (send, rested) = channel();
                std::thread::spawn(move || {
                    held.stop_renewal();
                    send.send(()).unwrap();
                });
                rested.recv_timeout(Duration::from_secs(20)).expect("the load goes on to publish");
                Ok::<_, DbError>(())
            })
            .unwrap();
    }
}
