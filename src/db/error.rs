//! What can go wrong with the database, and whose fault it is.

use diesel::result::{DatabaseErrorKind, Error as Diesel};

/// A database error. Messages never hold a secret: those of libpq are masked where connections are made.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// No connection could be made.
    #[error("the database cannot be reached: {0}")]
    Unreachable(String),
    /// A statement failed.
    #[error("{doing}: {source}")]
    Statement {
        /// What the statement was for.
        doing: &'static str,
        /// What the database said.
        source: Diesel,
    },
    /// The state tables are not those of this version.
    #[error("migrating the state tables: {0}")]
    Migration(String),
    /// The worker's lock file beside the SQLite file could not be used.
    #[error("the worker's lock file {path}: {source}")]
    LockFile {
        /// The file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file that keeps rejected rows for the time of a load could not be used.
    #[error("keeping rejected rows aside: {0}")]
    Spool(std::io::Error),
}

/// Words of PostgreSQL's and SQLite's messages for troubles that are not the data's fault. diesel does not hand out
/// SQLSTATE codes, so that the English messages must do; in another language such an error costs an attempt.
const NOT_THE_DATAS_FAULT: &[&str] = &[
    "No space left on device",
    "could not extend file",
    "out of memory",
    "out of shared memory",
    "terminating connection",
    "the database system is",
    "canceling statement due to",
    "deadlock detected",
    "remaining connection slots",
    "too many clients",
    "cannot execute",
    "database or disk is full",
    "disk I/O error",
    "database is locked",
    "server closed the connection",
    "SSL connection has been closed",
    "connection to server",
    "no connection to the server",
    "Broken pipe",
    "Connection reset",
];

impl DbError {
    /// True when the database itself is in trouble (down, full, overloaded, in conflict), so that the day's attempt is
    /// given back; false when the same rows would fail again.
    #[must_use]
    pub fn is_the_databases_own(&self) -> bool {
        match self {
            Self::Unreachable(_) => true,
            Self::Statement { source: Diesel::DatabaseError(kind, information), .. } => {
                matches!(
                    kind,
                    DatabaseErrorKind::ClosedConnection
                        | DatabaseErrorKind::UnableToSendCommand
                        | DatabaseErrorKind::SerializationFailure
                        | DatabaseErrorKind::ReadOnlyTransaction
                ) || NOT_THE_DATAS_FAULT.iter().any(|words| information.message().contains(words))
            }
            Self::Statement { source, .. } => {
                matches!(source, Diesel::BrokenTransactionManager | Diesel::RollbackErrorOnCommit { .. })
            }
            Self::Migration(_) | Self::LockFile { .. } | Self::Spool(_) => false,
        }
    }
}

/// Puts what was being done beside diesel's error.
pub(super) trait Doing<T> {
    /// Names what was being done, in the words of [`DbError::Statement`].
    fn doing(self, doing: &'static str) -> Result<T, DbError>;
}

impl<T> Doing<T> for Result<T, Diesel> {
    fn doing(self, doing: &'static str) -> Result<T, DbError> {
        self.map_err(|source| DbError::Statement { doing, source })
    }
}
