//! Who did what on the web pages, through the API and at a shell, as it is read.

use chrono::{DateTime, Utc};

use crate::day::Day;
use crate::db::activity_log::LogEntry;
use crate::json;

/// Something that somebody did.
#[derive(Debug, Clone, serde::Serialize, utoipa::ToSchema)]
pub struct ActivityEntry {
    /// Its number. Those of later entries are higher.
    pub id: i64,
    /// When.
    #[serde(serialize_with = "json::time")]
    #[schema(value_type = String, format = DateTime)]
    pub at: DateTime<Utc>,
    /// The user or token; `local` where nobody has to log in.
    pub who: String,
    /// What was done, in one word.
    pub action: String,
    /// On which dataset.
    pub dataset: Option<String>,
    /// From which day on.
    #[schema(value_type = Option<String>, format = Date)]
    pub from: Option<Day>,
    /// To which day, that one included.
    #[schema(value_type = Option<String>, format = Date)]
    pub to: Option<Day>,
    /// Why, where that was said.
    pub reason: Option<String>,
    /// `done`, with what there is to say, or why not; `begun` before that is known, and for good where the process died
    /// over it.
    pub outcome: String,
}

impl From<LogEntry> for ActivityEntry {
    fn from(entry: LogEntry) -> Self {
        Self {
            id: entry.id,
            at: entry.at.and_utc(),
            who: entry.who,
            action: entry.action,
            dataset: entry.dataset,
            from: entry.from_day.map(Day::new),
            to: entry.to_day.map(Day::new),
            reason: entry.reason,
            outcome: entry.outcome,
        }
    }
}
