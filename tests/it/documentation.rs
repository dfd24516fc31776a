//! The documentation says what is true: its commands parse, and so does its TOML.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;

use clap::Parser;
use clap::error::ErrorKind;
use dayfill::cli::args::{AlgoliaEtl, Cli};
use rustix::process::{Pid, Signal, kill_process};

use crate::architecture::{code, sources};
use crate::goldens::masked;

/// A fenced block of a Markdown file.
pub(crate) struct Block {
    /// The word behind the fence.
    pub(crate) language: String,
    /// The line it begins on.
    pub(crate) line: usize,
    pub(crate) text: String,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Everything in docs/.
fn pages() -> Vec<PathBuf> {
    let docs = fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path());
    docs.filter(|path| path.extension().is_some_and(|e| e == "md")).collect()
}

/// Everything in docs/, and the documents beside it.
fn documents() -> Vec<PathBuf> {
    let beside = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"].map(|name| root().join(name));
    [pages(), beside.to_vec()].concat()
}

/// What the README says its first command prints.
pub(crate) fn first_transcript() -> String {
    let readme = blocks(&root().join("README.md"));
    readme.into_iter().find(|block| block.language == "text").unwrap().text
}

fn blocks(document: &Path) -> Vec<Block> {
    let text = fs::read_to_string(document).unwrap_or_else(|error| panic!("{}: {error}", document.display()));
    let mut blocks: Vec<Block> = Vec::new();
    let mut open = false;
    for (number, line) in text.lines().enumerate() {
        if let Some(language) = line.trim_start().strip_prefix("```") {
            if !open {
                blocks.push(Block { language: language.trim().to_owned(), line: number + 1, text: String::new() });
            }
            open = !open;
        } else if open {
            let text = &mut blocks.last_mut().unwrap().text;
            text.push_str(line);
            text.push('\n');
        }
    }
    assert!(!open, "{}: a block is not closed", document.display());
    blocks
}

/// The blocks of a document, each with the paragraph before it.
pub(crate) fn blocks_with_lead(document: &str) -> Vec<(String, Block)> {
    let text = fs::read_to_string(root().join(document)).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let lead = |block: &Block| {
        let before = lines[..block.line - 1].iter().rev().skip_while(|line| line.is_empty());
        before.take_while(|line| !line.is_empty()).map(|line| format!("{line}\n")).collect::<Vec<_>>()
    };
    let with_lead = |block: Block| (lead(&block).into_iter().rev().collect(), block);
    blocks(&root().join(document)).into_iter().map(with_lead).collect()
}

/// The commands of a block as lists of words: continued lines joined, comments, prompts and pipes taken off. Where
/// lines have prompts, those without are what a command prints.
fn commands(block: &Block) -> Vec<Vec<String>> {
    let text = block.text.replace("\\\n", " ");
    let prompted = text.lines().any(|line| line.starts_with("$ "));
    let lines = text.lines().filter_map(|line| if prompted { line.strip_prefix("$ ") } else { Some(line) });
    lines
        .flat_map(|line| {
            words(line)
                .split(|word| matches!(word.as_str(), "|" | "&&" | ";" | ">"))
                .map(<[_]>::to_vec)
                .collect::<Vec<_>>()
        })
        .collect()
}

/// A line's words as a shell parts them.
pub(crate) fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for c in line.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, '#') if word.is_none() => break,
            (None, ' ') => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

/// The arguments of a command that runs one of our programs, the program's name first.
fn our_arguments(command: &[String]) -> Option<Vec<String>> {
    let name = |word: &String| word.rsplit('/').next().unwrap_or(word).to_owned();
    let is_ours = |word: &String| matches!(name(word).as_str(), "dayfill" | "algolia-etl");
    let is_prefix = |word: &&String| word.contains('=') || matches!(word.as_str(), "sudo" | "env" | "exec" | "time");
    let rest = &command[command.iter().take_while(is_prefix).count()..];
    if rest.first().is_some_and(is_ours) {
        return Some([vec![name(&rest[0])], rest[1..].to_vec()].concat());
    }
    if rest.len() > 1 && rest[0] == "cargo" && rest[1] == "run" {
        let (cargo, arguments) = rest.split_at(rest.iter().position(|word| word == "--")?);
        let program = if cargo.iter().any(|word| word == "algolia-etl") { "algolia-etl" } else { "dayfill" };
        return Some([&[program.to_owned()], &arguments[1..]].concat());
    }
    None
}

#[test]
fn every_command_in_the_documentation_parses() {
    let mut found = 0;
    for document in documents() {
        for block in
            blocks(&document).iter().filter(|block| matches!(block.language.as_str(), "sh" | "console" | "bash"))
        {
            for arguments in commands(block).iter().filter_map(|command| our_arguments(command)) {
                found += 1;
                let parsed = if arguments[0] == "dayfill" {
                    Cli::try_parse_from(&arguments).map(drop)
                } else {
                    AlgoliaEtl::try_parse_from(&arguments).map(drop)
                };
                if let Err(error) = parsed
                    && !matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion)
                {
                    panic!("{}, block of line {}: {}\n{error}", document.display(), block.line, arguments.join(" "));
                }
            }
        }
    }
    assert!(found > 0, "there is not one command");
}

#[test]
fn every_toml_in_the_documentation_parses() {
    let mut found = 0;
    for document in documents() {
        for block in blocks(&document).iter().filter(|block| block.language == "toml") {
            found += 1;
            let text = config::File::from_str(&block.text, config::FileFormat::Toml);
            let parsed = config::Config::builder().add_source(text).build();
            assert!(parsed.is_ok(), "{}, block of line {}: {parsed:?}", document.display(), block.line);
        }
    }
    assert!(found > 0, "there is not one block of TOML");
}

#[test]
fn the_rights_that_the_documentation_grants_are_on_every_state_table() {
    let read = |name: &str| fs::read_to_string(root().join(name)).unwrap();
    let (schema, rights) = (read("src/db/schema.rs"), read("docs/postgresql.md"));
    // A statement goes on on lines of its own.
    let rights = rights.replace("\n  ", " ");
    let granted = rights.lines().find(|line| line.contains("delete on processed_days")).unwrap();
    let tables: Vec<&str> = schema
        .lines()
        .filter_map(|line| line.strip_prefix("    ")?.strip_suffix(") {")?.split_once(" (").map(|(name, _)| name))
        .collect();
    assert_eq!(tables.len(), schema.matches("diesel::table!").count(), "{tables:?}");
    for table in tables {
        assert!(granted.contains(table), "{table}: {granted}");
    }
}

/// The texts of a file's `log::warn!` and `log::error!`, as they are written there.
fn warnings(code: &str) -> Vec<String> {
    ["warn!(", "error!("]
        .iter()
        .flat_map(|macros| code.split(macros).skip(1))
        .map(|said| said.split('"').nth(1).unwrap().to_owned())
        .collect()
}

#[test]
fn every_warning_of_the_code_is_explained() {
    let table = fs::read_to_string(root().join("docs/messages.md")).unwrap();
    // Of each line what is always the same: capitals and dots stand for what is not.
    let lines: Vec<Vec<String>> = table
        .lines()
        .filter_map(|row| row.strip_prefix("| `")?.split_once('`'))
        .map(|(line, _)| {
            let line = line.replace("...", "N");
            let fixed = line.split(|c: char| c.is_ascii_uppercase()).map(|part| part.trim_matches([' ', ':', ';']));
            fixed.filter(|part| !part.is_empty()).map(ToOwned::to_owned).collect()
        })
        .collect();
    assert!(lines.iter().all(|fixed| !fixed.is_empty()), "{lines:?}");
    let said: Vec<String> = sources().iter().flat_map(|file| warnings(&code(file))).collect();
    assert!(said.len() > 20, "the warnings were not found");
    let is_explained = |said: &&String| lines.iter().any(|fixed| fixed.iter().all(|part| said.contains(part)));
    let unexplained: Vec<&String> = said.iter().filter(|said| !is_explained(said)).collect();
    assert_eq!(unexplained, Vec::<&String>::new());
}

/// The anchors of a document's headings, as they are made of them where Markdown is shown.
fn anchors(document: &Path) -> Vec<String> {
    let text = fs::read_to_string(document).unwrap();
    let headings = text.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
    let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
    let anchor = |heading: &str| heading.to_lowercase().chars().filter(kept).collect::<String>().replace(' ', "-");
    headings.map(anchor).collect()
}

#[test]
fn every_link_to_another_place_here_leads_there() {
    let mut wrong = Vec::new();
    for document in documents() {
        let text = fs::read_to_string(&document).unwrap();
        for link in text.split("](").skip(1).map(|rest| rest.split(')').next().unwrap()) {
            if link.contains("://") {
                continue;
            }
            let (file, anchor) = link.split_once('#').map_or((link, None), |(file, anchor)| (file, Some(anchor)));
            let target = if file.is_empty() { document.clone() } else { document.parent().unwrap().join(file) };
            let leads = target.exists() && anchor.is_none_or(|anchor| anchors(&target).contains(&anchor.to_owned()));
            if !leads {
                wrong.push(format!("{}: {link}", document.display()));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn every_page_is_short_and_the_index_leads_to_it() {
    let index = fs::read_to_string(root().join("docs/README.md")).unwrap();
    let mut wrong = Vec::new();
    for page in pages() {
        let name = page.file_name().unwrap().to_str().unwrap();
        let lines = fs::read_to_string(&page).unwrap().lines().count();
        if lines >= 300 {
            wrong.push(format!("{name} has {lines} lines"));
        }
        if name != "README.md" && !index.contains(&format!("]({name})")) {
            wrong.push(format!("docs/README.md does not lead to {name}"));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn the_readme_begins_with_the_command_that_loads_the_sample() {
    let readme = blocks(&root().join("README.md"));
    let first = readme
        .iter()
        .filter(|block| matches!(block.language.as_str(), "sh" | "console" | "bash"))
        .flat_map(commands)
        .find_map(|command| our_arguments(&command));
    let words = ["dayfill", "--config", "sample/dayfill.toml", "catch-up"].map(str::to_owned);
    assert_eq!(first.as_deref(), Some(&words[..]));
    let text = fs::read_to_string(root().join("README.md")).unwrap();
    assert!(text.contains("make test"), "the other command");
}

/// What the README says a command on the sample prints: the text behind the block that has it.
fn transcript_of(command: &str) -> String {
    let words = ["dayfill", "--config", "sample/dayfill.toml", command].map(str::to_owned);
    let has_it = |block: &Block| commands(block).iter().any(|line| our_arguments(line).as_deref() == Some(&words[..]));
    let mut readme = blocks(&root().join("README.md")).into_iter().skip_while(|block| !has_it(block));
    readme.find(|block| block.language == "text").unwrap().text
}

/// The daemon; dropping it kills it.
struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[test]
fn the_daemon_on_the_sample_logs_what_the_readme_shows() {
    let folder = tempfile::tempdir().unwrap();
    for part in ["sample", "sample/datasets"] {
        fs::create_dir(folder.path().join(part)).unwrap();
        for entry in fs::read_dir(root().join(part)).unwrap().map(Result::unwrap) {
            if entry.path().is_file() {
                fs::copy(entry.path(), folder.path().join(part).join(entry.file_name())).unwrap();
            }
        }
    }
    let dayfill = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dayfill"));
        // The README's reader has more time.
        command.env_clear().env("DAYFILL__WAITING__POLL", "1s").current_dir(folder.path());
        // Any free port: others may have the usual one.
        command.env("DAYFILL__WEB__LISTEN", "127.0.0.1:0");
        command.args(["--config", "sample/dayfill.toml"]).args(arguments).stdin(Stdio::null()).stderr(Stdio::piped());
        command
    };
    assert!(dayfill(&["catch-up"]).output().unwrap().status.success());

    let mut daemon = Daemon(dayfill(&["run"]).spawn().unwrap());
    let stderr = BufReader::new(daemon.0.stderr.take().unwrap());
    let (send, lines) = channel();
    std::thread::spawn(move || stderr.lines().map_while(Result::ok).for_each(|line| drop(send.send(line))));
    // Only so that a failing test ends.
    let next = || lines.recv_timeout(Duration::from_secs(30)).unwrap() + "\n";
    let mut said = next();
    let page = next();
    let (address, port) = page.rsplit_once(':').unwrap();
    assert!(port.trim_end().trim_end_matches('/').parse::<u16>().is_ok(), "{page}");
    said = format!("{said}{address}:8080/\n");
    let days = folder.path().join("sample");
    let late = fs::read_to_string(days.join("2019-04-02.csv")).unwrap().replace("2019-04-02", "2019-04-03");
    fs::write(days.join("arriving"), late).unwrap();
    fs::rename(days.join("arriving"), days.join("2019-04-03.csv")).unwrap();
    said += &next();
    kill_process(Pid::from_child(&daemon.0), Signal::INT).unwrap();
    said += &next();
    assert_eq!(masked(&said), masked(&transcript_of("run")));
    assert!(daemon.0.wait().unwrap().success());
    assert!(lines.recv().is_err(), "not a line more");
}

#[test]
fn shell_lines_are_parted_as_a_shell_does() {
    let block = |text: &str| Block { language: "sh".to_owned(), line: 1, text: text.to_owned() };
    let arguments = |text: &str| {
        commands(&block(text))
            .iter()
            .filter_map(|command| our_arguments(command))
            .map(|words| words.join("|"))
            .collect::<Vec<_>>()
    };
    for (text, expected) in [
        ("dayfill status  # all\n", vec!["dayfill|status"]),
        (
            "A=b ./target/release/dayfill skip 2024-03-01 \\\n  --reason 'no file'\n",
            vec!["dayfill|skip|2024-03-01|--reason|no file"],
        ),
        ("$ dayfill status | head\ndayfill is what it prints\n", vec!["dayfill|status"]),
        ("cargo run --release -- --config x catch-up\ncargo build\n", vec!["dayfill|--config|x|catch-up"]),
        ("cd x && sudo algolia-etl run-etl\n", vec!["algolia-etl|run-etl"]),
    ] {
        assert_eq!(arguments(text), expected, "{text}");
    }
}
