//! What is wrong with the files of the users. No message shows a line of them.

use std::io;
use std::path::PathBuf;

/// What is wrong with the users file or with what stands beside it.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// It cannot be read.
    #[error("{path}: cannot be read ({source})", path = path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is no users file.
    #[error(
        "{path}: does not exist; \"dayfill web add-user NAME --role operator\" creates it with its first user",
        path = path.display()
    )]
    NoUsers {
        /// The file.
        path: PathBuf,
    },
    /// It cannot be written.
    #[error("{path}: cannot be written ({source})", path = path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Every user of the machine may read or write it.
    #[error("{path}: every user of this machine can read or change it; run chmod o= on it", path = path.display())]
    OthersRead {
        /// The file.
        path: PathBuf,
    },
    /// It is not a users file.
    #[error("{path}: {why}", path = path.display())]
    Wrong {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        why: String,
    },
    /// The file of the key holds something else.
    #[error(
        "{path}: is not a key: remove it, and dayfill creates a new one, which ends all sessions",
        path = path.display()
    )]
    NotAKey {
        /// The file.
        path: PathBuf,
    },
    /// The file of the sessions that were ended holds something else.
    #[error(
        "{path}: is not a list of ended sessions: remove it and the key beside it, so that no ended session becomes valid",
        path = path.display()
    )]
    NotEnded {
        /// The file.
        path: PathBuf,
    },
    /// The system gave no random bytes.
    #[error("no random bytes: {0}")]
    Random(getrandom::Error),
    /// A password could not be hashed.
    #[error("hashing a password: {0}")]
    Hash(argon2::password_hash::Error),
}
