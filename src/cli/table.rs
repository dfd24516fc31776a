//! Tables for people: columns as wide as their widest cell, numbers to the right.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};

use crate::state::State;
use crate::wording::printable;

/// A table under construction.
pub(super) struct Table {
    rows: Vec<Vec<String>>,
    right: Vec<bool>,
}

impl Table {
    /// An empty table; a heading that ends in `>` stands over a column of numbers.
    pub(super) fn new(headings: &[&str]) -> Self {
        let right = headings.iter().map(|heading| heading.ends_with('>')).collect();
        let headings = headings.iter().map(|heading| heading.trim_end_matches('>').to_owned()).collect();
        Self { rows: vec![headings], right }
    }

    pub(super) fn row(&mut self, cells: &[String]) {
        // What a file, a server or a person said may be among them.
        self.rows.push(cells.iter().map(|cell| printable(cell, usize::MAX)).collect());
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.len() == 1
    }

    /// The table as text; cells that are the name of a state are coloured (the terminal's writer takes colours out
    /// where there is no terminal).
    pub(super) fn render(&self) -> String {
        let widths: Vec<usize> = (0..self.right.len())
            .map(|column| self.rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0))
            .collect();
        let mut text = String::new();
        for row in &self.rows {
            let mut line = String::new();
            for ((cell, width), right) in row.iter().zip(&widths).zip(&self.right) {
                let pad = " ".repeat(width - cell.chars().count());
                let style = style_of(cell);
                let (before, after) = if *right { (pad.as_str(), "") } else { ("", pad.as_str()) };
                let _ = write!(line, "{before}{style}{cell}{style:#}{after}  ");
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

/// The colour of a state's name; none for any other text.
fn style_of(text: &str) -> Style {
    let colour = match State::by_name(text) {
        Some(State::Loaded) => AnsiColor::Green,
        Some(State::Running) => AnsiColor::Blue,
        Some(State::Waiting | State::Absent) => AnsiColor::Yellow,
        Some(State::Failed) => AnsiColor::Red,
        Some(State::Refused) => AnsiColor::Magenta,
        Some(State::Skipped) => AnsiColor::BrightBlack,
        None if text == "missing" => AnsiColor::Cyan,
        None => return Style::new(),
    };
    colour.on_default()
}

/// A count, or nothing where nothing was counted.
pub(super) fn count(count: Option<i64>) -> String {
    count.map_or_else(String::new, |count| count.to_string())
}

/// Milliseconds for people: `41 ms`, `8.2 s`, `3 min 20 s`.
pub(super) fn milliseconds(ms: u128) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..60_000 => format!("{}.{} s", ms / 1_000, ms % 1_000 / 100),
        _ => format!("{} min {} s", ms / 60_000, ms % 60_000 / 1_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let mut table = Table::new(&["DAY", "ROWS>", "DETAIL"]);
        table.row(&["2019-04-01".into(), "12".into(), String::new()]);
        table.row(&["x".into(), "1208".into(), "late".into()]);
        assert_eq!(
            anstream::adapter::strip_str(&table.render()).to_string(),
            "DAY         ROWS  DETAIL\n2019-04-01    12\nx           1208  late\n"
        );
    }

    #[test]
    fn times_are_short() {
        for (ms, text) in [(0, "0 ms"), (999, "999 ms"), (8_250, "8.2 s"), (200_000, "3 min 20 s")] {
            assert_eq!(milliseconds(ms), text);
        }
    }
}
