//! What is told to those who listen.

use std::sync::Arc;

use serde_json::json;

use crate::support::api::Api;
use crate::support::project::{Orders, Project};
use crate::support::slow_http::SlowHttp;
use crate::support::{Database, on_both, wait_until};

on_both! {
    a_load_is_told_from_beginning_to_end
    a_load_in_flight_is_told_of_also_after_a_reload_of_the_connection
    what_is_done_to_a_dataset_is_told
    a_reload_that_publishes_nothing_is_told_of_a_loaded_day
    a_listener_that_leaves_is_forgotten_and_the_end_ends_all_streams
}

fn a_load_is_told_from_beginning_to_end(database: &dyn Database) {
    let server = SlowHttp::start();
    let project = Project::new(database, &Orders { source: server.source(), ..Orders::default() });
    server.day("2024-03-01", "a,1,x\nb,2,\n");
    server.hold_next("2024-03-01");
    let api = Api::start(&project, database);
    let mut streams = [api.events(), api.events()];
    api.done("orders", &json!({"action": "load", "from": "2024-03-01"}));
    server.wait_until_held("2024-03-01");
    for events in &mut streams {
        let day = events.wait_for("day", |_| true);
        let running = json!({
            "dataset": "orders", "day": "2024-03-01", "state": "running", "rows_loaded": null, "rows_rejected": null,
            "error": null,
        });
        assert_eq!(day, running);
        let progress = events.wait_for("progress", |progress| progress["step"] == "stage");
        assert_eq!(
            (&progress["dataset"], &progress["day"], &progress["rows"]),
            (&json!("orders"), &json!("2024-03-01"), &json!(0))
        );
        assert_eq!(progress["bytes_total"], "id,amount,note\na,1,x\nb,2,\n".len());
    }
    server.release("2024-03-01");
    for events in &mut streams {
        let day = events.wait_for("day", |_| true);
        assert_eq!((&day["state"], &day["rows_loaded"]), (&json!("loaded"), &json!(2)));
        assert_eq!(day["rows_rejected"], 0);
        let dataset = events.wait_for("dataset", |dataset| dataset["counts"]["loaded"] == 1);
        assert_eq!(
            (&dataset["dataset"], &dataset["paused"], &dataset["late"]),
            (&json!("orders"), &json!(false), &json!(0))
        );
        assert!(dataset["next_tick"].is_string(), "{dataset}");
    }
}

fn a_reload_that_publishes_nothing_is_told_of_a_loaded_day(database: &dyn Database) {
    let project = Project::new(database, &Orders { max_rejected: "0", ..Orders::default() });
    project.day("2024-03-01", "a,1,x\n");
    project.succeed(&["load", "2024-03-01"]);
    let api = Api::start(&project, database);
    let mut events = api.events();
    let mut reloaded = || {
        api.done("orders", &json!({"action": "reload", "from": "2024-03-01"}));
        events.wait_for("day", |day| day["error"].is_string())
    };
    project.day("2024-03-01", "a,one,x\n");
    let refused = reloaded();
    assert_eq!((&refused["state"], &refused["rows_loaded"]), (&json!("loaded"), &json!(null)), "{refused}");
    std::fs::remove_file(project.path("days/2024-03-01.csv")).unwrap();
    let gone = reloaded();
    assert_eq!(
        (&gone["state"], &gone["error"]),
        (&json!("loaded"), &json!("no file to take: no such file; the day stays loaded as it was"))
    );
}

fn a_load_in_flight_is_told_of_also_after_a_reload_of_the_connection(database: &dyn Database) {
    let server = SlowHttp::start();
    let project = Project::new(database, &Orders { source: server.source(), ..Orders::default() });
    server.day("2024-03-01", "a,1,x\nb,2,\n");
    server.hold_next("2024-03-01");
    let api = Api::start(&project, database);
    api.done("orders", &json!({"action": "load", "from": "2024-03-01"}));
    server.wait_until_held("2024-03-01");
    let context = || api.daemon().status().context.as_ref().map(Arc::downgrade).unwrap();
    let before = context();
    project.replace("dayfill.toml", "[claim]\nlease = \"50s\"\n");
    wait_until("the connection is another", || !context().ptr_eq(&before));
    let day = api.get("/api/v1/datasets/orders/days/2024-03-01");
    assert_eq!((&day["status"]["state"], &day["progress"]["attempt"]), (&json!("running"), &json!(1)), "{day}");
    let mut events = api.events();
    events.wait_for("progress", |progress| progress["day"] == "2024-03-01");
    server.release("2024-03-01");
    events.wait_for("day", |day| day["state"] == "loaded");
    let day = api.get("/api/v1/datasets/orders/days/2024-03-01");
    assert_eq!(day["progress"], json!(null), "{day}");
}

fn what_is_done_to_a_dataset_is_told(database: &dyn Database) {
    let project = Project::new(database, &Orders::default());
    let api = Api::start(&project, database);
    let mut events = api.events();
    api.done("orders", &json!({"action": "skip", "from": "2024-03-01"}));
    let day = events.wait_for("day", |_| true);
    assert_eq!((&day["day"], &day["state"]), (&json!("2024-03-01"), &json!("skipped")));
    events.wait_for("dataset", |dataset| dataset["counts"]["skipped"] == 1);
    api.done("orders", &json!({"action": "pause"}));
    events.wait_for("dataset", |dataset| dataset["paused"] == true);
    events.wait_for("daemon", |_| true);
    let dataset = api.get("/api/v1/datasets/orders");
    assert_eq!(dataset["paused"]["who"], "robot", "whoever is told finds it so");
    api.done("orders", &json!({"action": "forget", "from": "2024-03-01"}));
    events.wait_for("dataset", |dataset| dataset["counts"] == json!({"missing": 7}) && dataset["paused"] == true);
}

fn a_listener_that_leaves_is_forgotten_and_the_end_ends_all_streams(database: &dyn Database) {
    let project = Project::new(database, &Orders::default());
    let api = Api::start(&project, database);
    let (mut stays, leaves) = (api.events(), api.events());
    assert_eq!(api.site().events().listeners(), 2);
    drop(leaves);
    // It is seen to be gone when there is something to tell.
    api.done("orders", &json!({"action": "skip", "from": "2024-03-01"}));
    wait_until("it is forgotten", || api.site().events().listeners() == 1);
    api.site().events().end();
    while stays.next().is_some() {}
    let answer = api.answer("/api/v1/events");
    assert_eq!((answer.status, answer.code()), (503, "ending".to_owned()));
}
