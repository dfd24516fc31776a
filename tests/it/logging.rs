//! Log lines as journald gets them, and as anybody else does.

use std::fs::File;
use std::os::unix::fs::MetadataExt;

use crate::support::project::{Orders, Project};
use crate::support::sqlite::SqliteDatabase;

/// What `catch-up` writes to a file as its standard error; `journal` makes of the file's device and inode the variable
/// `JOURNAL_STREAM`.
fn lines(arguments: &[&str], journal: impl FnOnce(u64, u64) -> String) -> Vec<String> {
    let database = SqliteDatabase::new();
    let project = Project::new(&database, &Orders::default());
    project.day("2024-03-01", "a,1,x\n");
    project.write("days/2024-03-02.csv", "id,amount,note,extra\na,1,x,y\n");
    let file = File::create(project.path("stderr")).unwrap();
    let found = file.metadata().unwrap();
    let mut command = project.command(&[arguments, &["catch-up"]].concat());
    command.env("JOURNAL_STREAM", journal(found.dev(), found.ino())).stderr(file);
    assert!(command.status().unwrap().success());
    std::fs::read_to_string(project.path("stderr")).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn journald_gets_priorities_and_neither_time_nor_level() {
    let lines = lines(&["-v"], |device, inode| format!("{device}:{inode}"));
    let unknown = "<4>orders 2024-03-02: ignoring columns that the dataset does not name: extra";
    assert!(lines.iter().any(|line| line == unknown), "{lines:#?}");
    assert!(lines.iter().any(|line| line.starts_with("<6>orders: create table")), "{lines:#?}");
    let prefixed = |line: &String| ["<3>", "<4>", "<6>", "<7>"].iter().any(|prefix| line.starts_with(prefix));
    assert!(lines.iter().all(prefixed), "{lines:#?}");
}

#[test]
fn journald_gets_priorities_before_json() {
    let lines = lines(&["--log-format", "json"], |device, inode| format!("{device}:{inode}"));
    assert!(!lines.is_empty());
    for line in &lines {
        let (priority, object) = line.split_at(3);
        let object: serde_json::Value = serde_json::from_str(object).unwrap();
        assert_eq!(priority, if object["level"] == "warn" { "<4>" } else { "<6>" }, "{line}");
    }
}

#[test]
fn another_standard_error_than_journalds_gets_plain_lines() {
    let lines = lines(&["-q"], |device, inode| format!("{device}:{}", inode + 1));
    let unknown = "WARN  orders 2024-03-02: ignoring columns that the dataset does not name: extra";
    assert!(lines.iter().any(|line| line.ends_with(unknown)), "{lines:#?}");
    assert!(lines.iter().all(|line| line.starts_with("20")), "{lines:#?}");
}

#[test]
fn a_day_that_was_not_loaded_has_neither_rows_nor_an_attempt_that_was_given_back() {
    let database = SqliteDatabase::new();
    let project = Project::new(&database, &Orders { max_rejected: "0", ..Orders::default() });
    project.day("2024-03-01", "a,1,x\nb,2,x\n");
    project.day("2024-03-03", "a,no number,x\n");
    let about_days = |arguments: &[&str]| {
        let stderr = project.run(&[&["--log-format", "json"], arguments].concat()).stderr;
        let lines = stderr.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        let lines = lines.filter(|line| line.get("day").is_some());
        lines.map(|line| [&line["day"], &line["attempt"], &line["rows"]].map(ToString::to_string).join(" ")).collect()
    };
    let told: Vec<String> = about_days(&["load", "2024-03-01..2024-03-03"]);
    // The second has no file. A field that is not there shows as null here.
    assert_eq!(told, ["\"2024-03-01\" 1 2", "\"2024-03-02\" null null", "\"2024-03-03\" 1 null"]);
    let told: Vec<String> = about_days(&["load", "2024-03-01..2024-03-02"]);
    assert_eq!(told, ["\"2024-03-01\" null null", "\"2024-03-02\" null null"], "left alone; still waiting");
    let line = project.run(&["--log-format", "json", "load", "2024-03-01"]).stderr;
    assert!(!line.contains("attempt") && !line.contains("rows"), "{line}");
}

/// What the program writes to journald, or to a file, as it ends with that exit code.
fn end(project: &Project, code: i32, journal: bool, arguments: &[&str], variables: &[(&str, &str)]) -> String {
    let file = File::create(project.path("stderr")).unwrap();
    let found = file.metadata().unwrap();
    let mut command = project.command(arguments);
    if journal {
        command.env("JOURNAL_STREAM", format!("{}:{}", found.dev(), found.ino()));
    }
    let status = command.envs(variables.iter().copied()).stderr(file).status().unwrap();
    let text = std::fs::read_to_string(project.path("stderr")).unwrap();
    assert_eq!(status.code(), Some(code), "{arguments:?}: {text}");
    text
}

/// The one line of a text.
fn only(text: &str) -> &str {
    let line = text.strip_suffix('\n').unwrap_or_else(|| panic!("{text:?}"));
    assert!(!line.contains('\n'), "{text}");
    line
}

#[test]
fn the_error_with_which_the_program_ends_has_its_priority_and_is_one_entry() {
    let database = SqliteDatabase::new();
    let project = Project::new(&database, &Orders::default());
    let wrong = "retry.max_attempts = 0\nclaim.lease = \"0s\"\n";
    let json = "log.format = \"json\"\n";
    let by_variable = [("DAYFILL__LOG__FORMAT", "json")];
    let configuration = "the configuration is wrong: ";
    // The main file, arguments and variables; the exit code, whether it is JSON, and what is said.
    for (file, arguments, variables, code, as_json, begins, holds) in [
        (wrong, &["run"][..], &[][..], 3, false, configuration, "; PROJECT/dayfill.toml: retry.max_attempts = 0"),
        (
            &format!("{wrong}{json}"),
            &["run"],
            &[],
            3,
            true,
            configuration,
            "; PROJECT/dayfill.toml: retry.max_attempts = 0",
        ),
        (wrong, &["run"], &by_variable, 3, true, configuration, "retry.max_attempts"),
        (wrong, &["--log-format", "json", "run"], &[], 3, true, configuration, "retry.max_attempts"),
        // Of what is no TOML nothing can be known, but of the variable.
        ("[log", &["run"], &[], 3, false, configuration, "is not TOML"),
        ("[log", &["run"], &by_variable, 3, true, configuration, "is not TOML"),
        ("log.format = \"jsn\"", &["run"], &[], 3, false, configuration, "log.format"),
        // When logging has begun, and when there are no arguments to begin with.
        (json, &["load", "2024-03-01", "--dataset", "no\u{1b}[2J"], &[], 2, true, "there is no dataset ", "\\u{1b}"),
        ("", &["load", "2024-03-01", "--dataset", "none"], &[], 2, false, "there is no dataset \"none\"", "orders"),
        ("", &["run", "--nothing"], &[], 2, false, "unexpected argument '--nothing' found", "; Usage: "),
        ("", &["run", "--nothing\u{1b}[2J\n<1>x"], &by_variable, 2, true, "unexpected argument", "Usage: "),
    ] {
        project.write("dayfill.toml", file);
        let folder = project.path("").canonicalize().unwrap();
        for journal in [true, false] {
            let text = end(&project, code, journal, arguments, variables).replace(folder.to_str().unwrap(), "PROJECT");
            let of = format!("{file:?} {arguments:?} {journal}: {text}");
            assert!(!text.contains(['\u{1b}', '\r']), "{of}");
            if !journal && !as_json {
                assert!(text.starts_with("error: "), "{of}");
                continue;
            }
            let line = only(&text).strip_prefix(if journal { "<3>" } else { "" }).unwrap_or_else(|| panic!("{of}"));
            let message = if as_json {
                let fields: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{of}"));
                assert_eq!(fields["level"], "error", "{of}");
                assert!(fields["time"].is_string(), "{of}");
                fields["message"].as_str().unwrap().to_owned()
            } else {
                line.strip_prefix("error: ").unwrap_or_else(|| panic!("{of}")).to_owned()
            };
            assert!(message.starts_with(begins) && message.contains(holds), "{of}");
        }
    }
}
