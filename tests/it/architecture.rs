//! The house: a module uses only what lies below it, and each library is named in one room only.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The floors, from the ground up. A module may use modules of lower floors, and its neighbours.
const FLOORS: [(&str, &[&str]); 6] = [
    (
        "words",
        &["day", "column", "dataset", "policy", "url_template", "state", "wording", "zone", "json", "definition"],
    ),
    ("thought", &["parse", "validate", "read_rows", "audit", "plan"]),
    ("edges", &["source", "db"]),
    ("story", &["ready", "reconcile", "recheck", "future_days", "load_day", "status"]),
    ("running", &["daemon", "metrics", "scheduler", "service_manager", "shutdown", "traces", "web"]),
    ("shell", &["cli", "config", "logging", "exit_code", "main", "bin", "lib"]),
];

/// Libraries, and the only modules that may name them.
const ROOMS: [(&[&str], &str); 11] = [
    (&["diesel", "diesel_migrations"], "db"),
    (&["object_store", "aws_config", "aws_credential_types", "aws_smithy_http_client", "zstd"], "source"),
    (&["aws_smithy_runtime_api", "aws_types"], "source"),
    (&["flate2"], "source"),
    (&["croner", "tokio_cron_scheduler"], "scheduler"),
    (&["sd_notify"], "service_manager"),
    (&["opentelemetry", "opentelemetry_otlp", "opentelemetry_sdk"], "traces"),
    (&["jiff"], "zone"),
    (&["utoipa"], "web"),
    (&["axum", "hyper", "hyper_util", "tokio_rustls", "argon2", "hmac", "maud", "subtle"], "web"),
    (&["clap", "clap_complete", "clap_mangen", "indicatif", "rustix"], "cli"),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// All files of code.
pub(crate) fn sources() -> Vec<PathBuf> {
    let mut found = Vec::new();
    collect(&root(), &mut found);
    assert!(found.len() > 20, "the sources were not found");
    found
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
}

/// The module of the crate's root that a file belongs to.
fn module(file: &Path) -> String {
    let relative = file.strip_prefix(root()).unwrap();
    let first = relative.components().next().unwrap().as_os_str().to_str().unwrap();
    first.trim_end_matches(".rs").to_owned()
}

/// The code of a file without its tests and comments.
pub(crate) fn code(file: &Path) -> String {
    if file.to_str().unwrap().ends_with("tests.rs") || file.components().any(|part| part.as_os_str() == "tests") {
        return String::new();
    }
    let text = std::fs::read_to_string(file).unwrap();
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

#[test]
fn every_module_uses_only_what_lies_below_it() {
    let floor: BTreeMap<&str, usize> =
        FLOORS.iter().enumerate().flat_map(|(floor, (_, modules))| modules.iter().map(move |m| (*m, floor))).collect();
    let mut wrong = Vec::new();
    for file in &sources() {
        let module = module(file);
        let own = *floor.get(module.as_str()).unwrap_or_else(|| panic!("{module} has no floor yet"));
        for used in code(file).split("crate::").skip(1) {
            let name: String = used.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
            assert!(!name.is_empty(), "{}: one `use` per module, not crate::{{...}}", file.display());
            if floor.get(name.as_str()).is_some_and(|used| *used > own) {
                wrong.push(format!("{}: {module} ({}) uses {name}", file.display(), FLOORS[own].0));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn the_floors_are_told_as_they_are() {
    // A program's own files are none of the library's modules.
    for (file, untold) in [("docs/architecture.md", &["lib"][..]), ("src/lib.rs", &["lib", "main", "bin"])] {
        let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
        for (floor, modules) in FLOORS {
            let row = text.lines().find(|line| line.contains(&format!("| {floor} |")));
            let row = row.unwrap_or_else(|| panic!("{file} does not tell of the floor {floor}"));
            for module in modules.iter().filter(|module| !untold.contains(module)) {
                let is_told = row.contains(&format!("`{module}`")) || row.contains(&format!("`mod@{module}`"));
                assert!(is_told, "{file} does not tell that {module} is {floor}");
            }
        }
    }
}

#[test]
fn each_library_is_named_in_one_room_only() {
    let mut wrong = Vec::new();
    for file in &sources() {
        let module = module(file);
        let code = code(file);
        for (libraries, room) in ROOMS {
            // Log lines go past the progress bars, and the log's format is a flag: logging belongs to the command line.
            let is_guest = match module.as_str() {
                "logging" => room == "cli",
                // What is known of days is described where it is defined, so that the API's word for it cannot drift.
                "status" => libraries.contains(&"utoipa"),
                // Styles and scripts go out compressed, as files come in.
                "web" => libraries.contains(&"flate2"),
                // The rights on a SQLite file are asked for without opening it.
                "db" => libraries.contains(&"rustix") || libraries.contains(&"utoipa"),
                _ => false,
            };
            if module == room || is_guest {
                continue;
            }
            for library in libraries {
                if code.contains(&format!("{library}::")) {
                    wrong.push(format!("{} names {library}, which belongs to {room}", file.display()));
                }
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn only_the_shell_reads_the_environment() {
    let shell = FLOORS[5].1;
    let reads = |file: &&PathBuf| {
        let code = code(file);
        code.contains("env::var") || code.contains("env::args") || code.contains("env::current_dir")
    };
    for file in sources().iter().filter(reads) {
        assert!(shell.contains(&module(file).as_str()), "{} reads the environment", file.display());
    }
}
