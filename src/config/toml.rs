//! A TOML file, read into the config crate's values; its own errors would show the line, and a line can hold a secret.

use std::fs;
use std::path::Path;

use config::{Config, ConfigError, File, FileFormat, Map, Source, Value, ValueKind};

use super::environment::Environment;

/// The main file's keys, with those that the environment overrides.
pub(super) fn main_file(path: &Path, environment: &Environment) -> Result<Map<String, Value>, String> {
    keys(Config::builder().add_source(source(path)?).add_source(environment.overrides()).build())
}

/// The keys that the environment sets.
pub(super) fn of_environment(environment: &Environment) -> Result<Map<String, Value>, String> {
    keys(Config::builder().add_source(environment.overrides()).build())
}

fn keys(config: Result<Config, ConfigError>) -> Result<Map<String, Value>, String> {
    match config.map_err(|error| message(&error))?.cache.kind {
        ValueKind::Table(table) => Ok(table),
        _ => Ok(Map::new()),
    }
}

/// A dataset file's keys.
pub(super) fn dataset_file(path: &Path) -> Result<Map<String, Value>, String> {
    source(path)?.collect().map_err(|error| message(&error))
}

/// The keys of the shipped main file, which are the defaults.
pub(super) fn shipped() -> Map<String, Value> {
    let file = File::from_str(include_str!("../../config/dayfill.toml"), FileFormat::Toml);
    file.collect().unwrap_or_default()
}

fn source(path: &Path) -> Result<File<config::FileSourceString, FileFormat>, String> {
    let text = fs::read_to_string(path).map_err(|error| format!("cannot be read ({error})"))?;
    // Windows editors put a mark in front.
    Ok(File::from_str(text.trim_start_matches('\u{feff}'), FileFormat::Toml))
}

/// The parser's words without the piece of the file it shows between its first line (the place) and its last.
fn message(error: &ConfigError) -> String {
    let ConfigError::FileParse { cause, .. } = error else { return "cannot be read".to_owned() };
    let text = cause.to_string();
    let snippet = |line: &&str| line.trim_start_matches(|c: char| c.is_ascii_digit() || c == ' ').starts_with('|');
    let lines: Vec<&str> = text.lines().filter(|line| !snippet(line) && !line.trim().is_empty()).collect();
    let Some((place, reason)) = lines.split_first() else { return "is not TOML".to_owned() };
    match place.strip_prefix("TOML parse error at ") {
        Some(place) => format!("{place}: is not TOML ({})", reason.join(", ")),
        None => format!("is not TOML ({})", lines.join(", ")),
    }
}
