//! What is not answered as asked, and how that is told.

use serde_json::{Value, json};

use crate::support::api::Api;
use crate::support::page::Answer;
use crate::support::postgres::TestPostgres;
use crate::support::project::{Orders, Project};
use crate::support::sqlite::SqliteDatabase;
use crate::support::{Database, on_both, wait_until};

on_both! {
    what_is_wrong_with_a_request_is_named
    readers_look_and_operators_change
}

fn detail(answer: &Answer) -> String {
    let problem: Value = serde_json::from_str(&answer.body).unwrap();
    problem["detail"].as_str().unwrap().to_owned()
}

fn what_is_wrong_with_a_request_is_named(database: &dyn Database) {
    let project = Project::new(database, &Orders::default());
    let api = Api::start(&project, database);
    for (path, status, code, told) in [
        ("/api/v1/datasets/nothing", 404, "no-such-dataset", "there is no dataset \"nothing\""),
        ("/api/v1/datasets/a%2Fb", 404, "no-such-dataset", "there is no dataset \"a/b\""),
        ("/api/v1/datasets/%ff", 404, "not-found", "nothing exists at this address"),
        ("/api/v1/datasets/nothing/days", 404, "no-such-dataset", "there is no dataset"),
        ("/api/v1/datasets/orders/days/2024-02-30", 404, "no-such-day", "\"2024-02-30\" is not a day (YYYY-MM-DD)"),
        (
            "/api/v1/datasets/orders/days/2031-01-01",
            404,
            "no-such-day",
            "orders: 2031-01-01 is not wanted and has no attempts",
        ),
        ("/api/v1/datasets/orders/days?from=yesterday", 400, "parameter", "from: \"yesterday\" is not a day"),
        ("/api/v1/datasets/orders/days?from=2024-03-02&to=2024-03-01", 400, "parameter", "to: 2024-03-01 is before"),
        ("/api/v1/datasets/orders/days?limit=0", 400, "parameter", "limit: 0 is not a number from 1 to 4000"),
        ("/api/v1/datasets/orders/days?limit=4001", 400, "parameter", "limit: 4001 is not"),
        ("/api/v1/datasets/orders/days?limit=many", 400, "parameter", "limit: \"many\" is not"),
        (
            "/api/v1/datasets/orders/days?state=loaded,lost",
            400,
            "parameter",
            "state: \"lost\" is none of missing, loaded,",
        ),
        ("/api/v1/datasets/orders/days?after=1", 400, "parameter", "after: \"1\" is not a day"),
        ("/api/v1/datasets/orders/days?colour=red", 400, "parameter", "colour"),
        (
            "/api/v1/datasets/orders/days/2024-03-01/rejects?after=x",
            400,
            "parameter",
            "after: \"x\" is not the number of",
        ),
        ("/api/v1/activity-log?before=x", 400, "parameter", "before: \"x\" is not the number of an entry"),
        ("/api/v1/activity-log?limit=1001", 400, "parameter", "limit: 1001 is not"),
        ("/api/v2", 404, "not-found", "nothing exists at this address"),
    ] {
        let answer = api.answer(path);
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{path}");
        assert!(detail(&answer).contains(told), "{path}: {answer:?}");
    }
    for (body, status, code, told) in [
        ("{", 400, "bad-request", "JSON"),
        ("{}", 422, "parameter", "action"),
        (r#"{"action": "lod"}"#, 422, "parameter", "action: \"lod\" is none of catch_up, load"),
        (r#"{"action": 1}"#, 422, "parameter", "action"),
        (r#"{"action": "load"}"#, 422, "parameter", "from: load needs a day"),
        (r#"{"action": "load", "from": "2024-02-30"}"#, 422, "parameter", "from: \"2024-02-30\" is not a day"),
        (r#"{"action": "load", "day": "2024-03-01"}"#, 422, "parameter", "day"),
        (r#"{"action": "pause", "from": "2024-03-01"}"#, 422, "parameter", "from: pause takes no days"),
        (r#"{"action": "skip", "from": "2024-03-01", "to": "2044-03-01"}"#, 422, "parameter", "more than 4000 days"),
    ] {
        let headers = [("Authorization", api.operator()), ("Content-Type", "application/json")];
        let answer = api.page().ask("POST", "/api/v1/datasets/orders/actions", &headers, body);
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{body}");
        assert!(detail(&answer).contains(told), "{body}: {answer:?}");
    }
    let answer = api.ask("nothing", &json!({"action": "pause"}));
    assert_eq!((answer.status, answer.code()), (404, "no-such-dataset".to_owned()));
    let form = [("Authorization", api.operator()), ("Content-Type", "application/x-www-form-urlencoded")];
    let answer = api.page().ask("POST", "/api/v1/datasets/orders/actions", &form, "action=pause");
    assert_eq!((answer.status, answer.code()), (415, "content-type".to_owned()));
    let answer = api.page().ask("DELETE", "/api/v1/datasets/orders", &[("Authorization", api.operator())], "");
    assert_eq!((answer.status, answer.code()), (405, "method".to_owned()));
    assert_eq!(database.line("select count(*) from activity_log"), "0", "none of it was understood");
}

fn readers_look_and_operators_change(database: &dyn Database) {
    let project = Project::new(database, &Orders::default());
    let api = Api::start(&project, database);
    let json = ("Content-Type", "application/json");
    for path in ["/api/v1/datasets", "/api/v1/events", "/api/v1/configuration", "/api/openapi.json"] {
        let answer = api.page().get(path, &[]);
        assert_eq!((answer.status, answer.code()), (401, "login".to_owned()), "{path}");
    }
    let reader = [("Authorization", api.reader()), json];
    let request = json!({"action": "pause"}).to_string();
    let answer = api.page().ask("POST", "/api/v1/datasets/orders/actions", &reader, &request);
    assert_eq!((answer.status, answer.code()), (403, "role".to_owned()));
    assert_eq!(database.line("select count(*) from paused_datasets"), "0");
    api.done("orders", &json!({"action": "pause"}));
    assert_eq!(database.line("select dataset, who from paused_datasets"), "orders|robot");
}

#[test]
fn every_path_of_the_document_is_there_and_no_other_method() {
    let database = SqliteDatabase::new();
    let project = Project::new(&database, &Orders::default());
    let api = Api::start(&project, &database);
    let document = api.get("/api/openapi.json");
    assert_eq!(document["openapi"], "3.1.0");
    for (path, item) in document["paths"].as_object().unwrap() {
        let path = path.replace("{name}", "orders").replace("{day}", "2024-03-01");
        for method in ["GET", "POST"] {
            if method == "GET" && path.ends_with("/events") {
                continue;
            }
            let headers = [("Authorization", api.operator()), ("Content-Type", "application/json")];
            let answer = api.page().ask(method, &path, &headers, "{}");
            let documented = item.get(method.to_lowercase()).is_some();
            // What is asked for by an empty request is nothing.
            let expected = match (documented, method) {
                (true, "GET") => 200,
                (true, _) => 422,
                (false, _) => 405,
            };
            assert_eq!(answer.status, expected, "{method} {path}: {answer:?}");
        }
    }
}

#[test]
fn while_the_database_is_away_what_is_known_is_told_and_nothing_is_done() {
    let cluster = TestPostgres::dedicated();
    let database = cluster.database();
    let project = Project::new(&database, &Orders::default());
    let api = Api::start(&project, &database);
    api.wait_for("orders", "counts", &json!({"missing": 7}));
    cluster.stop();
    let problem = |answer: &Answer| (answer.status, answer.code());
    let away = (503, "database".to_owned());
    assert_eq!(problem(&api.answer("/api/v1/datasets/orders/days")), away);
    assert_eq!(problem(&api.ask("orders", &json!({"action": "pause"}))), away);
    assert_eq!(api.get("/api/v1/datasets/orders")["counts"], json!({"missing": 7}));
    wait_until("the daemon sees it", || api.page().get("/readyz", &[]).status == 503);
    assert_eq!(problem(&api.page().get("/readyz", &[])), away);
    assert_eq!(problem(&api.answer("/api/v1/workers")), away);
    assert_eq!(api.page().get("/healthz", &[]).status, 200, "the process turns");
    cluster.start();
    wait_until("it is back", || api.page().get("/readyz", &[]).status == 200);
    assert_eq!(api.get("/api/v1/datasets/orders/days?limit=1")["days"].as_array().unwrap().len(), 1);
}
