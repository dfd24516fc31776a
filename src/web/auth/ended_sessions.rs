//! Sessions that were ended before their time: kept for the rest of it in a file beside the users, since a session's
//! cookie is good for as long as the key is, and the key outlives a restart.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};

use super::error::AuthError;
use super::session::HOURS;

/// When the time of each ended session is over, by the session's id.
type Until = HashMap<String, DateTime<Utc>>;

/// The sessions that were ended.
#[derive(Debug, Default)]
pub(super) struct EndedSessions {
    /// The file; without one they are forgotten with the process, as the key is.
    path: Option<PathBuf>,
    until: Mutex<Until>,
    /// Held while the file is written, so that looking a session up waits for no disk.
    writing: Mutex<()>,
}

impl EndedSessions {
    /// Those in the file beside a users file; none where there is no file yet.
    pub(super) fn beside(users: &Path) -> Result<Self, AuthError> {
        let path = super::key::beside(users, "ended");
        let until = Mutex::new(read(&path)?);
        Ok(Self { path: Some(path), until, writing: Mutex::default() })
    }

    /// Ends a session, also for after a restart where the file can be written. Waits for the disk.
    pub(super) fn add(&self, session: &str, now: DateTime<Utc>) {
        // No session lasts longer.
        self.until().insert(session.to_owned(), now + TimeDelta::hours(HOURS));
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        // Another process may have the same users.
        let others = self.path.as_deref().map(read).and_then(Result::ok).unwrap_or_default();
        let all = {
            let mut until = self.until();
            until.extend(others);
            forget(&mut until, now);
            until.clone()
        };
        if let Some(path) = &self.path
            && let Err(error) = write(path, &all)
        {
            log::warn!("{} cannot be written ({error}): a restart makes ended sessions valid again", path.display());
        }
    }

    pub(super) fn has(&self, session: &str) -> bool {
        self.until().contains_key(session)
    }

    fn until(&self) -> MutexGuard<'_, Until> {
        self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Forgets those whose time is over, and no others: an ended session that were forgotten before would be good again. How
/// many there can be is bounded by how often one may log in.
fn forget(until: &mut Until, now: DateTime<Utc>) {
    until.retain(|_, until| *until > now);
}

/// A line each: the session's id, and until when in seconds.
fn read(path: &Path) -> Result<Until, AuthError> {
    let text = match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Until::new()),
        read => read.map_err(|source| AuthError::Unreadable { path: path.to_owned(), source })?,
    };
    let one = |line: &str| {
        let (id, until) = line.split_once(' ')?;
        Some((id.to_owned(), DateTime::from_timestamp(until.parse().ok()?, 0)?))
    };
    text.lines().map(one).collect::<Option<_>>().ok_or_else(|| AuthError::NotEnded { path: path.to_owned() })
}

/// Writes the file whole or not at all.
fn write(path: &Path, all: &Until) -> io::Result<()> {
    let mut text = String::new();
    for (id, until) in all {
        // Writing to a text cannot fail.
        let _ = writeln!(text, "{id} {}", until.timestamp());
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(path).map(drop).map_err(|error| error.error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noon() -> DateTime<Utc> {
        "2024-03-01T12:00:00Z".parse().unwrap()
    }

    #[test]
    fn ended_sessions_are_remembered_until_their_time_is_over_however_many_there_are() {
        let ended = EndedSessions::default();
        ended.add("first", noon());
        let until = noon() + TimeDelta::hours(HOURS);
        ended.until().extend((0..20_000).map(|number| (number.to_string(), until)));
        ended.add("last", noon());
        assert!(ended.has("last") && ended.has("first") && ended.has("0") && ended.has("19999"));
        assert_eq!(ended.until().len(), 20_002, "none of them made room");
        ended.add("late", noon() + TimeDelta::hours(13));
        assert!(ended.has("late") && ended.until().len() == 1, "those whose time is over are forgotten");
    }

    #[test]
    fn they_are_kept_in_a_file_that_processes_share() {
        let folder = tempfile::tempdir().unwrap();
        let users = folder.path().join("users.toml");
        let (one, other) = (EndedSessions::beside(&users).unwrap(), EndedSessions::beside(&users).unwrap());
        one.add("a", noon());
        other.add("b", noon());
        assert!(other.has("a"), "it is read before it is written");
        let again = EndedSessions::beside(&users).unwrap();
        assert!(again.has("a") && again.has("b") && !again.has("c"));
        again.add("c", noon() + TimeDelta::hours(13));
        let path = folder.path().join("users.toml.ended");
        assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 1, "those whose time is over leave it");
        fs::write(&path, "something else\n").unwrap();
        assert!(matches!(EndedSessions::beside(&users), Err(AuthError::NotEnded { .. })));
    }

    #[test]
    fn where_no_file_can_be_made_they_are_remembered_all_the_same() {
        let ended = EndedSessions::beside(Path::new("/proc/none/users.toml")).unwrap();
        ended.add("a", noon());
        assert!(ended.has("a"));
    }
}
