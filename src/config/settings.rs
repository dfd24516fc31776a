//! The main file's settings, with their defaults.

use std::path::PathBuf;
use std::time::Duration;

use log::LevelFilter;

use super::section::{Section, choice, duration, integer, some_text};
use crate::db::url::DatabaseUrl;
use crate::logging::LogFormat;

/// The main file. `config/dayfill.toml` explains each key; `Default` is what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The folder of the dataset files, as written: relative to the main file.
    pub datasets: PathBuf,
    /// The database.
    pub database: Database,
    /// How days are claimed.
    pub claim: Claim,
    /// How many days are loaded at once.
    pub catch_up: CatchUp,
    /// How failed days are tried again.
    pub retry: Retry,
    /// How days are looked for whose file is not there.
    pub waiting: Waiting,
    /// What is logged, and how.
    pub log: Log,
}

/// The database that holds target and state tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Database {
    /// Where it is, whichever of variable, file of its own and main file said so.
    pub url: DatabaseUrl,
}

/// How days are claimed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// How long a stalled process keeps a day from the others.
    pub lease: Duration,
}

/// How days are caught up with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatchUp {
    /// How many days are loaded at once.
    pub concurrency: u32,
}

/// How failed days are tried again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retry {
    /// How often a day is tried before a person has to look at it.
    pub max_attempts: u32,
    /// The delay after the first attempt; it doubles with each further one.
    pub first_delay: Duration,
    /// The longest delay.
    pub max_delay: Duration,
}

/// How days are looked for whose file is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// The time between two looks.
    pub poll: Duration,
}

/// What is logged, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// The least important level that is logged.
    pub level: LevelFilter,
    /// How a line looks.
    pub format: LogFormat,
}

const LEVELS: [(&str, LevelFilter); 6] = [
    ("off", LevelFilter::Off),
    ("error", LevelFilter::Error),
    ("warn", LevelFilter::Warn),
    ("info", LevelFilter::Info),
    ("debug", LevelFilter::Debug),
    ("trace", LevelFilter::Trace),
];

const FORMATS: [(&str, LogFormat); 2] = [("text", LogFormat::Text), ("json", LogFormat::Json)];

impl Default for Settings {
    fn default() -> Self {
        Self {
            datasets: "datasets".into(),
            database: Database { url: DatabaseUrl::Sqlite("dayfill.db".into()) },
            claim: Claim { lease: Duration::from_mins(1) },
            catch_up: CatchUp { concurrency: 1 },
            retry: Retry { max_attempts: 5, first_delay: Duration::from_mins(1), max_delay: Duration::from_hours(1) },
            waiting: Waiting { poll: Duration::from_mins(15) },
            log: Log { level: LevelFilter::Info, format: LogFormat::Text },
        }
    }
}

impl Settings {
    /// Reads everything but the database's URL, which has more places than the file to come from.
    pub(super) fn read(main: &mut Section, url: DatabaseUrl) -> Self {
        let default = Self::default();
        Self {
            datasets: main.read("datasets", some_text).map_or(default.datasets, PathBuf::from),
            database: Database { url },
            claim: default.claim.read(main.section("claim")),
            catch_up: default.catch_up.read(main.section("catch_up")),
            retry: default.retry.read(main.section("retry")),
            waiting: default.waiting.read(main.section("waiting")),
            log: default.log.read(main.section("log")),
        }
    }
}

impl Claim {
    fn read(self, mut section: Section) -> Self {
        // PostgreSQL takes the lease as a time limit of its own, in milliseconds of 32 bits.
        let lease = section.read("lease", duration("1s", "1d")).unwrap_or(self.lease);
        section.finish();
        Self { lease }
    }
}

impl CatchUp {
    fn read(self, mut section: Section) -> Self {
        let concurrency = section.read("concurrency", integer(1, 64)).unwrap_or(self.concurrency);
        section.finish();
        Self { concurrency }
    }
}

impl Retry {
    fn read(self, mut section: Section) -> Self {
        let max_attempts = section.read("max_attempts", integer(1, 1000)).unwrap_or(self.max_attempts);
        let first = section.read_or("first_delay", self.first_delay, duration("0s", "30d"));
        let max = section.read_or("max_delay", self.max_delay, duration("0s", "30d"));
        if let (Some(first), Some(max)) = (first, max)
            && first > max
        {
            if section.was_given("first_delay") {
                section.wrong("first_delay", format!("is longer than max_delay, {max:?}"));
            } else {
                section.wrong("max_delay", format!("is shorter than first_delay, {first:?}"));
            }
        }
        section.finish();
        Self { max_attempts, first_delay: first.unwrap_or(self.first_delay), max_delay: max.unwrap_or(self.max_delay) }
    }
}

impl Waiting {
    fn read(self, mut section: Section) -> Self {
        let poll = section.read("poll", duration("1s", "30d")).unwrap_or(self.poll);
        section.finish();
        Self { poll }
    }
}

impl Log {
    fn read(self, mut section: Section) -> Self {
        let level = section.read("level", choice(&LEVELS)).unwrap_or(self.level);
        let format = section.read("format", choice(&FORMATS)).unwrap_or(self.format);
        section.finish();
        Self { level, format }
    }
}
