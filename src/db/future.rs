//! Days of the future that have a row, since a clock was ahead when they were looked for.

use diesel::prelude::*;

use crate::dataset::DatasetName;
use crate::day::Day;
use crate::db::error::{DbError, Doing};
use crate::db::pool::{Conn, on};
use crate::db::schema::{activity_log, processed_days};
use crate::state::State;

/// Forgets the days after `today` that wait or were given up, so that their clocks begin when they are wanted; which
/// those were, oldest first. One with attempts, and one that a person asked for, as the activity log tells, stays.
///
/// # Errors
/// A [`DbError`]; nothing is forgotten then.
pub fn forget(conn: &mut Conn, dataset: &DatasetName, today: Day) -> Result<Vec<Day>, DbError> {
    conn.transaction(|conn| {
        let asked: Vec<(Option<Day>, Option<Day>)> = on!(conn, c => activity_log::table
            .filter(activity_log::dataset.eq(dataset.as_str()))
            .filter(activity_log::to_day.gt(today))
            .select((activity_log::from_day, activity_log::to_day))
            .load(c))
        .doing("reading which days were asked for")?;
        let is_asked_for = |day: &Day| {
            asked.iter().any(|(from, to)| from.zip(*to).is_some_and(|(from, to)| (from..=to).contains(day)))
        };
        let noted = || {
            processed_days::table
                .filter(processed_days::dataset.eq(dataset.as_str()))
                .filter(processed_days::day.gt(today))
                .filter(processed_days::state.eq_any([State::Waiting, State::Absent]))
                .filter(processed_days::attempts.eq(0))
        };
        let mut days: Vec<Day> = on!(conn, c => noted()
            .order(processed_days::day)
            .select(processed_days::day)
            .load(c))
        .doing("reading which days of the future were noted")?;
        days.retain(|day| !is_asked_for(day));
        // Those that a process claimed meanwhile are not among the noted ones any more.
        let forgotten = noted().filter(processed_days::day.eq_any(&days));
        on!(conn, c => diesel::delete(forgotten).execute(c)).doing("forgetting days of the future")?;
        Ok(days.into_iter().collect())
    })
}
