//! What a dataset's summary is made of: all its days, read without reading their rows.
//!
//! Nearly all days are loaded. The primary key's index has them, and a small one those that are not loaded; of the rows
//! themselves only the few that are asked for are read, since they lie far apart ([`days::known`](super::days::known)).

use diesel::prelude::*;

use crate::dataset::DatasetName;
use crate::day::Day;
use crate::db::columns::Timestamp;
use crate::db::error::{DbError, Doing};
use crate::db::pool::{Conn, on};
use crate::db::schema::processed_days;
use crate::state::State;

/// The days of a dataset that have a row.
#[derive(Debug, Clone, Default)]
pub struct RecordedDays {
    /// All of them, oldest first.
    pub all: Vec<Day>,
    /// Those that are not loaded, oldest first.
    pub not_loaded: Vec<NotLoaded>,
    /// Loaded ones of which rows were rejected, oldest first.
    pub with_rejects: Vec<Day>,
    /// Those of which the source has a newer file than the one that was loaded, oldest first.
    pub newer_files: Vec<Day>,
}

/// A day that has a row and is not loaded.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = processed_days)]
pub struct NotLoaded {
    /// The day.
    pub day: Day,
    /// Its state.
    pub state: State,
    /// Attempts begun in this series.
    pub attempts: i32,
    /// When the target last took its rows, where it holds any: it is being loaded again.
    pub loaded_at: Option<Timestamp>,
}

/// Reads the days of a dataset. A day that moves between the two reads shows as it was before or is after.
///
/// # Errors
/// A [`DbError`] when the database does not answer.
pub fn days(conn: &mut Conn, dataset: &DatasetName) -> Result<RecordedDays, DbError> {
    let of_dataset = || processed_days::table.filter(processed_days::dataset.eq(dataset.as_str()));
    // Written out as the index's condition is: SQLite uses a partial index for the very same words only.
    let is_not_loaded = diesel::dsl::sql::<diesel::sql_types::Bool>("state <> 'loaded'");
    let all: Vec<Day> = on!(conn, c => of_dataset().order(processed_days::day).select(processed_days::day).load(c))
        .doing("reading which days there are")?;
    let not_loaded = on!(conn, c => of_dataset()
        .filter(is_not_loaded)
        .order(processed_days::day)
        .select(NotLoaded::as_select())
        .load(c))
    .doing("reading which days are not loaded")?;
    let has_rejects = diesel::dsl::sql::<diesel::sql_types::Bool>("rows_rejected > 0");
    let with_rejects: Vec<Day> = on!(conn, c => of_dataset()
        .filter(has_rejects)
        .filter(processed_days::state.eq("loaded"))
        .order(processed_days::day)
        .select(processed_days::day)
        .load(c))
    .doing("reading which days have rejected rows")?;
    let newer_files: Vec<Day> = on!(conn, c => of_dataset()
        .filter(processed_days::newer_etag.is_not_null())
        .order(processed_days::day)
        .select(processed_days::day)
        .load(c))
    .doing("reading which days have newer files")?;
    let days = |days: Vec<Day>| days.into_iter().collect();
    let (with_rejects, newer_files) = (days(with_rejects), days(newer_files));
    Ok(RecordedDays { all: days(all), not_loaded, with_rejects, newer_files })
}

/// What is told of a day in short.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = processed_days)]
pub struct DayDigest {
    /// The day.
    pub day: Day,
    /// Its state.
    pub state: State,
    /// Rows that were loaded.
    pub rows_loaded: Option<i64>,
    /// Rows that could not be taken, each counted as the lines of the file that it spans.
    pub rows_rejected: Option<i64>,
    /// What went wrong.
    pub error: Option<String>,
}

/// What is told in short of these days of a dataset, oldest first.
///
/// # Errors
/// A [`DbError`] when the database does not answer.
pub fn details(conn: &mut Conn, dataset: &DatasetName, days: &[Day]) -> Result<Vec<DayDigest>, DbError> {
    on!(conn, c => processed_days::table
        .filter(processed_days::dataset.eq(dataset.as_str()))
        .filter(processed_days::day.eq_any(days))
        .order(processed_days::day)
        .select(DayDigest::as_select())
        .load(c))
    .doing("reading days in short")
}
