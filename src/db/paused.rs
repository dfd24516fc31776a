//! The rows of `paused_datasets`: datasets of which the daemons begin no days by themselves.

use chrono::{DateTime, Utc};
use diesel::prelude::*;

use crate::dataset::DatasetName;
use crate::db::columns::Timestamp;
use crate::db::encoding::Texts;
use crate::db::error::{DbError, Doing};
use crate::db::pool::{Conn, on};
use crate::db::schema::paused_datasets;
use crate::json;

/// A pause: since when, by whom and why the daemons begin no days of a dataset by themselves.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, serde::Serialize, utoipa::ToSchema)]
#[diesel(table_name = paused_datasets)]
pub struct Pause {
    /// The dataset's name.
    #[serde(skip)]
    pub dataset: String,
    /// Since when.
    #[serde(serialize_with = "json::time")]
    #[schema(value_type = String, format = DateTime)]
    #[diesel(deserialize_as = Timestamp)]
    pub at: DateTime<Utc>,
    /// Who paused it.
    pub who: String,
    /// Why; null where that was not said.
    pub reason: Option<String>,
}

/// All paused datasets, by name.
///
/// # Errors
/// A [`DbError`] when the database does not answer.
pub fn list(conn: &mut Conn) -> Result<Vec<Pause>, DbError> {
    on!(conn, c => paused_datasets::table.order(paused_datasets::dataset).select(Pause::as_select()).load(c))
        .doing("reading which datasets are paused")
}

/// The pause of a dataset, where it is paused.
///
/// # Errors
/// A [`DbError`] when the database does not answer.
pub fn of(conn: &mut Conn, dataset: &DatasetName) -> Result<Option<Pause>, DbError> {
    let paused = paused_datasets::table.find(dataset.as_str());
    on!(conn, c => paused.select(Pause::as_select()).first(c).optional()).doing("reading whether the dataset is paused")
}

/// Pauses a dataset, for all daemons; false when it was paused before, which stays as it was.
///
/// # Errors
/// A [`DbError`]; it is not paused then.
pub fn pause(conn: &mut Conn, dataset: &DatasetName, who: &str, reason: Option<&str>) -> Result<bool, DbError> {
    let reason = reason.map(|reason| Texts::default().storable(conn, reason.to_owned())).transpose()?;
    let paused = (
        paused_datasets::dataset.eq(dataset.as_str()),
        paused_datasets::at.eq(conn.now()?),
        paused_datasets::who.eq(who),
        paused_datasets::reason.eq(reason),
    );
    conn.transaction(|conn| {
        let inserted = on!(conn, c => diesel::insert_into(paused_datasets::table)
            .values(paused)
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
