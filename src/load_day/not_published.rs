//! Why an attempt did not publish.

use std::fmt;
use std::time::Duration;

use super::report::Unavailable;
use crate::db::error::DbError;
use crate::read_rows::{ReadError, Refusal};
use crate::source::SourceError;

/// Why an attempt did not publish.
pub(super) enum NotPublished {
    /// The file is not there, or not to be taken yet.
    NotThere { url: String, why: String },
    /// The file could not be opened or read to its end.
    Source(String),
    /// The source cannot be asked now, or its place cannot be seen, which says nothing of the file.
    Unavailable(Unavailable),
    /// The file is not fit to be loaded; with what of it shows why: its first rejected row, or the line taken for its
    /// header. The error itself holds no values of rows.
    Refused { error: String, first: Option<String> },
    /// The file is another, its content the one that was loaded or refused.
    Unchanged,
    /// Another process took the day over.
    Lost,
    /// The process is to end.
    Interrupted,
    /// Somebody cancelled this load: who.
    Cancelled(String),
    /// It took longer than the dataset allows.
    TookTooLong(Duration),
    /// The database failed, or refused what was written to it.
    Db(DbError),
    /// This program has a fault.
    Fault(String),
}

impl From<DbError> for NotPublished {
    fn from(error: DbError) -> Self {
        Self::Db(error)
    }
}

impl From<SourceError> for NotPublished {
    fn from(error: SourceError) -> Self {
        let text = error.to_string();
        if error.refuses() {
            Self::Refused { error: text, first: None }
        } else if error.is_temporary() {
            Self::Unavailable(Unavailable { why: text, until: error.until() })
        } else {
            Self::Source(text)
        }
    }
}

impl From<ReadError<Self>> for NotPublished {
    fn from(error: ReadError<Self>) -> Self {
        match error {
            ReadError::Refused(Refusal { error, line }) => Self::Refused { error, first: line },
            ReadError::Taker(problem) => problem,
        }
    }
}

/// As the attempt's log tells it: without the values of rows that errors may hold, which the day's error has.
impl fmt::Display for NotPublished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotThere { why, .. } => write!(f, "no file to take: {why}"),
            Self::Source(error) | Self::Fault(error) => write!(f, "failed: {error}"),
            Self::Unavailable(error) => write!(f, "the source is unavailable: {error}"),
            Self::Refused { error, .. } => write!(f, "refused: {error}"),
            Self::Unchanged => f.write_str("the file's content is the one that was loaded or refused"),
            Self::Lost => f.write_str("another process took the day over"),
            Self::Interrupted => f.write_str("interrupted before publishing"),
            Self::Cancelled(by) => write!(f, "cancelled by {by}"),
            Self::TookTooLong(most) => {
                write!(f, "took longer than limits.max_duration = \"{} s\"; nothing was published", most.as_secs())
            }
            Self::Db(error) if !error.costs_an_attempt() => write!(f, "the database failed: {error}"),
            Self::Db(error) => write!(f, "the database refused what was written to it: {error}"),
        }
    }
}
