//! What was done in an attempt, told in a few lines while it goes on and stored with its end.

use std::fmt::{Display, Write as _};
use std::time::Instant;

/// How many bytes of a line are kept: a file's header may name thousands of columns.
const LONGEST: usize = 1000;

/// What was done in an attempt, a line each: the milliseconds since it began, a space, and the text. No line holds a
/// value of a row.
#[derive(Debug, Clone)]
pub struct AttemptLog {
    began: Instant,
    lines: String,
}

impl AttemptLog {
    /// An attempt that begins now.
    #[must_use]
    pub fn begin() -> Self {
        Self { began: Instant::now(), lines: String::new() }
    }

    /// Adds a line, at the time that has passed by now.
    pub fn line(&mut self, text: impl Display) {
        let ms = self.began.elapsed().as_millis();
        let text = one_line(&text.to_string());
        // Writing to a text cannot fail.
        let _ = writeln!(self.lines, "{ms} {text}");
    }

    /// As it is stored; nothing when nothing was told.
    pub(super) fn stored(&self) -> Option<&str> {
        (!self.lines.is_empty()).then_some(self.lines.trim_end())
    }
}

/// The lines as they were told: milliseconds since the attempt began, and the text.
pub fn lines(stored: &str) -> impl Iterator<Item = (u64, &str)> {
    stored.lines().filter_map(|line| {
        let (ms, text) = line.split_once(' ')?;
        Some((ms.parse().ok()?, text))
    })
}

/// A text on one line, cut where it is too long, without what PostgreSQL cannot store.
fn one_line(text: &str) -> String {
    let cut = text.len() > LONGEST;
    let mut line: String =
        text[..text.floor_char_boundary(LONGEST)].chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if cut {
        line.push_str("...");
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_comes_back_line_by_line() {
        let mut log = AttemptLog::begin();
        assert_eq!(log.stored(), None);
        log.line("two\nlines\0");
        log.line("ü".repeat(LONGEST));
        let stored = log.stored().unwrap();
        let texts: Vec<&str> = lines(stored).map(|(_, text)| text).collect();
        assert_eq!(texts[0], "two lines ");
        assert_eq!(texts[1], format!("{}...", "ü".repeat(LONGEST / 2)));
        assert_eq!(texts.len(), 2);
        assert!(lines("12 a b").eq([(12, "a b")]));
        assert_eq!(lines("no time\n\n").count(), 0);
    }
}
