//! The moves of a day between its states, each made by the running daemon, or beside it by a person.

use crate::support::daily::{
    add_clock, amounts, attempts, column, daemon, let_time_pass, project, standing, state, still, stop, ticking,
    wait_for_change, wait_for_state,
};
use crate::support::http::{Server, status};
use crate::support::process::Process;
use crate::support::project::{FIRST, Orders, Project, states};
use crate::support::slow_http::SlowHttp;
use crate::support::{Database, on_both, wait_until};

on_both! {
    a_missing_day_is_running_while_it_is_loaded_and_then_loaded
    a_day_without_a_file_waits_and_costs_no_attempt
    a_poll_finds_no_file_and_moves_on_to_the_next
    a_file_that_comes_while_its_day_waits_is_loaded_by_the_poll_alone
    a_day_that_waited_long_enough_is_absent
    an_absent_day_stays_absent_though_ticks_look_for_it
    an_absent_day_whose_file_comes_is_loaded_at_the_next_tick
    an_absent_day_is_not_looked_for_between_ticks
    a_failed_day_is_tried_again_by_its_own_clock
    a_day_whose_attempts_ran_out_is_not_tried_again
    a_day_whose_attempts_ran_out_is_tried_again_when_a_person_says_so
    a_refused_day_is_loaded_when_a_person_has_it_retried
    a_day_skipped_beside_the_daemon_is_left_out
    a_day_skipped_while_a_retry_is_at_older_ones_is_left_out
    a_day_forgotten_beside_the_daemon_is_loaded_at_the_next_tick
    days_are_skipped_and_forgotten_from_every_state_they_rest_in
    a_day_that_the_daemon_loads_is_neither_skipped_nor_forgotten_nor_loaded_by_others
    a_day_left_by_a_killed_process_is_taken_over
    a_day_left_by_a_killed_process_with_no_attempts_left_is_failed
    a_loaded_day_whose_reload_was_killed_is_loaded_as_it_was
    a_loaded_day_is_reloaded_beside_the_daemon
    days_of_the_future_that_a_clock_ahead_had_noted_are_forgotten_once
    a_day_that_a_clock_ahead_saw_first_is_given_up_in_its_time
    a_start_looks_for_the_files_that_days_wait_for
}

const SECOND: &str = "2024-03-02";
/// Looks each second.
const POLL: &str = "[waiting]\npoll = \"1s\"\n";
/// Gives a day up at the first look after a second.
const GIVE_UP: &str = "[waiting]\npoll = \"1s\"\ngive_up_after = \"1s\"\n";

/// Has every attempt at a day fail: a folder has the file's name.
fn break_day(project: &Project, day: &str) {
    std::fs::create_dir(project.path(&format!("days/{day}.csv"))).unwrap();
}

/// Puts a file in the folder's place.
fn mend_day(project: &Project, day: &str, rows: &str) {
    std::fs::remove_dir(project.path(&format!("days/{day}.csv"))).unwrap();
    bring_day(project, day, rows);
}

/// Writes the file of a day that the daemon may be looking for.
fn bring_day(project: &Project, day: &str, rows: &str) {
    project.replace(&format!("days/{day}.csv"), format!("id,amount,note\n{rows}"));
}

fn a_missing_day_is_running_while_it_is_loaded_and_then_loaded(database: &dyn Database) {
    let server = SlowHttp::start();
    let project = project(database, &still(FIRST).from(&server), "");
    server.day(FIRST, "a,1,x\n");
    server.hold_next(FIRST);
    let daemon = daemon(&project);
    server.wait_until_held(FIRST);
    assert_eq!(standing(database, FIRST), "running|1");
    server.release(FIRST);
    wait_for_state(database, FIRST, "loaded");
    stop(daemon);
    assert_eq!(attempts(database), ["2024-03-01|1|start|loaded"]);
    assert_eq!(amounts(database), ["1|1"]);
}

fn a_day_without_a_file_waits_and_costs_no_attempt(database: &dyn Database) {
    let project = project(database, &still(FIRST), "");
    let daemon = daemon(&project);
    wait_for_state(database, FIRST, "waiting");
    stop(daemon);
    assert_eq!(standing(database, FIRST), "waiting|0");
    let times = "select waiting_since is not null and next_attempt_at > waiting_since as waits from processed_days";
    assert!(["true", "1"].contains(&database.line(times).as_str()));
    assert_eq!(attempts(database), [""; 0]);
}

fn a_poll_finds_no_file_and_moves_on_to_the_next(database: &dyn Database) {
    let project = project(database, &still(FIRST), POLL);
    let daemon = daemon(&project);
    wait_for_state(database, FIRST, "waiting");
    let since = column(database, FIRST, "waiting_since");
    wait_for_change(database, FIRST, "next_attempt_at");
    wait_for_change(database, FIRST, "next_attempt_at");
    stop(daemon);
    assert_eq!(standing(database, FIRST), "waiting|0");
    assert_eq!(column(database, FIRST, "waiting_since"), since);
    assert_eq!(attempts(database), [""; 0]);
}

fn a_file_that_comes_while_its_day_waits_is_loaded_by_the_poll_alone(database: &dyn Database) {
    let project = project(database, &still(FIRST), POLL);
    let daemon = daemon(&project);
    wait_for_state(database, FIRST, "waiting");
    bring_day(&project, FIRST, "a,1,x\n");
    wait_for_state(database, FIRST, "loaded");
    stop(daemon);
    assert_eq!(attempts(database), ["2024-03-01|1|due|loaded"]);
    assert_eq!(column(database, FIRST, "waiting_since"), "null");
}

fn a_day_that_waited_long_enough_is_absent(database: &dyn Database) {
    let project = project(database, &still(FIRST), GIVE_UP);
    let daemon = daemon(&project);
    wait_for_state(database, FIRST, "absent");
    let log = stop(daemon);
    assert_eq!(standing(database, FIRST), "absent|0");
    assert_eq!(column(database, FIRST, "next_attempt_at"), "null");
    assert_eq!(attempts(database), [""; 0]);
    assert_eq!(log.matches("orders 2024-03-01: waited long enough, now absent").count(), 1, "{log}");
}

fn an_absent_day_stays_absent_though_ticks_look_for_it(database: &dyn Database) {
    let server = Server::start(|_| async { status(404, "") });
    let source = format!("url = \"{}/{{day}}.csv\"", server.url());
    let project = project(database, &Orders { source, ..ticking(FIRST) }, GIVE_UP);
    let daemon = daemon(&project);
    wait_for_state(database, FIRST, "absent");
    let asked = server.seen().len();
    // A look is two requests.
    wait_until("three ticks look for it", || server.seen().len() >= asked + 6);
    assert_eq!(standing(database, FIRST), "absent|0");
    let log = stop(daemon);
    assert_eq!(attempts(database), [""; 0]);
    assert_eq!(log.matches("absent").count(), 1, "said once: {log}");
}

fn an_absent_day_whose_file_comes_is_loaded_at_the_next_tick(database: &dyn Database) {
    let project = project(database, &ticking(FIRST), GIVE_UP);
    let daemon = daemon(&project);
    wait_for_state(database, FIRST, "absent");
    bring_day(&project, FIRST, "a,1,x\n");
    wait_for_state(database, FIRST, "loaded");
    stop(daemon);
    assert_eq!(attempts(database), ["2024-03-01|1|tick|loaded"]);
}

fn an_absent_day_is_not_looked_for_between_ticks(database: &dyn Database) {
    let project = project(database, &still(FIRST), GIVE_UP);
    let daemon = daemon(&project);
    wait_for_state(database, FIRST, "absent");
    stop(daemon);
    // The clock's day would be given up as well.
    project.write("dayfill.toml", POLL);
    add_clock(&project);
    bring_day(&project, FIRST, "a,1,x\n");
    let daemon = Process::start(&project, &["run", "--no-catch-up"]);
    let_time_pass(database);
    stop(daemon);
    assert_eq!(standing(database, FIRST), "absent|0");
}

fn a_failed_day_is_tried_again_by_its_own_clock(database: &dyn Database) {
    let retry = "[retry]\nmax_attempts = 100\nfirst_delay = \"1s\"\nmax_delay = \"1s\"\n";
    let project = project(database, &still(FIRST), retry);
    break_day(&project, FIRST);
    let daemon = daemon(&project);
    wait_for_state(database, FIRST, "failed");
    mend_day(&project, FIRST, "a,1,x\n");
    wait_for_state(database, FIRST, "loaded");
    stop(daemon);
    let mut attempts = attempts(database);
    assert_eq!(attempts[0], "2024-03-01|1|start|failed");
    assert_eq!(attempts.pop(), Some(format!("2024-03-01|{}|due|loaded", attempts.len() + 1)));
    assert_eq!(amounts(database), ["1|1"]);
}

/// A daemon that ticks each second and has given up trying the first day, which would succeed by now.
fn run_out_of_attempts(database: &dyn Database) -> (Project, Process) {
    let retry = "[retry]\nmax_attempts = 2\nfirst_delay = \"1s\"\nmax_delay = \"1s\"\n";
    let project = project(database, &ticking(FIRST), retry);
    add_clock(&project);
    break_day(&project, FIRST);
    let daemon = daemon(&project);
    wait_until("the attempts run out", || standing(database, FIRST) == "failed|2");
    mend_day(&project, FIRST, "a,1,x\n");
    (project, daemon)
}

fn a_day_whose_attempts_ran_out_is_not_tried_again(database: &dyn Database) {
    let (_project, daemon) = run_out_of_attempts(database);
    assert_eq!(column(database, FIRST, "next_attempt_at"), "null");
    let_time_pass(database);
    let log = stop(daemon);
    assert_eq!(standing(database, FIRST), "failed|2");
    assert_eq!(attempts(database).len(), 2);
    assert!(log.contains("failed, 0 attempts left"), "{log}");
}

fn a_day_whose_attempts_ran_out_is_tried_again_when_a_person_says_so(database: &dyn Database) {
    let (project, daemon) = run_out_of_attempts(database);
    project.succeed(&["retry", "--dataset", "orders", FIRST]);
    stop(daemon);
    assert_eq!(standing(database, FIRST), "loaded|1");
}

fn a_refused_day_is_loaded_when_a_person_has_it_retried(database: &dyn Database) {
    let project = project(database, &ticking(FIRST).source("on_change = \"ignore\""), "");
    add_clock(&project);
    project.day(FIRST, "a,no number,x\n");
    let daemon = daemon(&project);
    wait_for_state(database, FIRST, "refused");
    bring_day(&project, FIRST, "a,1,x\n");
    let_time_pass(database);
    assert_eq!(standing(database, FIRST), "refused|1");
    project.succeed(&["retry", "--dataset", "orders", FIRST]);
    stop(daemon);
    assert_eq!(attempts(database), ["2024-03-01|1|start|refused", "2024-03-01|1|retry|loaded"]);
    assert_eq!(amounts(database), ["1|1"]);
}

fn a_day_skipped_beside_the_daemon_is_left_out(database: &dyn Database) {
    let project = project(database, &ticking(FIRST), POLL);
    add_clock(&project);
    let daemon = daemon(&project);
    wait_for_state(database, FIRST, "waiting");
    project.succeed(&["skip", "--dataset", "orders", FIRST]);
    bring_day(&project, FIRST, "a,1,x\n");
    let_time_pass(database);
    stop(daemon);
    assert_eq!(states(database), ["2024-03-01|skipped"]);
    assert_eq!(attempts(database), [""; 0]);
}

fn a_day_skipped_while_a_retry_is_at_older_ones_is_left_out(database: &dyn Database) {
    let server = SlowHttp::start();
    let project = project(database, &still(SECOND).from(&server), "[catch_up]\nconcurrency = 1\n");
    for day in [FIRST, SECOND] {
        server.day(day, "a,no number,x\n");
    }
    project.exit(4, &["catch-up"]);
    server.day(FIRST, "a,1,x\n");
    server.day(SECOND, "a,2,x\n");
    server.hold_next(FIRST);
    let retry = Process::start(&project, &["retry", "--refused"]);
    server.wait_until_held(FIRST);
    let skipped = project.succeed(&["skip", SECOND, "--reason", "do not load"]);
    assert!(skipped.stdout.ends_with("skipped (it was refused)\n"), "{skipped:?}");
    server.release(FIRST);
    let ran = retry.end();
    assert_eq!(ran.code, 0, "{ran:#?}");
    assert!(ran.stdout.contains("skipped: a retry leaves it, `load` takes it"), "{ran:#?}");
    assert_eq!(amounts(database), ["1|1"]);
    assert_eq!(states(database), ["2024-03-01|loaded", "2024-03-02|skipped"]);
}

fn a_day_forgotten_beside_the_daemon_is_loaded_at_the_next_tick(database: &dyn Database) {
    let project = project(database, &ticking(FIRST), "");
    project.day(FIRST, "a,1,x\n");
    let daemon = daemon(&project);
    wait_for_state(database, FIRST, "loaded");
    bring_day(&project, FIRST, "a,2,x\n");
    project.succeed(&["forget", FIRST]);
    wait_until("it is loaded again", || amounts(database) == ["2|1"]);
    wait_for_state(database, FIRST, "loaded");
    stop(daemon);
    assert_eq!(attempts(database), ["2024-03-01|1|start|loaded", "2024-03-01|1|tick|loaded"]);
}

/// The days of March that came to rest: loaded, refused, failed with no attempts left, waiting; the fifth is skipped.
fn days_are_skipped_and_forgotten_from_every_state_they_rest_in(database: &dyn Database) {
    let orders = still("2024-03-05");
    let project = project(database, &orders, "[retry]\nmax_attempts = 1\n");
    let day = |number: u32| format!("2024-03-0{number}");
    project.day(&day(1), "a,1,x\n");
    project.day(&day(2), "a,no number,x\n");
    std::fs::create_dir(project.path("days/2024-03-03.csv")).unwrap();
    project.succeed(&["skip", &day(5)]);
    let daemon = daemon(&project);
    wait_for_state(database, &day(4), "waiting");
    let say = |command: &str, number: u32, was: &str| {
        let ran = project.succeed(&[command, &day(number)]);
        assert!(ran.stdout.ends_with(&format!("(it was {was})\n")), "{command} {number}: {}", ran.stdout);
    };
    assert_eq!(project.run(&["skip", &day(1)]).code, 1, "a loaded day is not skipped");
    for (number, was) in [(2, "refused"), (3, "failed"), (4, "waiting"), (5, "skipped")] {
        say("skip", number, was);
        say("forget", number, "skipped");
        say("skip", number, "missing");
    }
    project.succeed(&["forget", &day(5)]);
    say("forget", 5, "missing");
    say("forget", 1, "loaded");
    for number in [2, 3, 4] {
        say("forget", number, "skipped");
    }
    stop(daemon);
    assert_eq!(states(database), [""; 0], "all are missing again");
}

fn a_day_that_the_daemon_loads_is_neither_skipped_nor_forgotten_nor_loaded_by_others(database: &dyn Database) {
    let server = SlowHttp::start();
    let project = project(database, &still(FIRST).from(&server), "");
    server.day(FIRST, "a,1,x\n");
    server.hold_next(FIRST);
    let daemon = daemon(&project);
    server.wait_until_held(FIRST);
    for command in ["skip", "forget", "retry", "load"] {
        let ran = project.run(&[command, FIRST]);
        let said = format!("{}{}", ran.stdout, ran.stderr);
        assert!(said.contains("being loaded by another process"), "{command}: {ran:#?}");
        assert_eq!(standing(database, FIRST), "running|1", "{command}");
    }
    server.release(FIRST);
    wait_for_state(database, FIRST, "loaded");
    stop(daemon);
    assert_eq!(attempts(database), ["2024-03-01|1|start|loaded"]);
}

/// Kills a process that is loading the first day while the daemon runs. The lease would hold for a while.
fn kill_a_load(project: &Project, server: &SlowHttp, database: &dyn Database, arguments: &[&str]) -> Process {
    server.hold_next(FIRST);
    let load = Process::start(project, arguments);
    server.wait_until_held(FIRST);
    let daemon = daemon(project);
    // The daemon is at work when it has taken the other day.
    wait_for_state(database, SECOND, "waiting");
    assert_eq!(standing(database, FIRST), "running|1", "its owner lives");
    assert!(load.kill(), "it is held");
    server.release(FIRST);
    daemon
}

/// A lease that lets the daemon look for what the dead left every second.
const LEASE: &str = "[claim]\nlease = \"3s\"\n";

fn a_day_left_by_a_killed_process_is_taken_over(database: &dyn Database) {
    let server = SlowHttp::start();
    let project = project(database, &still(SECOND).from(&server), LEASE);
    server.day(FIRST, "a,1,x\n");
    let daemon = kill_a_load(&project, &server, database, &["load", FIRST]);
    wait_for_state(database, FIRST, "loaded");
    stop(daemon);
    assert_eq!(attempts(database), ["2024-03-01|1|load|lost", "2024-03-01|2|due|loaded"]);
    assert_eq!(amounts(database), ["1|1"]);
}

fn a_day_left_by_a_killed_process_with_no_attempts_left_is_failed(database: &dyn Database) {
    let server = SlowHttp::start();
    let project = project(database, &still(SECOND).from(&server), &format!("{LEASE}[retry]\nmax_attempts = 1\n"));
    server.day(FIRST, "a,1,x\n");
    let daemon = kill_a_load(&project, &server, database, &["load", FIRST]);
    wait_for_state(database, FIRST, "failed");
    let log = stop(daemon);
    assert_eq!(standing(database, FIRST), "failed|1");
    assert_eq!(attempts(database), ["2024-03-01|1|load|lost"]);
    assert!(log.contains("its process died or stalled; now failed"), "{log}");
}

fn a_loaded_day_whose_reload_was_killed_is_loaded_as_it_was(database: &dyn Database) {
    let server = SlowHttp::start();
    let project = project(database, &still(SECOND).from(&server).source("on_change = \"ignore\""), LEASE);
    server.day(FIRST, "a,1,x\n");
    project.succeed(&["load", FIRST]);
    server.day(FIRST, "a,2,x\n");
    let daemon = kill_a_load(&project, &server, database, &["load", "--force", FIRST]);
    wait_for_state(database, FIRST, "loaded");
    stop(daemon);
    assert_eq!(attempts(database), ["2024-03-01|1|load|loaded", "2024-03-01|1|load|lost"]);
    assert_eq!(amounts(database), ["1|1"]);
}

fn a_loaded_day_is_reloaded_beside_the_daemon(database: &dyn Database) {
    let project = project(database, &ticking(FIRST).source("on_change = \"ignore\""), "");
    project.day(FIRST, "a,1,x\n");
    let daemon = daemon(&project);
    wait_for_state(database, FIRST, "loaded");
    bring_day(&project, FIRST, "a,2,x\n");
    project.succeed(&["load", "--force", FIRST]);
    assert_eq!(state(database, FIRST), "loaded");
    stop(daemon);
    assert_eq!(attempts(database), ["2024-03-01|1|start|loaded", "2024-03-01|1|load|loaded"]);
    assert_eq!(amounts(database), ["2|1"]);
}

/// Notes days as a process does whose clock is ahead.
fn note_ahead(database: &dyn Database, days: &[(&str, &str, u32)]) {
    for (day, state, attempts) in days {
        let waits = if matches!(*state, "waiting" | "failed") { "'2098-12-01 00:15:00'" } else { "null" };
        database.execute(&format!(
            "insert into processed_days (dataset, day, state, attempts, next_attempt_at) \
             values ('orders', '{day}', '{state}', {attempts}, {waits})"
        ));
    }
}

fn days_of_the_future_that_a_clock_ahead_had_noted_are_forgotten_once(database: &dyn Database) {
    let project = project(database, &ticking(FIRST), "");
    // A person may ask for any day; that one stays.
    project.run(&["load", "2099-01-07"]);
    assert_eq!(states(database), ["2099-01-07|waiting"]);
    let ahead = [("2099-01-01", "waiting", 0), ("2099-01-02", "waiting", 0), ("2099-01-03", "absent", 0)];
    note_ahead(
        database,
        &[&ahead[..], &[("2099-01-05", "failed", 1), ("2099-01-06", "skipped", 0), ("2099-01-08", "waiting", 1)]]
            .concat(),
    );
    let mut daemon = daemon(&project);
    daemon.wait_for(
        "WARN  orders: forgot days of the future that a clock which was ahead had noted: 2099-01-01..2099-01-03",
    );
    let of_the_future =
        || -> Vec<String> { states(database).into_iter().filter(|state| state.starts_with("2099")).collect() };
    let left = ["2099-01-05|failed", "2099-01-06|skipped", "2099-01-07|waiting", "2099-01-08|waiting"];
    assert_eq!(of_the_future(), left);
    wait_for_state(database, FIRST, "waiting");
    let log = stop(daemon);
    assert_eq!(log.matches("forgot").count(), 1, "{log}");
    // Without a daemon the next catch-up sees to it.
    note_ahead(database, &ahead);
    let ran = project.run(&["catch-up", "--to", FIRST]);
    assert!(ran.stderr.contains("orders: forgot days of the future"), "{}", ran.stderr);
    assert_eq!(of_the_future(), left);
}

fn a_day_that_a_clock_ahead_saw_first_is_given_up_in_its_time(database: &dyn Database) {
    let project = project(database, &ticking(FIRST).sections("[waiting]\npoll = \"1s\"\ngive_up_after = \"1s\"\n"), "");
    project.succeed(&["catch-up"]);
    database.execute("update processed_days set waiting_since = '2098-12-01 00:00:00', next_attempt_at = null");
    let daemon = daemon(&project);
    wait_for_state(database, FIRST, "absent");
    stop(daemon);
}

fn a_start_looks_for_the_files_that_days_wait_for(database: &dyn Database) {
    let project = project(database, &still(FIRST).sections("[waiting]\npoll = \"12h\"\n"), "");
    project.succeed(&["catch-up"]);
    wait_for_state(database, FIRST, "waiting");
    project.day(FIRST, "a,1,x\n");
    let daemon = daemon(&project);
    wait_for_state(database, FIRST, "loaded");
    stop(daemon);
}
