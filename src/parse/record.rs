//! The record that is read a byte or a stretch at a time: one with quotes, or one that came in pieces.

use memchr::{memchr, memchr2, memchr3};

use super::row::{RawRow, RecordFault};
use super::{BrokenFile, MAX_FIELDS, MAX_RECORD_BYTES};

/// How a file's lines end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LineEnds {
    /// The header's end was not seen yet.
    Unknown,
    /// In LF or CRLF, mixed as they like.
    Lf,
    /// In CR alone, as on old Macs.
    Cr,
}

impl LineEnds {
    /// Whether a line ends with this byte, before that one: how long its end is, and how lines end now that it was
    /// seen. `None` if it does not, or if that cannot be told yet.
    pub(super) fn at(self, byte: u8, next: Option<&u8>) -> Option<(usize, Self)> {
        match (byte, next, self) {
            (b'\n', _, Self::Unknown | Self::Lf) => Some((1, Self::Lf)),
            (b'\r', Some(b'\n'), Self::Unknown | Self::Lf) => Some((2, Self::Lf)),
            (b'\r', Some(_), Self::Unknown) | (b'\r', _, Self::Cr) => Some((1, Self::Cr)),
            _ => None,
        }
    }
}

/// Where in the record the next byte stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FieldPosition {
    /// At the start of a field.
    Start,
    /// In a field without quotes.
    Plain,
    /// Between a field's quotes.
    Quoted,
    /// Behind a quote in a quoted field: its end, or the first of two.
    Closed,
    /// Behind a CR outside quotes. Whether the line ends there the next byte says.
    AfterCr,
    /// Behind a CR with which the line begins.
    BlankCr,
    /// Behind the text that follows a closing quote: in what is left of that line.
    Faulty,
}

/// An open record. Its memory is used again for the next one.
#[derive(Debug)]
pub(super) struct Record {
    delimiter: u8,
    quote: u8,
    place: FieldPosition,
    /// The fields, one after the other, with their quotes undone.
    data: Vec<u8>,
    /// Where each field ends in `data`.
    ends: Vec<usize>,
    /// A quote followed a backslash.
    backslash: bool,
    /// The first quoted field that ended in a backslash.
    ended_in_backslash: Option<usize>,
    fault: Option<RecordFault>,
}

impl Record {
    pub(super) fn new(delimiter: u8, quote: u8) -> Self {
        Self {
            delimiter,
            quote,
            place: FieldPosition::Start,
            data: Vec::new(),
            ends: Vec::new(),
            backslash: false,
            ended_in_backslash: None,
            fault: None,
        }
    }

    pub(super) fn begin(&mut self) {
        (self.place, self.backslash, self.ended_in_backslash, self.fault) = (FieldPosition::Start, false, None, None);
        self.data.clear();
        self.ends.clear();
    }

    pub(super) fn place(&self) -> FieldPosition {
        self.place
    }

    pub(super) fn fault(&self) -> Option<RecordFault> {
        self.fault
    }

    pub(super) fn has_backslash(&self) -> bool {
        self.backslash
    }

    pub(super) fn ends(&self) -> &[usize] {
        &self.ends
    }

    pub(super) fn row(&self, line: u64, lines: u64) -> RawRow<'_> {
        RawRow { line, lines, data: &self.data, ends: &self.ends, gap: 0, fault: self.fault }
    }

    /// Reads on: gives how many bytes were used, and whether the record ended.
    pub(super) fn read(
        &mut self,
        bytes: &[u8],
        line: u64,
        line_ends: &mut LineEnds,
    ) -> Result<(usize, bool), BrokenFile> {
        let mut at = 0;
        while let Some(next) = bytes.get(at).copied() {
            let rest = &bytes[at..];
            match self.place {
                FieldPosition::Start if next == self.quote => {
                    self.place = FieldPosition::Quoted;
                    at += 1;
                    continue;
                }
                FieldPosition::Start if next == b'\r' && self.ends.is_empty() && self.fault.is_none() => {
                    self.place = FieldPosition::BlankCr;
                    at += 1;
                    continue;
                }
                FieldPosition::Start | FieldPosition::Plain => {
                    self.place = FieldPosition::Plain;
                    let piece = memchr3(self.delimiter, b'\n', b'\r', rest).map_or(rest, |stop| &rest[..stop]);
                    at += self.plain(piece, line)?;
                }
                FieldPosition::Quoted => {
                    let piece = memchr(self.quote, rest).map_or(rest, |stop| &rest[..stop]);
                    self.push(piece, line)?;
                    at += piece.len();
                    if at < bytes.len() {
                        self.backslash |= self.ends_in_backslash();
                        self.place = FieldPosition::Closed;
                        at += 1;
                    }
                    continue;
                }
                FieldPosition::Closed if next == self.quote => {
                    self.place = FieldPosition::Quoted;
                    self.push(&[next], line)?;
                    at += 1;
                    continue;
                }
                FieldPosition::Closed if next == self.delimiter || matches!(next, b'\r' | b'\n') => {
                    if self.ends_in_backslash() {
                        self.ended_in_backslash.get_or_insert(self.ends.len());
                    }
                }
                FieldPosition::Closed => {
                    self.fail(RecordFault::TextAfterQuote { field: self.ends.len(), backslash: self.backslash }, line)?;
                    self.place = FieldPosition::Faulty;
                    continue;
                }
                FieldPosition::AfterCr | FieldPosition::BlankCr => {
                    if let Some((length, ends)) = line_ends.at(b'\r', Some(&next)) {
                        *line_ends = ends;
                        if self.place == FieldPosition::AfterCr {
                            self.end_field(line)?;
                        }
                        return Ok((at + length - 1, true));
                    }
                    self.fail(RecordFault::LoneCr, line)?;
                    self.place = FieldPosition::Start;
                    continue;
                }
                FieldPosition::Faulty => at += memchr2(b'\n', b'\r', rest).unwrap_or(rest.len()),
            }
            // Here the field ends, if its end is among these bytes.
            if let Some(next) = bytes.get(at).copied() {
                at += 1;
                if self.boundary(next, line, line_ends)? {
                    return Ok((at, true));
                }
            }
        }
        Ok((at, false))
    }

    /// Takes a piece of a field without quotes; gives how long it is.
    fn plain(&mut self, piece: &[u8], line: u64) -> Result<usize, BrokenFile> {
        if let Some(field) = self.ended_in_backslash
            && memchr(self.quote, piece).is_some()
        {
            self.fail(RecordFault::EscapedQuote { field }, line)?;
        }
        self.push(piece, line)?;
        Ok(piece.len())
    }

    /// Takes a delimiter or the first byte of a line end, outside quotes; says whether the record ended.
    fn boundary(&mut self, byte: u8, line: u64, line_ends: &mut LineEnds) -> Result<bool, BrokenFile> {
        if byte == self.delimiter {
            self.end_field(line)?;
            self.place = FieldPosition::Start;
        } else if byte == b'\r' && *line_ends != LineEnds::Cr {
            self.place = FieldPosition::AfterCr;
        } else if let Some((_, ends)) = line_ends.at(byte, None) {
            *line_ends = ends;
            self.end_field(line)?;
            return Ok(true);
        } else {
            self.fail(RecordFault::LoneLf, line)?;
            self.place = FieldPosition::Start;
        }
        Ok(false)
    }

    /// Notes what is wrong with the record, if nothing was so far. Its bytes are not kept from here on, but read as
    /// before, so that it ends where its last line does and not inside of somebody's quotes.
    fn fail(&mut self, fault: RecordFault, line: u64) -> Result<(), BrokenFile> {
        self.end_field(line)?;
        self.fault.get_or_insert(fault);
        Ok(())
    }

    fn push(&mut self, piece: &[u8], line: u64) -> Result<(), BrokenFile> {
        if self.fault.is_some() {
            return Ok(());
        }
        if self.data.len() + piece.len() > MAX_RECORD_BYTES {
            return Err(BrokenFile::RecordTooLong { line, open_quote: self.place == FieldPosition::Quoted });
        }
        self.data.extend_from_slice(piece);
        Ok(())
    }

    pub(super) fn end_field(&mut self, line: u64) -> Result<(), BrokenFile> {
        if self.fault.is_some() {
            return Ok(());
        }
        if self.ends.len() == MAX_FIELDS {
            return Err(BrokenFile::TooManyFields { line });
        }
        self.ends.push(self.data.len());
        Ok(())
    }

    /// How much memory the fields take.
    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.data.capacity()
    }

    /// Whether the open field ends in a backslash that is not itself escaped by one.
    fn ends_in_backslash(&self) -> bool {
        if self.data.last() != Some(&b'\\') {
            return false;
        }
        let field = &self.data[self.ends.last().copied().unwrap_or(0)..];
        field.iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 1
    }
}
