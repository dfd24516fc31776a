//! A supplier that stops sending, or sends a file before it is whole: seen on the page, in the metrics, by the alerts and
//! by the check that the documentation advises, until somebody saw to it.

use serde_json::Value;

use super::page::Page;
use crate::metrics::deployed::assert_fires;
use crate::support::daily::{add_clock, amounts, column, let_time_pass, project, ticking, wait_for_state};
use crate::support::project::{FIRST, Project};
use crate::support::{Database, on_both, wait_until};

on_both! {
    days_whose_files_stop_coming_need_attention_until_somebody_saw_to_each
    a_file_that_grew_after_it_was_loaded_needs_attention_until_it_is_loaded_again
}

const LAST: &str = "2024-03-09";

/// The days for which the check that docs/commands.md advises fails: `day|state|late|newer_file`.
fn needing_attention(project: &Project) -> Vec<String> {
    let status: Value = serde_json::from_str(&project.succeed(&["status", "--json"]).stdout).unwrap();
    let datasets = status["datasets"].as_array().unwrap().iter().filter(|dataset| dataset["dataset"] == "orders");
    let days = datasets.flat_map(|dataset| dataset["days"].as_array().unwrap());
    let needs = |day: &&Value| {
        day["late"] == true
            || day["newer_file"] == true
            || ["failed", "refused", "absent"].contains(&day["state"].as_str().unwrap())
    };
    let told = |day: &Value| format!("{}|{}|{}|{}", day["day"], day["state"], day["late"], day["newer_file"]);
    days.filter(needs).map(|day| told(day).replace('"', "")).collect()
}

fn days_whose_files_stop_coming_need_attention_until_somebody_saw_to_each(database: &dyn Database) {
    let sections = "[waiting]\npoll = \"1s\"\ngive_up_after = \"3s\"\ndeadline = \"07:30\"\n";
    let project = project(database, &ticking(LAST).sections(sections), "");
    for day in 1..=4 {
        project.day(&format!("2024-03-0{day}"), "a,1,x\n");
    }
    let page = Page::start(&project, &["run"]);
    let absent = "dayfill_day_states{dataset=\"orders\",state=\"absent\"}";
    page.wait_for("/metrics", &format!("{absent} 5\n"));
    let metrics = page.get("/metrics").body;
    // What is late stays late when it is given up, and lag counts it.
    for line in ["dayfill_day_late{dataset=\"orders\"} 5\n", "dayfill_day_lag{dataset=\"orders\"} 5\n"] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
    assert_fires(
        &metrics,
        &[
            ("DayfillDayAbsent", Some("orders: the file(s) of 5 day(s) never came")),
            ("DayfillDayLate", Some("orders: 5 day(s) not loaded by their deadline")),
            ("DayfillDayLag", Some("orders: the newest loaded day is 5 days behind the newest wanted one")),
            ("DayfillNewerFile", None),
        ],
    );
    page.wait_for("/", "the newest 5 days have no file: no such file");
    let of = |days: std::ops::RangeInclusive<u32>| -> Vec<String> {
        days.map(|day| format!("2024-03-0{day}|absent|true|false")).collect()
    };
    assert_eq!(needing_attention(&project), of(5..=9));
    // The files of all but one come, and that one is skipped.
    for day in 5..=8 {
        project.day(&format!("2024-03-0{day}"), "a,1,x\n");
    }
    let loaded = "select count(*) from processed_days where dataset = 'orders' and state = 'loaded'";
    wait_until("what came is loaded", || database.line(loaded) == "8");
    assert_eq!(needing_attention(&project), of(9..=9));
    project.succeed(&["skip", LAST, "--dataset", "orders", "--reason", "a holiday"]);
    assert_eq!(needing_attention(&project), [""; 0]);
    page.wait_for("/metrics", "dayfill_day_late{dataset=\"orders\"} 0\n");
    page.wait_for("/metrics", &format!("{absent} 0\n"));
    page.wait_for("/", "Nothing needs attention.");
    let calm = page.get("/metrics").body;
    assert_fires(&calm, &[("DayfillDayAbsent", None), ("DayfillDayLate", None), ("DayfillDayLag", None)]);
    let log = page.end();
    assert_eq!(log.matches("waited long enough, now absent").count(), 5, "{log}");
}

fn a_file_that_grew_after_it_was_loaded_needs_attention_until_it_is_loaded_again(database: &dyn Database) {
    let project = project(database, &ticking(FIRST).source("on_change = \"warn\""), "");
    add_clock(&project);
    // Its writer is not done, and there is no `settle`.
    project.day(FIRST, "a,1,x\n");
    let page = Page::start(&project, &["run"]);
    wait_for_state(database, FIRST, "loaded");
    project.replace(&format!("days/{FIRST}.csv"), "id,amount,note\na,1,x\nb,1,y\nc,1,z\n");
    page.wait_for("/metrics", "dayfill_day_newer_file{dataset=\"orders\"} 1\n");
    page.wait_for("/", "the source has a newer file than the loaded one");
    assert_fires(
        &page.get("/metrics").body,
        &[
            ("DayfillNewerFile", Some("orders: the source has a newer file of 1 loaded day(s)")),
            ("DayfillDayLag", None),
        ],
    );
    // It stays so, and nothing of the file is taken.
    let_time_pass(database);
    assert_eq!(needing_attention(&project), ["2024-03-01|loaded|false|true"]);
    assert_eq!(amounts(database), ["1|1"]);
    project.succeed(&["load", FIRST, "--force", "--dataset", "orders"]);
    assert_eq!((amounts(database), column(database, FIRST, "newer_etag")), (vec!["1|3".to_owned()], "null".to_owned()));
    assert_eq!(needing_attention(&project), [""; 0]);
    page.wait_for("/metrics", "dayfill_day_newer_file{dataset=\"orders\"} 0\n");
    let log = page.end();
    assert_eq!(log.matches("its file changed after it was loaded").count(), 1, "said once: {log}");
}
