//! Processes killed with SIGKILL.

use std::time::{Duration, Instant};

use chrono::NaiveDate;

use super::{configure, first_day, outcomes, rows_of, slow_project};
use crate::support::process::Process;
use crate::support::project::{FIRST, Orders, Project, rows, states};
use crate::support::slow_http::SlowHttp;
use crate::support::trouble::wait_for_sessions_to_end;
use crate::support::{Database, on_both, wait_until};

on_both! {
    a_day_is_whole_or_not_there_whenever_its_process_is_killed
    tables_are_made_whenever_a_process_is_killed_while_it_makes_them
    a_dead_owners_day_is_taken_over_at_once_and_its_attempt_counts
    a_day_that_kills_its_process_is_not_tried_for_ever
    a_reload_that_is_killed_leaves_the_day_loaded_as_it_was
}

/// Kills in each of the tests at random instants.
const KILLS: usize = 16;
const DAYS: usize = 60;
const ROWS: usize = 200;

fn days() -> impl Iterator<Item = String> {
    let first: NaiveDate = FIRST.parse().unwrap();
    first.iter_days().take(DAYS).map(|day| day.to_string())
}

/// The amount in that row of that day; no two are the same.
fn amount(day: usize, row: usize) -> usize {
    day * 1000 + row
}

fn many_days(database: &dyn Database) -> Project {
    let project = Project::new(database, &Orders::default());
    configure(&project, "60s", 1000);
    let dataset = std::fs::read_to_string(project.path("datasets/orders.toml")).unwrap();
    let last = days().last().unwrap();
    project.write("datasets/orders.toml", dataset.replace("end = 2024-03-07", &format!("end = {last}")));
    for (index, day) in days().enumerate() {
        let rows: Vec<String> = (0..ROWS).map(|row| format!("{row:03},{},x\n", amount(index, row))).collect();
        project.day(&day, &rows.concat());
    }
    project
}

/// Lets a process run to an instant that nobody chose: a moment after its start, after a line that it writes, or after
/// an attempt it begins. Says which, for the report of a failure.
fn run_to_some_instant(process: &mut Process, database: &dyn Database) -> String {
    let attempts = "select count(*) from load_attempts";
    let (event, moment) = match fastrand::usize(..5) {
        0 => ("its start".to_owned(), 80_000),
        1 | 2 => {
            let lines = fastrand::usize(1..=3);
            let written = (0..lines).take_while(|_| process.line().is_some()).count();
            (format!("{written} lines"), 12_000)
        }
        _ => {
            let before = database.line(attempts);
            wait_until("an attempt begins or the process ends", || {
                database.line(attempts) != before || process.has_ended()
            });
            ("a new attempt".to_owned(), 12_000)
        }
    };
    let moment = Duration::from_micros(fastrand::u64(..moment));
    let then = Instant::now() + moment;
    while Instant::now() < then {
        std::hint::spin_loop();
    }
    format!("{moment:?} after {event}")
}

/// Each day is in the target whole and says so, or is not there and does not: seen in one statement, so at one instant.
fn assert_whole(database: &dyn Database, when: &str) {
    let seen = database.lines(
        "select cast(coalesce(p.day, t.file_date) as text) as day, \
         case when p.loaded_at is null then 'no' else 'yes' end as loaded, coalesce(p.rows_loaded, 0) as said, \
         coalesce(t.number, 0) as there, coalesce(t.total, 0) as total, coalesce(p.state, 'missing') as state \
         from (select * from processed_days where dataset = 'orders') p full outer join \
         (select file_date, count(*) as number, sum(amount) as total from orders group by file_date) t \
         on t.file_date = p.day",
    );
    for line in seen {
        let index = days().position(|day| line.starts_with(&day)).unwrap_or_else(|| panic!("{when}: {line}"));
        let total: usize = (0..ROWS).map(|row| amount(index, row)).sum();
        let day = days().nth(index).unwrap();
        let whole = format!("{day}|yes|{ROWS}|{ROWS}|{total}|");
        let not_there = format!("{day}|no|0|0|0|");
        assert!(line.starts_with(&whole) || line.starts_with(&not_there), "killed {when}: {line}");
        assert!(!line.starts_with(&whole) || line.ends_with("|loaded") || line.ends_with("|running"), "{when}: {line}");
    }
}

fn a_day_is_whole_or_not_there_whenever_its_process_is_killed(database: &dyn Database) {
    let project = many_days(database);
    project.succeed(&["migrate"]);
    project.succeed(&["catch-up", "--to", FIRST]);
    let mut kills = 0;
    for round in 0.. {
        assert!(round < 4 * KILLS, "only {kills} processes were killed before their end");
        if kills == KILLS {
            break;
        }
        let all_loaded = states(database).iter().filter(|state| state.ends_with("loaded")).count() == DAYS;
        // When a fast machine has no more to catch up with, the same holds for loading it all again.
        let command: &[&str] = if all_loaded { &["load", "2024-03-01..2024-04-29", "--force"] } else { &["catch-up"] };
        let mut process = Process::start(&project, command);
        let when = run_to_some_instant(&mut process, database);
        kills += usize::from(process.kill());
        assert_whole(database, &when);
    }

    // A session that was writing when its client was killed may be at work for a moment yet.
    wait_for_sessions_to_end(database);
    let ran = project.succeed(&["catch-up"]);
    assert_eq!(states(database), days().map(|day| format!("{day}|loaded")).collect::<Vec<_>>(), "{ran:#?}");
    let expected: Vec<String> = days()
        .enumerate()
        .flat_map(|(index, day)| (0..ROWS).map(move |row| format!("{row:03}|{}|x|yes|{day}", amount(index, row))))
        .collect();
    assert!(rows(database) == expected, "the target does not hold exactly the files' rows");
    assert_eq!(
        database.lines("select * from load_attempts where outcome is null"),
        [""; 0],
        "whoever takes a day over ends the attempt before"
    );
    assert_eq!(database.line("select count(*) from processed_days where claim is not null"), "0");
}

fn tables_are_made_whenever_a_process_is_killed_while_it_makes_them(database: &dyn Database) {
    let project = Project::new(database, &Orders::default());
    project.day(FIRST, &rows_of(10, 1));
    for _ in 0..4 {
        let process = Process::start(&project, &["catch-up", "--to", FIRST]);
        let then = Instant::now() + Duration::from_micros(fastrand::u64(..60_000));
        while Instant::now() < then {
            std::hint::spin_loop();
        }
        process.kill();
    }
    wait_for_sessions_to_end(database);
    project.succeed(&["catch-up", "--to", FIRST]);
    assert_eq!(states(database), [format!("{FIRST}|loaded")]);
    assert_eq!(rows(database).len(), 10);
}

/// Starts a process, and kills it with the first day half read. The lease would hold for an hour.
fn kill_while_staging(project: &Project, server: &SlowHttp, database: &dyn Database, arguments: &[&str]) {
    server.hold_next(FIRST);
    let process = Process::start(project, arguments);
    server.wait_until_held(FIRST);
    assert_eq!(first_day(database), ["running|1"]);
    assert!(process.kill(), "it is held");
    server.release(FIRST);
    wait_for_sessions_to_end(database);
}

fn a_dead_owners_day_is_taken_over_at_once_and_its_attempt_counts(database: &dyn Database) {
    let server = SlowHttp::start();
    let project = slow_project(database, &server, "1h", 5);
    server.day(FIRST, &rows_of(100, 1));
    kill_while_staging(&project, &server, database, &["catch-up", "--to", FIRST]);
    let ran = project.succeed(&["catch-up", "--dry-run", "--to", FIRST]);
    assert!(ran.stdout.contains("left by a process that died or stalled"), "{}", ran.stdout);
    project.succeed(&["catch-up", "--to", FIRST]);
    assert_eq!(first_day(database), ["loaded|2"]);
    assert_eq!(outcomes(database), ["1|lost", "2|loaded"]);
    assert_eq!(rows(database).len(), 100);
}

fn a_day_that_kills_its_process_is_not_tried_for_ever(database: &dyn Database) {
    let server = SlowHttp::start();
    let project = slow_project(database, &server, "1h", 1);
    server.day(FIRST, &rows_of(100, 1));
    kill_while_staging(&project, &server, database, &["catch-up", "--to", FIRST]);
    let ran = project.exit(1, &["catch-up", "--to", FIRST]);
    assert!(ran.stdout.contains("its process died or stalled"), "{}", ran.stdout);
    assert_eq!(first_day(database), ["failed|1"]);
    assert_eq!(outcomes(database), ["1|lost"]);
    assert!(rows(database).is_empty());
    project.succeed(&["catch-up", "--to", FIRST]);
    assert_eq!(first_day(database), ["failed|1"], "a person decides");
    project.succeed(&["retry", FIRST]);
    assert_eq!(first_day(database), ["loaded|1"]);
}

fn a_reload_that_is_killed_leaves_the_day_loaded_as_it_was(database: &dyn Database) {
    let server = SlowHttp::start();
    let project = slow_project(database, &server, "1h", 1);
    server.day(FIRST, &rows_of(100, 1));
    project.succeed(&["load", FIRST]);
    let day = "select state, attempts, cast(loaded_at as text) as l, source_hash, source_bytes, definition_hash, \
               rows_read, rows_loaded, error from processed_days";
    let (before, rows_before) = (database.line(day), rows(database));
    server.day(FIRST, &rows_of(50, 2));
    kill_while_staging(&project, &server, database, &["load", FIRST, "--force"]);
    let ran = project.succeed(&["catch-up", "--to", FIRST]);
    assert!(ran.stdout.contains("a reload was interrupted, its process died or stalled"), "{}", ran.stdout);
    assert!(ran.stdout.ends_with("\n1 interrupted\n") && ran.stdout.contains("load --force 2024-03-01"), "{ran:#?}");
    assert!(project.succeed(&["status"]).stdout.contains("the process of its last reload died"));
    assert_eq!(database.line(day), before);
    assert_eq!(rows(database), rows_before);
    assert_eq!(outcomes(database), ["1|loaded", "1|lost"]);
    kill_while_staging(&project, &server, database, &["load", FIRST, "--force"]);
    let ran = project.succeed(&["retry", FIRST]);
    assert!(ran.stdout.contains("already loaded"), "{}", ran.stdout);
    assert_eq!(database.line(day), before);
    assert_eq!(outcomes(database), ["1|loaded", "1|lost", "1|lost"]);
    project.succeed(&["load", FIRST, "--force"]);
    assert_eq!(rows(database).len(), 50);
}
