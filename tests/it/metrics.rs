//! The metrics: their text, what a load adds to them, and in `deployed` what is made of them.
//!
//! `DAYFILL_TEST_BLESS=1` writes the golden texts anew.

pub(crate) mod deployed;

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use dayfill::config::{self, Environment};
use dayfill::dataset::DatasetName;
use dayfill::day::Day;
use dayfill::db::attempts::{Measured, Trigger};
use dayfill::db::pool::Database as Pool;
use dayfill::db::worker::Worker;
use dayfill::events::{DayEvent, PublishedEvent, Subscriber, Subscribers};
use dayfill::load_day::{Context, Job, Stop};
use dayfill::load_outcome::{FailureScope, LoadError, LoadOutcome};
use dayfill::metrics::{Days, Metrics, Process, Seen, Standing};
use dayfill::plan::LoadMode;
use dayfill::ready;
use dayfill::reconcile::{StartedDays, Task, reconcile};
use dayfill::source::Source;
use dayfill::state::State;

use crate::support::Database as _;
use crate::support::project::{Orders, Project};
use crate::support::sqlite::SqliteDatabase;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn name(name: &str) -> DatasetName {
    name.parse().unwrap()
}

fn now() -> DateTime<Utc> {
    "2019-04-02T01:00:00Z".parse().unwrap()
}

/// An event of an attempt that measured nothing.
fn event(outcome: LoadOutcome) -> DayEvent {
    DayEvent {
        dataset: name("orders"),
        day: "2019-04-01".parse().unwrap(),
        mode: LoadMode::Tick,
        trigger: Trigger::Tick,
        attempt: Some(1),
        taken_over: false,
        is_reload: false,
        change: None,
        outcome,
        source_failed: false,
        bytes: 0,
        measured: Measured::default(),
        elapsed: Duration::ZERO,
        is_summarized: false,
    }
}

/// An event of an attempt that came to its end, one way or the other.
fn whole(outcome: LoadOutcome) -> DayEvent {
    let measured = Measured {
        source_ms: Some(7),
        stage_ms: Some(1250),
        audit_ms: Some(0),
        publish_ms: Some(4000),
        rows_read: Some(1000),
        rows_filtered: Some(90),
        rows_rejected: Some(10),
        rows_loaded: Some(900),
    };
    DayEvent { bytes: 65_536, measured, ..event(outcome) }
}

/// Metrics that counted one of everything: `orders` has come to something, `visits` has not.
fn counted() -> Metrics {
    let (orders, visits) = (name("orders"), name("visits"));
    let metrics = Metrics::default();
    metrics.turned(now() - TimeDelta::milliseconds(2500), true, [&orders, &visits].into_iter());
    let error = || LoadError::new("no");
    let failed = |attempts_left| LoadOutcome::Failed { error: error(), attempts_left, retry_in: None };
    let database_failed = |scope| LoadOutcome::DatabaseFailed { error: error(), scope };
    let (url, why) = (String::new, || "no".to_owned());
    let waiting = |again| LoadOutcome::Waiting { url: url(), why: why(), again, retry_in: Duration::ZERO };
    for event in [
        whole(LoadOutcome::Loaded),
        DayEvent { taken_over: true, ..whole(LoadOutcome::Loaded) },
        // Published, and rolled back.
        whole(database_failed(FailureScope::Passing)),
        DayEvent { source_failed: true, bytes: 10, ..event(failed(1)) },
        event(failed(0)),
        event(LoadOutcome::Refused { error: error(), file: None }),
        event(waiting(false)),
        event(LoadOutcome::Unchanged { tag: None }),
        event(LoadOutcome::Interrupted),
        event(LoadOutcome::Lost),
        // No attempts: the day was looked at and no more.
        DayEvent { attempt: None, ..event(waiting(true)) },
        DayEvent { attempt: None, ..event(LoadOutcome::Absent { why: why(), again: true }) },
        DayEvent { attempt: None, ..event(LoadOutcome::Settled(State::Failed)) },
        // The loop counts it, once for all days that find it gone.
        DayEvent { attempt: None, ..event(database_failed(FailureScope::Unreachable)) },
    ] {
        metrics.receive(&PublishedEvent::Day(event));
    }
    metrics.receive(&PublishedEvent::DatabaseLost { error: why(), again: false });
    metrics.receive(&PublishedEvent::DatasetBlocked { dataset: orders, error: why(), again: false });
    metrics
}

fn standing(dataset: &str) -> Standing {
    Standing { dataset: name(dataset), days: None, next_tick: None, last_tick: None, paused: false, troubled: false }
}

/// What is seen of the two datasets: all there is to see of `orders`, and of `visits` what there always is.
fn exposed(metrics: &Metrics) -> String {
    let days = Days {
        states: HashMap::from([(State::Loaded, 90), (State::Failed, 3), (State::Refused, 1)]),
        missing: 4,
        failed_for_good: 2,
        late: 1,
        newer_files: 1,
        lag: Some(1),
    };
    let orders = Standing {
        days: Some(days),
        next_tick: Some(now() + TimeDelta::minutes(90)),
        last_tick: Some(now() - TimeDelta::minutes(30)),
        paused: true,
        troubled: true,
        ..standing("orders")
    };
    let visits = Standing {
        days: Some(Days::default()),
        next_tick: Some(now() - TimeDelta::milliseconds(1500)),
        ..standing("visits")
    };
    let process = Process {
        cpu_ms: Some(1680),
        resident_bytes: Some(20_000_000),
        open_fds: Some(17),
        threads: Some(9),
        started: Some(now() - TimeDelta::hours(1)),
    };
    let ages = [Duration::from_millis(300), Duration::from_secs(19)];
    let seen = Seen {
        datasets: &[orders, visits],
        workers: Some(&ages),
        database_silent: false,
        configuration_refused: false,
        broken_datasets: 0,
        process,
        now: now(),
    };
    let version = format!("version=\"{}\"", env!("CARGO_PKG_VERSION"));
    metrics.expose(&seen).replace(&version, "version=\"VERSION\"")
}

fn is_golden(name: &str, text: &str) {
    let path = root().join("tests/golden").join(name);
    if std::env::var_os("DAYFILL_TEST_BLESS").is_some() {
        fs::write(&path, text).unwrap();
    }
    let golden = fs::read_to_string(&path).unwrap_or_default();
    let differs = golden.lines().zip(text.lines()).find(|(golden, now)| golden != now);
    assert!(golden == text, "not what {} holds; the first difference: {differs:#?}\n\n{text}", path.display());
}

#[test]
fn the_text_is_as_it_was() {
    let metrics = counted();
    is_golden("metrics.txt", &exposed(&metrics));
}

/// The samples of a text, by name and labels.
fn samples(text: &str) -> BTreeMap<&str, &str> {
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    samples.map(|line| line.rsplit_once(' ').unwrap()).collect()
}

#[test]
fn what_is_not_known_is_not_said() {
    let metrics = Metrics::default();
    let orders = name("orders");
    metrics.turned(now(), false, [&orders].into_iter());
    let seen = Seen {
        datasets: &[standing("orders")],
        workers: None,
        database_silent: false,
        configuration_refused: false,
        broken_datasets: 0,
        process: Process::default(),
        now: now(),
    };
    let text = metrics.expose(&seen);
    let said = samples(&text);
    for absent in ["dayfill_day_", "dayfill_workers", "process_"] {
        assert!(!said.keys().any(|name| name.starts_with(absent)), "{absent}: {text}");
    }
    // What is counted is there before it happens, or its first time would not be seen as an increase.
    assert_eq!(said.get("dayfill_attempts_total{dataset=\"orders\",outcome=\"failed\"}"), Some(&"0"), "{text}");
    assert_eq!(said.get("dayfill_database_up"), Some(&"0"), "{text}");
}

#[test]
fn a_dataset_that_is_gone_is_forgotten_and_the_others_go_on() {
    let metrics = counted();
    let orders = name("orders");
    metrics.receive(&PublishedEvent::Day(DayEvent { dataset: name("visits"), ..whole(LoadOutcome::Loaded) }));
    metrics.turned(now(), true, [&orders].into_iter());
    let seen = Seen {
        datasets: &[],
        workers: None,
        database_silent: false,
        configuration_refused: false,
        broken_datasets: 0,
        process: Process::default(),
        now: now(),
    };
    let text = metrics.expose(&seen);
    assert!(!text.contains("visits"), "{text}");
    assert!(text.contains("dayfill_rows_loaded_total{dataset=\"orders\"} 1800\n"), "{text}");
}

/// Loads days of a dataset, and gives the metrics of it.
fn load(url: &str, project: &Project, days: &[&str]) -> Arc<Metrics> {
    let metrics = Arc::new(Metrics::default());
    load_days(url, project, days, Subscribers::default().with(metrics.clone()));
    metrics
}

/// Loads days of a dataset as `catch-up` does; the subscribers hear of it.
pub(crate) fn load_days(url: &str, project: &Project, days: &[&str], subscribers: Subscribers) {
    let environment = Environment::from_pairs([("DAYFILL__DATABASE__URL", url)]);
    let config =
        config::load(Some(&project.path("dayfill.toml")), &environment).map_err(|problems| problems.to_string());
    let config = config.unwrap();
    let dataset = config.datasets[0].clone();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let settings = &config.settings;
    let database = Arc::new(Pool::new(settings.database.url.clone(), settings.claim.lease, 2));
    let mut conn = ready::connect(&database).unwrap();
    assert_eq!(ready::target(&mut conn, &dataset).unwrap(), None);
    let worker = Worker::start(&database, conn).unwrap();
    let context = Context::new(database, worker, runtime.handle().clone(), Stop::default(), 1);
    let context = context.with_subscribers(subscribers);
    let source = Source::new(&dataset.source, &environment.pairs()).unwrap();
    let job = Job::new(dataset, source);
    let task = Task {
        days: days.iter().map(|day| day.parse::<Day>().unwrap()).collect(),
        ask: LoadMode::NotDone,
        trigger: Trigger::CatchUp,
        concurrency: 1,
        backlog: None,
        until: Stop::default(),
        started: StartedDays::default(),
    };
    assert_eq!(reconcile(&context, &job, &task, &Subscribers::default()).unwrap(), []);
}

#[test]
fn loads_are_counted() {
    let database = SqliteDatabase::new();
    let project = Project::new(&database, &Orders { max_rejected: "40%", ..Orders::default() });
    let good = "id,amount,note\na,1,\nb,nonsense,\nc,-1,\nd,2,x\n";
    project.write("days/2024-03-01.csv", good);
    project.write("days/2024-03-02.csv", "id,amount,note\na,nonsense,\n");
    // No file for the 3rd; and what has the name of the 4th cannot be read.
    fs::create_dir(project.path("days/2024-03-04.csv")).unwrap();
    let metrics = load(database.url(), &project, &["2024-03-01", "2024-03-02", "2024-03-03", "2024-03-04"]);
    let seen = Seen {
        datasets: &[],
        workers: None,
        database_silent: false,
        configuration_refused: false,
        broken_datasets: 0,
        process: Process::default(),
        now: now(),
    };
    let text = metrics.expose(&seen);
    let said = samples(&text);
    let bytes = (good.len() + "id,amount,note\na,nonsense,\n".len()).to_string();
    for (sample, value) in [
        ("dayfill_attempts_total{dataset=\"orders\",outcome=\"loaded\"}", "1"),
        ("dayfill_attempts_total{dataset=\"orders\",outcome=\"refused\"}", "1"),
        ("dayfill_attempts_total{dataset=\"orders\",outcome=\"waiting\"}", "1"),
        ("dayfill_attempts_total{dataset=\"orders\",outcome=\"failed\"}", "1"),
        ("dayfill_source_errors_total{dataset=\"orders\"}", "1"),
        ("dayfill_rows_read_total{dataset=\"orders\"}", "5"),
        ("dayfill_rows_rejected_total{dataset=\"orders\"}", "2"),
        ("dayfill_rows_filtered_total{dataset=\"orders\"}", "1"),
        ("dayfill_rows_loaded_total{dataset=\"orders\"}", "2"),
        ("dayfill_source_read_bytes_total{dataset=\"orders\"}", bytes.as_str()),
        ("dayfill_step_duration_seconds_count{dataset=\"orders\",step=\"source\"}", "4"),
        ("dayfill_step_duration_seconds_count{dataset=\"orders\",step=\"stage\"}", "2"),
        ("dayfill_step_duration_seconds_count{dataset=\"orders\",step=\"publish\"}", "1"),
    ] {
        assert_eq!(said.get(sample), Some(&value), "{sample}\n{text}");
    }
}

#[test]
fn a_day_taken_over_is_counted() {
    let database = SqliteDatabase::new();
    let project = Project::new(&database, &Orders::default());
    project.day("2024-03-01", "a,1,\n");
    let day = ["2024-03-01"];
    let taken_over = |metrics: &Metrics| {
        let seen = Seen {
            datasets: &[],
            workers: None,
            database_silent: false,
            configuration_refused: false,
            broken_datasets: 0,
            process: Process::default(),
            now: now(),
        };
        let text = metrics.expose(&seen);
        samples(&text).get("dayfill_takeovers_total{dataset=\"orders\"}").map(|count| (*count).to_owned())
    };
    assert_eq!(taken_over(&load(database.url(), &project, &day)).as_deref(), Some("0"));
    // As a process left it that died at the first attempt.
    database.execute(
        "update processed_days set state = 'running', claim = 'token', worker = 'gone', loaded_at = null,
         lease_until = '2024-03-02 00:00:00', finished_at = null",
    );
    assert_eq!(taken_over(&load(database.url(), &project, &day)).as_deref(), Some("1"));
}
