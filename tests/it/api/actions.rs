//! What can be asked for, and what is written down of it.

use serde_json::{Value, json};

use crate::support::api::Api;
use crate::support::daemon::wait_for_day;
use crate::support::project::{Orders, Project, rows, states};
use crate::support::slow_http::SlowHttp;
use crate::support::{Database, on_both, wait_until};

on_both! {
    days_are_loaded_reloaded_and_tried_again
    days_are_skipped_and_forgotten
    a_catch_up_fills_in_what_is_missing_and_a_pause_keeps_it_from_that
    days_that_are_loaded_already_are_not_accepted
    a_dry_run_tells_what_would_be_and_changes_nothing
    days_outside_the_schedule_are_loaded_only_when_that_is_confirmed
    a_day_that_is_being_loaded_is_not_moved
    everything_is_written_down_with_who_and_when
}

/// The effects of an answer, a line each.
pub(super) fn effects(answer: &Value) -> Vec<String> {
    let line = |day: &Value| {
        let text = |field: &str| day[field].as_str().unwrap_or("-").to_owned();
        format!("{}: {} -> {}, {}", text("day"), text("state"), text("becomes"), text("because"))
    };
    answer["days"].as_array().unwrap().iter().map(line).collect()
}

pub(super) fn attempts(database: &dyn Database) -> Vec<String> {
    database
        .lines("select cast(day as text) as d, attempt, trigger, outcome from load_attempts order by started_at, day")
}

fn days_are_loaded_reloaded_and_tried_again(database: &dyn Database) {
    let project = Project::new(database, &Orders::default());
    let api = Api::start(&project, database);
    project.day("2024-03-01", "a,1,x\n");
    project.day("2024-03-02", "a,one,x\n");
    let answer = api.done("orders", &json!({"action": "load", "from": "2024-03-01", "to": "2024-03-02"}));
    assert_eq!(
        (&answer["dataset"], &answer["action"], &answer["dry_run"]),
        (&json!("orders"), &json!("load"), &json!(false))
    );
    assert_eq!(effects(&answer), ["2024-03-01: missing -> loaded, missing", "2024-03-02: missing -> loaded, missing"]);
    wait_for_day(database, "orders", "2024-03-02", "refused");
    assert_eq!(states(database), ["2024-03-01|loaded", "2024-03-02|refused"]);
    api.wait_for("orders", "counts", &json!({"loaded": 1, "refused": 1, "missing": 5}));

    // A loaded day is loaded again where that is asked for, and only there.
    project.day("2024-03-01", "b,2,y\n");
    let answer = api.ask("orders", &json!({"action": "load", "from": "2024-03-01"}));
    assert_eq!((answer.status, answer.code()), (409, "loaded".to_owned()));
    let answer = api.done("orders", &json!({"action": "reload", "from": "2024-03-01"}));
    assert_eq!(effects(&answer), ["2024-03-01: loaded -> loaded, loaded, asked for"]);
    wait_until("it is loaded again", || rows(database) == ["b|2|y|yes|2024-03-01"]);

    project.day("2024-03-02", "a,1,x\n");
    let answer = api.done("orders", &json!({"action": "retry", "from": "2024-03-02"}));
    assert_eq!(effects(&answer), ["2024-03-02: refused -> loaded, refused, asked for"]);
    wait_for_day(database, "orders", "2024-03-02", "loaded");
    assert_eq!(
        attempts(database),
        [
            "2024-03-01|1|page|loaded",
            "2024-03-02|1|page|refused",
            "2024-03-01|1|page|loaded",
            "2024-03-02|1|page|loaded"
        ],
        "each retry begins a new series"
    );
}

fn days_that_are_loaded_already_are_not_accepted(database: &dyn Database) {
    let server = SlowHttp::start();
    let project = Project::new(database, &Orders { source: server.source(), ..Orders::default() });
    for day in ["2024-03-01", "2024-03-02", "2024-03-03"] {
        server.day(day, "a,1,x\n");
    }
    project.succeed(&["load", "2024-03-01..2024-03-02"]);
    project.succeed(&["skip", "2024-03-04"]);
    let api = Api::start(&project, database);
    let days = |action: &str, to: &str| json!({"action": action, "from": "2024-03-01", "to": to});
    let detail = "2024-03-01..2024-03-02: already loaded; `reload` loads such days again";
    for action in ["load", "retry"] {
        let answer = api.ask("orders", &days(action, "2024-03-02"));
        assert_eq!((answer.status, answer.code()), (409, "loaded".to_owned()), "{action}: {answer:?}");
        assert!(answer.body.contains(detail), "{answer:?}");
        assert_eq!(api.get("/api/v1/activity-log?limit=1")["entries"][0]["outcome"], detail, "{action}");
    }
    // One that there is something to do for carries the others.
    server.hold_next("2024-03-03");
    let skipped = api.ask("orders", &json!({"action": "retry", "from": "2024-03-04"}));
    assert_eq!((skipped.status, skipped.code()), (409, "not-to-retry".to_owned()), "{skipped:?}");
    assert!(skipped.body.contains("2024-03-04: skipped: a retry leaves it, `load` takes it"), "{skipped:?}");
    let answer = api.done("orders", &days("load", "2024-03-04"));
    let already = |day: &str| format!("{day}: loaded -> -, already loaded");
    let asked_for = "2024-03-04: skipped -> loaded, skipped, asked for";
    let missing = "2024-03-03: missing -> loaded, missing";
    assert_eq!(effects(&answer), [&already("2024-03-01"), &already("2024-03-02"), missing, asked_for]);
    server.wait_until_held("2024-03-03");
    server.release("2024-03-03");
    wait_for_day(database, "orders", "2024-03-03", "loaded");
    let answer = api.ask("orders", &days("load", "2024-03-03"));
    assert_eq!((answer.status, answer.code()), (409, "loaded".to_owned()), "{answer:?}");
    assert_eq!(database.line("select count(*) from load_attempts where day < '2024-03-04'"), "3");
}

fn days_are_skipped_and_forgotten(database: &dyn Database) {
    let project = Project::new(database, &Orders::default());
    project.day("2024-03-01", "a,1,x\n");
    project.succeed(&["load", "2024-03-01"]);
    let api = Api::start(&project, database);
    let skip = json!({"action": "skip", "from": "2024-03-01", "to": "2024-03-02", "reason": "a holiday"});
    let answer = api.done("orders", &skip);
    let left = "2024-03-01: loaded -> -, a day that is loaded cannot be skipped";
    assert_eq!(effects(&answer), [left, "2024-03-02: missing -> skipped, missing, asked for"]);
    assert_eq!(states(database), ["2024-03-01|loaded", "2024-03-02|skipped"]);
    assert_eq!(database.line("select note from processed_days where state = 'skipped'"), "a holiday");
    api.wait_for("orders", "counts", &json!({"loaded": 1, "skipped": 1, "missing": 5}));

    let answer = api.ask("orders", &json!({"action": "skip", "from": "2024-03-01"}));
    assert_eq!((answer.status, answer.code()), (409, "illegal-move".to_owned()));
    assert!(answer.body.contains("2024-03-01: a day that is loaded cannot be skipped"), "{answer:?}");

    let answer = api.done("orders", &json!({"action": "forget", "from": "2024-03-01", "to": "2024-03-03"}));
    assert_eq!(
        effects(&answer),
        [
            "2024-03-01: loaded -> missing, loaded, asked for",
            "2024-03-02: skipped -> missing, skipped, asked for",
            "2024-03-03: missing -> missing, missing, asked for",
        ]
    );
    assert!(states(database).is_empty());
    api.wait_for("orders", "counts", &json!({"missing": 7}));
}

fn a_catch_up_fills_in_what_is_missing_and_a_pause_keeps_it_from_that(database: &dyn Database) {
    let project = Project::new(database, &Orders::default());
    for day in 1..=6 {
        project.day(&format!("2024-03-0{day}"), "a,1,x\n");
    }
    project.succeed(&["load", "2024-03-02"]);
    let api = Api::start(&project, database);
    api.done("orders", &json!({"action": "pause", "reason": "the table moves"}));
    let answer = api.ask("orders", &json!({"action": "catch_up"}));
    assert_eq!((answer.status, answer.code()), (409, "paused".to_owned()));
    assert!(answer.body.contains("orders is paused"), "{answer:?}");
    wait_until("it is paused", || !api.get("/api/v1/datasets/orders")["paused"].is_null());
    // Who names a day gets it all the same.
    api.done("orders", &json!({"action": "load", "from": "2024-03-03"}));
    wait_for_day(database, "orders", "2024-03-03", "loaded");
    assert_eq!(states(database), ["2024-03-02|loaded", "2024-03-03|loaded"]);

    api.done("orders", &json!({"action": "resume"}));
    wait_for_day(database, "orders", "2024-03-07", "waiting");
    let answer = api.done("orders", &json!({"action": "catch_up"}));
    assert_eq!(
        effects(&answer),
        ["2024-03-07: waiting -> loaded, its file was not there; look again"],
        "what is long done is not told"
    );
    api.wait_for("orders", "counts", &json!({"loaded": 6, "waiting": 1}));
}

fn a_dry_run_tells_what_would_be_and_changes_nothing(database: &dyn Database) {
    let project = Project::new(database, &Orders::default());
    project.day("2024-03-01", "a,1,x\n");
    project.exit(0, &["catch-up", "--to", "2024-03-02"]);
    let api = Api::start(&project, database);
    let before = states(database);
    let dry = |mut request: Value| {
        request["dry_run"] = true.into();
        let answer = api.ask("orders", &request);
        assert_eq!(answer.status, 200, "{answer:?}");
        let answer: Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(answer["dry_run"], true);
        effects(&answer)
    };
    let range = |action: &str| json!({"action": action, "from": "2024-03-01", "to": "2024-03-03"});
    assert_eq!(
        dry(range("load")),
        [
            "2024-03-01: loaded -> -, already loaded",
            "2024-03-02: waiting -> loaded, waiting, asked for",
            "2024-03-03: missing -> loaded, missing",
        ]
    );
    assert_eq!(dry(range("reload"))[0], "2024-03-01: loaded -> loaded, loaded, asked for");
    assert_eq!(
        dry(range("retry"))[1..],
        [
            "2024-03-02: waiting -> -, waiting: a retry leaves it, `load` takes it",
            "2024-03-03: missing -> -, missing: a retry leaves it, `load` takes it",
        ]
    );
    assert_eq!(
        dry(range("skip")),
        [
            "2024-03-01: loaded -> -, a day that is loaded cannot be skipped",
            "2024-03-02: waiting -> skipped, waiting, asked for",
            "2024-03-03: missing -> skipped, missing, asked for",
        ]
    );
    assert_eq!(dry(range("forget"))[0], "2024-03-01: loaded -> missing, loaded, asked for");
    assert_eq!(dry(json!({"action": "catch_up"})).len(), 6, "all but the loaded one");
    assert_eq!(dry(json!({"action": "pause"})), Vec::<String>::new());
    assert_eq!(states(database), before);
    assert_eq!(database.line("select count(*) from activity_log"), "0");
    assert_eq!(database.line("select count(*) from paused_datasets"), "0");
}

fn days_outside_the_schedule_are_loaded_only_when_that_is_confirmed(database: &dyn Database) {
    let project = Project::new(database, &Orders::default());
    for day in ["2024-02-29", "2024-03-01"] {
        project.day(day, "a,1,x\n");
    }
    let api = Api::start(&project, database);
    let told = "1 of 2 days before start (2024-03-01)";
    let mut request = json!({"action": "load", "from": "2024-02-29", "to": "2024-03-01", "dry_run": true});
    let answer: Value = serde_json::from_str(&api.ask("orders", &request).body).unwrap();
    assert_eq!(answer["outside"], told);
    request["dry_run"] = false.into();
    let answer = api.ask("orders", &request);
    assert_eq!((answer.status, answer.code()), (409, "outside-schedule".to_owned()), "{answer:?}");
    assert!(answer.body.contains(&format!("{told}: confirm these days")), "{answer:?}");
    assert_eq!(states(database), Vec::<String>::new());
    request["allow_outside"] = true.into();
    let answer = api.done("orders", &request);
    assert_eq!(answer["outside"], told);
    for day in ["2024-02-29", "2024-03-01"] {
        wait_for_day(database, "orders", day, "loaded");
    }

    // What is known of needs no confirmation, nor does what loads nothing.
    let answer = api.done("orders", &json!({"action": "reload", "from": "2024-02-29", "to": "2024-03-01"}));
    assert_eq!(answer["outside"], Value::Null);
    let loads = "select count(*) from load_attempts where outcome = 'loaded'";
    wait_until("the days are loaded again", || database.line(loads) == "4");
    let answer = api.done("orders", &json!({"action": "skip", "from": "9999-12-24", "reason": "\u{202e}eve"}));
    assert_eq!(answer["outside"], "1 day in the future");
    let log = api.answer("/api/v1/activity-log?limit=1").body;
    assert!(log.contains("\\u202eeve") && !log.contains('\u{202e}'), "{log}");

    // A command says so and goes on where nobody can be asked.
    let ran = project.succeed(&["load", "2024-02-27..2024-03-02"]);
    let told = "orders: outside its schedule: 2 of 5 days before start (2024-03-01)";
    assert!(ran.stderr.contains(told), "{ran:?}");
    assert!(!project.succeed(&["load", "2024-02-27..2024-03-02"]).stderr.contains("outside"), "they are known");
}

fn a_day_that_is_being_loaded_is_not_moved(database: &dyn Database) {
    let server = SlowHttp::start();
    let project = Project::new(database, &Orders { source: server.source(), ..Orders::default() });
    server.day("2024-03-01", "a,1,x\n");
    server.hold_next("2024-03-01");
    let api = Api::start(&project, database);
    let load = json!({"action": "load", "from": "2024-03-01"});
    api.done("orders", &load);
    server.wait_until_held("2024-03-01");
    for action in ["skip", "forget"] {
        let answer = api.ask("orders", &json!({"action": action, "from": "2024-03-01"}));
        assert_eq!((answer.status, answer.code()), (409, "busy".to_owned()), "{action}: {answer:?}");
    }
    let progress = &api.get("/api/v1/datasets/orders/days/2024-03-01")["progress"];
    assert_eq!((&progress["attempt"], &progress["rows"]), (&json!(1), &json!(0)), "{progress}");
    assert!(progress["bytes_total"].as_u64().unwrap() > 0 && progress["step"] == "stage", "{progress}");
    server.release("2024-03-01");
    wait_for_day(database, "orders", "2024-03-01", "loaded");
    assert_eq!(attempts(database), ["2024-03-01|1|page|loaded"]);
}

fn everything_is_written_down_with_who_and_when(database: &dyn Database) {
    let project = Project::new(database, &Orders::default());
    let api = Api::start(&project, database);
    api.done("orders", &json!({"action": "pause", "reason": "the table moves"}));
    api.done("orders", &json!({"action": "skip", "from": "2024-03-01", "to": "2024-03-02"}));
    let entry = api.done("orders", &json!({"action": "load", "from": "2024-03-02"}))["activity_entry"].clone();
    let how = format!("select outcome from activity_log where id = {entry}");
    wait_until("the activity log tells how it ended", || database.line(&how) == "done: 1 day: 1 waiting");
    api.ask("orders", &json!({"action": "catch_up"}));
    api.done("orders", &json!({"action": "resume"}));
    let page = api.get("/api/v1/activity-log?limit=4");
    let line = |entry: &Value| {
        let text = |field: &str| entry[field].as_str().unwrap_or("-").to_owned();
        assert!(entry["at"].as_str().unwrap().ends_with('Z'));
        let all = ["who", "action", "dataset", "from", "to", "reason", "outcome"].map(text);
        all.join("|")
    };
    let lines: Vec<String> = page["entries"].as_array().unwrap().iter().map(line).collect();
    assert_eq!(
        lines,
        [
            "robot|resume|orders|-|-|-|done",
            "robot|catch_up|orders|-|-|-|orders is paused: resume it first, or name the days",
            "robot|load|orders|2024-03-02|2024-03-02|-|done: 1 day: 1 waiting",
            "robot|skip|orders|2024-03-01|2024-03-02|-|done: 2 days",
        ]
    );
    let rest = api.get(&format!("/api/v1/activity-log?before={}", page["next_before"]));
    assert_eq!(line(&rest["entries"][0]), "robot|pause|orders|-|-|the table moves|done");
    assert_eq!((rest["entries"].as_array().unwrap().len(), &rest["next_before"]), (1, &Value::Null));
}
