//! Several daemons on one database, and a daemon beside commands.

use chrono::NaiveDate;
use rustix::process::Signal;

use crate::support::daemon::{Settings, amounts, attempts, from, project, rows_of, run, wait_for_day};
use crate::support::postgres::TestPostgres;
use crate::support::process::Process;
use crate::support::project::{FIRST, Orders, scheduled};
use crate::support::slow_http::SlowHttp;
use crate::support::sqlite::SqliteDatabase;
use crate::support::{Database, wait_until};

const SECOND: &str = "2024-03-02";
const LAST: &str = "2024-03-30";

/// Waits until so many daemons are registered.
fn wait_for_workers(database: &dyn Database, number: usize) {
    let registered = || database.line("select count(*) from workers") == number.to_string();
    wait_until(&format!("{number} daemons are registered"), registered);
}

#[test]
fn three_daemons_share_the_days_and_load_each_once() {
    let database = TestPostgres::database();
    let server = SlowHttp::start();
    let settings = &Settings { concurrency: 2, ..Settings::default() };
    let project = project(&database, settings, &from(&server, (FIRST, LAST)));
    let first: NaiveDate = FIRST.parse().unwrap();
    let all: Vec<String> = first.iter_days().take(30).map(|day| day.to_string()).collect();
    for (index, day) in all.iter().enumerate() {
        server.day(day, &rows_of(5, index));
    }
    // Whoever takes these is busy with them until the others have done the rest.
    server.hold_next(FIRST);
    server.hold_next(SECOND);
    let daemons: Vec<Process> = (0..3).map(|_| run(&project)).collect();
    wait_for_workers(&database, 3);
    wait_until("all days but the held ones are loaded", || {
        database.line("select count(*) from processed_days where state = 'loaded'") == "28"
    });
    for day in [FIRST, SECOND] {
        server.release(day);
        wait_for_day(&database, "orders", day, "loaded");
    }
    let workers = database.line("select count(distinct worker) from load_attempts where outcome = 'loaded'");
    assert!(["2", "3"].contains(&workers.as_str()), "{workers} of three published");
    for daemon in &daemons {
        daemon.signal(Signal::TERM);
    }
    for daemon in daemons {
        let ran = daemon.end();
        assert_eq!(ran.code, 0, "{ran:#?}");
    }
    let mut loaded = attempts(&database);
    loaded.sort();
    assert_eq!(loaded, all.iter().map(|day| format!("{day}|1|loaded")).collect::<Vec<_>>());
    assert_eq!(database.line("select count(*) from orders"), "150");
    wait_for_workers(&database, 0);
}

#[test]
fn the_day_of_a_killed_daemon_is_loaded_by_another_without_waiting_for_its_lease() {
    let database = TestPostgres::database();
    let server = SlowHttp::start();
    let project =
        project(&database, &Settings { lease: "1h", ..Settings::default() }, &from(&server, (FIRST, "2024-03-05")));
    for (index, day) in [FIRST, SECOND, "2024-03-03", "2024-03-04", "2024-03-05"].into_iter().enumerate() {
        server.day(day, &rows_of(10, index));
    }
    server.hold_next(FIRST);
    server.hold_next(SECOND);
    let mut daemons: Vec<Process> = (0..3).map(|_| run(&project)).collect();
    wait_for_workers(&database, 3);
    server.wait_until_held(FIRST);
    server.wait_until_held(SECOND);
    wait_for_day(&database, "orders", "2024-03-05", "loaded");

    let owner = database.line(&format!(
        "select workers.pid from processed_days d join workers on workers.id = d.worker where day = '{FIRST}'"
    ));
    let owner = daemons.iter().position(|daemon| daemon.pid().to_string() == owner).unwrap();
    assert!(daemons.remove(owner).kill(), "it is held");
    server.release(FIRST);
    // What ends in another daemon has it look around; without that it would do so half a minute after its last look.
    server.release(SECOND);
    wait_for_day(&database, "orders", FIRST, "loaded");
    for daemon in daemons {
        daemon.signal(Signal::TERM);
        assert_eq!(daemon.end().code, 0);
    }
    let of_the_first: Vec<_> = attempts(&database).into_iter().filter(|attempt| attempt.starts_with(FIRST)).collect();
    assert_eq!(of_the_first, [format!("{FIRST}|1|lost"), format!("{FIRST}|2|loaded")]);
    assert_eq!(amounts(&database), (0..5).map(|index| format!("{index}|10")).collect::<Vec<_>>());
}

#[test]
fn commands_work_beside_a_daemon_on_one_sqlite_file() {
    let database = SqliteDatabase::new();
    // A tick each second, so that the daemon is at it all the time.
    let orders = Orders { schedule: scheduled("* * * * * *", FIRST, "2024-03-09"), ..Orders::default() };
    let project = project(&database, &Settings { concurrency: 2, ..Settings::default() }, &orders);
    let daemon = run(&project);
    let mut said = String::new();
    for day in 1..=9 {
        let day = format!("2024-03-0{day}");
        project.day(&day, "a,x,no number\n");
        let refused = project.run(&["load", &day, "--force"]);
        project.day(&day, &rows_of(200, 1));
        // The daemon may be at this very day, which a person's order does not wait for.
        let retried =
            (0..100).map(|_| project.run(&["retry", &day])).find(|ran| !ran.stdout.contains("being loaded by"));
        let retried = retried.expect("the daemon is done with a day");
        assert_eq!(retried.code, 0, "{retried:#?}");
        let mut ran = vec![retried, project.succeed(&["status"])];
        ran.push(project.succeed(&["load", &day, "--force"]));
        ran.push(project.succeed(&["catch-up"]));
        ran.push(refused);
        said.extend(ran.into_iter().flat_map(|ran| [ran.stdout, ran.stderr]));
    }
    daemon.signal(Signal::TERM);
    let ran = daemon.end();
    assert_eq!(ran.code, 0, "{ran:#?}");
    said.push_str(&ran.stderr);
    assert!(!said.contains("locked") && !said.contains("busy"), "{said}");
    assert_eq!(amounts(&database), ["1|1800"]);
    assert_eq!(database.line("select count(*) from processed_days where state = 'loaded'"), "9");
}
