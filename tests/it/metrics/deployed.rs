//! What is made of the metrics: rules, dashboard, documentation.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{counted, exposed, root};
use crate::support::project::Ran;

fn read(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// `make install-test-tools` has put it there, if it was not in PATH.
fn promtool() -> Command {
    let tools = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("tools");
    let folders = std::env::var_os("PATH").map_or_else(Vec::new, |path| std::env::split_paths(&path).collect());
    let places = folders.into_iter().chain([tools]).map(|folder: PathBuf| folder.join("promtool"));
    let found = places.into_iter().find(|place| place.is_file());
    let missing = "`make install-test-tools` puts promtool into target/tools";
    Command::new(found.unwrap_or_else(|| panic!("{missing}")))
}

#[test]
fn promtool_finds_nothing_wrong_with_the_metrics() {
    let mut check = promtool();
    check.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut check = check.spawn().unwrap();
    check.stdin.take().unwrap().write_all(exposed(&counted()).as_bytes()).unwrap();
    let checked = check.wait_with_output().unwrap();
    let said = [checked.stdout, checked.stderr].concat();
    assert_eq!((checked.status.code(), String::from_utf8(said).unwrap().as_str()), (Some(0), ""));
}

#[test]
fn promtool_finds_nothing_wrong_with_the_rules_and_their_alerts() {
    for arguments in
        [["check", "rules", "rules.yml"], ["test", "rules", "rules_test.yml"], ["check", "config", "prometheus.yml"]]
    {
        let ran = Ran::of(promtool().args(arguments).current_dir(root().join("deploy/prometheus")));
        assert_eq!(ran.code, 0, "{arguments:?}: {ran:#?}");
    }
}

/// Holds the metrics of a daemon, as they stay for two hours, against the shipped rules: of each alert that is named, it
/// fires for the dataset `orders` with that summary and for no other, or does not where there is none.
pub(crate) fn assert_fires(metrics: &str, alerts: &[(&str, Option<&str>)]) {
    let rules = root().join("deploy/prometheus/rules.yml");
    let mut test = format!(
        "rule_files:\n  - {}\nevaluation_interval: 1m\ntests:\n  - interval: 1m\n    input_series:\n",
        rules.display()
    );
    for line in metrics.lines().filter(|line| line.starts_with("dayfill_day_") && line.contains("=\"orders\"")) {
        let (series, value) = line.rsplit_once(' ').unwrap();
        let _ = writeln!(test, "      - series: {series}\n        values: {value}x120");
    }
    test.push_str("    alert_rule_test:\n");
    for (alert, summary) in alerts {
        let _ = writeln!(test, "      - eval_time: 2h\n        alertname: {alert}");
        let _ = match summary {
            None => writeln!(test, "        exp_alerts: []"),
            Some(summary) => writeln!(
                test,
                "        exp_alerts:\n          - exp_labels:\n              dataset: orders\n              severity: ticket\n            \
                 exp_annotations:\n              summary: \"{summary}\""
            ),
        };
    }
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("test.yml"), &test).unwrap();
    let ran = Ran::of(promtool().args(["test", "rules", "test.yml"]).current_dir(folder.path()));
    assert_eq!(ran.code, 0, "{ran:#?}\n{test}");
}

#[test]
fn every_alert_is_tested() {
    let named = |text: &str, key: &str| -> BTreeSet<String> {
        text.lines().filter_map(|line| line.trim().strip_prefix(key)).map(|alert| alert.trim().to_owned()).collect()
    };
    let (rules, tests) = (read("deploy/prometheus/rules.yml"), read("deploy/prometheus/rules_test.yml"));
    let alerts = named(&rules, "- alert:");
    assert!(alerts.len() >= 5, "{alerts:?}");
    assert_eq!(alerts, named(&tests, "alertname:"));
    for alert in alerts {
        assert!(read("docs/metrics.md").contains(&format!("`{alert}`")), "docs/metrics.md has no {alert}");
    }
}

/// The names of our metrics in a text, those of histograms' parts as they are.
fn names(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("dayfill_") || word.starts_with("process_")).map(str::to_owned).collect()
}

/// The names of all samples.
fn exposed_names() -> BTreeSet<String> {
    let text = exposed(&counted());
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split(['{', ' ']).next().unwrap().to_owned())
        .collect()
}

#[test]
fn rules_and_dashboard_ask_for_metrics_that_exist() {
    let exposed = exposed_names();
    for file in ["deploy/prometheus/rules.yml", "deploy/prometheus/rules_test.yml", "deploy/grafana/dayfill.json"] {
        let asked = names(&read(file));
        assert!(asked.len() > 5, "{file}: {asked:?}");
        let unknown: Vec<_> = asked.difference(&exposed).collect();
        assert_eq!(unknown, Vec::<&String>::new(), "{file}");
    }
}

/// The queries of the dashboard, with something in place of its variables.
fn queries() -> Vec<String> {
    let dashboard: serde_json::Value = serde_json::from_str(&read("deploy/grafana/dayfill.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().filter_map(|panel| panel["targets"].as_array()).flatten();
    let queries = targets.map(|target| target["expr"].as_str().unwrap());
    queries.map(|query| query.replace("$dataset", "orders").replace("$__rate_interval", "2m")).collect()
}

#[test]
fn promtool_can_read_the_queries_of_the_dashboard() {
    let queries = queries();
    assert!(queries.len() > 10, "{queries:?}");
    let mut rules = "groups:\n- name: dashboard\n  rules:\n".to_owned();
    for (number, query) in queries.iter().enumerate() {
        let _ = writeln!(rules, "  - {{record: \"query:{number}\", expr: '{query}'}}");
    }
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("rules.yml"), rules).unwrap();
    let ran = Ran::of(promtool().args(["check", "rules", "rules.yml"]).current_dir(folder.path()));
    assert_eq!(ran.code, 0, "{ran:#?}");
}

#[test]
fn the_dashboard_is_one_that_grafana_can_show() {
    let dashboard: serde_json::Value = serde_json::from_str(&read("deploy/grafana/dayfill.json")).unwrap();
    assert_eq!(dashboard["uid"], "dayfill");
    let panels = dashboard["panels"].as_array().unwrap();
    let mut ids = BTreeSet::new();
    for panel in panels {
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "an id twice: {panel}");
        let place = &panel["gridPos"];
        let (x, width) = (place["x"].as_u64().unwrap(), place["w"].as_u64().unwrap());
        assert!(x + width <= 24, "beyond the right edge: {panel}");
        if panel["type"] != "row" {
            assert_eq!(panel["datasource"]["uid"], "${datasource}", "{panel}");
            let targets = panel["targets"].as_array().unwrap();
            assert!(targets.iter().all(|target| !target["expr"].as_str().unwrap().is_empty()), "{panel}");
        }
    }
}

#[test]
fn the_documentation_names_every_metric_with_its_type() {
    let documented: BTreeMap<String, String> = read("docs/metrics.md")
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once("` | "))
        .filter(|(name, _)| name.starts_with("dayfill_") || name.starts_with("process_"))
        .map(|(name, rest)| (name.to_owned(), rest.split(" |").next().unwrap().to_owned()))
        .collect();
    let text = exposed(&counted());
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    let types: BTreeMap<String, String> = types.map(|(name, kind)| (name.to_owned(), kind.to_owned())).collect();
    assert_eq!(documented, types);
}
