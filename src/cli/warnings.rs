//! What `check` warns of: nothing that keeps a day from being loaded, but what may be regretted.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::cli::app::App;
use crate::source;

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

/// Tells of a file that every user of the machine may read, where it holds a secret.
fn read_by_others(file: &Path, key: &str) -> Option<String> {
    let mode = file.metadata().ok()?.permissions().mode();
    let file = file.display();
    (mode & OTHERS_READ != 0).then(|| {
        format!("{file}: {key} holds a secret, and every user of this machine may read the file; chmod o-r {file}")
    })
}
