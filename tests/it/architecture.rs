//! The layers: a module uses only what lies below it, files do not import each other in a circle, and each library is
//! named in one room only.

use std::collections::{BTreeMap, BTreeSet};
use std::iter::Peekable;
use std::path::{Path, PathBuf};
use std::str::Chars;

/// The layers, from the ground up. A module may use modules of lower layers, and its neighbours.
const LAYERS: [(&str, &[&str]); 6] = [
    (
        "domain",
        &["day", "column", "dataset", "policy", "url_template", "state", "wording", "zone", "json", "definition"],
    ),
    ("core", &["parse", "validate", "read_rows", "audit", "plan", "load_outcome"]),
    ("adapters", &["source", "db"]),
    ("engine", &["ready", "reconcile", "recheck", "future_days", "load_day", "events", "status"]),
    ("service", &["daemon", "event_log", "metrics", "cron", "service_manager", "shutdown", "traces", "web"]),
    ("interface", &["cli", "config", "logging", "exit_code", "main", "bin", "lib"]),
];

/// Libraries, and the only modules that may name them.
const ROOMS: [(&[&str], &str); 11] = [
    (&["diesel", "diesel_migrations"], "db"),
    (&["object_store", "aws_config", "aws_credential_types", "zstd"], "source"),
    (&["aws_smithy_runtime_api", "aws_types"], "source"),
    (&["flate2"], "source"),
    (&["croner", "tokio_cron_scheduler"], "cron"),
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
    let layer: BTreeMap<&str, usize> =
        LAYERS.iter().enumerate().flat_map(|(layer, (_, modules))| modules.iter().map(move |m| (*m, layer))).collect();
    let mut wrong = Vec::new();
    for file in &sources() {
        let module = module(file);
        let own = *layer.get(module.as_str()).unwrap_or_else(|| panic!("{module} has no layer yet"));
        for used in code(file).split("crate::").skip(1) {
            let name: String = used.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
            assert!(!name.is_empty(), "{}: one `use` per module, not crate::{{...}}", file.display());
            if layer.get(name.as_str()).is_some_and(|used| *used > own) {
                wrong.push(format!("{}: {module} ({}) uses {name}", file.display(), LAYERS[own].0));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

/// A module's path below the crate's root.
type ModulePath = Vec<String>;

/// The files that are modules of the library, by path. The roots, which declare modules, are left out.
fn modules() -> BTreeMap<ModulePath, PathBuf> {
    let mut modules = BTreeMap::new();
    for file in sources() {
        let relative = file.strip_prefix(root()).unwrap().with_extension("");
        let mut path: ModulePath = relative.iter().map(|part| part.to_str().unwrap().to_owned()).collect();
        if path.last().is_some_and(|last| last == "mod") {
            path.pop();
        }
        let is_root = matches!(path[0].as_str(), "lib" | "main" | "bin");
        if !is_root && !code(&file).is_empty() {
            modules.insert(path, file);
        }
    }
    modules
}

/// The modules that a file names by a path from `crate`, `self` or `super`. What a parent re-exports of its children does
/// not count as its own use.
fn imports(path: &ModulePath, file: &Path, modules: &BTreeMap<ModulePath, PathBuf>) -> BTreeSet<ModulePath> {
    let is_parent = file.ends_with("mod.rs") || file.with_extension("").is_dir();
    let code = code(file);
    let mut imports = BTreeSet::new();
    for (start, _) in code.match_indices("::") {
        let before = &code[..start];
        let base = before.rsplit(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).next().unwrap();
        let is_start = !before[..before.len() - base.len()].ends_with("::");
        let mut from = match base {
            "crate" if is_start => Vec::new(),
            "self" if is_start => path.clone(),
            "super" if is_start => path[..path.len() - 1].to_vec(),
            _ => continue,
        };
        let line = before.lines().last().unwrap();
        let is_re_export = line.starts_with("pub") && line.contains("use ") || line.starts_with("use self");
        if is_parent && is_re_export && base != "crate" {
            continue;
        }
        let mut named = Vec::new();
        name_paths(&mut code[start + 2..].chars().peekable(), &mut from, &mut named);
        for named in named {
            let module =
                (1..=named.len()).rev().map(|length| named[..length].to_vec()).find(|m| modules.contains_key(m));
            imports.extend(module.filter(|module| module != path));
        }
    }
    imports
}

/// Reads the tree of names behind a path's `::`, each from the crate's root.
fn name_paths(chars: &mut Peekable<Chars<'_>>, from: &mut ModulePath, named: &mut Vec<ModulePath>) {
    let depth = from.len();
    loop {
        while chars.next_if(|c| c.is_whitespace()).is_some() {}
        if chars.next_if_eq(&'{').is_some() {
            while chars.peek().is_some_and(|c| *c != '}') {
                name_paths(chars, &mut from.clone(), named);
                while chars.next_if(|c| *c != ',' && *c != '}').is_some() {}
                chars.next_if_eq(&',');
                while chars.next_if(|c| c.is_whitespace()).is_some() {}
            }
            chars.next();
            return;
        }
        let mut name = String::new();
        while let Some(c) = chars.next_if(|c| c.is_ascii_alphanumeric() || *c == '_') {
            name.push(c);
        }
        match name.as_str() {
            "super" if from.len() == depth => drop(from.pop()),
            "" => return,
            _ => from.push(name),
        }
        let mut rest = chars.clone();
        if rest.next() != Some(':') || rest.next() != Some(':') {
            break;
        }
        *chars = rest;
    }
    named.push(from.clone());
}

/// The groups of files that reach each other, as paths below `src`.
fn circles() -> Vec<Vec<String>> {
    let modules = modules();
    let uses: BTreeMap<&ModulePath, BTreeSet<ModulePath>> =
        modules.iter().map(|(path, file)| (path, imports(path, file, &modules))).collect();
    let reach = |from: &ModulePath| {
        let mut reached = BTreeSet::new();
        let mut waiting = vec![from.clone()];
        while let Some(module) = waiting.pop() {
            waiting.extend(uses[&module].iter().filter(|used| reached.insert((*used).clone())).cloned());
        }
        reached
    };
    let reached: BTreeMap<&ModulePath, BTreeSet<ModulePath>> =
        modules.keys().map(|module| (module, reach(module))).collect();
    let mut circles = BTreeSet::new();
    for (module, others) in reached.iter().filter(|(module, others)| others.contains(**module)) {
        let circle = others.iter().filter(|other| reached[other].contains(*module));
        let relative = |path| modules[path].strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
        circles.insert(circle.map(relative).collect::<Vec<_>>());
    }
    circles.into_iter().collect()
}

#[test]
fn no_file_imports_another_in_a_circle() {
    assert_eq!(circles(), Vec::<Vec<String>>::new());
}

/// The types that a file defines, also within its modules.
fn types(file: &Path) -> Vec<String> {
    let mut types = Vec::new();
    for line in code(file).lines().filter(|line| !line.starts_with("     ")) {
        let mut words = line.trim_start().split_ascii_whitespace();
        let mut kind = words.next().unwrap_or_default();
        let mut is_private = true;
        while kind.starts_with("pub") || kind.starts_with("crate::") {
            (kind, is_private) = (words.next().unwrap_or_default(), false);
        }
        let is_associated = kind == "type" && is_private && line.starts_with(' ');
        if ["struct", "enum", "trait", "union", "type"].contains(&kind) && !is_associated {
            let is_end = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
            types.extend(words.next().and_then(|name| name.split(is_end).next()).map(str::to_owned));
        }
    }
    types
}

#[test]
fn a_type_name_is_defined_once() {
    let mut files: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for file in sources() {
        let relative = file.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
        for name in types(&file) {
            files.entry(name).or_default().push(relative.clone());
        }
    }
    files.retain(|_, files| files.len() > 1);
    assert_eq!(files, BTreeMap::new());
}

#[test]
fn the_documentation_lists_every_module_on_its_layer() {
    // A program's own files are none of the library's modules.
    for (file, omitted) in [("docs/architecture.md", &["lib"][..]), ("src/lib.rs", &["lib", "main", "bin"])] {
        let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
        for (layer, modules) in LAYERS {
            let row = text.lines().find(|line| line.contains(&format!("| {layer} |")));
            let row = row.unwrap_or_else(|| panic!("{file} has no row for the layer {layer}"));
            for module in modules.iter().filter(|module| !omitted.contains(module)) {
                let is_listed = row.contains(&format!("`{module}`")) || row.contains(&format!("`mod@{module}`"));
                assert!(is_listed, "{file} does not list {module} on the layer {layer}");
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
fn only_the_interface_reads_the_environment() {
    let interface = LAYERS[5].1;
    let reads = |file: &&PathBuf| {
        let code = code(file);
        code.contains("env::var") || code.contains("env::args") || code.contains("env::current_dir")
    };
    for file in sources().iter().filter(reads) {
        assert!(interface.contains(&module(file).as_str()), "{} reads the environment", file.display());
    }
}
