//! The files that days were loaded from or refused for, and what was seen of them since.

use diesel::prelude::*;

use crate::dataset::DatasetName;
use crate::day::{Day, DayRange};
use crate::db::columns::Timestamp;
use crate::db::days::lock;
use crate::db::error::{DbError, Doing};
use crate::db::pool::{Conn, on};
use crate::db::schema::processed_days;
use crate::state::State;

/// The file a day was loaded from or refused for, as far as it tells whether the source's file is still that one.
#[derive(Debug, Queryable, Selectable)]
#[diesel(table_name = processed_days)]
pub struct KnownFile {
    /// The day.
    pub day: Day,
    /// The file's `ETag`.
    pub source_etag: Option<String>,
    /// Its size, bytes as stored.
    pub source_bytes: Option<i64>,
    /// When it was last changed.
    pub source_modified: Option<Timestamp>,
    /// SHA-256 of its stored bytes.
    pub source_hash: Option<String>,
    /// The `ETag` of a newer one that was seen and is not loaded.
    pub newer_etag: Option<String>,
}

/// The files of a dataset's loaded, or refused, days within a range, oldest first.
///
/// # Errors
/// A [`DbError`] when the database does not answer.
pub fn known_files(
    conn: &mut Conn,
    dataset: &DatasetName,
    state: State,
    DayRange { from, to }: DayRange,
) -> Result<Vec<KnownFile>, DbError> {
    on!(conn, c => processed_days::table
        .filter(processed_days::dataset.eq(dataset.as_str()))
        .filter(processed_days::day.between(from, to))
        .filter(processed_days::state.eq(state))
        .order(processed_days::day)
        .select(KnownFile::as_select())
        .load(c))
    .doing("reading the files of the newest days")
}

/// What a look at the file of a loaded day found.
#[derive(Debug, Clone, Copy)]
pub enum FileVersion<'a> {
    /// The file that was loaded, under this tag by now.
    Same(&'a str),
    /// Another file, with this tag, which is not loaded.
    Newer(&'a str),
}

/// Notes what a look at the file of a loaded day found; nothing when the day is not loaded from that file any more.
///
/// # Errors
/// A [`DbError`] when the database does not answer.
pub fn note_seen(
    conn: &mut Conn,
    dataset: &DatasetName,
    file: &KnownFile,
    seen: FileVersion<'_>,
) -> Result<(), DbError> {
    use processed_days as pd;
    conn.transaction(|conn| {
        let Some(row) = lock(conn, dataset.as_str(), file.day, true)? else { return Ok(()) };
        if row.state != State::Loaded || row.source_hash != file.source_hash {
            return Ok(());
        }
        let (etag, newer) = match seen {
            FileVersion::Same(etag) => (Some(etag.to_owned()), None),
            FileVersion::Newer(etag) => (row.source_etag, Some(etag.to_owned())),
        };
        let noted = (pd::source_etag.eq(etag), pd::newer_etag.eq(newer));
        let same = pd::table.find((dataset.as_str(), file.day));
        on!(conn, c => diesel::update(same).set(noted).execute(c)).doing("noting what the source has").map(drop)
    })
}
