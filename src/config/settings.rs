//! The main file's settings, with their defaults.

use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::TimeDelta;
use config::Value;
use log::LevelFilter;

use super::section::{TomlSection, boolean, choice, duration, integer, some_text};
use super::{policy, web};
use crate::db::url::DatabaseUrl;
use crate::logging::LogFormat;
use crate::policy::Policy;
use crate::web::WebSettings as Web;

/// The main file. `config/dayfill.toml` explains each key; `Default` is what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessSettings {
    /// The folder of the dataset files, as written: relative to the main file.
    pub datasets: PathBuf,
    /// The database.
    pub database: DatabaseConfig,
    /// How days are claimed.
    pub claim: ClaimSettings,
    /// How many days of all datasets the daemon loads at once.
    pub max_parallel_loads: u32,
    /// How days are caught up with, tried again and waited for where the dataset does not say.
    pub policy: Policy,
    /// How the daemon stops.
    pub shutdown: Shutdown,
    /// What the daemon clears away.
    pub retention: RetentionSettings,
    /// When the daemon reads its configuration again.
    pub reload: ReloadSettings,
    /// Where the page listens, and who may come in.
    pub web: Web,
    /// What is logged, and how.
    pub log: Log,
}

/// The database that holds target and state tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseConfig {
    /// Where it is, whichever of variable, file of its own and main file said so.
    pub url: DatabaseUrl,
}

/// How days are claimed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimSettings {
    /// How long a stalled process keeps a day from the others.
    pub lease: Duration,
}

/// How the daemon stops.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shutdown {
    /// How long running loads have to finish before they are cancelled.
    pub grace: Duration,
}

/// How long the daemon keeps what nothing needs any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetentionSettings {
    /// Attempts, from their end on.
    pub attempts: TimeDelta,
}

/// When the daemon reads its configuration again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReloadSettings {
    /// When the files change, not only when it is told to.
    pub watch: bool,
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

/// How a line looks, as `log.format` says.
pub(super) fn log_format(value: &Value) -> Result<LogFormat, String> {
    choice(&FORMATS)(value)
}

const FORMATS: [(&str, LogFormat); 2] = [("text", LogFormat::Text), ("json", LogFormat::Json)];

impl Default for ProcessSettings {
    fn default() -> Self {
        Self {
            datasets: "datasets".into(),
            database: DatabaseConfig { url: DatabaseUrl::Sqlite("dayfill.db".into()) },
            claim: ClaimSettings { lease: Duration::from_mins(1) },
            max_parallel_loads: 4,
            policy: Policy::default(),
            shutdown: Shutdown { grace: Duration::from_secs(30) },
            retention: RetentionSettings { attempts: TimeDelta::days(400) },
            reload: ReloadSettings { watch: true },
            web: Web::default(),
            log: Log { level: LevelFilter::Info, format: LogFormat::Text },
        }
    }
}

impl ProcessSettings {
    /// Reads everything but the database's URL, which has more places than the file to come from. `folder` is the main
    /// file's.
    pub(super) fn read(main: &mut TomlSection, url: DatabaseUrl, folder: &Path) -> Self {
        let default = Self::default();
        Self {
            datasets: main.read("datasets", some_text).map_or(default.datasets, PathBuf::from),
            database: DatabaseConfig { url },
            claim: default.claim.read(main.section("claim")),
            max_parallel_loads: main.read("max_parallel_loads", integer(1, 64)).unwrap_or(default.max_parallel_loads),
            policy: policy::read(main, &default.policy),
            shutdown: default.shutdown.read(main.section("shutdown")),
            retention: default.retention.read(main.section("retention")),
            reload: default.reload.read(main.section("reload")),
            web: web::read(main, folder),
            log: default.log.read(main.section("log")),
        }
    }
}

impl ClaimSettings {
    fn read(self, mut section: TomlSection) -> Self {
        // PostgreSQL takes the lease as a time limit of its own, in milliseconds of 32 bits.
        let lease = section.read("lease", duration("1s", "1d")).unwrap_or(self.lease);
        section.finish();
        Self { lease }
    }
}

impl Shutdown {
    fn read(self, mut section: TomlSection) -> Self {
        let grace = section.read("grace", duration("0s", "1d")).unwrap_or(self.grace);
        section.finish();
        Self { grace }
    }
}

impl RetentionSettings {
    fn read(self, mut section: TomlSection) -> Self {
        let attempts = section.read("attempts", duration("1d", "36500d"));
        let attempts = attempts.and_then(|attempts| TimeDelta::from_std(attempts).ok()).unwrap_or(self.attempts);
        section.finish();
        Self { attempts }
    }
}

impl ReloadSettings {
    fn read(self, mut section: TomlSection) -> Self {
        let watch = section.read("watch", boolean).unwrap_or(self.watch);
        section.finish();
        Self { watch }
    }
}

impl Log {
    fn read(self, mut section: TomlSection) -> Self {
        let level = section.read("level", choice(&LEVELS)).unwrap_or(self.level);
        let format = section.read("format", log_format).unwrap_or(self.format);
        section.finish();
        Self { level, format }
    }
}
