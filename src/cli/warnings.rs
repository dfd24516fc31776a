//! What `check` warns of: nothing that keeps a day from being loaded, but what may be regretted.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::cli::app::App;
use crate::config::Config;
use crate::db::url::DatabaseUrl;
use crate::source;

/// What the names of variables that say where the database is begin with; files have paths.
const VARIABLES: [&str; 2] = ["DAYFILL__", "ALGOLIA_DB_URI"];

/// The rights of those who are neither owner nor in the group, to read.
const OTHERS_READ: u32 = 0o004;

/// Everything that `check` warns of in a configuration, a text each.
pub(super) fn of(app: &App) -> Vec<String> {
    let config = &app.config;
    let mut warnings = Vec::new();
    let database = &config.settings.database.url;
    if database.trusts_any_server(app.environment.get("PGSSLMODE")) {
        warnings.push(format!(
            "database {database}: the server's certificate is not checked, so that another server could take its place; \
             add sslmode=verify-full&sslrootcert=system"
        ));
    }
    // Of a variable there is no file.
    let origin = config.keys.get("database.url").map(|given| Path::new(&given.origin));
    warnings.extend(origin.filter(|_| database.has_secret()).and_then(|file| read_by_others(file, "database.url")));
    for dataset in &config.datasets {
        let url = dataset.source.url.to_string();
        if source::shown(&dataset.source) != url {
            let origin = config.keys.get(&format!("datasets/{}.toml source.url", dataset.name));
            warnings.extend(origin.and_then(|given| read_by_others(Path::new(&given.origin), "source.url")));
        }
        let files =
            [("source.user_file", &dataset.source.user_file), ("source.headers_file", &dataset.source.headers_file)];
        let files = files.into_iter().filter_map(|(key, file)| Some((key, file.as_deref()?)));
        warnings.extend(files.filter_map(|(key, file)| read_by_others(file, key)));
    }
    warnings.extend(config.skipped.iter().map(|path| {
        format!("{}: is no file (a pipe, a device or a socket) and is never opened; remove it", path.display())
    }));
    warnings
}

/// Tells of a SQLite file in the working folder that is not used, where the configuration's own is not there yet: older
/// versions looked for it there. It may be that of another configuration as well, so that it is never taken.
/// The two files, that one first.
pub(super) fn left_behind(config: &Config) -> Option<(&Path, &Path)> {
    let DatabaseUrl::Sqlite(path) = &config.settings.database.url else { return None };
    // What a variable says lies in the working folder.
    let in_a_file = config
        .keys
        .get("database.url")
        .is_some_and(|given| !VARIABLES.iter().any(|name| given.origin.starts_with(name)));
    let folder = config.file.parent()?;
    let old = path.strip_prefix(folder).ok().filter(|old| in_a_file && old.is_relative())?;
    (!path.exists() && is_sqlite(old)).then_some((old, path.as_path()))
}

/// True of a file that SQLite made.
fn is_sqlite(file: &Path) -> bool {
    let mut head = [0; 16];
    // Only of a file: opening a pipe could wait for ever.
    let is_read = file.is_file() && File::open(file).and_then(|mut file| file.read_exact(&mut head)).is_ok();
    is_read && head == *b"SQLite format 3\0"
}

/// Tells of a file that every user of the machine may read, where it holds a secret.
fn read_by_others(file: &Path, key: &str) -> Option<String> {
    let mode = file.metadata().ok()?.permissions().mode();
    let file = file.display();
    (mode & OTHERS_READ != 0).then(|| {
        format!("{file}: {key} holds a secret, and every user of this machine may read the file; chmod o-r {file}")
    })
}
