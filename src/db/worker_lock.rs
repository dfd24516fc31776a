//! The lock that tells others whether a worker lives: an advisory lock in which all sessions of the process share on
//! PostgreSQL, so that none of them is missed when it breaks, and a locked file beside the SQLite file; a pid would prove
//! nothing across containers.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::db::error::{DbError, Doing};
use crate::db::pool::Conn;

/// What a worker holds for life.
pub(super) enum WorkerLock {
    /// Every session of the process shares in an advisory lock (`pool`).
    Sessions,
    /// The file is locked while it is open, and removed at the end.
    File { path: PathBuf, locked: File },
}

impl WorkerLock {
    pub(super) fn error(&self, source: std::io::Error) -> DbError {
        let path = if let Self::File { path, .. } = self { path.display().to_string() } else { String::new() };
        DbError::LockFile { path, source }
    }
}

/// Takes the lock of a worker until it is dropped.
pub(super) fn acquire(conn: &mut Conn, id: &str) -> Result<WorkerLock, DbError> {
    match conn {
        Conn::Sqlite(handle) => {
            let database = super::sqlite::database_file(handle.get()).doing("asking for the database's file")?;
            let path = lock_file(Path::new(&database), id);
            let lock = || {
                std::fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
                let file = File::create(&path)?;
                file.lock()?;
                Ok(file)
            };
            match lock() {
                Ok(locked) => Ok(WorkerLock::File { path, locked }),
                Err(source) => Err(DbError::LockFile { path: path.display().to_string(), source }),
            }
        }
        // Its session holds the lock as all do.
        Conn::Postgres(_) => Ok(WorkerLock::Sessions),
    }
}

/// The file that a worker of a SQLite database keeps locked: `dayfill.db.workers/ID`.
pub(super) fn lock_file(database: &Path, id: &str) -> PathBuf {
    let mut folder = database.as_os_str().to_owned();
    folder.push(".workers");
    Path::new(&folder).join(id)
}

/// True when the worker's lock is held, by a process that lives.
pub(super) fn is_alive(conn: &mut Conn, id: &str) -> Result<bool, DbError> {
    match conn {
        Conn::Postgres(handle) => super::postgres::worker_holds_lock(handle.get(), id),
        Conn::Sqlite(handle) => super::sqlite::database_file(handle.get()).map(|database| {
            match File::open(lock_file(Path::new(&database), id)) {
                Ok(file) => file.try_lock_shared().is_err(),
                Err(error) => error.kind() != std::io::ErrorKind::NotFound,
            }
        }),
    }
    .doing("asking whether the worker lives")
}

/// True when the worker may be alive: it is, or it cannot be told. The lease decides then.
pub(super) fn may_be_alive(conn: &mut Conn, id: &str) -> Result<bool, DbError> {
    if is_alive(conn, id)? {
        return Ok(true);
    }
    let Conn::Postgres(handle) = conn else { return Ok(false) };
    super::postgres::restarted_since_heartbeat(handle.get(), id).doing("asking since when the server runs")
}

/// True when a SQLite worker's file says that its leases hold: a long publish of another process keeps it from the
/// database. Both clocks are this machine's.
pub(super) fn is_leased_by_file(conn: &mut Conn, id: &str) -> Result<bool, DbError> {
    let Conn::Sqlite(handle) = conn else { return Ok(false) };
    let database = super::sqlite::database_file(handle.get()).doing("asking for the database's file")?;
    let until = std::fs::metadata(lock_file(Path::new(&database), id)).and_then(|file| file.modified());
    Ok(until.is_ok_and(|until| until > SystemTime::now()))
}

/// Removes the lock file of a worker that is gone.
pub(super) fn remove_file(conn: &mut Conn, id: &str) -> Result<(), DbError> {
    if let Conn::Sqlite(handle) = conn {
        let database = super::sqlite::database_file(handle.get()).doing("asking for the database's file")?;
        // It may be gone already.
        drop(std::fs::remove_file(lock_file(Path::new(&database), id)));
    }
    Ok(())
}

/// True when the file of the SQLite worker says that the attempt of the claim is not to be counted.
pub(super) fn is_uncounted(conn: &mut Conn, id: &str, claim: &str) -> Result<bool, DbError> {
    let Conn::Sqlite(handle) = conn else { return Ok(false) };
    let database = super::sqlite::database_file(handle.get()).doing("asking for the database's file")?;
    let tokens = std::fs::read_to_string(lock_file(Path::new(&database), id)).unwrap_or_default();
    Ok(tokens.lines().any(|line| line == claim))
}
