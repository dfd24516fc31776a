//! Some days of a dataset: those of a range that are in certain states, a page at a time.

use std::collections::BTreeMap;

use super::{DayStatus, WantedDays, complete, reloads};
use crate::dataset::Dataset;
use crate::day::{Day, DayRange};
use crate::db::days;
use crate::db::error::DbError;
use crate::db::pool::Conn;
use crate::db::summary;
use crate::definition;
use crate::state::State;

/// Which days are wanted to be seen.
#[derive(Debug, Clone)]
pub struct Selection {
    /// From when to when.
    pub range: DayRange,
    /// Those in one of these states, `None` for missing ones; all when there is none.
    pub states: Vec<Option<State>>,
    /// Those after this day.
    pub after: Option<Day>,
    /// At most that many.
    pub limit: usize,
}

/// A page of days.
#[derive(Debug, Clone)]
pub struct DaysPage {
    /// The days, oldest first.
    pub days: Vec<DayStatus>,
    /// The next page is what comes after this day; `None` when there is no more.
    pub next_after: Option<Day>,
}

/// Reads a page of a dataset's days. Only the rows of days that are on it are read whole.
///
/// # Errors
/// A [`DbError`] when the database does not answer.
pub fn page(
    conn: &mut Conn,
    dataset: &Dataset,
    wanted: &WantedDays,
    selection: &Selection,
) -> Result<DaysPage, DbError> {
    let Selection { range, states, after, limit } = selection;
    let fits = |state: Option<State>| states.is_empty() || states.contains(&state);
    let from = after.map_or(range.from, |after| range.from.max(after.next()));
    let past_the_end = after.is_some_and(|after| after == Day::MAX);
    let range = DayRange { from, to: range.to };
    let days = if past_the_end { BTreeMap::new() } else { states_of(conn, dataset, wanted, range)? };
    let mut fitting = days.into_iter().filter(|(_, state)| fits(*state)).map(|(day, _)| day);
    let chosen: Vec<Day> = fitting.by_ref().take(*limit).collect();
    let next_after = chosen.last().copied().filter(|_| fitting.next().is_some());
    let definition = definition::hash(dataset);
    let rows = days::list_of(conn, dataset.name.as_str(), &chosen)?;
    let mut by_day: BTreeMap<Day, DayStatus> =
        rows.into_iter().map(|row| (row.day, DayStatus::of_row(row, wanted, &definition))).collect();
    let one = |day: Day| by_day.remove(&day).unwrap_or_else(|| DayStatus::missing(day));
    let mut days: Vec<DayStatus> = chosen.iter().copied().map(one).collect();
    // A day may have moved since its state was read.
    days.retain(|day| fits(day.state));
    if let (Some(from), Some(to)) = (chosen.first(), chosen.last()) {
        reloads(conn, dataset, DayRange { from: *from, to: *to }, &mut days)?;
    }
    complete(Some(conn), dataset, wanted, &mut days)?;
    Ok(DaysPage { days, next_after })
}

/// The days of a range that are wanted or have a row, each with its state.
fn states_of(
    conn: &mut Conn,
    dataset: &Dataset,
    wanted: &WantedDays,
    range: DayRange,
) -> Result<BTreeMap<Day, Option<State>>, DbError> {
    let read = summary::days(conn, &dataset.name)?;
    let mut states: BTreeMap<Day, Option<State>> = wanted.within(range).iter().map(|day| (*day, None)).collect();
    states.extend(read.all.into_iter().filter(|day| range.contains(*day)).map(|day| (day, Some(State::Loaded))));
    let not_loaded = read.not_loaded.into_iter().map(|row| (row.day, Some(row.state)));
    states.extend(not_loaded.filter(|(day, _)| range.contains(*day)));
    Ok(states)
}
