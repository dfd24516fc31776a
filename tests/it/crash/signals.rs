//! Ctrl-C and SIGTERM: a person, or a service manager, wants the process to end.

use rustix::process::Signal;

use super::{amounts, first_day, outcomes, rows_of, slow_project};
use crate::support::process::Process;
use crate::support::project::{FIRST, states};
use crate::support::slow_http::SlowHttp;
use crate::support::trouble::wait_for_sessions_to_end;
use crate::support::{Database, on_both};

const STOPPING: &str = "shutting down: no further day is published";

on_both! {
    ctrl_c_releases_the_day_and_says_what_was_loaded
    sigterm_releases_the_day_and_says_what_was_loaded
    a_second_ctrl_c_ends_the_process_at_once
    a_second_sigterm_ends_the_process_at_once
}

fn ctrl_c_releases_the_day_and_says_what_was_loaded(database: &dyn Database) {
    one_signal(database, Signal::INT);
}

fn sigterm_releases_the_day_and_says_what_was_loaded(database: &dyn Database) {
    one_signal(database, Signal::TERM);
}

fn a_second_ctrl_c_ends_the_process_at_once(database: &dyn Database) {
    two_signals(database, Signal::INT);
}

fn a_second_sigterm_ends_the_process_at_once(database: &dyn Database) {
    two_signals(database, Signal::TERM);
}

fn one_signal(database: &dyn Database, signal: Signal) {
    let server = SlowHttp::start();
    let project = slow_project(database, &server, "60s", 5);
    let days = [FIRST, "2024-03-02", "2024-03-03"];
    for (index, day) in days.into_iter().enumerate() {
        server.day(day, &rows_of(100, index));
    }
    server.hold_next(days[1]);
    let mut process = Process::start(&project, &["catch-up", "--to", days[2]]);
    server.wait_until_held(days[1]);
    process.signal(signal);
    process.wait_for(STOPPING);
    server.release(days[1]);
    let ran = process.end();
    assert_eq!(ran.code, 130, "{ran:#?}");
    assert!(ran.stdout.ends_with("1 loaded, 1 interrupted, 1 not tried\n"), "{}", ran.stdout);
    assert_eq!(states(database), ["2024-03-01|loaded"], "the day is missing again");
    assert_eq!(amounts(database), ["0|100"]);
    let attempts = "select cast(day as text) as d, attempt, outcome from load_attempts order by started_at, day, claim";
    assert_eq!(database.lines(attempts), ["2024-03-01|1|loaded", "2024-03-02|1|interrupted"]);
    assert_eq!(database.line("select count(*) from workers"), "0", "it signs off");

    project.succeed(&["catch-up", "--to", days[2]]);
    assert_eq!(amounts(database), ["0|100", "1|100", "2|100"]);
    assert_eq!(database.line("select max(attempts) from processed_days"), "1", "the interrupted one does not count");
}

fn two_signals(database: &dyn Database, signal: Signal) {
    let server = SlowHttp::start();
    let project = slow_project(database, &server, "1h", 5);
    server.day(FIRST, &rows_of(100, 1));
    server.hold_next(FIRST);
    let mut process = Process::start(&project, &["catch-up", "--to", FIRST]);
    server.wait_until_held(FIRST);
    // The first signal breaks the download off; releasing the day then waits.
    let held = database.hold();
    process.signal(signal);
    process.wait_for(STOPPING);
    process.signal(signal);
    let ran = process.end();
    drop(held);
    assert_eq!(ran.code, 130, "{ran:#?}");
    assert_eq!(first_day(database), ["running|1"], "there was no time to release it");
    server.release(FIRST);
    wait_for_sessions_to_end(database);
    project.succeed(&["catch-up", "--to", FIRST]);
    assert_eq!(outcomes(database), ["1|lost", "2|loaded"]);
    assert_eq!(amounts(database), ["1|100"]);
}
