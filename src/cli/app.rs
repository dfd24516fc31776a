//! What every command starts from: configuration read, logging on.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use chrono::Utc;
use indicatif::MultiProgress;
use log::LevelFilter;

use crate::cli::args::Global;
use crate::cli::failure::Failure;
use crate::column::TableName;
use crate::config::{self, Config, Environment};
use crate::cron;
use crate::dataset::Dataset;
use crate::day::{Day, DayRange, MOST_DAYS};
use crate::db::login::ReadUrl;
use crate::db::migrate;
use crate::db::pool::{Conn, Database};
use crate::db::setup;
use crate::db::url::DatabaseUrl;
use crate::event_log::EventLog;
use crate::events::Subscribers;
use crate::exit_code::ExitCode;
use crate::logging;
use crate::plan;
#[cfg(feature = "otel")]
use crate::traces::Traces;

/// What the names of variables that say where the database is begin with; files have paths.
const VARIABLES: [&str; 2] = ["DAYFILL__", "ALGOLIA_DB_URI"];

/// The configuration in force, and where progress bars go.
pub(super) struct App {
    pub(super) config: Config,
    pub(super) environment: Environment,
    pub(super) bars: MultiProgress,
}

impl App {
    pub(super) fn open(global: &Global) -> Result<Self, Failure> {
        let environment = Environment::capture();
        let bars = MultiProgress::new();
        let config = config::load(global.config.as_deref(), &environment)?;
        let log = &config.settings.log;
        let reader = logging::Reader::of_stderr(environment.get("JOURNAL_STREAM"));
        let level = level(log.level, (global.verbose, global.quiet));
        logging::start(level, global.log_format.unwrap_or(log.format), reader, &bars);
        if let Some((old, path)) = left_behind(&config) {
            let (old, path) = (old.display(), path.display());
            log::warn!(
                "{old} in the working folder is not used: the database is {path}, beside the configuration, and is not there \
                 yet; if {old} is the database of this configuration, stop dayfill and move it: mv {old} {path}"
            );
        }
        Ok(Self { config, environment, bars })
    }

    /// The datasets of these names, or all that can be used.
    pub(super) fn datasets(&self, names: &[String]) -> Result<Vec<&Dataset>, Failure> {
        if names.is_empty() {
            return Ok(self.config.datasets.iter().collect());
        }
        names.iter().map(|name| self.dataset(name)).collect()
    }

    /// The dataset of that name.
    pub(super) fn dataset(&self, name: &str) -> Result<&Dataset, Failure> {
        if let Some(broken) = self.config.broken.iter().find(|broken| broken.name == name) {
            return Err(broken.problems.clone().into());
        }
        let found = self.config.datasets.iter().find(|dataset| dataset.name.as_str() == name);
        found.ok_or_else(|| {
            Failure::new(ExitCode::Usage, format!("there is no dataset {name:?}; there are: {}", self.names()))
        })
    }

    /// The names of all datasets, those that cannot be used among them.
    fn names(&self) -> String {
        let usable = self.config.datasets.iter().map(|dataset| dataset.name.as_str());
        let mut names: Vec<&str> = usable.chain(self.config.broken.iter().map(|broken| broken.name.as_str())).collect();
        names.sort_unstable();
        names.join(", ")
    }

    /// Runs a command over all datasets or some of them. Over all of them, it says what is wrong with those that cannot be
    /// used, and ends no better than with [`ExitCode::Configuration`].
    pub(super) fn over(
        &self,
        names: &[String],
        command: impl FnOnce() -> Result<ExitCode, Failure>,
    ) -> Result<ExitCode, Failure> {
        if !names.is_empty() || self.config.broken.is_empty() {
            return command();
        }
        for broken in &self.config.broken {
            for problem in &broken.problems.0 {
                log::error!("wrong dataset file: {problem}");
            }
            log::error!("dataset {} is left out until this is fixed", broken.name);
        }
        match command()? {
            ExitCode::Success | ExitCode::Waiting => Ok(ExitCode::Configuration),
            worse => Ok(worse),
        }
    }

    /// The datasets of these names, `NAME@TABLE` among them, or all of the configuration.
    pub(super) fn datasets_or_copies(&self, names: &[String]) -> Result<Vec<Dataset>, Failure> {
        if names.is_empty() {
            return Ok(self.config.datasets.clone());
        }
        names.iter().map(|name| self.dataset_or_copy(name)).collect()
    }

    /// The dataset of that name; `NAME@TABLE` is a dataset loaded into another table than its own.
    fn dataset_or_copy(&self, name: &str) -> Result<Dataset, Failure> {
        let Some((dataset, table)) = name.split_once('@') else { return self.dataset(name).cloned() };
        let table = table
            .parse()
            .map_err(|why| Failure::new(ExitCode::Usage, format!("--dataset {name:?}: {table:?} {why}")))?;
        self.copy(self.dataset(dataset)?.clone(), table)
    }

    /// A dataset with another table as its target, which must be neither dayfill's own nor that of another dataset.
    pub(super) fn copy(&self, dataset: Dataset, table: TableName) -> Result<Dataset, Failure> {
        if let Some(why) = config::no_target(&table, &self.config.settings.database.url) {
            return Err(Failure::new(ExitCode::Usage, format!("{table} {why}")));
        }
        let taken = |other: &&Dataset| other.name != dataset.name && other.target.table.same(&table);
        if let Some(other) = self.config.datasets.iter().find(taken) {
            let message = format!("{table} is the table of the dataset {}: the two would mix", other.name);
            return Err(Failure::new(ExitCode::Usage, message));
        }
        Ok(dataset.into_table(table))
    }

    /// The dataset of that name, or the only one there is.
    pub(super) fn one_dataset(&self, name: Option<&str>) -> Result<Dataset, Failure> {
        match (name, self.config.datasets.as_slice(), self.config.broken.as_slice()) {
            (Some(name), _, _) => self.dataset_or_copy(name),
            (None, [only], []) => Ok(only.clone()),
            (None, [], [only]) => Err(only.problems.clone().into()),
            (None, _, _) => {
                let message = format!("say which with --dataset; there are: {}", self.names());
                Err(Failure::new(ExitCode::Usage, message))
            }
        }
    }

    /// The database behind a pool of that many connections.
    pub(super) fn database(&self, connections: u32) -> Arc<Database> {
        let settings = &self.config.settings;
        let database = Database::new(settings.database.url.clone(), settings.claim.lease, connections);
        Arc::new(database.reading_url(read_url(&self.config, &self.environment)))
    }

    /// Who hears of events, in commands as in the daemon: the log, and a collector of traces where the environment names
    /// one. A subscriber of every process is added here.
    #[cfg_attr(
        not(feature = "otel"),
        expect(
            clippy::unused_self,
            clippy::unnecessary_wraps,
            reason = "traces read the environment, which may be wrong"
        )
    )]
    pub(super) fn subscribers(&self) -> Result<Subscribers, Failure> {
        let subscribers = Subscribers::default().with(Arc::new(EventLog));
        #[cfg(feature = "otel")]
        let subscribers = match traces(&self.environment)? {
            Some(traces) => subscribers.with(Arc::new(traces)),
            None => subscribers,
        };
        Ok(subscribers)
    }

    /// A connection for looking only; `None` when there is nothing to look at yet: no SQLite file, no state tables.
    pub(super) fn look(&self) -> Result<Option<Conn>, Failure> {
        if let DatabaseUrl::Sqlite(path) = &self.config.settings.database.url
            && !path.exists()
        {
            return Ok(None);
        }
        let mut conn = self.database(1).connect_to_look()?;
        match migrate::has_state_tables(&mut conn) {
            Ok(true) => {}
            Ok(false) => return Ok(None),
            Err(error) => return Err(setup::explained(&mut conn, error).into()),
        }
        if !migrate::pending(&mut conn)?.is_empty() {
            let message = "the state tables are of an older version: `dayfill migrate` brings them up to date, and so \
                           does every command that loads";
            return Err(Failure::new(ExitCode::Failed, message));
        }
        Ok(Some(conn))
    }
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

/// To the collector that OpenTelemetry's variables name, where they name one.
#[cfg(feature = "otel")]
fn traces(environment: &Environment) -> Result<Option<Traces>, Failure> {
    let whole = environment.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT").map(str::to_owned);
    let base = environment.get("OTEL_EXPORTER_OTLP_ENDPOINT");
    let Some(url) = whole.or(base.map(|base| format!("{}/v1/traces", base.trim_end_matches('/')))) else {
        return Ok(None);
    };
    let traces = Traces::to(&url, environment.get("OTEL_SERVICE_NAME").unwrap_or("dayfill"));
    let failed = |error| Failure::new(ExitCode::Configuration, format!("OTEL_EXPORTER_OTLP_ENDPOINT: {error}"));
    traces.map(Some).map_err(failed)
}

/// What reads the database's URL anew, for when a login fails.
pub(super) fn read_url(config: &Config, environment: &Environment) -> ReadUrl {
    let (file, environment) = (config.file.clone(), environment.clone());
    Arc::new(move || config::database_url(&file, &environment))
}

/// The wanted days of a dataset as of now, within bounds.
pub(super) fn wanted(dataset: &Dataset, from: Option<Day>, to: Option<Day>) -> Vec<Day> {
    let last_tick = cron::last_tick(&dataset.schedule, Utc::now());
    let mut days = plan::wanted(&dataset.schedule, last_tick);
    days.retain(|day| from.is_none_or(|from| from <= *day) && to.is_none_or(|to| *day <= to));
    days
}

/// All days of ranges, each once, oldest first; an error where they are more than a person can mean.
pub(super) fn days_of(ranges: &[DayRange]) -> Result<Vec<Day>, Failure> {
    let mut days = BTreeSet::new();
    for range in ranges {
        for day in range.days() {
            days.insert(day);
            if days.len() > MOST_DAYS {
                let message = format!(
                    "{range}: more than {MOST_DAYS} days at once; is a year mistyped? Else name them in several \
                     commands; `dayfill catch-up` loads all wanted days, however many"
                );
                return Err(Failure::new(ExitCode::Usage, message));
            }
        }
    }
    Ok(days.into_iter().collect())
}

/// The level that so many -v and -q make of the configured one.
pub(super) fn level(configured: LevelFilter, verbosity: (u8, u8)) -> LevelFilter {
    match verbosity {
        (0, 0) => configured,
        (0, 1) => LevelFilter::Warn,
        (0, 2) => LevelFilter::Error,
        (0, _) => LevelFilter::Off,
        (1, _) => LevelFilter::Debug,
        (_, _) => LevelFilter::Trace,
    }
}
