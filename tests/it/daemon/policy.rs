//! What the settings make of catching up, of retries, of waiting and of files that change.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::daily::{
    add_clock, amounts, attempts, column, daemon, let_time_pass, project, standing, still, stop, ticking,
    wait_for_state,
};
use crate::support::http::{Server, in_trouble, whole};
use crate::support::process::Process;
use crate::support::project::{FIRST, Orders, Project, states};
use crate::support::slow_http::SlowHttp;
use crate::support::sqlite::SqliteDatabase;
use crate::support::{Database, on_both, wait_until};

on_both! {
    a_catch_up_takes_so_many_older_days_and_always_the_newest
    a_tick_may_take_the_newest_day_only
    a_failed_day_does_not_hold_newer_ones_back
    a_failed_day_holds_newer_ones_back_until_its_retry_succeeds
    a_refused_day_holds_back_newer_ones_that_wait_for_their_files
    what_a_retry_sets_free_is_bounded_by_what_the_tick_took
    each_look_says_how_many_days_are_held_back
    a_datasets_own_policy_comes_before_that_of_all
    a_dataset_loads_no_more_days_at_a_time_than_it_may
    all_datasets_together_load_no_more_days_at_a_time_than_they_may
    the_pause_before_a_retry_outlives_the_daemon
    a_late_day_is_said_once
    given_up_days_are_not_looked_for_where_nobody_wants_that
    the_same_content_in_another_file_is_noted_and_no_change
    the_same_content_in_another_file_is_not_loaded_again
    a_changed_file_is_said_once_and_left
    a_changed_file_is_loaded_where_that_is_asked_for
    a_changed_file_is_ignored_where_that_is_asked_for
    a_changed_file_that_is_refused_is_tried_once
    a_refused_placeholder_is_loaded_once_the_real_file_is_there
    a_refused_day_is_not_tried_again_for_the_same_content
    a_refused_day_is_left_where_changes_are_ignored
    only_the_files_of_the_newest_days_are_looked_at_again
    a_folder_that_is_missing_for_fifty_days_is_trouble_of_the_source_and_all_load_when_it_is_back
    a_server_that_is_in_trouble_for_long_costs_no_attempt
    a_day_stays_loaded_when_its_file_goes
}

const SECOND: &str = "2024-03-02";
const THIRD: &str = "2024-03-03";
const FOURTH: &str = "2024-03-04";

/// Tries again each second.
const RETRY: &str = "[retry]\nmax_attempts = 100\nfirst_delay = \"1s\"\nmax_delay = \"1s\"\n";
const CHANGED: &str = "its file changed after it was loaded";

/// Puts a new file in the place of a day's.
fn replace_day(project: &Project, day: &str, rows: &str) {
    project.replace(&format!("days/{day}.csv"), format!("id,amount,note\n{rows}"));
}

/// A project whose first four days have a file each, and the second one a folder in its place.
fn with_a_broken_day(database: &dyn Database, orders: &Orders, settings: &str) -> Project {
    let project = project(database, orders, settings);
    for day in [FIRST, THIRD, FOURTH] {
        project.day(day, "a,1,x\n");
    }
    std::fs::create_dir(project.path(&format!("days/{SECOND}.csv"))).unwrap();
    project
}

fn a_catch_up_takes_so_many_older_days_and_always_the_newest(database: &dyn Database) {
    let project = project(database, &still(FOURTH), "[catch_up]\nmax_days_per_tick = 1\n");
    add_clock(&project);
    for day in [FIRST, SECOND, THIRD, FOURTH] {
        project.day(day, "a,1,x\n");
    }
    let daemon = daemon(&project);
    wait_for_state(database, FOURTH, "loaded");
    let_time_pass(database);
    stop(daemon);
    assert_eq!(attempts(database), ["2024-03-01|1|start|loaded", "2024-03-04|1|start|loaded"]);
}

fn a_tick_may_take_the_newest_day_only(database: &dyn Database) {
    let project = project(database, &ticking(THIRD), "[catch_up]\nmax_days_per_tick = 0\n");
    add_clock(&project);
    for day in [FIRST, SECOND, THIRD] {
        project.day(day, "a,1,x\n");
    }
    let daemon = Process::start(&project, &["run", "--no-catch-up"]);
    wait_for_state(database, THIRD, "loaded");
    let_time_pass(database);
    stop(daemon);
    assert_eq!(attempts(database), ["2024-03-03|1|tick|loaded"]);
}

fn a_failed_day_does_not_hold_newer_ones_back(database: &dyn Database) {
    let project = with_a_broken_day(database, &still(THIRD), "");
    let daemon = daemon(&project);
    wait_for_state(database, THIRD, "loaded");
    stop(daemon);
    assert_eq!(states(database), ["2024-03-01|loaded", "2024-03-02|failed", "2024-03-03|loaded"]);
}

fn a_failed_day_holds_newer_ones_back_until_its_retry_succeeds(database: &dyn Database) {
    let project = with_a_broken_day(database, &still(FOURTH), &format!("{RETRY}[catch_up]\nstop_on_failure = true\n"));
    let daemon = daemon(&project);
    wait_until("two retries fail", || standing(database, SECOND) == "failed|3");
    // The next retry may have begun by now; the days behind it have not.
    let known = states(database);
    assert_eq!((known.len(), known[0].as_str()), (2, "2024-03-01|loaded"), "{known:?}");
    std::fs::remove_dir(project.path(&format!("days/{SECOND}.csv"))).unwrap();
    replace_day(&project, SECOND, "a,1,x\n");
    wait_for_state(database, FOURTH, "loaded");
    stop(daemon);
    // No tick came.
    let attempts = attempts(database);
    assert_eq!(attempts[attempts.len() - 2..], ["2024-03-03|1|due|loaded", "2024-03-04|1|due|loaded"]);
    assert!(attempts[attempts.len() - 3].ends_with("|due|loaded"), "{attempts:?}");
}

fn a_refused_day_holds_back_newer_ones_that_wait_for_their_files(database: &dyn Database) {
    let settings = "[waiting]\npoll = \"1s\"\n[catch_up]\nstop_on_failure = true\n[log]\nlevel = \"debug\"\n";
    let project = project(database, &still(SECOND), settings);
    add_clock(&project);
    let daemon = daemon(&project);
    wait_for_state(database, SECOND, "waiting");
    replace_day(&project, FIRST, "a,no number,x\n");
    wait_for_state(database, FIRST, "refused");
    replace_day(&project, SECOND, "a,1,x\n");
    let_time_pass(database);
    let_time_pass(database);
    let log = stop(daemon);
    assert_eq!(states(database), ["2024-03-01|refused", "2024-03-02|waiting"]);
    // It is due all the time, and cannot be helped: that is not found out anew each second.
    let (_, held_back) = log.split_once(" refused: ").unwrap();
    assert!(held_back.matches("orders: looked at").count() < 4, "{log}");
}

fn what_a_retry_sets_free_is_bounded_by_what_the_tick_took(database: &dyn Database) {
    let settings = format!("{RETRY}[catch_up]\nstop_on_failure = true\nmax_days_per_tick = 1\n");
    let project = project(database, &still(FOURTH), &settings);
    add_clock(&project);
    for day in [SECOND, THIRD, FOURTH] {
        project.day(day, "a,1,x\n");
    }
    std::fs::create_dir(project.path(&format!("days/{FIRST}.csv"))).unwrap();
    let daemon = daemon(&project);
    wait_for_state(database, FIRST, "failed");
    std::fs::remove_dir(project.path(&format!("days/{FIRST}.csv"))).unwrap();
    replace_day(&project, FIRST, "a,1,x\n");
    wait_for_state(database, FOURTH, "loaded");
    let_time_pass(database);
    stop(daemon);
    assert_eq!(states(database), ["2024-03-01|loaded", "2024-03-04|loaded"]);
}

fn each_look_says_how_many_days_are_held_back(database: &dyn Database) {
    let project = project(database, &still(THIRD), "[catch_up]\nstop_on_failure = true\n");
    add_clock(&project);
    project.day(FIRST, "a,no number,x\n");
    project.exit(4, &["load", FIRST, "--dataset", "orders"]);
    let mut daemon = daemon(&project);
    daemon.wait_for("INFO  orders: 2 days held back by 2024-03-01, which failed or was refused");
    let_time_pass(database);
    let log = stop(daemon);
    assert_eq!(log.matches("held back").count(), 1, "there was one look: {log}");
    assert_eq!(states(database), ["2024-03-01|refused"]);
}

fn a_datasets_own_policy_comes_before_that_of_all(database: &dyn Database) {
    let orders = still(THIRD).sections("[catch_up]\nstop_on_failure = true\non_start = true\n");
    let settings = "[catch_up]\nstop_on_failure = false\non_start = false\n";
    let project = with_a_broken_day(database, &orders, settings);
    add_clock(&project);
    let daemon = daemon(&project);
    wait_for_state(database, SECOND, "failed");
    let_time_pass(database);
    stop(daemon);
    assert_eq!(states(database), ["2024-03-01|loaded", "2024-03-02|failed"]);
}

/// Has the next answer for each of so many days from the first of a month on be held.
fn hold_days(server: &SlowHttp, month: &str, number: usize) {
    for day in 1..=number {
        let day = format!("2024-{month}-{day:02}");
        server.day(&day, "a,1,x\n");
        server.hold_next(&day);
    }
}

/// Lets the days of the dataset `orders` and others be loaded, so many at a time.
fn release_in_turns(server: &SlowHttp, days: usize, at_a_time: usize) {
    for begun in (0..days).step_by(at_a_time) {
        server.wait_until_so_many_are_held(at_a_time.min(days - begun));
        server.release_all();
    }
}

fn a_dataset_loads_no_more_days_at_a_time_than_it_may(database: &dyn Database) {
    let server = SlowHttp::start();
    let settings = "max_parallel_loads = 8\n[catch_up]\nconcurrency = 2\n";
    let project = project(database, &still("2024-03-05").from(&server), settings);
    hold_days(&server, "03", 5);
    let daemon = daemon(&project);
    release_in_turns(&server, 5, 2);
    wait_until("all are loaded", || states(database).iter().filter(|state| state.ends_with("loaded")).count() == 5);
    stop(daemon);
    assert_eq!(server.most_at_once(), 2);
}

fn all_datasets_together_load_no_more_days_at_a_time_than_they_may(database: &dyn Database) {
    let server = SlowHttp::start();
    let settings = "max_parallel_loads = 3\n[catch_up]\nconcurrency = 2\n";
    let project = project(database, &still("2024-03-03").from(&server), settings);
    let schedule = "cron = \"0 2 1 1 *\"\nstart = 2024-04-01\nend = 2024-04-03".to_owned();
    project.dataset("others", &Orders { schedule, table: "others", ..Orders::default() }.from(&server));
    hold_days(&server, "03", 3);
    hold_days(&server, "04", 3);
    let daemon = daemon(&project);
    // Two of one and one of the other; the slots, not the datasets, are what is scarce.
    release_in_turns(&server, 6, 3);
    let loaded = "select count(*) from processed_days where state = 'loaded'";
    wait_until("all are loaded", || database.line(loaded) == "6");
    stop(daemon);
    assert_eq!(server.most_at_once(), 3);
}

#[test]
fn two_hundred_datasets_with_work_at_once_take_no_more_threads_than_a_few() {
    let database = &SqliteDatabase::new();
    let server = SlowHttp::start();
    let settings = "max_parallel_loads = 2\n[catch_up]\nconcurrency = 8\n";
    let project = project(database, &still(FIRST).from(&server), settings);
    std::fs::remove_file(project.path("datasets/orders.toml")).unwrap();
    let first: chrono::NaiveDate = FIRST.parse().unwrap();
    for (number, day) in first.iter_days().take(200).enumerate() {
        let day = day.to_string();
        server.day(&day, "a,1,x\n");
        let schedule = format!("cron = \"0 2 1 1 *\"\nstart = {day}\nend = {day}");
        project.dataset(
            &format!("orders_{number:03}"),
            &Orders { schedule, mode: "upsert", ..Orders::default() }.from(&server),
        );
    }
    server.hold_next(FIRST);
    let daemon = daemon(&project);
    server.wait_until_held(FIRST);
    let threads = || std::fs::read_dir(format!("/proc/{}/task", daemon.pid())).unwrap().count();
    let most = std::cell::Cell::new(0);
    let loaded = |number: usize| {
        most.set(most.get().max(threads()));
        database.line("select count(*) from processed_days where state = 'loaded'").parse::<usize>().unwrap() >= number
    };
    // One slot is held, and all other days pass through the other one.
    for number in [50, 100, 150, 199] {
        wait_until(&format!("{number} days are loaded"), || loaded(number));
    }
    server.release(FIRST);
    wait_until("all are loaded", || loaded(200));
    stop(daemon);
    assert!(most.get() <= 2 + 22, "{} threads", most.get());
}

fn the_pause_before_a_retry_outlives_the_daemon(database: &dyn Database) {
    let project = project(database, &ticking(FIRST), "[retry]\nfirst_delay = \"1h\"\n");
    add_clock(&project);
    let file = project.path(&format!("days/{FIRST}.csv"));
    std::fs::create_dir(&file).unwrap();
    let first = daemon(&project);
    wait_for_state(database, FIRST, "failed");
    stop(first);
    let next = column(database, FIRST, "next_attempt_at");
    std::fs::remove_dir(&file).unwrap();
    replace_day(&project, FIRST, "a,1,x\n");
    let second = daemon(&project);
    let_time_pass(database);
    stop(second);
    assert_eq!(standing(database, FIRST), "failed|1");
    assert_eq!(column(database, FIRST, "next_attempt_at"), next);
}

fn a_late_day_is_said_once(database: &dyn Database) {
    let project = project(database, &ticking(SECOND).sections("[waiting]\npoll = \"1s\"\ndeadline = \"07:30\"\n"), "");
    add_clock(&project);
    project.day(FIRST, "a,1,x\n");
    let mut daemon = daemon(&project);
    daemon.wait_for("orders: late, not loaded by 07:30: 2024-03-02");
    // Its own looks, between ticks, are no reason to say it again.
    let_time_pass(database);
    let_time_pass(database);
    let log = stop(daemon);
    assert_eq!(log.matches("late, not loaded").count(), 1, "{log}");
    assert!(log.lines().any(|line| line.contains("WARN") && line.contains("late, not loaded")), "{log}");
}

fn given_up_days_are_not_looked_for_where_nobody_wants_that(database: &dyn Database) {
    let orders = ticking(FIRST).sections("[waiting]\npoll = \"1s\"\ngive_up_after = \"1s\"\nabsent_days = 0\n");
    let project = project(database, &orders, "");
    add_clock(&project);
    let daemon = daemon(&project);
    wait_for_state(database, FIRST, "absent");
    // A look that was planned while it still waited is over by then.
    let_time_pass(database);
    replace_day(&project, FIRST, "a,1,x\n");
    let_time_pass(database);
    stop(daemon);
    assert_eq!(standing(database, FIRST), "absent|0");
}

/// A daemon that ticks each second and has loaded the first day, whose file is then replaced.
fn replaced(database: &dyn Database, on_change: &str, rows: &str) -> (Project, Process) {
    let orders = ticking(FIRST).source(&format!("on_change = \"{on_change}\""));
    let project = project(database, &orders, "");
    add_clock(&project);
    project.day(FIRST, "a,1,x\n");
    let daemon = daemon(&project);
    wait_for_state(database, FIRST, "loaded");
    replace_day(&project, FIRST, rows);
    (project, daemon)
}

fn the_same_content_in_another_file_is_noted_and_no_change(database: &dyn Database) {
    let (project, daemon) = replaced(database, "warn", "a,1,x\n");
    // Whether or not the daemon was faster than the lines above, it sees this one.
    let before = column(database, FIRST, "source_etag");
    replace_day(&project, FIRST, "a,1,x\n");
    wait_until("its tag is noted", || column(database, FIRST, "source_etag") != before);
    let_time_pass(database);
    let log = stop(daemon);
    assert_eq!(column(database, FIRST, "newer_etag"), "null");
    assert_eq!(attempts(database), ["2024-03-01|1|start|loaded"]);
    assert!(!log.contains(CHANGED), "{log}");
}

fn the_same_content_in_another_file_is_not_loaded_again(database: &dyn Database) {
    let (project, daemon) = replaced(database, "reload", "a,1,x\n");
    let loaded = column(database, FIRST, "loaded_at");
    let before = column(database, FIRST, "source_etag");
    replace_day(&project, FIRST, "a,1,x\n");
    wait_until("its tag is noted", || column(database, FIRST, "source_etag") != before);
    let_time_pass(database);
    stop(daemon);
    assert_eq!(standing(database, FIRST), "loaded|1");
    assert_eq!(column(database, FIRST, "loaded_at"), loaded);
    assert_eq!(attempts(database), ["2024-03-01|1|start|loaded"], "a look costs no attempt");
}

fn a_changed_file_is_said_once_and_left(database: &dyn Database) {
    let (_project, mut daemon) = replaced(database, "warn", "a,2,x\n");
    daemon.wait_for(CHANGED);
    let_time_pass(database);
    let log = stop(daemon);
    assert_eq!(log.matches(CHANGED).count(), 1, "{log}");
    assert!(log.contains("`dayfill load --force 2024-03-01 --dataset orders`"), "{log}");
    assert_ne!(column(database, FIRST, "newer_etag"), "null");
    assert_eq!(attempts(database), ["2024-03-01|1|start|loaded"]);
    assert_eq!(amounts(database), ["1|1"]);
}

#[test]
fn no_file_is_looked_at_again_where_that_is_to_be_of_no_day() {
    let database = SqliteDatabase::new();
    let orders = ticking(FIRST).source("on_change = \"reload\"\nrecheck_days = 0");
    let project = project(&database, &orders, "");
    add_clock(&project);
    project.day(FIRST, "a,1,x\n");
    let daemon = daemon(&project);
    wait_for_state(&database, FIRST, "loaded");
    replace_day(&project, FIRST, "a,2,x\n");
    let_time_pass(&database);
    let log = stop(daemon);
    assert!(!log.contains(" ERROR "), "{log}");
    assert_eq!(amounts(&database), ["1|1"]);
}

#[test]
fn a_changed_file_that_holds_more_than_it_may_is_not_read_to_its_end() {
    let database = SqliteDatabase::new();
    let orders = ticking(FIRST).source("on_change = \"warn\"").sections("max_bytes = 30\n");
    let project = project(&database, &orders, "");
    project.day(FIRST, "a,1,x\n");
    let mut daemon = daemon(&project);
    wait_for_state(&database, FIRST, "loaded");
    replace_day(&project, FIRST, "a,1,x\nb,1,y\nc,1,z\n");
    daemon.wait_for("orders 2024-03-01: whether its file changed cannot be told: ");
    let log = stop(daemon);
    assert!(log.contains("holds more than 30 bytes, the limit") && !log.contains(CHANGED), "{log}");
}

fn a_changed_file_is_loaded_where_that_is_asked_for(database: &dyn Database) {
    let (_project, daemon) = replaced(database, "reload", "a,2,x\n");
    wait_until("it is loaded again", || amounts(database) == ["2|1"]);
    let_time_pass(database);
    stop(daemon);
    assert_eq!(standing(database, FIRST), "loaded|1");
    assert_eq!(attempts(database), ["2024-03-01|1|start|loaded", "2024-03-01|1|change|loaded"]);
}

fn a_changed_file_is_ignored_where_that_is_asked_for(database: &dyn Database) {
    let (_project, daemon) = replaced(database, "ignore", "a,2,x\n");
    let_time_pass(database);
    let log = stop(daemon);
    assert!(!log.contains(CHANGED), "{log}");
    assert_eq!(column(database, FIRST, "newer_etag"), "null");
    assert_eq!(amounts(database), ["1|1"]);
}

fn a_changed_file_that_is_refused_is_tried_once(database: &dyn Database) {
    let (project, daemon) = replaced(database, "reload", "a,no number,x\n");
    wait_until("it is refused", || column(database, FIRST, "newer_etag") != "null");
    let_time_pass(database);
    assert_eq!(standing(database, FIRST), "loaded|1");
    assert_eq!(amounts(database), ["1|1"]);
    assert_eq!(attempts(database), ["2024-03-01|1|start|loaded", "2024-03-01|1|change|refused"]);
    // The next file is another matter.
    replace_day(&project, FIRST, "a,3,x\n");
    wait_until("it is loaded again", || amounts(database) == ["3|1"]);
    stop(daemon);
}

/// A daemon that ticks each second and has refused the first day, whose file is empty.
fn refused(database: &dyn Database, on_change: &str) -> (Project, Process) {
    let project = project(database, &ticking(FIRST).source(&format!("on_change = \"{on_change}\"")), "");
    add_clock(&project);
    project.write(&format!("days/{FIRST}.csv"), "");
    let daemon = daemon(&project);
    wait_for_state(database, FIRST, "refused");
    (project, daemon)
}

fn a_refused_placeholder_is_loaded_once_the_real_file_is_there(database: &dyn Database) {
    let (project, daemon) = refused(database, "warn");
    let_time_pass(database);
    assert_eq!(attempts(database), ["2024-03-01|1|start|refused"], "the same file is not tried again");
    replace_day(&project, FIRST, "a,1,x\n");
    wait_for_state(database, FIRST, "loaded");
    let_time_pass(database);
    stop(daemon);
    assert_eq!(attempts(database), ["2024-03-01|1|start|refused", "2024-03-01|1|change|loaded"]);
    assert_eq!(amounts(database), ["1|1"]);
}

fn a_refused_day_is_not_tried_again_for_the_same_content(database: &dyn Database) {
    let (project, daemon) = refused(database, "reload");
    let before = column(database, FIRST, "source_etag");
    assert_ne!(before, "null");
    project.replace(&format!("days/{FIRST}.csv"), "");
    wait_until("its tag is noted", || column(database, FIRST, "source_etag") != before);
    let_time_pass(database);
    let log = stop(daemon);
    assert_eq!(standing(database, FIRST), "refused|1");
    assert_eq!(attempts(database), ["2024-03-01|1|start|refused"], "a look costs no attempt");
    assert_eq!(log.matches("orders 2024-03-01: refused").count(), 1, "{log}");
}

fn a_refused_day_is_left_where_changes_are_ignored(database: &dyn Database) {
    let (project, daemon) = refused(database, "ignore");
    replace_day(&project, FIRST, "a,1,x\n");
    let_time_pass(database);
    stop(daemon);
    assert_eq!(standing(database, FIRST), "refused|1");
}

fn a_folder_that_is_missing_for_fifty_days_is_trouble_of_the_source_and_all_load_when_it_is_back(
    database: &dyn Database,
) {
    // A day that waits for a second is given up, where its folder can be seen.
    let sections =
        "[waiting]\npoll = \"1s\"\ngive_up_after = \"1s\"\n[retry]\nfirst_delay = \"1s\"\nmax_delay = \"1s\"\n";
    let project = project(database, &ticking("2024-04-19").sections(sections), "");
    add_clock(&project);
    for (month, days) in [("03", 31), ("04", 19)] {
        for day in 1..=days {
            project.day(&format!("2024-{month}-{day:02}"), "a,1,x\n");
        }
    }
    let (days, away) = (project.path("days"), project.path("away"));
    std::fs::rename(&days, &away).unwrap();
    let mut daemon = daemon(&project);
    daemon.wait_for("orders: source unavailable: the folder");
    let_time_pass(database);
    assert_eq!(database.line("select count(*) from processed_days where dataset = 'orders'"), "0");
    std::fs::rename(&away, &days).unwrap();
    let loaded = "select count(*) from processed_days where dataset = 'orders' and state = 'loaded' and attempts = 1";
    wait_until("all fifty are loaded", || database.line(loaded) == "50");
    daemon.wait_for("orders: goes on after");
    let log = stop(daemon);
    let all = attempts(database);
    assert!(all.len() == 50 && all.iter().all(|it| it.ends_with("|loaded")), "no attempt was spent: {all:?}");
    assert_eq!(log.matches("source unavailable").count(), 1, "said once: {log}");
}

fn a_server_that_is_in_trouble_for_long_costs_no_attempt(database: &dyn Database) {
    let up = Arc::new(AtomicBool::new(false));
    let is_up = Arc::clone(&up);
    let server = Server::start(move |_| {
        let response = if is_up.load(Ordering::SeqCst) { whole("id,amount,note\na,1,x\n") } else { in_trouble() };
        async { response }
    });
    let sections = "[retry]\nmax_attempts = 1\nfirst_delay = \"1s\"\nmax_delay = \"1s\"\n";
    let source = format!("url = \"{}/{{day}}.csv\"", server.url());
    let project = project(database, &Orders { source, sections, ..ticking(SECOND) }, "");
    let mut daemon = daemon(&project);
    daemon.wait_for("orders: source unavailable: ");
    wait_until("it is asked again and again", || server.seen().len() > 3);
    up.store(true, Ordering::SeqCst);
    for day in [FIRST, SECOND] {
        wait_for_state(database, day, "loaded");
    }
    daemon.wait_for("orders: goes on after");
    let log = stop(daemon);
    assert_eq!([FIRST, SECOND].map(|day| standing(database, day)), ["loaded|1", "loaded|1"]);
    assert_eq!(attempts(database).len(), 2, "no attempt was spent");
    assert_eq!(log.matches("source unavailable").count(), 1, "said once: {log}");
}

fn only_the_files_of_the_newest_days_are_looked_at_again(database: &dyn Database) {
    let orders = ticking(SECOND).source("on_change = \"reload\"\nrecheck_days = 1");
    let project = project(database, &orders, "");
    add_clock(&project);
    project.day(FIRST, "a,1,x\n");
    project.day(SECOND, "a,2,x\n");
    let daemon = daemon(&project);
    wait_for_state(database, SECOND, "loaded");
    replace_day(&project, FIRST, "a,3,x\n");
    replace_day(&project, SECOND, "a,4,x\n");
    wait_until("the newest is loaded again", || amounts(database) == ["1|1", "4|1"]);
    let_time_pass(database);
    stop(daemon);
    assert_eq!(amounts(database), ["1|1", "4|1"]);
}

fn a_day_stays_loaded_when_its_file_goes(database: &dyn Database) {
    let project = project(database, &ticking(FIRST).source("on_change = \"reload\""), "");
    add_clock(&project);
    project.day(FIRST, "a,1,x\n");
    let daemon = daemon(&project);
    wait_for_state(database, FIRST, "loaded");
    std::fs::remove_file(project.path(&format!("days/{FIRST}.csv"))).unwrap();
    let_time_pass(database);
    let log = stop(daemon);
    assert_eq!(standing(database, FIRST), "loaded|1");
    assert_eq!(attempts(database), ["2024-03-01|1|start|loaded"]);
    assert_eq!(amounts(database), ["1|1"]);
    assert!(!log.contains("WARN"), "a file may be moved away once it is loaded: {log}");
}
