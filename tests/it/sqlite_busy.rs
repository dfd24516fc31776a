//! Another program that writes to the same `SQLite` file for long: everything waits, and says so when it takes long; a
//! signal ends the wait.

use std::fs;
use std::process::Child;
use std::sync::Arc;

use dayfill::load_day::Step;
use diesel::SqliteConnection;
use diesel::connection::SimpleConnection;
use rustix::process::Signal;
use serde_json::json;
use tokio::sync::Semaphore;

use crate::support::api::Api;
use crate::support::daemon::{self, Settings};
use crate::support::http::{Server, whole};
use crate::support::process::Process;
use crate::support::project::{FIRST, Orders, Project, states};
use crate::support::slow_http::SlowHttp;
use crate::support::sqlite::SqliteDatabase;
use crate::support::{Database, wait_until};

fn project(database: &dyn Database) -> Project {
    let project = Project::new(database, &Orders::default());
    for day in 1..=7 {
        project.day(&format!("2024-03-0{day}"), "a,1,x\nb,2,\n");
    }
    project
}

/// Waits until the process has the database's file open, or is over.
fn wait_until_open(child: &mut Child, database: &SqliteDatabase) {
    let files = format!("/proc/{}/fd", child.id());
    let file = database.folder().canonicalize().unwrap().join("dayfill.db");
    wait_until("the file is open", || {
        if child.try_wait().unwrap().is_some() {
            return true;
        }
        let open = fs::read_dir(&files).unwrap().flatten().filter_map(|entry| fs::read_link(entry.path()).ok());
        open.into_iter().any(|open| open == file)
    });
}

/// Ends a transaction that another process waits for, and sees that one succeed.
fn release(mut child: Child, holder: &mut SqliteConnection, how: &str) {
    let waited = child.try_wait().unwrap().is_none();
    holder.batch_execute(how).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(waited && output.status.success(), "{said}");
    assert!(!said.contains("locked") && !said.contains("busy"), "{said}");
}

#[test]
fn a_catch_up_waits_for_a_long_write_by_another_program() {
    let database = SqliteDatabase::new();
    let project = project(&database);
    project.succeed(&["catch-up", "--to", "2024-03-01"]);
    let mut holder = database.connect();
    holder.batch_execute("create table other (n); begin immediate; insert into other values (1)").unwrap();
    let mut child = project.start(&["catch-up"]);
    wait_until_open(&mut child, &database);
    // Who only looks does not wait.
    assert!(project.succeed(&["status"]).stdout.contains("1 loaded, 6 missing"));
    assert!(project.succeed(&["catch-up", "--dry-run"]).stdout.contains("2024-03-02..2024-03-07  tried"));
    project.succeed(&["check"]);
    release(child, &mut holder, "commit");
    assert_eq!(states(&database).len(), 7);
    assert_eq!(database.line("select count(*) from orders"), "14");
    assert_eq!(database.line("select count(*) from load_attempts"), "7");
}

#[test]
fn a_write_that_begins_while_a_day_is_claimed_is_waited_for() {
    // The day's file comes only when the lock is held.
    let gate = Arc::new(Semaphore::new(0));
    let server = Server::start({
        let gate = Arc::clone(&gate);
        move |_| {
            let gate = Arc::clone(&gate);
            async move {
                drop(gate.acquire().await.unwrap());
                whole("id,amount,note\na,1,x\n")
            }
        }
    });
    let source = format!("url = \"{}/{{day}}.csv\"", server.url());
    let database = SqliteDatabase::new();
    let project = Project::new(&database, &Orders { source, ..Orders::default() });
    let mut holder = database.connect();
    let mut child = project.start(&["catch-up", "--to", "2024-03-02"]);
    wait_until("the file is asked for", || !server.seen().is_empty() || child.try_wait().unwrap().is_some());
    holder.batch_execute("begin immediate").unwrap();
    gate.add_permits(1);
    assert_eq!(states(&database), ["2024-03-01|running"]);
    assert!(project.succeed(&["status"]).stdout.contains("1 running"));
    release(child, &mut holder, "rollback");
    assert_eq!(states(&database), ["2024-03-01|loaded", "2024-03-02|loaded"]);
}

#[test]
fn a_file_with_a_rollback_journal_is_waited_for_too() {
    let database = SqliteDatabase::new();
    let project = project(&database);
    let mut holder = database.connect();
    holder.batch_execute("pragma journal_mode = delete; create table other (n); begin immediate").unwrap();
    let mut child = project.start(&["catch-up"]);
    wait_until_open(&mut child, &database);
    release(child, &mut holder, "commit");
    assert_eq!(database.line("select count(*) from orders"), "14");
}

/// A daemon or command whose first day waits for the write lock, which another program holds. The day's file is whole.
fn waiting_to_publish(database: &SqliteDatabase, arguments: &[&str]) -> (SlowHttp, Project, Process, SqliteConnection) {
    let server = SlowHttp::start();
    let project = daemon::project(database, &Settings::default(), &daemon::from(&server, (FIRST, FIRST)));
    server.day(FIRST, &daemon::rows_of(10, 1));
    server.hold_next(FIRST);
    let process = Process::start(&project, arguments);
    server.wait_until_held(FIRST);
    let mut holder = database.connect();
    holder.batch_execute("begin immediate").unwrap();
    server.release(FIRST);
    (server, project, process, holder)
}

/// The next process takes the day over.
fn assert_loaded_by_the_next(database: &SqliteDatabase, project: &Project, holder: &mut SqliteConnection) {
    assert_eq!(daemon::amounts(database), [""; 0]);
    holder.batch_execute("rollback").unwrap();
    project.succeed(&["catch-up"]);
    assert_eq!(states(database), ["2024-03-01|loaded"]);
    assert_eq!(daemon::amounts(database), ["1|10"]);
}

#[test]
fn a_load_that_waits_for_the_write_lock_says_who_holds_it_and_ends_at_the_second_signal() {
    let database = SqliteDatabase::new();
    let (_server, project, mut daemon, mut holder) = waiting_to_publish(&database, &["run"]);
    daemon.wait_for("orders 2024-03-01: waiting for 1");
    let told = daemon.stderr().lines().last().unwrap();
    assert!(told.contains(" s for the write lock of the SQLite file /"), "{told}");
    assert!(told.contains(&format!("dayfill.db, held by process {} (", std::process::id())), "{told}");
    daemon.signal(Signal::TERM);
    daemon.wait_for("shutting down: running loads have 3600 s to finish; signal again to cancel them");
    daemon.signal(Signal::TERM);
    let ran = daemon.end();
    assert_eq!(ran.code, 0, "{ran:#?}");
    assert!(!ran.stderr.contains("ending without the database's answer"), "{}", ran.stderr);
    assert_loaded_by_the_next(&database, &project, &mut holder);
}

#[test]
fn a_command_that_waits_for_the_write_lock_ends_at_the_first_signal() {
    let database = SqliteDatabase::new();
    let (_server, project, command, mut holder) = waiting_to_publish(&database, &["catch-up"]);
    command.signal(Signal::TERM);
    let ran = command.end();
    assert_ne!(ran.code, 0, "{ran:#?}");
    assert_loaded_by_the_next(&database, &project, &mut holder);
}

#[test]
fn whatever_a_command_writes_it_says_for_whom_it_waits_and_goes_on() {
    let database = SqliteDatabase::new();
    let (_server, project, _daemon, mut holder) = waiting_to_publish(&database, &["run"]);
    let commands =
        [&["cancel", FIRST][..], &["pause"], &["resume"], &["skip", "2024-03-02"], &["forget", "2024-03-03"]];
    let mut all = commands.map(|command| (command, Process::start(&project, command)));
    let held = format!("dayfill.db, held by process {} (", std::process::id());
    for (command, process) in &mut all {
        process.wait_for("waiting for 1");
        let told = process.stderr().lines().last().unwrap();
        assert!(
            told.contains(" s for the write lock of the SQLite file /") && told.contains(&held),
            "{command:?}: {told}"
        );
        assert!(!process.has_ended(), "{command:?}");
    }
    holder.batch_execute("rollback").unwrap();
    let ran = all.map(|(command, process)| (command[0], process.end()));
    let cancelled = ran[0].1.stdout == "orders 2024-03-01: cancelled\n";
    // The load may have got the lock before the command that cancels it: what is said is what came of it.
    wait_until("the load has ended", || !daemon::attempts(&database)[0].ends_with('|'));
    assert_eq!(cancelled, daemon::amounts(&database) == [""; 0], "{ran:#?}");
    for (command, ran) in ran {
        let fails = command == "cancel" && !cancelled;
        assert_eq!(ran.code, i32::from(fails), "{command}: {ran:#?}");
        let entry = format!("select count(*) from activity_log where action = '{command}' and outcome <> 'begun'");
        assert_eq!(database.line(&entry), "1", "{command}");
    }
}

#[test]
fn a_load_that_waits_for_the_write_lock_is_cancelled_through_the_api_while_the_file_is_held() {
    let server = SlowHttp::start();
    let database = SqliteDatabase::new();
    let project = Project::new(&database, &Orders { source: server.source(), ..Orders::default() });
    server.day(FIRST, &daemon::rows_of(10, 1));
    server.hold_next(FIRST);
    let api = Api::start(&project, &database);
    api.done("orders", &json!({"action": "load", "from": FIRST}));
    server.wait_until_held(FIRST);
    let mut holder = database.connect();
    holder.batch_execute("begin immediate").unwrap();
    server.release(FIRST);
    let flights = || api.daemon().status().context.as_ref().unwrap().active_loads.now();
    wait_until("it publishes", || flights().iter().any(|flight| flight.step() == Step::Publish));
    let done = api.done("orders", &json!({"action": "cancel", "from": FIRST, "reason": "not yet"}));
    assert_eq!((&done["days"][0]["state"], &done["days"][0]["becomes"]), (&json!("running"), &json!("missing")));
    assert_eq!(done["activity_entry"], json!(null), "the activity log cannot be written yet");
    wait_until("the load has ended", || flights().is_empty());
    assert_eq!(states(&database), ["2024-03-01|running"], "nothing can be written");
    holder.batch_execute("rollback").unwrap();
    wait_until("it is written how the load ended", || {
        daemon::attempts(&database) == [format!("{FIRST}|1|interrupted")]
    });
    assert!(database.line("select error from load_attempts").ends_with(": not yet"));
    assert_eq!(daemon::amounts(&database), [""; 0]);
    assert_eq!(states(&database), [""; 0], "the day is missing again");
    let entry = "select outcome, reason from activity_log where action = 'cancel'";
    wait_until("the activity log has an entry", || database.lines(entry) == ["done: 1 day|not yet"]);
}

/// Ends a process whose load waits for the lock, and lets go of the lock when a first wait was in vain.
fn ends_and_writes_how_its_load_ended(arguments: &[&str]) {
    let database = SqliteDatabase::new();
    let (_server, project, mut process, mut holder) = waiting_to_publish(&database, arguments);
    process.signal(Signal::TERM);
    process.wait_for("shutting down: ");
    if arguments == ["run"] {
        process.signal(Signal::TERM);
    }
    process.wait_for("orders 2024-03-01: stopped, nothing is published; until the SQLite file is free");
    holder.batch_execute("rollback").unwrap();
    process.end();
    assert_eq!(daemon::attempts(&database), [format!("{FIRST}|1|interrupted")]);
    assert_eq!(states(&database), [""; 0]);
    assert_eq!(database.line("select count(*) from workers"), "0", "it has signed off");
    project.succeed(&["catch-up"]);
    assert_eq!(daemon::days(&database), [format!("orders|{FIRST}|loaded|1")], "it cost no attempt");
}

#[test]
fn a_daemon_that_ends_keeps_trying_to_write_how_its_loads_ended() {
    ends_and_writes_how_its_load_ended(&["run"]);
}

#[test]
fn a_command_that_ends_keeps_trying_to_write_how_its_loads_ended() {
    ends_and_writes_how_its_load_ended(&["catch-up"]);
}

#[test]
fn a_daemon_that_never_gets_the_lock_before_its_end_leaves_word_that_the_attempt_does_not_count() {
    let database = SqliteDatabase::new();
    let (_server, project, mut daemon, mut holder) = waiting_to_publish(&database, &["run"]);
    daemon.signal(Signal::TERM);
    daemon.wait_for("shutting down: ");
    daemon.signal(Signal::TERM);
    let ran = daemon.end();
    assert_eq!(ran.code, 0, "{ran:#?}");
    assert_eq!(states(&database), ["2024-03-01|running"]);
    holder.batch_execute("rollback").unwrap();
    project.succeed(&["catch-up"]);
    assert_eq!(daemon::attempts(&database), [format!("{FIRST}|1|interrupted"), format!("{FIRST}|1|loaded")]);
    assert_eq!(daemon::days(&database), [format!("orders|{FIRST}|loaded|1")]);
}
