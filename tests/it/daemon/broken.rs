//! A dataset file that is wrong, or does not fit the database, keeps out its own dataset and no other: while the daemon
//! runs, when it starts, and for commands.

use rustix::process::Signal;

use crate::support::daemon::{Settings, days, one_day, project, run, wait_for_day};
use crate::support::process::Process;
use crate::support::project::{FIRST, Orders, Project};
use crate::support::sqlite::SqliteDatabase;
use crate::support::{Database, on_both, wait_until};

on_both! {
    a_typo_keeps_the_older_definition_in_force
    a_dataset_whose_sql_does_not_fit_keeps_its_older_definition
    a_dataset_whose_target_does_not_fit_keeps_its_older_definition
    a_dataset_file_that_is_wrong_at_the_start_keeps_nobody_else_out
    commands_work_for_the_other_datasets
}

const SECOND: &str = "2024-03-02";

/// The dataset `returns`, with the files of `orders` in a table of its own.
fn returns() -> Orders {
    Orders { table: "returns", ..one_day() }
}

/// A dataset file with a typo.
fn with_typo() -> Orders {
    Orders { max_rejected: "1 percent", ..one_day() }
}

/// Two datasets with one day that is there.
fn two(database: &dyn Database, orders: &Orders) -> Project {
    let project = project(database, &Settings::default(), &one_day());
    project.orders(orders);
    project.dataset("returns", &returns());
    project.day(FIRST, "a,1,x\n");
    project
}

/// Ends the daemon, and says what it logged.
fn log_of(daemon: Process) -> String {
    daemon.signal(Signal::TERM);
    let ran = daemon.end();
    assert_eq!(ran.code, 0, "{ran:#?}");
    ran.stderr
}

/// What the daemon tells other processes of the files that it could not use.
fn noted(database: &dyn Database) -> String {
    database.line("select coalesce(refused_config, 'none') as refused from workers")
}

fn a_typo_keeps_the_older_definition_in_force(database: &dyn Database) {
    let project = two(database, &one_day());
    let mut daemon = run(&project);
    wait_for_day(database, "orders", FIRST, "loaded");
    project.orders(&with_typo());
    // Another dataset changes at the same time: it takes effect.
    let later = crate::support::project::nightly(FIRST, SECOND);
    project.dataset("returns", &Orders { schedule: later, ..returns() });
    daemon.signal(Signal::HUP);
    daemon.wait_for("limits.max_rejected = \"1 percent\": is neither a count nor a percentage");
    daemon
        .wait_for("dataset orders: its older definition stays in force until this is fixed; the other datasets go on");
    wait_until("everybody can see it", || noted(database).contains("1 percent"));
    wait_for_day(database, "returns", SECOND, "waiting");

    // The older definition still works, and the reason is not repeated with each reload.
    project.succeed(&["forget", FIRST, "--dataset", "returns"]);
    database.execute("delete from processed_days where dataset = 'orders'");
    daemon.signal(Signal::HUP);
    daemon.wait_for("nothing changed");
    project.orders(&one_day());
    daemon.signal(Signal::HUP);
    daemon.wait_for("dataset orders: its file is in order");
    wait_until("the problem is forgotten", || noted(database) == "none");
    let log = log_of(daemon);
    assert_eq!(log.matches("1 percent").count(), 1, "{log}");
    assert!(!log.contains("configuration: datasets/orders.toml"), "no key of it was ever in force: {log}");
}

/// Changes the dataset to one that the database cannot load, and sees the older one go on; then back.
fn assert_kept(database: &dyn Database, unfit: &Orders, why: &str) {
    let project = two(database, &one_day());
    let mut daemon = run(&project);
    wait_for_day(database, "orders", FIRST, "loaded");
    wait_for_day(database, "returns", FIRST, "loaded");
    project.orders(unfit);
    daemon.signal(Signal::HUP);
    daemon.wait_for("dataset orders: its older definition stays in force");
    wait_until("everybody can see it", || noted(database).contains(why));
    project.orders(&one_day());
    daemon.signal(Signal::HUP);
    daemon.wait_for("dataset orders: its file is in order");
    wait_until("the problem is forgotten", || noted(database) == "none");
    log_of(daemon);
}

fn a_dataset_whose_sql_does_not_fit_keeps_its_older_definition(database: &dyn Database) {
    assert_kept(database, &Orders { derive: "no_such_function(note)", ..one_day() }, "no_such_function");
}

fn a_dataset_whose_target_does_not_fit_keeps_its_older_definition(database: &dyn Database) {
    database.execute("create table other (id integer)");
    assert_kept(database, &Orders { table: "other", ..one_day() }, "other");
}

fn a_dataset_file_that_is_wrong_at_the_start_keeps_nobody_else_out(database: &dyn Database) {
    let project = two(database, &with_typo());
    let mut daemon = run(&project);
    daemon.wait_for("dataset orders: it is left out until this is fixed; the other datasets go on");
    wait_for_day(database, "returns", FIRST, "loaded");
    wait_until("everybody can see it", || noted(database).contains("1 percent"));
    project.orders(&one_day());
    daemon.signal(Signal::HUP);
    wait_for_day(database, "orders", FIRST, "loaded");
    wait_until("the problem is forgotten", || noted(database) == "none");
    log_of(daemon);
}

fn commands_work_for_the_other_datasets(database: &dyn Database) {
    let project = two(database, &with_typo());
    let problem = "datasets/orders.toml: limits.max_rejected = \"1 percent\": is neither a count nor a percentage";

    // Over all datasets: the others, and an exit code that tells of it.
    let ran = project.exit(3, &["catch-up"]);
    assert!(ran.stderr.contains(problem) && ran.stderr.contains("dataset orders is left out"), "{ran:#?}");
    assert!(ran.stdout.contains("1 loaded"), "{ran:#?}");
    assert_eq!(days(database), [format!("returns|{FIRST}|loaded|1")]);
    let ran = project.exit(3, &["status"]);
    assert!(ran.stdout.contains("returns into returns: 1 loaded") && ran.stderr.contains(problem), "{ran:#?}");

    // One that is named works, or says what is wrong with it.
    project.succeed(&["load", "--force", FIRST, "--dataset", "returns"]);
    project.succeed(&["status", "--dataset", "returns"]);
    for arguments in [["catch-up", "--dataset", "orders"], ["status", "--dataset", "orders"]] {
        let ran = project.exit(3, &arguments);
        assert!(ran.stderr.contains(problem), "{ran:#?}");
    }
    // With two datasets a command for one wants its name, whichever of them is wrong.
    let ran = project.exit(2, &["retry", FIRST]);
    assert!(ran.stderr.contains("say which with --dataset; there are: orders, returns"), "{ran:#?}");

    // A check tells of every problem of every file.
    project.dataset("third", &Orders { mode: "replace", table: "third", ..one_day() });
    let ran = project.exit(3, &["check"]);
    assert!(ran.stdout.contains(problem) && ran.stdout.contains("target.mode = \"replace\""), "{ran:#?}");
    assert!(ran.stdout.contains("ok       returns: SQL, and table returns"), "{ran:#?}");
}

/// One that comes would delete the rows of one whose older definition is in force.
#[test]
fn nothing_shares_the_days_of_an_older_definition() {
    let database = SqliteDatabase::new();
    let project = two(&database, &one_day());
    let mut daemon = run(&project);
    wait_for_day(&database, "orders", FIRST, "loaded");
    project.orders(&Orders { table: "elsewhere", ..with_typo() });
    project.dataset("rival", &one_day());
    daemon.signal(Signal::HUP);
    daemon.wait_for("rival: target.table = \"orders\" is also where orders replaces days by file_date");
    daemon.wait_for("dataset rival: it is left out");
    log_of(daemon);
    assert_eq!(database.line("select count(*) from processed_days where dataset = 'rival'"), "0");
}
