//! What is said of many days, and of loaded days with rejected rows: by `catch-up`, `status` and the log.

use std::fmt::Write as _;

use rustix::process::Signal;

use crate::support::daemon;
use crate::support::project::{Orders, Project, nightly, states};
use crate::support::sqlite::SqliteDatabase;
use crate::support::{Database, on_both, wait_until};

on_both! {
    loaded_days_with_rejected_rows_are_told_of
    days_without_files_share_a_line
    status_shows_what_is_not_loaded_and_the_last_days
    a_retry_takes_what_failed_was_refused_or_is_absent_and_nothing_else
    a_retry_takes_the_days_of_all_datasets_where_that_is_asked_for
    a_dataset_is_paused_and_resumed_by_commands
    what_is_done_by_commands_is_in_the_activity_log
}

/// A thousand wanted days.
fn years() -> Orders {
    Orders { schedule: nightly("2021-06-06", "2024-03-01"), ..Orders::default() }
}

fn loaded_days_with_rejected_rows_are_told_of(database: &dyn Database) {
    let project = Project::new(database, &Orders { max_rejected: "50%", ..Orders::default() });
    project.day("2024-03-01", "a,1,x\nb,abc,\n");
    project.day("2024-03-02", "a,1,x\n");
    let ran = project.succeed(&["catch-up", "--to", "2024-03-02"]);
    assert!(ran.stderr.contains("orders 2024-03-01: loaded 1 row, 1 rejected in "), "{}", ran.stderr);
    assert!(ran.stderr.contains("orders 2024-03-02: loaded 1 row in "), "{}", ran.stderr);
    assert!(ran.stdout.ends_with("\n2 loaded (1 with rejected rows)\n"), "{}", ran.stdout);
    let status = project.succeed(&["status", "--to", "2024-03-02"]).stdout;
    assert!(status.starts_with("orders into orders: 2 loaded (1 with rejected rows); "), "{status}");
    assert!(
        status.lines().any(|line| line.starts_with("2024-03-01") && line.ends_with("  1 line rejected")),
        "{status}"
    );
    let log = ["load", "2024-03-01", "--force", "--log-format", "json"];
    let log = project.succeed(&log).stderr;
    let line = log.lines().find(|line| line.contains("loaded 1 row, 1 rejected")).unwrap();
    let line: serde_json::Value = serde_json::from_str(line).unwrap();
    assert_eq!((&line["rows"], &line["rejected"]), (&1.into(), &1.into()));
}

fn days_without_files_share_a_line(database: &dyn Database) {
    let project = Project::new(database, &years());
    project.day("2023-01-01", "a,1,x\n");
    let plan = project.succeed(&["catch-up", "--dry-run"]).stdout;
    assert_eq!(plan.lines().count(), 2, "{plan}");
    assert!(plan.contains("orders   2021-06-06..2024-03-01  tried     1000 days: missing\n"), "{plan}");
    let ran = project.succeed(&["catch-up"]);
    let days: Vec<&str> = ran.stdout.lines().filter(|line| line.starts_with("orders")).collect();
    assert_eq!(days.len(), 3, "{}", ran.stdout);
    assert!(days[0].starts_with("orders   2021-06-06..2022-12-31  waiting"), "{}", days[0]);
    assert!(days[0].ends_with("  574 days: no such file"), "{}", days[0]);
    assert!(days[1].starts_with("orders   2023-01-01              loaded"), "{}", days[1]);
    assert!(
        ran.stdout
            .ends_with("1 loaded, 999 waiting for a file: orders 2021-06-06..2022-12-31, 2023-01-02..2024-03-01\n"),
        "{}",
        ran.stdout
    );
    let said: Vec<&str> = ran.stderr.lines().filter(|line| line.contains("no such file")).collect();
    assert_eq!(said.len(), 1, "{}", ran.stderr);
    let runs = "orders: 999 days waiting: no such file (2021-06-06..2022-12-31, 2023-01-02..2024-03-01)";
    assert!(said[0].ends_with(runs), "{}", said[0]);
    let status = project.succeed(&["status"]).stdout;
    let days: Vec<&str> = status.lines().filter(|line| line.starts_with("202")).collect();
    assert_eq!(days.len(), 2, "{status}");
    assert!(days[0].starts_with("2021-06-06..2022-12-31  waiting"), "{status}");
    assert!(days[0].contains("  574 days: no such file; next look "), "{status}");
}

fn status_shows_what_is_not_loaded_and_the_last_days(database: &dyn Database) {
    let project = Project::new(database, &Orders { schedule: nightly("2024-01-01", "2024-03-01"), ..years() });
    project.exit(0, &["migrate"]);
    let mut rows = String::new();
    for day in 1..=29 {
        for month in [1, 2] {
            let state = if (month, day) == (1, 9) { "refused" } else { "loaded" };
            let _ = write!(
                rows,
                "{}('orders', '2024-0{month}-{day:02}', '{state}', 1, '2024-03-01 00:00:00', 7)",
                if rows.is_empty() { "" } else { ", " }
            );
        }
    }
    database.execute(&format!(
        "insert into processed_days (dataset, day, state, attempts, loaded_at, rows_loaded) values {rows}"
    ));
    database.execute("update processed_days set newer_etag = 'new' where day = '2024-01-15'");
    let days = |arguments: &[&str]| {
        let said = project.succeed(&[&["status"], arguments].concat()).stdout;
        said.lines()
            .filter(|line| line.starts_with("2024"))
            .map(|line| line.split(' ').next().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let newest = days(&[]);
    assert_eq!(newest[..3], ["2024-01-09", "2024-01-15", "2024-01-30..2024-01-31"], "{newest:?}");
    assert_eq!(newest.len(), 3 + 14, "{newest:?}");
    let said = project.succeed(&["status"]).stdout;
    assert!(said.contains("\nand 43 older loaded days, with --all\n"), "{said}");
    assert_eq!(days(&["--all"]).len(), 61);
    assert_eq!(days(&["--from", "2024-01-01", "--to", "2024-01-31"]).len(), 30);
}

/// A day of each state, all wanted; 2024-02-01 is refused and not wanted.
fn one_of_each(database: &dyn Database, project: &Project) {
    project.succeed(&["migrate"]);
    let day = |day: &str, state: &str| format!("('orders', '{day}', '{state}', 5, '2024-03-01 00:00:00', 1)");
    let days = [
        day("2024-02-01", "refused"),
        day("2024-03-01", "loaded"),
        day("2024-03-02", "failed").replace("'2024-03-01 00:00:00'", "null"),
        day("2024-03-03", "refused").replace("'2024-03-01 00:00:00'", "null"),
        day("2024-03-04", "absent").replace("'2024-03-01 00:00:00'", "null"),
        day("2024-03-05", "skipped").replace("'2024-03-01 00:00:00'", "null"),
        day("2024-03-06", "waiting").replace("'2024-03-01 00:00:00'", "null"),
    ];
    let columns = "dataset, day, state, attempts, loaded_at, rows_loaded";
    database.execute(&format!("insert into processed_days ({columns}) values {}", days.join(", ")));
}

fn a_retry_takes_what_failed_was_refused_or_is_absent_and_nothing_else(database: &dyn Database) {
    let project = Project::new(database, &Orders::default());
    one_of_each(database, &project);
    let all = "2024-02-01..2024-03-07";
    let tried = |arguments: &[&str]| {
        let said = project.succeed(&[&["retry", "--dry-run"], arguments].concat()).stdout;
        let days = said.lines().filter(|line| line.contains("  tried  ") || line.contains(" tried "));
        days.map(|line| line.split_whitespace().nth(1).unwrap().to_owned()).collect::<Vec<_>>()
    };
    let before = states(database);
    assert_eq!(tried(&[all]), ["2024-03-02..2024-03-04"]);
    assert_eq!(tried(&["--failed"]), ["2024-03-02"]);
    assert_eq!(tried(&["--refused", "--absent", "--all-datasets"]), ["2024-03-03..2024-03-04"]);
    assert_eq!(tried(&["--absent", "2024-03-01..2024-03-03"]), Vec::<String>::new());
    assert_eq!(states(database), before, "a dry run touches nothing");
    project.exit(2, &["retry"]);
    for day in ["2024-02-01", "2024-03-01", "2024-03-02", "2024-03-03", "2024-03-04", "2024-03-05", "2024-03-06"] {
        project.day(day, "a,1,x\n");
    }
    let ran = project.succeed(&["retry", all]);
    assert!(ran.stdout.ends_with("\n3 loaded\n"), "{}", ran.stdout);
    for (why, days) in [
        ("loaded", "2024-03-01"),
        ("missing", "2024-03-07"),
        ("not wanted", "2024-02-01..2024-02-29"),
        ("skipped", "2024-03-05"),
        ("waiting", "2024-03-06"),
    ] {
        assert!(ran.stdout.contains(&format!("orders: left alone, {why}: {days}; ")), "{why}: {}", ran.stdout);
    }
    let after = "select cast(day as text) as d, state from processed_days order by day";
    assert_eq!(
        database.lines(after),
        [
            "2024-02-01|refused",
            "2024-03-01|loaded",
            "2024-03-02|loaded",
            "2024-03-03|loaded",
            "2024-03-04|loaded",
            "2024-03-05|skipped",
            "2024-03-06|waiting"
        ]
    );
    assert_eq!(project.succeed(&["retry", "--failed"]).stdout, "nothing to retry\n");
}

fn a_retry_takes_the_days_of_all_datasets_where_that_is_asked_for(database: &dyn Database) {
    let project = Project::new(database, &Orders::default());
    project.dataset("returns", &Orders { table: "returns", ..Orders::default() });
    project.succeed(&["migrate"]);
    let failed = ["orders", "returns"].map(|dataset| format!("('{dataset}', '2024-03-01', 'failed', 5)"));
    database
        .execute(&format!("insert into processed_days (dataset, day, state, attempts) values {}", failed.join(", ")));
    project.day("2024-03-01", "a,1,x\n");
    let ran = project.succeed(&["retry", "--failed", "--all-datasets"]);
    assert!(ran.stdout.ends_with("\n2 loaded\n"), "{}", ran.stdout);
}

fn a_dataset_is_paused_and_resumed_by_commands(database: &dyn Database) {
    let project = Project::new(database, &Orders::default());
    let said = |arguments: &[&str]| project.succeed(arguments).stdout;
    assert!(said(&["pause", "--reason", "the table moves"]).starts_with("orders: paused: "));
    assert_eq!(said(&["pause"]), "orders: paused already\n");
    let status = said(&["status"]);
    let paused = status.lines().find(|line| line.starts_with("paused since ")).unwrap();
    assert!(paused.ends_with(": the table moves") && paused.contains('@'), "{paused}");
    assert!(said(&["resume"]).starts_with("orders: resumed: "));
    assert_eq!(said(&["resume"]), "orders: not paused\n");
    assert!(!said(&["status"]).contains("paused"));
}

fn what_is_done_by_commands_is_in_the_activity_log(database: &dyn Database) {
    let project = Project::new(database, &Orders { max_rejected: "0", ..Orders::default() });
    project.day("2024-03-01", "a,1,x\n");
    project.day("2024-03-02", "a,abc,x\n");
    project.exit(4, &["load", "2024-03-01..2024-03-03", "2024-03-07"]);
    project.exit(0, &["load", "2024-03-01", "--force"]);
    project.exit(4, &["retry", "2024-03-02"]);
    project.exit(1, &["skip", "2024-03-01..2024-03-03", "--reason", "a holiday"]);
    project.succeed(&["forget", "2024-03-03"]);
    project.succeed(&["pause", "--reason", "the table moves"]);
    project.succeed(&["resume"]);
    let columns = "action, cast(from_day as text) as first, cast(to_day as text) as last, reason, outcome";
    assert_eq!(
        database.lines(&format!("select {columns} from activity_log order by id")),
        [
            "load|2024-03-01|2024-03-03|null|done: 3 days: 1 loaded, 1 refused, 1 waiting",
            "load|2024-03-07|2024-03-07|null|done: 1 day: 1 waiting",
            "reload|2024-03-01|2024-03-01|null|done: 1 day: 1 loaded",
            "retry|2024-03-02|2024-03-02|failed, refused, absent days|done: 1 day: 1 refused",
            "skip|2024-03-01|2024-03-03|a holiday|done: 3 days: 2 skipped, 1 left alone",
            "forget|2024-03-03|2024-03-03|null|done: 1 day: 1 forgotten",
            "pause|null|null|the table moves|done",
            "resume|null|null|null|done",
        ]
    );
    let user = String::from_utf8(std::process::Command::new("id").arg("-un").output().unwrap().stdout).unwrap();
    let who = database.lines("select distinct who from activity_log");
    assert!(who.len() == 1 && who[0].starts_with(&format!("{}@", user.trim())), "{who:?}");
}

#[test]
fn years_without_files_take_a_line_per_run_of_days_in_the_daemons_log_too() {
    let database = SqliteDatabase::new();
    // The days are looked at one after the other: by when each was looked at, each would come due alone.
    let sections = "[waiting]\npoll = \"5s\"\ngive_up_after = \"4s\"\nabsent_days = 0\n";
    let orders = |first| Orders { schedule: nightly(first, "2024-03-01"), sections, ..Orders::default() };
    let project = daemon::project(&database, &daemon::Settings::default(), &orders("2024-03-01"));
    project.day("2024-03-01", "a,1,x\n");
    let mut daemon = daemon::run(&project);
    daemon.wait_for("orders 2024-03-01: loaded 1 row");
    project.orders(&orders("2023-08-01"));
    daemon.signal(Signal::HUP);
    daemon.wait_for("orders: 213 days waiting: no such file (2023-08-01..2024-02-29)");
    let absent = "select count(*) from processed_days where state = 'absent'";
    wait_until("they are absent", || database.line(absent) == "213");
    daemon.signal(Signal::TERM);
    let log = daemon.end().stderr;
    let lines = log.lines().filter(|line| line.contains("no such file")).count();
    assert!(lines < 60, "{lines} lines\n{log}");
}
