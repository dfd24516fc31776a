//! Reading days' files from real servers: local files, a web server, an S3 service, each with what goes wrong there.

mod local;
mod signed;
mod timeouts;
mod tls;
mod web;

use std::io::{Read as _, Write as _};
use std::time::Duration;

use dayfill::dataset::{Forbidden, SourceSpec};
use dayfill::day::Day;
use dayfill::source::{ClientTimeouts, ContentHash, FileInfo, FileStatus, OpenedFile, Source, SourceError, SourceFile};
use dayfill::url_template::UrlTemplate;
use sha2::{Digest as _, Sha256};
use tokio::runtime::Runtime;

use crate::support::s3;

/// The day every test asks for.
const DAY: &str = "2019-04-01";

fn spec(url: &str) -> SourceSpec {
    SourceSpec::new(UrlTemplate::parse(url).unwrap())
}

/// Retries at once, so that no test waits for one.
fn hasty() -> ClientTimeouts {
    ClientTimeouts { retries: 2, backoff: Duration::from_millis(1), ..ClientTimeouts::default() }
}

/// A source with the runtime it is asked on.
struct Asked {
    source: Source,
    runtime: Runtime,
}

impl Asked {
    fn new(spec: &SourceSpec) -> Self {
        Self::with(spec, &[], hasty())
    }

    fn with(spec: &SourceSpec, environment: &[(String, String)], timeouts: ClientTimeouts) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        Self { source: Source::with_timeouts(spec, environment, timeouts).unwrap(), runtime }
    }

    fn open(&self) -> Result<OpenedFile, SourceError> {
        self.source.open(DAY.parse::<Day>().unwrap(), self.runtime.handle())
    }

    fn look(&self) -> Result<FileStatus, SourceError> {
        self.source.stat(DAY.parse::<Day>().unwrap(), self.runtime.handle())
    }

    fn file(&self) -> SourceFile {
        match self.open().unwrap() {
            OpenedFile::File(file) => file,
            OpenedFile::NotThere { url, why } => panic!("{url}: {why}"),
        }
    }

    fn read(&self) -> Result<Read, SourceError> {
        match self.open()? {
            OpenedFile::File(file) => read(file),
            OpenedFile::NotThere { url, why } => panic!("{url}: {why}"),
        }
    }

    /// The message of the error that reading ends with.
    fn error(&self) -> String {
        self.read().unwrap_err().to_string()
    }

    /// Why the file is not there, asked both ways.
    fn not_there(&self) -> String {
        let OpenedFile::NotThere { url, why } = self.open().unwrap() else { panic!("it is there") };
        assert_eq!(self.look().unwrap(), FileStatus::NotThere { url, why: why.clone() });
        why
    }
}

/// A file, read to its end.
#[derive(Debug, PartialEq)]
struct Read {
    text: Vec<u8>,
    info: FileInfo,
    hash: ContentHash,
}

fn read(mut file: SourceFile) -> Result<Read, SourceError> {
    let mut text = Vec::new();
    let info = file.info().clone();
    let progress = file.stored_bytes();
    if let Err(error) = file.read_to_end(&mut text) {
        assert!(file.read(&mut [0]).is_err(), "an end of file after an error");
        assert!(file.finish().is_err());
        return Err(error.downcast().unwrap());
    }
    let hash = file.finish()?;
    let read = progress.load(std::sync::atomic::Ordering::Relaxed);
    assert_eq!(read, info.bytes.unwrap_or(read));
    Ok(Read { text, info, hash })
}

fn sha256(stored: &[u8]) -> String {
    s3::hex(&Sha256::digest(stored))
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

/// A CSV file of some size that does not repeat itself.
fn csv(rows: u64) -> Vec<u8> {
    let mut text = b"id,name\n".to_vec();
    for i in 0..rows {
        writeln!(text, "{i},{:x}", i.wrapping_mul(0x9e37_79b9_7f4a_7c15)).unwrap();
    }
    text
}

#[track_caller]
fn assert_has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in {text:?}");
    }
}
