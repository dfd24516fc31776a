//! Databases of earlier versions: one that migration 0001 made and filled, kept in `tests/data/upgrade`, and the way
//! back through every `down.sql`.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::api::Api;
use crate::support::project::{Orders, Project, rows, states};
use crate::support::{Database, on_both};

on_both! {
    a_database_of_the_first_migration_is_upgraded_and_its_days_are_read_and_loaded
    every_migration_goes_back_to_what_was_there_before_and_comes_again
}

/// The state tables that migration 0001 made.
const FIRST_TABLES: [&str; 4] = ["processed_days", "load_attempts", "rejected_rows", "workers"];

/// In the order of their times, so that those of today come last.
const ATTEMPTS: &str = "select cast(day as text) as d, attempt, outcome from load_attempts order by started_at";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn dialect(database: &dyn Database) -> &'static str {
    if database.url().starts_with("postgres") { "postgres" } else { "sqlite" }
}

/// Makes what dayfill had made and noted when migration 0001 was its newest.
fn fill_as_of_0001(database: &dyn Database) {
    let read = |name: String| fs::read_to_string(root().join("tests/data/upgrade").join(name)).unwrap();
    // One text: on PostgreSQL the time zone that it sets is its session's.
    database.execute(&(read(format!("0001_{}.sql", dialect(database))) + &read("0001_rows.sql".to_owned())));
}

/// The folders of the migrations, oldest first.
fn migrations(database: &dyn Database) -> Vec<PathBuf> {
    let folder = fs::read_dir(root().join("migrations").join(dialect(database))).unwrap();
    let mut folders: Vec<PathBuf> = folder.map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    folders
}

fn name(migration: &Path) -> &str {
    migration.file_name().unwrap().to_str().unwrap()
}

fn a_database_of_the_first_migration_is_upgraded_and_its_days_are_read_and_loaded(database: &dyn Database) {
    fill_as_of_0001(database);
    let project = Project::new(database, &Orders::default());
    let later: Vec<String> = migrations(database).iter().skip(1).map(|folder| name(folder).to_owned()).collect();
    let listed = |what: &str| later.iter().map(|name| format!("{what} {name}\n")).collect::<Vec<_>>().concat();

    let ran = project.exit(1, &["status"]);
    assert!(ran.stderr.contains("`dayfill migrate` brings them up to date"), "{ran:#?}");
    assert_eq!(project.succeed(&["migrate", "--dry-run"]).stdout, listed("would apply"));
    assert_eq!(project.succeed(&["migrate"]).stdout, listed("applied"));
    assert_eq!(project.succeed(&["migrate"]).stdout, "the state tables are up to date\n");

    let status: Value = serde_json::from_str(&project.succeed(&["status", "--json"]).stdout).unwrap();
    let orders = &status["datasets"][0];
    let counts = json!({
        "absent": 1, "loaded": 1, "refused": 1, "waiting": 1, "failed": 1, "running": 1, "skipped": 1, "missing": 1
    });
    assert_eq!(orders["counts"], counts);
    let day = |day: &str| orders["days"].as_array().unwrap().iter().find(|found| found["day"] == day).unwrap();
    let loaded = day("2024-03-01");
    for (field, value) in [
        ("rows_read", json!(4)),
        ("rows_filtered", json!(1)),
        ("rows_rejected", json!(1)),
        ("rows_loaded", json!(2)),
        ("loaded_at", json!("2024-03-02T02:00:03.612Z")),
        ("source_url", json!("/data/orders/2024-03-01.csv")),
        ("newer_file", json!(false)),
    ] {
        assert_eq!(loaded[field], value, "{field}");
    }
    assert_eq!(day("2024-03-06")["note"], "a holiday");
    assert_eq!(day("2024-03-04")["error"], "/data/orders/2024-03-04.csv is a folder, not a file");
    let before =
        database.lines("select * from processed_days where state in ('loaded', 'refused', 'skipped', 'absent')");
    for day in ["2024-03-03", "2024-03-04", "2024-03-05", "2024-03-07"] {
        project.day(day, "c,3,\n");
    }
    let ran = project.succeed(&["catch-up"]);
    assert!(ran.stdout.ends_with("4 loaded\n"), "{ran:#?}");
    let now = [
        "2024-02-28|absent",
        "2024-03-01|loaded",
        "2024-03-02|refused",
        "2024-03-03|loaded",
        "2024-03-04|loaded",
        "2024-03-05|loaded",
        "2024-03-06|skipped",
        "2024-03-07|loaded",
    ];
    assert_eq!(states(database), now);
    let after = database
        .lines("select * from processed_days where state in ('refused', 'skipped', 'absent') or day = '2024-03-01'");
    assert_eq!(sorted(before), sorted(after), "days that were done are as they were");
    assert_eq!(
        rows(database),
        [
            "a|1|x|yes|2024-03-01",
            "b|null|null|no|2024-03-01",
            "c|3|null|no|2024-03-03",
            "c|3|null|no|2024-03-04",
            "c|3|null|no|2024-03-05",
            "c|3|null|no|2024-03-07",
        ]
    );
    let running = "2024-03-05|1|lost";
    assert_eq!(database.lines(ATTEMPTS)[6], running, "its process is dead");
    assert_eq!(database.line("select count(*) from workers"), "0");
    days_with_attempts_are_read(database, &project);
}

/// Attempts without a log and a process, which later migrations added, and rejected rows are shown.
fn days_with_attempts_are_read(database: &dyn Database, project: &Project) {
    // By default the daemon clears attempts as old as these.
    project.write("dayfill.toml", "[retention]\nattempts = \"36500d\"\n");
    let api = Api::start(project, database);
    let day = api.get("/api/v1/datasets/orders/days/2024-03-04");
    let outcomes: Vec<&Value> =
        day["load_attempts"].as_array().unwrap().iter().map(|attempt| &attempt["outcome"]).collect();
    assert_eq!(outcomes, ["loaded", "failed", "database", "lost"]);
    let day = api.get("/api/v1/datasets/orders/days/2024-03-02");
    assert_eq!((&day["rejected_rows"][0]["line"], &day["rejected_rows"][0]["value"]), (&json!(3), &json!("zz")));
}

fn every_migration_goes_back_to_what_was_there_before_and_comes_again(database: &dyn Database) {
    fill_as_of_0001(database);
    let project = Project::new(database, &Orders::default());
    let all = migrations(database);
    let sql = |migration: &Path, way: &str| fs::read_to_string(migration.join(way)).unwrap();
    let held = FIRST_TABLES.map(|table| held_by(database, table));
    let mut shapes = vec![shape(database)];
    for migration in &all[1..] {
        database.execute(&sql(migration, "up.sql"));
        shapes.push(shape(database));
    }

    for (migration, before) in all[1..].iter().zip(&shapes).rev() {
        database.execute(&sql(migration, "down.sql"));
        assert_eq!(shape(database), *before, "{}", name(migration));
    }
    assert_eq!(FIRST_TABLES.map(|table| held_by(database, table)), held);

    // The program's own way forth, from there and from nothing.
    project.succeed(&["migrate"]);
    assert_eq!(shape(database), shapes[all.len() - 1]);
    for migration in all.iter().rev() {
        database.execute(&sql(migration, "down.sql"));
    }
    assert_eq!(
        database.line(&format!("select count(*) from ({}) t where line like '%days%'", shape_of(database))),
        "0"
    );
    database.execute("delete from __diesel_schema_migrations");
    project.succeed(&["migrate"]);
    assert_eq!(shape(database), shapes[all.len() - 1], "0001 makes what it made then");
}

/// What that table holds, in the columns that it has now.
fn held_by(database: &dyn Database, table: &str) -> Vec<String> {
    sorted(database.lines(&format!("select * from {table}")))
}

fn sorted(mut lines: Vec<String>) -> Vec<String> {
    lines.sort();
    lines
}

/// All columns, constraints and indexes: a line each.
fn shape(database: &dyn Database) -> Vec<String> {
    database.lines(&format!("select line from ({}) t order by line", shape_of(database)))
}

/// The columns in no order: one that comes back comes last.
fn shape_of(database: &dyn Database) -> &'static str {
    match dialect(database) {
        "postgres" => {
            "select concat_ws(' ', table_name, column_name, data_type, is_nullable, column_default) as line \
             from information_schema.columns where table_schema = 'public' \
             union all select indexdef from pg_indexes where schemaname = 'public' \
             union all select concat_ws(' ', conrelid::regclass, conname, pg_get_constraintdef(oid)) \
             from pg_constraint where connamespace = 'public'::regnamespace"
        }
        _ => {
            "select m.name || ' ' || c.name || ' ' || c.type || c.\"notnull\" || c.pk || coalesce(c.dflt_value, '') as line \
             from sqlite_master m, pragma_table_info(m.name) c where m.type = 'table' and m.name not like 'sqlite_%' \
             union all select sql from sqlite_master where type = 'index' and sql is not null"
        }
    }
}
