//! `PostgreSQL` itself goes away: restarted, stopped, its sessions ended.

use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;

use super::{amounts, configure, first_day, outcomes, rows_of, slow_project};
use crate::support::postgres::TestPostgres;
use crate::support::process::Process;
use crate::support::project::{FIRST, Orders, Project, states};
use crate::support::slow_http::SlowHttp;
use crate::support::trouble::wait_for_sessions_to_end;
use crate::support::{Database, wait_until};

/// Waits until a session copies rows to the stage.
fn wait_until_it_stages(database: &dyn Database) {
    let copying = "select count(*) from pg_stat_activity where datname = current_database() and query like 'COPY%' \
                   and state = 'active'";
    wait_until("rows are copied to the stage", || database.line(copying) == "1");
}

#[test]
fn a_server_restarted_during_a_load_costs_no_attempt() {
    let cluster = TestPostgres::dedicated();
    let database = cluster.database();
    let server = SlowHttp::start();
    let project = slow_project(&database, &server, "60s", 1);
    server.day(FIRST, &rows_of(100, 1));
    server.hold_next(FIRST);
    let process = Process::start(&project, &["catch-up", "--to", FIRST]);
    server.wait_until_held(FIRST);
    wait_until_it_stages(&database);
    cluster.restart();
    // The process lives; that its lock went with the server says nothing.
    let ran = project.run(&["load", FIRST]);
    assert!(ran.stdout.contains("being loaded by another process"), "{ran:#?}");
    server.release(FIRST);
    let ran = process.end();
    assert_eq!(ran.code, 6, "{ran:#?}");
    assert!(ran.stdout.ends_with("1 database\n"), "{}", ran.stdout);
    assert_eq!(states(&database), [""; 0], "the day is missing again");
    assert_eq!(outcomes(&database), ["1|database"]);
    assert_eq!(amounts(&database), [""; 0]);

    cluster.stop();
    let ran = project.exit(6, &["catch-up", "--to", FIRST]);
    assert!(ran.stderr.contains("the database cannot be reached"), "{}", ran.stderr);
    cluster.start();
    project.succeed(&["catch-up", "--to", FIRST]);
    assert_eq!(first_day(&database), ["loaded|1"]);
    assert_eq!(amounts(&database), ["1|100"]);
}

#[test]
fn a_commit_whose_answer_was_lost_is_told_as_loaded() {
    let cluster = TestPostgres::dedicated();
    let database = cluster.database();
    let server = SlowHttp::start();
    let project = slow_project(&database, &server, "60s", 5);
    server.day(FIRST, &rows_of(100, 1));
    let name = database.line("select current_database()");
    database.execute(&format!("alter database {name} set synchronous_commit = on"));
    server.hold_next(FIRST);
    let process = Process::start(&project, &["catch-up", "--to", FIRST]);
    server.wait_until_held(FIRST);
    wait_until_it_stages(&database);

    // Publishing waits for the target: nothing else of the load is to meet what comes next.
    let mut holder = database.connect();
    holder.batch_execute("begin; lock table orders").unwrap();
    server.release(FIRST);
    wait_until("it publishes", || {
        database.line(
            "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
        ) == "1"
    });

    // A commit now waits for a standby that does not exist; what it wrote is there, only the answer is not.
    let standby = |name: &str| {
        database.execute(&format!("alter system set synchronous_standby_names = '{name}'"));
        database.execute("select pg_reload_conf()");
        wait_until("the server has read its settings", || {
            database.line("select current_setting('synchronous_standby_names')") == name
        });
    };
    standby("nobody");
    let waiting = "from pg_stat_activity where datname = current_database() and wait_event = 'SyncRep'";
    // The checkpointer is the one that has commits wait, and reads its settings when it comes to it.
    let mut conn = database.connect();
    let probe = std::thread::spawn(move || {
        let ended = |number: usize| conn.batch_execute(&format!("create table probe_{number} ()")).is_ok();
        (0..100_000).map(ended).take_while(|committed| *committed).count()
    });
    wait_until("commits wait", || database.line(&format!("select count(*) {waiting}")) == "1");
    database.execute(&format!("select pg_terminate_backend(pid) {waiting}"));
    probe.join().unwrap();
    holder.batch_execute("rollback").unwrap();
    wait_until("the commit waits for its standby", || {
        database.line(&format!("select count(*) {waiting} and query = 'COMMIT'")) == "1"
    });
    database.execute(&format!("select pg_terminate_backend(pid) {waiting}"));
    standby("");
    let ran = process.end();
    assert_eq!(ran.code, 0, "{ran:#?}");
    assert!(ran.stdout.ends_with("1 loaded\n"), "{}", ran.stdout);
    assert_eq!(first_day(&database), ["loaded|1"]);
    assert_eq!(outcomes(&database), ["1|loaded"]);
    assert_eq!(amounts(&database), ["1|100"]);
}

#[test]
fn a_day_is_whole_or_not_there_whenever_its_session_is_ended() {
    let database = TestPostgres::database();
    let project = Project::new(&database, &Orders::default());
    configure(&project, "60s", 1000);
    let days: Vec<String> = (1..=7).map(|day| format!("2024-03-0{day}")).collect();
    for (index, day) in days.iter().enumerate() {
        project.day(day, &rows_of(500, index));
    }
    project.succeed(&["catch-up", "--to", FIRST]);
    let whole = |when: &str| {
        let loaded = database.lines(
            "select to_char(day, 'D'), rows_loaded from processed_days where loaded_at is not null order by day",
        );
        let there = database
            .lines("select to_char(file_date, 'D'), count(*) from orders group by file_date order by file_date");
        assert_eq!(loaded, there, "{when}");
        assert!(there.iter().all(|line| line.ends_with("|500")), "{when}: {there:?}");
    };
    let mut killer = database.connect();
    for _ in 0..12 {
        // Every day is to be loaded again and again.
        let process = Process::start(&project, &["load", "2024-03-01..2024-03-07", "--force"]);
        let before = database.line("select count(*) from load_attempts");
        wait_until("an attempt begins", || database.line("select count(*) from load_attempts") != before);
        let moment = Duration::from_micros(fastrand::u64(..60_000));
        let then = Instant::now() + moment;
        while Instant::now() < then {
            std::hint::spin_loop();
        }
        let others = "from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()";
        killer.batch_execute(&format!("select pg_terminate_backend(pid) {others}")).unwrap();
        let ran = process.end();
        assert!([0, 1, 6].contains(&ran.code), "{ran:#?}");
        drop(killer);
        wait_for_sessions_to_end(&database);
        whole(&format!("{moment:?} after an attempt began: {ran:#?}"));
        killer = database.connect();
    }
    drop(killer);
    project.succeed(&["catch-up"]);
    assert_eq!(states(&database), days.iter().map(|day| format!("{day}|loaded")).collect::<Vec<_>>());
    assert_eq!(amounts(&database), (0..7).map(|index| format!("{index}|500")).collect::<Vec<_>>());
}
