//! Where a dataset's files are: opens the file of one day, or says that it is not there yet.
//!
//! What a caller reads from a [`SourceFile`] is the file's text, decompressed; what is counted and hashed is the file
//! as it is stored. A file that was cut off, on the way or at its origin, ends in an error and never in an early end of
//! file, so that no day is loaded from part of its file. What the text means is left to `parse`.

mod client;
mod decompress;
mod download;
mod error;
mod local;
mod location;

mod mask;
mod named_files;
mod network;
mod object;
mod reader;
mod request_headers;
mod retry_after;
mod s3;
mod server_answer;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::runtime::Handle;

pub use self::error::SourceError;
use self::location::Location;
use self::object::Objects;
pub use self::reader::SourceFile;
use crate::dataset::SourceSpec;
use crate::day::Day;
use crate::wording::counted;

/// Has this process's clients speak TLS by ring. Must be called before one is made.
pub(crate) fn use_ring_for_tls() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // The only failure is that another thread was faster.
        drop(rustls::crypto::ring::default_provider().install_default());
    }
}

/// The files of one dataset. Cheap to make and to clone; it connects when the first day is asked for, and its clones
/// share that connection.
#[derive(Debug, Clone)]
pub struct Source {
    spec: Arc<SourceSpec>,
    objects: Arc<Objects>,
}

/// A day's file, or the news that it is not there.
#[derive(Debug)]
pub enum OpenedFile {
    /// The file, ready to be read.
    File(SourceFile),
    /// It is not there, or not to be taken yet: look again later.
    NotThere {
        /// Where it was looked for.
        url: String,
        /// What was found instead.
        why: String,
    },
}

/// What [`Source::stat`] found of a day's file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileStatus {
    /// It is there.
    File(FileInfo),
    /// It is not there, or not to be taken yet.
    NotThere {
        /// Where it was looked for.
        url: String,
        /// What was found instead.
        why: String,
    },
}

/// What is known of a file without reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileInfo {
    /// Where it is, fit to be shown: secrets in an http URL are masked.
    pub url: String,
    /// The server's word for this version of the file; for a local file made of inode, time and size.
    pub etag: Option<String>,
    /// Its size as stored; `None` where a web server shows the end of a file but does not tell its size before.
    pub bytes: Option<u64>,
    /// When it was last changed; 1970 where a web server does not say.
    pub modified: DateTime<Utc>,
}

impl FileInfo {
    /// What tells this version of the file from others: its `ETag`, or its size and time where the server gives none.
    #[must_use]
    pub fn tag(&self) -> String {
        self.etag.clone().unwrap_or_else(|| match self.bytes {
            Some(bytes) => tag_without_etag(bytes, self.modified),
            None => format!("-{}", self.modified.timestamp_micros()),
        })
    }

    /// Its size in words.
    #[must_use]
    pub fn size(&self) -> String {
        self.bytes.map_or_else(|| "of unknown size".to_owned(), |bytes| counted(bytes, "byte"))
    }
}

/// What tells versions of a file apart whose server gives no `ETag`.
#[must_use]
pub fn tag_without_etag(bytes: u64, modified: DateTime<Utc>) -> String {
    format!("{bytes}-{}", modified.timestamp_micros())
}

/// The SHA-256 of a file as it is stored: what `sha256sum` prints for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentHash(String);

impl ContentHash {
    /// The hash in hexadecimal.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// How long a remote server is waited for. There is no limit on a whole file: a large one may take hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientTimeouts {
    /// To connect; 10 s.
    pub connect: Duration,
    /// For an answer, and then for each further piece of it; 60 s, or the dataset's `source.timeout`. Time in which the
    /// reader asks for nothing does not count.
    pub idle: Duration,
    /// How often a request is made again, and how often in a row the rest of a body that broke off is asked for without
    /// more of it coming; 8. With `backoff` that is at most 26 s of pauses, and 3 s in the mean.
    pub retries: usize,
    /// The wait before the first retry; 100 ms. Each further one is drawn between this and twice the one before, up to
    /// 15 s.
    pub backoff: Duration,
}

impl Default for ClientTimeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            idle: SourceSpec::TIMEOUT,
            retries: 8,
            backoff: Duration::from_millis(100),
        }
    }
}

impl Source {
    /// The source a dataset describes. `environment` holds the variables Google's and Azure's settings are taken from
    /// (`GOOGLE_...`, `AZURE_...`); others are ignored. Amazon's are found by the AWS SDK itself.
    pub fn new(spec: &SourceSpec, environment: &[(String, String)]) -> Result<Self, SourceError> {
        Self::with_timeouts(spec, environment, ClientTimeouts { idle: spec.timeout, ..ClientTimeouts::default() })
    }

    /// The same, with other waiting times than the usual.
    pub fn with_timeouts(
        spec: &SourceSpec,
        environment: &[(String, String)],
        timeouts: ClientTimeouts,
    ) -> Result<Self, SourceError> {
        // Any day will do to find out whether the URL can be understood.
        Location::parse(&spec.url.of(Day::new(chrono::NaiveDate::default())))?;
        let spec = Arc::new(spec.clone());
        Ok(Self { objects: Arc::new(Objects::new(Arc::clone(&spec), environment, timeouts)), spec })
    }

    /// Opens the file of a day. Blocks: not to be called from async code.
    pub fn open(&self, day: Day, runtime: &Handle) -> Result<OpenedFile, SourceError> {
        self.open_until(std::future::pending(), day, runtime)
    }

    /// The same, but no answer is waited for any more when `end` comes.
    pub fn open_until(
        &self,
        end: impl Future<Output = ()>,
        day: Day,
        runtime: &Handle,
    ) -> Result<OpenedFile, SourceError> {
        match Location::parse(&self.spec.url.of(day))? {
            Location::File(path, url) => match local::open(&path, url, self.spec.settle, self.spec.zstd_window_log)? {
                OpenedFile::NotThere { url, why } => match self.missing_folder() {
                    Some(folder) => Err(SourceError::NoFolder { folder }),
                    None => Ok(OpenedFile::NotThere { url, why }),
                },
                opened @ OpenedFile::File(_) => Ok(opened),
            },
            location => self.objects.open(&location, runtime, end),
        }
    }

    /// The folder of this machine in which the files of all days are, if there is none of that name: a mistake, or a
    /// volume that is not mounted. One whose name holds the day may come with its day, and is not meant.
    #[must_use]
    fn missing_folder(&self) -> Option<PathBuf> {
        let before = self.spec.url.before_day();
        let (folder, _) = before.rsplit_once('/')?;
        match Location::parse(folder) {
            Ok(Location::File(folder, _)) if local::is_no_folder(&folder) => Some(folder),
            _ => None,
        }
    }

    /// Finds out whether the file of a day is there, without reading it. Blocks: not to be called from async code.
    pub fn stat(&self, day: Day, runtime: &Handle) -> Result<FileStatus, SourceError> {
        self.stat_until(std::future::pending(), day, runtime)
    }

    /// The same, but no answer is waited for any more when `end` comes.
    pub fn stat_until(
        &self,
        end: impl Future<Output = ()>,
        day: Day,
        runtime: &Handle,
    ) -> Result<FileStatus, SourceError> {
        match Location::parse(&self.spec.url.of(day))? {
            Location::File(path, url) => match local::stat(&path, url, self.spec.settle)? {
                FileStatus::NotThere { url, why } => match self.missing_folder() {
                    Some(folder) => Err(SourceError::NoFolder { folder }),
                    None => Ok(FileStatus::NotThere { url, why }),
                },
                looked @ FileStatus::File(_) => Ok(looked),
            },
            location => runtime.block_on(until(end, self.objects.stat(&location))),
        }
    }
}

/// Why a file that was changed then is not to be taken yet; `now` is by the clock that dated the change, where that is
/// known.
fn unsettled(modified: DateTime<Utc>, now: DateTime<Utc>, settle: Duration) -> Option<String> {
    let rested = now - modified;
    if settle.is_zero() || rested.to_std().is_ok_and(|rested| rested >= settle) {
        return None;
    }
    let seconds = rested.num_seconds();
    let rests = if rested < chrono::TimeDelta::zero() {
        format!("changed {} s in the future", -seconds)
    } else {
        format!("changed {seconds} s ago")
    };
    Some(format!("{rests}; settle is {} s", settle.as_secs_f64()))
}

/// The work's result, or that `end` came before.
async fn until<T>(
    end: impl Future<Output = ()>,
    work: impl Future<Output = Result<T, SourceError>>,
) -> Result<T, SourceError> {
    tokio::select! {
        done = work => done,
        () = end => Err(SourceError::BrokenOff),
    }
}

/// Why a text cannot be the content of a `source.user_file`, without showing it.
///
/// # Errors
/// The reason, to be read after the file's name.
pub fn check_user(text: &str) -> Result<(), String> {
    request_headers::user(text).map(drop)
}

/// Why a text cannot be the content of a `source.headers_file`, without showing it.
///
/// # Errors
/// The reason, to be read after the file's name.
pub fn check_headers(text: &str) -> Result<(), String> {
    request_headers::lines(text).map(drop)
}

/// True where the content of a `source.headers_file` says who to log in as.
#[must_use]
pub fn logs_in(headers: &str) -> bool {
    request_headers::lines(headers).is_ok_and(|headers| headers.iter().any(|(name, _)| name == "authorization"))
}

/// Where a dataset's files are, as a template fit to be shown: user, password and the values of a query are masked.
#[must_use]
pub fn shown(spec: &SourceSpec) -> String {
    location::template_shown(&spec.url.to_string())
}

/// Opens a file that belongs to no day, such as a sample to be checked. The window of a zstd file may have two to the power
/// of `zstd_window_log` bytes.
pub fn open_file(path: &Path, zstd_window_log: u32) -> Result<SourceFile, SourceError> {
    let url = path.display().to_string();
    match local::open(path, url, Duration::ZERO, zstd_window_log)? {
        OpenedFile::File(file) => Ok(file),
        OpenedFile::NotThere { url, why } => Err(SourceError::NotThere { url, why }),
    }
}
