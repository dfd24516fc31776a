//! Trouble with the database that is nobody's fault: sessions that die alone, ends of attempts that cannot be written,
//! a file that another program holds. It costs no attempt, no day, and keeps nobody waiting.

use diesel::connection::SimpleConnection;
use rustix::process::Signal;
use serde_json::json;

use crate::support::api::Api;
use crate::support::daemon::{
    Settings, amounts, attempts, days, from, one_day, project, rows_of, run, troubles, wait_for_day,
};
use crate::support::postgres::TestPostgres;
use crate::support::process::Process;
use crate::support::project::{FIRST, Orders, nightly};
use crate::support::slow_http::SlowHttp;
use crate::support::sqlite::SqliteDatabase;
use crate::support::trouble::{fill_the_disk, make_room};
use crate::support::{Database, on_both, wait_until};

const SECOND: &str = "2024-03-02";

on_both! {
    ends_that_could_not_be_written_are_written_later_and_cost_no_attempt
    ends_that_could_not_be_written_outlive_a_reload
    a_target_that_does_not_fit_is_told_with_its_datasets_name_once
    of_days_asked_for_only_those_that_met_trouble_are_loaded_once_more
    a_target_that_is_changed_under_the_daemon_is_looked_at_again
}

fn end(daemon: Process) -> String {
    daemon.signal(Signal::TERM);
    let ran = daemon.end();
    assert_eq!(ran.code, 0, "{ran:#?}");
    ran.stderr
}

fn assert_loaded_at_the_first_attempt(database: &dyn Database) {
    wait_for_day(database, "orders", FIRST, "loaded");
    let mut ends = attempts(database);
    assert_eq!(ends.pop(), Some(format!("{FIRST}|1|loaded")));
    assert!(ends.iter().all(|end| *end == format!("{FIRST}|1|database")), "{ends:?}");
    assert_eq!(days(database), [format!("orders|{FIRST}|loaded|1")]);
    assert_eq!(amounts(database), ["1|10"]);
}

fn ends_that_could_not_be_written_are_written_later_and_cost_no_attempt(database: &dyn Database) {
    let project = project(database, &Settings { max_attempts: 1, ..Settings::default() }, &one_day());
    project.day(FIRST, &rows_of(10, 1));
    fill_the_disk(database, "update", "load_attempts");
    let mut daemon = run(&project);
    daemon.wait_for("trying again until it passes, no attempt is counted");
    assert_eq!(days(database), [format!("orders|{FIRST}|running|1")], "its end is not written");
    make_room(database, "load_attempts");
    // No tick comes: whoever is told looks.
    assert_loaded_at_the_first_attempt(database);
    let log = end(daemon);
    assert!(!log.contains("died or stalled"), "{log}");
    for subject in ["orders: ", "noting how attempts ended: "] {
        let said = troubles(&log).iter().filter(|line| line.contains(subject)).count();
        assert!(said <= 1, "said once: {log}");
    }
}

fn ends_that_could_not_be_written_outlive_a_reload(database: &dyn Database) {
    let settings = Settings { max_attempts: 1, ..Settings::default() };
    let project = project(database, &settings, &one_day());
    project.day(FIRST, &rows_of(10, 1));
    fill_the_disk(database, "update", "load_attempts");
    let mut daemon = run(&project);
    daemon.wait_for("trying again until it passes, no attempt is counted");
    Settings { max_parallel_loads: 2, ..settings }.write(&project);
    daemon.signal(Signal::HUP);
    daemon.wait_for("configuration: max_parallel_loads: 4 is now 2");
    make_room(database, "load_attempts");
    assert_loaded_at_the_first_attempt(database);
    wait_until("what was before the reload signs off", || database.line("select count(*) from workers") == "1");
    end(daemon);
}

fn a_target_that_does_not_fit_is_told_with_its_datasets_name_once(database: &dyn Database) {
    database.execute("create table orders (other integer)");
    let project = project(database, &Settings::default(), &one_day());
    let unfit = "orders: table orders cannot take the rows:";
    let mut daemon = run(&project);
    daemon.wait_for(unfit);
    let log = end(daemon);
    let told = troubles(&log);
    assert!(told.iter().any(|line| line.contains(&format!(" ERROR {unfit}"))), "{log}");
    assert!(!log.contains("orders: orders: "), "{log}");
    // Where several datasets are looked at, each has its name.
    let ran = project.exit(3, &["check"]);
    assert!(ran.stdout.contains(&format!("problem  {unfit}")), "{}", ran.stdout);
    let ran = project.exit(3, &["catch-up"]);
    assert!(ran.stderr.contains(&format!("error: {unfit}")), "{}", ran.stderr);
    project.orders(&Orders { filter: "amout > 0", table: "other", ..one_day() });
    let mut daemon = run(&project);
    daemon.wait_for("ERROR orders: rows.where: ");
    let log = end(daemon);
    assert!(!log.contains("orders: orders: "), "{log}");
}

fn of_days_asked_for_only_those_that_met_trouble_are_loaded_once_more(database: &dyn Database) {
    let server = SlowHttp::start();
    let project = project(database, &Settings::default(), &from(&server, (FIRST, SECOND)));
    for day in [FIRST, SECOND] {
        server.day(day, "a,1,x\n");
    }
    project.succeed(&["load", &format!("{FIRST}..{SECOND}")]);
    let api = Api::start(&project, database);
    server.hold_next(SECOND);
    api.done("orders", &json!({"action": "reload", "from": FIRST, "to": SECOND}));
    server.wait_until_held(SECOND);
    fill_the_disk(database, "update", "load_attempts");
    server.release(SECOND);
    let orders = "orders".parse().unwrap();
    wait_until("it is in trouble", || api.daemon().status().datasets[&orders].trouble.is_some());
    make_room(database, "load_attempts");
    let outcomes = |day: &str| {
        database.lines(&format!("select outcome from load_attempts where day = '{day}' order by started_at"))
    };
    wait_until("it is loaded again", || outcomes(SECOND).iter().filter(|outcome| *outcome == "loaded").count() == 2);
    assert_eq!(outcomes(FIRST), ["loaded", "loaded"]);
}

fn a_target_that_is_changed_under_the_daemon_is_looked_at_again(database: &dyn Database) {
    let project = project(database, &Settings::default(), &one_day());
    let mut daemon = run(&project);
    daemon.wait_for("waiting: no such file");
    database.execute("drop table orders");
    project.replace("days/2024-03-01.csv", format!("id,amount,note\n{}", rows_of(10, 1)));
    daemon.wait_for("ERROR orders: 2024-03-01: taking the day's old rows out of the target");
    daemon.wait_for("create table \"orders\"");
    wait_for_day(database, "orders", FIRST, "loaded");
    assert_eq!(days(database), [format!("orders|{FIRST}|loaded|1")]);
    assert!(attempts(database).iter().all(|end| !end.ends_with("failed")), "{:?}", attempts(database));
    assert_eq!(amounts(database), ["1|10"]);
    end(daemon);
}

/// Ends all sessions on the database but the test's own and those that copy rows.
fn end_idle_sessions(database: &dyn Database) {
    let idle = "from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() \
                and query not like 'COPY%'";
    database.execute(&format!("select pg_terminate_backend(pid) {idle}"));
    wait_until("they end", || database.line(&format!("select count(*) {idle}")) == "0");
}

#[test]
fn a_load_whose_heartbeat_lost_its_session_is_not_taken_for_dead() {
    let database = TestPostgres::database();
    let server = SlowHttp::start();
    let project = project(&database, &Settings { lease: "1h", ..Settings::default() }, &from(&server, (FIRST, FIRST)));
    // Enough that what came before the answer is held is on its way to the stage.
    server.day(FIRST, &rows_of(20_000, 1));
    server.hold_next(FIRST);
    let daemon = run(&project);
    server.wait_until_held(FIRST);
    wait_until("rows are copied", || {
        database.line(
            "select count(*) from pg_stat_activity where datname = current_database() and query like 'COPY%' \
             and state = 'active'",
        ) == "1"
    });
    end_idle_sessions(&database);
    let ran = project.run(&["load", FIRST]);
    assert!(ran.stdout.contains("being loaded by another process"), "{ran:#?}");
    server.release(FIRST);
    wait_for_day(&database, "orders", FIRST, "loaded");
    let log = end(daemon);
    assert!(!log.contains("took the day over"), "{log}");
    assert_eq!(attempts(&database), [format!("{FIRST}|1|loaded")]);
}

#[test]
fn a_file_that_another_program_holds_stops_neither_the_loop_nor_the_end() {
    let database = SqliteDatabase::new();
    // A beat each third of a second, which then waits for the file.
    let settings = Settings { lease: "1s", ..Settings::default() };
    let project = project(&database, &settings, &Orders { schedule: nightly(FIRST, SECOND), ..Orders::default() });
    project.day(FIRST, "a,1,x\n");
    project.day(SECOND, "a,2,x\n");
    let mut daemon = run(&project);
    wait_for_day(&database, "orders", SECOND, "loaded");
    let beats = || database.line("select cast(heartbeat_at as text) as beat from workers");
    let mut holder = database.connect();
    holder.batch_execute("begin immediate").unwrap();
    let last = beats();
    // Twice: after the first the loop has tried to have it noted for all to see.
    for bad in ["nothing = 1\n", "nothing = 2\n"] {
        project.write("dayfill.toml", bad);
        daemon.signal(Signal::HUP);
        daemon.wait_for("configuration rejected");
    }
    assert_eq!(beats(), last, "the file is held");
    daemon.signal(Signal::TERM);
    let ran = daemon.end();
    assert_eq!(ran.code, 0, "{ran:#?}");
    assert!(ran.stderr.ends_with("dayfill stopped\n"), "{}", ran.stderr);
    holder.batch_execute("rollback").unwrap();
}
