//! A day's file being read: stored bytes come in, are counted and hashed, and leave decompressed.

use std::fmt;
use std::io::{self, BufReader, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest, Sha256};
use tokio::task::AbortHandle;

use super::decompress::Decoder;
use super::{ContentHash, FileInfo, SourceError};
use crate::dataset::Limits;
use crate::wording::hex;

/// Up to so much text nothing is made of how far a file was compressed: small files of equal rows shrink to nearly nothing.
const RATIO_COUNTS_FROM: u64 = 64 << 20;

/// Which limit is exceeded.
#[derive(Debug, PartialEq, Eq)]
enum Exceeds {
    Bytes(u64),
    Ratio(u64),
}

/// Holds so many bytes of text, out of so many stored ones, against the limits.
fn exceeds(limits: Limits, stored: u64, text: u64) -> Option<Exceeds> {
    let Limits { max_bytes, max_ratio, .. } = limits;
    if text > max_bytes {
        Some(Exceeds::Bytes(max_bytes))
    } else if text > RATIO_COUNTS_FROM && text / stored.max(1) > max_ratio {
        Some(Exceeds::Ratio(max_ratio))
    } else {
        None
    }
}

/// Stored bytes are taken in pieces of this size.
const PIECE: usize = 128 * 1024;

/// The file of one day, open. Reading gives its text, decompressed where it is gzip or zstd.
///
/// Every error of [`Read`] but those of a caller's own making holds a [`SourceError`] ([`io::Error::downcast`]).
pub struct SourceFile {
    info: FileInfo,
    stored_bytes: Arc<AtomicU64>,
    download: Option<AbortHandle>,
    /// Bytes of its text so far, and how many there may be.
    text_bytes: u64,
    limits: Limits,
    zstd_window_log: u32,
    // None once reading has failed: some decompressors report the end of the file after an error.
    decoder: Option<Box<Decoder<BufReader<Hashing>>>>,
}

impl fmt::Debug for SourceFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SourceFile").field("info", &self.info).finish_non_exhaustive()
    }
}

impl SourceFile {
    /// Reads the first bytes, which tell how the file is compressed.
    pub(super) fn new(stored: Box<dyn Read + Send>, info: FileInfo, zstd_window_log: u32) -> Result<Self, SourceError> {
        let stored_bytes = Arc::new(AtomicU64::new(0));
        let hashing = Hashing {
            stored,
            sha256: Sha256::new(),
            bytes: 0,
            announced: info.bytes,
            url: info.url.clone(),
            progress: Arc::clone(&stored_bytes),
        };
        let decoder = match Decoder::new(BufReader::with_capacity(PIECE, hashing), &info.url, zstd_window_log) {
            Ok(decoder) => decoder,
            // All that is said of stored bytes is a SourceError; the rest is said by the one decoder that can refuse so
            // early.
            Err(error) => {
                return Err(error.downcast().unwrap_or_else(|source| SourceError::Compressed {
                    url: info.url,
                    format: "zstd",
                    source,
                }));
            }
        };
        let decoder = Some(Box::new(decoder));
        Ok(Self {
            info,
            stored_bytes,
            download: None,
            text_bytes: 0,
            limits: Limits::default(),
            zstd_window_log,
            decoder,
        })
    }

    /// The file, which this task receives.
    #[must_use]
    pub(super) fn received_by(self, task: AbortHandle) -> Self {
        Self { download: Some(task), ..self }
    }

    /// The file, which may hold no more than these limits allow. A [`SourceError`] past them refuses it
    /// ([`SourceError::refuses`]); they are the default ones otherwise.
    #[must_use]
    pub fn within(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Counts text that was read, and holds it against the limits.
    fn count(&mut self, read: usize) -> Result<(), SourceError> {
        self.text_bytes += read as u64;
        let stored = self.stored_bytes.load(Ordering::Relaxed);
        let url = || self.info.url.clone();
        match exceeds(self.limits, stored, self.text_bytes) {
            None => Ok(()),
            Some(Exceeds::Bytes(max_bytes)) => Err(SourceError::TooLarge { url: url(), max_bytes }),
            Some(Exceeds::Ratio(max_ratio)) => Err(SourceError::Inflated { url: url(), max_ratio }),
        }
    }

    /// What is known of the file.
    #[must_use]
    pub fn info(&self) -> &FileInfo {
        &self.info
    }

    /// The task that receives the file, where it comes over the network. Aborting it ends the file early, which shows
    /// as an error or as a file that is too short.
    #[must_use]
    pub fn download(&self) -> Option<AbortHandle> {
        self.download.clone()
    }

    /// A count of the stored bytes read so far, kept up to date while the file is read; [`FileInfo::bytes`] is its
    /// goal.
    #[must_use]
    pub fn stored_bytes(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.stored_bytes)
    }

    /// Reads whatever is left, checks that the file was whole, and gives the hash of what is stored.
    pub fn finish(mut self) -> Result<ContentHash, SourceError> {
        io::copy(&mut self, &mut io::sink()).map_err(|error| SourceError::from_io(error, &self.info.url))?;
        let failed = || SourceError::FailedBefore { url: self.info.url.clone() };
        let stored = self.decoder.take().and_then(|decoder| decoder.into_inner()).ok_or_else(failed)?;
        Ok(stored.into_inner().hash())
    }
}

impl Read for SourceFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let failed = || SourceError::FailedBefore { url: self.info.url.clone() }.into_io();
        let decoder = self.decoder.as_mut().ok_or_else(failed)?;
        let error = match decoder.read(buffer) {
            Ok(n) => {
                return self.count(n).map(|()| n).map_err(|error| {
                    self.decoder = None;
                    error.into_io()
                });
            }
            Err(error) => error,
        };
        let format = self.decoder.take().and_then(|decoder| decoder.format());
        let url = self.info.url.clone();
        // What is not ours was said by the decompressor.
        Err(match (error.downcast::<SourceError>(), format) {
            (Ok(error), _) => error,
            // libzstd's own words for a window that is larger than it may be.
            (Err(source), _) if source.to_string().contains("requires too much memory") => {
                SourceError::Window { url, log: self.zstd_window_log }
            }
            (Err(source), Some(format)) => SourceError::Compressed { url, format, source },
            (Err(source), None) => SourceError::Unreadable { url, source },
        }
        .into_io())
    }
}

/// Counts and hashes stored bytes, and does not let them end early or late.
struct Hashing {
    stored: Box<dyn Read + Send>,
    sha256: Sha256,
    bytes: u64,
    announced: Option<u64>,
    url: String,
    progress: Arc<AtomicU64>,
}

impl Hashing {
    fn hash(self) -> ContentHash {
        ContentHash(hex(&self.sha256.finalize()))
    }
}

impl Read for Hashing {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = loop {
            match self.stored.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(SourceError::from_io(error, &self.url).into_io()),
                Ok(n) => break n,
            }
        };
        self.sha256.update(&buffer[..n]);
        self.bytes += n as u64;
        self.progress.store(self.bytes, Ordering::Relaxed);
        let ended = n == 0 && !buffer.is_empty();
        if let Some(announced) = self.announced
            && (self.bytes > announced || (ended && self.bytes < announced))
        {
            let url = self.url.clone();
            return Err(SourceError::WrongSize { url, got: self.bytes, announced }.into_io());
        }
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_held_against_its_own_size_and_the_stored_one() {
        let (small, gib) = (RATIO_COUNTS_FROM, 1_u64 << 30);
        let (default, raised) = (Limits::default(), Limits { max_ratio: 100_000, ..Limits::default() });
        let Limits { max_bytes, max_ratio, .. } = default;
        let unbounded = Limits { max_bytes: u64::MAX, ..default };
        for (limits, stored, text, expected) in [
            // Small files of equal rows shrink as far and are in order.
            (default, 5_000, small, None),
            (default, 5_000, small + 1, Some(Exceeds::Ratio(max_ratio))),
            (default, 0, small + 1, Some(Exceeds::Ratio(max_ratio))),
            // What the error advises is enough.
            (raised, 5_000, small + 1, None),
            (unbounded, gib, gib * 500, None),
            (unbounded, gib, gib * 501, Some(Exceeds::Ratio(max_ratio))),
            (Limits { max_bytes: gib, ..default }, gib, gib, None),
            (Limits { max_bytes: gib, ..default }, gib, gib + 1, Some(Exceeds::Bytes(gib))),
            (raised, gib, max_bytes + 1, Some(Exceeds::Bytes(max_bytes))),
        ] {
            assert_eq!(exceeds(limits, stored, text), expected, "{limits:?} {stored} {text}");
        }
    }
}
