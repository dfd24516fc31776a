//! What a user sees, held against the files in `tests/golden/`: help, status, dry runs, and every error a user can
//! cause.
//!
//! `DAYFILL_TEST_BLESS=1` writes the files anew; the change is then read in the diff.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::Database;
use crate::support::project::{Orders, Project};
use crate::support::sqlite::SqliteDatabase;

/// Runs of the program, written as one would see them in a terminal.
#[derive(Default)]
struct Transcript {
    text: String,
    /// What differs from run to run, and what stands for it.
    masks: Vec<(String, &'static str)>,
}

impl Transcript {
    fn of(project: &Project, database: &SqliteDatabase) -> Self {
        let shown = |path: &Path| path.display().to_string();
        let folder = project.path("");
        let masks =
            vec![(shown(database.folder()), "DATABASE"), (shown(&folder).trim_end_matches('/').to_owned(), "PROJECT")];
        Self { text: String::new(), masks }
    }

    /// Runs `dayfill` with these words behind `--config PROJECT/dayfill.toml`.
    fn run(&mut self, project: &Project, arguments: &[&str]) -> &mut Self {
        self.run_with(project, &[], arguments)
    }

    fn run_with(&mut self, project: &Project, variables: &[(&str, &str)], arguments: &[&str]) -> &mut Self {
        let mut command = project.command(arguments);
        self.add(variables, arguments, command.envs(variables.iter().copied()))
    }

    fn add(&mut self, variables: &[(&str, &str)], arguments: &[&str], command: &mut Command) -> &mut Self {
        let output = command.output().unwrap();
        let variables = variables.iter().fold(String::new(), |text, (name, value)| text + &format!("{name}={value} "));
        let mut said = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
        for (text, mask) in &self.masks {
            said = said.replace(text, mask);
        }
        let _ = writeln!(self.text, "$ {variables}dayfill {}\n{}", arguments.join(" "), masked(&said).trim_end());
        let code = output.status.code().unwrap();
        let _ = writeln!(self.text, "{}", if code == 0 { String::new() } else { format!("[exit code {code}]\n") });
        self
    }

    fn is_golden(&self, name: &str) {
        let text = format!("{}\n", self.text.trim_end());
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/{name}.txt"));
        if std::env::var_os("DAYFILL_TEST_BLESS").is_some() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, &text).unwrap();
        }
        let golden = std::fs::read_to_string(&path).unwrap_or_default();
        let differs = golden.lines().zip(text.lines()).find(|(golden, now)| golden != now);
        assert!(golden == text, "not what {} holds; the first difference: {differs:#?}\n\n{text}", path.display());
    }
}

/// The text with times and versions masked.
pub(crate) fn masked(text: &str) -> String {
    let text = text.replace(env!("CARGO_PKG_VERSION"), "VERSION");
    text.lines().map(|line| masked_spans(&masked_times(line)).trim_end().to_owned() + "\n").collect()
}

/// `2024-03-01T02:03:04.567Z` becomes `WHEN`.
fn masked_times(line: &str) -> String {
    let mut line = line.to_owned();
    let shape = "dddd-dd-ddTdd:dd:dd";
    let is_time = |text: &str| {
        text.bytes()
            .zip(shape.bytes())
            .all(|(byte, kind)| if kind == b'd' { byte.is_ascii_digit() } else { byte == kind })
    };
    let find = |line: &str| (0..line.len()).find(|at| line.get(*at..at + shape.len()).is_some_and(is_time));
    while let Some(at) = find(&line) {
        let rest = &line[at + shape.len()..];
        let end = line.len()
            - rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.').trim_start_matches('Z').len();
        line.replace_range(at..end, "WHEN");
    }
    line
}

/// ` 12 ms` and ` 1.2 s` become ` SPAN`, and columns stand two spaces apart: how wide a column of times is, and so what
/// stands behind it, hangs on the machine.
fn masked_spans(line: &str) -> String {
    let mut words: Vec<String> = Vec::new();
    for word in line.split(' ') {
        let number = |word: &String| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        let unit = word.trim_end_matches([',', ')']);
        if matches!(unit, "ms" | "s") && words.last().is_some_and(number) || word == "TIME" {
            words.pop_if(|word| word != "TIME" && number(word));
            while words.last().is_some_and(String::is_empty) {
                words.pop();
            }
            words.push(if word == "TIME" { word.to_owned() } else { word.replace(unit, "SPAN") });
        } else {
            words.push(word.to_owned());
        }
    }
    let mut line = words.join(" ");
    while line.contains("   ") {
        line = line.replace("   ", "  ");
    }
    line
}

fn project() -> (SqliteDatabase, Project) {
    let database = SqliteDatabase::new();
    let project = Project::new(&database, &Orders { max_rejected: "0", ..Orders::default() });
    project.write("dayfill.toml", "[retry]\nmax_attempts = 2\n");
    (database, project)
}

/// A project with a day of each kind.
fn lived_in() -> (SqliteDatabase, Project) {
    let (database, project) = project();
    project.day("2024-03-01", "a,1,x\nb,-1,\n");
    project.day("2024-03-03", "a,1,x\nb,abc,\n");
    std::fs::create_dir(project.path("days/2024-03-04.csv")).unwrap();
    project.day("2024-03-06", "a,1,x\na,2,x\n");
    (database, project)
}

#[test]
fn help() {
    let (_database, project) = project();
    let mut transcript = Transcript::default();
    transcript.run(&project, &["-h"]).run(&project, &["--help"]).run(&project, &["-V"]);
    transcript.is_golden("help");
    let mut transcript = Transcript::default();
    for command in [
        "run",
        "catch-up",
        "load",
        "run-etl",
        "status",
        "retry",
        "skip",
        "forget",
        "pause",
        "resume",
        "check",
        "migrate",
        "web",
        "web add-user",
        "web remove-user",
        "web add-token",
        "web remove-token",
        "web users",
        "completions",
        "man",
    ] {
        let words: Vec<&str> = command.split(' ').chain(["--help"]).collect();
        transcript.run(&project, &words);
    }
    transcript.is_golden("help_of_commands");
}

#[test]
fn days() {
    let (database, project) = lived_in();
    Transcript::of(&project, &database)
        .run(&project, &["status"])
        .run(&project, &["check"])
        .run(&project, &["migrate", "--dry-run"])
        .run(&project, &["catch-up", "--dry-run"])
        .run(&project, &["skip", "2024-03-05", "--reason", "a holiday"])
        .run(&project, &["catch-up", "-q"])
        .run(&project, &["status"])
        .run(&project, &["catch-up", "--dry-run"])
        .run(&project, &["catch-up", "-qqq"])
        .run(&project, &["catch-up", "-qqq", "--to", "2024-03-04"])
        .run(&project, &["catch-up", "-qqq", "--to", "2024-03-01"])
        .run(&project, &["load", "2024-03-01"])
        .run(&project, &["skip", "2024-03-01"])
        .run(&project, &["forget", "2024-03-01..2024-03-02"])
        .run(&project, &["status", "--from", "2024-03-01", "--to", "2024-03-04"])
        .run(&project, &["migrate"])
        .run(&project, &["check"])
        .is_golden("days");
}

#[test]
fn json() {
    let (database, project) = lived_in();
    project.exit(1, &["catch-up", "--to", "2024-03-04", "-qqq"]);
    // What differs from day to day of the calendar, or file to file.
    database.execute(
        "update processed_days set source_hash = 'HASH' where source_hash is not null; \
         update processed_days set source_etag = 'ETAG' where source_etag is not null; \
         update processed_days set finished_at = started_at",
    );
    let mut transcript = Transcript::of(&project, &database);
    transcript.run(&project, &["status", "--json", "--to", "2024-03-04"]).is_golden("status_json");
}

#[test]
fn samples() {
    let (database, project) = lived_in();
    project.write("good.csv", "note,id,amount,more\nx,a,1,\n,b,,\n");
    project.write("one.csv", "id,amount,note\na,1,x\n");
    project.write("bad.csv", "id,amount,note\na,abc,x\nb,1e3,\n,1,x\nc,1\nd,99999999999999999999,x\ne,5,x\nf,xyz,x\n");
    project.write("cut.csv", "id,amount,note\na,1,x\nb,2");
    project.write("open.csv", "id,amount,note\na,1,\"x\nb,2,y\n");
    project.write("header.csv", "id,amount,amount\n");
    project.write("columns.csv", "id,betrag\n1,2\n");
    project.write("empty.csv", "");
    project.write("utf16.csv", b"\xff\xfei\0d\0");
    let mut transcript = Transcript::of(&project, &database);
    for name in ["good", "one", "bad", "cut", "open", "header", "columns", "empty", "utf16", "none"] {
        transcript.run(&project, &["check", "--sample", &format!("{name}.csv")]);
    }
    transcript.is_golden("samples");
}

#[test]
fn errors_of_use() {
    let (database, project) = project();
    let mut transcript = Transcript::of(&project, &database);
    for arguments in [
        &["catchup"][..],
        &["load"],
        &["load", "2024-3-1"],
        &["load", "2024-02-30"],
        &["load", "2024-03-02..2024-03-01"],
        &["load", "2024-03-01", "--dataset", "order"],
        &["status", "--dataset", "orders@no table"],
        &["catch-up", "--concurrency", "0"],
        &["catch-up", "-q", "-v"],
        &["run-etl", "--start-date", "2024-03-01"],
        &["run-etl", "--start-date", "2024-03-02", "--end-date", "2024-03-01"],
        &["run-etl", "--start-date", "2024-03-01", "--end-date", "2024-03-01", "--table-name", "a-b"],
        &["completions", "tcsh"],
        &["status", "--log-format", "xml"],
    ] {
        transcript.run(&project, arguments);
    }
    transcript.is_golden("errors_of_use");
}

#[test]
fn errors_of_the_database() {
    let (database, project) = project();
    let mut transcript = Transcript::of(&project, &database);
    for url in [
        "postgres://app:secret@127.0.0.1:1/db",
        "postgres://app@127.0.0.1:1/db?password=secret&sslmode=verify-full",
        "sqlite:/nowhere/at/all.db",
        // Read wrong, it would show pieces of the password.
        "postgres://app:sec@ret@127.0.0.1:x/db",
        "postgres://app:sec%ret@127.0.0.1/db",
        "postgres://app@127.0.0.1/db?sslmod=require",
        "mysql://127.0.0.1/db",
        "dayfill.db",
    ] {
        transcript.run_with(&project, &[("DAYFILL__DATABASE__URL", url)], &["catch-up"]);
    }
    let nobody = ("DAYFILL__DATABASE__URL", "postgres://app:secret@127.0.0.1:1/db");
    transcript.run_with(&project, &[nobody], &["check"]);
    transcript.is_golden("errors_of_the_database");
}

#[test]
fn errors_of_the_configuration() {
    let (database, project) = project();
    let mut transcript = Transcript::of(&project, &database);
    let mut nowhere = Command::new(env!("CARGO_BIN_EXE_dayfill"));
    nowhere.env_clear().current_dir(database.folder()).arg("status").stdin(Stdio::null());
    transcript.add(&[], &["status"], &mut nowhere);
    nowhere.env("DAYFILL_CONFIG", "missing.toml");
    transcript.add(&[("DAYFILL_CONFIG", "missing.toml")], &["status"], &mut nowhere);

    project.write("dayfill.toml", "[claim]\nleese = \"60s\"\n");
    transcript.run(&project, &["status"]);
    project.write(
        "dayfill.toml",
        "[retry]\nmax_attempts = \"many\"\n[log]\nlevel = \"loud\"\n[catchup]\n[database]\nurl = \"sqlite:\"\n",
    );
    project.orders(&Orders {
        mode: "replace",
        max_rejected: "1 percent",
        source: "url = \"s4://days/{day}.csv\"".to_owned(),
        columns: "{ name = \"x y\", type = \"int\" },",
        csv: "delimeter = \";\"",
        table: "a.b.c",
        ..Orders::default()
    });
    transcript.run_with(
        &project,
        &[("DAYFILL__DATABASE__URL", ""), ("DAYFILL__RETRY__MAX_DELAY", "soon")],
        &["catch-up"],
    );
    project.write("dayfill.toml", "[claim\n");
    transcript.run(&project, &["check"]);
    project.write("dayfill.toml", "datasets = \"nowhere\"\n");
    transcript.run(&project, &["check"]);
    project.write("dayfill.toml", "");
    project.orders(&Orders { filter: "amout > 0", ..Orders::default() });
    transcript.run(&project, &["catch-up"]).run(&project, &["check"]);
    transcript.is_golden("errors_of_the_configuration");
}
