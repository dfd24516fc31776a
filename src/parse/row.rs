//! One record, as the parser hands it out.

use memchr::{memchr, memchr_iter};

/// Why a record cannot be taken: it breaks the rules of RFC 4180, and to guess its fields might alter them. PostgreSQL's
/// `COPY`, `DuckDB` and Python's `csv` with `strict=True` refuse the same text after a closing quote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordFault {
    /// Text stands between a field's closing quote and the next delimiter or line end.
    TextAfterQuote {
        /// The field, from 0.
        field: usize,
        /// A quote in the record follows a backslash, as where quotes are escaped by backslashes.
        backslash: bool,
    },
    /// A quoted field ends in a backslash, and a later field of the record has a quote that opens nothing: the quote
    /// behind the backslash was meant to be a part of the field.
    EscapedQuote {
        /// The field, from 0.
        field: usize,
    },
    /// A carriage return without a line feed stands outside quotes, and the file's lines end in line feeds.
    LoneCr,
    /// A line feed stands outside quotes, and the file's lines end in carriage returns.
    LoneLf,
}

impl RecordFault {
    /// The field at fault, where it is not the whole record.
    #[must_use]
    pub fn field(self) -> Option<usize> {
        match self {
            Self::TextAfterQuote { field, .. } | Self::EscapedQuote { field } => Some(field),
            Self::LoneCr | Self::LoneLf => None,
        }
    }

    /// What is wrong, as the end of a sentence that began with the field's or the record's text.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::TextAfterQuote { backslash: false, .. } => {
                "has text after a closing quote; a quote is stray or not doubled"
            }
            Self::TextAfterQuote { backslash: true, .. } => {
                "has text after a closing quote; the file seems to escape quotes with backslashes (\\\"), and only \
                 doubled quotes (\"\") are read"
            }
            Self::EscapedQuote { .. } => {
                "ends in a backslash before its closing quote; the file seems to escape quotes with backslashes \
                 (\\\"), and only doubled quotes (\"\") are read"
            }
            Self::LoneCr => "has a carriage return (CR) outside quotes; the file's lines end in LF",
            Self::LoneLf => "has a line feed (LF) outside quotes; the file's lines end in CR",
        }
    }
}

/// One record of the file, as bytes: quotes are undone, nothing else is. Of a record with a [`RecordFault`] these are the
/// fields up to there.
#[derive(Debug, Clone, Copy)]
pub struct RawRow<'a> {
    pub(super) line: u64,
    pub(super) lines: u64,
    pub(super) data: &'a [u8],
    pub(super) ends: &'a [usize],
    /// How many bytes of `data` lie between two fields: 1 where `data` is the file's own line, 0 where it was
    /// rewritten.
    pub(super) gap: usize,
    pub(super) fault: Option<RecordFault>,
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

    /// Why the record cannot be taken, if it cannot.
    #[must_use]
    pub fn fault(&self) -> Option<RecordFault> {
        self.fault
    }

    /// Whether each line that the record spans would be a record of that many fields if quotes meant nothing: two
    /// stray quotes may have swallowed what lies between them.
    #[must_use]
    pub fn looks_like_rows(&self, delimiter: u8, width: usize) -> bool {
        if self.lines < 2 {
            return false;
        }
        let mut fields = 0;
        for field in self.fields() {
            fields += 1;
            for byte in field.iter().enumerate() {
                match byte {
                    (_, byte) if *byte == delimiter => fields += 1,
                    (at, b'\n') if at > 0 && field[at - 1] == b'\r' => {}
                    (_, b'\r' | b'\n') if fields == width => fields = 1,
                    (_, b'\r' | b'\n') => return false,
                    _ => {}
                }
            }
        }
        fields == width
    }

    /// Whether a quote opens inside of a field, right before text, and the next field with a quote ends in it: what
    /// stands between the two may be one value that was split at its delimiters.
    #[must_use]
    pub fn looks_split(&self, quote: u8) -> bool {
        // Records that were split in place have no quotes.
        if self.gap > 0 || memchr(quote, self.data).is_none() {
            return false;
        }
        let mut open = false;
        for field in self.fields() {
            if memchr_iter(quote, field).count().is_multiple_of(2) {
                continue;
            }
            if open && field.ends_with(&[quote]) {
                return true;
            }
            let opens = |at: usize| field.get(at + 1).is_some_and(|next| *next != quote && !next.is_ascii_whitespace());
            open = memchr(quote, field).is_some_and(opens);
        }
        false
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

    /// The record as one text, without its quotes, its first bytes at least.
    pub(crate) fn text(&self, delimiter: u8, most: usize) -> Vec<u8> {
        let mut text = Vec::new();
        for (at, field) in self.fields().enumerate() {
            if at > 0 {
                text.push(delimiter);
            }
            text.extend_from_slice(&field[..field.len().min(most)]);
            if text.len() > most {
                break;
            }
        }
        text
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
