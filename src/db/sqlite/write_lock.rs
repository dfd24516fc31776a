//! Waiting for SQLite's write lock: told of once it takes long, with who holds it, and given up when the load that waits is
//! cancelled or the process ends. SQLite's own wait is deaf meanwhile, so that it is cut into short ones.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::{QueryResult, SqliteConnection};

use crate::db::watch::{PATIENCE, Waiter, Waiting};
use crate::wording::printable;

/// How long the lock is waited for at most. Publishing a day holds it for seconds per million rows, and a lock that never
/// comes free belongs to a process that somebody stopped.
const AT_MOST: Duration = Duration::from_mins(10);

/// How long a process that ends waits for it: what it has to say, the next process finds out as well.
const AT_THE_END: Duration = Duration::from_secs(2);

/// How long one try waits.
const ONE_TRY: Duration = Duration::from_millis(250);

/// How long what holds the lock is believed to be the same.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// How much of a path or of a program's name is shown, bytes.
const SHOWN: usize = 500;

/// How long statements wait that are not part of [`while_locked`].
pub(in crate::db) fn wait_inside(conn: &mut SqliteConnection) -> QueryResult<()> {
    set_timeout(conn, AT_MOST)
}

fn set_timeout(conn: &mut SqliteConnection, timeout: Duration) -> QueryResult<()> {
    conn.batch_execute(&format!("pragma busy_timeout = {}", timeout.as_millis()))
}

/// Runs a statement that takes the lock again and again for as long as another holds it. The error is that of the last
/// try.
pub(in crate::db) fn while_locked(
    conn: &mut SqliteConnection,
    waiter: &Waiter,
    mut statement: impl FnMut(&mut SqliteConnection) -> QueryResult<()>,
) -> QueryResult<()> {
    let began = Instant::now();
    let mut told: Option<Waiting> = None;
    let mut look = PATIENCE;
    set_timeout(conn, ONE_TRY)?;
    let done = loop {
        let done = statement(conn);
        let elapsed = began.elapsed();
        let at_most = if waiter.process_ends() { AT_THE_END } else { AT_MOST };
        if !done.as_ref().is_err_and(is_locked) || elapsed >= at_most || waiter.is_cancelled() {
            break done;
        }
        if elapsed >= look {
            look = elapsed + LOOK_AGAIN;
            let file = super::database_file(conn).unwrap_or_default();
            let waiting = Waiting::for_file(printable(&file, SHOWN), elapsed, holder(Path::new(&file)));
            if !told.as_ref().is_some_and(|told| told.is_still(&waiting)) {
                waiter.tell(Some(&waiting));
                told = Some(waiting);
            }
        }
    };
    if told.is_some() {
        waiter.tell(None);
    }
    // Whatever is wrong with the connection, the statement's own error says.
    drop(wait_inside(conn));
    done
}

fn is_locked(error: &diesel::result::Error) -> bool {
    error.to_string().contains("database is locked")
}

/// Where SQLite locks a byte to write: in the index of the write-ahead log (`WAL_WRITE_LOCK`, walformat.html, section 2.3.1),
/// and in a file with a rollback journal (`RESERVED_BYTE` of its os.h).
const IN_LOG_INDEX: u64 = 120;
const IN_FILE: u64 = 0x4000_0001;

/// Who holds the lock, in words, as far as this machine's list of locks tells.
fn holder(file: &Path) -> String {
    let mut index = file.as_os_str().to_owned();
    index.push("-shm");
    let locks = std::fs::read_to_string("/proc/locks").unwrap_or_default();
    let found = [(Path::new(&index), IN_LOG_INDEX), (file, IN_FILE)].into_iter().find_map(|(file, byte)| {
        let inode = file.metadata().ok()?.ino();
        pid_of(&locks, inode, byte)
    });
    match found {
        None => "another program".to_owned(),
        Some(pid) if pid == std::process::id() => "another load of this process".to_owned(),
        Some(pid) => match std::fs::read_to_string(format!("/proc/{pid}/comm")) {
            Ok(name) => format!("process {pid} ({})", printable(name.trim(), SHOWN)),
            Err(_) => format!("process {pid}"),
        },
    }
}

/// The process that holds a lock for writing on that byte of a file, in the words of /proc/locks (`proc_locks(5)`).
fn pid_of(locks: &str, inode: u64, byte: u64) -> Option<u32> {
    locks.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        // A line of a process that waits for a lock has an arrow behind its number.
        let [_, "POSIX", _, "WRITE", pid, place, from, to] = fields[..] else { return None };
        let same_file = place.rsplit(':').next()?.parse() == Ok(inode);
        let within = from.parse::<u64>().ok()? <= byte && to.parse::<u64>().unwrap_or(u64::MAX) >= byte;
        (same_file && within).then(|| pid.parse().ok()).flatten()
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::db::pool::Database;
    use crate::db::url::DatabaseUrl;

    #[test]
    fn the_holder_of_a_lock_is_found_in_the_systems_list() {
        let locks = "1: POSIX  ADVISORY  READ 7 08:01:131 120 120\n\
                     2: POSIX  ADVISORY  WRITE 8 08:01:131 128 128\n\
                     2: -> POSIX  ADVISORY  WRITE 9 08:01:131 120 120\n\
                     3: FLOCK  ADVISORY  WRITE 10 08:01:131 0 EOF\n\
                     4: POSIX  ADVISORY  WRITE 11 08:01:132 120 120\n\
                     5: POSIX  ADVISORY  WRITE 12 08:01:131 100 EOF\n";
        assert_eq!(pid_of(locks, 131, 120), Some(12));
        assert_eq!(pid_of(locks, 132, 120), Some(11));
        assert_eq!(pid_of(locks, 133, 120), None);
    }

    #[test]
    fn a_wait_ends_when_the_load_is_cancelled_and_names_who_holds_the_lock() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("days.db");
        let database = Arc::new(Database::new(DatabaseUrl::Sqlite(file.clone()), Duration::from_mins(1), 2));
        let mut conn = database.connect().unwrap();
        let mut other = database.connect().unwrap();
        other.batch("begin immediate; create table held (n)", "holding the lock").unwrap();
        assert_eq!(holder(&file), "another load of this process");
        let watched = database.watch(&mut conn, Arc::new(|_| {})).unwrap();
        watched.canceller().cancel();
        let cancelled: Result<(), crate::db::error::DbError> = conn.transaction(|_| Ok(()));
        assert!(cancelled.unwrap_err().is_the_databases_own());
        // A process that ends has little time for its last words.
        let mut last = database.connect().unwrap();
        database.waits().cancel();
        let last: Result<(), crate::db::error::DbError> = last.transaction(|_| Ok(()));
        assert!(last.is_err());
        other.batch("rollback", "letting go of the lock").unwrap();
    }
}
