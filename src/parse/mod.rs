//! The parser: a file's bytes, pushed as they arrive, become records that know which lines they stand on.
//!
//! It decides what a whole file is: a cut-off or runaway one is a [`BrokenFile`], never a smaller file. What a record
//! means is left to [`validate`](crate::validate), and where the bytes come from to the caller.

use csv_core::{ReadRecordResult, Reader, ReaderBuilder};
use memchr::{memchr_iter, memchr2_iter, memchr3};

use crate::dataset::CsvFormat;
use crate::wording::counted;

/// The most bytes the fields of one record may hold together. A quote that is never closed would otherwise swallow the
/// rest of the file into one field, and into memory.
pub const MAX_RECORD_BYTES: usize = 1 << 20;

/// The most fields one record may have; it bounds memory for a record that is nothing but delimiters.
pub const MAX_FIELDS: usize = 16_384;

/// How far to look for the end of a record without quotes. It bounds what is looked at in vain (and so what is looked
/// at twice), and keeps such a record below both limits above.
const PLAIN_WINDOW: usize = 4096;

/// Why a file as a whole cannot be taken. None of its rows counts then, not even those already handed out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BrokenFile {
    /// There is not even a header.
    #[error("line 1: the file is empty, it has no header")]
    Empty,
    /// The file begins with the byte order mark of UTF-16.
    #[error("line 1: the file is encoded in UTF-16; it must be UTF-8")]
    Utf16,
    /// A record holds more than [`MAX_RECORD_BYTES`].
    #[error("line {line}: the row that begins here is longer than 1 MiB; is its closing quote missing?")]
    RecordTooLong {
        /// The line on which the record starts.
        line: u64,
    },
    /// A record has more than [`MAX_FIELDS`] fields.
    #[error("line {line}: the row that begins here has more than {MAX_FIELDS} fields")]
    TooManyFields {
        /// The line on which the record starts.
        line: u64,
    },
    /// The file ends inside a quoted field.
    #[error(
        "line {line}: the row that begins here has a quote that is still open at the end of the file, which is cut off"
    )]
    OpenQuote {
        /// The line on which the record starts.
        line: u64,
    },
    /// The last row has no line end and fewer fields than the header.
    #[error(
        "line {line}: the last row has no line end and only {fields} of {}; the file is cut off",
        counted(*expected, "field")
    )]
    ShortLastRow {
        /// The line on which the row starts.
        line: u64,
        /// How many fields it has.
        fields: usize,
        /// How many fields the header has.
        expected: usize,
    },
    /// The last row has no line end; its last value may be a part of what it was.
    #[error(
        "line {line} has no line end; the file may be cut off (csv.last_line_end = \"optional\" accepts such files)"
    )]
    NoLineEnd {
        /// The file's last line.
        line: u64,
    },
}

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

/// One record of the file, as bytes: quotes are undone, nothing else is.
#[derive(Debug, Clone, Copy)]
pub struct RawRow<'a> {
    line: u64,
    lines: u64,
    data: &'a [u8],
    ends: &'a [usize],
    /// How many bytes of `data` lie between two fields: 1 where `data` is the file's own line, 0 where it was
    /// rewritten.
    gap: usize,
}

impl<'a> RawRow<'a> {
    /// The line on which the record starts; the file's first line is 1.
    #[must_use]
    pub fn line(&self) -> u64 {
        self.line
    }

    /// How many lines the record spans: more than 1 if a quoted field holds line ends.
    #[must_use]
    pub fn lines(&self) -> u64 {
        self.lines
    }

    /// How many fields the record has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// True for no record that the parser hands out: even a lone value is one field.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The bytes of one field.
    #[must_use]
    pub fn field(&self, index: usize) -> Option<&'a [u8]> {
        self.data.get(self.range(index)?)
    }

    /// All fields in the order of the file.
    pub fn fields(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let row = *self;
        (0..row.len()).filter_map(move |index| row.field(index))
    }

    /// All fields in one piece, with or without the delimiters; cheaper to check at once than field by field.
    pub(crate) fn data(&self) -> &'a [u8] {
        self.data
    }

    /// Where a field stands in [`RawRow::data`].
    pub(crate) fn range(&self, index: usize) -> Option<std::ops::Range<usize>> {
        let end = *self.ends.get(index)?;
        let start = if index == 0 { 0 } else { self.ends[index - 1] + self.gap };
        Some(start..end)
    }
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
    reader: Reader,
    delimiter: u8,
    quote: u8,
    last_line_end_required: bool,
    /// The first bytes of the file for as long as they may still become a byte order mark; `None` afterwards.
    head: Option<Vec<u8>>,
    lines: LineCount,
    /// The line on which the record starts that `reader` is inside of; `None` between records.
    open: Option<u64>,
    /// How many fields the header has, once it was seen.
    header_len: Option<usize>,
    /// What `reader` has written of the open record: `data_len` bytes, with `ends_len` ends of fields.
    data: Vec<u8>,
    data_len: usize,
    ends: Vec<usize>,
    ends_len: usize,
    /// The ends of the fields of a record without quotes.
    plain_ends: Vec<usize>,
}

impl Parser {
    /// A parser for one file.
    #[must_use]
    pub fn new(format: &CsvFormat) -> Self {
        let mut reader = ReaderBuilder::new().delimiter(format.delimiter).quote(format.quote).build();
        // The reader drops a byte order mark at its first read, but only where the mark comes in one piece. We drop it
        // ourselves; a blank line makes this the reader's second read, so that it leaves the next bytes alone.
        let _ = reader.read_record(b"\n", &mut [0], &mut [0]);
        Self {
            reader,
            delimiter: format.delimiter,
            quote: format.quote,
            last_line_end_required: format.last_line_end_required,
            head: Some(Vec::new()),
            lines: LineCount { line: 1, after_cr: false },
            open: None,
            header_len: None,
            data: vec![0; 16 << 10],
            data_len: 0,
            ends: vec![0; 256],
            ends_len: 0,
            plain_ends: Vec::new(),
        }
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
        let Some(line) = self.open.take() else {
            return if self.header_len.is_some() { Ok(()) } else { Err(BrokenFile::Empty.into()) };
        };
        // The reader does not tell whether it is inside quotes, but a line end does: it ends the record, or is text.
        self.grow_data();
        self.grow_ends();
        let (result, _, _, ended) =
            self.reader.read_record(b"\n", &mut self.data[self.data_len..], &mut self.ends[self.ends_len..]);
        let fields = self.ends_len + ended;
        if !matches!(result, ReadRecordResult::Record) {
            return Err(BrokenFile::OpenQuote { line }.into());
        }
        if fields > MAX_FIELDS {
            return Err(BrokenFile::TooManyFields { line }.into());
        }
        let expected = self.header_len.unwrap_or(0);
        if fields < expected {
            return Err(BrokenFile::ShortLastRow { line, fields, expected }.into());
        }
        if self.last_line_end_required {
            return Err(BrokenFile::NoLineEnd { line: self.lines.line }.into());
        }
        self.header_len.get_or_insert(fields);
        let lines = self.lines.line - line + 1;
        each(RawRow { line, lines, data: &self.data[..self.data_len], ends: &self.ends[..fields], gap: 0 })
            .map_err(ParseError::Row)
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
                if matches!(first, b'\r' | b'\n') {
                    self.lines.count(&bytes[..1]);
                    bytes = &bytes[1..];
                    continue;
                }
                if let Some(used) = self.plain_record(bytes, each).map_err(ParseError::Row)? {
                    bytes = &bytes[used..];
                    continue;
                }
                self.open = Some(self.lines.line);
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
        let Some(end) = memchr3(b'\n', b'\r', self.quote, window).filter(|at| window[*at] != self.quote) else {
            return Ok(None);
        };
        let data = &window[..end];
        self.plain_ends.clear();
        self.plain_ends.extend(memchr_iter(self.delimiter, data));
        self.plain_ends.push(end);
        let line = self.lines.line;
        self.lines = LineCount { line: line + 1, after_cr: window[end] == b'\r' };
        self.header_len.get_or_insert(self.plain_ends.len());
        each(RawRow { line, lines: 1, data, ends: &self.plain_ends, gap: 1 })?;
        Ok(Some(end + 1))
    }

    /// Lets the reader go on with the open record, to its end at most; gives how many bytes were used.
    fn read<E>(
        &mut self,
        bytes: &[u8],
        each: &mut impl FnMut(RawRow<'_>) -> Result<(), E>,
    ) -> Result<usize, ParseError<E>> {
        let (result, used, wrote, ended) =
            self.reader.read_record(bytes, &mut self.data[self.data_len..], &mut self.ends[self.ends_len..]);
        self.data_len += wrote;
        self.ends_len += ended;
        self.lines.count(&bytes[..used]);
        let line = self.open.unwrap_or(self.lines.line);
        if self.data_len > MAX_RECORD_BYTES {
            return Err(BrokenFile::RecordTooLong { line }.into());
        }
        if self.ends_len > MAX_FIELDS {
            return Err(BrokenFile::TooManyFields { line }.into());
        }
        match result {
            ReadRecordResult::Record => {
                let (data, ends) = (&self.data[..self.data_len], &self.ends[..self.ends_len]);
                (self.open, self.data_len, self.ends_len) = (None, 0, 0);
                self.header_len.get_or_insert(ends.len());
                each(RawRow { line, lines: self.lines.line - line, data, ends, gap: 0 }).map_err(ParseError::Row)?;
            }
            ReadRecordResult::OutputFull => self.grow_data(),
            ReadRecordResult::OutputEndsFull => self.grow_ends(),
            // The rest of the record comes with the next push. (The end is only told for empty input, never given.)
            ReadRecordResult::InputEmpty | ReadRecordResult::End => {}
        }
        Ok(used)
    }

    /// Makes room for at least one more byte. One more than allowed fits: that one proves a record too long, and does
    /// so at the same byte however the file is cut into pushes.
    fn grow_data(&mut self) {
        if self.data_len == self.data.len() {
            self.data.resize((self.data.len() * 2).min(MAX_RECORD_BYTES + 1), 0);
        }
    }

    /// The same for the ends of fields.
    fn grow_ends(&mut self) {
        if self.ends_len == self.ends.len() {
            self.ends.resize((self.ends.len() * 2).min(MAX_FIELDS + 1), 0);
        }
    }
}

#[cfg(test)]
mod tests;
