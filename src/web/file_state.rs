//! Whether a file is still what it was, without reading it.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// What tells a file from what it was before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileState {
    place: (u64, u64),
    length: u64,
    /// Beside the time of change, which is no finer than the kernel's tick.
    mode: u32,
    /// When its content or its rights changed last, in seconds and nanoseconds.
    changed: (i64, i64),
}

impl FileState {
    /// The file's stamp now; none when it cannot be looked at.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let metadata = std::fs::metadata(path).ok()?;
        Some(Self {
            place: (metadata.dev(), metadata.ino()),
            length: metadata.len(),
            mode: metadata.mode(),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }
}
