//! How the daemon ends, and what it lives through: signals, a database that comes and goes, and other daemons.

use rustix::process::Signal;

use crate::support::daemon::{
    Settings, amounts, attempts, days, from, one_day, project, rows_of, run, troubles, wait_for_day,
};
use crate::support::postgres::{DedicatedPostgres, TestDatabase, TestPostgres};
use crate::support::process::Process;
use crate::support::project::{FIRST, Orders, Project, Ran, nightly};
use crate::support::slow_http::SlowHttp;
use crate::support::sqlite::SqliteDatabase;
use crate::support::trouble::{fill_the_disk, make_room, wait_for_sessions_to_end};
use crate::support::{Database, on_both, wait_until};

const SECOND: &str = "2024-03-02";
const STOPPING: &str = "shutting down: running loads have ";
const ABANDONING: &str = "cancelling running loads";

on_both! {
    sigterm_ends_an_idle_daemon
    two_signals_at_once_end_an_idle_daemon_and_abandon_nothing
    sigterm_lets_the_load_in_flight_publish_and_begins_no_further_day
    a_load_that_outlasts_the_grace_is_abandoned
    a_source_that_never_answers_does_not_hold_up_the_end
    a_second_sigterm_abandons_the_load_in_flight
    a_full_disk_costs_no_attempt_and_is_tried_until_it_passes
    a_day_is_loaded_once_though_its_daemon_was_killed_and_started_again
    a_daemon_that_slept_past_its_lease_does_not_publish_what_another_loaded
}

/// A project with two days, and a daemon that is half way through the first.
fn half_way(database: &dyn Database, server: &SlowHttp, settings: &Settings) -> (Project, Process) {
    let project = project(database, settings, &from(server, (FIRST, SECOND)));
    server.day(FIRST, &rows_of(100, 1));
    server.day(SECOND, &rows_of(100, 2));
    server.hold_next(FIRST);
    let daemon = run(&project);
    server.wait_until_held(FIRST);
    (project, daemon)
}

/// Nothing is left of the load in flight, and the next process loads both days at their first attempt.
fn assert_abandoned(database: &dyn Database, project: &Project, ran: &Ran) {
    let left = (days(database), attempts(database));
    assert_eq!(left, (vec![], vec![format!("{FIRST}|1|interrupted")]), "the day is missing again: {ran:#?}");
    assert_eq!(amounts(database), [""; 0]);
    assert_eq!(database.line("select count(*) from workers"), "0", "it signs off");
    project.succeed(&["catch-up"]);
    assert_eq!(days(database), [format!("orders|{FIRST}|loaded|1"), format!("orders|{SECOND}|loaded|1")]);
}

fn sigterm_ends_an_idle_daemon(database: &dyn Database) {
    let project = project(database, &Settings::default(), &one_day());
    project.day(FIRST, "a,1,x\n");
    let mut daemon = run(&project);
    daemon.wait_for("orders 2024-03-01: loaded 1 row in");
    daemon.signal(Signal::TERM);
    let ran = daemon.end();
    assert_eq!(ran.code, 0, "{ran:#?}");
    assert!(ran.stderr.ends_with("dayfill stopped\n"), "{}", ran.stderr);
    assert_eq!(troubles(&ran.stderr), [""; 0]);
    assert_eq!(database.line("select count(*) from workers"), "0", "it signs off");
}

fn two_signals_at_once_end_an_idle_daemon_and_abandon_nothing(database: &dyn Database) {
    let project = project(database, &Settings::default(), &one_day());
    let mut daemon = Process::start(&project, &["run", "--no-catch-up"]);
    daemon.wait_for("starts: 1 dataset");
    // It hears of both when it goes on.
    daemon.stop();
    daemon.signal(Signal::TERM);
    daemon.signal(Signal::INT);
    daemon.signal(Signal::CONT);
    let ran = daemon.end();
    assert_eq!(ran.code, 0, "{ran:#?}");
    assert_eq!(troubles(&ran.stderr), [""; 0]);
}

fn sigterm_lets_the_load_in_flight_publish_and_begins_no_further_day(database: &dyn Database) {
    let server = SlowHttp::start();
    let (_project, mut daemon) = half_way(database, &server, &Settings::default());
    daemon.signal(Signal::TERM);
    daemon.wait_for(STOPPING);
    server.release(FIRST);
    let ran = daemon.end();
    assert_eq!(ran.code, 0, "{ran:#?}");
    assert_eq!(days(database), [format!("orders|{FIRST}|loaded|1")]);
    assert_eq!(amounts(database), ["1|100"]);
    assert_eq!(database.line("select count(*) from workers"), "0", "it signs off");
}

fn a_load_that_outlasts_the_grace_is_abandoned(database: &dyn Database) {
    let server = SlowHttp::start();
    let (project, daemon) = half_way(database, &server, &Settings { grace: "0s", ..Settings::default() });
    daemon.signal(Signal::TERM);
    // The answer is still held.
    let ran = daemon.end();
    assert_eq!(ran.code, 0, "{ran:#?}");
    assert!(ran.stderr.contains(ABANDONING), "{}", ran.stderr);
    assert_abandoned(database, &project, &ran);
}

fn a_source_that_never_answers_does_not_hold_up_the_end(database: &dyn Database) {
    let server = SlowHttp::start();
    let settings = &Settings { grace: "0s", ..Settings::default() };
    let project = project(database, settings, &from(&server, (FIRST, SECOND)));
    server.day(FIRST, &rows_of(100, 1));
    server.day(SECOND, &rows_of(100, 2));
    server.hold_next_unanswered(FIRST);
    let daemon = run(&project);
    server.wait_until_held(FIRST);
    daemon.signal(Signal::TERM);
    let ran = daemon.end();
    assert_eq!(ran.code, 0, "{ran:#?}");
    assert_abandoned(database, &project, &ran);
}

fn a_second_sigterm_abandons_the_load_in_flight(database: &dyn Database) {
    let server = SlowHttp::start();
    let (project, mut daemon) = half_way(database, &server, &Settings::default());
    daemon.signal(Signal::TERM);
    daemon.wait_for(STOPPING);
    daemon.signal(Signal::TERM);
    let ran = daemon.end();
    assert_eq!(ran.code, 0, "{ran:#?}");
    assert!(ran.stderr.contains(ABANDONING), "{}", ran.stderr);
    assert_abandoned(database, &project, &ran);
}

fn a_full_disk_costs_no_attempt_and_is_tried_until_it_passes(database: &dyn Database) {
    let settings = &Settings { max_attempts: 1, ..Settings::default() };
    let project = project(database, settings, &Orders { schedule: nightly(FIRST, SECOND), ..Orders::default() });
    project.day(FIRST, "a,1,x\n");
    project.day(SECOND, "a,2,x\n");
    project.succeed(&["load", FIRST]);
    fill_the_disk(database, "insert", "orders");
    let mut daemon = run(&project);
    daemon.wait_for("trying again until it passes, no attempt is counted");
    wait_until("it is tried again", || attempts(database).len() >= 3);
    make_room(database, "orders");
    daemon.wait_for("orders 2024-03-02: loaded 1 row in");
    daemon.wait_for("orders: goes on after");
    daemon.signal(Signal::TERM);
    let ran = daemon.end();
    assert_eq!(ran.code, 0, "{ran:#?}");
    assert_eq!(troubles(&ran.stderr).len(), 1, "said once: {}", ran.stderr);
    assert_eq!(days(database), [format!("orders|{FIRST}|loaded|1"), format!("orders|{SECOND}|loaded|1")]);
    let (loaded, given_back): (Vec<_>, Vec<_>) =
        attempts(database).into_iter().partition(|attempt| attempt.ends_with("|1|loaded"));
    assert_eq!(loaded, [format!("{FIRST}|1|loaded"), format!("{SECOND}|1|loaded")]);
    assert!(given_back.iter().all(|attempt| attempt.ends_with("|1|database")), "{given_back:?}");
}

fn a_day_is_loaded_once_though_its_daemon_was_killed_and_started_again(database: &dyn Database) {
    let server = SlowHttp::start();
    let (project, daemon) = half_way(database, &server, &Settings { lease: "1h", ..Settings::default() });
    assert!(daemon.kill(), "it is held");
    server.release(FIRST);
    wait_for_sessions_to_end(database);
    let daemon = run(&project);
    wait_for_day(database, "orders", SECOND, "loaded");
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.end().code, 0);
    assert_eq!(days(database), [format!("orders|{FIRST}|loaded|2"), format!("orders|{SECOND}|loaded|1")]);
    let expected = [format!("{FIRST}|1|lost"), format!("{FIRST}|2|loaded"), format!("{SECOND}|1|loaded")];
    assert_eq!(attempts(database), expected);
    assert_eq!(amounts(database), ["1|100", "2|100"]);
}

fn a_daemon_that_slept_past_its_lease_does_not_publish_what_another_loaded(database: &dyn Database) {
    let server = SlowHttp::start();
    let settings = &Settings { lease: "1s", ..Settings::default() };
    let (project, mut first) = half_way(database, &server, settings);
    first.stop_between_writes(database);
    server.day(FIRST, &rows_of(50, 3));
    let mut second = run(&project);
    second.wait_for("orders 2024-03-01: loaded 50 rows");
    first.signal(Signal::CONT);
    server.release(FIRST);
    first.wait_for("another process took the day over; nothing was published here");
    for daemon in [first, second] {
        daemon.signal(Signal::TERM);
        let ran = daemon.end();
        assert_eq!(ran.code, 0, "{ran:#?}");
    }
    let of_the_first: Vec<_> = attempts(database).into_iter().filter(|attempt| attempt.starts_with(FIRST)).collect();
    assert_eq!(of_the_first, [format!("{FIRST}|1|lost"), format!("{FIRST}|2|loaded")]);
    assert_eq!(days(database), [format!("orders|{FIRST}|loaded|2"), format!("orders|{SECOND}|loaded|1")]);
    assert_eq!(amounts(database), ["2|100", "3|50"]);
}

#[test]
fn a_daemon_that_ended_leaves_nothing_beside_the_file() {
    let database = SqliteDatabase::new();
    let server = SlowHttp::start();
    let project = project(&database, &Settings::default(), &from(&server, (FIRST, FIRST)));
    server.day(FIRST, "a,1,x\n");
    project.succeed(&["load", FIRST]);
    // It looks whether the file changed when it is told to end, and waits for no answer: connections to the database go
    // with the process, and none of them folds the log at its end.
    server.hold_next_unanswered(FIRST);
    let daemon = run(&project);
    server.wait_until_held(FIRST);
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.end().code, 0);
    let log = database.folder().join("dayfill.db-wal");
    assert_eq!(std::fs::metadata(&log).map_or(0, |log| log.len()), 0, "{}", log.display());
}

const LOST: &str = "trying again until it is back, no attempt is counted";
const BACK: &str = "the database is back after";

/// The daemon said once that the database was gone, then once that it was back, and nobody said anything else.
fn assert_said_once(log: &str) {
    let told: Vec<_> = log.lines().filter(|line| line.contains(LOST) || line.contains(BACK)).collect();
    assert!(told.len() == 2 && told[0].contains(LOST) && told[1].contains(BACK), "{log}");
    assert_eq!(troubles(log), [told[0]], "{log}");
}

/// A cluster of the test's own, and a daemon that is half way through the first day.
fn dedicated() -> (DedicatedPostgres, TestDatabase, SlowHttp) {
    let cluster = TestPostgres::dedicated();
    let database = cluster.database();
    (cluster, database, SlowHttp::start())
}

#[test]
fn a_server_that_goes_during_a_load_is_said_once_and_costs_no_attempt() {
    let (cluster, database, server) = dedicated();
    let settings = &Settings { lease: "6s", max_attempts: 1, ..Settings::default() };
    let (_project, mut daemon) = half_way(&database, &server, settings);
    let copying = "select count(*) from pg_stat_activity where datname = current_database() and query like 'COPY%' \
                   and state = 'active'";
    wait_until("rows are copied to the stage", || database.line(copying) == "1");
    cluster.stop();
    server.release(FIRST);
    daemon.wait_for(LOST);
    cluster.start();
    daemon.wait_for(BACK);
    wait_for_day(&database, "orders", SECOND, "loaded");
    daemon.signal(Signal::TERM);
    let ran = daemon.end();
    assert_eq!(ran.code, 0, "{ran:#?}");
    assert_said_once(&ran.stderr);
    assert_eq!(days(&database), [format!("orders|{FIRST}|loaded|1"), format!("orders|{SECOND}|loaded|1")]);
    let expected = [format!("{FIRST}|1|database"), format!("{FIRST}|1|loaded"), format!("{SECOND}|1|loaded")];
    assert_eq!(attempts(&database), expected);
    assert_eq!(amounts(&database), ["1|100", "2|100"]);
}

#[test]
fn a_server_that_goes_while_nothing_is_loaded_is_said_once() {
    let (cluster, database, server) = dedicated();
    let settings = &Settings { lease: "1s", ..Settings::default() };
    let project = project(&database, settings, &from(&server, (FIRST, FIRST)));
    let mut daemon = run(&project);
    wait_for_day(&database, "orders", FIRST, "waiting");
    cluster.stop();
    daemon.wait_for(LOST);
    server.day(FIRST, &rows_of(100, 1));
    cluster.start();
    daemon.wait_for(BACK);
    daemon.wait_for("orders 2024-03-01: loaded 100 rows");
    daemon.signal(Signal::TERM);
    let ran = daemon.end();
    assert_eq!(ran.code, 0, "{ran:#?}");
    assert_said_once(&ran.stderr);
    assert_eq!(days(&database), [format!("orders|{FIRST}|loaded|1")]);
}

#[test]
fn a_daemon_starts_without_its_server_and_works_when_it_comes() {
    let (cluster, database, server) = dedicated();
    let project = Project::new(&database, &from(&server, (FIRST, FIRST)));
    Settings::default().write(&project);
    server.day(FIRST, &rows_of(100, 1));
    cluster.stop();
    let mut daemon = run(&project);
    daemon.wait_for(LOST);
    cluster.start();
    daemon.wait_for(BACK);
    daemon.wait_for("orders 2024-03-01: loaded 100 rows");
    daemon.signal(Signal::TERM);
    let ran = daemon.end();
    assert_eq!(ran.code, 0, "{ran:#?}");
    assert_said_once(&ran.stderr);
    assert_eq!(attempts(&database), [format!("{FIRST}|1|loaded")]);
}

#[test]
fn sigterm_ends_a_daemon_whose_server_is_gone() {
    let (cluster, database, server) = dedicated();
    let project = Project::new(&database, &from(&server, (FIRST, FIRST)));
    Settings::default().write(&project);
    cluster.stop();
    let mut daemon = run(&project);
    daemon.wait_for(LOST);
    daemon.signal(Signal::TERM);
    let ran = daemon.end();
    assert_eq!(ran.code, 0, "{ran:#?}");
}
