//! Which days the running daemon loads, in which order, and when.

use chrono::{NaiveDate, TimeDelta, Timelike, Utc};

use crate::support::daily::{
    add_clock, attempts, daemon, let_time_pass, project, still, stop, ticking, wait_for_state,
};
use crate::support::process::Process;
use crate::support::project::{FIRST, Orders, Project, states};
use crate::support::slow_http::SlowHttp;
use crate::support::{Database, on_both};

on_both! {
    a_tick_loads_the_newest_day
    ticks_while_the_last_one_still_works_add_nothing
    the_daemon_catches_up_when_it_starts
    no_catch_up_waits_for_the_next_tick
    a_setting_has_the_daemon_wait_for_the_next_tick
    catch_up_comes_before_the_setting
    holes_are_filled_oldest_first_and_the_newest_day_last
    days_younger_than_the_lag_are_not_wanted
    days_after_the_end_and_on_other_weekdays_are_not_wanted
}

const DAYS: [&str; 7] =
    ["2024-03-01", "2024-03-02", "2024-03-03", "2024-03-04", "2024-03-05", "2024-03-06", "2024-03-07"];

/// Writes the file of each day.
fn write_days(project: &Project) {
    for day in DAYS {
        project.day(day, "a,1,x\n");
    }
}

fn a_tick_loads_the_newest_day(database: &dyn Database) {
    let project = project(database, &ticking(FIRST), "");
    project.day(FIRST, "a,1,x\n");
    let daemon = Process::start(&project, &["run", "--no-catch-up"]);
    wait_for_state(database, FIRST, "loaded");
    stop(daemon);
    assert_eq!(attempts(database), ["2024-03-01|1|tick|loaded"]);
}

fn ticks_while_the_last_one_still_works_add_nothing(database: &dyn Database) {
    let server = SlowHttp::start();
    let project = project(database, &ticking(DAYS[1]).from(&server), "");
    add_clock(&project);
    server.day(DAYS[0], "a,1,x\n");
    server.day(DAYS[1], "a,2,x\n");
    server.hold_next(DAYS[0]);
    let daemon = Process::start(&project, &["run", "--no-catch-up"]);
    server.wait_until_held(DAYS[0]);
    let_time_pass(database);
    assert_eq!(states(database), ["2024-03-01|running"], "one day at a time, one look at a time");
    server.release(DAYS[0]);
    wait_for_state(database, DAYS[1], "loaded");
    let_time_pass(database);
    stop(daemon);
    assert_eq!(attempts(database), ["2024-03-01|1|tick|loaded", "2024-03-02|1|tick|loaded"]);
}

fn the_daemon_catches_up_when_it_starts(database: &dyn Database) {
    let project = project(database, &still(DAYS[1]), "");
    write_days(&project);
    let daemon = daemon(&project);
    wait_for_state(database, DAYS[1], "loaded");
    stop(daemon);
    assert_eq!(attempts(database), ["2024-03-01|1|start|loaded", "2024-03-02|1|start|loaded"]);
}

/// A daemon whose dataset does not catch up while time passes.
fn does_not_catch_up(database: &dyn Database, settings: &str, arguments: &[&str]) {
    let project = project(database, &still(FIRST), settings);
    add_clock(&project);
    write_days(&project);
    let daemon = Process::start(&project, arguments);
    let_time_pass(database);
    stop(daemon);
    assert_eq!(states(database), [""; 0]);
}

fn no_catch_up_waits_for_the_next_tick(database: &dyn Database) {
    does_not_catch_up(database, "[catch_up]\non_start = true\n", &["run", "--no-catch-up"]);
}

fn a_setting_has_the_daemon_wait_for_the_next_tick(database: &dyn Database) {
    does_not_catch_up(database, "[catch_up]\non_start = false\n", &["run"]);
}

fn catch_up_comes_before_the_setting(database: &dyn Database) {
    let project = project(database, &still(FIRST), "[catch_up]\non_start = false\n");
    write_days(&project);
    let daemon = Process::start(&project, &["run", "--catch-up"]);
    wait_for_state(database, FIRST, "loaded");
    stop(daemon);
    assert_eq!(attempts(database), ["2024-03-01|1|start|loaded"]);
}

fn holes_are_filled_oldest_first_and_the_newest_day_last(database: &dyn Database) {
    let project = project(database, &still(DAYS[6]), "");
    write_days(&project);
    project.succeed(&["load", DAYS[4], DAYS[1]]);
    let daemon = daemon(&project);
    wait_for_state(database, DAYS[6], "loaded");
    stop(daemon);
    let filled: Vec<String> = attempts(database).split_off(2);
    let expected = [DAYS[0], DAYS[2], DAYS[3], DAYS[5], DAYS[6]].map(|day| format!("{day}|1|start|loaded"));
    assert_eq!(filled, expected);
}

/// A time zone in which it is about noon, so that no midnight falls into a test, and the date there.
fn noon() -> (String, NaiveDate) {
    let now = Utc::now();
    let east = 12 - i64::from(now.hour());
    // The names of these zones count hours to the west.
    (format!("Etc/GMT{:+}", -east), (now + TimeDelta::hours(east)).date_naive())
}

fn days_younger_than_the_lag_are_not_wanted(database: &dyn Database) {
    let (zone, today) = noon();
    let days = [2, 1, 0].map(|ago| (today - TimeDelta::days(ago)).to_string());
    let schedule = format!("cron = \"* * * * * *\"\ntimezone = \"{zone}\"\nstart = {}\nlag_days = 1", days[0]);
    let project = project(database, &Orders { schedule, ..Orders::default() }, "");
    add_clock(&project);
    for day in &days {
        project.day(day, "a,1,x\n");
    }
    let daemon = daemon(&project);
    wait_for_state(database, &days[1], "loaded");
    let_time_pass(database);
    stop(daemon);
    assert_eq!(states(database), [format!("{}|loaded", days[0]), format!("{}|loaded", days[1])]);
}

fn days_after_the_end_and_on_other_weekdays_are_not_wanted(database: &dyn Database) {
    // The first of March was a Friday.
    let mut orders = ticking(DAYS[4]);
    orders.schedule += "\ndays = \"mon-fri\"";
    let project = project(database, &orders, "");
    add_clock(&project);
    write_days(&project);
    let daemon = daemon(&project);
    wait_for_state(database, DAYS[4], "loaded");
    let_time_pass(database);
    stop(daemon);
    assert_eq!(states(database), ["2024-03-01|loaded", "2024-03-04|loaded", "2024-03-05|loaded"]);
}
