//! Looks for the files of waiting and absent days that found none.

use std::time::Duration;

use chrono::TimeDelta;

use crate::dataset::DatasetName;
use crate::day::Day;
use crate::db::columns::Timestamp;
use crate::db::days;
use crate::db::days::ProcessedDay;
use crate::db::error::DbError;
use crate::db::pool::Conn;
use crate::load_outcome::StateChange;
use crate::state::{Move, State, after};
use crate::wording::{MOST_BYTES, printable};

/// A look at a waiting or absent day's file that found none.
#[derive(Debug, Clone, Copy)]
pub struct FoundNone<'a> {
    /// Where it was looked for.
    pub url: &'a str,
    /// What was found instead.
    pub why: &'a str,
    /// When a waiting day is looked for again.
    pub look_again: Duration,
    /// How long after the first look a day is given up.
    pub give_up_after: Duration,
}

/// When a day without a file is looked for again: after the pause, or up to a tenth of it sooner. Years of such days are
/// looked at one after the other, and come due together all the same, as one task with a line per run of days.
pub(super) fn next_look(now: Timestamp, pause: Duration) -> Timestamp {
    let step = i64::try_from(pause.as_micros() / 10).unwrap_or(i64::MAX).max(1);
    let next = now + pause;
    next - TimeDelta::microseconds(next.timestamp_micros().rem_euclid(step))
}

/// Notes that the file of a waiting or absent day is still not there; its states before and after: a day that waited too
/// long is absent. Nothing is noted of a day that neither waits nor is absent any more: another process was faster.
///
/// # Errors
/// A [`DbError`]; nothing is noted then.
pub fn note_none(
    conn: &mut Conn,
    dataset: &DatasetName,
    day: Day,
    found: FoundNone<'_>,
) -> Result<StateChange, DbError> {
    conn.transaction(|conn| {
        // Another look notes the same.
        conn.commit_in_background()?;
        let now = conn.now()?;
        let Some(row) = days::lock(conn, dataset.as_str(), day, true)? else {
            return Ok(StateChange { from: None, to: None });
        };
        // A clock that was ahead then does not make the day wait for longer.
        let since = row.waiting_since.map_or(now, |since| since.min(now));
        let moved = if now >= since + found.give_up_after { Move::GaveUp } else { Move::FileMissing };
        let moved = if row.state == State::Absent { Move::FileMissing } else { moved };
        let before = row.state;
        let state = match before {
            State::Waiting | State::Absent => after(Some(before), moved, false).ok().flatten(),
            _ => None,
        };
        let Some(state) = state else { return Ok(StateChange { from: Some(before), to: Some(before) }) };
        let waits = state == State::Waiting;
        let row = ProcessedDay {
            state,
            next_attempt_at: waits.then(|| next_look(now, found.look_again)),
            waiting_since: waits.then_some(since),
            source_url: Some(found.url.to_owned()),
            error: Some(storable(found.why)),
            ..row
        };
        days::save(conn, &row)?;
        Ok(StateChange { from: Some(before), to: Some(state) })
    })
}

/// The text as it is stored and shown: a file, a server or a database may have said anything, in several lines.
pub(super) fn storable(text: &str) -> String {
    let lines = text.replace('\0', "\\x00");
    printable(&lines.lines().collect::<Vec<_>>().join("; "), MOST_BYTES)
}
