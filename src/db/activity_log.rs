//! The rows of `activity_log`: what persons and programs did on the page or through its API.
//!
//! An entry is written before anything is done, and says how that ended afterwards: nothing is done of which there is
//! no entry, and an entry that never got its end tells of a process that died over it.

use chrono::{DateTime, Utc};
use diesel::prelude::*;

use crate::dataset::DatasetName;
use crate::day::{Day, DayRange};
use crate::db::columns::Timestamp;
use crate::db::encoding::Texts;
use crate::db::error::{DbError, Doing};
use crate::db::pool::{Conn, on};
use crate::db::schema::activity_log;
use crate::json;

/// What an entry says until what it tells of has ended.
pub const BEGUN: &str = "begun";

/// Something that somebody is about to do.
#[derive(Debug, Clone, Copy)]
pub struct Deed<'a> {
    /// The user or token.
    pub who: &'a str,
    /// What, in one word.
    pub action: &'a str,
    /// On which dataset.
    pub dataset: Option<&'a DatasetName>,
    /// On which days.
    pub days: Option<DayRange>,
    /// Why, where that was said.
    pub reason: Option<&'a str>,
}

/// Something that somebody did.
#[derive(Debug, Clone, Queryable, Selectable, serde::Serialize, utoipa::ToSchema)]
#[diesel(table_name = activity_log)]
pub struct ActivityEntry {
    /// Its number. Those of later entries are higher.
    pub id: i64,
    /// When.
    #[serde(serialize_with = "json::time")]
    #[schema(value_type = String, format = DateTime)]
    #[diesel(deserialize_as = Timestamp)]
    pub at: DateTime<Utc>,
    /// The user or token; `local` where nobody has to log in.
    pub who: String,
    /// What was done, in one word.
    pub action: String,
    /// On which dataset.
    pub dataset: Option<String>,
    /// From which day on.
    #[schema(value_type = Option<String>, format = Date)]
    #[diesel(column_name = from_day)]
    pub from: Option<Day>,
    /// To which day, that one included.
    #[schema(value_type = Option<String>, format = Date)]
    #[diesel(column_name = to_day)]
    pub to: Option<Day>,
    /// Why, where that was said.
    pub reason: Option<String>,
    /// `done`, with what there is to say, or why not; `begun` before that is known, and for good where the process died
    /// over it.
    pub outcome: String,
}

#[derive(Insertable)]
#[diesel(table_name = activity_log)]
struct NewActivity<'a> {
    at: Timestamp,
    who: &'a str,
    action: &'a str,
    dataset: Option<&'a str>,
    from_day: Option<Day>,
    to_day: Option<Day>,
    reason: Option<&'a str>,
    outcome: &'a str,
}

/// Writes down what is about to be done; the entry's number.
///
/// # Errors
/// A [`DbError`]; it must not be done then.
pub fn begin(conn: &mut Conn, deed: Deed<'_>) -> Result<i64, DbError> {
    conn.transaction(|conn| insert(conn, deed))
}

/// The same, in a transaction that is open.
pub(super) fn insert(conn: &mut Conn, deed: Deed<'_>) -> Result<i64, DbError> {
    let Deed { who, action, dataset, days, reason } = deed;
    let reason = reason.map(|reason| Texts::default().storable(conn, reason.to_owned())).transpose()?;
    let entry = NewActivity {
        at: conn.now()?,
        who,
        action,
        dataset: dataset.map(DatasetName::as_str),
        from_day: days.map(|days| days.from),
        to_day: days.map(|days| days.to),
        reason: reason.as_deref(),
        outcome: BEGUN,
    };
    on!(conn, c => diesel::insert_into(activity_log::table).values(&entry).returning(activity_log::id).get_result(c))
        .doing("writing the activity log")
}

/// Writes down what came of it.
///
/// # Errors
/// A [`DbError`]; the entry says [`BEGUN`] for good then.
pub fn end(conn: &mut Conn, id: i64, outcome: &str) -> Result<(), DbError> {
    let outcome = Texts::default().storable(conn, outcome.to_owned())?;
    let entry = activity_log::table.find(id);
    conn.transaction(|conn| {
        on!(conn, c => diesel::update(entry).set(activity_log::outcome.eq(outcome)).execute(c))
            .doing("writing the activity log")
            .map(drop)
    })
}

/// The newest entries, newest first; those before an entry where its number is named.
///
/// # Errors
/// A [`DbError`] when the database does not answer.
pub fn page(conn: &mut Conn, before: Option<i64>, limit: u32) -> Result<Vec<ActivityEntry>, DbError> {
    on!(conn, c => activity_log::table
        .filter(activity_log::id.lt(before.unwrap_or(i64::MAX)))
        .order(activity_log::id.desc())
        .limit(limit.into())
        .select(ActivityEntry::as_select())
        .load(c))
    .doing("reading the activity log")
}

/// The entries next after one, newest first.
///
/// # Errors
/// A [`DbError`] when the database does not answer.
pub fn page_after(conn: &mut Conn, after: i64, limit: u32) -> Result<Vec<ActivityEntry>, DbError> {
    let mut entries: Vec<ActivityEntry> = on!(conn, c => activity_log::table
        .filter(activity_log::id.gt(after))
        .order(activity_log::id)
        .limit(limit.into())
        .select(ActivityEntry::as_select())
        .load(c))
    .doing("reading the activity log")?;
    entries.reverse();
    Ok(entries)
}
