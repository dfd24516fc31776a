//! Old rows of a day that cannot be deleted, rows that are gone, and what else only a person can cure: it is said where
//! people look, and holds up nothing else.

use serde_json::json;

use crate::support::api::Api;
use crate::support::daemon::{self, Settings};
use crate::support::postgres::TestPostgres;
use crate::support::project::{FIRST, Orders, Project, nightly, rows};
use crate::support::{Database, on_both, wait_until};

on_both! {
    a_day_whose_old_rows_cannot_be_deleted_holds_up_no_other
    an_order_for_such_a_day_ends_and_later_ones_go_on
    a_target_that_does_not_fit_is_told_of_by_status
    days_whose_rows_are_gone_are_told_of_until_they_are_loaded_again
    a_skipped_day_that_is_tried_after_all_has_no_reason_any_more
}

const SECOND: &str = "2024-03-02";

/// Has the database refuse that rows of the first day are deleted.
fn forbid(database: &dyn Database) {
    database.execute(if database.url().starts_with("postgres") {
        "create function forbid() returns trigger language plpgsql as $$ begin \
         if old.file_date = date '2024-03-01' then raise exception 'append only, not %', old.id; end if; \
         return old; end $$; \
         create trigger forbids before delete on orders for each row execute function forbid()"
    } else {
        "create trigger forbids before delete on orders when old.file_date = '2024-03-01' \
         begin select raise(abort, 'append only'); end"
    });
}

fn allow(database: &dyn Database) {
    let of = if database.url().starts_with("postgres") { " on orders" } else { "" };
    database.execute(&format!("drop trigger forbids{of}"));
}

/// How the attempts at a day ended, oldest first.
fn outcomes(database: &dyn Database, day: &str) -> Vec<String> {
    database.lines(&format!("select outcome from load_attempts where day = '{day}' order by started_at"))
}

fn a_day_whose_old_rows_cannot_be_deleted_holds_up_no_other(database: &dyn Database) {
    let project = Project::new(database, &Orders::default());
    for day in [FIRST, SECOND] {
        project.day(day, "a,1,x\n");
    }
    project.succeed(&["load", "2024-03-01..2024-03-02"]);
    forbid(database);
    for day in [FIRST, SECOND] {
        project.day(day, "a,2,x\n");
    }
    let ran = project.exit(1, &["load", "2024-03-01..2024-03-02", "--force"]);
    let said = "orders 2024-03-01: failed: taking the day's old rows out of the target: ";
    assert!(ran.stderr.contains(said) && ran.stderr.contains("the day stays loaded as it was"), "{ran:#?}");
    assert_eq!(rows(database), ["a|1|x|yes|2024-03-01", "a|2|x|yes|2024-03-02"]);
    assert_eq!(outcomes(database, FIRST), ["loaded", "database"]);
    let status = |words: &str| {
        let ran = project.succeed(&["status"]);
        let line = ran.stdout.lines().find(|line| line.starts_with(FIRST)).map(ToOwned::to_owned).unwrap_or_default();
        assert!(line.contains("loaded"), "{ran:#?}");
        line.contains(words)
    };
    assert!(status("the database rejected its last reload, the rows are those from before: taking the day's old rows"));
    assert!(status("append only"));
    allow(database);
    project.succeed(&["load", FIRST, "--force"]);
    assert!(!status("reload"));
}

fn an_order_for_such_a_day_ends_and_later_ones_go_on(database: &dyn Database) {
    let orders = Orders { schedule: nightly(FIRST, SECOND), ..Orders::default() };
    let project = daemon::project(database, &Settings::default(), &orders);
    for day in [FIRST, SECOND] {
        project.day(day, "a,1,x\n");
    }
    project.succeed(&["catch-up"]);
    forbid(database);
    let api = Api::start(&project, database);
    api.done("orders", &json!({"action": "reload", "from": FIRST}));
    api.done("orders", &json!({"action": "reload", "from": SECOND}));
    wait_until("the later order is done", || outcomes(database, SECOND) == ["loaded", "loaded"]);
    api.done("orders", &json!({"action": "reload", "from": FIRST, "to": SECOND}));
    wait_until("and the one after that", || outcomes(database, SECOND).len() == 3);
    assert_eq!(outcomes(database, FIRST), ["loaded", "database", "database"], "once for each order");
    assert!(api.daemon().status().datasets[&"orders".parse().unwrap()].trouble.is_none());
    let day = api.get("/api/v1/datasets/orders/days/2024-03-01");
    let why = day["status"]["reload_error"].as_str();
    assert!(why.is_some_and(|why| why.contains("append only")), "{day:#}");
}

fn a_target_that_does_not_fit_is_told_of_by_status(database: &dyn Database) {
    let project = Project::new(database, &Orders::default());
    project.day(FIRST, "a,1,x\n");
    project.succeed(&["load", FIRST]);
    assert!(!project.succeed(&["status"]).stdout.contains("problem"), "all is well");
    database.execute("drop table orders; create table orders (other integer)");
    let ran = project.succeed(&["status"]);
    assert!(ran.stdout.contains("problem: table orders cannot take the rows:\n"), "{ran:#?}");
    let json = project.succeed(&["status", "--json"]).stdout;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let problem = json["datasets"][0]["problems"][0].as_str().unwrap_or_default();
    assert!(problem.starts_with("table orders cannot take the rows:"), "{json:#}");
}

fn days_whose_rows_are_gone_are_told_of_until_they_are_loaded_again(database: &dyn Database) {
    for mode in ["replace_day", "upsert"] {
        let table = if mode == "upsert" { "others" } else { "orders" };
        let project = Project::new(database, &Orders { mode, table, ..Orders::default() });
        for day in [FIRST, SECOND] {
            project.day(day, "a,1,x\n");
        }
        project.succeed(&["load", "2024-03-01..2024-03-02", "--force"]);
        let told = |words: &str| {
            let (check, status) = (project.succeed(&["check"]).stdout, project.succeed(&["status"]).stdout);
            let (check, status) = (check.replace('\n', " "), status.replace('\n', " "));
            (check.contains(words), status.contains(words))
        };
        assert_eq!(told("recorded as loaded"), (false, false), "{mode}");
        database.execute(&format!("drop table {table}"));
        assert_eq!(told("2 days recorded as loaded "), (true, true), "{mode}");
        // It is made anew, and days go on coming.
        project.succeed(&["load", "2024-03-03"]);
        let words = format!("2 days recorded as loaded have no rows in table {table}, which is empty (2024-03-01..");
        let words = if mode == "upsert" { words } else { words.replace(", which is empty", "") };
        assert_eq!(told(&words), (true, true), "{mode}");
        if mode == "upsert" {
            continue;
        }
        project.day("2024-03-03", "a,1,x\n");
        project.succeed(&["load", "2024-03-03"]);
        assert_eq!(told(&words), (true, true), "also when the newest day is there");
        assert_eq!(
            told("`dayfill load --force 2024-03-01..2024-03-02 --dataset orders` loads them again"),
            (true, true)
        );
        project.succeed(&["load", "2024-03-01", "--force"]);
        assert_eq!(told("1 day recorded as loaded "), (true, true));
        project.succeed(&["forget", SECOND]);
        project.succeed(&["skip", SECOND, "--reason", "removed"]);
        assert_eq!(told("recorded as loaded"), (false, false), "a person knows");
    }
}

fn a_skipped_day_that_is_tried_after_all_has_no_reason_any_more(database: &dyn Database) {
    let project = Project::new(database, &Orders { max_rejected: "0", ..Orders::default() });
    for (day, rows, code, state) in [(FIRST, "a,1,x\n", 0, "loaded"), (SECOND, "a,abc,x\n", 4, "refused")] {
        project.succeed(&["skip", day, "--reason", "a holiday"]);
        project.day(day, rows);
        project.exit(code, &["load", day]);
        let row = format!("select state, note from processed_days where day = '{day}'");
        assert_eq!(database.line(&row), format!("{state}|null"));
        assert!(!project.succeed(&["status"]).stdout.contains("a holiday"));
    }
}

#[test]
fn what_keeps_a_day_from_the_first_load_fails_it_and_spends_no_attempt() {
    let database = TestPostgres::database();
    let project = Project::new(&database, &Orders::default());
    project.day(SECOND, "a,1,x\n");
    project.succeed(&["load", SECOND]);
    let blocked = "select state, attempts, next_attempt_at > now() at time zone 'utc' + interval '50 minutes' \
                   from processed_days where day = '2024-03-01'";
    project.day(FIRST, "a,1,x\n");
    for (setup, cure, words) in [
        (
            "create function unknown() returns trigger language plpgsql as $$ begin \
             perform no_such_function(); return null; end $$; \
             create trigger unknown before delete on orders for each statement execute function unknown()",
            "drop trigger unknown on orders",
            "no_such_function",
        ),
        (
            "create trigger written before insert on orders for each row execute function unknown()",
            "drop trigger written on orders",
            "no_such_function",
        ),
    ] {
        database.execute(setup);
        project.exit(1, &["load", FIRST]);
        assert_eq!(database.line(blocked), "failed|0|true", "{setup}");
        assert!(project.succeed(&["status"]).stdout.contains(words), "{setup}");
        database.execute(cure);
    }
    project.succeed(&["load", FIRST]);
    assert_eq!(database.line("select state, attempts from processed_days where day = '2024-03-01'"), "loaded|1");
    // What keeps every day from being loaded has not every day's file read in vain.
    database.execute("create trigger written before insert on orders for each row execute function unknown()");
    for day in ["2024-03-04", "2024-03-05", "2024-03-06", "2024-03-07", "2024-03-08"] {
        project.day(day, "a,1,x\n");
    }
    let ran = project.exit(1, &["load", "2024-03-04..2024-03-08"]);
    assert!(ran.stdout.contains("3 failed, 2 not tried"), "{ran:#?}");
    database.execute("drop trigger written on orders");
    // A row of another table that refers to the day's rows refuses their deletion.
    database.execute(
        "create table holding (day date, id text, foreign key (day, id) references orders (file_date, id)); \
         insert into holding values ('2024-03-01', 'a')",
    );
    let ran = project.exit(1, &["load", "2024-03-01..2024-03-02", "--force"]);
    assert!(ran.stdout.contains("1 loaded, 1 failed"), "{ran:#?}");
    assert!(project.succeed(&["status"]).stdout.contains("is still referenced from table \"holding\""));
}
