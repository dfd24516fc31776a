//! What holds for both databases: loading, the modes, the states, what a person does to days.

use crate::support::project::{Orders, Project, Ran, rows, states};
use crate::support::{Database, on_both};

on_both! {
    a_catch_up_fills_every_hole_and_a_second_one_finds_nothing_to_do
    a_dry_run_touches_nothing
    rows_are_filtered_derived_and_stamped
    replace_day_holds_exactly_the_files_rows
    insert_new_keeps_the_first
    upsert_keeps_the_latest_day
    a_doubled_key_is_rejected_naming_its_first_line
    doubled_keys_count_against_the_limit
    a_header_only_file_is_a_loaded_day
    too_many_rejects_refuse_the_day_and_are_kept
    a_refused_day_is_left_until_it_is_retried
    a_failed_reload_leaves_the_day_loaded_as_it_was
    a_failed_day_does_not_stop_the_others_and_attempts_run_out
    an_older_definition_is_named
    skip_and_forget
    a_column_new_in_the_dataset_is_added_to_the_table
    a_table_that_cannot_take_the_rows_is_named_at_the_start
    wrong_sql_is_named_at_the_start
    two_catch_ups_at_once_publish_each_day_once
    run_etl_speaks_as_the_original_and_keeps_other_tables_apart
    status_as_json_tells_all
}

fn attempts(database: &dyn Database) -> Vec<String> {
    database.lines("select cast(day as text) as d, attempt, outcome from load_attempts order by started_at, day")
}

fn a_catch_up_fills_every_hole_and_a_second_one_finds_nothing_to_do(database: &dyn Database) {
    let project = Project::new(database, &Orders::default());
    for day in ["2024-03-01", "2024-03-02", "2024-03-04", "2024-03-05", "2024-03-06", "2024-03-07"] {
        project.day(day, "a,1,x\nb,2,\n");
    }
    let ran = project.succeed(&["catch-up"]);
    assert!(ran.stdout.ends_with("6 loaded, 1 waiting for a file: orders 2024-03-03\n"), "{}", ran.stdout);
    assert_eq!(database.line("select count(*) from orders"), "12");
    assert_eq!(states(database)[2], "2024-03-03|waiting");
    assert_eq!(attempts(database).len(), 6, "a file that is not there costs no attempt");

    // The hole in the middle is filled, and nothing else is touched.
    let before = database
        .lines("select cast(day as text) as d, loaded_at from processed_days where state = 'loaded' order by day");
    project.day("2024-03-03", "a,1,x\n");
    let ran = project.succeed(&["catch-up"]);
    assert!(ran.stdout.ends_with("1 loaded\n"), "{}", ran.stdout);
    let after = database
        .lines("select cast(day as text) as d, loaded_at from processed_days where day <> '2024-03-03' order by day");
    assert_eq!(before, after);

    let ran = project.succeed(&["catch-up"]);
    assert!(ran.stdout.starts_with("nothing to do"), "{}", ran.stdout);
    assert_eq!(database.line("select count(*) from workers"), "0", "who ends well signs off");
    let ran = project.exit(5, &["load", "2024-03-09", "--strict"]);
    assert!(ran.stdout.contains("waiting for a file: orders 2024-03-09"), "{}", ran.stdout);
}

fn a_dry_run_touches_nothing(database: &dyn Database) {
    let project = Project::new(database, &Orders::default());
    project.day("2024-03-01", "a,1,x\n");
    let ran = project.succeed(&["catch-up", "--dry-run", "--to", "2024-03-02"]);
    assert_eq!(
        ran.stdout,
        "DATASET  DAY                     WOULD BE  BECAUSE\norders   2024-03-01..2024-03-02  tried     2 days: missing\n"
    );
    let tables = if database.url().starts_with("postgres") {
        database.line("select count(*) from pg_tables where schemaname = 'public'")
    } else {
        // Not even the file was made.
        u8::from(std::path::Path::new(database.url().trim_start_matches("sqlite:")).exists()).to_string()
    };
    assert_eq!(tables, "0");
    project.succeed(&["catch-up", "--to", "2024-03-02"]);
    let ran = project.succeed(&["catch-up", "--dry-run", "--to", "2024-03-02"]);
    assert!(ran.stdout.contains("2024-03-02  tried     its file was not there; look again"), "{}", ran.stdout);
    assert!(!ran.stdout.contains("2024-03-01"), "{}", ran.stdout);
}

fn rows_are_filtered_derived_and_stamped(database: &dyn Database) {
    let project = Project::new(database, &Orders::default());
    project.day("2024-03-01", "a,1,x\nb,-1,gone\nc,N/A,\n\"d, e\",3,\"two\nlines\"\n");
    project.succeed(&["load", "2024-03-01"]);
    assert_eq!(
        rows(database),
        ["a|1|x|yes|2024-03-01", "c|null|null|no|2024-03-01", "d, e|3|two\nlines|yes|2024-03-01"]
    );
    assert_eq!(
        database.line("select rows_read, rows_filtered, rows_rejected, rows_loaded from processed_days"),
        "4|1|0|3"
    );
    assert_eq!(database.line("select count(*) from orders where created_at is null"), "0");
    assert_eq!(database.line("select length(source_hash), length(definition_hash) from processed_days"), "64|66");
}

fn replace_day_holds_exactly_the_files_rows(database: &dyn Database) {
    let project = Project::new(database, &Orders::default());
    project.day("2024-03-01", "a,1,x\nb,2,\n");
    project.day("2024-03-02", "a,10,\n");
    project.succeed(&["catch-up"]);
    let first = rows(database);
    project.succeed(&["load", "2024-03-01..2024-03-02", "--force"]);
    assert_eq!(rows(database), first, "the second time changes nothing more");
    project.day("2024-03-01", "b,3,\nc,4,\n");
    project.succeed(&["load", "2024-03-01", "--force"]);
    assert_eq!(
        rows(database),
        ["b|3|null|no|2024-03-01", "c|4|null|no|2024-03-01", "a|10|null|no|2024-03-02"],
        "a row that vanished from the file is gone"
    );
}

fn insert_new_keeps_the_first(database: &dyn Database) {
    let project = Project::new(database, &Orders { mode: "insert_new", ..Orders::default() });
    project.day("2024-03-01", "a,1,x\nb,2,\na,9,doubled\n");
    project.day("2024-03-02", "a,10,\nc,3,\n");
    for _ in 0..2 {
        project.succeed(&["load", "2024-03-01..2024-03-02", "--force"]);
        assert_eq!(rows(database), ["a|1|x|yes|2024-03-01", "b|2|null|no|2024-03-01", "c|3|null|no|2024-03-02"]);
    }
    let loaded = database.lines("select rows_loaded from processed_days order by day");
    assert_eq!(loaded, ["3", "2"], "rows after the filter count, there already or not");
}

fn upsert_keeps_the_latest_day(database: &dyn Database) {
    let project = Project::new(database, &Orders { mode: "upsert", ..Orders::default() });
    project.day("2024-03-02", "a,2,second\nb,2,second\n");
    project.succeed(&["load", "2024-03-02"]);
    project.day("2024-03-01", "a,1,first\nc,1,first\n");
    project.day("2024-03-03", "b,3,third\n");
    for _ in 0..2 {
        project.succeed(&["load", "2024-03-01", "--force"]);
        project.succeed(&["load", "2024-03-03", "--force"]);
        assert_eq!(
            rows(database),
            ["c|1|first|yes|2024-03-01", "a|2|second|yes|2024-03-02", "b|3|third|yes|2024-03-03"],
            "an older day that comes late leaves the newer day's row"
        );
    }
}

fn a_doubled_key_is_rejected_naming_its_first_line(database: &dyn Database) {
    for mode in ["replace_day", "upsert"] {
        let project = Project::new(database, &Orders { mode, table: mode, max_rejected: "2", ..Orders::default() });
        project.day("2024-03-01", "a,1,x\nb,-1,filtered\nb,2,\na,3,\nb,4,\nb,-2,filtered\n");
        project.succeed(&["load", "2024-03-01", "--force"]);
        assert_eq!(
            database.lines(&format!("select id, amount from {mode} order by id")),
            ["a|1", "b|2"],
            "{mode}: rows that the filter leaves out double nothing"
        );
        assert_eq!(
            database.lines("select line, column_name, value, reason from rejected_rows order by line"),
            ["5|id|a|is the key of line 2 already", "6|id|b|is the key of line 4 already"]
        );
        assert_eq!(
            database.line("select rows_read, rows_filtered, rows_rejected, rows_loaded from processed_days"),
            "6|2|2|2"
        );
    }
}

fn doubled_keys_count_against_the_limit(database: &dyn Database) {
    let project = Project::new(database, &Orders { max_rejected: "1", ..Orders::default() });
    project.day("2024-03-01", "a,1,x\na,2,\na,3,\n");
    let ran = project.exit(4, &["load", "2024-03-01"]);
    assert!(ran.stdout.contains("2 of 3 rows rejected (66.7%), the limit is 1"), "{}", ran.stdout);
    assert_eq!(states(database), ["2024-03-01|refused"]);
    assert_eq!(database.line("select count(*) from orders"), "0");
    assert_eq!(database.line("select count(*) from rejected_rows"), "2");
}

fn a_header_only_file_is_a_loaded_day(database: &dyn Database) {
    let project = Project::new(database, &Orders::default());
    project.day("2024-03-01", "");
    project.succeed(&["load", "2024-03-01"]);
    assert_eq!(database.line("select state, rows_loaded from processed_days"), "loaded|0");
    project.write("days/2024-03-02.csv", "");
    let ran = project.exit(4, &["load", "2024-03-02"]);
    assert!(ran.stdout.contains("empty"), "{}", ran.stdout);
}

fn too_many_rejects_refuse_the_day_and_are_kept(database: &dyn Database) {
    let project = Project::new(database, &Orders { max_rejected: "1", ..Orders::default() });
    project.day("2024-03-01", "a,abc,x\n,2,\nb,3\nc,4,\n");
    let ran = project.exit(4, &["catch-up", "--to", "2024-03-01"]);
    assert!(
        ran.stdout.contains(
            "3 of 4 rows rejected (75.0%), the limit is 1; the first: line 2, column amount: \"abc\" is not a bigint"
        ),
        "{}",
        ran.stdout
    );
    assert_eq!(database.line("select count(*) from orders"), "0");
    assert_eq!(
        database.line("select state, rows_read, rows_rejected, rows_loaded from processed_days"),
        "refused|4|3|null"
    );
    let kept = database.lines("select line, column_name, value from rejected_rows order by line");
    assert_eq!(kept, ["2|amount|abc", "3|id|null", "4|null|b,3"]);

    // Within the limit the rest is loaded, and the rejects are those of the new attempt.
    project.day("2024-03-01", "a,1,x\nb,1e3,\n");
    project.succeed(&["retry", "2024-03-01"]);
    assert_eq!(rows(database), ["a|1|x|yes|2024-03-01"]);
    assert_eq!(database.lines("select line, value from rejected_rows"), ["3|1e3"]);
}

fn a_refused_day_is_left_until_it_is_retried(database: &dyn Database) {
    let project = Project::new(database, &Orders { max_rejected: "0", ..Orders::default() });
    project.day("2024-03-01", "a,abc,x\n");
    project.exit(4, &["catch-up", "--to", "2024-03-01"]);
    project.day("2024-03-01", "a,1,x\n");
    let ran = project.succeed(&["catch-up", "--to", "2024-03-01"]);
    assert!(ran.stdout.starts_with("nothing to do"), "{}", ran.stdout);
    project.succeed(&["retry", "2024-03-01"]);
    assert_eq!(states(database), ["2024-03-01|loaded"]);
}

fn a_failed_reload_leaves_the_day_loaded_as_it_was(database: &dyn Database) {
    let project = Project::new(database, &Orders { max_rejected: "0", ..Orders::default() });
    project.day("2024-03-01", "a,1,x\n");
    project.succeed(&["load", "2024-03-01"]);
    let day =
        "select state, attempts, cast(loaded_at as text) as l, source_hash, rows_loaded, error from processed_days";
    let (before, rows_before) = (database.line(day), rows(database));

    project.day("2024-03-01", "a,abc,x\n");
    let ran = project.exit(4, &["load", "2024-03-01", "--force"]);
    assert_eq!(database.line(day), before, "refused");
    assert_stays_loaded(&ran, "1 of 1 row rejected (100.0%), the limit is 0");
    std::fs::remove_file(project.path("days/2024-03-01.csv")).unwrap();
    let ran = project.exit(1, &["load", "2024-03-01", "--force"]);
    assert_eq!(database.line(day), before, "its file is gone");
    assert_stays_loaded(&ran, "no file to take: no such file");
    let span = ["--start-date", "2024-03-01", "--end-date", "2024-03-01"];
    let ran = project.exit(1, &[&["run-etl", "--dataset", "orders"], &span[..]].concat());
    let said = "Failed 2024-03-01: no file to take: no such file; the day stays loaded as it was\n";
    assert!(ran.stdout.ends_with(said), "{}", ran.stdout);
    std::fs::create_dir(project.path("days/2024-03-01.csv")).unwrap();
    let ran = project.exit(1, &["load", "2024-03-01", "--force"]);
    assert_eq!(database.line(day), before, "failed");
    assert_stays_loaded(&ran, "is a folder, not a file");
    assert_eq!(rows(database), rows_before);
    let outcomes = database.lines("select outcome, error is not null as e from load_attempts order by started_at");
    let names: Vec<&str> = outcomes.iter().filter_map(|outcome| outcome.split('|').next()).collect();
    assert_eq!(names, ["loaded", "refused", "failed", "failed", "failed"], "the attempts hold what went wrong");
}

/// Table and log say why the day was not loaded again, and that it is loaded all the same.
fn assert_stays_loaded(ran: &Ran, why: &str) {
    for text in [&ran.stdout, &ran.stderr] {
        let line = text.lines().find(|line| line.contains(why)).unwrap_or_else(|| panic!("{why}: {ran:#?}"));
        assert!(line.ends_with("; the day stays loaded as it was"), "{line}");
    }
    // A loaded day is not tried again by itself.
    assert!(!ran.stdout.contains("left)") && !ran.stderr.contains(" left"), "{ran:#?}");
}

fn a_failed_day_does_not_stop_the_others_and_attempts_run_out(database: &dyn Database) {
    let project = Project::new(database, &Orders::default());
    project.write("dayfill.toml", "[retry]\nmax_attempts = 2\n");
    std::fs::create_dir(project.path("days/2024-03-01.csv")).unwrap();
    project.day("2024-03-02", "a,1,x\n");
    for left in ["1 attempt", "0 attempts"] {
        let ran = project.exit(1, &["catch-up", "--to", "2024-03-02"]);
        assert!(ran.stdout.contains(&format!("({left} left)")), "{}", ran.stdout);
        assert_eq!(states(database), ["2024-03-01|failed", "2024-03-02|loaded"]);
    }
    let ran = project.succeed(&["catch-up", "--to", "2024-03-02"]);
    assert!(ran.stdout.starts_with("nothing to do"), "{}", ran.stdout);
    assert_eq!(database.line("select attempts, next_attempt_at from processed_days where state = 'failed'"), "2|null");
    // A person starts a new series.
    project.exit(1, &["retry", "2024-03-01"]);
    assert_eq!(database.line("select attempts from processed_days where state = 'failed'"), "1");
}

fn an_older_definition_is_named(database: &dyn Database) {
    let project = Project::new(database, &Orders::default());
    project.day("2024-03-01", "a,1,x\n");
    project.succeed(&["load", "2024-03-01"]);
    assert!(!project.succeed(&["status"]).stdout.contains("older definition"));
    project.orders(&Orders { filter: "amount > 0", ..Orders::default() });
    let ran = project.succeed(&["status"]);
    assert!(
        ran.stdout.contains("loaded by an older definition") && ran.stdout.contains(": 2024-03-01\n"),
        "{}",
        ran.stdout
    );
    project.succeed(&["load", "2024-03-01", "--force"]);
    assert!(!project.succeed(&["status"]).stdout.contains("older definition"));
}

fn skip_and_forget(database: &dyn Database) {
    let project = Project::new(database, &Orders::default());
    project.day("2024-03-01", "a,1,x\n");
    project.day("2024-03-02", "a,1,x\n");
    let ran = project.succeed(&["skip", "2024-03-01", "--reason", "test data"]);
    assert_eq!(ran.stdout, "orders 2024-03-01: skipped (it was missing)\n");
    project.succeed(&["catch-up", "--to", "2024-03-02"]);
    assert_eq!(states(database), ["2024-03-01|skipped", "2024-03-02|loaded"]);
    assert_eq!(database.line("select note from processed_days where state = 'skipped'"), "test data");
    let ran = project.exit(1, &["skip", "2024-03-02"]);
    assert_eq!(ran.stdout, "orders 2024-03-02: a day that is loaded cannot be skipped\n");
    project.succeed(&["forget", "2024-03-01..2024-03-02"]);
    assert_eq!(states(database), Vec::<String>::new());
    assert_eq!(rows(database).len(), 1, "forgetting leaves the target's rows");
    project.succeed(&["catch-up", "--to", "2024-03-02"]);
    assert_eq!(rows(database).len(), 2);
}

fn a_column_new_in_the_dataset_is_added_to_the_table(database: &dyn Database) {
    let project = Project::new(database, &Orders::default());
    project.day("2024-03-01", "a,1,x\n");
    project.succeed(&["load", "2024-03-01"]);
    project.orders(&Orders { columns: "{ name = \"city\", type = \"text\", optional = true },", ..Orders::default() });
    project.write("days/2024-03-02.csv", "city,id,amount,note\nParis,b,2,\n");
    project.succeed(&["catch-up", "--to", "2024-03-02"]);
    assert_eq!(database.lines("select id, city from orders order by id"), ["a|null", "b|Paris"]);
    // The file may lack it, and the header's order does not matter.
    project.day("2024-03-03", "c,1,\n");
    project.succeed(&["load", "2024-03-03"]);
    assert_eq!(database.line("select count(*) from orders where city is null"), "2");
}

fn a_table_that_cannot_take_the_rows_is_named_at_the_start(database: &dyn Database) {
    let project = Project::new(database, &Orders::default());
    project.day("2024-03-01", "a,1,x\n");
    database.execute(
        "create table orders (id text primary key, amount bigint, note text, has_note boolean, \
         file_date date not null, created_at text not null, shop text not null)",
    );
    let ran = project.exit(3, &["catch-up"]);
    assert!(ran.stderr.contains("orders: table orders cannot take the rows:"), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("its primary key must be (file_date, id) for mode replace_day, it is (id)"),
        "{}",
        ran.stderr
    );
    assert!(ran.stderr.contains("column shop is not null and has no default"), "{}", ran.stderr);
    assert_eq!(database.line("select count(*) from processed_days"), "0");
    if database.url().starts_with("postgres") {
        assert!(
            ran.stderr.contains(
                "alter table \"orders\" drop constraint \"orders_pkey\", add primary key (\"file_date\", \"id\");"
            ),
            "{}",
            ran.stderr
        );
    }
}

fn wrong_sql_is_named_at_the_start(database: &dyn Database) {
    let project = Project::new(database, &Orders { filter: "amout > 0", ..Orders::default() });
    project.day("2024-03-01", "a,1,x\n");
    let ran = project.exit(3, &["catch-up"]);
    assert!(ran.stderr.contains("orders: rows.where:") && ran.stderr.contains("amout"), "{}", ran.stderr);
    let ran = project.exit(3, &["check"]);
    assert!(ran.stdout.contains("rows.where") && ran.stdout.contains("amout"), "{}", ran.stdout);
    project.orders(&Orders { derive: "upper(nothing)", ..Orders::default() });
    let ran = project.exit(3, &["catch-up"]);
    assert!(ran.stderr.contains("orders: rows.derive[0].sql (has_note):"), "{}", ran.stderr);
    // It would fail if there were one.
    database.execute("create table orders (n integer)");
}

fn two_catch_ups_at_once_publish_each_day_once(database: &dyn Database) {
    let project = Project::new(database, &Orders::default());
    let days: Vec<String> = (1..=7).map(|day| format!("2024-03-0{day}")).collect();
    for day in &days {
        let rows: Vec<String> = (0..500).map(|row| format!("{row},1,x\n")).collect();
        project.day(day, &rows.concat());
    }
    let running: Vec<_> = (0..3).map(|_| project.start(&["catch-up"])).collect();
    for child in running {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(!String::from_utf8_lossy(&output.stderr).contains("locked"));
    }
    assert_eq!(database.line("select count(*) from orders"), "3500");
    let published = database.lines(
        "select cast(day as text) as d, count(*) from load_attempts where outcome = 'loaded' group by day order by day",
    );
    assert_eq!(published, days.iter().map(|day| format!("{day}|1")).collect::<Vec<_>>());
    assert_eq!(database.line("select count(*) from load_attempts"), "7");
}

fn run_etl_speaks_as_the_original_and_keeps_other_tables_apart(database: &dyn Database) {
    let project = Project::new(database, &Orders::default());
    project.day("2024-03-01", "a,1,x\nb,-1,\n");
    let arguments = ["run-etl", "--start-date", "2024-03-01", "--end-date", "2024-03-02", "--table-name", "other"];
    let expected = "Processing data for 2024-03-01\nExtracted 2 rows\nTransformed data: 1 rows\n\
                    Loaded 1 rows to other\nProcessing data for 2024-03-02\nNo file for 2024-03-02 yet: no such file\n\
                    ETL process completed for all dates\n";
    for _ in 0..2 {
        assert_eq!(project.succeed(&arguments).stdout, expected, "days already loaded are loaded again");
    }
    assert_eq!(database.line("select count(*) from other"), "1");
    assert_eq!(
        database.lines("select dataset, state from processed_days order by day"),
        ["orders@other|loaded", "orders@other|waiting"]
    );
    let ran = project.succeed(&["status", "--dataset", "orders@other"]);
    assert!(ran.stdout.starts_with("orders@other into other: 1 loaded, 1 waiting"), "{}", ran.stdout);
}

fn status_as_json_tells_all(database: &dyn Database) {
    let project = Project::new(database, &Orders::default());
    project.day("2024-03-01", "a,1,x\nb,-1,\n");
    project.succeed(&["catch-up", "--to", "2024-03-02"]);
    let ran = project.succeed(&["status", "--json"]);
    let status: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let orders = &status["datasets"][0];
    assert_eq!(orders["dataset"], "orders");
    assert_eq!(orders["counts"], serde_json::json!({ "loaded": 1, "waiting": 1, "missing": 5 }));
    let day = &orders["days"][0];
    for (field, value) in
        [("rows_read", 2), ("rows_filtered", 1), ("rows_rejected", 0), ("rows_loaded", 1), ("attempts", 1)]
    {
        assert_eq!(day[field], value, "{field}");
    }
    assert_eq!((&day["day"], &day["state"]), (&"2024-03-01".into(), &"loaded".into()));
    assert_eq!(day["older_definition"], false);
    assert!(day["loaded_at"].as_str().unwrap().ends_with('Z') && day["duration_ms"].is_number());
    assert_eq!(orders["days"].as_array().unwrap().len(), 7);
}
