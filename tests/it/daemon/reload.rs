//! A configuration that changes under a daemon: a good one takes effect, a wrong main file is refused whole, and nothing
//! in flight is lost. What becomes of a wrong dataset file is in `broken`.

use std::path::Path;

use rustix::process::Signal;

use crate::support::daemon::{Settings, attempts, days, from, one_day, project, rows_of, run, troubles, wait_for_day};
use crate::support::http::{Server, status, whole};
use crate::support::postgres::TestPostgres;
use crate::support::process::Process;
use crate::support::project::{FIRST, Orders, Project, nightly, scheduled};
use crate::support::slow_http::SlowHttp;
use crate::support::sqlite::SqliteDatabase;
use crate::support::{Database, on_both, wait_until};

const SECOND: &str = "2024-03-02";
const THIRD: &str = "2024-03-03";

on_both! {
    a_dataset_that_comes_is_loaded
    an_earlier_start_has_older_days_loaded
    a_dataset_that_changes_has_the_files_looked_for_that_it_waits_for
    a_load_in_flight_survives_the_change_of_its_dataset
    a_load_in_flight_survives_the_change_of_the_connections
    a_dataset_that_goes_during_its_catch_up_begins_no_further_day
    a_dataset_that_changes_during_its_catch_up_goes_on_as_the_new_one
    a_bad_configuration_is_refused_whole_until_a_good_one_comes
}

/// The dataset `returns`, with days of its own.
fn returns(source: &str) -> Orders {
    Orders { table: "returns", source: source.to_owned(), ..one_day() }
}

/// A project with one day that is there, and a daemon that has loaded it.
fn loaded(database: &dyn Database) -> (Project, Process) {
    let project = project(database, &Settings::default(), &one_day());
    project.day(FIRST, "a,1,x\n");
    let mut daemon = run(&project);
    daemon.wait_for("orders 2024-03-01: loaded 1 row in");
    (project, daemon)
}

/// Ends the daemon, and says what it logged.
fn log_of(daemon: Process) -> String {
    daemon.signal(Signal::TERM);
    let ran = daemon.end();
    assert_eq!(ran.code, 0, "{ran:#?}");
    ran.stderr
}

fn a_dataset_that_comes_is_loaded(database: &dyn Database) {
    let (project, mut daemon) = loaded(database);
    project.dataset("returns", &returns("url = \"days/{day}.csv\""));
    daemon.signal(Signal::HUP);
    daemon.wait_for("returns 2024-03-01: loaded 1 row in");
    let log = log_of(daemon);
    assert_eq!(troubles(&log), [""; 0]);
    assert!(log.contains("configuration: datasets/returns.toml target.table: is now \"returns\""), "{log}");
    assert_eq!(days(database), [format!("orders|{FIRST}|loaded|1"), format!("returns|{FIRST}|loaded|1")]);
}

fn a_dataset_that_changes_has_the_files_looked_for_that_it_waits_for(database: &dyn Database) {
    let orders = Orders { sections: "[waiting]\npoll = \"12h\"", ..one_day() };
    let project = project(database, &Settings::default(), &orders);
    let mut daemon = run(&project);
    wait_for_day(database, "orders", FIRST, "waiting");
    project.day(FIRST, "a,1,x\n");
    project.orders(&Orders { filter: "amount > 0", ..orders });
    daemon.signal(Signal::HUP);
    daemon.wait_for("orders 2024-03-01: loaded 1 row in");
    log_of(daemon);
}

fn an_earlier_start_has_older_days_loaded(database: &dyn Database) {
    let orders = Orders { schedule: nightly(THIRD, THIRD), ..Orders::default() };
    let project = project(database, &Settings::default(), &orders);
    for day in [FIRST, SECOND, THIRD] {
        project.day(day, "a,1,x\n");
    }
    let mut daemon = run(&project);
    daemon.wait_for("orders 2024-03-03: loaded 1 row in");
    assert_eq!(days(database), [format!("orders|{THIRD}|loaded|1")]);
    project.orders(&Orders { schedule: nightly(FIRST, THIRD), ..orders });
    daemon.signal(Signal::HUP);
    daemon.wait_for("configuration: datasets/orders.toml schedule.start: \"2024-03-03\" is now \"2024-03-01\"");
    daemon.wait_for("orders 2024-03-02: loaded 1 row in");
    log_of(daemon);
    let expected = [FIRST, SECOND, THIRD].map(|day| format!("orders|{day}|loaded|1"));
    assert_eq!(days(database), expected);
}

/// Changes settings while a day is half read, and sees it published by the attempt that it began with.
fn assert_survives(database: &dyn Database, change: &Settings, said: &str) {
    let server = SlowHttp::start();
    let project = project(database, &Settings::default(), &from(&server, (FIRST, SECOND)));
    server.day(FIRST, &rows_of(100, 1));
    server.day(SECOND, &rows_of(100, 2));
    server.hold_next(FIRST);
    let mut daemon = run(&project);
    server.wait_until_held(FIRST);
    change.write(&project);
    daemon.signal(Signal::HUP);
    daemon.wait_for(said);
    server.release(FIRST);
    wait_for_day(database, "orders", SECOND, "loaded");
    assert_eq!(troubles(&log_of(daemon)), [""; 0]);
    assert_eq!(attempts(database), [format!("{FIRST}|1|loaded"), format!("{SECOND}|1|loaded")]);
    assert_eq!(database.line("select count(*) from workers"), "0", "all sign off");
}

fn a_load_in_flight_survives_the_change_of_its_dataset(database: &dyn Database) {
    let change = Settings { max_attempts: 7, ..Settings::default() };
    assert_survives(database, &change, "configuration: retry.max_attempts: 5 is now 7");
}

fn a_load_in_flight_survives_the_change_of_the_connections(database: &dyn Database) {
    let change = Settings { max_parallel_loads: 2, lease: "30s", ..Settings::default() };
    assert_survives(database, &change, "configuration: max_parallel_loads: 4 is now 2");
}

fn refused_config(database: &dyn Database) -> String {
    database.line("select coalesce(refused_config, 'none') as refused from workers")
}

fn wait_until_taken(database: &dyn Database) {
    wait_until("the refusal is forgotten", || refused_config(database) == "none");
}

fn a_bad_configuration_is_refused_whole_until_a_good_one_comes(database: &dyn Database) {
    let orders = Orders { schedule: nightly(FIRST, SECOND), ..Orders::default() };
    let project = project(database, &Settings::default(), &orders);
    project.day(FIRST, "a,1,x\n");
    let mut daemon = run(&project);
    wait_for_day(database, "orders", SECOND, "waiting");

    // One problem in each file, and a good dataset that must not come alone.
    Settings { concurrency: 65, ..Settings::default() }.write(&project);
    project.orders(&Orders { schedule: scheduled("at night", FIRST, SECOND), ..orders.clone() });
    project.dataset("returns", &returns("url = \"days/{day}.csv\""));
    daemon.signal(Signal::HUP);
    daemon.wait_for("configuration rejected, 2 problems; the previous one stays in force");
    wait_until("everybody can see it", || refused_config(database) != "none");
    let refused = refused_config(database);
    assert!(refused.contains("catch_up.concurrency") && refused.contains("schedule.cron"), "{refused}");

    // The old one goes on.
    project.day(SECOND, "a,2,x\n");
    daemon.wait_for("orders 2024-03-02: loaded 1 row in");
    assert_eq!(database.line("select count(*) from processed_days where dataset = 'returns'"), "0");

    Settings::default().write(&project);
    project.orders(&orders);
    daemon.signal(Signal::HUP);
    daemon.wait_for("returns 2024-03-01: loaded 1 row in");
    wait_until_taken(database);
    let log = log_of(daemon);
    let problems: Vec<_> = log.lines().filter(|line| line.contains("invalid configuration: ")).collect();
    assert_eq!(problems.len(), 2, "{log}");
    assert!(problems.iter().any(|line| line.contains("catch_up.concurrency")), "{log}");
    assert!(problems.iter().any(|line| line.contains("schedule.cron")), "{log}");
}

#[test]
fn a_dataset_that_goes_is_looked_at_no_more() {
    let database = SqliteDatabase::new();
    let server = Server::start(async |_| status(404, ""));
    let source = |name: &str| format!("url = \"{}/{name}/{{day}}.csv\"", server.url());
    let asked = |name: &str| server.seen().iter().filter(|seen| seen.target.contains(name)).count();
    let orders = Orders { source: source("orders"), ..one_day() };
    let project = project(&database, &Settings::default(), &orders);
    project.dataset("returns", &returns(&source("returns")));
    let mut daemon = run(&project);
    wait_for_day(&database, "orders", FIRST, "waiting");
    wait_for_day(&database, "returns", FIRST, "waiting");
    std::fs::remove_file(project.path("datasets/orders.toml")).unwrap();
    daemon.signal(Signal::HUP);
    daemon.wait_for("configuration: datasets/orders.toml target.table: \"orders\" is left out now");
    // A look that was under way may still have been answered until the next one of the other.
    let wait_for_looks = |number: usize| {
        let before = asked("returns");
        wait_until("the other is looked at", || asked("returns") >= before + number);
    };
    wait_for_looks(1);
    let before = asked("orders");
    wait_for_looks(2);
    assert_eq!(asked("orders"), before);
    log_of(daemon);
    assert_eq!(days(&database)[0], format!("orders|{FIRST}|waiting|0"), "what is known of it stays");
}

/// A daemon that is half way through the first of three days.
fn half_way(database: &dyn Database, server: &SlowHttp) -> (Project, Process) {
    let project = project(database, &Settings::default(), &from(server, (FIRST, THIRD)));
    for day in [FIRST, SECOND, THIRD] {
        server.day(day, &rows_of(10, 1));
    }
    server.hold_next(FIRST);
    let daemon = run(&project);
    server.wait_until_held(FIRST);
    (project, daemon)
}

fn a_dataset_that_goes_during_its_catch_up_begins_no_further_day(database: &dyn Database) {
    let server = SlowHttp::start();
    let (project, daemon) = half_way(database, &server);
    std::fs::remove_file(project.path("datasets/orders.toml")).unwrap();
    project.dataset("returns", &returns("url = \"days/{day}.csv\""));
    daemon.signal(Signal::HUP);
    wait_for_day(database, "returns", FIRST, "waiting");
    server.release(FIRST);
    wait_for_day(database, "orders", FIRST, "loaded");
    // It comes back: one catch-up of what is left, which the old one did not touch.
    project.orders(&Orders { max_rejected: "20%", ..from(&server, (FIRST, THIRD)) });
    server.hold_next(SECOND);
    daemon.signal(Signal::HUP);
    server.wait_until_held(SECOND);
    assert_eq!(attempts(database).len(), 2, "{:?}", attempts(database));
    server.release(SECOND);
    wait_for_day(database, "orders", THIRD, "loaded");
    log_of(daemon);
    assert_eq!(attempts(database), [FIRST, SECOND, THIRD].map(|day| format!("{day}|1|loaded")));
}

fn a_dataset_that_changes_during_its_catch_up_goes_on_as_the_new_one(database: &dyn Database) {
    let server = SlowHttp::start();
    let (project, mut daemon) = half_way(database, &server);
    // What is new does not look by itself: the catch-up under way goes on all the same.
    let sections = "[catch_up]\non_start = false\n";
    project.orders(&Orders { filter: "amount > 1", sections, ..from(&server, (FIRST, THIRD)) });
    daemon.signal(Signal::HUP);
    daemon.wait_for("configuration: datasets/orders.toml rows.where");
    server.release(FIRST);
    wait_for_day(database, "orders", THIRD, "loaded");
    log_of(daemon);
    let loaded = database.lines("select cast(day as text) as d, rows_loaded from processed_days order by day");
    assert_eq!(loaded, [format!("{FIRST}|10"), format!("{SECOND}|0"), format!("{THIRD}|0")]);
}

#[test]
fn a_folder_that_is_replaced_is_noticed() {
    let database = SqliteDatabase::new();
    let settings = Settings { watch: true, ..Settings::default() };
    let project = project(&database, &settings, &one_day());
    project.day(FIRST, "a,1,x\n");
    let mut daemon = run(&project);
    daemon.wait_for("orders 2024-03-01: loaded");
    // As who deploys a whole folder does; then a file in the new one.
    std::fs::create_dir(project.path("datasets.new")).unwrap();
    std::fs::copy(project.path("datasets/orders.toml"), project.path("datasets.new/orders.toml")).unwrap();
    project.write("datasets.new/returns.toml", std::fs::read(project.path("datasets/orders.toml")).unwrap());
    std::fs::rename(project.path("datasets"), project.path("datasets.old")).unwrap();
    std::fs::rename(project.path("datasets.new"), project.path("datasets")).unwrap();
    daemon.wait_for("dataset orders: its older definition stays in force");
    project.dataset("returns", &returns("url = \"days/{day}.csv\""));
    daemon.wait_for("returns 2024-03-01: loaded");
    log_of(daemon);
}

#[test]
fn nothing_changed_is_said_to_who_asked() {
    let database = SqliteDatabase::new();
    let (_project, mut daemon) = loaded(&database);
    daemon.signal(Signal::HUP);
    daemon.wait_for("the configuration was read again: nothing changed");
    let log = log_of(daemon);
    assert!(!log.contains("configuration: "), "{log}");
}

#[test]
fn changes_are_said_key_by_key_without_secrets() {
    let database = TestPostgres::database();
    let server = Server::start(async |_| whole("id,amount,note\na,1,x\n"));
    let url = |password: &str| format!("{}&password={password}", database.url());
    let settings = |password: &str| Settings { url: url(password), ..Settings::default() };
    let orders =
        |token: &str| Orders { source: format!("url = \"{}/{{day}}.csv?token={token}\"", server.url()), ..one_day() };
    let project = Project::new(&database, &orders("SESAME1"));
    settings("SESAME2").write(&project);
    let mut command = project.command(&["run"]);
    command.env_remove("DAYFILL__DATABASE__URL");
    let mut daemon = Process::of(&mut command);
    daemon.wait_for("orders 2024-03-01: loaded 1 row in");
    Settings { max_attempts: 9, ..settings("SESAME3") }.write(&project);
    project.orders(&orders("SESAME4"));
    daemon.signal(Signal::HUP);
    daemon.wait_for("configuration: retry.max_attempts: 5 is now 9");
    let log = log_of(daemon);
    for key in ["database.url: ", "datasets/orders.toml source.url: "] {
        let changed = format!("configuration: {key}changed in what is not shown");
        assert!(log.contains(&changed), "{changed}: {log}");
    }
    assert_eq!(log.matches("configuration: ").count(), 3, "what did not change is not said: {log}");
    assert!(!log.contains("SESAME"), "{log}");
}

#[test]
fn a_change_of_the_files_is_enough() {
    let database = SqliteDatabase::new();
    let settings = Settings { watch: true, ..Settings::default() };
    let project = project(&database, &settings, &one_day());
    project.day(FIRST, "a,1,x\n");
    project.day(SECOND, "a,2,x\n");
    let mut daemon = run(&project);
    daemon.wait_for("orders 2024-03-01: loaded 1 row in");
    project.orders(&Orders { schedule: nightly(FIRST, SECOND), ..Orders::default() });
    daemon.wait_for("orders 2024-03-02: loaded 1 row in");
    // So is a file that comes, and the main file.
    project.dataset("returns", &returns("url = \"days/{day}.csv\""));
    daemon.wait_for("returns 2024-03-01: loaded 1 row in");
    Settings { max_attempts: 7, ..settings }.write(&project);
    daemon.wait_for("configuration: retry.max_attempts: 5 is now 7");
    assert_eq!(troubles(&log_of(daemon)), [""; 0]);
}

#[test]
fn a_change_is_noticed_however_the_file_is_named() {
    let settings = Settings { watch: true, ..Settings::default() };
    for named in ["dayfill.toml", "./dayfill.toml", "datasets/../dayfill.toml"] {
        let database = SqliteDatabase::new();
        let project = project(&database, &settings, &one_day());
        project.day(FIRST, "a,1,x\n");
        let mut daemon = Process::of(&mut project.command_with(Path::new(named), &["run"]));
        daemon.wait_for("orders 2024-03-01: loaded");
        Settings { max_attempts: 7, ..settings.clone() }.write(&project);
        daemon.wait_for("configuration: retry.max_attempts: 5 is now 7");
        project.dataset("returns", &returns("url = \"days/{day}.csv\""));
        daemon.wait_for("configuration: datasets/returns.toml target.table: is now");
        log_of(daemon);
    }
}

#[test]
fn a_daemon_that_is_not_to_watch_waits_for_the_signal() {
    let database = SqliteDatabase::new();
    let server = SlowHttp::start();
    let project = project(&database, &Settings::default(), &from(&server, (FIRST, FIRST)));
    let mut daemon = run(&project);
    wait_for_day(&database, "orders", FIRST, "waiting");
    Settings { max_attempts: 7, ..Settings::default() }.write(&project);
    // Two looks, a second apart, are more than a change of files needs to be noticed.
    let next = || database.line("select cast(next_attempt_at as text) as n from processed_days");
    for _ in 0..2 {
        let before = next();
        wait_until("the day is looked for", || next() != before);
    }
    server.day(FIRST, "a,1,x\n");
    daemon.wait_for("orders 2024-03-01: loaded 1 row in");
    daemon.signal(Signal::HUP);
    daemon.wait_for("configuration: retry.max_attempts: 5 is now 7");
    let log = log_of(daemon);
    let place = |text: &str| log.find(text).unwrap();
    assert!(place("loaded 1 row in") < place("configuration: "), "{log}");
}

#[test]
fn another_database_is_moved_to() {
    let (old, new) = (SqliteDatabase::new(), SqliteDatabase::new());
    let settings = |database: &SqliteDatabase| Settings { url: database.url().to_owned(), ..Settings::default() };
    let project = Project::new(&old, &one_day());
    project.day(FIRST, "a,1,x\n");
    settings(&old).write(&project);
    let mut command = project.command(&["run"]);
    command.env_remove("DAYFILL__DATABASE__URL");
    let mut daemon = Process::of(&mut command);
    daemon.wait_for("orders 2024-03-01: loaded 1 row in");
    settings(&new).write(&project);
    daemon.signal(Signal::HUP);
    daemon.wait_for(&format!("configuration: database.url: {} is now {}", old.url(), new.url()));
    daemon.wait_for("orders 2024-03-01: loaded 1 row in");
    assert_eq!(days(&new), [format!("orders|{FIRST}|loaded|1")]);
    assert_eq!(new.line("select count(*) from workers"), "1");
    wait_until("it signs off from the old one", || old.line("select count(*) from workers") == "0");
    let log = log_of(daemon);
    let [said] = troubles(&log)[..] else { panic!("{log}") };
    assert!(said.contains("the database is another now"), "{said}");
}

#[test]
fn a_database_that_cannot_be_reached_is_not_moved_to() {
    let database = SqliteDatabase::new();
    let project = Project::new(&database, &one_day());
    project.day(FIRST, "a,1,x\n");
    Settings { url: database.url().to_owned(), ..Settings::default() }.write(&project);
    let mut command = project.command(&["run"]);
    command.env_remove("DAYFILL__DATABASE__URL");
    let mut daemon = Process::of(&mut command);
    daemon.wait_for("orders 2024-03-01: loaded 1 row in");
    let nowhere = "postgres://dayfill:SESAME@127.0.0.1:1/nowhere".to_owned();
    Settings { url: nowhere, ..Settings::default() }.write(&project);
    daemon.signal(Signal::HUP);
    daemon.wait_for("configuration rejected");
    wait_until("everybody can see it", || refused_config(&database).contains("cannot be reached"));
    assert!(!log_of(daemon).contains("SESAME"));
}

#[test]
fn another_log_level_takes_effect() {
    let database = SqliteDatabase::new();
    let settings = |log| Settings { log, ..Settings::default() };
    let project =
        project(&database, &settings("warn"), &Orders { schedule: nightly(FIRST, SECOND), ..Orders::default() });
    project.day(FIRST, "a,1,x\n");
    let mut daemon = run(&project);
    wait_for_day(&database, "orders", SECOND, "waiting");
    settings("info").write(&project);
    daemon.signal(Signal::HUP);
    daemon.wait_for("configuration: log.level");
    project.day(SECOND, "a,2,x\n");
    daemon.wait_for("orders 2024-03-02: loaded 1 row in");
    let log = log_of(daemon);
    assert!(!log.contains("2024-03-01"), "{log}");
}
