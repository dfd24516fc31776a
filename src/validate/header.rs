//! The header: which of the file's columns are the dataset's.

use std::fmt;

use crate::column::Column;
use crate::parse::RawRow;
use crate::wording::{MOST_NAMES, named, nearest, quoted};

use super::encoding::{encodings, would_read};
use super::reject::shown;

/// Why a header cannot be taken; it refuses the whole day. Everything that is wrong with it is told at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderError {
    /// The line the header is on.
    pub line: u64,
    /// The columns it lacks.
    pub missing: Vec<MissingColumn>,
    /// The first of its columns that have no name, from 1.
    pub unnamed: Option<usize>,
    /// The names it has more than once.
    pub doubled: Vec<String>,
    /// The names that are not valid UTF-8, with those bytes escaped.
    pub not_utf8: Vec<String>,
    /// The encodings that would read it where it is not valid UTF-8, if that can be told.
    pub encodings: Option<&'static str>,
    /// True when not one column was found, nor a name spelled like one: the line is probably no header at all.
    pub no_header: bool,
}

/// A column that the file lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingColumn {
    /// The header that was looked for.
    pub header: String,
    /// A header the file has instead, if one is spelled almost like it.
    pub similar: Option<String>,
}

impl fmt::Display for HeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: ", self.line)?;
        let missing = named(self.missing.iter().map(ToString::to_string), MOST_NAMES);
        if self.no_header {
            // What else is wrong with a line that is no header tells nothing.
            return write!(f, "there is no header: the line names none of the columns {missing}");
        }
        let mut parts = Vec::new();
        if !self.missing.is_empty() {
            parts.push(format!("missing in the header: {missing}"));
        }
        if let Some(column) = self.unnamed {
            parts.push(format!("column {column} of the file has no name; {NO_NAME}"));
        }
        if !self.doubled.is_empty() {
            parts.push(format!("more than once in the header: {}", named(&self.doubled, MOST_NAMES)));
        }
        if !self.not_utf8.is_empty() {
            let names = named(&self.not_utf8, MOST_NAMES);
            let encodings = self.encodings.map_or_else(String::new, would_read);
            parts.push(format!("not valid UTF-8 in the header: {names}{encodings}"));
        }
        f.write_str(&parts.join("; "))
    }
}

impl std::error::Error for HeaderError {}

impl fmt::Display for MissingColumn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.header)?;
        match &self.similar {
            Some(similar) => write!(f, " (is it {}?)", quoted(similar)),
            None => Ok(()),
        }
    }
}

/// What becomes of columns without a name, and the way out.
pub const NO_NAME: &str = "columns are found by their names, so give it one where the file is made";

/// Where each column stands in the record (`None` for an optional one that is not there), and the names of the file's
/// columns that nothing uses.
pub(super) fn find(header: &RawRow<'_>, columns: &[Column]) -> Result<(Vec<Option<usize>>, Vec<String>), HeaderError> {
    let texts: Vec<Result<&str, &[u8]>> =
        header.fields().map(|bytes| std::str::from_utf8(bytes).map_err(|_| bytes)).collect();
    let names: Vec<&str> = texts.iter().map(|text| text.unwrap_or_default()).collect();
    let place = |column: &Column| names.iter().position(|name| *name == column.header);
    let places: Vec<Option<usize>> = columns.iter().map(place).collect();
    let used = |index: usize| places.contains(&Some(index));
    let unused: Vec<&str> =
        names.iter().enumerate().filter(|(index, _)| !used(*index)).map(|(_, name)| *name).collect();

    let missing: Vec<MissingColumn> = columns
        .iter()
        .zip(&places)
        .filter(|(column, place)| place.is_none() && !column.optional)
        .map(|(column, _)| MissingColumn {
            header: column.header.clone(),
            similar: similar(&column.header, &unused).map(str::to_owned),
        })
        .collect();
    let doubled = doubled(&names, columns);
    let undecodable = || texts.iter().filter_map(|text| text.err());
    let not_utf8: Vec<String> = undecodable().map(shown).collect();
    if !(missing.is_empty() && doubled.is_empty() && not_utf8.is_empty()) {
        let known = places.iter().any(Option::is_some) || missing.iter().any(|column| column.similar.is_some());
        let no_header = !missing.is_empty() && !known;
        let unnamed = names.iter().position(|name| name.is_empty()).filter(|_| !missing.is_empty());
        let encodings = encodings(undecodable());
        let unnamed = unnamed.map(|at| at + 1);
        return Err(HeaderError { line: header.line(), missing, unnamed, doubled, not_utf8, encodings, no_header });
    }
    let unknown = names.iter().enumerate().filter(|(index, _)| !used(*index)).map(|(index, name)| match *name {
        "" => format!("column {} (unnamed)", index + 1),
        name => name.to_owned(),
    });
    let unknown = unknown.collect();
    Ok((places, unknown))
}

/// The names that stand in the header twice or more, each once. Columns without a name (spreadsheets like to append
/// them) can be mistaken for each other only where a column is read from the empty header.
fn doubled(names: &[&str], columns: &[Column]) -> Vec<String> {
    let mut sorted = names.to_vec();
    sorted.sort_unstable();
    let mut doubled: Vec<String> = sorted
        .windows(2)
        .filter(|pair| pair[0] == pair[1])
        .map(|pair| pair[0].to_owned())
        .filter(|name| !name.is_empty() || columns.iter().any(|column| column.header.is_empty()))
        .collect();
    doubled.dedup();
    doubled
}

/// The name spelled most like the one looked for, if that is close.
fn similar<'a>(header: &str, names: &[&'a str]) -> Option<&'a str> {
    let most = header.chars().count().div_ceil(4);
    nearest(header, names.iter().copied(), |_| most)
}
