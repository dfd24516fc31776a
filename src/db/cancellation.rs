//! The rows of `load_cancellations`: loads that somebody wants to be cancelled. The process that loads looks here while
//! it has claims, so that it need not be the one that is asked.

use std::time::Duration;

use chrono::TimeDelta;
use diesel::prelude::*;

use crate::dataset::DatasetName;
use crate::day::Day;
use crate::db::activity_log::{self, Deed};
use crate::db::columns::Timestamp;
use crate::db::days::ProcessedDay;
use crate::db::error::{DbError, Doing};
use crate::db::pool::{Conn, on};
use crate::db::schema::{load_attempts, load_cancellations, processed_days};
use crate::plan::Owner;
use crate::state::State;

/// How often a process that loads looks whether loads of it are to be cancelled.
pub const LOOKS_EVERY: Duration = Duration::from_secs(2);

/// How old a request is when it is cleared away.
const FORGET_AFTER: TimeDelta = TimeDelta::days(7);

/// What came of asking for a load to be cancelled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CancelRequest {
    /// The process that loads the day will see it. The attempt, for [`ended`], and whether the target holds the day's
    /// rows of an earlier load.
    Noted {
        /// The attempt's claim.
        claim: String,
        /// The day goes back to `loaded`.
        in_target: bool,
    },
    /// Nobody loads the day: its state, where it has one.
    NotRunning(Option<State>),
    /// The process that loaded it is gone; the next look takes the day over.
    Gone,
}

#[derive(Insertable)]
#[diesel(table_name = load_cancellations)]
struct NewCancellation<'a> {
    claim: &'a str,
    at: Timestamp,
    who: &'a str,
    reason: Option<&'a str>,
}

/// Asks for the load of a day to be cancelled. It waits for no other load, and may come too late.
///
/// # Errors
/// A [`DbError`] when the database does not answer.
pub fn ask(
    conn: &mut Conn,
    dataset: &DatasetName,
    day: Day,
    who: &str,
    reason: Option<&str>,
) -> Result<CancelRequest, DbError> {
    conn.transaction(|conn| note(conn, dataset, day, who, reason))
}

/// The numbers of the activity log's entries, and what came of asking for each day.
pub type CancelRequests = (Vec<i64>, Vec<(Day, CancelRequest)>);

/// Asks for the loads of days of a dataset to be cancelled, and writes down what is about to be done, in one transaction:
/// where SQLite's file was waited for, both are there when it comes free.
///
/// # Errors
/// A [`DbError`]; nothing was asked for then.
pub fn ask_all(
    conn: &mut Conn,
    deeds: &[Deed<'_>],
    dataset: &DatasetName,
    days: &[Day],
) -> Result<CancelRequests, DbError> {
    conn.transaction(|conn| {
        let entries = deeds.iter().map(|deed| activity_log::insert(conn, *deed)).collect::<Result<_, _>>()?;
        let Some(Deed { who, reason, .. }) = deeds.first() else { return Ok((entries, Vec::new())) };
        let asked = days.iter().map(|day| Ok((*day, note(conn, dataset, *day, who, *reason)?)));
        Ok((entries, asked.collect::<Result<_, DbError>>()?))
    })
}

fn note(
    conn: &mut Conn,
    dataset: &DatasetName,
    day: Day,
    who: &str,
    reason: Option<&str>,
) -> Result<CancelRequest, DbError> {
    let row: Option<ProcessedDay> = on!(conn, c => processed_days::table
        .find((dataset.as_str(), day))
        .select(ProcessedDay::as_select())
        .first(c)
        .optional())
    .doing("reading the day's row")?;
    let now = conn.now()?;
    let Some(row) = row else { return Ok(CancelRequest::NotRunning(None)) };
    let Some(claim) = row.claim.clone() else { return Ok(CancelRequest::NotRunning(Some(row.state))) };
    if row.known(conn, now)?.owner == Owner::Gone {
        return Ok(CancelRequest::Gone);
    }
    let new = NewCancellation { claim: &claim, at: now, who, reason };
    on!(conn, c => diesel::insert_into(load_cancellations::table)
        .values(&new)
        .on_conflict_do_nothing()
        .execute(c))
    .doing("asking for a load to be cancelled")?;
    Ok(CancelRequest::Noted { in_target: row.in_target(), claim })
}

/// How the attempt ended; `None` while it runs. An attempt that looked for a file that is not there leaves nothing, and
/// has ended as `waiting`.
///
/// # Errors
/// A [`DbError`] when the database does not answer.
pub fn ended(conn: &mut Conn, claim: &str) -> Result<Option<String>, DbError> {
    let attempt = load_attempts::table.find(claim).select(load_attempts::outcome);
    let found: Option<Option<String>> =
        on!(conn, c => attempt.first(c).optional()).doing("reading how the attempt ended")?;
    Ok(found.unwrap_or_else(|| Some("waiting".to_owned())))
}

/// Which of these claims are to be cancelled, and by whom, with the reason that was given.
pub(super) fn of(conn: &mut Conn, claims: &[String]) -> Result<Vec<(String, String)>, DbError> {
    use load_cancellations as asked;
    let rows: Vec<(String, String, Option<String>)> = on!(conn, c => asked::table
        .filter(asked::claim.eq_any(claims))
        .select((asked::claim, asked::who, asked::reason))
        .load(c))
    .doing("looking for loads to be cancelled")?;
    Ok(rows.into_iter().map(|(claim, who, reason)| (claim, by(&who, reason.as_deref()))).collect())
}

/// Who cancelled a load, with the reason that was given.
#[must_use]
pub fn by(who: &str, reason: Option<&str>) -> String {
    reason.map_or_else(|| who.to_owned(), |reason| format!("{who}: {reason}"))
}

/// Clears requests of long ago away.
pub(super) fn clear(conn: &mut Conn, now: Timestamp) -> Result<(), DbError> {
    let old = load_cancellations::table.filter(load_cancellations::at.lt(now - FORGET_AFTER));
    on!(conn, c => diesel::delete(old).execute(c)).doing("clearing requests of long ago away").map(drop)
}
