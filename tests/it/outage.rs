//! The source is away: no attempt is spent, it is said once, and the days load by themselves when it is back.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::daily::{add_clock, attempts, daemon, let_time_pass, project, stop, ticking, wait_for_state};
use crate::support::http::{Server, busy_for, in_trouble, whole};
use crate::support::project::{Orders, states};
use crate::support::sqlite::SqliteDatabase;
use crate::support::{Database, on_both, wait_until};

on_both! {
    a_server_in_trouble_spends_no_attempt_and_the_days_load_when_it_is_back
    a_catch_up_in_an_outage_says_so_once_and_counts_the_days_it_did_not_try
}

const LAST: &str = "2024-03-09";

/// Tries again each second.
const SECTIONS: &str = "[retry]\nfirst_delay = \"1s\"\nmax_delay = \"1s\"\n[waiting]\npoll = \"1s\"\n";

/// A server that is in trouble for as long as that is so.
fn troubled(is_away: &Arc<AtomicBool>) -> Server {
    let is_away = Arc::clone(is_away);
    Server::start(move |_| {
        let answer = if is_away.load(Ordering::SeqCst) { in_trouble() } else { whole("id,amount,note\na,1,x\n") };
        async move { answer }
    })
}

fn orders(address: &str) -> Orders {
    let source = format!("url = \"{address}/{{day}}.csv\"\non_change = \"ignore\"");
    Orders { source, ..ticking(LAST).sections(SECTIONS) }
}

/// Every one of the nine days was loaded at its first attempt.
fn assert_nothing_was_spent(database: &dyn Database) {
    let all = attempts(database);
    assert!(all.len() == 9 && all.iter().all(|it| it.contains("|1|") && it.ends_with("|loaded")), "{all:?}");
}

fn all_are_loaded(database: &dyn Database) -> bool {
    let loaded = "select count(*) from processed_days where dataset = 'orders' and state = 'loaded' and attempts = 1";
    database.line(loaded) == "9"
}

fn assert_said_once(log: &str, why: &str) {
    assert_eq!(log.matches("orders: source unavailable: ").count(), 1, "{log}");
    assert!(log.contains(why) && log.contains("trying again until it passes, no attempt is counted"), "{log}");
    assert_eq!(log.matches("orders: goes on after").count(), 1, "{log}");
    assert_eq!(log.matches(" ERROR ").count(), 1, "{log}");
}

fn a_server_in_trouble_spends_no_attempt_and_the_days_load_when_it_is_back(database: &dyn Database) {
    let is_away = Arc::new(AtomicBool::new(true));
    let server = troubled(&is_away);
    let project = project(database, &orders(&server.url()), "");
    add_clock(&project);
    let mut daemon = daemon(&project);
    daemon.wait_for("orders: source unavailable: ");
    // It ticks each second, and each day would have five attempts.
    let_time_pass(database);
    let_time_pass(database);
    let of_orders = "select count(*) from processed_days where dataset = 'orders' and state <> 'running'";
    assert_eq!(database.line(of_orders), "0", "no day waits, and none is given up");
    is_away.store(false, Ordering::SeqCst);
    wait_until("all are loaded", || all_are_loaded(database));
    daemon.wait_for("orders: goes on after");
    let log = stop(daemon);
    assert_nothing_was_spent(database);
    assert_said_once(&log, "425 Too Early");
}

/// A port of this machine that nobody listens at.
fn nobody() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap()
}

#[test]
fn a_server_that_refuses_connections_spends_no_attempt() {
    let database = SqliteDatabase::new();
    let address = nobody();
    let project = project(&database, &orders(&format!("http://{address}")), "");
    add_clock(&project);
    let mut daemon = daemon(&project);
    daemon.wait_for("orders: source unavailable: ");
    let_time_pass(&database);
    assert_eq!(states(&database).len(), 1, "of the dataset clock: {:?}", states(&database));
    let log = stop(daemon);
    assert_eq!(log.matches(" ERROR ").count(), 1, "{log}");
    assert!(log.contains("Connection refused"), "{log}");
}

#[test]
fn a_server_that_goes_and_comes_back_is_said_to_do_so_each_time() {
    let database = SqliteDatabase::new();
    let is_away = Arc::new(AtomicBool::new(false));
    let server = troubled(&is_away);
    let project = project(&database, &Orders { schedule: ticking("2024-03-01").schedule, ..orders(&server.url()) }, "");
    let mut daemon = daemon(&project);
    wait_for_state(&database, "2024-03-01", "loaded");
    is_away.store(true, Ordering::SeqCst);
    project.orders(&orders(&server.url()));
    daemon.wait_for("orders: source unavailable: ");
    is_away.store(false, Ordering::SeqCst);
    wait_until("all are loaded", || all_are_loaded(&database));
    daemon.wait_for("orders: goes on after");
    assert_said_once(&stop(daemon), "425 Too Early");
    assert_nothing_was_spent(&database);
}

fn a_catch_up_in_an_outage_says_so_once_and_counts_the_days_it_did_not_try(database: &dyn Database) {
    let is_away = Arc::new(AtomicBool::new(true));
    let server = troubled(&is_away);
    let project = project(database, &orders(&server.url()), "");
    let ran = project.exit(1, &["catch-up"]);
    assert!(ran.stdout.ends_with("3 unavailable, 6 not tried\n"), "{}", ran.stdout);
    let errors: Vec<&str> = ran.stderr.lines().filter(|line| line.contains("ERROR")).collect();
    assert_eq!(errors.len(), 1, "{}", ran.stderr);
    assert!(errors[0].contains("orders: 3 days unavailable, no attempt is counted: http://"), "{}", errors[0]);
    assert!(errors[0].ends_with("(2024-03-01..2024-03-03)"), "{}", errors[0]);
    assert_eq!(database.line("select count(*) from processed_days"), "0");
    // What was asked for by name, too; the activity log tells it.
    let ran = project.exit(1, &["load", "2024-03-01..2024-03-09"]);
    assert!(ran.stdout.ends_with("3 unavailable, 6 not tried\n"), "{}", ran.stdout);
    let outcome = database.line("select outcome from activity_log where action = 'load'");
    assert_eq!(outcome, "done: 9 days: 6 not tried, 3 unavailable");
    let ran = project.exit(1, &["run-etl", "--start-date", "2024-03-01", "--end-date", LAST, "--dataset", "orders"]);
    assert!(ran.stdout.ends_with("\nNot tried: 2024-03-04..2024-03-09\n"), "{}", ran.stdout);
    is_away.store(false, Ordering::SeqCst);
    project.succeed(&["catch-up"]);
    assert_nothing_was_spent(database);
}

/// A server that asks to be left alone for so many seconds.
fn busy(seconds: &'static str) -> Server {
    Server::start(move |_| async move { busy_for(seconds) })
}

#[test]
fn a_command_asks_no_further_of_a_server_that_asks_to_be_left_alone() {
    let (database, server) = (SqliteDatabase::new(), busy("3600"));
    let project = project(&database, &orders(&server.url()), "");
    project.dataset("returns", &Orders { table: "returns", ..orders(&server.url()) });
    let ran = project.exit(1, &["catch-up"]);
    assert_eq!(server.seen().len(), 1, "whichever dataset's day it is: {:?}", server.seen());
    let until = "503 Service Unavailable; the server asks for no further request until 20";
    for name in ["orders", "returns"] {
        let line = format!("{name}: 3 days unavailable, no attempt is counted: {}", server.url());
        assert!(ran.stderr.lines().any(|it| it.contains(&line) && it.contains(until)), "{}", ran.stderr);
    }
    assert_eq!(database.line("select count(*) from processed_days"), "0");
    assert!(ran.stdout.ends_with("6 unavailable, 12 not tried\n"), "{}", ran.stdout);
}

#[test]
fn the_daemon_leaves_a_server_alone_that_asks_for_it_whatever_else_would_try_again() {
    let (database, server) = (SqliteDatabase::new(), busy("1000000000000"));
    let project = project(&database, &orders(&server.url()), "");
    add_clock(&project);
    let mut daemon = daemon(&project);
    daemon.wait_for("orders: source unavailable: ");
    let_time_pass(&database);
    let_time_pass(&database);
    assert_eq!(server.seen().len(), 1, "{:?}", server.seen());
    let log = stop(daemon);
    assert_eq!(log.matches(" ERROR ").count(), 1, "{log}");
    let cut = "503 Service Unavailable; the server asks for a pause of more than a day (Retry-After), dayfill pauses \
               until 20";
    assert!(log.contains(cut), "{log}");
    let of_orders = "select count(*) from processed_days where dataset = 'orders'";
    assert_eq!(database.line(of_orders), "0", "no day waits, and none is given up");
}
