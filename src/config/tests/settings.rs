//! The main file: the shipped one is the defaults and names every key; the environment comes before it.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::{Folder, GOOD, shipped};
use crate::config::{DatabaseConfig, ProcessSettings};
use crate::db::url::DatabaseUrl;

#[test]
fn the_shipped_main_file_is_the_defaults() {
    // The default database lies beside the main file.
    let beside = |folder: &Path| {
        let url = DatabaseUrl::Sqlite(folder.join("dayfill.db"));
        ProcessSettings { database: DatabaseConfig { url }, ..ProcessSettings::default() }
    };
    assert_eq!(shipped().settings, beside(&Path::new(env!("CARGO_MANIFEST_DIR")).join("config")));
    let folder = Folder::new("").write("datasets/a.toml", GOOD);
    assert_eq!(folder.load([]).unwrap().settings, beside(folder.0.path()));
}

#[test]
fn the_shipped_main_file_names_every_key() {
    let main = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/dayfill.toml");
    let text = fs::read_to_string(main).unwrap();
    // An unknown key makes each section name the ones it knows.
    let sections = [
        "",
        "[database]",
        "[claim]",
        "[catch_up]",
        "[retry]",
        "[waiting]",
        "[shutdown]",
        "[retention]",
        "[reload]",
        "[web]",
        "[metrics]",
        "[log]",
    ];
    let top_level = ["datasets", "max_parallel_loads"];
    for section in sections {
        let problems = Folder::new(&format!("{section}\nxxxxxxxxxxxx = 1")).write("datasets/a.toml", GOOD).problems([]);
        let known = problems.split_once("known here: ").unwrap().1;
        for key in known.split(", ") {
            let (line, commented, head) = (format!("\n{key} = "), format!("\n# {key} = "), format!("\n[{key}]\n"));
            assert!([line, commented, head].iter().any(|form| text.contains(form)), "{section} {key}");
            assert!(
                !section.is_empty() || top_level.contains(&key) || sections.contains(&format!("[{key}]").as_str()),
                "{key}"
            );
        }
    }
}

#[test]
fn the_environment_overrides_the_file() {
    let folder = Folder::new("[log]\nlevel = \"warn\"\n[claim]\nlease = \"5s\"").write("datasets/a.toml", GOOD);
    let settings = folder
        .load([
            ("DAYFILL__LOG__LEVEL", "debug"),
            ("DAYFILL__CATCH_UP__CONCURRENCY", "4"),
            ("DAYFILL__RETRY__FIRST_DELAY", "30s"),
            ("DAYFILL__WAITING__POLL", ""),
            ("DAYFILL_CONFIG", "not looked at"),
            ("DAYFILL_OTHER", "not ours"),
        ])
        .unwrap()
        .settings;
    assert_eq!(settings.log.level, log::LevelFilter::Debug);
    assert_eq!(settings.policy.catch_up.concurrency, 4);
    assert_eq!(settings.policy.retry.first_delay, Duration::from_secs(30));
    assert_eq!(settings.claim.lease, Duration::from_secs(5));
    assert_eq!(settings.policy.waiting, ProcessSettings::default().policy.waiting);
}
