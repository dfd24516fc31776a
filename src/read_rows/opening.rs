//! What a file seems to be whose header was not understood, and what would make it fit.

use std::convert::Infallible;

use super::Refusal;
use crate::dataset::{CsvFormat, Dataset};
use crate::parse::{Parser, RawRow, kind};
use crate::wording::printable;

/// The most bytes of the line that a message shows.
const LINE_BYTES: usize = 300;

/// Delimiters that other programs write.
const DELIMITERS: [u8; 8] = [b',', b';', b'\t', b'|', b':', b'^', b'~', b' '];

/// Quotes that other programs write.
const QUOTES: [u8; 2] = [b'"', b'\''];

/// What separates columns elsewhere and is no delimiter here.
const NO_DELIMITERS: [&str; 8] = ["||", "\u{1f}", "\u{1}", "~|~", "|~|", "^|^", "::", "|#|"];

/// The refusal of a file that begins with these bytes, which are none where its header was understood.
pub(super) fn explain(error: String, opening: &[u8], dataset: &Dataset) -> Refusal {
    let text = opening.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(opening);
    let line = text.split(|byte| matches!(byte, b'\r' | b'\n')).find(|line| !line.is_empty());
    let Some(line) = line else { return Refusal { error, line: None } };
    if let Some(kind) = kind(opening) {
        return Refusal { error: format!("the file is no CSV: it is {kind}"), line: None };
    }
    if opening.starts_with(b"\xFF\xFE") || opening.starts_with(b"\xFE\xFF") {
        return Refusal { error, line: None };
    }
    let shown = format!("the line is \"{}\"", printable(&String::from_utf8_lossy(line), LINE_BYTES));
    let error = match what_would_fit(line, dataset) {
        Some(fits) => format!("{error}; {fits}"),
        None => error,
    };
    Refusal { error, line: Some(shown) }
}

/// Which delimiter and which quote would make the line a header that has the dataset's columns.
fn what_would_fit(line: &[u8], dataset: &Dataset) -> Option<String> {
    let text = std::str::from_utf8(line).ok()?;
    let needed = || dataset.rows.columns.iter().filter(|column| !column.optional).map(|column| column.header.as_str());
    let all = |names: &[String]| needed().next().is_some() && needed().all(|name| names.iter().any(|n| n == name));
    for separator in NO_DELIMITERS.into_iter().filter(|separator| text.contains(separator)) {
        let names: Vec<String> = text.split(separator).map(str::to_owned).collect();
        if all(&names) {
            return Some(format!("its columns are separated by {separator:?}, and csv.delimiter is one character"));
        }
    }
    let csv = &dataset.csv;
    if all(&names(line, csv)) {
        return None;
    }
    let others = |all: &[u8], own: u8| all.iter().copied().filter(move |other| *other != own).collect::<Vec<u8>>();
    let delimiters = [vec![csv.delimiter], others(&DELIMITERS, csv.delimiter)].concat();
    let quotes = [vec![csv.quote], others(&QUOTES, csv.quote)].concat();
    let formats = quotes.iter().flat_map(|quote| delimiters.iter().map(move |delimiter| (*delimiter, *quote)));
    formats
        .filter(|(delimiter, quote)| delimiter != quote)
        .find(|(delimiter, quote)| {
            all(&names(line, &CsvFormat { delimiter: *delimiter, quote: *quote, ..csv.clone() }))
        })
        .map(|(delimiter, quote)| would_fit(csv, delimiter, quote))
}

fn would_fit(csv: &CsvFormat, delimiter: u8, quote: u8) -> String {
    let keys = [("delimiter", csv.delimiter, delimiter), ("quote", csv.quote, quote)];
    let other = keys.into_iter().filter(|(_, is, would)| is != would);
    let keys: Vec<String> =
        other.map(|(key, _, would)| format!("csv.{key} = {:?}", char::from(would).to_string())).collect();
    format!("{} would make it fit", keys.join(" and "))
}

/// The names of the line, read as a header of that format.
fn names(line: &[u8], format: &CsvFormat) -> Vec<String> {
    let mut names = Vec::new();
    let mut take = |raw: RawRow<'_>| {
        names = raw.fields().map(|field| String::from_utf8_lossy(field).into_owned()).collect();
        Ok::<_, Infallible>(())
    };
    let mut parser = Parser::new(format);
    match parser.push(line, &mut take).and_then(|()| parser.push(b"\n", &mut take)) {
        Ok(()) => names,
        Err(_) => Vec::new(),
    }
}
