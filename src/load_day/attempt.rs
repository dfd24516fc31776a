//! One attempt to load a day, from its claim to its end. How it ended is made here, and nowhere else.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::active_loads::{NewLoad, Waits};
use super::context::{Context, Job, PendingOutcome};
use super::pipeline::{OwnClaim, Pipeline, StepError};
use super::stop::StopReason;
use crate::day::Day;
use crate::db::attempts::Trigger;
use crate::db::claim::{self, Claim, ClaimResult, Request};
use crate::db::error::DbError;
use crate::db::missing_files::{self, FoundNone};
use crate::db::pool::Conn;
use crate::db::rejects::RejectSpool;
use crate::db::stage::StagedDay;
use crate::db::target::{self, Readiness};
use crate::db::watchlist::OnWait;
use crate::events::DayEvent;
use crate::load_outcome::{FailureScope, LoadError, LoadOutcome, RefusedFile, StateChange};
use crate::plan::{LoadMode, SkipReason};
use crate::source::{FileInfo, FileStatus};
use crate::state::State;
use crate::wording::{fault, with_first};

/// A task that ends when this is dropped.
struct AbortOnDrop(tokio::task::JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// One attempt to load a day.
pub(super) struct Load<'a> {
    pipeline: Pipeline<'a>,
    trigger: Trigger,
    attempt: Option<u32>,
    taken_over: bool,
    is_reload: bool,
    source_failed: bool,
    change: Option<StateChange>,
    /// What it waits for in the database.
    waits: Arc<Waits>,
}

impl<'a> Load<'a> {
    /// One that has not begun.
    pub(super) fn new(context: &'a Context, job: &'a Job, day: Day, mode: LoadMode, trigger: Trigger) -> Self {
        Self {
            pipeline: Pipeline::new(context, job, day, mode),
            trigger,
            attempt: None,
            taken_over: false,
            is_reload: false,
            source_failed: false,
            change: None,
            waits: Arc::default(),
        }
    }

    /// Loads the day, if it may be.
    pub(super) fn run(mut self) -> DayEvent {
        let began = Instant::now();
        let outcome = self.claim_and_load().unwrap_or_else(|error| {
            self.change = None;
            database_failed(&error)
        });
        let Self { pipeline, trigger, attempt, taken_over, is_reload, source_failed, change, .. } = self;
        DayEvent {
            dataset: pipeline.job.dataset.name.clone(),
            day: pipeline.day,
            mode: pipeline.mode,
            trigger,
            attempt,
            taken_over,
            is_reload,
            change,
            outcome,
            source_failed,
            bytes: pipeline.bytes,
            measured: pipeline.measured,
            elapsed: began.elapsed(),
            is_summarized: false,
        }
    }

    fn claim_and_load(&mut self) -> Result<LoadOutcome, DbError> {
        let context = self.pipeline.context;
        let mut conn = context.database.conn()?;
        let watched = context.database.watch(&mut conn, self.tells_of_waits())?;
        // From here on: to claim a day may take long as well, where another program writes to the SQLite file.
        self.pipeline.stop.cancels(watched.canceller());
        let claim = match self.look_and_claim(&mut conn) {
            Err(error) if self.pipeline.stop.is_abandoned() && error.is_the_databases_own() => {
                return Ok(LoadOutcome::Interrupted);
            }
            Err(error) => return Err(error),
            Ok(Err(outcome)) => return Ok(outcome),
            Ok(Ok(claim)) => claim,
        };
        let claimed = self.begin(claim);
        let _time_limit = self.pipeline.job.dataset.limits.max_duration.map(|most| self.stops_after(most));
        let mut staged = StagedDay::new(&self.pipeline.job.dataset);
        // A fault while one day is loaded ends that attempt, and neither the daemon nor other days. The connection may be in
        // the middle of a transaction then: dropped while unwinding, it does not go back to the pool.
        let isolated = AssertUnwindSafe(|| {
            let mut conn = conn;
            let loaded = self.pipeline.run(&mut conn, &watched, &claimed, &mut staged);
            loaded.map_err(|problem| (problem, Some(conn)))
        });
        let ended = catch_unwind(isolated).unwrap_or_else(|panic| Err((StepError::Fault(fault(panic.as_ref())), None)));
        // How it ended is to be written whoever wants to stop it.
        let _ = watched.seal();
        if self.pipeline.stop.is_abandoned() {
            watched.hasten();
        }
        match ended {
            Ok(()) => {
                self.change = Some(change_by(&claimed.claim, &LoadOutcome::Loaded));
                Ok(LoadOutcome::Loaded)
            }
            // The stop cancels the statement under way, and what comes after it in the transaction fails in other words.
            Err((StepError::Db(error), conn)) if self.pipeline.stop.is_abandoned() => {
                // The connection that waited for SQLite's file is well.
                let conn = conn.filter(|_| error.is_of_a_held_file());
                self.end(conn, claimed, staged, self.pipeline.stopped())
            }
            Err((problem, conn)) => self.end(conn, claimed, staged, problem),
        }
    }

    /// Notes that the attempt begins, and shows it.
    fn begin(&mut self, claim: Claim) -> OwnClaim {
        let Pipeline { context, job, day, .. } = self.pipeline;
        let name = &job.dataset.name;
        self.attempt = Some(claim.attempt);
        self.taken_over = claim.taken_over;
        self.is_reload = claim.is_reload();
        self.pipeline.log.begin_anew();
        if claim.taken_over {
            self.pipeline.log.line("taken over from a process that died or stalled");
            log::warn!("{name} {day}: taken over from a process that died or stalled");
        }
        let stop = self.pipeline.stop.clone();
        let cancel = Arc::new(move |by| stop.abandon_one(StopReason::Cancelled(by)));
        let held = context.worker.hold(&claim.token, cancel);
        self.pipeline.active = Some(context.active_loads.begin(&NewLoad {
            dataset: name,
            day,
            attempt: claim.attempt,
            is_reload: self.is_reload,
            waits: &self.waits,
            stop: &self.pipeline.stop,
        }));
        OwnClaim { claim, held }
    }

    /// Claims the day, after a look at its file where a claim wants one; the outcome where there is nothing to claim.
    fn look_and_claim(&mut self, conn: &mut Conn) -> Result<Result<Claim, LoadOutcome>, DbError> {
        let mut answer = self.claim(conn, false)?;
        if matches!(answer, ClaimResult::LookFirst) {
            if let Some(outcome) = self.look(conn)? {
                return Ok(Err(outcome));
            }
            answer = self.claim(conn, true)?;
        }
        Ok(match answer {
            ClaimResult::Claimed(claim) => Ok(*claim),
            ClaimResult::Left { leave, state } => {
                self.change = Some(StateChange { from: state, to: state });
                Err(LoadOutcome::Left(leave))
            }
            ClaimResult::Settled(state) => {
                self.change = Some(StateChange { from: Some(State::Running), to: Some(state) });
                Err(LoadOutcome::Settled(state))
            }
            ClaimResult::LookFirst => Err(LoadOutcome::Left(SkipReason::NotDue)),
        })
    }

    fn claim(&self, conn: &mut Conn, file_seen: bool) -> Result<ClaimResult, DbError> {
        let Pipeline { context, job, day, mode, .. } = self.pipeline;
        let request = Request {
            dataset: &job.dataset.name,
            day,
            worker: &context.worker,
            lease: context.database.lease(),
            trigger: self.trigger,
            ask: mode,
            policy: &job.dataset.policy,
            file_seen,
        };
        claim::claim(conn, request)
    }

    /// Looks whether the file of a day that waits, or was given up, is there, without claiming the day. `None` when it
    /// is; and when that cannot be told, for the attempt to say why.
    fn look(&mut self, conn: &mut Conn) -> Result<Option<LoadOutcome>, DbError> {
        let Pipeline { context, job, day, ref stop, .. } = self.pipeline;
        let Ok(FileStatus::NotThere { url, why }) = job.source.stat_until(stop.wait(), day, &context.runtime) else {
            return Ok(None);
        };
        let waiting = &job.dataset.policy.waiting;
        let none = FoundNone { url: &url, why: &why, look_again: waiting.poll, give_up_after: waiting.give_up_after };
        let change = missing_files::note_none(conn, &job.dataset.name, day, none)?;
        self.change = Some(change);
        Ok(Some(match (change.from, change.to) {
            (Some(State::Waiting), Some(State::Absent)) => LoadOutcome::Absent { why, again: false },
            (Some(State::Absent), _) => LoadOutcome::Absent { why, again: true },
            (Some(State::Waiting), _) => LoadOutcome::Waiting { url, why, again: true, retry_in: waiting.poll },
            _ => LoadOutcome::Left(SkipReason::NotDue),
        }))
    }

    /// Has the load stopped when it takes longer than that.
    fn stops_after(&self, most: Duration) -> AbortOnDrop {
        let stop = self.pipeline.stop.clone();
        AbortOnDrop(self.pipeline.context.runtime.spawn(async move {
            tokio::time::sleep(most).await;
            stop.abandon_one(StopReason::TookTooLong(most));
        }))
    }

    /// Tells of what the database has the load wait for, when it has waited for long: in the log, in the attempt's, and
    /// where it is shown while it is loaded.
    fn tells_of_waits(&self) -> OnWait {
        let (name, day) = (self.pipeline.job.dataset.name.clone(), self.pipeline.day);
        let (log, shown) = (self.pipeline.log.clone(), Arc::clone(&self.waits));
        Arc::new(move |waiting| {
            let said = waiting.map_or_else(|| "goes on, what it waited for has ended".to_owned(), ToString::to_string);
            log::info!(dataset = name.as_str(), day = day.to_string().as_str(); "{name} {day}: {said}");
            log.line(&said);
            shown.set(waiting.map(ToString::to_string));
        })
    }

    /// Writes how an attempt ended that did not publish.
    fn end(
        &mut self,
        conn: Option<Conn>,
        claimed: OwnClaim,
        mut staged: StagedDay<'_>,
        problem: StepError,
    ) -> Result<LoadOutcome, DbError> {
        // Publishing may have found doubled keys before it refused.
        let measured = &mut self.pipeline.measured;
        measured.rows_rejected = measured.rows_rejected.and_then(|_| i64::try_from(staged.counts.rejected).ok());
        self.source_failed = matches!(problem, StepError::Source(_) | StepError::Unavailable(_));
        // After an error of the database the connection may be broken; a new one is waited for.
        let conn = conn.filter(|_| !matches!(problem, StepError::Db(_)));
        let OwnClaim { claim, held } = claimed;
        self.pipeline.log.line(&problem);
        let outcome = self.outcome(&claim, problem);
        if outcome == LoadOutcome::Lost {
            return Ok(outcome);
        }
        let rejects = matches!(outcome, LoadOutcome::Refused { .. }).then_some(&mut staged.rejects);
        let error = match self.write_end(conn, &claim, &outcome, rejects) {
            Ok(Some(LoadOutcome::Lost)) => return Ok(LoadOutcome::Lost),
            Ok(other) => {
                let outcome = other.unwrap_or(outcome);
                self.change = Some(change_by(&claim, &outcome));
                return Ok(outcome);
            }
            Err(error) => error,
        };
        let Pipeline { context, job, day, measured, ref log, ref stop, .. } = self.pipeline;
        let stopped = (stop.is_abandoned() && error.is_of_a_held_file()).then(|| outcome.clone());
        // Whatever the database has against writing the end: the day must not stay as if it were being loaded.
        if !error.costs_an_attempt() {
            held.resume_renewal();
            if !outcome.counts() {
                held.is_not_to_count();
            }
            let (dataset, log) = (job.dataset.name.clone(), log.clone());
            context.pending().push(PendingOutcome { dataset, claim, outcome, measured, log, _held: held });
        }
        if let Some(outcome) = stopped {
            let name = &job.dataset.name;
            log::info!(
                "{name} {day}: stopped, nothing is published; until the SQLite file is free the day is shown as running"
            );
            return Ok(outcome);
        }
        Err(error)
    }

    /// What a problem means for the day.
    fn outcome(&self, claim: &Claim, problem: StepError) -> LoadOutcome {
        let policy = &self.pipeline.job.dataset.policy;
        let failed = |error: LoadError| LoadOutcome::Failed {
            error,
            attempts_left: policy.retry.max_attempts.saturating_sub(claim.attempt),
            retry_in: policy.retry.delay(claim.attempt, fastrand::f64()),
        };
        match problem {
            StepError::Lost => LoadOutcome::Lost,
            StepError::NotThere { url, why } if !claim.is_reload() => {
                LoadOutcome::Waiting { url, why, again: false, retry_in: policy.waiting.poll }
            }
            // A loaded day waits for nothing: what was asked for cannot be done.
            StepError::NotThere { .. } | StepError::Stopped(Some(StopReason::TookTooLong(_))) => {
                failed(LoadError::new(problem.to_string()))
            }
            StepError::Source(error) | StepError::Fault(error) => failed(LoadError::new(error)),
            StepError::Unavailable(error) => LoadOutcome::Unavailable(error),
            StepError::Refused { error, first } => {
                let in_full = with_first(&error, first.as_deref());
                LoadOutcome::Refused { error: LoadError { message: error, in_full }, file: self.refused_file() }
            }
            StepError::Unchanged => LoadOutcome::Unchanged { tag: self.pipeline.file.as_ref().map(FileInfo::tag) },
            StepError::Stopped(None) => LoadOutcome::Interrupted,
            StepError::Stopped(Some(StopReason::Cancelled(by))) => {
                LoadOutcome::Cancelled { by, retry_in: policy.retry.first_delay }
            }
            // The other days are not held up, and the file is not read again and again in vain.
            StepError::Db(error) if self.is_only_the_days(&error) => LoadOutcome::Blocked {
                error: of_database(&error),
                attempts_left: policy.retry.max_attempts.saturating_sub(claim.attempt.saturating_sub(1)),
                retry_in: policy.retry.max_delay,
            },
            StepError::Db(error) if !error.costs_an_attempt() => database_failed(&error),
            StepError::Db(error) => failed(of_database(&error)),
        }
    }

    /// True for what a person has to change in the database, and which keeps this day from being loaded, not the dataset:
    /// its target fits, as the look at it says that every day's load begins with. The look reads no file.
    fn is_only_the_days(&self, error: &DbError) -> bool {
        let Pipeline { context, job, .. } = self.pipeline;
        let fits = |conn: &mut Conn| matches!(target::examine(conn, &job.dataset), Ok(Readiness::Ready));
        error.stands_for_a_day()
            || error.stands_until_changed() && context.database.conn().is_ok_and(|mut conn| fits(&mut conn))
    }

    /// The file that was opened, for a later look to tell whether it is still the same.
    fn refused_file(&self) -> Option<RefusedFile> {
        let file = self.pipeline.file.as_ref()?;
        Some(RefusedFile {
            bytes: file.bytes.and_then(|bytes| i64::try_from(bytes).ok()),
            modified: file.modified,
            hash: self.pipeline.hash.clone(),
            tag: file.tag(),
        })
    }

    fn write_end(
        &self,
        conn: Option<Conn>,
        claim: &Claim,
        outcome: &LoadOutcome,
        mut rejects: Option<&mut RejectSpool>,
    ) -> Result<Option<LoadOutcome>, DbError> {
        let Pipeline { context, measured, log, .. } = &self.pipeline;
        if let Some(mut conn) = conn {
            match claim::end(&mut conn, claim, outcome, measured, log, rejects.as_deref_mut()) {
                // Another connection would wait for the same lock.
                Err(error) if error.is_the_databases_own() && !error.is_of_a_held_file() => {}
                written => return written,
            }
        }
        let database = &context.database;
        // Who stops does not wait for a database that is gone.
        let mut conn = if context.stop.is_abandoned() { database.conn_at_once()? } else { database.conn()? };
        claim::end(&mut conn, claim, outcome, measured, log, rejects)
    }
}

/// The states before the claim and after an attempt that ended so.
fn change_by(claim: &Claim, outcome: &LoadOutcome) -> StateChange {
    StateChange { from: claim.state_before(), to: claim.state_after(outcome) }
}

/// What the database said: in the log without the values of rows, which the row of the day may hold.
fn of_database(error: &DbError) -> LoadError {
    LoadError { message: error.to_string(), in_full: error.in_full() }
}

fn database_failed(error: &DbError) -> LoadOutcome {
    let scope = if error.is_unreachable() {
        FailureScope::Unreachable
    } else if error.stands_until_changed() {
        FailureScope::UntilChanged
    } else {
        FailureScope::Passing
    };
    LoadOutcome::DatabaseFailed { error: of_database(error), scope }
}
