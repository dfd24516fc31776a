//! What a file says takes bounded memory, log and database, however much that is.

use std::fmt::Write as _;

use rustix::process::Signal;

use crate::support::daemon::rows_of;
use crate::support::process::Process;
use crate::support::project::{Orders, Project, nightly};
use crate::support::{Database, on_both};

on_both! {
    days_with_a_header_of_a_megabyte_take_no_more_than_others_do
}

const DAYS: usize = 40;
/// What a text of a file may take where it is shown or stored, with what is said around it.
const EACH: usize = 4 << 10;
const MIB: u64 = 1 << 20;

/// A project of so many days, all with the same file.
fn project(database: &dyn Database, table: &'static str, file: &str) -> Project {
    let orders = Orders { schedule: nightly("2024-03-01", "2024-04-09"), table, ..Orders::default() };
    let project = Project::new(database, &Orders::default());
    std::fs::remove_file(project.path("datasets/orders.toml")).unwrap();
    project.dataset(table, &orders);
    project.write("file", file);
    let first: chrono::NaiveDate = "2024-03-01".parse().unwrap();
    for day in first.iter_days().take(DAYS) {
        std::fs::hard_link(project.path("file"), project.path(&format!("days/{day}.csv"))).unwrap();
    }
    project
}

/// The most memory that a daemon had until it was done with each day, in bytes, and its log.
fn daemon(project: &Project, done: &str) -> (u64, String) {
    let mut daemon = Process::start(project, &["run"]);
    for _ in 0..DAYS {
        daemon.wait_for(done);
    }
    let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.pid())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")).unwrap();
    let peak = peak.parse::<u64>().unwrap() * 1024;
    daemon.signal(Signal::TERM);
    let ran = daemon.end();
    assert_eq!(ran.code, 0, "{ran:#?}");
    (peak, ran.stderr)
}

fn days_with_a_header_of_a_megabyte_take_no_more_than_others_do(database: &dyn Database) {
    let plain = project(database, "plain", &format!("id,amount,note\n{}", rows_of(1000, 1)));
    let (usual, _) = daemon(&plain, "loaded 1000 rows");

    let mut names = String::new();
    for number in 0..8000 {
        write!(names, ",{number:063},{number:063}").unwrap();
    }
    let doubled = project(database, "doubled", &format!("id,amount,note{names}\na,1,x{}\n", ",".repeat(16_000)));
    let (peak, log) = daemon(&doubled, ": refused: ");
    assert!(peak <= usual + 20 * MIB, "{peak} and {usual}");
    assert!(log.contains("and 7,990 more"), "{log:.2000}");
    assert!(log.len() <= DAYS * EACH, "{}", log.len());

    // Names that are only not used are told of as briefly.
    let unused: String = (0..16_000).fold(String::new(), |names, number| names + &format!(",{number:063}"));
    let unused = project(database, "unused", &format!("id,amount,note{unused}\na,1,x{}\n", ",".repeat(16_000)));
    let (peak, log) = daemon(&unused, "loaded 1 row");
    assert!(peak <= usual + 20 * MIB, "{peak} and {usual}");
    assert!(log.len() <= DAYS * EACH, "{}", log.len());

    for (table, texts) in [("processed_days", "error"), ("load_attempts", "error"), ("load_attempts", "log")] {
        let longest = format!("select max(length({texts})) from {table} where {texts} is not null");
        let longest: usize = database.line(&longest).parse().unwrap();
        assert!((1..=EACH).contains(&longest), "{table}.{texts}: {longest}");
    }
    // What a command prints, and what it remembers of each day.
    for arguments in [&["retry", "--refused", "--dataset", "doubled"][..], &["status", "--dataset", "doubled", "--all"]]
    {
        let ran = doubled.run(arguments);
        assert!(ran.stdout.len() + ran.stderr.len() <= 2 * DAYS * EACH, "{arguments:?}: {}", ran.stdout.len());
    }
}
