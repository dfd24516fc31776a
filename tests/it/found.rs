//! Bugs that were found, each by the test that showed it.

use crate::support::project::{Orders, Project, Ran, rows, states};
use crate::support::slow_http::SlowHttp;
use crate::support::sqlite::SqliteDatabase;
use crate::support::{Database, on_both};

on_both! {
    a_derived_copy_of_the_key_does_not_hide_it
    a_table_named_as_a_temporary_one_would_be
    a_column_with_a_default_may_be_not_null
    an_upsert_rejects_doubles_beside_a_newer_day_too
    a_refused_reload_leaves_the_rejects_of_the_loaded_file
    a_header_with_nul_bytes_refuses_the_day_and_no_other
    a_day_in_another_table_can_be_skipped_and_forgotten
    a_table_under_another_spelling_is_no_other_table
    a_misspelt_column_in_quotes_is_an_error
    a_retry_leaves_a_loaded_day_as_it_is
    days_that_are_held_back_are_shown_with_the_day_that_holds_them
    a_running_day_shows_nothing_of_the_attempt_before
    a_file_that_does_not_rest_yet_is_not_said_to_be_missing
}

fn a_derived_copy_of_the_key_does_not_hide_it(database: &dyn Database) {
    let project = Project::new(database, &Orders::default());
    let toml = std::fs::read_to_string(project.path("datasets/orders.toml")).unwrap();
    let derive = "derive = [{ name = \"id_text\", type = \"text\", sql = \"id\" }, ";
    project.write("datasets/orders.toml", toml.replace("derive = [", derive));
    project.day("2024-03-01", "b,1,x\na,2,\n");
    project.succeed(&["load", "2024-03-01"]);
    assert_eq!(database.lines("select id, id_text from orders order by id"), ["a|a", "b|b"]);
}

fn a_table_named_as_a_temporary_one_would_be(database: &dyn Database) {
    for table in ["stage", "doubles"] {
        let project = Project::new(database, &Orders { table, max_rejected: "1", ..Orders::default() });
        project.day("2024-03-01", "a,1,x\na,2,\n");
        project.succeed(&["load", "2024-03-01", "--force"]);
        assert_eq!(database.line(&format!("select count(*) from {table}")), "1");
    }
}

fn a_column_with_a_default_may_be_not_null(database: &dyn Database) {
    let columns = "{ name = \"city\", type = \"text\", default = \"nowhere\" },";
    let project = Project::new(database, &Orders { columns, ..Orders::default() });
    database.execute(
        "create table orders (id text not null, amount bigint, note text, city text not null, \
         has_note boolean not null, file_date date not null, created_at timestamp, primary key (file_date, id))",
    );
    // The time of the load is kept as an instant.
    if database.url().starts_with("postgres") {
        database.execute("alter table orders alter column created_at type timestamptz");
    }
    project.write("days/2024-03-01.csv", "id,amount,note,city\na,1,x,\n");
    project.succeed(&["load", "2024-03-01"]);
    assert_eq!(database.line("select city from orders"), "nowhere");
}

fn an_upsert_rejects_doubles_beside_a_newer_day_too(database: &dyn Database) {
    let project = Project::new(database, &Orders { mode: "upsert", max_rejected: "1", ..Orders::default() });
    project.day("2024-03-02", "a,2,newer\n");
    project.succeed(&["load", "2024-03-02"]);
    project.day("2024-03-01", "a,1,x\na,3,\n");
    project.succeed(&["load", "2024-03-01"]);
    let counts = "select rows_loaded, rows_rejected from processed_days where day = '2024-03-01'";
    assert_eq!(database.line(counts), "1|1");
    assert_eq!(rows(database), ["a|2|newer|yes|2024-03-02"]);
}

fn a_refused_reload_leaves_the_rejects_of_the_loaded_file(database: &dyn Database) {
    let project = Project::new(database, &Orders { max_rejected: "1", ..Orders::default() });
    project.day("2024-03-01", "a,1,x\nb,wrong,\n");
    project.succeed(&["load", "2024-03-01"]);
    let kept = "select line, value from rejected_rows order by line";
    assert_eq!(database.lines(kept), ["3|wrong"]);
    project.day("2024-03-01", "a,no,x\nb,no,\n");
    project.exit(4, &["load", "2024-03-01", "--force"]);
    assert_eq!(database.lines(kept), ["3|wrong"]);
    std::fs::remove_file(project.path("days/2024-03-01.csv")).unwrap();
    project.exit(1, &["load", "2024-03-01", "--force"]);
    let errors = database.lines("select outcome from load_attempts where error is not null order by started_at");
    assert_eq!(errors, ["refused", "failed"], "the attempt tells that the file was gone");
}

fn a_header_with_nul_bytes_refuses_the_day_and_no_other(database: &dyn Database) {
    let project = Project::new(database, &Orders::default());
    let utf16: Vec<u8> = "id,amount,note,,\na,1,x,,\n".bytes().flat_map(|byte| [byte, 0]).collect();
    project.write("days/2024-03-01.csv", utf16);
    project.day("2024-03-02", "a,1,x\n");
    let ran = project.exit(4, &["catch-up", "--to", "2024-03-02"]);
    assert!(!ran.stdout.contains('\0'), "{}", ran.stdout);
    assert_eq!(states(database), ["2024-03-01|refused", "2024-03-02|loaded"]);
}

fn a_day_in_another_table_can_be_skipped_and_forgotten(database: &dyn Database) {
    let project = Project::new(database, &Orders::default());
    project.succeed(&["skip", "2024-03-01", "--dataset", "orders@other"]);
    assert_eq!(database.line("select dataset, state from processed_days"), "orders@other|skipped");
    project.succeed(&["forget", "2024-03-01", "--dataset", "orders@other"]);
    assert_eq!(database.line("select count(*) from processed_days"), "0");
}

fn a_table_under_another_spelling_is_no_other_table(database: &dyn Database) {
    let project = Project::new(database, &Orders::default());
    let schema = if database.url().starts_with("postgres") { "public" } else { "main" };
    let rival = std::fs::read_to_string(project.path("datasets/orders.toml")).unwrap();
    let rival = rival.replace("table = \"orders\"", &format!("table = \"{schema}.orders\""));
    project.write("datasets/rival.toml", rival);
    let ran = project.exit(3, &["catch-up"]);
    assert!(ran.stderr.contains("each would delete the other's rows"), "{}", ran.stderr);
}

fn a_misspelt_column_in_quotes_is_an_error(database: &dyn Database) {
    let filter = "\\\"amuont\\\" is not null";
    let project = Project::new(database, &Orders { filter, ..Orders::default() });
    let ran = project.exit(3, &["check"]);
    assert!(ran.stdout.contains("rows.where") && ran.stdout.contains("amuont"), "{}", ran.stdout);
}

#[test]
fn many_days_are_listed_in_runs_dataset_by_dataset() {
    let database = SqliteDatabase::new();
    let project = Project::new(&database, &Orders::default());
    let returns = Orders { source: "url = \"returns-{day}.csv\"".to_owned(), table: "returns", ..Orders::default() };
    project.dataset("returns", &returns);
    let loaded = ["2024-03-03", "2024-03-05", "2024-03-07", "2024-03-09", "2024-03-11", "2024-03-13", "2024-03-14"];
    for day in loaded {
        project.day(day, "a,1,x\n");
    }
    let ran = project.succeed(&["catch-up"]);
    let waiting = "3 loaded, 11 waiting for a file: orders 2024-03-01..2024-03-02, 2024-03-04, 2024-03-06; \
                   returns 2024-03-01..2024-03-07\n";
    assert!(ran.stdout.ends_with(waiting), "{}", ran.stdout);
    project.succeed(&[&["load", "--dataset", "orders"], &loaded[3..]].concat());
    project.orders(&Orders { filter: "amount > 0", ..Orders::default() });
    let ran = project.succeed(&["status", "--dataset", "orders"]);
    let older = "2024-03-03, 2024-03-05, 2024-03-07, 2024-03-09, 2024-03-11 and 2 more days\n";
    assert!(ran.stdout.contains(older) && ran.stdout.contains("loads the first of them again"), "{}", ran.stdout);
    project.succeed(&hinted(&ran.stdout)[0]);
    let ran = project.succeed(&["status", "--dataset", "orders"]);
    assert!(ran.stdout.contains("older definition of the dataset: 2024-03-13..2024-03-14\n"), "{}", ran.stdout);
    project.succeed(&hinted(&ran.stdout)[0]);
    assert!(!project.succeed(&["status"]).stdout.contains("older definition"));
}

/// The commands that a text names between backticks, as they would be pasted into a shell.
fn hinted(text: &str) -> Vec<Vec<&str>> {
    let commands = text.split('`').filter_map(|part| part.strip_prefix("dayfill "));
    commands.map(|command| command.split(' ').collect()).collect()
}

#[test]
fn the_hint_at_a_loaded_day_loads_it_again_and_no_other_datasets_day() {
    let database = SqliteDatabase::new();
    let project = Project::new(&database, &Orders::default());
    project.dataset("returns", &Orders { table: "returns", ..Orders::default() });
    project.day("2024-03-01", "a,1,x\n");
    project.succeed(&["load", "2024-03-01"]);
    let copy = ["--dataset", "orders", "--table-name", "other"];
    project.succeed(&[&["run-etl", "--start-date", "2024-03-01", "--end-date", "2024-03-01"], &copy[..]].concat());
    let attempts =
        || database.lines("select dataset, count(*) as n from load_attempts group by dataset order by dataset");
    assert_eq!(attempts(), ["orders|1", "orders@other|1", "returns|1"]);
    let both = project.succeed(&["load", "2024-03-01"]).stdout;
    let other = project.succeed(&["load", "2024-03-01", "--dataset", "orders@other"]).stdout;
    let [orders, returns] = &hinted(&both)[..] else { panic!("{both}") };
    project.succeed(orders);
    assert_eq!(attempts(), ["orders|2", "orders@other|1", "returns|1"]);
    project.succeed(returns);
    project.succeed(&hinted(&other)[0]);
    assert_eq!(attempts(), ["orders|2", "orders@other|2", "returns|2"]);
    // What is kept apart must not get into another dataset's table.
    for command in ["load", "retry"] {
        let ran = project.exit(2, &[command, "2024-03-02", "--dataset", "orders@returns"]);
        assert_eq!(ran.stderr, "error: returns is the table of the dataset returns: the two would mix\n", "{command}");
    }
}

fn a_retry_leaves_a_loaded_day_as_it_is(database: &dyn Database) {
    let project = Project::new(database, &Orders { max_rejected: "0", ..Orders::default() });
    for rows in ["a,no number,x\n", "a,1,x\n"] {
        project.day("2024-03-01", rows);
        project.run(&["catch-up", "--to", "2024-03-01"]);
    }
    project.day("2024-03-02", "a,no number,x\n");
    project.exit(4, &["load", "2024-03-01..2024-03-02"]);
    project.succeed(&["skip", "2024-03-03"]);
    // So that a new series would show.
    database.execute("update processed_days set attempts = 3");
    let first = "select state, attempts, cast(loaded_at as text) as l, cast(started_at as text) as s, rows_loaded, \
                 source_hash from processed_days where day = '2024-03-01'";
    let before = database.line(first);
    assert!(before.starts_with("loaded|3|"), "{before}");
    for day in ["2024-03-02", "2024-03-03"] {
        project.day(day, "a,1,x\n");
    }
    let ran = project.succeed(&["retry", "2024-03-01..2024-03-03"]);
    let hint = "orders: left alone, loaded: 2024-03-01; `dayfill load --force 2024-03-01 --dataset orders` loads such a \
                day again\n";
    assert!(ran.stdout.contains(hint) && ran.stdout.ends_with("1 loaded\n"), "{}", ran.stdout);
    assert_eq!(database.line(first), before);
    let others = "select state, attempts from processed_days where day > '2024-03-01' order by day";
    assert_eq!(database.lines(others), ["loaded|1", "skipped|3"], "a refused day begins a new series");
}

fn days_that_are_held_back_are_shown_with_the_day_that_holds_them(database: &dyn Database) {
    let sections = "[catch_up]\nstop_on_failure = true\n";
    let project = Project::new(database, &Orders { max_rejected: "0", sections, ..Orders::default() });
    for (day, rows) in [("2024-03-01", "a,1,x\n"), ("2024-03-02", "a,no number,x\n"), ("2024-03-04", "a,1,x\n")] {
        project.day(day, rows);
    }
    project.succeed(&["load", "2024-03-04"]);
    project.exit(4, &["catch-up"]);
    assert_eq!(states(database), ["2024-03-01|loaded", "2024-03-02|refused", "2024-03-04|loaded"]);

    let why = "held back by 2024-03-02, which failed or was refused";
    let held = ["2024-03-03", "2024-03-05", "2024-03-06", "2024-03-07"];
    let lines = |text: &str| {
        let lines = text.lines().filter(|line| line.ends_with(why));
        lines.map(|line| line.trim_end_matches(why).trim_end().to_owned()).collect::<Vec<_>>()
    };
    let expected = |write: &dyn Fn(&str) -> String| held.iter().map(|day| write(day)).collect::<Vec<_>>();
    let shown = lines(&project.succeed(&["status", "--all"]).stdout);
    assert_eq!(shown, expected(&|day| format!("{day}  missing")));
    let shown = lines(&project.succeed(&["catch-up", "--dry-run"]).stdout);
    assert_eq!(
        shown,
        ["orders   2024-03-03              left alone", "orders   2024-03-05..2024-03-07  left alone  3 days:"]
    );

    // The day that holds them need not be among those that are shown.
    let status = project.succeed(&["status", "--json", "--from", "2024-03-03"]).stdout;
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    let by: Vec<_> = status["datasets"][0]["days"].as_array().unwrap().iter().map(|day| &day["held_back_by"]).collect();
    let (by_it, free) = (serde_json::json!("2024-03-02"), serde_json::Value::Null);
    assert_eq!(by, [&by_it, &free, &by_it, &by_it, &by_it], "a loaded day is not held back");

    let ran = project.succeed(&["catch-up"]);
    let said = format!("orders: 4 days {why}");
    assert_eq!(ran.stderr.lines().filter(|line| line.ends_with(&said)).count(), 1, "{}", ran.stderr);
    project.succeed(&["skip", "2024-03-02"]);
    for command in [&["status"][..], &["catch-up", "--dry-run"], &["catch-up"]] {
        let ran = project.succeed(command);
        assert!(!format!("{}{}", ran.stdout, ran.stderr).contains("held back"), "{ran:#?}");
    }
}

fn a_running_day_shows_nothing_of_the_attempt_before(database: &dyn Database) {
    let server = SlowHttp::start();
    let project = Project::new(database, &Orders { source: server.source(), max_rejected: "0", ..Orders::default() });
    let (waited, refused, loaded) = ("2024-03-01", "2024-03-02", "2024-03-03");
    server.day(refused, "a,no number,x\n");
    server.day(loaded, "a,1,x\n");
    project.exit(4, &["catch-up", "--to", loaded]);
    assert_eq!(
        states(database),
        [format!("{waited}|waiting"), format!("{refused}|refused"), format!("{loaded}|loaded")]
    );
    let day_of = |day: &str| {
        let status = project.succeed(&["status", "--json", "--from", day, "--to", day]).stdout;
        serde_json::from_str::<serde_json::Value>(&status).unwrap()["datasets"][0]["days"][0].clone()
    };
    for day in [waited, refused, loaded] {
        let before = day_of(day);
        server.day(day, "a,2,x\n");
        server.hold_next(day);
        let loading = project.start(&["load", day, "--force"]);
        server.wait_until_held(day);
        let during = day_of(day);
        let shown = project.succeed(&["status", "--from", day, "--to", day]).stdout;
        let line = shown.lines().find(|line| line.starts_with(day)).unwrap().to_owned();
        server.release(day);
        assert!(loading.wait_with_output().unwrap().status.success());
        assert_eq!(during["state"], "running", "{during}");
        for field in ["error", "next_attempt_at", "finished_at"] {
            assert!(during[field].is_null(), "{field}: {during}");
        }
        for field in ["rows_read", "rows_rejected", "rows_loaded"] {
            // What the target holds is so until the reload has published.
            let expected = if day == loaded { &before[field] } else { &serde_json::Value::Null };
            assert_eq!(&during[field], expected, "{field}: {during}");
        }
        let words: Vec<&str> = line.split_whitespace().collect();
        let Some(at) = words.iter().position(|word| *word == "since") else { panic!("{line}") };
        // `running since` a time, and nothing else, stands behind what is known of the day.
        let (known, since) = words.split_at(at - 1);
        assert_eq!((since[0], since.len()), ("running", 3), "{line}");
        let expected = if day == loaded { vec![day, "running", "1", "0", "0", "1"] } else { vec![day, "running", "1"] };
        assert!(known == expected || day == refused && known == [day, "running", "2"], "{line}");
    }
}

fn a_file_that_does_not_rest_yet_is_not_said_to_be_missing(database: &dyn Database) {
    let source = "url = \"days/{day}.csv\"\nsettle = \"1d\"".to_owned();
    let project = Project::new(database, &Orders { source, ..Orders::default() });
    project.day("2024-03-01", "a,1,x\n");
    let file = std::fs::File::options().write(true).open(project.path("days/2024-03-01.csv")).unwrap();
    file.set_modified(std::time::UNIX_EPOCH).unwrap();
    project.succeed(&["load", "2024-03-01"]);
    file.set_modified(std::time::SystemTime::now()).unwrap();
    let ran = project.exit(1, &["load", "2024-03-01", "--force"]);
    let said = "; settle is 86400 s; the day stays loaded as it was";
    let attempt = database.line("select error, log from load_attempts where attempt = 1 and outcome = 'failed'");
    for text in [&ran.stdout, &ran.stderr, &attempt] {
        assert!(text.contains("changed ") && text.contains("settle is 86400 s"), "{text}");
        assert!(!text.contains("not there") && !text.contains("no such file"), "{text}");
    }
    assert!(ran.stdout.contains(said), "{}", ran.stdout);
}

#[test]
fn a_dry_run_leaves_the_journal_of_a_file_as_it_is() {
    let database = SqliteDatabase::new();
    database.execute("create table other (n)");
    let project = Project::new(&database, &Orders::default());
    for command in [&["catch-up", "--dry-run"][..], &["status"], &["check"]] {
        project.succeed(command);
        assert_eq!(database.line("pragma journal_mode"), "delete", "{command:?}");
    }
}

#[test]
fn a_file_behind_a_link_has_the_same_living_workers() {
    let database = SqliteDatabase::new();
    let server = SlowHttp::start();
    let project = Project::new(&database, &Orders { source: server.source(), ..Orders::default() });
    server.day("2024-03-01", "a,1,x\n");
    let link = project.path("link.db");
    std::os::unix::fs::symlink(database.url().trim_start_matches("sqlite:"), &link).unwrap();
    let through_the_link = |arguments: &[&str]| {
        let mut command = project.command(arguments);
        command.env("DAYFILL__DATABASE__URL", format!("sqlite:{}", link.display()));
        command
    };
    server.hold_next("2024-03-01");
    let loading = through_the_link(&["load", "2024-03-01"]).spawn().unwrap();
    server.wait_until_held("2024-03-01");
    let ran = Ran::of(&mut through_the_link(&["skip", "2024-03-01"]));
    server.release("2024-03-01");
    let loaded = loading.wait_with_output().unwrap();
    assert_eq!((ran.code, ran.stdout.as_str()), (1, "orders 2024-03-01: being loaded by another process\n"));
    assert!(loaded.status.success());
    assert_eq!(states(&database), ["2024-03-01|loaded"]);
}
