//! Where the configuration's files are.

use std::fs;
use std::io;
use std::path::{Path, PathBuf, absolute};

use super::environment::Environment;
use super::problem::ConfigProblem;

/// Where the main file is looked for if neither the command line nor the environment names it.
const PLACES: [&str; 2] = ["./config/dayfill.toml", "/etc/dayfill/dayfill.toml"];
const VARIABLE: &str = "DAYFILL_CONFIG";

/// The main file: the one named on the command line, else by the environment, else the first that is there.
pub(super) fn main_file(flag: Option<&Path>, environment: &Environment) -> Result<PathBuf, ConfigProblem> {
    let named = [(flag, "--config"), (environment.path(VARIABLE), VARIABLE)];
    if let Some((path, by)) = named.into_iter().find_map(|(path, by)| path.map(|path| (path, by))) {
        return match is_there(path) {
            Ok(true) => Ok(path.to_owned()),
            Ok(false) => Err(problem(&whole(path), format!("is not a file that is there (named by {by})"))),
            Err(error) => Err(problem(&whole(path), format!("cannot be read ({error}; named by {by})"))),
        };
    }
    for path in PLACES.map(Path::new) {
        match is_there(path) {
            Ok(true) => return Ok(path.to_owned()),
            Ok(false) => {}
            // Another configuration than the one that is meant would be worse than none.
            Err(error) => return Err(problem(&whole(path), format!("cannot be read ({error})"))),
        }
    }
    Err(ConfigProblem {
        origin: "--config".to_owned(),
        key: String::new(),
        value: None,
        message: format!(
            "no configuration: neither --config nor {VARIABLE} names one, and none is at {}",
            PLACES.join(" or ")
        ),
    })
}

/// True where there is such a file, false where there is none; an error where that cannot be seen.
fn is_there(path: &Path) -> io::Result<bool> {
    match path.metadata() {
        Ok(metadata) => Ok(metadata.is_file()),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(false),
        Err(error) => Err(error),
    }
}

/// What a folder of datasets holds.
#[derive(Debug, Default)]
pub(super) struct DatasetFiles {
    /// The dataset files, sorted.
    pub(super) files: Vec<PathBuf>,
    /// What has the name of one and is no file: pipes, devices, sockets. Reading one could wait for ever.
    pub(super) skipped: Vec<PathBuf>,
}

/// The dataset files of a folder; hidden files are not for us (editors and volume mounts leave them).
pub(super) fn dataset_files(folder: &Path) -> Result<DatasetFiles, String> {
    let entries = fs::read_dir(folder).map_err(|error| format!("cannot be read as a folder ({error})"))?;
    let mut found = DatasetFiles::default();
    for entry in entries {
        let path = entry.map_err(|error| format!("cannot be read as a folder ({error})"))?.path();
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if !hidden && path.extension().is_some_and(|extension| extension == "toml") && !path.is_dir() {
            // A link that leads nowhere is a file that cannot be read, and is told of as one.
            let is_special = path.metadata().is_ok_and(|metadata| !metadata.is_file());
            if is_special { &mut found.skipped } else { &mut found.files }.push(path);
        }
    }
    found.files.sort();
    found.skipped.sort();
    if found.files.is_empty() { Err("holds no dataset file (*.toml)".to_owned()) } else { Ok(found) }
}

/// The whole path of what is not there: a relative one does not tell where it was looked for.
pub(super) fn whole(path: &Path) -> PathBuf {
    absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// The folder a file is in; the working folder for a bare name.
pub(super) fn folder_of(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn problem(path: &Path, message: String) -> ConfigProblem {
    ConfigProblem { origin: path.display().to_string(), key: String::new(), value: None, message }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_cannot_be_seen_is_not_said_to_be_absent() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("dayfill.toml"), "").unwrap();
        std::os::unix::fs::symlink("loop.toml", at("loop.toml")).unwrap();
        for (name, said) in [
            ("dayfill.toml", None),
            ("none.toml", Some("is not a file that is there (named by --config)")),
            ("dayfill.toml/none.toml", Some("is not a file that is there")),
            // As where there is no right to the folder, which root has everywhere.
            ("loop.toml", Some("cannot be read (")),
        ] {
            let found = main_file(Some(&at(name)), &Environment::default());
            let message = found.err().map(|problem| problem.message);
            match said {
                None => assert_eq!(message, None),
                Some(said) => assert!(message.as_ref().is_some_and(|it| it.starts_with(said)), "{name}: {message:?}"),
            }
        }
    }
}
