//! What can go wrong with the database, and whose fault it is.

use diesel::result::{DatabaseErrorKind, Error as Diesel};

/// A database error. Messages never hold a secret: those of libpq are masked where connections are made.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// No connection could be made.
    #[error("the database cannot be reached: {0}")]
    Unreachable(String),
    /// A statement failed.
    #[error("{doing}: {}", one_line(&source.to_string()))]
    Statement {
        /// What the statement was for.
        doing: &'static str,
        /// What the database said.
        source: Diesel,
    },
    /// Rows could not be handed to a COPY under way.
    #[error("copying rows to the stage: {0}")]
    Copy(std::io::Error),
    /// Migrations could not be read or applied.
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
    "could not write",
    "could not read block",
    "could not open file",
    "attempt to write a readonly database",
    "database is locked",
    "server closed the connection",
    "SSL connection has been closed",
    "connection to server",
    "no connection to the server",
    "Broken pipe",
    "Connection reset",
];

impl DbError {
    /// True when there is no connection to the database any more, so that other days need not be tried.
    #[must_use]
    pub fn is_unreachable(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::Copy(_) => true,
            Self::Statement { source: Diesel::DatabaseError(kind, information), .. } => {
                matches!(kind, DatabaseErrorKind::ClosedConnection | DatabaseErrorKind::UnableToSendCommand)
                    || ["connection", "the database system is"]
                        .iter()
                        .any(|words| information.message().contains(words))
            }
            Self::Statement { source, .. } => matches!(source, Diesel::BrokenTransactionManager),
            Self::Migration(_) | Self::LockFile { .. } | Self::Spool(_) => false,
        }
    }

    /// True when the database itself is in trouble (down, full, overloaded, in conflict), so that the day's attempt is
    /// given back; false when the same rows would fail again.
    #[must_use]
    pub fn is_the_databases_own(&self) -> bool {
        match self {
            // A temporary file that cannot be written says nothing about the rows either.
            Self::Unreachable(_) | Self::Copy(_) | Self::Spool(_) => true,
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
            Self::Migration(_) | Self::LockFile { .. } => false,
        }
    }
}

/// A message of several lines, as libpq's are, as one.
pub(super) fn one_line(message: &str) -> String {
    message.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ")
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
