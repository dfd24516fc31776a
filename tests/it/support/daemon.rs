//! The daemon, with settings under which nothing waits for long, and what it left in the database.

use super::process::Process;
use super::project::{FIRST, Orders, Project, nightly};
use super::slow_http::SlowHttp;
use super::{Database, wait_until};

/// What of the main file differs from test to test.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) lease: &'static str,
    pub(crate) grace: &'static str,
    pub(crate) watch: bool,
    pub(crate) max_attempts: u32,
    pub(crate) concurrency: u32,
    pub(crate) max_parallel_loads: u32,
    pub(crate) log: &'static str,
    /// The database, for a process whose environment names none.
    pub(crate) url: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            lease: "60s",
            grace: "1h",
            watch: false,
            max_attempts: 5,
            concurrency: 1,
            max_parallel_loads: 4,
            log: "info",
            url: String::new(),
        }
    }
}

impl Settings {
    /// Writes the main file.
    pub(crate) fn write(&self, project: &Project) {
        let Self { lease, grace, watch, max_attempts, concurrency, max_parallel_loads, log, url } = self;
        let url = if url.is_empty() { String::new() } else { format!("url = \"{url}\"") };
        project.write(
            "dayfill.toml",
            format!(
                r#"max_parallel_loads = {max_parallel_loads}
[database]
{url}
[claim]
lease = "{lease}"
[catch_up]
concurrency = {concurrency}
[retry]
max_attempts = {max_attempts}
first_delay = "1s"
[waiting]
poll = "1s"
[shutdown]
grace = "{grace}"
[reload]
watch = {watch}
[log]
level = "{log}"
"#
            ),
        );
    }
}

/// A project for the daemon, with its state tables made.
pub(crate) fn project(database: &dyn Database, settings: &Settings, orders: &Orders) -> Project {
    let project = Project::new(database, orders);
    settings.write(&project);
    project.succeed(&["migrate"]);
    project
}

/// The dataset `orders` with days from a web server.
pub(crate) fn from(server: &SlowHttp, days: (&str, &str)) -> Orders {
    Orders { source: server.source(), schedule: nightly(days.0, days.1), ..Orders::default() }
}

/// The dataset `orders` with one day.
pub(crate) fn one_day() -> Orders {
    Orders { schedule: nightly(FIRST, FIRST), ..Orders::default() }
}

/// Starts the daemon.
pub(crate) fn run(project: &Project) -> Process {
    Process::start(project, &["run"])
}

/// So many rows, all with that amount.
pub(crate) fn rows_of(number: usize, amount: usize) -> String {
    (0..number).map(|row| format!("{row:04},{amount},x\n")).collect::<Vec<_>>().concat()
}

/// How often each amount stands in the target: which file its rows came from.
pub(crate) fn amounts(database: &dyn Database) -> Vec<String> {
    database.lines("select amount, count(*) as n from orders group by amount order by amount")
}

/// How all attempts ended, oldest first.
pub(crate) fn attempts(database: &dyn Database) -> Vec<String> {
    database.lines("select cast(day as text) as d, attempt, outcome from load_attempts order by started_at, day, claim")
}

/// All days of all datasets, with state and attempts.
pub(crate) fn days(database: &dyn Database) -> Vec<String> {
    database.lines("select dataset, cast(day as text) as d, state, attempts from processed_days order by dataset, day")
}

/// Waits until a day is in that state.
pub(crate) fn wait_for_day(database: &dyn Database, dataset: &str, day: &str, state: &str) {
    let number = format!(
        "select count(*) from processed_days where dataset = '{dataset}' and day = '{day}' and state = '{state}'"
    );
    wait_until(&format!("{dataset} {day} is {state}"), || database.line(&number) == "1");
}

/// The lines of a log that are no mere information.
pub(crate) fn troubles(log: &str) -> Vec<&str> {
    log.lines().filter(|line| line.contains(" ERROR ") || line.contains(" WARN ")).collect()
}
