//! Locks of `PostgreSQL` that others hold: whoever reads is not held up, who is in the way is said, and nothing waits
//! without an end.

use diesel::PgConnection;
use diesel::connection::SimpleConnection;

use crate::support::daemon::{Settings, one_day, project, run, wait_for_day};
use crate::support::postgres::{TestDatabase, TestPostgres};
use crate::support::process::Process;
use crate::support::project::{FIRST, Orders, Project};
use crate::support::{Database, wait_until};

/// A session that did that, in a transaction that it leaves open.
fn left_open(database: &TestDatabase, sql: &str) -> PgConnection {
    let mut session = database.connect();
    session.batch_execute(&format!("set application_name = 'a report'; begin; {sql}")).expect("it is done");
    session
}

/// `orders` with one day that is loaded.
fn loaded(database: &TestDatabase) -> Project {
    let project = project(database, &Settings { grace: "0s", ..Settings::default() }, &one_day());
    project.day(FIRST, "a,1,x\n");
    project.succeed(&["catch-up"]);
    project
}

#[test]
fn readers_do_not_queue_behind_a_column_that_is_to_be_added() {
    let database = TestPostgres::database();
    let project = loaded(&database);
    let mut report = left_open(&database, "select count(*) from orders");
    project.orders(&Orders { columns: "{ name = \"more\", type = \"text\" },", ..one_day() });
    let mut process = Process::start(&project, &["load", FIRST]);
    process.wait_for("\"orders\" locked by process");
    assert!(process.stderr().contains("(a report, "), "{}", process.stderr());
    // However often it is tried, nobody waits for longer than one try.
    for _ in 0..3 {
        database.execute("set lock_timeout = '5s'; select count(*) from orders");
    }
    report.batch_execute("commit").unwrap();
    let ran = process.end();
    assert_eq!(ran.code, 0, "{ran:#?}");
    let more = "select count(*) from information_schema.columns where table_name = 'orders' and column_name = 'more'";
    assert_eq!(database.line(more), "1");
}

#[test]
fn a_table_locked_by_somebody_holds_up_its_dataset_alone_and_no_reload_and_no_end() {
    let database = TestPostgres::database();
    let project = loaded(&database);
    project.dataset("payments", &Orders { table: "payments", ..one_day() });
    let mut index = left_open(&database, "create index on orders (id)");
    let mut daemon = run(&project);
    wait_for_day(&database, "payments", FIRST, "loaded");
    daemon.wait_for("orders: \"orders\" locked by process");
    assert!(daemon.stderr().contains("idle in transaction"), "{}", daemon.stderr());
    // The datasets that a reload brings or changes are held against their tables, this one among them.
    project.orders(&Orders { filter: "amount > 0", ..one_day() });
    project.dataset("refunds", &Orders { table: "refunds", ..one_day() });
    daemon.signal(rustix::process::Signal::HUP);
    wait_for_day(&database, "refunds", FIRST, "loaded");
    daemon.wait_for("orders: \"orders\" locked by process");
    index.batch_execute("rollback").unwrap();
    daemon.wait_for("orders: goes on after");
    let _index = left_open(&database, "create index on orders (id)");
    daemon.signal(rustix::process::Signal::TERM);
    let ran = daemon.end();
    assert_eq!(ran.code, 0, "{ran:#?}");
}

#[test]
fn a_statement_of_a_process_that_was_killed_does_not_wait_on() {
    let database = TestPostgres::database();
    let project = loaded(&database);
    let _lock = left_open(&database, "lock table orders");
    let process = Process::start(&project, &["load", "--force", FIRST]);
    let waiting =
        "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
    wait_until("it waits for the table", || database.line(waiting) == "1");
    assert!(process.kill(), "it waits");
    wait_until("its statement is gone", || database.line(waiting) == "0");
}
