//! Rechecking: whether the files of days that were loaded or refused lately are still the same ones.
//!
//! An `ETag` alone does not tell: a local file's changes with its inode, a bucket's with how it was uploaded. Where it
//! differs, the content's hash decides.

use log::{debug, warn};

use crate::day::{Day, DayRange};
use crate::db::attempts::Trigger;
use crate::db::error::DbError;
use crate::db::loaded_files::{self, FileVersion, KnownFile};
use crate::events::Subscriber;
use crate::load_day::{Context, Job, Stop};
use crate::load_outcome::Unavailable;
use crate::plan::LoadMode;
use crate::policy::OnChange;
use crate::reconcile::{StartedDays, Task, reconcile};
use crate::source::{FileInfo, FileStatus, OpenedFile, SourceError, tag_without_etag};
use crate::state::State;
use crate::wording::load_again;

/// What the source said when it was asked for files that are known.
#[derive(Debug, Default, PartialEq, Eq)]
pub enum Rechecked {
    /// It was not asked.
    #[default]
    NotAsked,
    /// It answered.
    Answered,
    /// It cannot be asked now; why. The files left were not looked at.
    Unavailable(Unavailable),
}

/// Looks at the files of days in that state, loaded or refused, of the dataset's last `recheck_days` up to `newest`, and
/// does about changed ones what the dataset says, until it is to stop. The caller receives the events of days that are tried again.
///
/// # Errors
/// A [`DbError`] when the database does not answer.
pub fn recheck(
    context: &Context,
    job: &Job,
    state: State,
    newest: Day,
    until: &Stop,
    caller: &dyn Subscriber,
) -> Result<Rechecked, DbError> {
    let spec = &job.dataset.source;
    let mut rechecked = Rechecked::NotAsked;
    if spec.on_change == OnChange::Ignore || spec.recheck_days == 0 {
        return Ok(rechecked);
    }
    let range = DayRange { from: newest.minus(spec.recheck_days - 1), to: newest };
    let files = loaded_files::known_files(&mut context.database.conn()?, &job.dataset.name, state, range)?;
    for file in files {
        if context.stop.is_halted() || until.is_halted() {
            return Ok(rechecked);
        }
        let day = file.day;
        match job.source.stat_until(context.stop.wait(), day, &context.runtime) {
            Ok(FileStatus::File(info)) if differs(&file, &info) => {
                if state == State::Refused || spec.on_change == OnChange::Reload {
                    load(context, job, day, until, caller)?;
                } else {
                    changed(context, job, &file, &info)?;
                }
            }
            Ok(FileStatus::NotThere { why, .. }) => debug!("{} {day}: its file is gone: {why}", job.dataset.name),
            Ok(FileStatus::File(_)) | Err(SourceError::BrokenOff) => {}
            Err(error) if error.is_temporary() => {
                let until = error.until();
                return Ok(Rechecked::Unavailable(Unavailable { why: error.to_string(), until }));
            }
            Err(error) => warn!("{} {day}: whether its file changed cannot be told: {error}", job.dataset.name),
        }
        rechecked = Rechecked::Answered;
    }
    Ok(rechecked)
}

/// True when the source's file looks other than the one that is known, and was not seen before.
fn differs(file: &KnownFile, info: &FileInfo) -> bool {
    let loaded = file.source_etag.clone().unwrap_or_else(|| {
        let modified = file.source_modified.unwrap_or_default();
        tag_without_etag(file.source_bytes.unwrap_or_default().unsigned_abs(), *modified)
    });
    let tag = info.tag();
    tag != loaded && Some(tag) != file.newer_etag
}

/// Tries the day once more, with its file as it is now. The load itself finds out whether the content is another.
fn load(context: &Context, job: &Job, day: Day, until: &Stop, caller: &dyn Subscriber) -> Result<(), DbError> {
    let task = Task {
        days: vec![day],
        ask: LoadMode::Changed,
        trigger: Trigger::Change,
        concurrency: 1,
        backlog: None,
        until: until.clone(),
        started: StartedDays::default(),
    };
    reconcile(context, job, &task, caller).map(drop)
}

/// Says that a loaded day's file is another, if its content is.
fn changed(context: &Context, job: &Job, file: &KnownFile, info: &FileInfo) -> Result<(), DbError> {
    let (name, day) = (&job.dataset.name, file.day);
    let tag = info.tag();
    let seen = match hash(context, job, day) {
        Ok(Some(hash)) if Some(&hash) == file.source_hash.as_ref() => FileVersion::Same(&tag),
        Ok(Some(_)) => {
            warn!("{name} {day}: its file changed after it was loaded; `{}` loads it again", load_again(day, name));
            FileVersion::Newer(&tag)
        }
        Ok(None) | Err(SourceError::BrokenOff) => return Ok(()),
        Err(error) => {
            warn!("{name} {day}: whether its file changed cannot be told: {error}");
            return Ok(());
        }
    };
    loaded_files::note_seen(&mut context.database.conn()?, name, file, seen)
}

/// SHA-256 of the stored bytes of a day's file as it is now; `None` when it is gone.
fn hash(context: &Context, job: &Job, day: Day) -> Result<Option<String>, SourceError> {
    let OpenedFile::File(file) = job.source.open_until(context.stop.wait(), day, &context.runtime)? else {
        return Ok(None);
    };
    context.stop.breaks_off(file.download());
    file.within(job.dataset.limits).finish().map(|hash| Some(hash.to_string()))
}
