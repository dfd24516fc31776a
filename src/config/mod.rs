//! The configuration: a main file and one file per dataset. A main file that is wrong is an error; a dataset file that is
//! wrong keeps its own dataset out and no other. Every problem of every file is reported at once. What the values mean is
//! left to the modules below.

use std::path::{Path, PathBuf, absolute};

use crate::daemon::BrokenDataset;
use crate::dataset::Dataset;
use crate::db::url::DatabaseUrl;
use crate::logging::LogFormat;

mod checks;
mod database;
mod dataset_file;
mod environment;
mod keys;
mod locate;
mod policy;
mod problem;
mod quantity;
mod report;
mod rows;
mod section;
mod settings;
mod source_url;
mod toml;
mod web;

pub use checks::no_target;
pub use environment::Environment;
pub use keys::Keys;
pub use problem::{ConfigProblem, Problems};
pub use settings::{ClaimSettings, DatabaseConfig, Log, ProcessSettings, ReloadSettings, RetentionSettings, Shutdown};

use report::ConfigReport;
use section::TomlSection;

/// A configuration whose main file has no problem.
#[derive(Debug, Clone)]
pub struct Config {
    /// The main file.
    pub file: PathBuf,
    /// What it says, with what the environment says instead.
    pub settings: ProcessSettings,
    /// The datasets whose files have no problem, by name.
    pub datasets: Vec<Dataset>,
    /// The dataset files that have one, by name.
    pub broken: Vec<BrokenDatasetFile>,
    /// What lies among the dataset files and is no file (a pipe, a device): it is never opened.
    pub skipped: Vec<PathBuf>,
    /// Every key that was given, and the main file's others with their defaults; without those of broken files.
    pub keys: Keys,
}

/// A dataset file that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokenDatasetFile {
    /// The name that its dataset has or would have: the file's name without its ending.
    pub name: String,
    /// The file.
    pub file: PathBuf,
    /// Everything that is wrong with it.
    pub problems: Problems,
}

impl Config {
    /// What it was read from: the main file and its folder, and that of the dataset files.
    #[must_use]
    pub fn read_from(&self) -> Vec<PathBuf> {
        let folder = locate::folder_of(&self.file);
        vec![self.file.clone(), folder.to_owned(), folder.join(&self.settings.datasets)]
    }
}

impl From<&BrokenDatasetFile> for BrokenDataset {
    fn from(file: &BrokenDatasetFile) -> Self {
        let problems = file.problems.0.iter().map(ToString::to_string).collect();
        Self { name: file.name.clone(), problems, older_in_force: false }
    }
}

/// Finds the main file (`flag` is the command line's `--config`) and reads it and all dataset files.
///
/// # Errors
/// All problems of all files, when the main file has one, or the folder of the datasets cannot be read or holds none. The
/// problems of dataset files alone are no error: [`Config::broken`] has them.
pub fn load(flag: Option<&Path>, environment: &Environment) -> Result<Config, Problems> {
    let file = locate::main_file(flag, environment).map_err(|problem| Problems(vec![problem]))?;
    let folder = locate::folder_of(&file);
    let report = ConfigReport::new(&file, environment);
    let mut keys = Keys::new();
    let settings = settings(&file, folder, environment, &report, &mut keys);
    // A main file that cannot be read at all should not hide what is wrong with the others: they are looked for where
    // they usually are.
    let assumed = settings.clone().unwrap_or_default();
    let found = locate::dataset_files(&folder.join(&assumed.datasets)).unwrap_or_else(|message| {
        if settings.is_some() {
            report_folder(&assumed.datasets, folder, &message, environment, &report);
        }
        locate::DatasetFiles::default()
    });
    let locate::DatasetFiles { files, skipped } = found;
    let mut problems = report.into_problems();
    let mut read: Vec<DatasetFile> =
        files.into_iter().map(|path| DatasetFile::read(path, folder, &assumed, environment)).collect();
    reject_rivals(&mut read);
    let main_is_right = problems.is_empty();
    let Some(settings) = settings.filter(|_| main_is_right) else {
        problems.extend(read.into_iter().flat_map(|file| file.problems));
        return Err(Problems(problems));
    };
    keys::defaults(&mut keys);
    let (mut datasets, mut broken) = (Vec::new(), Vec::new());
    for DatasetFile { path, dataset, problems, keys: own } in read {
        match dataset {
            Some(dataset) if problems.is_empty() => {
                keys.extend(own);
                datasets.push(dataset);
            }
            _ => {
                let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
                broken.push(BrokenDatasetFile { name, file: path, problems: Problems(problems) });
            }
        }
    }
    datasets.sort_by(|left, right| left.name.cmp(&right.name));
    Ok(Config { file, settings, datasets, broken, skipped, keys })
}

/// How log lines are to be written, for what is said before a configuration is in force: as the environment says, else as the
/// main file does where it is there and is TOML, whatever else is wrong with it; else as text.
#[must_use]
pub fn log_format(flag: Option<&Path>, environment: &Environment) -> LogFormat {
    let file = locate::main_file(flag, environment).ok();
    let settings = file.and_then(|file| toml::main_file(&file, environment).ok());
    let settings = settings.or_else(|| toml::of_environment(environment).ok());
    let given = settings.and_then(|keys| keys.get("log")?.clone().into_table().ok()?.get("format").cloned());
    given.and_then(|format| settings::log_format(&format).ok()).unwrap_or_default()
}

/// Reads the database's URL anew from wherever the main file and the environment have it, whatever else is wrong there;
/// `None` where it cannot be read.
#[must_use]
pub fn database_url(main_file: &Path, environment: &Environment) -> Option<DatabaseUrl> {
    let report = ConfigReport::new(main_file, environment);
    let table = toml::main_file(main_file, environment).ok()?;
    let section = TomlSection::root(&report, table).section("database");
    let found = database::read(section, &report, environment, locate::folder_of(main_file));
    report.into_problems().is_empty().then_some(found.url)
}

/// A dataset file that was read, with what it says as far as it can be told.
struct DatasetFile {
    path: PathBuf,
    dataset: Option<Dataset>,
    problems: Vec<ConfigProblem>,
    keys: Keys,
}

impl DatasetFile {
    fn read(path: PathBuf, folder: &Path, settings: &ProcessSettings, environment: &Environment) -> Self {
        let report = ConfigReport::new(&path, environment);
        let mut keys = Keys::new();
        let dataset = dataset(&path, folder, settings, &report, &mut keys);
        let problems = report.into_problems();
        Self { path, dataset, problems, keys }
    }
}

/// Reports datasets that would delete each other's rows, to both of their files: which of them is wrong cannot be told, and
/// neither may be loaded beside the other. Where one is wrong already, it alone is kept out.
fn reject_rivals(files: &mut [DatasetFile]) {
    let rival = |file: &DatasetFile| {
        let dataset = file.dataset.as_ref()?;
        let clash = |other: &&DatasetFile| {
            let both = other.path != file.path && (other.problems.is_empty() || !file.problems.is_empty());
            both && other.dataset.as_ref().is_some_and(|other| other.replaces_the_same_days(dataset))
        };
        let other = files.iter().find(clash)?.dataset.as_ref()?;
        Some(checks::rival(&file.path, dataset, other))
    };
    let found: Vec<Option<ConfigProblem>> = files.iter().map(rival).collect();
    for (file, problem) in files.iter_mut().zip(found) {
        file.problems.extend(problem);
    }
}

fn settings(
    file: &Path,
    folder: &Path,
    environment: &Environment,
    report: &ConfigReport,
    keys: &mut Keys,
) -> Option<ProcessSettings> {
    for variable in environment.of_datasets() {
        let message = "no key of a dataset can be set by a variable: set it in the dataset's file; DAYFILL__DATASETS, \
                       with nothing behind it, is the folder of these files";
        report.elsewhere(variable, "", None, message);
    }
    let table = toml::main_file(file, environment).map_err(|message| report.file(message)).ok()?;
    keys::gather(keys, "", &table, &|key, value| report.origin(key, Some(value)));
    let mut main = TomlSection::root(report, table);
    let database::DatabaseSetting { url, origin, schema_origin } =
        database::read(main.section("database"), report, environment, folder);
    keys::database(keys, &url, origin, schema_origin);
    let settings = ProcessSettings::read(&mut main, url, folder);
    main.finish();
    Some(settings)
}

fn report_folder(datasets: &Path, folder: &Path, message: &str, environment: &Environment, report: &ConfigReport) {
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
    settings: &ProcessSettings,
    report: &ConfigReport,
    keys: &mut Keys,
) -> Option<Dataset> {
    let table = toml::dataset_file(path).map_err(|message| report.file(message)).ok()?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    keys::gather(keys, &format!("datasets/{name} "), &table, &|key, value| report.origin(key, Some(value)));
    let folder = absolute(folder).map_err(|error| report.file(format!("has no folder ({error})"))).ok()?;
    let dataset = dataset_file::read(path, table, &folder, &settings.policy, report)?;
    checks::with_database(&dataset, &settings.database.url, report);
    Some(dataset)
}

#[cfg(test)]
mod tests;
