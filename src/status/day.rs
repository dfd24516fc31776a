//! What is known of a day.

use chrono::{DateTime, Utc};

use super::wanted::WantedDays;
use crate::day::Day;
use crate::db::days::ProcessedDay;
use crate::definition;
use crate::json;
use crate::state::State;

/// What is known of a day.
#[derive(Debug, Clone, serde::Serialize, utoipa::ToSchema)]
#[schema(as = Day)]
#[expect(clippy::struct_excessive_bools, reason = "the fields of a documented contract")]
pub struct DayStatus {
    /// The day.
    #[schema(value_type = String, format = Date)]
    pub day: Day,
    /// `missing`, `running`, `loaded`, `waiting`, `failed`, `refused`, `absent` or `skipped`.
    #[serde(serialize_with = "json::state")]
    #[schema(value_type = String)]
    pub state: Option<State>,
    /// The schedule wants it now.
    pub wanted: bool,
    /// Attempts begun in the present series.
    pub attempts: i32,
    /// Rows in the file.
    pub rows_read: Option<i64>,
    /// Rows that `where` left out.
    pub rows_filtered: Option<i64>,
    /// Rows that could not be taken, each counted as the lines of the file that it spans.
    pub rows_rejected: Option<i64>,
    /// Rows that passed and, with `replace_day`, that the target took.
    pub rows_loaded: Option<i64>,
    /// The file that was loaded or last looked for.
    pub source_url: Option<String>,
    /// The loaded file's version in its source's words.
    pub source_etag: Option<String>,
    /// The loaded file's size as stored.
    pub source_bytes: Option<i64>,
    /// When the loaded file was last changed.
    #[serde(serialize_with = "json::time_or_null")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub source_modified: Option<DateTime<Utc>>,
    /// SHA-256 of the loaded file as stored.
    pub source_hash: Option<String>,
    /// When the last attempt began.
    #[serde(serialize_with = "json::time_or_null")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended; null while it runs.
    #[serde(serialize_with = "json::time_or_null")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub finished_at: Option<DateTime<Utc>>,
    /// When the target last took the day's rows.
    #[serde(serialize_with = "json::time_or_null")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub loaded_at: Option<DateTime<Utc>>,
    /// Waiting and failed days: when the next look is due.
    #[serde(serialize_with = "json::time_or_null")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub next_attempt_at: Option<DateTime<Utc>>,
    /// From `started_at` to `finished_at`.
    pub duration_ms: Option<i64>,
    /// Loaded by another definition of the dataset than the one in force.
    pub older_definition: bool,
    /// Its source has a newer file than the one that was loaded.
    pub newer_file: bool,
    /// Wanted, past its deadline, and neither in the target nor skipped.
    pub late: bool,
    /// The older day that failed or was refused and holds this one back.
    #[schema(value_type = Option<String>, format = Date)]
    pub held_back_by: Option<Day>,
    /// What went wrong, or what was found in place of the file.
    pub error: Option<String>,
    /// Loaded days: why the newest try to load it again left the rows as they were.
    pub reload_error: Option<String>,
    /// What a person said when skipping it.
    pub note: Option<String>,
}

impl DayStatus {
    /// A wanted day of which nothing is known yet.
    #[must_use]
    pub fn missing(day: Day) -> Self {
        Self {
            day,
            state: None,
            wanted: true,
            attempts: 0,
            rows_read: None,
            rows_filtered: None,
            rows_rejected: None,
            rows_loaded: None,
            source_url: None,
            source_etag: None,
            source_bytes: None,
            source_modified: None,
            source_hash: None,
            started_at: None,
            finished_at: None,
            loaded_at: None,
            next_attempt_at: None,
            duration_ms: None,
            older_definition: false,
            newer_file: false,
            late: false,
            held_back_by: None,
            error: None,
            reload_error: None,
            note: None,
        }
    }

    /// Of a row, but for what hangs on other days or on the clock.
    pub(super) fn of_row(row: ProcessedDay, wanted: &WantedDays, hash: &str) -> Self {
        let day = row.day;
        let spent = row.started_at.zip(row.finished_at).map(|(from, to)| (to - from).num_milliseconds());
        Self {
            day,
            state: Some(row.state),
            wanted: wanted.contains(day),
            attempts: row.attempts,
            rows_read: row.rows_read,
            rows_filtered: row.rows_filtered,
            rows_rejected: row.rows_rejected,
            rows_loaded: row.rows_loaded,
            older_definition: row.in_target() && !definition::may_be(row.definition_hash.as_deref(), hash),
            newer_file: row.newer_etag.is_some(),
            late: false,
            held_back_by: None,
            source_url: row.source_url,
            source_etag: row.source_etag,
            source_bytes: row.source_bytes,
            source_modified: row.source_modified.map(Into::into),
            source_hash: row.source_hash,
            started_at: row.started_at.map(Into::into),
            finished_at: row.finished_at.map(Into::into),
            loaded_at: row.loaded_at.map(Into::into),
            next_attempt_at: row.next_attempt_at.map(Into::into),
            duration_ms: spent,
            error: row.error,
            reload_error: None,
            note: row.note,
        }
    }
}
