//! Files of this machine (or mounted on it), read without a detour through the async world.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::path::Path;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::{FileInfo, FileStatus, OpenedFile, SourceError, SourceFile, unsettled};

/// Opens a file that has rested for `settle`.
pub(super) fn open(
    path: &Path,
    url: String,
    settle: Duration,
    zstd_window_log: u32,
) -> Result<OpenedFile, SourceError> {
    // FileStatus at by name before it is opened: opening a pipe would wait for its writer.
    if let FileStatus::NotThere { url, why } = stat(path, url.clone(), settle)? {
        return Ok(OpenedFile::NotThere { url, why });
    }
    let unreadable = |source| SourceError::Unreadable { url: url.clone(), source };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if gone(&error) => return Ok(OpenedFile::NotThere { why: missing(path), url }),
        Err(error) => return Err(unreadable(error)),
    };
    // The name may have gone to another file meanwhile; what counts is what was opened.
    let info = info(&file.metadata().map_err(unreadable)?, &url).map_err(unreadable)?;
    let file = LocalFile { file, info: info.clone() };
    Ok(OpenedFile::File(SourceFile::new(Box::new(file), info, zstd_window_log)?))
}

/// Looks at a file.
pub(super) fn stat(path: &Path, url: String, settle: Duration) -> Result<FileStatus, SourceError> {
    let metadata = match path.metadata() {
        Ok(metadata) => metadata,
        Err(error) if gone(&error) => return Ok(FileStatus::NotThere { why: missing(path), url }),
        Err(source) => return Err(SourceError::Unreadable { url, source }),
    };
    if !metadata.is_file() {
        let what = if metadata.is_dir() { "a folder" } else { "a device or pipe" };
        return Err(SourceError::NotAFile { url, what });
    }
    let info = info(&metadata, &url).map_err(|source| SourceError::Unreadable { url: url.clone(), source })?;
    Ok(match unsettled(info.modified, Utc::now(), settle) {
        Some(why) => FileStatus::NotThere { url, why },
        None => FileStatus::File(info),
    })
}

fn gone(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// True where there is no folder of that name. One that may not be looked at may be there.
pub(super) fn is_no_folder(path: &Path) -> bool {
    path.metadata().map_or_else(|error| gone(&error), |metadata| !metadata.is_dir())
}

/// A missing folder is named: it is more often a mistake or a missing mount than a missing file.
fn missing(path: &Path) -> String {
    match path.parent().filter(|folder| !folder.as_os_str().is_empty() && !folder.is_dir()) {
        Some(folder) => format!("the folder {} does not exist", folder.display()),
        None => "no such file".to_owned(),
    }
}

fn info(metadata: &Metadata, url: &str) -> io::Result<FileInfo> {
    let modified: DateTime<Utc> = metadata.modified()?.into();
    let etag = format!("\"{:x}-{:x}-{:x}\"", inode(metadata), modified.timestamp_micros(), metadata.len());
    Ok(FileInfo { url: url.to_owned(), etag: Some(etag), bytes: Some(metadata.len()), modified })
}

#[cfg(unix)]
fn inode(metadata: &Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(metadata)
}

#[cfg(not(unix))]
fn inode(_: &Metadata) -> u64 {
    0
}

/// An open file that notices when it is changed while it is read.
#[derive(Debug)]
pub(super) struct LocalFile {
    file: File,
    info: FileInfo,
}

impl Read for LocalFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.file.read(buffer)?;
        if n == 0 && !buffer.is_empty() && info(&self.file.metadata()?, &self.info.url)? != self.info {
            return Err(SourceError::Changed { url: self.info.url.clone() }.into_io());
        }
        Ok(n)
    }
}
