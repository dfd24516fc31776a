//! What files, configurations, persons and databases say steers no terminal and ends no line, whichever command shows it.

use rustix::process::Signal;

use crate::support::process::Process;
use crate::support::project::{Orders, Project, Ran, nightly};
use crate::support::{Database, on_both};

on_both! {
    nothing_that_is_shown_steers_a_terminal_or_forges_a_line
}

/// Ends the line, and begins another one; clears the screen; sets the title; colours; turns the direction; in seven bits and
/// in eight.
const EVIL: &str = "x\nFORGED\r\u{1b}[2J\u{1b}]0;t\u{7}\u{1b}[31mred\u{9b}2J\u{202e}\u{2066}\u{2028}";
/// The same in a file of TOML.
const TOML: &str = "x\\nFORGED\\r\\u001B[2J\\u001B]0;t\\u0007\\u001B[31mred\\u009B2J\\u202E\\u2066\\u2028";

/// As much of it as the name of a file may hold: a bracket would be a pattern.
const PATH: &str = "x\\nFORGED\\u001B]0;t\\u0007\\u009B2J\\u202E";

/// Fails where a text steers or forges. Its own colours are there: the program is told that it writes to a terminal.
fn assert_harmless(text: &str, of: &str) {
    let without_colours = text.split("\u{1b}[").enumerate().map(|(number, part)| match part.split_once('m') {
        Some((colour, rest)) if number > 0 && colour.chars().all(|c| c.is_ascii_digit() || c == ';') => rest,
        _ if number > 0 => panic!("{of}: {text:?}"),
        _ => part,
    });
    let without_colours: String = without_colours.collect();
    let steers = |c: char| c != '\n' && (c.is_control() || "\u{202e}\u{2066}\u{2028}".contains(c));
    assert!(!without_colours.chars().any(steers), "{of}: {text:?}");
    assert!(!text.contains("\u{1b}[31mred"), "{of}: {text:?}");
    let begins = |line: &str| line.trim_start_matches(|c: char| !c.is_alphanumeric()).starts_with("FORGED");
    assert!(!text.lines().any(begins), "{of}: {text:?}");
}

/// A trigger that raises it for the row `boom`.
fn raise_for_boom(database: &dyn Database) {
    if database.url().starts_with("postgres") {
        database.execute(&format!(
            "create function boom() returns trigger language plpgsql as $$ begin raise exception using message = '{EVIL}', \
             detail = '{EVIL}', hint = '{EVIL}'; end $$"
        ));
        database.execute(
            "create trigger boom before insert on orders for each row when (new.id = 'boom') execute function boom()",
        );
    } else {
        database.execute(&format!(
            "create trigger boom before insert on orders when new.id = 'boom' begin select raise(abort, '{EVIL}'); end"
        ));
    }
}

fn nothing_that_is_shown_steers_a_terminal_or_forges_a_line(database: &dyn Database) {
    let orders = Orders { max_rejected: "100%", schedule: nightly("2024-03-01", "2024-03-09"), ..Orders::default() };
    let project = Project::new(database, &orders);
    project.day("2024-03-01", "a,1,x\n");
    project.succeed(&["load", "2024-03-01"]);
    raise_for_boom(database);
    // A column that nobody named, a value; a column twice; no header; what the database says of a row.
    project.write("days/2024-03-02.csv", format!("id,amount,note,\"{EVIL}\"\na,\"{EVIL}\",x,y\n"));
    project.write("days/2024-03-03.csv", format!("id,amount,note,\"{EVIL}\",\"{EVIL}\"\n"));
    project.write("days/2024-03-04.csv", format!("\"{EVIL}\",\"{EVIL}\"\n"));
    project.day("2024-03-05", "boom,1,x\nb,1,x\n");
    // A file of that name is not there, and a column of that name is not in the file.
    let named = Orders { source: format!("url = \"days/{PATH}/{{day}}.csv\""), table: "named", ..orders.clone() };
    project.dataset("named", &named);
    let missing = format!("{{ name = \"more\", type = \"text\", from = \"{TOML}\" }},");
    let missing = Orders { columns: missing.leak(), table: "missing", ..orders.clone() };
    project.dataset("missing", &missing);
    std::fs::create_dir(project.path(EVIL)).unwrap();
    project.write(&format!("{EVIL}/sample.csv"), "nothing\n");
    let sample = format!("{EVIL}/sample.csv");

    let harmless = |arguments: &[&str]| {
        let mut all = String::new();
        for format in [&[][..], &["--log-format", "json"]] {
            let mut command = project.command(&[&["-v"], format, arguments].concat());
            // Some come to nothing the second time; all that counts is what they show.
            let Ran { stdout, stderr, .. } = Ran::of(command.env("CLICOLOR_FORCE", "1"));
            assert_harmless(&stdout, &format!("stdout of {arguments:?}"));
            assert_harmless(&stderr, &format!("stderr of {arguments:?}"));
            all.extend([stdout, stderr]);
        }
        all
    };
    let shown = |arguments: &[&str]| {
        let text = harmless(arguments);
        assert!(text.contains("\\u{1b}"), "{arguments:?} does not show it: {text:?}");
    };
    harmless(&["load", "--force", "2024-03-05", "--dataset", "orders"]);
    harmless(&["catch-up", "--dataset", "named"]);
    for arguments in [
        &["load", "--force", "2024-03-02"][..],
        &["load", "2024-03-03"],
        &["load", "2024-03-04"],
        &["catch-up", "--dataset", "missing"],
        &["retry", "--refused", "--dataset", "orders"],
        &["check"],
        &["check", "--sample", &sample, "--dataset", "orders"],
        &["check", "--sample", "days/2024-03-02.csv", "--dataset", "orders"],
        &["check", "--sample", "days/2024-03-02.csv", "--dataset", "missing"],
        &["status", "--dataset", EVIL],
        &["load", EVIL],
        &["catch-up", "--config", EVIL],
        &[EVIL],
    ] {
        shown(arguments);
    }
    project.succeed(&["skip", "2024-03-06", "--reason", EVIL, "--dataset", "orders"]);
    project.succeed(&["pause", "--reason", EVIL, "--dataset", "orders"]);
    shown(&["status", "--all"]);
    shown(&["status", "--json"]);
    // Nobody reads JSON wrongly for it.
    let status: serde_json::Value = serde_json::from_str(&project.succeed(&["status", "--json"]).stdout).unwrap();
    assert!(status["datasets"].as_array().is_some_and(|all| all.len() == 3));

    // The daemon, and a configuration that is wrong in this way.
    let mut command = project.command(&["run", "-v"]);
    let mut daemon = Process::of(command.env("CLICOLOR_FORCE", "1"));
    daemon.wait_for(" starts: ");
    project.write("dayfill.toml", format!("\"{TOML}\" = \"{TOML}\"\n"));
    daemon.signal(Signal::HUP);
    daemon.wait_for("configuration rejected");
    daemon.signal(Signal::TERM);
    let ran = daemon.end();
    assert!(ran.stderr.contains("\\u{1b}"), "{ran:#?}");
    assert_harmless(&ran.stderr, "the daemon's log");
    for arguments in [&["status"][..], &["check"], &["migrate", "--dry-run"]] {
        shown(arguments);
    }
    project.write("dayfill.toml", "");
    project.write("datasets/orders.toml", format!("\"{TOML}\" = \"{TOML}\"\n"));
    for arguments in [&["status"][..], &["check"], &["catch-up"]] {
        shown(arguments);
    }
}
