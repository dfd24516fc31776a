//! Orders for days that are being loaded when they are given.

use serde_json::json;

use super::actions::{attempts, effects};
use crate::support::api::Api;
use crate::support::daemon::wait_for_day;
use crate::support::daily::ticking;
use crate::support::process::Process;
use crate::support::project::{FIRST, Orders, Project};
use crate::support::slow_http::SlowHttp;
use crate::support::{Database, on_both, wait_until};

on_both! {
    an_order_waits_for_the_load_that_a_tick_began_and_does_what_is_left_to_do
    a_retry_tries_again_what_the_load_under_way_did_not_bring
}

const SECOND: &str = "2024-03-02";

/// How the orders ended, oldest first, with what each was.
fn outcomes(database: &dyn Database) -> Vec<String> {
    database.lines("select action, outcome from activity_log order by id")
}

/// A dataset of two days that ticks each second, read from a server.
fn two_days(server: &SlowHttp) -> Orders {
    ticking(SECOND).from(server).source("on_change = \"ignore\"")
}

fn an_order_waits_for_the_load_that_a_tick_began_and_does_what_is_left_to_do(database: &dyn Database) {
    let server = SlowHttp::start();
    server.day(FIRST, "a,1,x\n");
    server.day(SECOND, "a,2,x\n");
    server.hold_next(FIRST);
    let project = Project::new(database, &two_days(&server));
    let api = Api::start(&project, database);
    server.wait_until_held(FIRST);
    let order = |action: &str, to: &str| json!({"action": action, "from": FIRST, "to": to});
    let waits = format!("{FIRST}: running -> loaded, running; waits until that load ends");
    let answer = api.done("orders", &order("load", SECOND));
    assert_eq!(effects(&answer), [waits.clone(), format!("{SECOND}: missing -> loaded, missing")]);
    for action in ["reload", "retry"] {
        assert_eq!(effects(&api.done("orders", &order(action, FIRST))), std::slice::from_ref(&waits), "{action}");
    }
    // The other day does not wait.
    wait_for_day(database, "orders", SECOND, "loaded");
    assert!(outcomes(database).iter().all(|outcome| outcome.contains("|accepted: ")), "{:?}", outcomes(database));
    server.release(FIRST);
    let ended = [
        "load|done: 2 days: 1 already loaded, 1 loaded",
        "reload|done: 1 day: 1 loaded",
        "retry|done: 1 day: 1 already loaded",
    ];
    wait_until(&format!("the orders end as {ended:?}"), || outcomes(database) == ended);
    let first: Vec<String> = attempts(database).into_iter().filter(|attempt| attempt.starts_with(FIRST)).collect();
    assert_eq!(first, ["2024-03-01|1|tick|loaded", "2024-03-01|1|page|loaded"]);
    let entries = &api.get("/api/v1/activity-log?limit=1")["entries"][0];
    assert_eq!(entries["outcome"], "done: 1 day: 1 already loaded");
}

fn a_retry_tries_again_what_the_load_under_way_did_not_bring(database: &dyn Database) {
    let server = SlowHttp::start();
    server.day(FIRST, "a,one,x\n");
    server.hold_next(FIRST);
    let project = Project::new(database, &Orders { schedule: ticking(FIRST).schedule, ..two_days(&server) });
    let api = Api::start(&project, database);
    server.wait_until_held(FIRST);
    // What is held is the file as it was.
    server.day(FIRST, "a,1,x\n");
    api.done("orders", &json!({"action": "retry", "from": FIRST}));
    server.release(FIRST);
    wait_until("the order ends", || outcomes(database).iter().any(|said| said.contains("done")));
    let came = (outcomes(database), attempts(database));
    let expected = ["2024-03-01|1|tick|refused", "2024-03-01|1|page|loaded"].map(str::to_owned).to_vec();
    assert_eq!(came, (vec!["retry|done: 1 day: 1 loaded".to_owned()], expected));
}

#[test]
fn a_day_that_another_process_is_loading_is_left_to_it() {
    let database = crate::support::sqlite::SqliteDatabase::new();
    let server = SlowHttp::start();
    server.day(FIRST, "a,1,x\n");
    server.hold_next(FIRST);
    let project = Project::new(&database, &Orders { source: server.source(), ..Orders::default() });
    let api = Api::start(&project, &database);
    let load = Process::start(&project, &["load", FIRST]);
    server.wait_until_held(FIRST);
    for action in ["load", "reload", "retry"] {
        let answer = api.ask("orders", &json!({"action": action, "from": FIRST}));
        assert_eq!((answer.status, answer.code()), (409, "busy".to_owned()), "{action}: {answer:?}");
        assert!(answer.body.contains("being loaded by another process"), "{answer:?}");
    }
    server.release(FIRST);
    assert_eq!(load.end().code, 0);
}
