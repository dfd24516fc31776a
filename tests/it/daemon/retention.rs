//! What the daemon clears away after a time.

use std::fmt::Write as _;

use rustix::process::Signal;

use crate::support::daemon::{Settings, one_day, project, run, troubles};
use crate::support::project::FIRST;
use crate::support::{Database, on_both};

on_both! {
    attempts_of_long_ago_are_cleared_but_for_the_last_of_each_day
}

/// Attempts at a day of the dataset `past`: claim, and how many days ago each began and ended; `None` while it runs.
fn attempts(database: &dyn Database, day: &str, attempts: &[(&str, u32, Option<u32>)]) {
    let now = chrono::Utc::now();
    let ago = |days: u32| (now - chrono::TimeDelta::days(days.into())).format("%F %T").to_string();
    let mut rows = String::new();
    for (claim, began, ended) in attempts {
        let comma = if rows.is_empty() { "" } else { "," };
        let ended = ended.map_or("null, null".to_owned(), |ended| format!("'{}', 'failed'", ago(ended)));
        write!(rows, "{comma}('{claim}', 'past', '{day}', 1, 'tick', 'w', '{}', {ended}, 'log')", ago(*began)).unwrap();
    }
    database.execute(&format!(
        "insert into load_attempts (claim, dataset, day, attempt, trigger, worker, started_at, finished_at, outcome, log) \
         values {rows}"
    ));
}

fn attempts_of_long_ago_are_cleared_but_for_the_last_of_each_day(database: &dyn Database) {
    let project = project(database, &Settings::default(), &one_day());
    project.day(FIRST, "a,1,x\n");
    attempts(database, "2020-01-01", &[("a1", 402, Some(402)), ("a2", 401, Some(401)), ("a3", 10, Some(10))]);
    attempts(database, "2020-01-02", &[("b1", 900, Some(900))]);
    attempts(database, "2020-01-03", &[("c1", 500, Some(500)), ("c2", 500, Some(500))]);
    // An attempt that runs may yet be taken back.
    attempts(database, "2020-01-04", &[("d1", 500, Some(500)), ("d2", 0, None)]);
    attempts(database, "2020-01-05", &[("e1", 300, Some(300)), ("e2", 200, Some(200))]);
    // More than a batch, all of one instant: the walk leaves none out.
    let many: Vec<String> = (0..1100).map(|number| format!("f{number:04}")).collect();
    let many: Vec<_> = many.iter().map(|claim| (claim.as_str(), 700, Some(700))).collect();
    attempts(database, "2020-01-06", &many);

    let left = || database.lines("select claim, log from load_attempts where dataset = 'past' order by claim");
    let mut daemon = run(&project);
    daemon.wait_for("cleared 1102 attempts older than retention.attempts");
    let last = ["a3|log", "b1|log", "c2|log", "d1|log", "d2|log", "e1|log", "e2|log", "f1099|log"];
    assert_eq!(left(), last);

    let file = std::fs::read_to_string(project.path("dayfill.toml")).unwrap();
    project.write("dayfill.toml", format!("{file}[retention]\nattempts = \"250d\"\n"));
    daemon.signal(Signal::HUP);
    daemon.wait_for("cleared 1 attempt older than retention.attempts");
    assert_eq!(left(), last.into_iter().filter(|attempt| *attempt != "e1|log").collect::<Vec<_>>());
    daemon.signal(Signal::TERM);
    let ran = daemon.end();
    assert_eq!((ran.code, troubles(&ran.stderr)), (0, vec![]), "{ran:#?}");
    assert_eq!(database.line("select count(*) from load_attempts where dataset = 'orders'"), "1");
}
