//! Projects for the daemon, and what their tests ask the state table.

use rustix::process::Signal;

use super::process::Process;
use super::project::{FIRST, Orders, Project, scheduled};
use super::slow_http::SlowHttp;
use super::{Database, wait_until};

/// The dataset `orders` from [`FIRST`] to that day; it ticks each second.
pub(crate) fn ticking(last: &str) -> Orders {
    Orders { schedule: scheduled("* * * * * *", FIRST, last), ..Orders::default() }
}

/// The dataset `orders` from [`FIRST`] to that day; no tick comes while a test runs.
pub(crate) fn still(last: &str) -> Orders {
    Orders { schedule: scheduled("0 2 1 1 *", FIRST, last), ..Orders::default() }
}

impl Orders {
    /// The same, read from a web server.
    pub(crate) fn from(self, server: &SlowHttp) -> Self {
        Self { source: server.source(), ..self }
    }

    /// The same, with further keys in `[source]`.
    pub(crate) fn source(self, keys: &str) -> Self {
        Self { source: format!("{}\n{keys}", self.source), ..self }
    }

    /// The same, with sections of its own.
    pub(crate) fn sections(self, sections: &'static str) -> Self {
        Self { sections, ..self }
    }
}

/// A project with that dataset and that main file.
pub(crate) fn project(database: &dyn Database, orders: &Orders, settings: &str) -> Project {
    let project = Project::new(database, orders);
    project.write("dayfill.toml", settings);
    project
}

/// Starts the daemon.
pub(crate) fn daemon(project: &Project) -> Process {
    Process::start(project, &["run"])
}

/// Has the daemon end; what it logged.
pub(crate) fn stop(daemon: Process) -> String {
    daemon.signal(Signal::TERM);
    let ran = daemon.end();
    assert_eq!(ran.code, 0, "{ran:#?}");
    ran.stderr
}

/// The state of a day; `missing` where it has none, or there are no tables yet.
pub(crate) fn state(database: &dyn Database, day: &str) -> String {
    column(database, day, "state")
}

/// A column of a day's row as text; `missing` where there is none, or there are no tables yet.
pub(crate) fn column(database: &dyn Database, day: &str, column: &str) -> String {
    if !has_tables(database) {
        return "missing".to_owned();
    }
    let mut lines = database.lines(&format!(
        "select cast({column} as text) as value from processed_days where dataset = 'orders' and day = '{day}'"
    ));
    lines.pop().unwrap_or_else(|| "missing".to_owned())
}

/// True when the program has made its tables, all of them.
fn has_tables(database: &dyn Database) -> bool {
    let tables = if database.url().starts_with("postgres") {
        "select count(*) from pg_tables where schemaname = current_schema() and tablename = 'workers'"
    } else {
        "select count(*) from sqlite_master where name = 'workers'"
    };
    database.line(tables) == "1"
}

/// Waits until a day is in that state.
pub(crate) fn wait_for_state(database: &dyn Database, day: &str, wanted: &str) {
    wait_until(&format!("{day} is {wanted}"), || state(database, day) == wanted);
}

/// Waits until a column of a day's row is another than it is now.
pub(crate) fn wait_for_change(database: &dyn Database, day: &str, name: &str) {
    let before = column(database, day, name);
    wait_until(&format!("{name} of {day} changes"), || column(database, day, name) != before);
}

/// Every attempt, `day|attempt|trigger|outcome`, in the order they began.
pub(crate) fn attempts(database: &dyn Database) -> Vec<String> {
    database.lines(
        "select cast(day as text) as d, attempt, trigger, outcome from load_attempts order by started_at, day, attempt",
    )
}

/// State and attempts of a day.
pub(crate) fn standing(database: &dyn Database, day: &str) -> String {
    // Together: between two questions an attempt may begin.
    column(database, day, "state || '|' || attempts")
}

/// How often each amount stands in the target: which file its rows came from.
pub(crate) fn amounts(database: &dyn Database) -> Vec<String> {
    database.lines("select amount, count(*) as n from orders group by amount order by amount")
}

/// Adds the dataset `clock`, by which tests tell that time has passed for the daemon: its only file never comes, and
/// the daemon looks for it each second.
pub(crate) fn add_clock(project: &Project) {
    let sections = "[waiting]\npoll = \"1s\"";
    let clock = Orders { source: "url = \"never-{day}.csv\"".to_owned(), table: "clock", sections, ..ticking(FIRST) };
    project.dataset("clock", &clock);
}

/// Waits until the daemon has looked a few times for the file of the dataset `clock`.
pub(crate) fn let_time_pass(database: &dyn Database) {
    let next = || {
        let query = "select cast(next_attempt_at as text) as n from processed_days where dataset = 'clock'";
        if has_tables(database) { database.lines(query) } else { Vec::new() }
    };
    for _ in 0..3 {
        let before = next();
        wait_until("the daemon looks for what never comes", || next() != before);
    }
}
