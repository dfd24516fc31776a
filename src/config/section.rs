//! A section of a configuration file, read key by key: every key is taken with its type, every problem is reported, and
//! what is left at the end are keys nobody knows.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use config::{Map, Value, ValueKind};

use super::problem::did_you_mean;
use super::quantity;
use super::report::{ConfigReport, from_environment, shown_text};

/// The keys of a section that were not read yet. A wrong value is reported and then read as if it were not there: the
/// configuration is refused anyway, and the rest can still be looked at.
pub(super) struct TomlSection<'a> {
    report: &'a ConfigReport<'a>,
    path: String,
    entries: BTreeMap<String, Value>,
    seen: BTreeMap<&'static str, Value>,
    known: Vec<&'static str>,
}

impl<'a> TomlSection<'a> {
    /// A whole file.
    pub(super) fn root(report: &'a ConfigReport<'a>, table: Map<String, Value>) -> Self {
        Self::below(report, String::new(), table)
    }

    fn below(report: &'a ConfigReport<'a>, path: String, table: Map<String, Value>) -> Self {
        Self { report, path, entries: table.into_iter().collect(), seen: BTreeMap::new(), known: Vec::new() }
    }

    /// The key with the sections it is in.
    pub(super) fn key(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    /// True when a key is there that was not read yet.
    pub(super) fn has(&self, name: &str) -> bool {
        self.entries.contains_key(name)
    }

    /// Reports what is wrong with a key, with its value where it has one; for what no reader of one value can see.
    pub(super) fn wrong(&self, name: &str, message: impl Into<String>) {
        let value = self.entries.get(name).or_else(|| self.seen.get(name));
        self.report.key(&self.key(name), value, message);
    }

    /// Reports what is wrong with a part of a key's value.
    pub(super) fn wrong_part(&self, part: &str, value: &str, message: impl Into<String>) {
        self.report.key_as(&self.key(part), &shown_text(value), message);
    }

    /// True when a key was there and was read, right or wrong.
    pub(super) fn was_given(&self, name: &str) -> bool {
        self.seen.contains_key(name)
    }

    /// Reads a key with a reader of its values.
    pub(super) fn read<T>(&mut self, name: &'static str, read: impl FnOnce(&Value) -> Result<T, String>) -> Option<T> {
        self.known.push(name);
        let value = self.entries.remove(name)?;
        let read = read(&value).map_err(|message| self.report.key(&self.key(name), Some(&value), message));
        self.seen.insert(name, value);
        read.ok()
    }

    /// Reads a key that has a default; `None` only for a wrong value.
    pub(super) fn read_or<T>(
        &mut self,
        name: &'static str,
        default: T,
        read: impl FnOnce(&Value) -> Result<T, String>,
    ) -> Option<T> {
        if self.has(name) {
            return self.read(name, read);
        }
        self.known.push(name);
        Some(default)
    }

    /// Reads a key that must be there.
    pub(super) fn required<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&Value) -> Result<T, String>,
    ) -> Option<T> {
        if !self.has(name) {
            self.wrong(name, "is missing");
        }
        self.read(name, read)
    }

    /// A section below this one; an empty one where it is missing.
    pub(super) fn section(&mut self, name: &'static str) -> TomlSection<'a> {
        let table = self.read(name, |value| match &value.kind {
            ValueKind::Table(table) => Ok(table.clone()),
            _ => Err(format!("is not a section: write [{name}]")),
        });
        TomlSection::below(self.report, self.key(name), table.unwrap_or_default())
    }

    /// A list of sections below this one, `columns = [{ ... }, { ... }]`; none where it is missing.
    pub(super) fn sections(&mut self, name: &'static str) -> Vec<TomlSection<'a>> {
        let values = self.read(name, |value| match &value.kind {
            ValueKind::Array(values) => Ok(values.clone()),
            _ => Err("is not a list of tables: write [{ ... }, { ... }]".to_owned()),
        });
        let mut sections = Vec::new();
        for (number, value) in values.unwrap_or_default().into_iter().enumerate() {
            let path = format!("{}[{number}]", self.key(name));
            match value.kind {
                ValueKind::Table(table) => sections.push(TomlSection::below(self.report, path, table)),
                _ => self.report.key(&path, Some(&value), "is not a table: write { ... }"),
            }
        }
        sections
    }

    /// True when a key is there, not read yet, and is a table.
    pub(super) fn is_table(&self, name: &str) -> bool {
        self.entries.get(name).is_some_and(|value| matches!(value.kind, ValueKind::Table(_)))
    }

    /// Reports the keys that are left.
    pub(super) fn finish(&mut self) {
        for (name, value) in &std::mem::take(&mut self.entries) {
            let hint = match did_you_mean(name, self.known.iter().copied()) {
                hint if hint.is_empty() => format!("; known here: {}", self.known.join(", ")),
                hint => hint,
            };
            self.report.unknown(&self.key(name), value, &format!("unknown key{hint}"));
        }
    }
}

/// A text.
pub(super) fn text(value: &Value) -> Result<String, String> {
    match &value.kind {
        ValueKind::String(text) => Ok(text.clone()),
        _ => Err("is not a text: write it in quotes".to_owned()),
    }
}

/// A text that is not empty.
pub(super) fn some_text(value: &Value) -> Result<String, String> {
    text(value).and_then(|text| if text.trim().is_empty() { Err("is empty".to_owned()) } else { Ok(text) })
}

/// A list of texts.
pub(super) fn texts(value: &Value) -> Result<Vec<String>, String> {
    let wrong = || "is not a list of texts: write [\"...\", \"...\"]".to_owned();
    match &value.kind {
        ValueKind::Array(values) => values.iter().map(|value| text(value).map_err(|_| wrong())).collect(),
        _ => Err(wrong()),
    }
}

/// True or false.
pub(super) fn boolean(value: &Value) -> Result<bool, String> {
    match &value.kind {
        ValueKind::Boolean(value) => Ok(*value),
        ValueKind::String(text) if from_environment(value) => {
            text.to_lowercase().parse().map_err(|_| "is not true or false".to_owned())
        }
        _ => Err("is not true or false".to_owned()),
    }
}

/// A whole number within a range.
pub(super) fn integer<T>(low: T, high: T) -> impl FnOnce(&Value) -> Result<T, String>
where
    T: TryFrom<i64> + PartialOrd + Display,
{
    move |value| {
        let number = match &value.kind {
            ValueKind::I64(number) => Some(*number),
            ValueKind::String(text) if from_environment(value) => text.trim().parse().ok(),
            _ => None,
        };
        let number = number.and_then(|number| T::try_from(number).ok());
        let number = number.filter(|number| low <= *number && *number <= high);
        number.ok_or_else(|| format!("is not a whole number from {low} to {high}"))
    }
}

/// A duration within a range; the bounds are texts as the user would write them.
pub(super) fn duration(low: &'static str, high: &'static str) -> impl FnOnce(&Value) -> Result<Duration, String> {
    move |value| {
        let ValueKind::String(text) = &value.kind else { return quantity::duration("") };
        let found = quantity::duration(text)?;
        let within = quantity::duration(low)? <= found && found <= quantity::duration(high)?;
        if within { Ok(found) } else { Err(format!("is not within {low} to {high}")) }
    }
}

/// A size in bytes: a whole number, or a text with a unit.
pub(super) fn bytes(value: &Value) -> Result<u64, String> {
    match &value.kind {
        ValueKind::I64(number) => u64::try_from(*number).ok(),
        ValueKind::String(text) => quantity::size(text),
        _ => None,
    }
    .filter(|bytes| *bytes > 0)
    .ok_or_else(|| {
        "is not a size such as \"64GiB\" (a whole number and B, KB, MB, GB, TB, KiB, MiB, GiB or TiB)".to_owned()
    })
}

/// A text that a type reads.
pub(super) fn parsed<T: FromStr<Err: Display>>(value: &Value) -> Result<T, String> {
    text(value)?.parse().map_err(|error: T::Err| error.to_string())
}

/// One of a few words.
pub(super) fn choice<T: Copy>(choices: &[(&'static str, T)]) -> impl FnOnce(&Value) -> Result<T, String> {
    move |value| {
        let names = || choices.iter().map(|(name, _)| *name);
        let text = text(value).unwrap_or_default();
        choices.iter().find(|(name, _)| *name == text).map(|(_, choice)| *choice).ok_or_else(|| {
            let all: Vec<String> = names().map(shown_text).collect();
            format!("is not one of {}{}", all.join(", "), did_you_mean(&text, names()))
        })
    }
}
