//! What a statement waits for, in words.

use std::fmt;
use std::time::Duration;

use crate::db::lock_holders::{Holder, named};

/// What a statement waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockWait {
    pub(super) target: WaitTarget,
    /// How long it has waited.
    pub(super) seconds: u64,
}

/// What is waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum WaitTarget {
    /// A lock in PostgreSQL: what is locked, and the sessions in the way.
    Lock { on: String, holders: Vec<Holder> },
    /// A standby that confirms the commit.
    Standby,
    /// SQLite's write lock: the file, and who holds it, in words.
    File { path: String, holder: String },
}

impl LockWait {
    /// For SQLite's write lock.
    pub(super) fn for_file(path: String, waited: Duration, holder: String) -> Self {
        Self { target: WaitTarget::File { path, holder }, seconds: waited.as_secs() }
    }

    /// True when it is the same that is waited for, and the same sessions are in the way.
    pub(super) fn is_still(&self, other: &Self) -> bool {
        let pids = |holders: &[Holder]| holders.iter().map(|holder| holder.pid).collect::<Vec<_>>();
        match (&self.target, &other.target) {
            (WaitTarget::Lock { on, holders }, WaitTarget::Lock { on: other, holders: others }) => {
                on == other && pids(holders) == pids(others)
            }
            (one, other) => one == other,
        }
    }
}

impl fmt::Display for LockWait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { target, seconds } = self;
        write!(f, "waiting for {seconds} s for ")?;
        match target {
            WaitTarget::Lock { on, holders } => write!(f, "a lock on {on}, held by {}", named(holders)),
            WaitTarget::Standby => f.write_str(
                "a synchronous standby to confirm the commit; the rows are on the primary's disk, see \
                 pg_stat_replication and synchronous_standby_names",
            ),
            WaitTarget::File { path, holder } => {
                write!(f, "the write lock of the SQLite file {path}, held by {holder}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_in_words() {
        let lock = |on: &str| WaitTarget::Lock { on: on.to_owned(), holders: Vec::new() };
        let waiting = |on: Option<&str>| LockWait { target: on.map_or(WaitTarget::Standby, lock), seconds: 12 };
        assert_eq!(
            waiting(Some("orders")).to_string(),
            "waiting for 12 s for a lock on orders, held by another session"
        );
        assert!(waiting(None).to_string().starts_with("waiting for 12 s for a synchronous standby"));
        assert!(waiting(None).is_still(&LockWait { seconds: 30, ..waiting(None) }));
        assert!(!waiting(None).is_still(&waiting(Some("orders"))));
        let file = |holder: &str| LockWait::for_file("/x.db".to_owned(), Duration::from_secs(12), holder.to_owned());
        let said = "waiting for 12 s for the write lock of the SQLite file /x.db, held by process 7 (python3)";
        assert_eq!(file("process 7 (python3)").to_string(), said);
        assert!(!file("process 7").is_still(&file("process 8")));
    }
}
