//! What commands write into the activity log. They act as `USER@HOST`, a name that no user of the web UI can have.

use std::fs;
use std::os::unix::fs::MetadataExt;

use crate::cli::app::App;
use crate::cli::failure::Failure;
use crate::dataset::DatasetName;
use crate::day::DayRange;
use crate::db::activity_log::{self, Deed};
use crate::db::pool::{Conn, Database};

/// Who gives a command.
pub(super) fn who() -> String {
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{}@{}", system_user(), host.trim())
}

/// The system's name of the user whom this process runs as, or their number where it has none. Variables such as `USER`
/// say what somebody set.
fn system_user() -> String {
    let Ok(process) = fs::metadata("/proc/self") else { return "unknown".to_owned() };
    let number = process.uid().to_string();
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let is_own = |line: &&str| line.split(':').nth(2) == Some(&number);
    let name = users.lines().find(is_own).and_then(|line| line.split(':').next());
    name.filter(|name| !name.is_empty()).map_or(format!("uid {number}"), ToOwned::to_owned)
}

/// What a command is about to do to a dataset.
pub(super) struct Entries<'a> {
    pub(super) action: &'a str,
    pub(super) dataset: &'a DatasetName,
    /// An entry for each of these; one without days where there are none.
    pub(super) ranges: &'a [DayRange],
    pub(super) reason: Option<&'a str>,
}

impl Entries<'_> {
    /// What each of them says.
    pub(super) fn deeds<'a>(&'a self, who: &'a str) -> Vec<Deed<'a>> {
        let Self { action, dataset, ranges, reason } = *self;
        let deed = |days| Deed { who, action, dataset: Some(dataset), days, reason };
        if ranges.is_empty() { vec![deed(None)] } else { ranges.iter().map(|range| deed(Some(*range))).collect() }
    }
}

/// Entries that were begun: each with its number, dataset and days.
pub(super) type Begun = Vec<(i64, DatasetName, Option<DayRange>)>;

/// Writes down what is about to be done.
pub(super) fn begin(conn: &mut Conn, entries: &Entries<'_>) -> Result<Begun, Failure> {
    let (who, mut begun) = (who(), Vec::new());
    for deed in entries.deeds(&who) {
        begun.push((activity_log::begin(conn, deed)?, entries.dataset.clone(), deed.days));
    }
    Ok(begun)
}

/// Writes down what came of it. What was done is done, and the entries tell by whom: a database that fails now is only
/// warned of.
pub(super) fn end(app: &App, begun: &Begun, outcome: Outcome<'_>) {
    end_on(&app.database(1), begun, outcome);
}

/// What came of a dataset's days, in words.
pub(super) type Outcome<'a> = &'a dyn Fn(&DatasetName, Option<DayRange>) -> String;

/// The same, on that database.
pub(super) fn end_on(database: &Database, begun: &Begun, outcome: Outcome<'_>) {
    let written = database.connect().and_then(|mut conn| {
        begun.iter().try_for_each(|(id, dataset, days)| activity_log::end(&mut conn, *id, &outcome(dataset, *days)))
    });
    if let Err(error) = written {
        log::warn!("the activity log does not tell what came of this: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_user_is_the_systems_and_not_a_variables() {
        let user = system_user();
        assert!(!user.is_empty() && user != "unknown", "{user}");
        let id = std::process::Command::new("id").arg("-un").output().unwrap();
        assert_eq!(user, String::from_utf8(id.stdout).unwrap().trim());
        assert!(who().starts_with(&format!("{user}@")));
    }
}
