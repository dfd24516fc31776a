//! What a person does to a day without loading it: skip, forget, a new series of attempts; and days whose process is gone.

use diesel::prelude::*;

use crate::dataset::DatasetName;
use crate::day::Day;
use crate::db::attempts;
use crate::db::columns::Timestamp;
use crate::db::days::{ProcessedDay, insert, lock, remove, save, state_of};
use crate::db::error::{DbError, Doing};
use crate::db::pool::{Conn, on};
use crate::db::schema::rejected_rows;
use crate::plan::{Owner, ToRetry};
use crate::state::{self, IllegalMove, Move, State, after};

/// What a person can do to a day without loading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DayAction<'a> {
    /// Leave it out, for a reason.
    Skip(Option<&'a str>),
    /// Back to missing.
    Forget,
    /// Start a new series of attempts, where a retry takes the day.
    NewSeries,
}

/// An action could not be carried out.
#[derive(Debug, thiserror::Error)]
pub enum DayActionError {
    /// The state does not allow it.
    #[error(transparent)]
    Illegal(#[from] IllegalMove),
    /// Another process is loading the day.
    #[error("being loaded by another process")]
    Busy,
    /// The database failed.
    #[error(transparent)]
    Db(#[from] DbError),
}

/// Carries out a person's action on one day; the state before it. Durable when it returns. A running day whose process
/// is gone counts as failed, or as loaded when the target holds its rows. A day that a
/// retry does not take, such as a loaded one, has nothing to try anew: it stays as it is. A load that publishes the day is not waited for.
///
/// # Errors
/// A [`DayActionError`]; nothing was changed then.
pub fn apply(
    conn: &mut Conn,
    dataset: &DatasetName,
    day: Day,
    action: DayAction<'_>,
) -> Result<Option<State>, DayActionError> {
    conn.transaction(|conn| {
        let now = conn.now()?;
        let found = held(conn, dataset, day)?;
        let row = found.map(|row| settled(conn, row, now)).transpose()?;
        let before = row.as_ref().map(|row| row.state);
        match action {
            DayAction::NewSeries => {
                if let Some(row) = row {
                    // Of other days, such as loaded ones, all that may be to write is that the attempt was settled.
                    let anew = ToRetry::ALL.contains(row.state);
                    let row = if anew { ProcessedDay { attempts: 0, next_attempt_at: None, ..row } } else { row };
                    save(conn, &row)?;
                }
            }
            DayAction::Skip(reason) => {
                after(before, Move::Skipped, false)?;
                let fresh = row.is_none();
                let row = row.unwrap_or_else(|| ProcessedDay::new(dataset, day, State::Skipped));
                let note = reason.map(ToOwned::to_owned);
                let row =
                    ProcessedDay { note, next_attempt_at: None, waiting_since: None, ..row.unclaimed(State::Skipped) };
                if !fresh {
                    save(conn, &row)?;
                } else if !insert(conn, &row)? {
                    // Another process claimed the missing day since the look above; its row stays.
                    return Err(DayActionError::Busy);
                }
            }
            DayAction::Forget => {
                after(before, Move::Forgotten, false)?;
                remove(conn, dataset.as_str(), day)?;
                let rejects = rejected_rows::table
                    .filter(rejected_rows::dataset.eq(dataset.as_str()))
                    .filter(rejected_rows::day.eq(day));
                on!(conn, c => diesel::delete(rejects).execute(c)).doing("removing the day's rejected rows")?;
            }
        }
        Ok(before)
    })
}

/// The day's row, held against others. One that publishes holds it for as long as the target's locks and disk take: the
/// day is its own. Whoever else holds it, a claim or another person's action, lets go at once and is waited for.
fn held(conn: &mut Conn, dataset: &DatasetName, day: Day) -> Result<Option<ProcessedDay>, DayActionError> {
    if let Some(row) = lock(conn, dataset.as_str(), day, false)? {
        return Ok(Some(row));
    }
    match state_of(conn, dataset.as_str(), day)? {
        None => Ok(None),
        Some(State::Running) => Err(DayActionError::Busy),
        Some(_) => Ok(lock(conn, dataset.as_str(), day, true)?),
    }
}

/// A running day whose process is gone, put in the state it is really in.
fn settled(conn: &mut Conn, row: ProcessedDay, now: Timestamp) -> Result<ProcessedDay, DayActionError> {
    if row.state != State::Running {
        return Ok(row);
    }
    if row.known(conn, now)?.owner == Owner::Alive {
        return Err(DayActionError::Busy);
    }
    attempts::lost(conn, &row, now)?;
    Ok(abandoned(row))
}

/// What a running day becomes when its process is gone and nobody takes it over.
pub(super) fn abandoned(row: ProcessedDay) -> ProcessedDay {
    let state = state::settled(row.in_target());
    let error = (state == State::Failed).then(|| attempts::LOST.to_owned());
    ProcessedDay { error, next_attempt_at: None, ..row.unclaimed(state) }
}
