//! One try at loading a day, from its claim to its end.

use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::context::{Context, Untold};
use super::flights::{Airborne, Begin, Step, Waits};
use super::job::Job;
use super::not_published::NotPublished;
use super::report::{Outcome, Report};
use super::stop::{Stop, Why};
use crate::audit::{Passed, TooManyRejected, audit};
use crate::day::Day;
use crate::db::attempt_log::AttemptLog;
use crate::db::attempts::{Measured, Trigger};
use crate::db::claim::{self, Claim, ClaimEnd, ClaimResult, Ending, RefusedFile, Request};
use crate::db::error::DbError;
use crate::db::missing_files::{self, FoundNone};
use crate::db::pool::Conn;
use crate::db::publish::{PublishError, PublishedFile, PublishingAttempt, publish};
use crate::db::rejects::RejectSpool;
use crate::db::row_sink::RowSink;
use crate::db::stage::{self, StagedDay};
use crate::db::target::{self, Readiness};
use crate::db::watchlist::{OnWait, Watched};
use crate::db::worker::HeldClaim;
use crate::plan::{LoadMode, SkipReason};
use crate::read_rows::{RecordOutcome, RowReader};
use crate::source::{FileInfo, FileStatus, OpenedFile, SourceError, SourceFile};
use crate::state::State;
use crate::wording::{MOST_BYTES, MOST_NAMES, counted, fault, named, printable, with_first};

/// How much of a file is read at once.
const READ: usize = 128 * 1024;

/// A file up to this size is read to its end although it was refused before that, so that the hash of its content is
/// known; of a larger one the tag alone tells whether it is another by now.
const HASHED_WHEN_REFUSED: u64 = 64 * 1024 * 1024;

/// The refusal of a day with too many rejects, with the first of them: what a person has to see to mend the file.
fn too_many(refusal: &TooManyRejected, staged: &StagedDay<'_>) -> NotPublished {
    let first = staged.first_reject.as_ref().map(|first| format!("the first: {first}"));
    NotPublished::Refused { error: refusal.to_string(), first }
}

/// The text as it is stored and shown: a file, a server or a database may have said anything, in several lines.
fn storable(text: &str) -> String {
    let lines = text.replace('\0', "\\x00");
    printable(&lines.lines().collect::<Vec<_>>().join("; "), MOST_BYTES)
}

/// A claim, in this process's hands until it has ended.
struct Ours {
    claim: Claim,
    held: HeldClaim,
}

/// A task that ends when this is dropped.
struct AbortOnDrop(tokio::task::JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// One try at loading a day.
pub(super) struct Load<'a> {
    context: &'a Context,
    job: &'a Job,
    day: Day,
    ask: LoadMode,
    measured: Measured,
    attempt: Option<u32>,
    taken_over: bool,
    /// The target holds the day's rows from an earlier load.
    is_reload: bool,
    source_failed: bool,
    bytes: u64,
    /// The file that was opened, and SHA-256 of it once it was read to its end.
    file: Option<FileInfo>,
    hash: Option<String>,
    /// What is shown of it while it is loaded.
    flight: Option<Airborne<'a>>,
    /// What is told of the attempt.
    log: AttemptLog,
    /// When this load is to stop: with all, or alone.
    stop: Stop,
    /// What it waits for in the database.
    waits: Arc<Waits>,
}

impl<'a> Load<'a> {
    /// One that has not begun.
    pub(super) fn new(context: &'a Context, job: &'a Job, day: Day, ask: LoadMode) -> Self {
        Self {
            context,
            job,
            day,
            ask,
            measured: Measured::default(),
            attempt: None,
            taken_over: false,
            is_reload: false,
            source_failed: false,
            bytes: 0,
            file: None,
            hash: None,
            flight: None,
            log: AttemptLog::begin(),
            stop: context.stop.of_one(),
            waits: Arc::default(),
        }
    }

    /// What it came to, after all this time.
    pub(super) fn report(self, outcome: Outcome, elapsed: Duration) -> Report {
        let Self { day, attempt, taken_over, is_reload, source_failed, bytes, measured, .. } = self;
        let stays_loaded = is_reload && matches!(outcome, Outcome::Failed { .. } | Outcome::Refused { .. });
        Report { day, attempt, taken_over, outcome, stays_loaded, source_failed, bytes, measured, elapsed }
    }

    /// Loads the day, if it may be.
    pub(super) fn run(&mut self, trigger: Trigger) -> Result<Outcome, DbError> {
        let mut conn = self.context.database.conn()?;
        let watched = self.context.database.watch(&mut conn, self.tells_of_waits())?;
        // From here on: to claim a day may take long as well, where another program writes to the SQLite file.
        self.stop.cancels(watched.canceller());
        let answer = match self.look_and_claim(&mut conn, trigger) {
            Err(error) if self.stop.is_abandoned() && error.is_the_databases_own() => return Ok(Outcome::Interrupted),
            Err(error) => return Err(error),
            Ok(Err(outcome)) => return Ok(outcome),
            Ok(Ok(answer)) => answer,
        };
        let claim = match answer {
            ClaimResult::Claimed(claim) => claim,
            ClaimResult::Left(leave) => return Ok(Outcome::Left(leave)),
            ClaimResult::Settled(state) => return Ok(Outcome::Settled(state)),
            ClaimResult::LookFirst => return Ok(Outcome::Left(SkipReason::NotDue)),
        };
        self.attempt = Some(claim.attempt);
        self.log.begin_anew();
        self.taken_over = claim.taken_over;
        self.is_reload = claim.is_reload();
        if claim.taken_over {
            self.log.line("taken over from a process that died or stalled");
            let name = &self.job.dataset.name;
            log::warn!("{name} {}: taken over from a process that died or stalled", self.day);
        }
        let stop = self.stop.clone();
        let cancel = Arc::new(move |by| stop.abandon_one(Why::Cancelled(by)));
        let ours = Ours { held: self.context.worker.hold(&claim.token, cancel), claim: *claim };
        self.flight = Some(self.context.flights.begin(&Begin {
            dataset: &self.job.dataset.name,
            day: self.day,
            attempt: ours.claim.attempt,
            is_reload: self.is_reload,
            waits: &self.waits,
            stop: &self.stop,
        }));
        let _time_limit = self.job.dataset.limits.max_duration.map(|most| self.stops_after(most));
        let mut staged = StagedDay::new(&self.job.dataset);
        // A fault while one day is loaded ends that attempt, and neither the daemon nor other days. The connection may be in
        // the middle of a transaction then: dropped while unwinding, it does not go back to the pool.
        let isolated = AssertUnwindSafe(|| {
            let mut conn = conn;
            self.attempt(&mut conn, &watched, &ours, &mut staged).map_err(|problem| (problem, Some(conn)))
        });
        let ended =
            catch_unwind(isolated).unwrap_or_else(|panic| Err((NotPublished::Fault(fault(panic.as_ref())), None)));
        // How it ended is to be written whoever wants to stop it.
        let _ = watched.seal();
        if self.stop.is_abandoned() {
            watched.hasten();
        }
        match ended {
            Ok(()) => Ok(Outcome::Loaded),
            // The stop cancels the statement under way, and what comes after it in the transaction fails in other words.
            Err((NotPublished::Db(error), conn)) if self.stop.is_abandoned() => {
                // The connection that waited for SQLite's file is well.
                let conn = conn.filter(|_| error.is_of_a_held_file());
                self.end(conn, ours, staged, self.stopped())
            }
            Err((problem, conn)) => self.end(conn, ours, staged, problem),
        }
    }

    /// Claims the day, after a look at its file where a claim wants one; what came of it where there is nothing to claim.
    fn look_and_claim(&self, conn: &mut Conn, trigger: Trigger) -> Result<Result<ClaimResult, Outcome>, DbError> {
        let answer = self.claim(conn, trigger, false)?;
        if !matches!(answer, ClaimResult::LookFirst) {
            return Ok(Ok(answer));
        }
        match self.look(conn)? {
            Some(outcome) => Ok(Err(outcome)),
            None => self.claim(conn, trigger, true).map(Ok),
        }
    }

    fn claim(&self, conn: &mut Conn, trigger: Trigger, file_seen: bool) -> Result<ClaimResult, DbError> {
        let request = Request {
            dataset: &self.job.dataset.name,
            day: self.day,
            worker: &self.context.worker,
            lease: self.context.database.lease(),
            trigger,
            ask: self.ask,
            policy: &self.job.dataset.policy,
            file_seen,
        };
        claim::claim(conn, request)
    }

    /// Looks whether the file of a day that waits, or was given up, is there by now, without claiming the day. `None`
    /// when it is; and when that cannot be told, for the attempt to say why.
    fn look(&self, conn: &mut Conn) -> Result<Option<Outcome>, DbError> {
        let Job { dataset, source, .. } = self.job;
        let Ok(FileStatus::NotThere { url, why }) =
            source.stat_until(self.stop.wait(), self.day, &self.context.runtime)
        else {
            return Ok(None);
        };
        let waiting = &dataset.policy.waiting;
        let stored = storable(&why);
        let none =
            FoundNone { url: &url, why: &stored, look_again: waiting.poll, give_up_after: waiting.give_up_after };
        let noted = missing_files::note_none(conn, &dataset.name, self.day, none)?;
        Ok(Some(match noted {
            Some((State::Waiting, State::Absent)) => Outcome::Absent { why, still: false },
            Some((_, State::Absent)) => Outcome::Absent { why, still: true },
            Some(_) => Outcome::Waiting { why, still: true },
            None => Outcome::Left(SkipReason::NotDue),
        }))
    }

    /// The way of a claimed day from its file to the target.
    fn attempt(
        &mut self,
        conn: &mut Conn,
        watched: &Watched,
        ours: &Ours,
        staged: &mut StagedDay<'a>,
    ) -> Result<(), NotPublished> {
        let Ours { claim, held } = ours;
        let file = self.timed(|measured| &mut measured.source_ms, Self::open)?;
        self.flight.iter().for_each(|flight| flight.at(Step::Stage));
        let origin = self.timed(|measured| &mut measured.stage_ms, |load| load.stage(conn, staged, file));
        self.measured.rows_read = i64::try_from(staged.counts.read).ok();
        self.measured.rows_rejected = i64::try_from(staged.counts.rejected).ok();
        // What was refused before is not refused anew for another name of the same file.
        if self.ask == LoadMode::Changed && self.hash.is_some() && claim.known_hash() == self.hash.as_deref() {
            return Err(NotPublished::Unchanged);
        }
        let origin = origin?;
        let (read, rejected) = (counted(staged.counts.read, "row"), staged.counts.rejected_text());
        self.log.line(format_args!("{read} read and staged, {rejected} of them rejected"));
        self.flight.iter().for_each(|flight| flight.at(Step::Audit));
        let passed: Passed = self.timed(
            |measured| &mut measured.audit_ms,
            |load| audit(staged.counts, &load.job.dataset.limits).map_err(|refusal| too_many(&refusal, staged)),
        )?;
        self.log.line("the audit passed");
        self.may_go_on()?;
        // The heartbeat ends here: it would wait for the row that publishing locks.
        held.stop_renewal();
        self.flight.iter().for_each(|flight| flight.at(Step::Publish));
        let Self { measured, log, .. } = &mut *self;
        let attempt = PublishingAttempt { measured, log, watched };
        publish(conn, claim, staged, passed, &origin, attempt).map_err(|error| match error {
            PublishError::Lost => NotPublished::Lost,
            PublishError::Refused(refusal) => too_many(&refusal, staged),
            PublishError::Stopped => self.stopped(),
            PublishError::Cancelled(by) => NotPublished::Cancelled(by),
            PublishError::Db(error) => NotPublished::Db(error),
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
        work: impl FnOnce(&mut Self) -> Result<T, NotPublished>,
    ) -> Result<T, NotPublished> {
        let began = Instant::now();
        let done = work(self);
        *step(&mut self.measured) = i64::try_from(began.elapsed().as_millis()).ok();
        done
    }

    fn may_go_on(&self) -> Result<(), NotPublished> {
        if self.stop.is_abandoned() { Err(self.stopped()) } else { Ok(()) }
    }

    /// Why it was stopped.
    fn stopped(&self) -> NotPublished {
        match self.stop.why() {
            None => NotPublished::Interrupted,
            Some(Why::Cancelled(by)) => NotPublished::Cancelled(by.clone()),
            Some(Why::TookTooLong(most)) => NotPublished::TookTooLong(*most),
        }
    }

    /// Has the load stopped when it takes longer than that.
    fn stops_after(&self, most: Duration) -> AbortOnDrop {
        let stop = self.stop.clone();
        AbortOnDrop(self.context.runtime.spawn(async move {
            tokio::time::sleep(most).await;
            stop.abandon_one(Why::TookTooLong(most));
        }))
    }

    /// Tells of what the database has the load wait for, when it has waited for long: in the log, in the attempt's, and
    /// where it is shown while it is loaded.
    fn tells_of_waits(&self) -> OnWait {
        let (name, day) = (self.job.dataset.name.clone(), self.day);
        let (log, shown) = (self.log.clone(), Arc::clone(&self.waits));
        Arc::new(move |waiting| {
            let said = waiting.map_or_else(|| "goes on, what it waited for has ended".to_owned(), ToString::to_string);
            log::info!(dataset = name.as_str(), day = day.to_string().as_str(); "{name} {day}: {said}");
            log.line(&said);
            shown.tell(waiting.map(ToString::to_string));
        })
    }

    fn open(&mut self) -> Result<SourceFile, NotPublished> {
        match self.job.source.open_until(self.stop.wait(), self.day, &self.context.runtime) {
            Ok(OpenedFile::File(file)) => {
                let known = file.info().bytes.unwrap_or_default();
                self.context.progress.bytes_known.fetch_add(known, Ordering::Relaxed);
                self.flight.iter().for_each(|flight| flight.opened(known));
                self.file = Some(file.info().clone());
                let (url, bytes) = (&file.info().url, file.info().size());
                self.log.line(format_args!("opened {url}, {bytes} as stored"));
                Ok(file.within(self.job.dataset.limits))
            }
            Ok(OpenedFile::NotThere { url, why }) => Err(NotPublished::NotThere { url, why }),
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
    ) -> Result<PublishedFile, NotPublished> {
        let job = self.job;
        self.stop.breaks_off(file.download());
        let stored = file.stored_bytes();
        let filled =
            stage::fill(conn, &self.context.database, &job.dataset, &mut |sink| self.read(&mut file, staged, sink));
        let info = file.info().clone();
        let hash = match filled {
            Ok(()) => file.finish().map_err(NotPublished::from),
            Err(refused @ NotPublished::Refused { .. }) => {
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
    ) -> Result<(), NotPublished> {
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
            self.flight.iter().for_each(|flight| flight.read(rows, bytes));
        }
    }

    fn take(
        &mut self,
        taken: RecordOutcome<'_>,
        staged: &mut StagedDay<'_>,
        sink: &mut dyn RowSink,
    ) -> Result<(), NotPublished> {
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

    /// Writes how the attempt ended.
    fn end(
        &mut self,
        conn: Option<Conn>,
        ours: Ours,
        mut staged: StagedDay<'_>,
        problem: NotPublished,
    ) -> Result<Outcome, DbError> {
        // Publishing may have found doubled keys before it refused.
        self.measured.rows_rejected =
            self.measured.rows_rejected.and_then(|_| i64::try_from(staged.counts.rejected).ok());
        self.source_failed = matches!(problem, NotPublished::Source(_) | NotPublished::Unavailable(_));
        // After an error of the database the connection may be broken; a new one is waited for.
        let conn = conn.filter(|_| !matches!(problem, NotPublished::Db(_)));
        let Ours { claim, held } = ours;
        self.log.line(&problem);
        let Some((ending, outcome)) = self.ending(&claim, problem) else { return Ok(Outcome::Lost) };
        let rejects = matches!(ending, Ending::Refused { .. }).then_some(&mut staged.rejects);
        match self.write_end(conn, &claim, &ending, rejects) {
            Ok(ClaimEnd::AsAsked) => Ok(outcome),
            Ok(ClaimEnd::Published) => Ok(Outcome::Loaded),
            Ok(ClaimEnd::Lost) => Ok(Outcome::Lost),
            Err(error) => {
                // Whatever the database has against writing the end: the day must not stay as if it were being loaded.
                if !error.costs_an_attempt() {
                    held.resume_renewal();
                    if ending.costs_no_attempt() {
                        held.is_not_to_count();
                    }
                    let (dataset, measured, log) = (self.job.dataset.name.clone(), self.measured, self.log.clone());
                    self.context.untold().push(Untold { dataset, claim, ending, measured, log, _held: held });
                }
                if self.stop.is_abandoned() && error.is_of_a_held_file() {
                    let (name, day) = (&self.job.dataset.name, self.day);
                    log::info!(
                        "{name} {day}: stopped, nothing is published; until the SQLite file is free the day is shown as \
                         running"
                    );
                    return Ok(outcome);
                }
                Err(error)
            }
        }
    }

    /// What a problem means for the day, in the state table and in the report; `None` when the day is not ours any
    /// more.
    fn ending(&self, claim: &Claim, problem: NotPublished) -> Option<(Ending, Outcome)> {
        let policy = &self.job.dataset.policy;
        let failed = |error: String| {
            let left = policy.retry.max_attempts.saturating_sub(claim.attempt);
            let try_again = policy.retry.delay(claim.attempt, fastrand::f64());
            (Ending::Failed { error: storable(&error), try_again }, Outcome::Failed { error, left, blocked: false })
        };
        Some(match problem {
            NotPublished::Lost => return None,
            // A loaded day waits for nothing: what was asked for cannot be done.
            NotPublished::NotThere { .. } if claim.is_reload() => failed(problem.to_string()),
            NotPublished::NotThere { url, why } => (
                Ending::Waiting { url, why: storable(&why), look_again: policy.waiting.poll },
                Outcome::Waiting { why, still: false },
            ),
            NotPublished::Source(error) | NotPublished::Fault(error) => failed(error),
            NotPublished::Unavailable(error) => (Ending::Unavailable, Outcome::Unavailable(error)),
            NotPublished::Refused { error, first } => {
                let shown = with_first(&error, first.as_deref());
                let ending = Ending::Refused { error: storable(&shown), file: self.refused_file() };
                (ending, Outcome::Refused { error, first })
            }
            NotPublished::Unchanged => {
                (Ending::Unchanged { tag: self.file.as_ref().map(FileInfo::tag) }, Outcome::Unchanged)
            }
            NotPublished::Interrupted => (Ending::Interrupted, Outcome::Interrupted),
            NotPublished::Cancelled(by) => {
                let again = policy.retry.first_delay;
                (Ending::Cancelled { by: storable(&by), again }, Outcome::Cancelled { by })
            }
            NotPublished::TookTooLong(_) => failed(problem.to_string()),
            // The other days are not held up, and the file is not read again and again in vain.
            NotPublished::Db(error) if self.is_only_the_days(&error) => {
                let left = policy.retry.max_attempts.saturating_sub(claim.attempt.saturating_sub(1));
                let ending = Ending::Blocked { error: storable(&error.in_full()), try_again: policy.retry.max_delay };
                (ending, Outcome::Failed { error: error.to_string(), left, blocked: true })
            }
            NotPublished::Db(error) if !error.costs_an_attempt() => {
                (Ending::Database { error: storable(&error.in_full()) }, Outcome::Database(error))
            }
            // The outcome is logged; the row of the day may hold what no log may.
            NotPublished::Db(error) => {
                let (_, outcome) = failed(error.to_string());
                (failed(error.in_full()).0, outcome)
            }
        })
    }

    /// True for what a person has to change in the database, and which keeps this day from being loaded, not the dataset:
    /// its target fits, as the look at it says that every day's load begins with. The look reads no file.
    fn is_only_the_days(&self, error: &DbError) -> bool {
        let fits = |conn: &mut Conn| matches!(target::examine(conn, &self.job.dataset), Ok(Readiness::Ready));
        error.stands_for_a_day()
            || error.stands_until_changed() && self.context.database.conn().is_ok_and(|mut conn| fits(&mut conn))
    }

    /// The file that was opened, for a later look to tell whether it is still the same.
    fn refused_file(&self) -> Option<RefusedFile> {
        let file = self.file.as_ref()?;
        Some(RefusedFile {
            bytes: file.bytes.and_then(|bytes| i64::try_from(bytes).ok()),
            modified: file.modified.into(),
            hash: self.hash.clone(),
            tag: file.tag(),
        })
    }

    fn write_end(
        &self,
        conn: Option<Conn>,
        claim: &Claim,
        ending: &Ending,
        mut rejects: Option<&mut RejectSpool>,
    ) -> Result<ClaimEnd, DbError> {
        if let Some(mut conn) = conn {
            match claim::end(&mut conn, claim, ending, &self.measured, &self.log, rejects.as_deref_mut()) {
                // Another connection would wait for the same lock.
                Err(error) if error.is_the_databases_own() && !error.is_of_a_held_file() => {}
                written => return written,
            }
        }
        let database = &self.context.database;
        // Who stops does not wait for a database that is gone.
        let mut conn = if self.context.stop.is_abandoned() { database.conn_at_once()? } else { database.conn()? };
        claim::end(&mut conn, claim, ending, &self.measured, &self.log, rejects)
    }
}
