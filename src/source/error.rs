//! What can go wrong with a day's file, in words that say where and what to do. No message holds a secret.

use std::io;
use std::path::PathBuf;

use chrono::{DateTime, Utc};

use crate::wording::counted;

/// A day's file could not be found out about, opened or read to its end.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// Nobody waits for the answer any more.
    #[error("given up before an answer came")]
    BrokenOff,
    /// The URL cannot be understood.
    #[error("{url}: {why}")]
    BadUrl {
        /// The URL as configured, filled for the day.
        url: String,
        /// What is wrong with it.
        why: String,
    },
    /// A file that was named itself, not through a day, does not exist.
    #[error("{url}: {why}")]
    NotThere {
        /// Where it was looked for.
        url: String,
        /// What was found instead.
        why: String,
    },
    /// A local file cannot be read.
    #[error("{url}: {source}{}", if source.kind() == io::ErrorKind::PermissionDenied {
        " (let the user that dayfill runs as read the file and enter its folders)" } else { "" })]
    Unreadable {
        /// The file.
        url: String,
        /// What the system says.
        source: io::Error,
    },
    /// The folder in which the files of all days are is not there: a mistake, or a volume that is not mounted.
    #[error("the folder {} does not exist; check source.url, or mount it", folder.display())]
    NoFolder {
        /// The folder.
        folder: PathBuf,
    },
    /// Something else than a file has the file's name.
    #[error("{url} is {what}, not a file")]
    NotAFile {
        /// The name.
        url: String,
        /// What it is.
        what: &'static str,
    },
    /// The server knows who asks, and says no.
    #[error("{url}: access denied ({why}); {grant}")]
    Forbidden {
        /// The file.
        url: String,
        /// The server's words.
        why: String,
        /// What to grant.
        grant: String,
    },
    /// The server does not know who asks, or does not believe it.
    #[error("{url}: the credentials were not accepted ({why}){}{advice}", if advice.is_empty() { "" } else { "; " })]
    Unauthenticated {
        /// The file.
        url: String,
        /// The server's words.
        why: String,
        /// The credentials have expired: new ones may be there soon.
        temporary: bool,
        /// What to do about it, where that is known.
        advice: String,
    },
    /// There are no credentials to ask with.
    #[error("{url}: {why}")]
    NoCredentials {
        /// The file.
        url: String,
        /// Where credentials were looked for.
        why: String,
        /// Who gives them out does not answer, or what they are given out for has expired.
        temporary: bool,
    },
    /// The bucket or container does not exist: a mistake, or one that is not there now.
    #[error("{url}: the bucket {bucket:?} does not exist; check source.url (and source.endpoint){hint}")]
    NoBucket {
        /// The file.
        url: String,
        /// The bucket.
        bucket: String,
        /// Who was asked, after a semicolon, where that is known.
        hint: String,
        /// The files of all days are in it, so that its absence says nothing of one day's file.
        of_all_days: bool,
    },
    /// The server could not be asked, or gave no usable answer.
    #[error("{url}: {why}")]
    Request {
        /// The file.
        url: String,
        /// What happened.
        why: String,
        /// It may pass by itself, as an outage does.
        temporary: bool,
        /// Until when the server asked to be left alone; it is not asked before.
        until: Option<DateTime<Utc>>,
    },
    /// The connection or the disk failed while the file was read, and retries did not help.
    #[error("{url}: reading failed after {}: {why}", so_far(*got, *announced))]
    Broken {
        /// The file.
        url: String,
        /// How much of it had come.
        got: u64,
        /// How much there was to come, where that is known.
        announced: Option<u64>,
        /// What happened.
        why: String,
        /// The server is gone; a body that is cut off again and again is no outage.
        temporary: bool,
        /// Until when the server asked to be left alone; it is not asked before.
        until: Option<DateTime<Utc>>,
    },
    /// The file ended before its announced size, or went on after it.
    #[error(
        "{url}: {} came instead of the announced {announced}; the file was cut off or changed",
        counted(*got, "byte")
    )]
    WrongSize {
        /// The file.
        url: String,
        /// How much came.
        got: u64,
        /// How much was announced.
        announced: u64,
    },
    /// The file was replaced while it was read: what was read is a mixture.
    #[error("{url}: the file was changed while it was read; it will do when its writer is done")]
    Changed {
        /// The file.
        url: String,
    },
    /// The compressed data are broken or cut off.
    #[error("{url}: broken or cut-off {format} data: {source}")]
    Compressed {
        /// The file.
        url: String,
        /// The compression.
        format: &'static str,
        /// What the decompressor says.
        source: io::Error,
    },
    /// The file is larger than it may be.
    #[error("{url}: holds more than {}, the limit; raise limits.max_bytes if it is right", counted(*max_bytes, "byte"))]
    TooLarge {
        /// The file.
        url: String,
        /// How many bytes of text it may hold.
        max_bytes: u64,
    },
    /// The file grows further than it may when it is decompressed.
    #[error(
        "{url}: grows to more than {max_ratio} times its stored size when it is decompressed, as files do that are made to \
         fill a disk; raise limits.max_ratio if it is right"
    )]
    Inflated {
        /// The file.
        url: String,
        /// How many times its stored size it may grow to.
        max_ratio: u64,
    },
    /// A zstd file wants more memory for its window than it may have.
    #[error(
        "{url}: its zstd window is larger than {}; set source.zstd_window_log above {log} if the memory is there (27 is \
         what `zstd --long` and `zstd --ultra -22` need), or compress it with a lower level",
        counted(1u64 << log, "byte")
    )]
    Window {
        /// The file.
        url: String,
        /// The largest window there may be, as the power of two of its bytes.
        log: u32,
    },
    /// A file whose reading failed was read on.
    #[error("{url}: reading failed before")]
    FailedBefore {
        /// The file.
        url: String,
    },
}

impl SourceError {
    /// True of trouble that passes by itself and says nothing of the file: nobody answers, a name that cannot be looked
    /// up, a time-out, 408, 429 and 5xx, a TLS handshake that broke off, expired credentials, a network share that is
    /// gone, the place of all files that is missing as a whole. A file that is cut off, a refusal and a certificate that
    /// is not trusted do not pass by themselves.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Request { temporary, .. }
            | Self::Unauthenticated { temporary, .. }
            | Self::NoCredentials { temporary, .. }
            | Self::Broken { temporary, .. } => *temporary,
            Self::Unreadable { source, .. } => is_outage(source.kind()),
            // The place as a whole cannot be seen, which says nothing of a day's file.
            Self::NoFolder { .. } => true,
            Self::NoBucket { of_all_days, .. } => *of_all_days,
            _ => false,
        }
    }

    /// Until when the server asked to be left alone, where it did; it is not asked before.
    #[must_use]
    pub fn until(&self) -> Option<DateTime<Utc>> {
        match self {
            Self::Request { until, .. } | Self::Broken { until, .. } => *until,
            _ => None,
        }
    }

    /// True where the file is not fit to be loaded as it is: another try would end in the same way.
    #[must_use]
    pub fn refuses(&self) -> bool {
        matches!(self, Self::TooLarge { .. } | Self::Inflated { .. } | Self::Window { .. })
    }

    /// The error as a [`Read`](io::Read) hands it out; [`io::Error::downcast`] brings it back.
    pub(super) fn into_io(self) -> io::Error {
        let kind = match &self {
            Self::WrongSize { .. } => io::ErrorKind::UnexpectedEof,
            Self::Compressed { .. } => io::ErrorKind::InvalidData,
            _ => io::ErrorKind::Other,
        };
        io::Error::new(kind, self)
    }

    /// The error that a read failed with; `url` names the file where the reader did not.
    pub(crate) fn from_io(error: io::Error, url: &str) -> Self {
        error.downcast().unwrap_or_else(|source| Self::Unreadable { url: url.to_owned(), source })
    }
}

/// How much of a file came.
fn so_far(got: u64, announced: Option<u64>) -> String {
    match announced {
        Some(announced) => format!("{got} of {}", counted(announced, "byte")),
        None => counted(got, "byte"),
    }
}

/// True of what a network share says when its server is not there.
fn is_outage(kind: io::ErrorKind) -> bool {
    use io::ErrorKind as Kind;
    let outages = [
        Kind::TimedOut,
        Kind::StaleNetworkFileHandle,
        Kind::HostUnreachable,
        Kind::NetworkUnreachable,
        Kind::NetworkDown,
        Kind::NotConnected,
        Kind::ConnectionReset,
        Kind::ConnectionAborted,
        Kind::ConnectionRefused,
    ];
    outages.contains(&kind)
}
