//! What must be right between the keys of a dataset, and between datasets.

use std::collections::BTreeMap;
use std::path::Path;

use super::problem::ConfigProblem;
use super::report::ConfigReport;
use super::rows::Places;
use super::section::TomlSection;
use crate::column::{Column, ColumnType, Identifier, STAGE_LINE, STAGED_PREFIX, TableName};
use crate::dataset::{Dataset, Mode, Rows, Target};
use crate::db::state_tables;
use crate::db::url::DatabaseUrl;

/// Every name once, every header once, and a key that the file has.
pub(super) fn names(section: &TomlSection, target: Option<&Target>, (rows, places): &(Rows, Places)) {
    headers(rows, places);
    // Where each name is first used. Databases differ in whether case tells names apart: here it never does.
    let mut taken: BTreeMap<String, String> = BTreeMap::new();
    let mut take = |section: &TomlSection, key: &str, name: &Identifier| {
        let lower = name.as_str().to_ascii_lowercase();
        if lower == STAGE_LINE || lower.starts_with(STAGED_PREFIX) {
            section.wrong(key, "is reserved for dayfill's stage");
        } else if let Some(other) = taken.get(&lower) {
            section.wrong(key, format!("is taken by {other}"));
        } else {
            taken.insert(lower, section.key(key));
        }
    };
    for (column, place) in rows.columns.iter().zip(&places.columns) {
        take(place, "name", &column.name);
    }
    for (derived, place) in rows.derive.iter().zip(&places.derive) {
        take(place, "name", &derived.name);
    }
    let Some(target) = target else { return };
    let is_day = |name: &Identifier| name.as_str().eq_ignore_ascii_case(target.day_column.as_str());
    if rows.columns.iter().map(|column| &column.name).any(is_day) {
        let day_column = &target.day_column;
        let is = if section.was_given("day_column") { "is".to_owned() } else { format!("is {day_column} by default,") };
        let hint = format!(
            "{is} also a column of the file: read that one under another name \
             ({{ name = \"{day_column}_in_file\", from = \"{day_column}\", ... }}), or name another day_column"
        );
        section.wrong("day_column", hint);
    } else {
        take(section, "day_column", &target.day_column);
    }
    if let Some(loaded_at) = &target.loaded_at {
        take(section, "loaded_at", loaded_at);
    }
    key(section, target, rows, places);
}

fn headers(rows: &Rows, places: &Places) {
    let mut taken: BTreeMap<&str, &Identifier> = BTreeMap::new();
    for (column, place) in rows.columns.iter().zip(&places.columns) {
        if let Some(other) = taken.get(column.header.as_str()) {
            place.wrong("from", format!("reads the header {:?}, which column {other} reads already", column.header));
        } else {
            taken.insert(&column.header, &column.name);
        }
    }
}

fn key(section: &TomlSection, target: &Target, rows: &Rows, places: &Places) {
    for (number, name) in target.key.iter().enumerate() {
        let message = if target.key[..number].contains(name) {
            "is named twice".to_owned()
        } else if rows.columns.iter().any(|column| column.name == *name) {
            continue;
        } else if *name == target.day_column {
            match target.mode {
                Mode::ReplaceDay => "is the day, which the primary key holds anyway: leave it out".to_owned(),
                _ => "is the day: with it in the key, mode = \"replace_day\" is meant".to_owned(),
            }
        } else if rows.derive.iter().any(|derived| derived.name == *name) {
            "is a derived column: the key must be columns of the file".to_owned()
        } else if places.may_have(name) {
            // What is wrong with that column is reported, and is all that is known to be wrong.
            continue;
        } else {
            let names = rows.columns.iter().map(|column| column.name.as_str());
            format!("is not a column of the file{}", super::problem::did_you_mean(name.as_str(), names))
        };
        section.wrong_part(&format!("key[{number}]"), name.as_str(), message);
    }
}

/// Why no dataset may be loaded into that table, whatever is in it.
#[must_use]
pub fn no_target(table: &TableName, database: &DatabaseUrl) -> Option<&'static str> {
    let name = table.name.as_str().to_ascii_lowercase();
    let schema = table.schema.as_ref().map(|schema| schema.as_str().to_ascii_lowercase());
    let sqlite = matches!(database, DatabaseUrl::Sqlite(_));
    let elsewhere = match (database, &table.schema) {
        (DatabaseUrl::Postgres(server), Some(schema)) => server.schema().is_some_and(|own| own != schema),
        // Which schema it is, the database tells.
        (DatabaseUrl::Postgres(server), None) => server.schema().is_some() && !name.starts_with("dayfill_"),
        (DatabaseUrl::Sqlite(_), _) => false,
    };
    if state_tables::is_own(&name) && !elsewhere {
        Some("is a table of dayfill's own: load into a table of another name")
    } else if sqlite && name.starts_with("sqlite_") {
        Some("is a name that SQLite keeps for itself: load into a table of another name")
    } else if schema.is_some_and(|schema| schema.starts_with("pg_") || schema == "information_schema") {
        Some("is in a schema that PostgreSQL keeps for itself: load into a table of your own")
    } else {
        None
    }
}

/// Reports a dataset that cannot be with the database.
pub(super) fn with_database(dataset: &Dataset, database: &DatabaseUrl, report: &ConfigReport) {
    let target = &dataset.target;
    let shown = format!("{:?}", target.table.to_string());
    let sqlite = matches!(database, DatabaseUrl::Sqlite(_));
    if sqlite && target.table.schema.as_ref().is_some_and(|schema| schema.as_str() != "main") {
        report.key_as("target.table", &shown, "has a schema, which SQLite does not know");
    }
    if let Some(why) = no_target(&target.table, database) {
        report.key_as("target.table", &shown, why);
    }
    for (number, name) in target.key.iter().enumerate().filter(|_| sqlite) {
        let numeric = |column: &&Column| column.name == *name && column.kind == ColumnType::Numeric;
        if dataset.rows.columns.iter().any(|column| numeric(&column)) {
            let message = "is numeric: SQLite keeps 15 digits of it, so that two keys could be one; make it text";
            report.key_as(&format!("target.key[{number}]"), &format!("{:?}", name.as_str()), message);
        }
    }
}

/// The problem of a dataset's file that replaces the days of the same table as another dataset.
pub(super) fn rival(file: &Path, dataset: &Dataset, other: &Dataset) -> ConfigProblem {
    let Target { table, day_column, .. } = &dataset.target;
    ConfigProblem {
        origin: file.display().to_string(),
        key: "target.table".to_owned(),
        value: Some(format!("{:?}", table.to_string())),
        message: format!(
            "is also where {} replaces days by {day_column}: each would delete the other's rows",
            other.name
        ),
    }
}
