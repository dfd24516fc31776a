//! What the daemon is told to do, in plain values: the shell reads it from files, the daemon only compares and obeys.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::db::url::DatabaseUrl;
use crate::load_day::Job;

/// What the daemon is told to do.
pub struct Configuration {
    /// The main file, as it is shown.
    pub file: String,
    /// The datasets.
    pub jobs: Vec<Arc<Job>>,
    /// How it works with the database.
    pub connection: Connection,
    /// How long loads in flight may go on after the stop.
    pub grace: Duration,
    /// The folders whose files are watched; none when they are not to be.
    pub watched: Vec<PathBuf>,
    /// Every key that was given, and the main file's others with their defaults, by the place each stands in: what is
    /// shown, and what a reload says of its changes.
    pub keys: Arc<BTreeMap<String, Given>>,
    /// What the shell does when this is in force.
    pub in_force: Box<dyn Fn() + Send + Sync>,
}

/// How the daemon works with the database. What was made for one serves all that equal it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// The database that holds targets and state tables.
    pub database: DatabaseUrl,
    /// How long a claim holds without a heartbeat.
    pub lease: Duration,
    /// How many days of all datasets are loaded at once.
    pub max_parallel_loads: u32,
}

/// A key's value: as it may be shown, and told apart from others that look the same when shown.
#[derive(Debug, Clone)]
pub struct Given {
    /// Where it was set: a file, the name of a variable, or `default`.
    pub origin: String,
    /// The value without what may be a secret.
    pub shown: String,
    /// What tells it apart.
    pub digest: u64,
}

/// Reads the configuration anew; all its problems when it has any.
pub type Read = dyn Fn() -> Result<Configuration, Vec<String>> + Send + Sync;

impl Configuration {
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

fn difference(old: &str, new: &str) -> String {
    if old == new { "changed in what is not shown".to_owned() } else { format!("{old} is now {new}") }
}
