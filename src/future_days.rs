//! Days of the future that were noted while a clock was ahead: forgotten once it is right.
//!
//! Their rows would have them given up at once on the day on which they are wanted: by then they have waited for long.

use chrono::{DateTime, Utc};

use crate::dataset::Dataset;
use crate::day::{Day, listed};
use crate::db::error::DbError;
use crate::db::future;
use crate::db::pool::Conn;

/// The date in the dataset's zone, by the later of this machine's and the database's clock: where one of the two is
/// behind, days are not of the future by the other.
#[must_use]
pub fn today(dataset: &Dataset, now: DateTime<Utc>, database: DateTime<Utc>) -> Day {
    Day::new(now.max(database).with_timezone(&dataset.schedule.timezone).date_naive())
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, Environment};

    const ORDERS: &str = r#"
[source]
url = "{day}.csv"
[schedule]
cron = "0 2 * * *"
start = 2024-03-01
timezone = "Asia/Tokyo"
[target]
table = "orders"
key = ["id"]
[rows]
columns = [{ name = "id", type = "text" }]
"#;

    #[test]
    fn today_is_the_date_in_the_datasets_zone_by_the_later_clock() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("datasets")).unwrap();
        std::fs::write(folder.path().join("dayfill.toml"), "").unwrap();
        std::fs::write(folder.path().join("datasets/orders.toml"), ORDERS).unwrap();
        let config = config::load(Some(&folder.path().join("dayfill.toml")), &Environment::default());
        let dataset = config.unwrap_or_else(|problems| panic!("{problems}")).datasets.remove(0);
        for (ours, database, expected) in [
            ("2024-03-05T10:00:00", "2024-03-05T10:00:01", "2024-03-05"),
            // It is nine hours later there.
            ("2024-03-05T14:59:59", "2024-03-05T14:59:59", "2024-03-05"),
            ("2024-03-05T15:00:00", "2024-03-05T15:00:00", "2024-03-06"),
            ("2024-03-09T10:00:00", "2024-03-05T10:00:00", "2024-03-09"),
            ("2024-03-05T10:00:00", "2024-03-09T10:00:00", "2024-03-09"),
        ] {
            let [ours, database] =
                [ours, database].map(|time| time.parse::<chrono::NaiveDateTime>().unwrap().and_utc());
            assert_eq!(today(&dataset, ours, database).to_string(), expected, "{ours} {database}");
        }
    }
}
