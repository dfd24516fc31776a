//! The pipeline of a claimed day, from its file to the target: open, stage, audit, publish.

use std::fmt;
use std::io::Read;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::active_loads::{ListedLoad, Step};
use super::context::{Context, Job};
use super::stop::{Stop, StopReason};
use crate::audit::{Passed, TooManyRejected, audit};
use crate::day::Day;
use crate::db::attempt_log::AttemptLog;
use crate::db::attempts::Measured;
use crate::db::claim::Claim;
use crate::db::error::DbError;
use crate::db::pool::Conn;
use crate::db::publish::{PublishError, PublishedFile, PublishingAttempt, publish};
use crate::db::row_sink::RowSink;
use crate::db::stage::{self, StagedDay};
use crate::db::watchlist::Watched;
use crate::db::worker::HeldClaim;
use crate::load_outcome::Unavailable;
use crate::plan::LoadMode;
use crate::read_rows::{ReadError, RecordOutcome, Refusal, RowReader};
use crate::source::{FileInfo, OpenedFile, SourceError, SourceFile};
use crate::wording::{MOST_NAMES, counted, named};

/// How much of a file is read at once.
const READ: usize = 128 * 1024;

/// A file up to this size is read to its end although it was refused before that, so that the hash of its content is
/// known; of a larger one the tag alone tells whether it is another by now.
const HASHED_WHEN_REFUSED: u64 = 64 * 1024 * 1024;

/// Why a step failed, so that the attempt publishes nothing.
pub(super) enum StepError {
    /// The file is not there, or not to be taken yet.
    NotThere { url: String, why: String },
    /// The file could not be opened or read to its end.
    Source(String),
    /// The source cannot be asked now, or its place cannot be seen, which says nothing of the file.
    Unavailable(Unavailable),
    /// The file is not fit to be loaded; with what of it shows why: its first rejected row, or the line taken for its
    /// header. The error itself holds no values of rows.
    Refused { error: String, first: Option<String> },
    /// The file is another, its content the one that was loaded or refused.
    Unchanged,
    /// Another process took the day over.
    Lost,
    /// The load was stopped; the reason where only this one was.
    Stopped(Option<StopReason>),
    /// The database failed, or refused what was written to it.
    Db(DbError),
    /// This program has a fault.
    Fault(String),
}

impl From<DbError> for StepError {
    fn from(error: DbError) -> Self {
        Self::Db(error)
    }
}

impl From<SourceError> for StepError {
    fn from(error: SourceError) -> Self {
        let text = error.to_string();
        if error.refuses() {
            Self::Refused { error: text, first: None }
        } else if error.is_temporary() {
            Self::Unavailable(Unavailable { why: text, until: error.until() })
        } else {
            Self::Source(text)
        }
    }
}

impl From<ReadError<Self>> for StepError {
    fn from(error: ReadError<Self>) -> Self {
        match error {
            ReadError::Refused(Refusal { error, line }) => Self::Refused { error, first: line },
            ReadError::Taker(problem) => problem,
        }
    }
}

/// As the attempt's log tells it: without the values of rows that errors may hold, which the day's error has.
impl fmt::Display for StepError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotThere { why, .. } => write!(f, "no file to take: {why}"),
            Self::Source(error) | Self::Fault(error) => write!(f, "failed: {error}"),
            Self::Unavailable(error) => write!(f, "the source is unavailable: {error}"),
            Self::Refused { error, .. } => write!(f, "refused: {error}"),
            Self::Unchanged => f.write_str("the file's content is the one that was loaded or refused"),
            Self::Lost => f.write_str("another process took the day over"),
            Self::Stopped(None) => f.write_str("interrupted before publishing"),
            Self::Stopped(Some(StopReason::Cancelled(by))) => write!(f, "cancelled by {by}"),
            Self::Stopped(Some(StopReason::TookTooLong(most))) => {
                write!(f, "took longer than limits.max_duration = \"{} s\"; nothing was published", most.as_secs())
            }
            Self::Db(error) if !error.costs_an_attempt() => write!(f, "the database failed: {error}"),
            Self::Db(error) => write!(f, "the database refused what was written to it: {error}"),
        }
    }
}

/// The refusal of a day with too many rejects, with the first of them: what a person has to see to mend the file.
fn too_many(refusal: &TooManyRejected, staged: &StagedDay<'_>) -> StepError {
    let first = staged.first_reject.as_ref().map(|first| format!("the first: {first}"));
    StepError::Refused { error: refusal.to_string(), first }
}

/// A claim that this process holds until the attempt has ended.
pub(super) struct OwnClaim {
    pub(super) claim: Claim,
    pub(super) held: HeldClaim,
}

/// One day on its way from its file to the target.
pub(super) struct Pipeline<'a> {
    pub(super) context: &'a Context,
    pub(super) job: &'a Job,
    pub(super) day: Day,
    /// How the day was asked for.
    pub(super) mode: LoadMode,
    pub(super) measured: Measured,
    /// How many bytes of the file were read, as stored.
    pub(super) bytes: u64,
    /// The file that was opened, and SHA-256 of it once it was read to its end.
    pub(super) file: Option<FileInfo>,
    pub(super) hash: Option<String>,
    /// What is shown of it while it is loaded.
    pub(super) active: Option<ListedLoad<'a>>,
    /// What was done, for the day's attempts.
    pub(super) log: AttemptLog,
    /// When this load is to stop: with all, or alone.
    pub(super) stop: Stop,
}

impl<'a> Pipeline<'a> {
    /// One that has not begun.
    pub(super) fn new(context: &'a Context, job: &'a Job, day: Day, mode: LoadMode) -> Self {
        Self {
            context,
            job,
            day,
            mode,
            measured: Measured::default(),
            bytes: 0,
            file: None,
            hash: None,
            active: None,
            log: AttemptLog::begin(),
            stop: context.stop.of_one(),
        }
    }

    /// Takes a claimed day from its file to the target.
    pub(super) fn run(
        &mut self,
        conn: &mut Conn,
        watched: &Watched,
        ours: &OwnClaim,
        staged: &mut StagedDay<'a>,
    ) -> Result<(), StepError> {
        let OwnClaim { claim, held } = ours;
        let file = self.timed(|measured| &mut measured.source_ms, Self::open)?;
        self.active.iter().for_each(|load| load.at(Step::Stage));
        let origin = self.timed(|measured| &mut measured.stage_ms, |pipeline| pipeline.stage(conn, staged, file));
        self.measured.rows_read = i64::try_from(staged.counts.read).ok();
        self.measured.rows_rejected = i64::try_from(staged.counts.rejected).ok();
        // What was refused before is not refused anew for another name of the same file.
        if self.mode == LoadMode::Changed && self.hash.is_some() && claim.known_hash() == self.hash.as_deref() {
            return Err(StepError::Unchanged);
        }
        let origin = origin?;
        let (read, rejected) = (counted(staged.counts.read, "row"), staged.counts.rejected_text());
        self.log.line(format_args!("{read} read and staged, {rejected} of them rejected"));
        self.active.iter().for_each(|load| load.at(Step::Audit));
        let passed: Passed = self.timed(
            |measured| &mut measured.audit_ms,
            |pipeline| audit(staged.counts, &pipeline.job.dataset.limits).map_err(|refusal| too_many(&refusal, staged)),
        )?;
        self.log.line("the audit passed");
        self.may_go_on()?;
        // The heartbeat ends here: it would wait for the row that publishing locks.
        held.stop_renewal();
        self.active.iter().for_each(|load| load.at(Step::Publish));
        let Self { measured, log, .. } = &mut *self;
        let attempt = PublishingAttempt { measured, log, watched };
        publish(conn, claim, staged, passed, &origin, attempt).map_err(|error| match error {
            PublishError::Lost => StepError::Lost,
            PublishError::Refused(refusal) => too_many(&refusal, staged),
            PublishError::Stopped => self.stopped(),
            PublishError::Cancelled(by) => StepError::Stopped(Some(StopReason::Cancelled(by))),
            PublishError::Db(error) => StepError::Db(error),
        })?;
        if let Some((loaded, passed)) = self.measured.kept_out() {
            let (name, day, rows) = (&self.job.dataset.name, self.day, counted(passed, "row"));
            log::warn!(
                "{name} {day}: {loaded} of {rows} inserted: a trigger or a rule of the target kept out the others"
            );
        }
        Ok(())
    }

    fn timed<T>(
        &mut self,
        step: impl Fn(&mut Measured) -> &mut Option<i64>,
        work: impl FnOnce(&mut Self) -> Result<T, StepError>,
    ) -> Result<T, StepError> {
        let began = Instant::now();
        let done = work(self);
        *step(&mut self.measured) = i64::try_from(began.elapsed().as_millis()).ok();
        done
    }

    fn may_go_on(&self) -> Result<(), StepError> {
        if self.stop.is_abandoned() { Err(self.stopped()) } else { Ok(()) }
    }

    /// Why it was stopped.
    pub(super) fn stopped(&self) -> StepError {
        StepError::Stopped(self.stop.reason().cloned())
    }

    fn open(&mut self) -> Result<SourceFile, StepError> {
        match self.job.source.open_until(self.stop.wait(), self.day, &self.context.runtime) {
            Ok(OpenedFile::File(file)) => {
                let known = file.info().bytes.unwrap_or_default();
                self.context.progress.bytes_known.fetch_add(known, Ordering::Relaxed);
                self.active.iter().for_each(|load| load.opened(known));
                self.file = Some(file.info().clone());
                let (url, bytes) = (&file.info().url, file.info().size());
                self.log.line(format_args!("opened {url}, {bytes} as stored"));
                Ok(file.within(self.job.dataset.limits))
            }
            Ok(OpenedFile::NotThere { url, why }) => Err(StepError::NotThere { url, why }),
            Err(error) => {
                self.may_go_on()?;
                Err(error.into())
            }
        }
    }

    /// Reads the file into the stage.
    fn stage(
        &mut self,
        conn: &mut Conn,
        staged: &mut StagedDay<'a>,
        mut file: SourceFile,
    ) -> Result<PublishedFile, StepError> {
        let job = self.job;
        self.stop.breaks_off(file.download());
        let stored = file.stored_bytes();
        let filled =
            stage::fill(conn, &self.context.database, &job.dataset, &mut |sink| self.read(&mut file, staged, sink));
        let info = file.info().clone();
        let hash = match filled {
            Ok(()) => file.finish().map_err(StepError::from),
            Err(refused @ StepError::Refused { .. }) => {
                let whole = info.bytes.filter(|bytes| *bytes <= HASHED_WHEN_REFUSED).and_then(|_| file.finish().ok());
                self.hash = whole.map(|hash| hash.to_string());
                Err(refused)
            }
            Err(problem) => Err(problem),
        };
        self.bytes = stored.load(Ordering::Relaxed);
        let hash = hash?.to_string();
        self.hash = Some(hash.clone());
        Ok(PublishedFile {
            url: info.url,
            etag: info.etag,
            bytes: self.bytes,
            modified: info.modified.into(),
            hash,
            definition_hash: job.definition_hash.clone(),
        })
    }

    fn read(
        &mut self,
        file: &mut SourceFile,
        staged: &mut StagedDay<'_>,
        sink: &mut dyn RowSink,
    ) -> Result<(), StepError> {
        let Self { context, job, .. } = *self;
        let progress = &context.progress;
        let mut reader = RowReader::new(&job.dataset);
        let mut buffer = vec![0; READ];
        #[cfg(test)]
        assert!(job.dataset.name.as_str() != "faulty", "a test asked for a fault");
        let stored = file.stored_bytes();
        let (mut rows, mut bytes) = (0, 0);
        loop {
            self.may_go_on()?;
            let length = match file.read(&mut buffer) {
                Ok(length) => length,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    // The stop breaks a download off; that is no failure.
                    self.may_go_on()?;
                    return Err(SourceError::from_io(error, &file.info().url).into());
                }
            };
            self.may_go_on()?;
            let mut take = |read: RecordOutcome<'_>| self.take(read, staged, sink);
            if length == 0 {
                reader.finish(&mut take)?;
                for doubt in reader.doubts() {
                    let (name, day) = (&job.dataset.name, self.day);
                    log::warn!("{name} {day}: rows may be misread: {doubt}");
                    self.log.line(format_args!("rows may be misread: {doubt}"));
                }
                return Ok(());
            }
            reader.push(&buffer[..length], &mut take)?;
            let (rows_now, bytes_now) = (staged.counts.read, stored.load(Ordering::Relaxed));
            progress.rows.fetch_add(rows_now - rows, Ordering::Relaxed);
            progress.bytes.fetch_add(bytes_now - bytes, Ordering::Relaxed);
            (rows, bytes) = (rows_now, bytes_now);
            self.active.iter().for_each(|load| load.read(rows, bytes));
        }
    }

    fn take(
        &mut self,
        taken: RecordOutcome<'_>,
        staged: &mut StagedDay<'_>,
        sink: &mut dyn RowSink,
    ) -> Result<(), StepError> {
        match taken {
            RecordOutcome::Header([]) => {}
            RecordOutcome::Header(unknown) => {
                let (name, day, columns) = (&self.job.dataset.name, self.day, named(unknown, MOST_NAMES));
                log::warn!("{name} {day}: ignoring columns that the dataset does not name: {columns}");
                self.log.line(format_args!("columns that the dataset does not name are ignored: {columns}"));
            }
            RecordOutcome::Accepted { line, row } => match sink.row(line, row)? {
                None => staged.accepted(),
                Some(reject) => staged.rejected(1, reject)?,
            },
            RecordOutcome::Rejected { lines, reject } => staged.rejected(lines, reject)?,
        }
        Ok(())
    }
}
