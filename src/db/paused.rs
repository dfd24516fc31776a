//! The rows of `paused_datasets`: datasets of which the daemons begin no days by themselves.

use chrono::NaiveDateTime;
use diesel::prelude::*;

use crate::dataset::DatasetName;
use crate::db::encoding::Texts;
use crate::db::error::{DbError, Doing};
use crate::db::pool::{Conn, on};
use crate::db::schema::paused_datasets;

/// A dataset that a person paused.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = paused_datasets)]
pub struct Paused {
    /// Its name.
    pub dataset: String,
    /// Since when, UTC by the database's clock.
    pub at: NaiveDateTime,
    /// Who paused it.
    pub who: String,
    /// Why, where that was said.
    pub reason: Option<String>,
}

/// All paused datasets, by name.
///
/// # Errors
/// A [`DbError`] when the database does not answer.
pub fn list(conn: &mut Conn) -> Result<Vec<Paused>, DbError> {
    on!(conn, c => paused_datasets::table.order(paused_datasets::dataset).select(Paused::as_select()).load(c))
        .doing("reading which datasets are paused")
}

/// The pause of a dataset, where it is paused.
///
/// # Errors
/// A [`DbError`] when the database does not answer.
pub fn of(conn: &mut Conn, dataset: &DatasetName) -> Result<Option<Paused>, DbError> {
    let paused = paused_datasets::table.find(dataset.as_str());
    on!(conn, c => paused.select(Paused::as_select()).first(c).optional())
        .doing("reading whether the dataset is paused")
}

/// Pauses a dataset, for all daemons; false when it was paused before, which stays as it was.
///
/// # Errors
/// A [`DbError`]; it is not paused then.
pub fn pause(conn: &mut Conn, dataset: &DatasetName, who: &str, reason: Option<&str>) -> Result<bool, DbError> {
    let reason = reason.map(|reason| Texts::default().storable(conn, reason.to_owned())).transpose()?;
    let dataset = dataset.to_string();
    let paused = Paused { dataset, at: conn.now()?, who: who.to_owned(), reason };
    conn.transaction(|conn| {
        let inserted = on!(conn, c => diesel::insert_into(paused_datasets::table)
            .values(&paused)
            .on_conflict_do_nothing()
            .execute(c));
        Ok(inserted.doing("pausing the dataset")? == 1)
    })
}

/// Ends a dataset's pause; false when it was not paused.
///
/// # Errors
/// A [`DbError`]; it is still paused then.
pub fn resume(conn: &mut Conn, dataset: &DatasetName) -> Result<bool, DbError> {
    let paused = paused_datasets::table.find(dataset.as_str());
    conn.transaction(|conn| Ok(on!(conn, c => diesel::delete(paused).execute(c)).doing("resuming the dataset")? == 1))
}
