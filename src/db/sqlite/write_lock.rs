//! Waiting for SQLite's write lock: told of once it takes long, with who holds it, and given up when the load that waits is
//! cancelled or the process ends. SQLite's own wait is deaf meanwhile, so that it is cut into short ones.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::{QueryResult, SqliteConnection};

use crate::db::error::FILE_HELD;
use crate::db::waiting::LockWait;
use crate::db::watchlist::{PATIENCE, Waiter};
use crate::wording::printable;

/// How long the lock is waited for at most. Publishing a day holds it for seconds per million rows, and a lock that never
/// comes free belongs to a process that somebody stopped.
const AT_MOST: Duration = Duration::from_mins(10);

/// How long who is in haste waits for it: a load that was cancelled, a process that ends. The daemon has five seconds for
/// the ends of its loads and five for its last words (`daemon::shutdown`), and each may be such a wait.
const IN_HASTE: Duration = Duration::from_millis(4_500);

/// How long after it was reported to end a process still waits, however many things are left to write.
const AT_THE_END: Duration = Duration::from_millis(9_500);

/// How long one try waits.
const ONE_TRY: Duration = Duration::from_millis(250);

/// How long what holds the lock is believed to be the same.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// How much of a path or of a program's name is shown, bytes.
const SHOWN: usize = 500;

/// How long statements wait that are not part of [`while_locked`]: those that read, which wait for no writer.
pub(in crate::db) fn wait_inside(conn: &mut SqliteConnection) -> QueryResult<()> {
    set_timeout(conn, AT_MOST)
}

/// Has statements that write refused, or taken. Between transactions all connections refuse: a statement that writes on
/// its own would wait for the lock without a word, deaf to whoever cancels it.
pub(in crate::db) fn refuse_writes(conn: &mut SqliteConnection, refuse: bool) -> QueryResult<()> {
    conn.batch_execute(if refuse { "pragma query_only = on" } else { "pragma query_only = off" })
}

/// Writes what stands in the log beside the file into the file, unless another holds the lock.
pub(in crate::db) fn fold_log(conn: &mut SqliteConnection) -> QueryResult<()> {
    set_timeout(conn, ONE_TRY)?;
    let folded = conn.batch_execute("pragma wal_checkpoint(truncate)");
    wait_inside(conn)?;
    folded
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
    let mut reported: Option<LockWait> = None;
    let mut look = PATIENCE;
    set_timeout(conn, ONE_TRY)?;
    let done = loop {
        let done = statement(conn);
        let elapsed = began.elapsed();
        let waited_enough = match waiter.in_haste_since() {
            Some(since) => since.max(began).elapsed() >= IN_HASTE || since.elapsed() >= AT_THE_END,
            None => elapsed >= AT_MOST,
        };
        if !done.as_ref().is_err_and(is_locked) || waited_enough || waiter.is_cancelled() {
            break done;
        }
        if elapsed >= look {
            look = elapsed + LOOK_AGAIN;
            let file = super::database_file(conn).unwrap_or_default();
            let waiting = LockWait::for_file(printable(&file, SHOWN), elapsed, holder(Path::new(&file)));
            if !reported.as_ref().is_some_and(|reported| reported.is_still(&waiting)) {
                waiter.report(Some(&waiting));
                reported = Some(waiting);
            }
        }
    };
    if reported.is_some() {
        waiter.report(None);
    }
    // Whatever is wrong with the connection, the statement's own error says.
    drop(wait_inside(conn));
    done
}

fn is_locked(error: &diesel::result::Error) -> bool {
    error.to_string().contains(FILE_HELD)
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
    use crate::db::error::DbError;
    use crate::db::pool::{Conn, Database};
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
        other.batch("pragma query_only = off; begin immediate; create table held (n)", "holding the lock").unwrap();
        assert_eq!(holder(&file), "another load of this process");
        let watched = database.watch(&mut conn, Arc::new(|_| {})).unwrap();
        watched.canceller().cancel();
        let cancelled: Result<(), DbError> = conn.transaction(|_| Ok(()));
        assert!(cancelled.unwrap_err().is_the_databases_own());
        // Of a load that has only its end to write when it is cancelled.
        let sealed = std::thread::spawn({
            let mut conn = database.connect().unwrap();
            let watched = database.watch(&mut conn, Arc::new(|_| {})).unwrap();
            move || {
                assert!(watched.seal());
                watched.canceller().cancel();
                let end: Result<(), DbError> = conn.transaction(|_| Ok(()));
                end.is_err_and(|error| error.is_of_a_held_file())
            }
        });
        // A process that ends has little time for its last words.
        let mut last = database.connect().unwrap();
        database.waits().cancel();
        let last: Result<(), DbError> = last.transaction(|_| Ok(()));
        assert!(last.is_err() && sealed.join().unwrap());
        other.batch("rollback", "letting go of the lock").unwrap();
    }

    #[test]
    fn a_statement_that_writes_outside_a_transaction_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let url = DatabaseUrl::Sqlite(folder.path().join("days.db"));
        let database = Arc::new(Database::new(url, Duration::from_mins(1), 2));
        let made: Result<(), DbError> =
            database.connect().unwrap().transaction(|conn| conn.batch("create table days (n)", "making"));
        made.unwrap();
        let insert = |conn: &mut Conn| conn.execute("insert into days values (1)", "writing");
        for connect in [Database::connect, Database::connect_to_look, Database::conn, Database::conn_at_once] {
            let mut conn = connect(&database).unwrap();
            let refused = |conn: &mut Conn| insert(conn).unwrap_err().to_string().contains("readonly");
            assert!(refused(&mut conn), "from the beginning");
            assert_eq!(conn.transaction(insert).unwrap(), 1);
            assert!(refused(&mut conn), "after a transaction");
            let failed: Result<(), DbError> = conn.transaction(|conn| conn.batch("no sql", "failing"));
            assert!(failed.is_err() && refused(&mut conn), "after one that failed");
            conn.on_own_tables(|conn| conn.batch("create temp table if not exists own (n)", "making")).unwrap();
            assert!(refused(&mut conn), "after writing to tables of its own");
            let inside = conn.transaction(|conn| {
                conn.on_own_tables(|conn| conn.batch("insert into own values (1)", "writing"))?;
                insert(conn)
            });
            assert_eq!(inside.unwrap(), 1);
        }
    }
}
