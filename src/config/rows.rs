//! The part `rows` of a dataset's file: columns, derived columns and the filter.

use config::{Value, ValueKind};

use super::problem::did_you_mean;
use super::section::{TomlSection, boolean, parsed, some_text, text};
use crate::column::{Column, ColumnType, Derived, Identifier, Sql};
use crate::dataset::Rows;
use crate::validate::{self, NO_NAME};

/// What problems of names point at: the section each column was read from.
pub(super) struct Places<'a> {
    /// Those of the columns, in their order.
    pub(super) columns: Vec<TomlSection<'a>>,
    /// Those of the derived columns.
    pub(super) derive: Vec<TomlSection<'a>>,
    /// The names of the columns that could not be read, as far as they have one.
    pub(super) unread: Vec<Option<Identifier>>,
}

impl Places<'_> {
    /// True where a column of that name may be among those that could not be read.
    pub(super) fn may_have(&self, column: &Identifier) -> bool {
        self.unread.iter().any(|name| name.as_ref().is_none_or(|name| name == column))
    }
}

/// Reads the rows, with the sections of those columns that could be read.
pub(super) fn read<'a>(section: &mut TomlSection<'a>) -> (Rows, Places<'a>) {
    let filter = sql(section, "where", false);
    let listed = section.has("columns");
    let (mut columns, mut places) =
        (Vec::new(), Places { columns: Vec::new(), derive: Vec::new(), unread: Vec::new() });
    let sections = section.sections("columns");
    if !listed {
        section.wrong("columns", "is missing: name the file's columns and their types");
    } else if sections.is_empty() {
        section.wrong("columns", "is empty: name the file's columns and their types");
    }
    if sections.is_empty() {
        places.unread.push(None);
    }
    for mut section in sections {
        match column(&mut section) {
            Ok(column) => {
                columns.push(column);
                places.columns.push(section);
            }
            Err(name) => places.unread.push(name),
        }
    }
    let mut derive = Vec::new();
    for mut section in section.sections("derive") {
        if let Some(derived) = derived(&mut section) {
            derive.push(derived);
            places.derive.push(section);
        }
    }
    (Rows { columns, filter, derive }, places)
}

/// The name of a column in the file.
fn header_name(value: &Value) -> Result<String, String> {
    text(value).and_then(|name| if name.trim().is_empty() { Err(format!("is empty: {NO_NAME}")) } else { Ok(name) })
}

/// Reads a column; its name, where that alone could be read.
fn column(section: &mut TomlSection) -> Result<Column, Option<Identifier>> {
    let name = section.required("name", parsed);
    let kind = section.required("type", column_type);
    let required = section.read("required", boolean).unwrap_or(false);
    let optional = section.read("optional", boolean).unwrap_or(false);
    let header = section.read("from", header_name);
    let has_default = section.has("default");
    let default = section.read("default", |value| default(value, kind));
    if required && optional && !has_default {
        section.wrong(
            "optional",
            "contradicts required: without a default, every row of a file that lacks the column would be rejected",
        );
    }
    section.finish();
    let name: Identifier = name.ok_or(None)?;
    let Some(kind) = kind else { return Err(Some(name)) };
    let header = header.unwrap_or_else(|| name.to_string());
    Ok(Column { name, header, kind, required, optional, default })
}

fn derived(section: &mut TomlSection) -> Option<Derived> {
    let name = section.required("name", parsed);
    let kind = section.required("type", column_type);
    let sql = sql(section, "sql", true);
    section.finish();
    Some(Derived { name: name?, kind: kind?, sql: sql? })
}

fn column_type(value: &Value) -> Result<ColumnType, String> {
    let name = text(value)?;
    let names = || ColumnType::ALL.into_iter().map(ColumnType::name);
    name.parse().map_err(|message: String| match did_you_mean(&name, names()) {
        hint if hint.is_empty() => format!("{message} ({})", names().collect::<Vec<_>>().join(", ")),
        hint => format!("{message}{hint}"),
    })
}

/// A default as a file would write it; TOML's own numbers and booleans will do.
fn default(value: &Value, kind: Option<ColumnType>) -> Result<String, String> {
    let text = match &value.kind {
        ValueKind::String(text) => text.clone(),
        ValueKind::Boolean(_) | ValueKind::I64(_) | ValueKind::Float(_) => value.kind.to_string(),
        _ => return Err("is not a text, number or boolean".to_owned()),
    };
    if let Some(kind) = kind {
        check_default(kind, &text)?;
    }
    Ok(text)
}

/// A default is taken for a file's value: it must be one.
fn check_default(kind: ColumnType, text: &str) -> Result<(), String> {
    validate::check_value(kind, text, &mut String::new()).map_err(|_| format!("is not {}", kind.with_article()))
}

/// SQL for both databases in one text, or `{ postgres = "...", sqlite = "..." }`.
fn sql(section: &mut TomlSection, name: &'static str, required: bool) -> Option<Sql> {
    if section.is_table(name) {
        let mut both = section.section(name);
        let (postgres, sqlite) = (both.required("postgres", some_text), both.required("sqlite", some_text));
        both.finish();
        return Some(Sql { postgres: postgres?, sqlite: sqlite? });
    }
    let text = if required { section.required(name, one_sql) } else { section.read(name, one_sql) };
    text.map(|text| Sql { postgres: text.clone(), sqlite: text })
}

fn one_sql(value: &Value) -> Result<String, String> {
    match &value.kind {
        ValueKind::String(_) => some_text(value),
        _ => Err("is not SQL: write one text, or { postgres = \"...\", sqlite = \"...\" }".to_owned()),
    }
}
