//! What was done in an attempt, told in a few lines while it goes on and stored with its end.

use std::fmt::{Display, Write as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use diesel::backend::Backend;
use diesel::deserialize::{self, FromStaticSqlRow, Queryable};
use diesel::sql_types::{Nullable, Text};

use crate::wording::printable;

/// How many bytes of a line are kept: a file's header may name thousands of columns.
const LONGEST: usize = 1000;

/// What was done in an attempt, a line each: the milliseconds since it began, a space, and the text. No line holds a
/// value of a row. Copies are one and the same log: another thread may see what the attempt waits for.
#[derive(Debug, Clone)]
pub struct AttemptLog(Arc<Mutex<LogBuffer>>);

#[derive(Debug)]
struct LogBuffer {
    began: Instant,
    lines: String,
}

impl AttemptLog {
    /// An attempt that begins now.
    #[must_use]
    pub fn begin() -> Self {
        Self(Arc::new(Mutex::new(LogBuffer { began: Instant::now(), lines: String::new() })))
    }

    /// The attempt begins only now.
    pub fn begin_anew(&self) {
        *self.buffer() = LogBuffer { began: Instant::now(), lines: String::new() };
    }

    /// Adds a line, at the time that has passed by now.
    pub fn line(&self, text: impl Display) {
        let text = printable(&text.to_string(), LONGEST);
        let mut buffer = self.buffer();
        let ms = buffer.began.elapsed().as_millis();
        // Writing to a text cannot fail.
        let _ = writeln!(buffer.lines, "{ms} {text}");
    }

    /// As it is stored; nothing when nothing was told.
    pub(super) fn stored(&self) -> Option<String> {
        let buffer = self.buffer();
        (!buffer.lines.is_empty()).then(|| buffer.lines.trim_end().to_owned())
    }

    fn buffer(&self) -> MutexGuard<'_, LogBuffer> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The lines as they were told: milliseconds since the attempt began, and the text.
pub fn lines(stored: &str) -> impl Iterator<Item = (u64, &str)> {
    stored.lines().filter_map(|line| {
        let (ms, text) = line.split_once(' ')?;
        Some((ms.parse().ok()?, text))
    })
}

/// A line of an attempt's log.
#[derive(Debug, Clone, serde::Serialize, utoipa::ToSchema)]
pub struct LogLine {
    /// Milliseconds since the attempt began.
    pub ms: u64,
    /// What was done.
    pub text: String,
}

/// The log as its column holds it.
pub struct StoredLog(Option<String>);

impl<DB: Backend> Queryable<Nullable<Text>, DB> for StoredLog
where
    Option<String>: FromStaticSqlRow<Nullable<Text>, DB>,
{
    type Row = Option<String>;

    fn build(log: Option<String>) -> deserialize::Result<Self> {
        Ok(Self(log))
    }
}

impl From<StoredLog> for Vec<LogLine> {
    fn from(StoredLog(log): StoredLog) -> Self {
        let line = |(ms, text): (u64, &str)| LogLine { ms, text: text.to_owned() };
        log.iter().flat_map(|log| lines(log)).map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_comes_back_line_by_line() {
        let log = AttemptLog::begin();
        assert_eq!(log.stored(), None);
        log.line("two\nlines\0");
        log.line("ü".repeat(LONGEST));
        let stored = log.stored().unwrap();
        let texts: Vec<&str> = lines(&stored).map(|(_, text)| text).collect();
        assert_eq!(texts[0], "two\\nlines\\0");
        assert_eq!(texts[1], format!("{}...", "ü".repeat((LONGEST - 3) / 2)));
        assert_eq!(texts.len(), 2);
        assert!(lines("12 a b").eq([(12, "a b")]));
        assert_eq!(lines("no time\n\n").count(), 0);
    }
}
