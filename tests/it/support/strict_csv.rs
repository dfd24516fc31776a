//! What a CSV file holds by the rules of Python's `csv` with `strict=True`, read as simply as it can be, and whether
//! dayfill's parser agrees. `fuzz/` uses this file, too.

use std::convert::Infallible;

use dayfill::dataset::CsvFormat;
use dayfill::parse::{Parser, RawRow};

/// A record: the line on which it begins, how many lines it spans, and its fields; `None` where it breaks the rules.
pub(crate) type Record = (u64, u64, Option<Vec<Vec<u8>>>);

/// The records of a file with that delimiter and double quotes. Blank lines are none; after a record that breaks the
/// rules reading goes on with the next line.
pub(crate) fn strict(file: &[u8], delimiter: u8) -> Vec<Record> {
    let mut records = Vec::new();
    let mut open: Option<(u64, Reading)> = None;
    for (number, line) in (1..).zip(lines(file)) {
        let (first, reading) = open.get_or_insert_with(|| (number, Reading::default()));
        for byte in line {
            reading.byte(*byte, delimiter);
        }
        if reading.state == State::Quoted && !reading.broken {
            continue;
        }
        let (first, Reading { fields, broken, blank, .. }) = (*first, std::mem::take(reading));
        if broken {
            records.push((first, number - first + 1, None));
        } else if !blank {
            records.push((first, number - first + 1, Some(fields)));
        }
        open = None;
    }
    // The file ends inside quotes.
    if let Some((first, _)) = open {
        records.push((first, lines(file).len() as u64 - first + 1, None));
    }
    records
}

/// The lines, each with its end: LF, CRLF or CR.
fn lines(file: &[u8]) -> Vec<&[u8]> {
    let mut lines = Vec::new();
    let mut start = 0;
    for (at, byte) in file.iter().enumerate() {
        if *byte == b'\n' || (*byte == b'\r' && file.get(at + 1) != Some(&b'\n')) {
            lines.push(&file[start..=at]);
            start = at + 1;
        }
    }
    if start < file.len() {
        lines.push(&file[start..]);
    }
    lines
}

#[derive(Default, PartialEq, Clone, Copy)]
enum State {
    #[default]
    Start,
    Plain,
    Quoted,
    Closed,
    Ended,
}

struct Reading {
    state: State,
    fields: Vec<Vec<u8>>,
    broken: bool,
    blank: bool,
}

impl Default for Reading {
    fn default() -> Self {
        Self { state: State::Start, fields: vec![Vec::new()], broken: false, blank: true }
    }
}

impl Reading {
    fn byte(&mut self, byte: u8, delimiter: u8) {
        let line_end = matches!(byte, b'\r' | b'\n');
        self.blank &= line_end;
        self.state = match (self.state, byte) {
            (State::Start, b'"') => State::Quoted,
            (State::Quoted, b'"') => State::Closed,
            (State::Quoted, _) | (State::Closed, b'"') => self.push(byte, State::Quoted),
            (State::Start | State::Plain | State::Closed, _) if byte == delimiter => {
                self.fields.push(Vec::new());
                State::Start
            }
            _ if line_end => State::Ended,
            (State::Closed, _) => {
                self.broken = true;
                State::Ended
            }
            (State::Ended, _) => State::Ended,
            (State::Start | State::Plain, _) => self.push(byte, State::Plain),
        };
    }

    fn push(&mut self, byte: u8, state: State) -> State {
        self.fields.last_mut().expect("there is one").push(byte);
        state
    }
}

/// What dayfill's parser hands out of a file that arrives in pieces of that size; `None` where it takes the file for
/// broken.
fn read(file: &[u8], delimiter: u8, piece: usize) -> Option<Vec<Record>> {
    let format = CsvFormat { delimiter, quote: b'"', null: Vec::new(), last_line_end_required: false };
    let mut parser = Parser::new(&format);
    let mut records = Vec::new();
    let mut take = |row: RawRow<'_>| {
        let fields = row.fault().is_none().then(|| row.fields().map(<[u8]>::to_vec).collect());
        records.push((row.line(), row.lines(), fields));
        Ok::<_, Infallible>(())
    };
    let mut pieces = file.chunks(piece);
    let whole = pieces.all(|piece| parser.push(piece, &mut take).is_ok()) && parser.finish(&mut take).is_ok();
    whole.then_some(records)
}

/// Holds the parser to its promise: it hands out exactly the records expected, or the file is refused, or a record that
/// is not as expected is rejected. Gives how many records it accepted.
///
/// # Panics
/// When it breaks that promise.
pub(crate) fn agrees(file: &[u8], delimiter: u8, expected: &[Record]) -> Option<usize> {
    let read_at_once = read(file, delimiter, file.len().max(1));
    assert_eq!(read_at_once, read(file, delimiter, 1), "the pieces decide: {:?}", file.escape_ascii().to_string());
    let found = read_at_once?;
    let shown = || format!("{:?} gives {found:?}, not {expected:?}", file.escape_ascii().to_string());
    let accepted = found.iter().filter(|(_, _, fields)| fields.is_some());
    for record in accepted.clone() {
        assert!(expected.contains(record), "{}", shown());
    }
    for record @ (line, lines, _) in expected {
        let rejected = found
            .iter()
            .any(|(first, span, fields)| fields.is_none() && *first <= *line && first + span >= line + lines);
        assert!(rejected || found.contains(record), "{}", shown());
    }
    // Beyond the rules dayfill rejects only line ends of another kind, and what backslashes seem to escape.
    if !file.iter().any(|byte| matches!(byte, b'\r' | b'\\')) {
        assert_eq!(found, expected, "{}", shown());
    }
    Some(accepted.count())
}
