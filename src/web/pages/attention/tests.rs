use std::path::Path;

use super::*;
use crate::config::{self, Environment};
use crate::daemon::DatasetSnapshot;
use crate::day::{Day, DayRange};
use crate::load_day::Job;
use crate::source::Source;
use crate::status::RecentDay;

const ORDERS: &str = r#"
[source]
url = "http://127.0.0.1/{day}.csv"
[schedule]
cron = "0 2 * * *"
start = 2024-03-01
[target]
table = "orders"
key = ["id"]
[rows]
columns = [{ name = "id", type = "text" }]
"#;

fn name(name: &str) -> DatasetName {
    name.parse().unwrap()
}

fn day(number: u32) -> Day {
    format!("2024-03-{number:02}").parse().unwrap()
}

fn now() -> DateTime<Utc> {
    "2024-03-20T12:00:00Z".parse().unwrap()
}

/// A job of that name.
fn job(name: &str, folder: &Path) -> Arc<Job> {
    let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).unwrap();
    drop(std::fs::remove_dir_all(folder.join("datasets")));
    std::fs::create_dir(folder.join("datasets")).unwrap();
    write("dayfill.toml", &format!("[database]\nurl = \"sqlite:{}/days.db\"\n", folder.display()));
    write(&format!("datasets/{name}.toml"), ORDERS);
    let config = config::load(Some(&folder.join("dayfill.toml")), &Environment::default());
    let dataset = config.unwrap_or_else(|problems| panic!("{problems}")).datasets.remove(0);
    let source = Source::new(&dataset.source, &[]).unwrap();
    Arc::new(Job::new(dataset, source))
}

/// What a daemon with these datasets shows, each with what its source is in trouble with, and since how many minutes.
fn shown(datasets: &[(&str, Option<(i64, &str)>)]) -> DaemonStatus {
    let folder = tempfile::tempdir().unwrap();
    let of = |(called, trouble): &(&str, Option<(i64, &str)>)| {
        let source_trouble =
            trouble.map(|(minutes, error)| (now() - TimeDelta::minutes(minutes), error.replace("NAME", called)));
        let shown = DatasetSnapshot {
            job: job(called, folder.path()),
            next_tick: None,
            paused: None,
            last_tick: None,
            trouble: None,
            source_trouble,
        };
        (name(called), shown)
    };
    DaemonStatus { datasets: Arc::new(datasets.iter().map(of).collect()), ..DaemonStatus::default() }
}

/// A summary with days that need attention for that reason.
fn summary(state: Option<State>, days: u64, error: Option<&str>) -> Summary {
    let (newest, oldest) = (day(9), day(10 - u32::try_from(days).unwrap()));
    let listed = DayRange { from: oldest, to: newest }.to_string();
    let kind = AttentionKind { state, days, newest, oldest, listed, error: error.map(str::to_owned) };
    Summary { kinds: vec![kind], ..Summary::default() }
}

fn kept(summaries: Vec<(&str, Summary)>) -> BTreeMap<DatasetName, Arc<CachedSummary>> {
    let of = |(called, summary)| (name(called), Arc::new(CachedSummary { summary, read_at: now() }));
    summaries.into_iter().map(of).collect()
}

/// A line as its word, what it is about, and its text.
fn said(all: &[AttentionItem]) -> Vec<String> {
    let about = |line: &AttentionItem| {
        let day = line.day.map(|day| format!(" {day}")).unwrap_or_default();
        format!("{}{day}", line.dataset.as_deref().unwrap_or("-"))
    };
    all.iter().map(|line| format!("{} | {} | {}", line.why.word().0, about(line), line.text)).collect()
}

/// The lines of the dataset `orders` with that summary.
fn of_orders(summary: Summary) -> Vec<String> {
    said(&together(lines(&shown(&[("orders", None)]), &kept(vec![("orders", summary)]), now())))
}

#[test]
fn days_of_a_kind_are_one_line_with_their_range_and_one_day_is_named() {
    let gone = Some("no such file");
    for (state, days, error, expected) in [
        (Some(State::Absent), 4, gone, "absent | orders | 4 days, 2024-03-06..2024-03-09; the newest: no such file"),
        (Some(State::Absent), 1, gone, "absent | orders 2024-03-09 | no such file"),
        (None, 2, gone, "late | orders | 2 days, 2024-03-08..2024-03-09; the newest: no such file"),
        (None, 1, None, "late | orders 2024-03-09 | not loaded"),
        (
            Some(State::Loaded),
            1,
            None,
            "newer file | orders 2024-03-09 | the source has a newer file than the loaded one",
        ),
        (
            Some(State::Loaded),
            3,
            None,
            "newer file | orders | 3 days, 2024-03-07..2024-03-09: the source has a newer file than the loaded one",
        ),
        (Some(State::Refused), 1, Some("no rows"), "refused | orders 2024-03-09 | no rows"),
        (
            Some(State::Failed),
            2,
            Some("cut off"),
            "failed | orders | 2 days, 2024-03-08..2024-03-09; the newest: cut off",
        ),
    ] {
        assert_eq!(of_orders(summary(state, days, error)), [expected]);
    }
}

#[test]
fn a_dataset_whose_files_do_not_come_is_one_line_beside_what_else_is_wrong() {
    let recent = RecentDay {
        day: day(9),
        state: Some(State::Waiting),
        late: true,
        rows_loaded: None,
        rows_rejected: None,
        error: Some("no such file".to_owned()),
    };
    let with = |no_files| Summary {
        no_files: Some(no_files),
        recent: vec![recent.clone()],
        ..summary(None, 5, Some("no such file"))
    };
    assert_eq!(of_orders(with(NoFiles::Never)), ["no files | orders | no file found yet: no such file"]);
    let newest = "no files | orders | the newest 5 days have no file: no such file";
    assert_eq!(of_orders(with(NoFiles::Newest(5))), [newest]);
    let refused = AttentionKind {
        state: Some(State::Refused),
        days: 1,
        newest: day(2),
        oldest: day(2),
        listed: day(2).to_string(),
        error: None,
    };
    let mut both = with(NoFiles::Newest(5));
    both.kinds.push(refused);
    assert_eq!(of_orders(both), [newest, "refused | orders 2024-03-02 | refused"]);
}

#[test]
fn a_source_that_is_away_for_an_hour_needs_attention_and_not_before() {
    let trouble = |minutes| {
        let shown = shown(&[("orders", Some((minutes, "source unavailable: http://h/x.csv: Connection refused")))]);
        said(&together(lines(&shown, &BTreeMap::new(), now())))
    };
    assert_eq!(trouble(59), [""; 0]);
    let line = "source unavailable | orders | source unavailable: http://h/x.csv: Connection refused";
    assert_eq!(trouble(60), [line]);
}

#[test]
fn many_datasets_that_meet_the_same_are_one_line_with_their_number_and_names() {
    // The place of the file is another for each; what is wrong is the same.
    let away = Some((90, "source unavailable: http://h/NAME/2024-03-09.csv: 503 Service Unavailable"));
    let names: Vec<String> = (0..12).map(|number| format!("export_{number:02}")).collect();
    let datasets: Vec<_> = names.iter().map(|name| (name.as_str(), away)).collect();
    let all = lines(&shown(&datasets), &BTreeMap::new(), now());
    let [line] = &together(all.clone())[..] else { panic!("{:?}", said(&together(all))) };
    assert_eq!((line.why, &line.dataset, line.day), (AttentionReason::Source, &None, None));
    assert!(line.text.starts_with("12 datasets (export_00, export_01, "), "{}", line.text);
    assert!(
        line.text.contains("export_09 and 2 more); export_00: source unavailable: http://h/export_00/"),
        "{}",
        line.text
    );
    // Each by itself, for who asks.
    let (each, needing) = of_one_kind(all.clone(), AttentionReason::Source);
    assert_eq!((each.len(), needing.len()), (12, 12));
    assert_eq!(of_one_kind(all, AttentionReason::Late).0.len(), 0);
}

#[test]
fn what_is_not_the_same_or_not_of_many_keeps_its_lines() {
    let (absent, gone) = (Some(State::Absent), Some("no such file"));
    let datasets = [("a", None), ("b", None), ("c", None), ("d", None), ("e", None)];
    let summaries = kept(vec![
        ("a", summary(absent, 4, gone)),
        ("b", summary(absent, 1, gone)),
        ("c", summary(absent, 2, gone)),
        ("d", summary(Some(State::Refused), 1, Some("no rows"))),
        ("e", summary(Some(State::Refused), 1, Some("no rows"))),
    ]);
    let all = said(&together(lines(&shown(&datasets), &summaries, now())));
    let expected = [
        "absent | - | 3 datasets, 7 days (a, b, c): no such file",
        "refused | d 2024-03-09 | no rows",
        "refused | e 2024-03-09 | no rows",
    ];
    assert_eq!(all, expected);
    // The same words of another kind, and other words of the same kind, are another line.
    let summaries = kept(vec![
        ("a", summary(absent, 1, gone)),
        ("b", summary(None, 1, gone)),
        ("c", summary(absent, 1, Some("404 Not Found"))),
    ]);
    assert_eq!(together(lines(&shown(&datasets), &summaries, now())).len(), 3);
}

#[test]
fn every_kind_of_trouble_of_datasets_has_an_address_of_its_own() {
    let slugs: BTreeSet<&str> = AttentionReason::of_datasets().filter_map(AttentionReason::slug).collect();
    assert_eq!(slugs.len(), AttentionReason::of_datasets().count());
    for why in [AttentionReason::Database, AttentionReason::Configuration, AttentionReason::BrokenDataset] {
        assert_eq!(why.slug(), None);
    }
}
