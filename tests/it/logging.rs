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
