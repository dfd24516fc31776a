//! Days of the future that were noted while a clock was ahead: forgotten once it is right.
//!
//! Their rows would have them given up at once on the day on which they are wanted: by then they have waited for long.

use chrono::{DateTime, NaiveDateTime, Utc};

use crate::dataset::Dataset;
use crate::day::{Day, listed};
use crate::db::error::DbError;
use crate::db::future;
use crate::db::pool::Conn;

/// The date in the dataset's zone, by the later of this machine's and the database's clock: where one of the two is
/// behind, days are not of the future by the other.
#[must_use]
pub fn today(dataset: &Dataset, now: DateTime<Utc>, database: NaiveDateTime) -> Day {
    Day::new(now.max(database.and_utc()).with_timezone(&dataset.schedule.timezone).date_naive())
}

/// Forgets the days of a dataset after `today` that nobody but a clock which was ahead had noted, and says which; true
/// when there were any.
///
/// # Errors
/// A [`DbError`] when the database does not answer.
pub fn forget(conn: &mut Conn, dataset: &Dataset, today: Day) -> Result<bool, DbError> {
    let days = future::forget(conn, &dataset.name, today)?;
    if days.is_empty() {
        return Ok(false);
    }
    let (name, number) = (dataset.name.as_str(), days.len());
    let days = listed(&days);
    log::warn!(dataset = name, days = number;
        "{name}: forgot days of the future that a clock which was ahead had noted: {days}");
    Ok(true)
}
