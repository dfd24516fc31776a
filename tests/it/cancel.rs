//! Loads that are cancelled: by the command, through the API, and by their time limit.

use serde_json::json;

use crate::support::api::Api;
use crate::support::daemon::{Settings, amounts, attempts, days, from, project, rows_of, run, wait_for_day};
use crate::support::process::Process;
use crate::support::project::{FIRST, Orders, Project};
use crate::support::slow_http::SlowHttp;
use crate::support::{Database, on_both, wait_until};

on_both! {
    the_command_cancels_a_load_of_another_process
    a_load_is_cancelled_through_the_api
    a_load_that_takes_too_long_has_failed
    a_day_that_was_due_is_left_alone_after_its_load_was_cancelled
    a_load_whose_process_is_gone_is_not_waited_for
}

fn the_command_cancels_a_load_of_another_process(database: &dyn Database) {
    let server = SlowHttp::start();
    let project = project(database, &Settings::default(), &from(&server, (FIRST, FIRST)));
    server.day(FIRST, &rows_of(100, 1));
    server.hold_next(FIRST);
    let mut daemon = run(&project);
    server.wait_until_held(FIRST);
    let status = project.succeed(&["status"]).stdout;
    assert!(status.contains("running since 2"), "{status}");
    let ran = project.succeed(&["cancel", FIRST, "--reason", "too slow"]);
    assert_eq!(ran.stdout, "orders 2024-03-01: cancelled\n");
    daemon.wait_for(": too slow; nothing was published, the attempt does not count");
    assert!(daemon.stderr().contains("orders 2024-03-01: cancelled by "), "{}", daemon.stderr());
    assert_eq!(days(database), [""; 0], "the day is missing again");
    assert_eq!(attempts(database), [format!("{FIRST}|1|interrupted")]);
    let error = database.line("select error from load_attempts");
    assert!(error.starts_with("cancelled by ") && error.ends_with(": too slow"), "{error}");
    let entry = database.line("select action, outcome, reason from activity_log");
    assert_eq!(entry, "cancel|done: 1 of 1 day|too slow");
    assert_eq!(amounts(database), [""; 0]);
    let ran = project.exit(1, &["cancel", FIRST]);
    assert_eq!(ran.stdout, "orders 2024-03-01: not running (it is missing)\n");
    project.succeed(&["catch-up"]);
    assert_eq!(amounts(database), ["1|100"]);
    assert_eq!(days(database), [format!("orders|{FIRST}|loaded|1")]);
    let ran = project.exit(1, &["cancel", FIRST]);
    assert_eq!(ran.stdout, "orders 2024-03-01: not running (it is loaded)\n");
}

fn a_load_is_cancelled_through_the_api(database: &dyn Database) {
    let server = SlowHttp::start();
    let project = Project::new(database, &Orders { source: server.source(), ..Orders::default() });
    server.day(FIRST, &rows_of(100, 1));
    server.hold_next(FIRST);
    let api = Api::start(&project, database);
    api.done("orders", &json!({"action": "load", "from": FIRST}));
    server.wait_until_held(FIRST);
    let done = api.done("orders", &json!({"action": "cancel", "from": FIRST, "reason": "not yet"}));
    assert_eq!((&done["days"][0]["state"], &done["days"][0]["becomes"]), (&json!("running"), &json!("missing")));
    wait_until("it is cancelled", || attempts(database) == [format!("{FIRST}|1|interrupted")]);
    assert!(database.line("select error from load_attempts").ends_with(": not yet"));
    let left = api.ask("orders", &json!({"action": "cancel", "from": FIRST}));
    assert_eq!((left.status, left.code()), (409, "illegal-move".to_owned()), "{left:?}");
    assert_eq!(
        database.lines("select action, outcome from activity_log where action = 'cancel' order by id")[0],
        "cancel|done: 1 day"
    );
}

fn a_load_that_takes_too_long_has_failed(database: &dyn Database) {
    let server = SlowHttp::start();
    let orders = Orders { sections: "max_duration = \"1s\"", ..from(&server, (FIRST, FIRST)) };
    let project = project(database, &Settings { max_attempts: 1, ..Settings::default() }, &orders);
    server.day(FIRST, &rows_of(100, 1));
    server.hold_next(FIRST);
    let mut daemon = run(&project);
    daemon.wait_for("orders 2024-03-01: failed, 0 attempts left: took longer than limits.max_duration = \"1 s\"");
    wait_for_day(database, "orders", FIRST, "failed");
    assert_eq!(attempts(database), [format!("{FIRST}|1|failed")]);
    assert_eq!(amounts(database), [""; 0]);
}

fn a_day_that_was_due_is_left_alone_after_its_load_was_cancelled(database: &dyn Database) {
    let server = SlowHttp::start();
    let sections = "[retry]\nfirst_delay = \"1h\"\nmax_delay = \"1h\"";
    let project = project(database, &Settings::default(), &Orders { sections, ..from(&server, (FIRST, FIRST)) });
    database.execute(&format!(
        "insert into processed_days (dataset, day, state, attempts, next_attempt_at) \
         values ('orders', '{FIRST}', 'failed', 1, '2024-03-02 00:00:00')"
    ));
    server.day(FIRST, &rows_of(100, 1));
    server.hold_next(FIRST);
    let mut daemon = run(&project);
    server.wait_until_held(FIRST);
    project.succeed(&["cancel", FIRST]);
    daemon.wait_for("nothing was published, the attempt does not count");
    wait_for_day(database, "orders", FIRST, "failed");
    let status: serde_json::Value = serde_json::from_str(&project.succeed(&["status", "--json"]).stdout).unwrap();
    let next = status["datasets"][0]["days"][0]["next_attempt_at"].as_str().unwrap().to_owned();
    let soon = chrono::Utc::now() + chrono::TimeDelta::minutes(30);
    assert!(next > soon.format("%FT%TZ").to_string(), "{next}");
    assert_eq!(days(database), [format!("orders|{FIRST}|failed|1")]);
}

fn a_load_whose_process_is_gone_is_not_waited_for(database: &dyn Database) {
    let server = SlowHttp::start();
    let project = project(database, &Settings::default(), &from(&server, (FIRST, FIRST)));
    server.day(FIRST, &rows_of(100, 1));
    server.hold_next(FIRST);
    let process = Process::start(&project, &["load", FIRST]);
    server.wait_until_held(FIRST);
    assert!(process.kill());
    let ran = project.exit(1, &["cancel", FIRST]);
    let said = "orders 2024-03-01: not running: its process is gone, the next catch-up takes the day over\n";
    assert_eq!(ran.stdout, said);
}
