//! What can be looked at: datasets, days, attempts, rejected rows, processes, the configuration.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::api::Api;
use crate::support::project::{Orders, Project, nightly};
use crate::support::{Database, on_both, wait_until};

on_both! {
    what_the_api_tells_is_what_status_tells
    days_come_in_pages_by_range_and_state
    days_in_another_table_are_left_to_status
    a_day_comes_with_its_attempts_their_logs_and_its_rejected_rows
    an_attempt_names_its_process_also_when_that_has_ended
    attempts_are_numbered_over_all_series
    a_broken_dataset_is_a_warning_for_readiness_and_is_shown_with_its_problems
    the_configuration_is_shown_without_secrets_and_with_what_was_refused
    late_days_and_pauses_are_told_of_a_dataset
}

/// A project of seven wanted days: loaded, refused, waiting, loaded, skipped, missing, missing; and a loaded one that
/// nobody wants.
fn week(database: &dyn Database) -> Project {
    let project = Project::new(database, &Orders::default());
    for (day, rows) in [
        ("2024-03-01", "a,1,x\nb,-2,y\n"),
        ("2024-03-02", "a,one,x\nb,2,\nc,3\n"),
        ("2024-03-04", "a,1,x\n"),
        ("2024-02-01", "a,1,x\nb,2,\n"),
    ] {
        project.day(day, rows);
    }
    project.exit(4, &["catch-up", "--to", "2024-03-04"]);
    project.succeed(&["load", "2024-02-01"]);
    project.succeed(&["skip", "2024-03-05", "--reason", "no orders"]);
    project
}

/// The dataset `orders` of `status --json`.
fn status(project: &Project) -> Value {
    let told: Value = serde_json::from_str(&project.succeed(&["status", "--json"]).stdout).unwrap();
    told["datasets"][0].clone()
}

fn what_the_api_tells_is_what_status_tells(database: &dyn Database) {
    let project = week(database);
    let api = Api::start(&project, database);
    let status = status(&project);
    api.wait_for("orders", "counts", &status["counts"]);
    assert_eq!(status["counts"], json!({"loaded": 3, "refused": 1, "waiting": 1, "skipped": 1, "missing": 2}));

    let days = api.get("/api/v1/datasets/orders/days");
    assert_eq!((&days["days"], &days["next_after"]), (&status["days"], &Value::Null));
    for day in status["days"].as_array().unwrap() {
        let path = format!("/api/v1/datasets/orders/days/{}", day["day"].as_str().unwrap());
        assert_eq!(api.get(&path)["status"], *day);
    }

    let dataset = api.get("/api/v1/datasets/orders");
    for field in ["dataset", "table", "next_tick"] {
        assert_eq!(dataset[field], status[field], "{field}");
    }
    let schedule = json!({
        "cron": "0 2 * * *", "timezone": "UTC", "start": "2024-03-01", "end": "2024-03-07", "lag_days": 0,
        "days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"],
    });
    assert_eq!(dataset["schedule"], schedule);
    let source = project.path("days/{day}.csv").display().to_string();
    assert_eq!(dataset["source"].as_str().unwrap(), source);
    // From 03-04, which is loaded, to 03-07; from 03-03, which waits, to 03-07.
    assert_eq!(
        (&dataset["last_loaded"], &dataset["lag"], &dataset["days_behind"]),
        (&json!("2024-03-04"), &json!(3), &json!(5))
    );
    assert_eq!((&dataset["late"], &dataset["paused"], &dataset["trouble"]), (&json!(0), &Value::Null, &Value::Null));
    let recent: Vec<&Value> = dataset["recent"].as_array().unwrap().iter().map(|day| &day["state"]).collect();
    assert_eq!(recent, ["loaded", "refused", "waiting", "loaded", "skipped", "missing", "missing"]);
    assert_eq!(dataset["recent"][0]["rows_loaded"], 1);
    assert_eq!((&dataset["attention_total"], &dataset["attention"][0]["day"]), (&json!(1), &json!("2024-03-02")));
    assert!(dataset["attention"][0]["error"].as_str().unwrap().contains("rows rejected"), "{dataset}");

    // The list has the same, but for single days.
    let list = api.get("/api/v1/datasets");
    let mut brief = dataset;
    brief.as_object_mut().unwrap().retain(|field, _| field != "recent" && field != "attention");
    assert_eq!(list, json!({"datasets": [brief]}));

    let workers = api.get("/api/v1/workers");
    let daemon = &workers["workers"][0];
    assert_eq!((&daemon["pid"], workers["workers"].as_array().unwrap().len()), (&json!(std::process::id()), 1));
    assert!(daemon["heartbeat_at"].is_string() && daemon["refused_config"].is_null(), "{daemon}");
    for path in ["/healthz", "/readyz"] {
        let answer = api.page().get(path, &[]);
        assert_eq!((answer.status, answer.body.as_str()), (200, "{\"status\":\"ok\"}"), "everybody may ask");
    }
}

fn days_come_in_pages_by_range_and_state(database: &dyn Database) {
    let project = week(database);
    let api = Api::start(&project, database);
    let days = |query: &str| {
        let page = api.get(&format!("/api/v1/datasets/orders/days{query}"));
        let day = |day: &Value| day["day"].as_str().unwrap()[5..].to_owned();
        let days: Vec<String> = page["days"].as_array().unwrap().iter().map(day).collect();
        (days.join(" "), page["next_after"].as_str().unwrap_or("-").to_owned())
    };
    for (query, expected, next_after) in [
        ("?from=2024-03-03&to=2024-03-05", "03-03 03-04 03-05", "-"),
        ("?state=loaded", "02-01 03-01 03-04", "-"),
        ("?state=missing,refused", "03-02 03-06 03-07", "-"),
        ("?state=failed", "", "-"),
        ("?limit=3", "02-01 03-01 03-02", "2024-03-02"),
        ("?limit=3&after=2024-03-02", "03-03 03-04 03-05", "2024-03-05"),
        ("?limit=3&after=2024-03-05", "03-06 03-07", "-"),
        ("?limit=2&state=loaded&from=2024-03-01", "03-01 03-04", "-"),
        ("?limit=1&state=missing", "03-06", "2024-03-06"),
        ("?after=9999-12-31", "", "-"),
    ] {
        assert_eq!(days(query), (expected.to_owned(), next_after.to_owned()), "{query}");
    }
}

fn days_in_another_table_are_left_to_status(database: &dyn Database) {
    let project = Project::new(database, &Orders::default());
    project.day("2024-03-01", "a,1,x\n");
    project.succeed(&["run-etl", "--start-date", "2024-03-01", "--end-date", "2024-03-01", "--table-name", "others"]);
    let status = project.succeed(&["status", "--dataset", "orders@others"]);
    assert!(status.stdout.contains("orders@others into others: 1 loaded"), "{status:?}");
    let api = Api::start(&project, database);
    api.wait_for("orders", "counts", &json!({"missing": 7}));
    assert_eq!(api.get("/api/v1/datasets")["datasets"].as_array().unwrap().len(), 1);
    for (name, told) in [("orders@others", true), ("nothing@others", false)] {
        let answer = api.answer(&format!("/api/v1/datasets/{name}"));
        assert_eq!((answer.status, answer.code().as_str()), (404, "no-such-dataset"));
        assert_eq!(answer.body.contains("dayfill status --dataset orders@TABLE"), told, "{answer:?}");
    }
}

fn a_day_comes_with_its_attempts_their_logs_and_its_rejected_rows(database: &dyn Database) {
    let project = Project::new(database, &Orders::default());
    project.write("days/2024-03-01.csv", "id,amount,note,colour\na,1,x,red\n");
    project.day("2024-03-02", "a,one,x\nb,2,\nc,3\n");
    project.exit(4, &["load", "2024-03-01..2024-03-02"]);
    let api = Api::start(&project, database);

    let day = api.get("/api/v1/datasets/orders/days/2024-03-01");
    let [attempt] = day["load_attempts"].as_array().unwrap().as_slice() else { panic!("{day}") };
    assert_eq!(
        (&attempt["attempt"], &attempt["trigger"], &attempt["outcome"]),
        (&json!(1), &json!("load"), &json!("loaded"))
    );
    for step in ["source_ms", "stage_ms", "audit_ms", "publish_ms"] {
        assert!(attempt[step].is_u64(), "{step}: {attempt}");
    }
    let file = project.path("days/2024-03-01.csv").display().to_string();
    let lines: Vec<&str> =
        attempt["log"].as_array().unwrap().iter().map(|line| line["text"].as_str().unwrap()).collect();
    assert_eq!(
        lines,
        [
            &format!("opened {file}, 32 bytes as stored"),
            "columns that the dataset does not name are ignored: colour",
            "1 row read and staged, 0 of them rejected",
            "the audit passed",
            "1 row written to the target; committing",
        ]
    );
    let times: Vec<u64> = attempt["log"].as_array().unwrap().iter().map(|line| line["ms"].as_u64().unwrap()).collect();
    assert!(times.is_sorted(), "{times:?}");
    assert_eq!((&day["rejected_rows_kept"], &day["progress"]), (&json!(0), &Value::Null));

    let day = api.get("/api/v1/datasets/orders/days/2024-03-02");
    let log = day["load_attempts"][0]["log"].to_string();
    assert!(log.contains("refused: 2 of 3 rows rejected"), "{log}");
    assert!(!log.contains("\"one\"") && !log.contains("one is not"), "the value of a row: {log}");
    let rows = json!([
        {"line": 2, "column_name": "amount", "value": "one", "reason": "\"one\" is not a bigint"},
        {"line": 4, "column_name": null, "value": null, "reason": "has 2 fields instead of 3"},
    ]);
    let lines_of = |rows: &Value| rows.as_array().unwrap().iter().map(|row| row["line"].clone()).collect::<Vec<_>>();
    assert_eq!((lines_of(&day["rejected_rows"]), &day["rejected_rows_kept"]), (lines_of(&rows), &json!(2)));
    assert_eq!(day["rejected_rows"][0]["value"], "one");

    let rejects = |query: &str| api.get(&format!("/api/v1/datasets/orders/days/2024-03-02/rejects{query}"));
    assert_eq!(rejects("")["rejected_rows"], day["rejected_rows"]);
    assert_eq!(
        (lines_of(&rejects("?limit=1")["rejected_rows"]), &rejects("?limit=1")["next_after"]),
        (vec![json!(2)], &json!(2))
    );
    let rest = rejects("?limit=1&after=2");
    assert_eq!((lines_of(&rest["rejected_rows"]), &rest["next_after"]), (vec![json!(4)], &Value::Null));
}

fn an_attempt_names_its_process_also_when_that_has_ended(database: &dyn Database) {
    let project = Project::new(database, &Orders::default());
    project.day("2024-03-01", "a,one,x\n");
    for command in ["load", "load", "retry"] {
        project.exit(4, &[command, "2024-03-01"]);
    }
    let api = Api::start(&project, database);
    let day = api.get("/api/v1/datasets/orders/days/2024-03-01");
    let attempts = day["load_attempts"].as_array().unwrap();
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let pids: BTreeSet<u64> = attempts.iter().filter_map(|it| it["pid"].as_u64()).collect();
    assert_eq!(pids.len(), 3, "each was a process of its own: {day}");
    for attempt in attempts {
        assert_eq!(attempt["host"], host.trim(), "{attempt}");
    }
    assert_eq!(database.line("select count(*) from workers"), "1", "only this one is left");
    database.execute("update load_attempts set host = null, pid = null");
    let day = api.get("/api/v1/datasets/orders/days/2024-03-01");
    let attempt = &day["load_attempts"][0];
    assert_eq!((&attempt["host"], &attempt["pid"]), (&Value::Null, &Value::Null), "of an older version");
}

fn attempts_are_numbered_over_all_series(database: &dyn Database) {
    let project = Project::new(database, &Orders::default());
    project.day("2024-03-01", "a,one,x\n");
    for command in ["load", "load", "retry"] {
        project.exit(4, &[command, "2024-03-01"]);
    }
    let api = Api::start(&project, database);
    let day = api.get("/api/v1/datasets/orders/days/2024-03-01");
    let attempts = day["load_attempts"].as_array().unwrap();
    let numbers: Vec<_> = attempts.iter().map(|it| (it["number"].as_u64(), it["attempt"].as_u64())).collect();
    assert_eq!(numbers, [(Some(3), Some(1)), (Some(2), Some(2)), (Some(1), Some(1))]);

    // The oldest ones are not told any more, and the others keep their numbers.
    let many = "with recursive n (i) as (select 1 union all select i + 1 from n where i < 100)
        insert into load_attempts (claim, dataset, day, attempt, trigger, worker, started_at, finished_at, outcome)
        select cast(i as text), dataset, day, i, trigger, worker, started_at, finished_at, outcome
        from load_attempts, n where attempt = 2";
    database.execute(many);
    let day = api.get("/api/v1/datasets/orders/days/2024-03-01");
    let attempts = day["load_attempts"].as_array().unwrap();
    let numbers: Vec<u64> = attempts.iter().filter_map(|it| it["number"].as_u64()).collect();
    assert_eq!(numbers, (4..=103).rev().collect::<Vec<_>>());
}

fn the_configuration_is_shown_without_secrets_and_with_what_was_refused(database: &dyn Database) {
    let secret = Orders {
        source: "url = \"https://me:hunter2@127.0.0.1/{day}.csv?sig=hunter2\"".to_owned(),
        ..Orders::default()
    };
    let project = Project::new(database, &secret);
    project.write("dayfill.toml", "[claim]\nlease = \"60s\"\n");
    let api = Api::start(&project, database);
    let all = [api.get("/api/v1/configuration"), api.get("/api/v1/datasets"), api.get("/api/v1/datasets/orders")];
    assert!(!json!(all).to_string().contains("hunter2"), "{all:?}");
    let [configuration, datasets, _] = all;
    assert_eq!(configuration["keys"]["claim.lease"], "\"60s\"");
    assert_eq!(configuration["keys"]["datasets/orders.toml target.table"], "\"orders\"");
    let origin = |key: &str| configuration["origins"][key].as_str().unwrap_or_default().to_owned();
    assert_eq!(origin("claim.lease"), project.path("dayfill.toml").display().to_string());
    assert_eq!(origin("datasets/orders.toml target.table"), project.path("datasets/orders.toml").display().to_string());
    assert_eq!(
        (&configuration["keys"]["retry.max_attempts"], origin("retry.max_attempts")),
        (&json!("5"), "default".into())
    );
    let named = |field: &str| configuration[field].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(named("keys"), named("origins"));
    assert_eq!(datasets["datasets"][0]["source"], "https://***@127.0.0.1/{day}.csv?sig=***");
    assert!(configuration["refused_config"].is_null());

    project.replace("dayfill.toml", "[claim]\nlease = \"soon\"\n");
    wait_until("the bad file is refused", || api.get("/api/v1/configuration")["refused_config"].is_string());
    let configuration = api.get("/api/v1/configuration");
    assert!(configuration["refused_config"].as_str().unwrap().contains("claim.lease"), "{configuration}");
    assert_eq!(configuration["keys"]["claim.lease"], "\"60s\"", "the old one is in force");
    let answer = api.page().get("/readyz", &[]);
    assert_eq!((answer.status, answer.code()), (503, "configuration".to_owned()));
    assert!(!answer.body.contains("claim.lease"), "everybody may ask: {answer:?}");
    assert_eq!(api.page().get("/healthz", &[]).status, 200);

    project.replace("dayfill.toml", "[claim]\nlease = \"30s\"\n");
    wait_until("it is mended", || api.page().get("/readyz", &[]).status == 200);
    assert_eq!(api.get("/api/v1/configuration")["keys"]["claim.lease"], "\"30s\"");
}

fn a_broken_dataset_is_a_warning_for_readiness_and_is_shown_with_its_problems(database: &dyn Database) {
    let project = Project::new(database, &Orders::default());
    project.write("dayfill.toml", "[claim]\nlease = \"60s\"\n");
    let api = Api::start(&project, database);
    assert_eq!(api.get("/api/v1/configuration")["broken_datasets"], json!([]));
    assert!(!api.page().get("/readyz", &[]).body.contains("warnings"));

    project.replace("datasets/returns.toml", "[source]\nurl = \"{day}.csv\"\n");
    project.orders(&Orders { max_rejected: "1 percent", ..Orders::default() });
    let broken = || api.get("/api/v1/configuration")["broken_datasets"].clone();
    wait_until("both are seen", || broken().as_array().is_some_and(|all| all.len() == 2));
    let all = broken();
    let of = |at: usize| (all[at]["dataset"].as_str().unwrap(), all[at]["older_in_force"].as_bool().unwrap());
    assert_eq!([of(0), of(1)], [("orders", true), ("returns", false)]);
    assert!(all[0]["problems"][0].as_str().unwrap().contains("1 percent"), "{all}");
    let answer = api.page().get("/readyz", &[]);
    assert_eq!(answer.status, 200, "the others are loaded: {answer:?}");
    assert!(answer.body.contains("2 datasets cannot be used"), "{answer:?}");
    assert!(!answer.body.contains("orders") && !answer.body.contains("percent"), "everybody may ask: {answer:?}");
    let datasets = api.get("/api/v1/datasets");
    let names: Vec<&str> =
        datasets["datasets"].as_array().unwrap().iter().map(|it| it["dataset"].as_str().unwrap()).collect();
    assert_eq!(names, ["orders"], "its older definition is at work");
}

fn late_days_and_pauses_are_told_of_a_dataset(database: &dyn Database) {
    let late = Orders {
        schedule: nightly("2024-03-01", "2024-03-02"),
        sections: "[waiting]\ndeadline = \"07:30\"",
        ..Orders::default()
    };
    let project = Project::new(database, &late);
    project.day("2024-03-01", "a,1,x\n");
    project.succeed(&["catch-up"]);
    let api = Api::start(&project, database);
    api.wait_for("orders", "late", &json!(1));
    let dataset = api.get("/api/v1/datasets/orders");
    let attention = json!([{"day": "2024-03-02", "state": "waiting", "late": true, "error": "no such file"}]);
    assert_eq!(dataset["attention"], attention);
    assert_eq!(dataset["recent"][1]["late"], true);

    for reason in [json!("the table moves"), Value::Null] {
        api.done("orders", &json!({"action": "pause", "reason": reason}));
        wait_until("it is paused", || api.get("/api/v1/datasets/orders")["paused"]["who"] == "robot");
        let paused = &api.get("/api/v1/datasets/orders")["paused"];
        assert!(paused["at"].is_string(), "{paused}");
        assert_eq!(paused.get("reason"), Some(&reason));
        assert_eq!(status(&project)["paused"], *paused);
        let told = project.succeed(&["status"]).stdout;
        let why = reason.as_str().map_or_else(String::new, |reason| format!(": {reason}"));
        assert!(told.contains(&format!("\npaused since {} by robot{why}\n", paused["at"].as_str().unwrap())), "{told}");
        // Who, since when and why belong together: those of the first who paused it.
        api.done("orders", &json!({"action": "pause", "reason": "again"}));
        assert_eq!(database.line("select coalesce(reason, '-') from paused_datasets"), reason.as_str().unwrap_or("-"));
        api.done("orders", &json!({"action": "resume"}));
        api.wait_for("orders", "paused", &Value::Null);
    }
}
