//! What the pages beside the datasets show: processes, configuration, who did what, the login, and what goes wrong.

use chrono::{DateTime, TimeDelta, Utc};

use crate::daemon::BrokenDataset;
use crate::status::{ActivityEntry, RegisteredWorker};

/// The processes at work.
#[derive(Debug, Clone)]
pub struct DaemonsPage {
    /// One per process.
    pub daemons: Vec<DaemonRow>,
}

/// A process that works with the database.
#[derive(Debug, Clone)]
pub struct DaemonRow {
    /// The process.
    pub worker: RegisteredWorker,
    /// How long ago its last sign of life was.
    pub silence: TimeDelta,
    /// Its last sign of life is older than a lease.
    pub stalled: bool,
    /// The days it is loading.
    pub loads: Vec<(String, crate::day::Day)>,
    /// It is the process that answers.
    pub this_one: bool,
}

/// The configuration in force.
#[derive(Debug, Clone)]
pub struct ConfigurationPage {
    /// The main file.
    pub file: String,
    /// Since when it is in force.
    pub since: DateTime<Utc>,
    /// Every key, by name; secrets are masked.
    pub keys: Vec<ConfigurationKey>,
    /// The configuration that was refused last, if none was taken since.
    pub refused: Option<RejectedConfiguration>,
    /// The datasets that cannot be used as their files have them.
    pub broken: Vec<BrokenDataset>,
}

/// A key of the configuration.
#[derive(Debug, Clone)]
pub struct ConfigurationKey {
    /// Its name: `claim.lease`.
    pub name: String,
    /// Its value, secrets masked.
    pub value: String,
    /// Where it was said: a file, a variable, or `default`.
    pub origin: String,
}

/// A configuration that was refused.
#[derive(Debug, Clone)]
pub struct RejectedConfiguration {
    /// When.
    pub at: DateTime<Utc>,
    /// What is wrong with it, one problem each.
    pub problems: Vec<String>,
}

/// Who did what, one page of it, newest first.
#[derive(Debug, Clone)]
pub struct ActivityLogPage {
    /// The entries of this page.
    pub entries: Vec<ActivityEntry>,
    /// The first of them, where there are newer ones.
    pub newer: Option<i64>,
    /// The last of them, where there are older ones.
    pub older: Option<i64>,
}

/// The login.
#[derive(Debug, Clone)]
pub struct LoginPage {
    /// The name that was typed before.
    pub name: String,
    /// The path to go to afterwards.
    pub next: String,
    /// Why the last try did not work.
    pub error: Option<String>,
}

/// A request that could not be answered (problem details of HTTP).
#[derive(Debug, Clone)]
pub struct ProblemPage {
    /// The HTTP status.
    pub status: u16,
    /// What is wrong, in a few words.
    pub title: String,
    /// More of it.
    pub detail: Option<String>,
}

/// A request that this person may not make.
#[derive(Debug, Clone)]
pub struct ForbiddenPage {
    /// What was asked for.
    pub what: String,
    /// The role that may.
    pub needs: String,
}

/// The database cannot be reached: no page with days can be shown.
#[derive(Debug, Clone)]
pub struct UnreachablePage {
    /// The database, secrets masked.
    pub database: String,
    /// Since when.
    pub since: DateTime<Utc>,
    /// The error.
    pub error: String,
}
