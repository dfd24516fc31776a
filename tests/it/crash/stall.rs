//! Processes that live, and those that stall: stopped with SIGSTOP past their lease, and continued.

use diesel::connection::SimpleConnection;
use rustix::process::Signal;

use super::{amounts, configure, first_day, outcomes, rows_of, slow_project, wait_for_the_lease_to_end};
use crate::support::postgres::TestPostgres;
use crate::support::process::Process;
use crate::support::project::{FIRST, Orders, Project, states};
use crate::support::slow_http::SlowHttp;
use crate::support::{Database, on_both, wait_until};

const TAKEN_OVER: &str = "another process took the day over; nothing was published here";

on_both! {
    a_living_owner_is_left_alone
    the_heartbeat_keeps_the_day_of_a_slow_load
    a_process_stopped_while_staging_does_not_publish_when_continued
}

fn a_living_owner_is_left_alone(database: &dyn Database) {
    let server = SlowHttp::start();
    let project = slow_project(database, &server, "60s", 5);
    server.day(FIRST, &rows_of(100, 1));
    server.day("2024-03-02", &rows_of(100, 2));
    server.hold_next(FIRST);
    let slow = Process::start(&project, &["catch-up", "--to", "2024-03-01"]);
    server.wait_until_held(FIRST);

    let ran = Process::start(&project, &["catch-up", "--to", "2024-03-02"]).end();
    assert_eq!(ran.code, 0, "{ran:#?}");
    assert!(ran.stdout.contains("being loaded by another process"), "{}", ran.stdout);
    assert!(ran.stdout.ends_with("1 loaded, 1 left alone\n"), "{}", ran.stdout);
    for command in [&["load", FIRST][..], &["load", FIRST, "--force"], &["retry", FIRST], &["skip", FIRST]] {
        let ran = Process::start(&project, command).end();
        assert_eq!(ran.code, 1, "who names a day wants it done now: {ran:#?}");
        assert!(ran.stdout.contains("being loaded by another process"), "{}", ran.stdout);
    }
    let ran = project.exit(1, &["run-etl", "--start-date", FIRST, "--end-date", FIRST]);
    assert!(ran.stdout.ends_with("being loaded by another process\n"), "{}", ran.stdout);
    assert_eq!(states(database), ["2024-03-01|running", "2024-03-02|loaded"]);

    server.release(FIRST);
    let ran = slow.end();
    assert_eq!(ran.code, 0, "{ran:#?}");
    assert_eq!(outcomes(database), ["1|loaded"]);
    assert_eq!(amounts(database), ["1|100", "2|100"]);
}

fn the_heartbeat_keeps_the_day_of_a_slow_load(database: &dyn Database) {
    let server = SlowHttp::start();
    let project = slow_project(database, &server, "2s", 5);
    server.day(FIRST, &rows_of(100, 1));
    server.hold_next(FIRST);
    let slow = Process::start(&project, &["catch-up", "--to", FIRST]);
    server.wait_until_held(FIRST);
    let lease = "select cast(lease_until as text) as l from processed_days";
    let mut seen = vec![database.line(lease)];
    // The lease that the claim began with has ended when there are four more.
    wait_until("the lease is extended four times", || {
        let now = database.line(lease);
        if Some(&now) != seen.last() {
            seen.push(now);
        }
        seen.len() == 5
    });
    assert!(seen.is_sorted(), "{seen:?}");
    let ran = Process::start(&project, &["catch-up", "--to", FIRST]).end();
    assert!(ran.stdout.contains("being loaded by another process"), "{ran:#?}");
    server.release(FIRST);
    assert_eq!(slow.end().code, 0);
    assert_eq!(first_day(database), ["loaded|1"]);
    assert_eq!(outcomes(database), ["1|loaded"]);
}

fn a_process_stopped_while_staging_does_not_publish_when_continued(database: &dyn Database) {
    let server = SlowHttp::start();
    let project = slow_project(database, &server, "1s", 5);
    server.day(FIRST, &rows_of(100, 1));
    server.hold_next(FIRST);
    let stopped = Process::start(&project, &["catch-up", "--to", FIRST]);
    server.wait_until_held(FIRST);
    stopped.stop_between_writes(database);
    wait_for_the_lease_to_end(database);

    server.day(FIRST, &rows_of(50, 2));
    let ran = Process::start(&project, &["catch-up", "--to", FIRST]).end();
    assert!(ran.stdout.ends_with("1 loaded\n"), "{ran:#?}");
    let state = "select state, attempts, source_hash, rows_loaded, cast(loaded_at as text) as l from processed_days";
    let after_the_second = database.line(state);

    stopped.signal(Signal::CONT);
    server.release(FIRST);
    let ran = stopped.end();
    assert!(ran.stderr.contains(TAKEN_OVER), "{ran:#?}");
    assert_eq!(ran.code, 0, "the day is loaded: {ran:#?}");
    assert_eq!(amounts(database), ["2|50"]);
    assert_eq!(database.line(state), after_the_second);
    assert_eq!(outcomes(database), ["1|lost", "2|loaded"]);
}

#[test]
fn a_process_stopped_inside_publish_does_not_publish_when_continued() {
    let database = TestPostgres::database();
    let project = Project::new(&database, &Orders::default());
    configure(&project, "1s", 5);
    project.day("2024-03-02", "");
    project.succeed(&["load", "2024-03-02"]);
    project.day(FIRST, &rows_of(100, 1));

    // Publishing waits for what becomes of a row with the same key.
    let mut rival = database.connect();
    let row = format!("('0050', '{FIRST}', now())");
    rival.batch_execute(&format!("begin; insert into orders (id, file_date, created_at) values {row}")).unwrap();
    let stopped = Process::start(&project, &["catch-up", "--to", FIRST]);
    let waiting = "select pid from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock' \
                   and query like 'insert into%'";
    wait_until("publishing waits for the row", || !database.lines(waiting).is_empty());
    let session = database.line(waiting);
    stopped.stop();
    rival.batch_execute("rollback").unwrap();
    // The server ends the session, which would hold the day's row for ever.
    let there = format!("select count(*) from pg_stat_activity where pid = {session}");
    wait_until("the server ends the stalled session", || database.line(&there) == "0");
    wait_for_the_lease_to_end(&database);

    project.day(FIRST, &rows_of(50, 2));
    let ran = Process::start(&project, &["catch-up", "--to", FIRST]).end();
    assert!(ran.stdout.ends_with("1 loaded\n"), "{ran:#?}");
    stopped.signal(Signal::CONT);
    let ran = stopped.end();
    assert!(ran.stderr.contains(TAKEN_OVER), "{ran:#?}");
    assert_eq!(amounts(&database), ["2|50"]);
    assert_eq!(first_day(&database), ["loaded|2"]);
    assert_eq!(outcomes(&database), ["1|lost", "2|loaded"]);
}

#[test]
fn a_row_that_another_transaction_holds_is_passed_over() {
    let database = TestPostgres::database();
    let project = Project::new(&database, &Orders::default());
    project.succeed(&["catch-up", "--to", FIRST]);
    assert_eq!(states(&database), ["2024-03-01|waiting"]);
    project.day(FIRST, "a,1,x\n");
    project.day("2024-03-02", "a,2,x\n");
    let mut rival = database.connect();
    rival.batch_execute(&format!("begin; select * from processed_days where day = '{FIRST}' for update")).unwrap();
    let ran = Process::start(&project, &["catch-up", "--to", "2024-03-02"]).end();
    assert_eq!(ran.code, 0, "{ran:#?}");
    assert!(ran.stdout.contains("being loaded by another process"), "{}", ran.stdout);
    assert_eq!(states(&database), ["2024-03-01|waiting", "2024-03-02|loaded"]);
    rival.batch_execute("commit").unwrap();
    project.succeed(&["catch-up", "--to", "2024-03-02"]);
    assert_eq!(amounts(&database), ["1|1", "2|1"]);
}
