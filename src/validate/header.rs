//! The header: which of the file's columns are the dataset's.

use std::fmt;

use crate::column::Column;
use crate::parse::RawRow;

use super::reject::shown;

/// Why a header cannot be taken; it refuses the whole day. Everything that is wrong with it is told at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderError {
    /// The line the header is on.
    pub line: u64,
    /// The columns it lacks.
    pub missing: Vec<MissingColumn>,
    /// The names it has more than once.
    pub doubled: Vec<String>,
    /// The names that are not valid UTF-8, with those bytes escaped.
    pub not_utf8: Vec<String>,
    /// True when not one column was found: the file's first row is probably no header at all.
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
        let mut parts = Vec::new();
        if self.no_header {
            parts.push("there is no header: the line names none of the columns".to_owned());
        }
        if !self.missing.is_empty() {
            parts.push(format!("missing in the header: {}", list(&self.missing)));
        }
        if !self.doubled.is_empty() {
            parts.push(format!("more than once in the header: {}", list(&self.doubled)));
        }
        if !self.not_utf8.is_empty() {
            parts.push(format!("not valid UTF-8 in the header: {}", list(&self.not_utf8)));
        }
        f.write_str(&parts.join("; "))
    }
}

impl std::error::Error for HeaderError {}

impl fmt::Display for MissingColumn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.header)?;
        match &self.similar {
            Some(similar) => write!(f, " (is it {similar:?}?)"),
            None => Ok(()),
        }
    }
}

fn list(items: &[impl fmt::Display]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

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
    let not_utf8: Vec<String> = texts.iter().filter_map(|text| text.err()).map(shown).collect();
    if !(missing.is_empty() && doubled.is_empty() && not_utf8.is_empty()) {
        let no_header = !missing.is_empty() && places.iter().all(Option::is_none);
        return Err(HeaderError { line: header.line(), missing, doubled, not_utf8, no_header });
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

/// The name spelled most like the one looked for, if that is close; case and blanks around it count for nothing.
fn similar<'a>(header: &str, names: &[&'a str]) -> Option<&'a str> {
    let plain = |name: &str| name.trim().to_lowercase();
    let distance = |name: &str| strsim::damerau_levenshtein(&plain(header), &plain(name));
    let (distance, name) = names.iter().map(|name| (distance(name), *name)).min_by_key(|(distance, _)| *distance)?;
    (distance <= header.chars().count().div_ceil(4)).then_some(name)
}
