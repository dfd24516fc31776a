//! Events: the same by commands and by the daemon, each published after the commit that made it true.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use dayfill::config::{self, Environment};
use dayfill::daemon::DaemonCommand;
use dayfill::day::Day;
use dayfill::db::days;
use dayfill::db::pool::Database as Pool;
use dayfill::events::{DayEvent, PublishedEvent, Subscriber, Subscribers};
use dayfill::plan::LoadMode;
use dayfill::state::State;

use crate::metrics::load_days;
use crate::support::Database as _;
use crate::support::api::Api;
use crate::support::project::{Orders, Project};
use crate::support::sqlite::SqliteDatabase;

/// Passes the events of days on.
struct Recorder(Sender<DayEvent>);

impl Subscriber for Recorder {
    fn receive(&self, event: &PublishedEvent) {
        if let PublishedEvent::Day(event) = event {
            drop(self.0.send(event.clone()));
        }
    }
}

fn recorder() -> (Subscribers, Receiver<DayEvent>) {
    let (send, events) = channel();
    (Subscribers::default().with(Arc::new(Recorder(send))), events)
}

const DAYS: [&str; 4] = ["2024-03-01", "2024-03-02", "2024-03-03", "2024-03-04"];

/// A day that loads, one that is refused, one without a file and one that fails.
fn project_of(database: &SqliteDatabase) -> Project {
    let project = Project::new(database, &Orders::default());
    project.write("days/2024-03-01.csv", "id,amount,note\na,1,\n");
    project.write("days/2024-03-02.csv", "id,amount,note\na,nonsense,\n");
    std::fs::create_dir(project.path("days/2024-03-04.csv")).unwrap();
    project
}

/// What an event says, but for how the day was asked for, the times and the project's folder.
fn said(event: &DayEvent, project: &Project) -> String {
    let DayEvent { dataset, day, attempt, change, outcome, measured, .. } = event;
    let change = change.map(|change| [change.from, change.to].map(State::name_or_missing));
    let rows = (measured.rows_read, event.rows_loaded(), event.rows_rejected());
    let text = format!("{dataset} {day} {attempt:?} {change:?} {} {:?} {rows:?}", outcome.name(), outcome.error());
    text.replace(project.path("").to_str().unwrap(), "")
}

#[test]
fn a_command_and_the_daemon_publish_the_same_events() {
    let database = SqliteDatabase::new();
    let project = project_of(&database);
    let (subscribers, events) = recorder();
    load_days(database.url(), &project, &DAYS, subscribers);
    let by_command: Vec<String> = events.iter().map(|event| said(&event, &project)).collect();
    assert!(by_command[0].contains("[\"missing\", \"loaded\"]"), "{by_command:?}");

    let database = SqliteDatabase::new();
    let project = project_of(&database);
    let (subscribers, events) = recorder();
    let api = Api::start_with(&project, &database, subscribers);
    let days: Vec<Day> = DAYS.iter().map(|day| day.parse().unwrap()).collect();
    let (dataset, ask) = ("orders".parse().unwrap(), LoadMode::Named);
    assert!(api.daemon().send(DaemonCommand::Load { dataset, days, ask }));
    let next = || events.recv_timeout(Duration::from_mins(1)).expect("an event of each day");
    let by_daemon: Vec<String> = DAYS.iter().map(|_| said(&next(), &project)).collect();
    assert_eq!(by_command, by_daemon);
}

/// Reads the day's state, on a connection of its own, when it hears of it.
struct Reader {
    database: Pool,
    seen: Sender<(Day, Option<State>, Option<State>)>,
}

impl Subscriber for Reader {
    fn receive(&self, event: &PublishedEvent) {
        let PublishedEvent::Day(event) = event else { return };
        let rows = days::list_of(&mut self.database.conn().unwrap(), "orders", &[event.day]).unwrap();
        let stored = rows.first().map(|row| row.state);
        self.seen.send((event.day, event.state(), stored)).unwrap();
    }
}

#[test]
fn a_subscriber_that_reads_the_state_table_finds_what_the_event_says() {
    let database = SqliteDatabase::new();
    let project = project_of(&database);
    let environment = Environment::from_pairs([("DAYFILL__DATABASE__URL", database.url())]);
    let config = config::load(Some(&project.path("dayfill.toml")), &environment);
    let settings = config.unwrap_or_else(|problems| panic!("{problems}")).settings;
    let (seen, events) = channel();
    let reader = Reader { database: Pool::new(settings.database.url, settings.claim.lease, 1), seen };
    load_days(database.url(), &project, &DAYS, Subscribers::default().with(Arc::new(reader)));
    let states: Vec<_> = events.iter().collect();
    let expected = [State::Loaded, State::Refused, State::Waiting, State::Failed];
    let expected: Vec<_> =
        DAYS.iter().zip(expected).map(|(day, state)| (day.parse().unwrap(), Some(state), Some(state))).collect();
    assert_eq!(states, expected);
}

/// The names that a pattern of indentation and ending finds in an item of `src/events.rs`.
fn names(item: &str, is_name: impl Fn(&str) -> Option<&str>) -> Vec<String> {
    let code = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/src/events.rs")).unwrap();
    let (_, body) = code.split_once(&format!("pub {item} {{\n")).unwrap();
    let (body, _) = body.split_once("\n}\n").unwrap();
    body.lines().filter(|line| !line.trim_start().starts_with("//")).filter_map(is_name).map(str::to_owned).collect()
}

/// The first cells of a table, without their backticks, and the last ones.
fn cells(table: &str) -> (Vec<String>, Vec<String>) {
    let rows = table.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        (cells[0].trim_matches('`').to_owned(), cells.last().unwrap().replace('`', ""))
    })
    .unzip()
}

#[test]
fn the_documentation_lists_all_events_with_their_fields() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/architecture-events.md");
    let page = std::fs::read_to_string(page).unwrap();
    let (events, of_day) = page.split_once("## The fields of `Day`").unwrap();
    let documented = cells(events);
    let variants = names("enum PublishedEvent", |line| {
        let name = line.trim().split(['(', ' ', ',']).next()?;
        (!line.starts_with("     ") && name.starts_with(char::is_uppercase)).then_some(name)
    });
    assert_eq!(documented.0, variants);
    let fields =
        names("enum PublishedEvent", |line| line.strip_prefix("        ")?.split_once(':').map(|(name, _)| name));
    let told: Vec<&str> = documented.1.iter().flat_map(|cell| cell.split(", ")).collect();
    let told: Vec<&str> = told.into_iter().filter(|cell| !cell.is_empty() && *cell != "see below").collect();
    assert_eq!(told, fields);
    let fields =
        names("struct DayEvent", |line| line.trim().strip_prefix("pub ")?.split_once(':').map(|(name, _)| name));
    assert_eq!(cells(of_day).0, fields);
}
