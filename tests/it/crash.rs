//! What is left when processes, connections and servers die, stall or are stopped: each day whole or not there, and the
//! next process goes on from it.

mod kill;
mod server;
mod signals;
mod stall;

use crate::support::project::{FIRST, Orders, Project};
use crate::support::slow_http::SlowHttp;
use crate::support::{Database, wait_until};

/// A project whose days come from a web server, with this much patience for those who stall and for failures.
fn slow_project(database: &dyn Database, server: &SlowHttp, lease: &str, max_attempts: u32) -> Project {
    let project = Project::new(database, &Orders { source: server.source(), ..Orders::default() });
    configure(&project, lease, max_attempts);
    project
}

fn configure(project: &Project, lease: &str, max_attempts: u32) {
    let text = format!("[claim]\nlease = \"{lease}\"\n[retry]\nmax_attempts = {max_attempts}\n");
    project.write("dayfill.toml", text);
}

/// So many rows, all with that amount.
fn rows_of(number: usize, amount: usize) -> String {
    (0..number).map(|row| format!("{row:04},{amount},x\n")).collect::<Vec<_>>().concat()
}

/// How often each amount stands in the target: which file its rows came from.
fn amounts(database: &dyn Database) -> Vec<String> {
    database.lines("select amount, count(*) as n from orders group by amount order by amount")
}

/// How the attempts at the first day ended, oldest first.
fn outcomes(database: &dyn Database) -> Vec<String> {
    database
        .lines(&format!("select attempt, outcome from load_attempts where day = '{FIRST}' order by started_at, claim"))
}

/// State and attempts of the first day.
fn first_day(database: &dyn Database) -> Vec<String> {
    database.lines(&format!("select state, attempts from processed_days where day = '{FIRST}'"))
}

/// Waits until the lease of the first day has run out by the database's clock.
fn wait_for_the_lease_to_end(database: &dyn Database) {
    let now = if database.url().starts_with("postgres") {
        "clock_timestamp()"
    } else {
        "strftime('%Y-%m-%d %H:%M:%f', 'now')"
    };
    let ended = format!("select count(*) from processed_days where day = '{FIRST}' and lease_until < {now}");
    wait_until("the lease runs out", || database.line(&ended) == "1");
}
