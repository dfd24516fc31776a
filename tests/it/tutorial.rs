//! The tutorial works: its files are written and its commands are run, in their order, and print what it shows.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::process::Signal;

use crate::documentation::{blocks_with_lead, words};
use crate::goldens::masked;
use crate::support::Database;
use crate::support::process::Process;
use crate::support::sqlite::SqliteDatabase;

/// The reader: a folder, a daemon in one terminal, and commands in another.
struct Reader {
    database: SqliteDatabase,
    folder: PathBuf,
    daemon: Option<Process>,
}

impl Reader {
    fn command(&self, program: &str) -> Command {
        let programs = Path::new(env!("CARGO_BIN_EXE_dayfill")).parent().unwrap();
        let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
        let mut command = Command::new(program);
        command.env_clear().env("PATH", path).current_dir(&self.folder);
        // Any free port: others may have the usual one.
        command.env("DAYFILL__WEB__LISTEN", "127.0.0.1:0");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// What a command prints: both streams, as a terminal shows them.
    fn run(&mut self, line: &str) -> String {
        let words = words(line);
        match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            ["cd", folder] => {
                self.folder.push(folder);
                String::new()
            }
            ["sqlite3", "config/dayfill.db", query] => self.database.lines(query).join("\n") + "\n",
            _ => {
                let ran = self.command("sh").args(["-c", &format!("{line} 2>&1")]).output().unwrap();
                assert!(ran.status.success(), "{line}: {ran:?}");
                String::from_utf8(ran.stdout).unwrap()
            }
        }
    }

    /// The daemon's next lines, as many as the tutorial shows.
    fn log(&mut self, shown: &str) -> String {
        let daemon = self.daemon.as_mut().unwrap();
        shown.lines().map(|_| daemon.line().unwrap() + "\n").collect()
    }
}

/// A text without what differs from machine to machine: times, the folder, the process at work, and the port. The line
/// with the port comes last: the web UI starts beside the loads.
fn comparable(text: &str, folder: &str) -> String {
    let text = masked(&text.replace(folder, "FOLDER"));
    let (addresses, lines): (Vec<&str>, Vec<&str>) = text.lines().partition(|line| line.contains("http://127.0.0.1:"));
    let lines = lines.iter().map(|line| if line.starts_with("at work: ") { "at work: THE DAEMON" } else { line });
    let addresses = addresses.iter().map(|line| line.split("http://").next().unwrap());
    lines.chain(addresses).flat_map(|line| [line, "\n"]).collect()
}

/// The path that the words before a block name: the last one in backticks that ends in `.toml` or `.csv`.
fn named_file(lead: &str) -> &str {
    let quoted = lead.split('`').skip(1).step_by(2);
    quoted.filter(|text| [".toml", ".csv"].iter().any(|ending| text.ends_with(ending))).last().unwrap()
}

#[test]
fn the_tutorial_does_what_it_shows() {
    let database = SqliteDatabase::named("shop/config/dayfill.db");
    let folder = database.folder().to_owned();
    let shop = folder.join("shop").canonicalize().unwrap_or_else(|_| folder.join("shop"));
    let mut reader = Reader { database, folder, daemon: None };
    for (lead, block) in blocks_with_lead("docs/tutorial.md") {
        let shown = |text: &str| comparable(text, "/home/ada/shop");
        let printed = |text: &str| comparable(text, shop.to_str().unwrap());
        match block.language.as_str() {
            "toml" | "csv" => fs::write(reader.folder.join(named_file(&lead)), &block.text).unwrap(),
            "text" => {
                if block.text.contains("stopped") {
                    reader.daemon.as_ref().unwrap().signal(Signal::INT);
                }
                let log = reader.log(&block.text);
                assert_eq!(printed(&log), shown(&block.text), "line {}", block.line);
            }
            "console" => {
                for command in block.text.split("$ ").skip(1) {
                    let (line, expected) = command.split_once('\n').unwrap();
                    let output = if line == "dayfill run" {
                        let started = Process::of(reader.command("dayfill").arg("run"));
                        reader.daemon = Some(started);
                        reader.log(expected)
                    } else {
                        reader.run(line)
                    };
                    assert_eq!(printed(&output), shown(expected), "{line}");
                }
            }
            other => panic!("a block of {other} in line {}", block.line),
        }
    }
}
