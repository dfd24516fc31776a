//! The configuration: a main file and one file per dataset, read whole. Either all of it is right, or every problem of
//! every file is reported at once. What the values mean is left to the modules below.

use std::path::{Path, PathBuf, absolute};

use crate::dataset::Dataset;

mod checks;
mod database;
mod dataset_file;
mod duration;
mod environment;
mod keys;
mod locate;
mod nearest;
mod policy;
mod problem;
mod report;
mod rows;
mod section;
mod settings;
mod source_url;
mod toml;
mod web;

pub use environment::Environment;
pub use keys::Keys;
pub use problem::{Problem, Problems};
pub use settings::{Claim, Database, Log, Reload, Settings, Shutdown};

use report::Report;
use section::Section;

/// A configuration without a problem.
#[derive(Debug, Clone)]
pub struct Config {
    /// The main file.
    pub file: PathBuf,
    /// What it says, with what the environment says instead.
    pub settings: Settings,
    /// The datasets, by name.
    pub datasets: Vec<Dataset>,
    /// Every key that was given, and the main file's others with their defaults.
    pub keys: Keys,
}

impl Config {
    /// The folders whose files it was read from.
    #[must_use]
    pub fn folders(&self) -> Vec<PathBuf> {
        let folder = locate::folder_of(&self.file);
        vec![folder.to_owned(), folder.join(&self.settings.datasets)]
    }
}

/// Finds the main file (`flag` is the command line's `--config`) and reads it and all dataset files.
///
/// # Errors
/// All problems of all files.
pub fn load(flag: Option<&Path>, environment: &Environment) -> Result<Config, Problems> {
    let file = locate::main_file(flag, environment).map_err(|problem| Problems(vec![problem]))?;
    let folder = locate::folder_of(&file);
    let report = Report::new(&file, environment);
    let mut keys = Keys::new();
    let settings = settings(&file, folder, environment, &report, &mut keys);
    // A main file that cannot be read at all should not hide what is wrong with the others: they are looked for where
    // they usually are.
    let assumed = settings.clone().unwrap_or_default();
    let files = locate::dataset_files(&folder.join(&assumed.datasets)).unwrap_or_else(|message| {
        if settings.is_some() {
            report_folder(&assumed.datasets, folder, &message, environment, &report);
        }
        Vec::new()
    });
    let mut problems = report.into_problems();
    let mut datasets = Vec::new();
    for path in &files {
        let report = Report::new(path, environment);
        datasets.extend(dataset(path, folder, &assumed, &datasets, &report, &mut keys));
        problems.extend(report.into_problems());
    }
    datasets.sort_by(|left, right| left.name.cmp(&right.name));
    match settings {
        Some(settings) if problems.is_empty() => {
            keys::defaults(&mut keys);
            Ok(Config { file, settings, datasets, keys })
        }
        _ => Err(Problems(problems)),
    }
}

fn settings(
    file: &Path,
    folder: &Path,
    environment: &Environment,
    report: &Report,
    keys: &mut Keys,
) -> Option<Settings> {
    for variable in environment.of_datasets() {
        let message = "no key of a dataset can be set by a variable: set it in the dataset's file; DAYFILL__DATASETS, \
                       with nothing behind it, is the folder of these files";
        report.elsewhere(variable, "", None, message);
    }
    let table = toml::main_file(file, environment).map_err(|message| report.file(message)).ok()?;
    keys::gather(keys, "", &table, &|key, value| report.origin(key, Some(value)));
    let mut main = Section::root(report, table);
    let (url, origin) = database::read(main.section("database"), report, environment, folder);
    keys::database(keys, &url, origin);
    let settings = Settings::read(&mut main, url, folder);
    main.finish();
    Some(settings)
}

fn report_folder(datasets: &Path, folder: &Path, message: &str, environment: &Environment, report: &Report) {
    let variable = environment.name_of("datasets");
    let value = format!("{:?}", datasets.display().to_string());
    let message = format!("{message}: {}", locate::whole(&folder.join(datasets)).display());
    if environment.get(&variable).is_some() {
        report.elsewhere(&variable, "datasets", Some(&value), message);
    } else {
        report.key_as("datasets", &value, message);
    }
}

fn dataset(
    path: &Path,
    folder: &Path,
    settings: &Settings,
    earlier: &[Dataset],
    report: &Report,
    keys: &mut Keys,
) -> Option<Dataset> {
    let table = toml::dataset_file(path).map_err(|message| report.file(message)).ok()?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    keys::gather(keys, &format!("datasets/{name} "), &table, &|key, value| report.origin(key, Some(value)));
    let folder = absolute(folder).map_err(|error| report.file(format!("has no folder ({error})"))).ok()?;
    let dataset = dataset_file::read(path, table, &folder, &settings.policy, report)?;
    checks::between(&dataset, earlier, &settings.database.url, report);
    Some(dataset)
}

#[cfg(test)]
mod tests;
