//! The database's URL: from a variable, from a file of its own, or from the main file, in that order.

use std::fs;
use std::path::{Path, PathBuf};

use super::environment::Environment;
use super::keys;
use super::locate::whole;
use super::report::ConfigReport;
use super::section::{TomlSection, some_text};
use super::settings::ProcessSettings;
use crate::column::Identifier;
use crate::db::url::DatabaseUrl;

/// Where the database is if nothing says so.
const DEFAULT: &str = "sqlite:dayfill.db";
/// The variable of the program this one replaces.
const ORIGINAL_VARIABLE: &str = "ALGOLIA_DB_URI";

/// Where the database is, and where that was set.
pub(super) struct DatabaseSetting {
    pub(super) url: DatabaseUrl,
    pub(super) origin: String,
    /// Where the schema was set, if it was.
    pub(super) schema_origin: Option<String>,
}

/// Reads the section `database` and finds the URL, and where it was set. `folder` is the main file's.
pub(super) fn read(
    mut section: TomlSection,
    report: &ConfigReport,
    environment: &Environment,
    folder: &Path,
) -> DatabaseSetting {
    let state = environment.path("STATE_DIRECTORY").map(first_of);
    // What a file of the configuration says belongs to that file's folder, wherever a command is run; what stands in a
    // variable, to the folder in which that was typed.
    let beside = state.or(Some(folder).filter(|folder| *folder != Path::new(".")));
    let parse = |text: &str, folder| DatabaseUrl::parse(text, folder).map_err(|error| error.to_string());
    // A problem's value is never shown: what could not be read as a URL may be a password all the more.
    let elsewhere = |origin: String, text: &str, folder| match parse(text, folder) {
        Ok(url) => Some((url, origin)),
        Err(message) => {
            report.elsewhere(&origin, "database.url", Some("***"), message);
            None
        }
    };
    let url_file = section.read("url_file", |value| match some_text(value)? {
        url if url.contains("://") => Err("is a URL: write it as url, or into the file that this names".to_owned()),
        name => Ok(name),
    });
    // The variable's value stands in the section instead of the file's where both are set.
    let in_variable = environment.get(&environment.name_of("database.url")).is_some();
    let of_section = if in_variable { state } else { beside };
    let in_section = section
        .read("url", |value| Ok((parse(&some_text(value)?, of_section)?, report.origin("database.url", Some(value)))));
    let url = match (environment.get(ORIGINAL_VARIABLE), url_file) {
        _ if in_variable => in_section,
        (Some(text), _) => elsewhere(ORIGINAL_VARIABLE.to_owned(), text, state),
        (None, Some(name)) => match read_file(&name, folder, environment.path("CREDENTIALS_DIRECTORY")) {
            Ok((path, text)) => elsewhere(path.display().to_string(), &text, beside),
            Err(message) => {
                section.wrong("url_file", message);
                None
            }
        },
        (None, None) => in_section,
    };
    let schema = section.read("schema", |value| {
        let schema: Identifier = some_text(value)?.parse()?;
        match &url {
            None | Some((DatabaseUrl::Sqlite(_), _)) => {
                Err("means nothing on SQLite, whose files have no schemas: name another file in url".to_owned())
            }
            _ if schema.as_str().to_ascii_lowercase().starts_with("pg_") => {
                Err("begins with pg_, as PostgreSQL's own schemas do".to_owned())
            }
            _ => Ok((schema, report.origin("database.schema", Some(value)))),
        }
    });
    section.finish();
    let (schema, schema_origin) = schema.unzip();
    let default = || parse(DEFAULT, beside).unwrap_or(ProcessSettings::default().database.url);
    let (url, origin) = url.unwrap_or_else(|| (default(), keys::DEFAULT.to_owned()));
    let url = match url {
        DatabaseUrl::Postgres(server) => DatabaseUrl::Postgres(server.with_schema(schema)),
        file @ DatabaseUrl::Sqlite(_) => file,
    };
    DatabaseSetting { url, origin, schema_origin }
}

/// The first of the folders that a service manager names with colons between them.
fn first_of(folders: &Path) -> &Path {
    folders.to_str().and_then(|text| text.split(':').next()).map_or(folders, Path::new)
}

/// The file's text, without the line end that editors add, from the main file's folder or the service manager's.
pub(super) fn read_file(name: &str, folder: &Path, credentials: Option<&Path>) -> Result<(PathBuf, String), String> {
    let places: Vec<PathBuf> =
        [Some(folder), credentials].into_iter().flatten().map(|place| place.join(name)).collect();
    let Some(path) = places.iter().find(|path| path.is_file()) else {
        let looked: Vec<String> = places.iter().map(|path| whole(path).display().to_string()).collect();
        return Err(format!("is not there (looked for {})", looked.join(" and ")));
    };
    let text = fs::read_to_string(path).map_err(|error| format!("cannot be read ({error})"))?;
    let text = text.trim().to_owned();
    if text.is_empty() { Err("is empty".to_owned()) } else { Ok((path.clone(), text)) }
}
