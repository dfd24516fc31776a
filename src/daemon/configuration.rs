//! What the daemon is told to do, in plain values: the shell reads it from files, the daemon only compares and obeys.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;

use crate::dataset::{DatasetName, Target};
use crate::db::login::ReadUrl;
use crate::db::url::DatabaseUrl;
use crate::load_day::Job;

/// What the daemon is told to do.
pub struct DaemonConfig {
    /// The main file, as it is shown.
    pub file: String,
    /// The datasets.
    pub jobs: Vec<Arc<Job>>,
    /// The datasets that cannot be used, in the order of their files.
    pub broken: Vec<BrokenDataset>,
    /// How it works with the database.
    pub connection: DatabaseSettings,
    /// How long attempts are kept.
    pub keep_attempts: TimeDelta,
    /// What reads the database's URL anew, for when a login fails.
    pub read_url: ReadUrl,
    /// How long loads in flight may go on after the stop.
    pub grace: Duration,
    /// The files that are watched, and the folders with all dataset files in them; none when they are not to be.
    pub watched: Vec<PathBuf>,
    /// Every key that was given, and the main file's others with their defaults, by the place each stands in: what is
    /// shown, and what a reload says of its changes.
    pub keys: Arc<BTreeMap<String, ConfigValue>>,
    /// What the shell does when this is in force.
    pub in_force: Box<dyn Fn() + Send + Sync>,
}

/// A dataset whose file is wrong, or does not fit the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokenDataset {
    /// Its name, or what stands for it where that is no name: the file's without its ending.
    pub name: String,
    /// Everything that is wrong, a line each, with file, key and value.
    pub problems: Vec<String>,
    /// An older definition of it is in force.
    pub older_in_force: bool,
}

/// How the daemon works with the database. What was made for one serves all that equal it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseSettings {
    /// The database that holds targets and state tables.
    pub database: DatabaseUrl,
    /// How long a claim holds without a heartbeat.
    pub lease: Duration,
    /// How many days of all datasets are loaded at once.
    pub max_parallel_loads: u32,
}

/// A key's value: as it may be shown, and told apart from others that look the same when shown.
#[derive(Debug, Clone)]
pub struct ConfigValue {
    /// Where it was set: a file, the name of a variable, or `default`.
    pub origin: String,
    /// The value without what may be a secret.
    pub shown: String,
    /// What tells it apart.
    pub digest: u64,
}

/// Reads the configuration anew; all its problems when it has any.
pub type Read = dyn Fn() -> Result<DaemonConfig, Vec<String>> + Send + Sync;

impl DaemonConfig {
    /// Takes a dataset out, as one that cannot be used.
    pub(super) fn take_out(&mut self, name: &DatasetName, problem: String) {
        self.jobs.retain(|job| job.dataset.name != *name);
        let problems = vec![problem];
        self.broken.push(BrokenDataset { name: name.to_string(), problems, older_in_force: false });
    }

    /// Keeps the older definitions of datasets that cannot be used as their files have them now, with the keys that they
    /// had. A dataset that would delete the rows of one of these cannot be used either.
    pub(super) fn keep_older(&mut self, old: &[Arc<Job>], old_keys: &BTreeMap<String, ConfigValue>) {
        let mut kept: Vec<Arc<Job>> = Vec::new();
        let mut keys = (*self.keys).clone();
        let mut number = 0;
        // Keeping one may take out others, which come behind it.
        while let Some(broken) = self.broken.get_mut(number) {
            number += 1;
            let Some(older) = old.iter().find(|job| job.dataset.name.as_str() == broken.name) else { continue };
            broken.older_in_force = true;
            let place = keys_of(&older.dataset.name);
            keys.retain(|key, _| !key.starts_with(&place));
            keys.extend(
                old_keys.iter().filter(|(key, _)| key.starts_with(&place)).map(|(k, v)| (k.clone(), v.clone())),
            );
            let rivals = self.jobs.iter().filter(|job| job.dataset.replaces_the_same_days(&older.dataset));
            for rival in rivals.map(|job| job.dataset.name.clone()).collect::<Vec<_>>() {
                let Target { table, day_column, .. } = &older.dataset.target;
                let name = &older.dataset.name;
                let problem = format!(
                    "{rival}: target.table = \"{table}\" is also where {name} replaces days by {day_column}, whose older \
                     definition is in force since its file is wrong: each would delete the other's rows"
                );
                self.take_out(&rival, problem);
            }
            kept.push(Arc::clone(older));
        }
        self.jobs.extend(kept);
        self.jobs.sort_by(|left, right| left.dataset.name.cmp(&right.dataset.name));
        self.keys = Arc::new(keys);
    }

    /// What is another here than in `old`, a line per key.
    pub(super) fn changes(&self, old: &Self) -> Vec<String> {
        let keys = self.keys.keys().chain(old.keys.keys().filter(|key| !self.keys.contains_key(*key)));
        let mut changes: Vec<String> = keys
            .filter_map(|key| match (old.keys.get(key), self.keys.get(key)) {
                (Some(old), Some(new)) if old.digest == new.digest => None,
                (Some(old), Some(new)) => Some(format!("{key}: {}", difference(&old.shown, &new.shown))),
                (None, Some(new)) => Some(format!("{key}: is now {}", new.shown)),
                (Some(old), None) => Some(format!("{key}: {} is left out now", old.shown)),
                (None, None) => None,
            })
            .collect();
        changes.sort();
        changes
    }
}

/// What the keys of a dataset's file begin with.
fn keys_of(name: &DatasetName) -> String {
    format!("datasets/{name}.toml ")
}

fn difference(old: &str, new: &str) -> String {
    if old == new { "changed in what is not shown".to_owned() } else { format!("{old} is now {new}") }
}
