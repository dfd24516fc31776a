//! What is told to those who listen, kind by kind. The names of the fields are a documented contract (docs/api.md).

use std::collections::BTreeMap;

use axum::response::sse::Event;
use serde::Serialize;

use crate::day::Day;
use crate::state::State;
use crate::web::escape;

/// Told first of all, and to each who comes back: what was told before may have been missed.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct HelloEvent {
    /// The version that answers.
    pub version: &'static str,
    /// A number that grows with everything that is told, whether anybody listens or not: where it is the one of an
    /// earlier greeting, nothing was missed. That of a daemon that started later is higher.
    pub told: u64,
}

/// A day is in another state.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = DayEvent)]
pub struct DayMessage<'a> {
    /// The dataset.
    pub dataset: &'a str,
    /// The day.
    #[schema(value_type = String, format = Date)]
    pub day: Day,
    /// Its state by now.
    pub state: &'static str,
    /// The rows that were loaded.
    pub rows_loaded: Option<i64>,
    /// The rows of its file that could not be taken, where it was loaded.
    pub rows_rejected: Option<i64>,
    /// What went wrong.
    pub error: Option<&'a str>,
}

impl<'a> DayMessage<'a> {
    /// One that says the state alone.
    pub(super) fn of_state(dataset: &'a str, day: Day, state: State) -> Self {
        Self { dataset, day, state: state.name(), rows_loaded: None, rows_rejected: None, error: None }
    }
}

/// How far a load is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct ProgressEvent {
    /// The dataset.
    pub dataset: String,
    /// The day.
    #[schema(value_type = String, format = Date)]
    pub day: Day,
    /// `source`, `stage`, `audit` or `publish`.
    pub step: &'static str,
    /// Rows read so far.
    pub rows: u64,
    /// Bytes read so far, as stored.
    pub bytes: u64,
    /// The file's size as stored; 0 before it is open.
    pub bytes_total: u64,
    /// What it has waited for in the database for more than ten seconds, and who is in the way.
    pub waiting_for: Option<String>,
}

/// A dataset is another in short.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct DatasetEvent<'a> {
    /// The dataset.
    pub dataset: &'a str,
    /// How many days are in each state.
    #[schema(value_type = BTreeMap<String, u64>)]
    pub counts: &'a BTreeMap<&'static str, u64>,
    /// When its schedule ticks next.
    #[schema(format = DateTime)]
    pub next_tick: Option<String>,
    /// It is paused.
    pub paused: bool,
    /// How many wanted days are past their deadline and not done.
    pub late: u64,
}

/// The database or the configuration is another, came or went, or something was missed: look at everything anew.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct DaemonEvent {}

/// An event of that kind. Its data is JSON on one line.
pub(super) fn event(kind: &str, data: &impl Serialize) -> Event {
    // These are plain values under plain names, which JSON has no trouble with.
    Event::default().event(kind).data(escape::json(serde_json::to_string(data).unwrap_or_default()))
}
