//! The parser: a file's bytes, pushed as they arrive, become records that know which lines they stand on.
//!
//! It reads what RFC 4180 describes, as strictly as Python's `csv` with `strict=True`: a record that breaks the rules is
//! handed out with its [`RecordFault`], and reading goes on with the next line. It decides what a whole file is: a cut-off or
//! runaway one is a [`BrokenFile`], never a smaller file. What a record means is left to
//! [`validate`](crate::validate), and where the bytes come from to the caller.

mod broken;
mod contents;
mod record;
mod row;

use memchr::{memchr_iter, memchr2_iter, memchr3};

use crate::dataset::CsvFormat;

pub use broken::BrokenFile;
pub use contents::{FIRST_BYTES, kind};
pub use row::{RawRow, RecordFault};

use record::{FieldPosition, LineEnds, Record};

/// The most bytes the fields of one record may hold together. A quote that is never closed would otherwise swallow the
/// rest of the file into one field, and into memory.
pub const MAX_RECORD_BYTES: usize = 1 << 20;

/// The most fields one record may have; it bounds memory for a record that is nothing but delimiters.
pub const MAX_FIELDS: usize = 16_384;

/// How far to look for the end of a record without quotes. It bounds what is looked at in vain (and so what is looked
/// at twice), and keeps such a record below both limits above.
const PLAIN_WINDOW: usize = MAX_FIELDS;

/// Why a push stopped. The parser is of no use afterwards.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError<E> {
    /// The file cannot be taken.
    #[error(transparent)]
    File(#[from] BrokenFile),
    /// The callback did not want to go on.
    #[error("{0}")]
    Row(E),
}

/// Where in the file the parser is. A line ends at CRLF, LF or a lone CR, inside quotes too.
#[derive(Debug)]
struct LineCount {
    line: u64,
    /// The last byte was a CR: an LF right after it, perhaps in the next push, belongs to the same line end.
    after_cr: bool,
}

impl LineCount {
    fn count(&mut self, bytes: &[u8]) {
        for at in memchr2_iter(b'\r', b'\n', bytes) {
            let second_half = bytes[at] == b'\n' && if at == 0 { self.after_cr } else { bytes[at - 1] == b'\r' };
            self.line += u64::from(!second_half);
        }
        if let Some(last) = bytes.last() {
            self.after_cr = *last == b'\r';
        }
    }
}

/// Turns pushed bytes into records. Memory is bounded by the two limits above, whatever the file holds.
#[derive(Debug)]
pub struct Parser {
    delimiter: u8,
    quote: u8,
    last_line_end_required: bool,
    /// The first bytes of the file for as long as they may still become a byte order mark; `None` afterwards.
    head: Option<Vec<u8>>,
    lines: LineCount,
    /// How the file's lines end, as its header's does.
    line_ends: LineEnds,
    /// How many fields the header has, once it was seen.
    header_len: Option<usize>,
    /// The record that is read byte by byte, since it has quotes or came in pieces.
    record: Record,
    /// The line on which it starts; `None` between records.
    open: Option<u64>,
    /// The ends of the fields of a record without quotes.
    plain_ends: Vec<usize>,
}

impl Parser {
    /// A parser for one file.
    #[must_use]
    pub fn new(format: &CsvFormat) -> Self {
        Self {
            delimiter: format.delimiter,
            quote: format.quote,
            last_line_end_required: format.last_line_end_required,
            head: Some(Vec::new()),
            lines: LineCount { line: 1, after_cr: false },
            line_ends: LineEnds::Unknown,
            header_len: None,
            record: Record::new(format.delimiter, format.quote),
            open: None,
            plain_ends: Vec::new(),
        }
    }

    /// How many fields the header has, once it was seen.
    #[must_use]
    pub fn header_len(&self) -> Option<usize> {
        self.header_len
    }

    /// Takes the next bytes of the file; `each` gets every record that they complete, the header first of all.
    pub fn push<E>(
        &mut self,
        bytes: &[u8],
        each: &mut impl FnMut(RawRow<'_>) -> Result<(), E>,
    ) -> Result<(), ParseError<E>> {
        let mut bytes = bytes;
        while let (Some(head), Some((first, rest))) = (&mut self.head, bytes.split_first()) {
            head.push(*first);
            bytes = rest;
            match head.as_slice() {
                b"\xEF" | b"\xEF\xBB" | b"\xFE" | b"\xFF" => {}
                b"\xEF\xBB\xBF" => self.head = None,
                b"\xFE\xFF" | b"\xFF\xFE" => return Err(BrokenFile::Utf16.into()),
                _ => self.feed_head(each)?,
            }
        }
        self.feed(bytes, each)
    }

    /// The end of the file: says whether it was a whole one. `each` gets a last row that has no line end, if the format
    /// allows that.
    pub fn finish<E>(&mut self, each: &mut impl FnMut(RawRow<'_>) -> Result<(), E>) -> Result<(), ParseError<E>> {
        self.feed_head(each)?;
        let open = self.open.take().filter(|_| self.record.place() != FieldPosition::BlankCr);
        let Some(line) = open else {
            return if self.header_len.is_some() { Ok(()) } else { Err(BrokenFile::Empty.into()) };
        };
        let place = self.record.place();
        if place == FieldPosition::Quoted {
            return Err(BrokenFile::OpenQuote { line, backslash: self.record.has_backslash() }.into());
        }
        if self.record.fault().is_none() {
            self.record.end_field(line)?;
        }
        let fields = self.record.ends().len();
        let expected = self.header_len.unwrap_or(0);
        // The line end of the last byte was counted.
        let after_cr = u64::from(place == FieldPosition::AfterCr);
        if self.record.fault().is_none() && fields < expected {
            return Err(BrokenFile::ShortLastRow { line, fields, expected }.into());
        }
        // Behind a header that ends in CR, lines do; behind another the LF of a CRLF is missing.
        let has_line_end = place == FieldPosition::AfterCr && self.line_ends == LineEnds::Unknown;
        if self.last_line_end_required && !has_line_end {
            return Err(BrokenFile::NoLineEnd { line: self.lines.line - after_cr }.into());
        }
        self.header_len.get_or_insert(fields);
        let lines = self.lines.line - line + 1 - after_cr;
        each(self.record.row(line, lines)).map_err(ParseError::Row)
    }

    /// The bytes held back turned out not to be a byte order mark: they are the file's first.
    fn feed_head<E>(&mut self, each: &mut impl FnMut(RawRow<'_>) -> Result<(), E>) -> Result<(), ParseError<E>> {
        match self.head.take() {
            Some(head) => self.feed(&head, each),
            None => Ok(()),
        }
    }

    fn feed<E>(
        &mut self,
        bytes: &[u8],
        each: &mut impl FnMut(RawRow<'_>) -> Result<(), E>,
    ) -> Result<(), ParseError<E>> {
        let mut bytes = bytes;
        while let Some(first) = bytes.first() {
            if self.open.is_none() {
                // Blank lines and the second half of a CRLF: taken here, so that a record's first byte is known.
                let blank = match first {
                    b'\n' => 1,
                    b'\r' if self.line_ends != LineEnds::Lf => 1,
                    b'\r' if bytes.get(1) == Some(&b'\n') => 2,
                    _ => 0,
                };
                if blank > 0 {
                    self.lines.count(&bytes[..blank]);
                    bytes = &bytes[blank..];
                    continue;
                }
                if let Some(used) = self.plain_record(bytes, each).map_err(ParseError::Row)? {
                    bytes = &bytes[used..];
                    continue;
                }
                self.open = Some(self.lines.line);
                self.record.begin();
            }
            let used = self.read(bytes, each)?;
            bytes = &bytes[used..];
        }
        Ok(())
    }

    /// Most records hold no quotes and lie whole in the bytes at hand: their fields are found in place, several times
    /// faster than byte by byte. Gives how many bytes were used, or `None` if the record is not of that kind.
    fn plain_record<E>(
        &mut self,
        bytes: &[u8],
        each: &mut impl FnMut(RawRow<'_>) -> Result<(), E>,
    ) -> Result<Option<usize>, E> {
        let window = &bytes[..bytes.len().min(PLAIN_WINDOW)];
        let Some(end) = memchr3(b'\n', b'\r', self.quote, window) else { return Ok(None) };
        let Some((length, line_ends)) = self.line_ends.at(window[end], bytes.get(end + 1)) else { return Ok(None) };
        if end == 0 {
            return Ok(None);
        }
        let data = &window[..end];
        self.plain_ends.clear();
        self.plain_ends.extend(memchr_iter(self.delimiter, data));
        self.plain_ends.push(end);
        let line = self.lines.line;
        self.lines = LineCount { line: line + 1, after_cr: line_ends == LineEnds::Cr };
        self.line_ends = line_ends;
        self.header_len.get_or_insert(self.plain_ends.len());
        each(RawRow { line, lines: 1, data, ends: &self.plain_ends, gap: 1, fault: None })?;
        Ok(Some(end + length))
    }

    /// Goes on with the open record, to its end at most; gives how many bytes were used.
    fn read<E>(
        &mut self,
        bytes: &[u8],
        each: &mut impl FnMut(RawRow<'_>) -> Result<(), E>,
    ) -> Result<usize, ParseError<E>> {
        let line = self.open.unwrap_or(self.lines.line);
        let (used, ended) = self.record.read(bytes, line, &mut self.line_ends)?;
        self.lines.count(&bytes[..used]);
        if let Some(fault) = self.record.fault()
            && self.header_len.is_none()
        {
            return Err(BrokenFile::Header { line, fault }.into());
        }
        if !ended {
            return Ok(used);
        }
        self.open = None;
        if self.record.place() != FieldPosition::BlankCr {
            self.header_len.get_or_insert(self.record.ends().len());
            each(self.record.row(line, self.lines.line - line)).map_err(ParseError::Row)?;
        }
        Ok(used)
    }
}

#[cfg(test)]
mod tests;
