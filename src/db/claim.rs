//! Claims: the right of one process to work on a day for now.
//!
//! A claim is a random token in the day's row with a lease by the database's clock. Each function here is one
//! transaction of its own and durable when it returns; publishing, which ends a claim with success, is in `publish`.

use std::time::Duration;

use crate::dataset::DatasetName;
use crate::day::Day;
use crate::db::attempt_log::AttemptLog;
use crate::db::attempts::{self, AttemptOutcome, Measured, Trigger};
use crate::db::columns::Timestamp;
use crate::db::day_action;
use crate::db::days::{self, ProcessedDay};
use crate::db::error::DbError;
use crate::db::missing_files::{next_look, storable};
use crate::db::pool::Conn;
use crate::db::rejects::{self, RejectSpool};
use crate::db::worker::Worker;
use crate::load_outcome::LoadOutcome;
use crate::plan::{self, Decision, Known, LoadMode, Owner, Reason, SkipReason};
use crate::policy::Policy;
use crate::state::State;

/// What is wanted of a day.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// The dataset.
    pub dataset: &'a DatasetName,
    /// The day.
    pub day: Day,
    /// The worker that asks.
    pub worker: &'a Worker,
    /// How long the claim holds without a heartbeat.
    pub lease: Duration,
    /// What made the load begin.
    pub trigger: Trigger,
    /// How the day is asked for.
    pub ask: LoadMode,
    /// How days are tried again and waited for.
    pub policy: &'a Policy,
    /// The file was just seen to be there: a day that waited for it need not look again.
    pub file_seen: bool,
}

/// What a request came to.
#[derive(Debug)]
pub enum ClaimResult {
    /// The day is ours.
    Claimed(Box<Claim>),
    /// The day waits for its file, or was given up: look whether it is there before asking again.
    LookFirst,
    /// It is left alone.
    Left {
        /// Why.
        leave: SkipReason,
        /// Its state; `None` is missing.
        state: Option<State>,
    },
    /// Its process was gone with nothing more to try; it moved to that state.
    Settled(State),
}

/// A claim on a day, held by this process.
#[derive(Debug)]
pub struct Claim {
    /// The token that publishing proves.
    pub token: String,
    /// Which attempt of the series this is, from 1.
    pub attempt: u32,
    /// It was another process's, which is gone.
    pub taken_over: bool,
    /// The row as it was written with the claim.
    pub(super) row: ProcessedDay,
    /// The row to go back to when the attempt does not count; `None` when the day was missing.
    prior: Option<ProcessedDay>,
}

impl Claim {
    /// SHA-256 of the file that was loaded or refused before, where that is known.
    #[must_use]
    pub fn known_hash(&self) -> Option<&str> {
        self.prior.as_ref().and_then(|prior| prior.source_hash.as_deref())
    }

    /// True when the target holds the day's rows from an earlier load.
    #[must_use]
    pub fn is_reload(&self) -> bool {
        self.row.in_target()
    }

    /// The day's state before it was claimed; `None` is missing.
    #[must_use]
    pub fn state_before(&self) -> Option<State> {
        self.prior.as_ref().map(|prior| prior.state)
    }

    /// The day's state after an attempt that ended so; `None` is missing.
    #[must_use]
    pub fn state_after(&self, outcome: &LoadOutcome) -> Option<State> {
        outcome.state_after(self.state_before(), self.is_reload())
    }
}

/// How often the row of a day that nobody has claimed is asked for while another transaction holds it, and the pause
/// between: whoever is about to claim it, or has just ended with it, holds it for some milliseconds.
const LOCK_TRIES: u32 = 10;
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// Asks for a day. A row that another transaction holds is not waited for: who holds it is at work on the day.
///
/// # Errors
/// A [`DbError`]; nothing is claimed then.
pub fn claim(conn: &mut Conn, request: Request<'_>) -> Result<ClaimResult, DbError> {
    let Request { ask, policy, .. } = request;
    conn.transaction(|conn| {
        conn.commit_in_background()?;
        let now = conn.now()?;
        let row = match lock(conn, request)? {
            Ok(row) => row,
            Err(leave) => return Ok(ClaimResult::Left { leave, state: Some(State::Running) }),
        };
        let Some(row) = row else {
            if let Decision::Skip(leave) = plan::decide(None, ask, *now, policy) {
                return Ok(ClaimResult::Left { leave, state: None });
            }
            return claim_missing(conn, request, now);
        };
        let uncounted = row.state == State::Running && attempts::is_uncounted(conn, &row)?;
        let row = ProcessedDay { attempts: row.attempts - i32::from(uncounted), ..row };
        let known = row.known(conn, now)?;
        // In this process's own hands a day has a living owner, whatever became of the lease: another lane is at it.
        let ours = row.claim.as_deref().is_some_and(|token| request.worker.holds(token));
        let known = Known { owner: if ours { Owner::Here } else { known.owner }, ..known };
        match plan::decide(Some(&known), ask, *now, policy) {
            Decision::Load(Reason::Waiting | Reason::Absent) if !request.file_seen => Ok(ClaimResult::LookFirst),
            Decision::Skip(leave) => Ok(ClaimResult::Left { leave, state: Some(row.state) }),
            Decision::Settle(state) => {
                attempts::lost(conn, &row, now)?;
                days::save(conn, &ProcessedDay { finished_at: Some(now), ..day_action::abandoned(row) })?;
                Ok(ClaimResult::Settled(state))
            }
            Decision::Load(_) => claim_row(conn, request, row, now),
        }
    })
}

/// Locks the day's row, if it has one; or why the day is left alone.
fn lock(conn: &mut Conn, request: Request<'_>) -> Result<Result<Option<ProcessedDay>, SkipReason>, DbError> {
    let (dataset, day) = (request.dataset.as_str(), request.day);
    for _ in 0..LOCK_TRIES {
        if let Some(row) = days::lock(conn, dataset, day, false)? {
            return Ok(Ok(Some(row)));
        }
        if let Some(leave) = at_work(conn, request)? {
            return Ok(Err(leave));
        }
        if days::state_of(conn, dataset, day)?.is_none() {
            return Ok(Ok(None));
        }
        std::thread::sleep(LOCK_PAUSE);
    }
    Ok(Err(SkipReason::Busy))
}

/// Why a day is left alone whose row another transaction holds; `None` where nobody has claimed it.
fn at_work(conn: &mut Conn, request: Request<'_>) -> Result<Option<SkipReason>, DbError> {
    let token = days::claim_on(conn, request.dataset.as_str(), request.day)?;
    Ok(token.map(|token| if request.worker.holds(&token) { SkipReason::Here } else { SkipReason::Busy }))
}

fn claim_missing(conn: &mut Conn, request: Request<'_>, now: Timestamp) -> Result<ClaimResult, DbError> {
    let empty = ProcessedDay::new(request.dataset, request.day, State::Running);
    let claim = Claim::new(request, empty, None, now);
    // Somebody else may have claimed the day since the look above; then that row is there and stays.
    if !days::insert(conn, &claim.row)? {
        let leave = at_work(conn, request)?.unwrap_or(SkipReason::Busy);
        return Ok(ClaimResult::Left { leave, state: Some(State::Running) });
    }
    attempts::begin(conn, &claim.row, request.trigger, now)?;
    Ok(ClaimResult::Claimed(Box::new(claim)))
}

fn claim_row(conn: &mut Conn, request: Request<'_>, row: ProcessedDay, now: Timestamp) -> Result<ClaimResult, DbError> {
    let taken_over = row.state == State::Running;
    let prior = if taken_over {
        attempts::lost(conn, &row, now)?;
        day_action::abandoned(row)
    } else {
        row
    };
    // A reload of a loaded day begins a new series of attempts, and so do another file and a retry.
    let anew = prior.state == State::Loaded || matches!(request.ask, LoadMode::Changed | LoadMode::Retry(_));
    let begun = if anew { 0 } else { prior.attempts };
    let claim = Claim::new(request, ProcessedDay { attempts: begun, ..prior.clone() }, Some(prior), now);
    let claim = Claim { taken_over, ..claim };
    days::save(conn, &claim.row)?;
    attempts::begin(conn, &claim.row, request.trigger, now)?;
    Ok(ClaimResult::Claimed(Box::new(claim)))
}

impl Claim {
    fn new(request: Request<'_>, row: ProcessedDay, prior: Option<ProcessedDay>, now: Timestamp) -> Self {
        let token = uuid::Uuid::new_v4().to_string();
        // What the attempt before found is not so any more; what is of the rows in the target is.
        let (rows_read, rows_rejected) =
            if row.in_target() { (row.rows_read, row.rows_rejected) } else { (None, None) };
        let row = ProcessedDay {
            state: State::Running,
            attempts: row.attempts + 1,
            worker: Some(request.worker.id().to_owned()),
            claim: Some(token.clone()),
            lease_until: Some(now + request.lease),
            next_attempt_at: None,
            started_at: Some(now),
            finished_at: None,
            rows_read,
            rows_rejected,
            error: None,
            // Why it was skipped; it is not any more.
            note: None,
            waiting_since: None,
            ..if row.in_target() { row } else { row.without_file() }
        };
        Self { token, attempt: row.attempts.unsigned_abs(), taken_over: false, row, prior }
    }
}

/// Ends a claim without publishing, with what was told of the attempt, and its rejects where there are any. Nothing is
/// written when the claim has ended before; what is returned then is how: [`LoadOutcome::Loaded`] where only the answer
/// to the commit was lost, [`LoadOutcome::Lost`] where another process has the day.
///
/// # Errors
/// A [`DbError`]; the claim then ends with its lease, or with this process.
pub fn end(
    conn: &mut Conn,
    claim: &Claim,
    outcome: &LoadOutcome,
    measured: &Measured,
    log: &AttemptLog,
    rejects: Option<&mut RejectSpool>,
) -> Result<Option<LoadOutcome>, DbError> {
    conn.transaction(|conn| {
        conn.commit_on_this_server()?;
        let now = conn.now()?;
        let row = days::lock(conn, &claim.row.dataset, claim.row.day, true)?;
        if row.is_none_or(|row| row.claim.as_deref() != Some(&claim.token)) {
            return attempts::ended(conn, &claim.token);
        }
        match row_after(claim, outcome, measured, now) {
            Some(row) => days::save(conn, &row)?,
            None => days::remove(conn, &claim.row.dataset, claim.row.day)?,
        }
        let token = &claim.token;
        let end = |conn: &mut Conn, how, error: Option<&str>| {
            attempts::end(conn, token, how, measured, log.stored().as_deref(), error, now)
        };
        let error = outcome.error().map(|error| storable(&error.in_full));
        match outcome {
            LoadOutcome::Failed { .. } => end(conn, AttemptOutcome::Failed, error.as_deref())?,
            LoadOutcome::Refused { .. } => end(conn, AttemptOutcome::Refused, error.as_deref())?,
            LoadOutcome::Blocked { .. } | LoadOutcome::DatabaseFailed { .. } => {
                end(conn, AttemptOutcome::Database, error.as_deref())?;
            }
            LoadOutcome::Interrupted => end(conn, AttemptOutcome::Interrupted, None)?,
            LoadOutcome::Cancelled { by, .. } => {
                let error = format!("{}{}", attempts::CANCELLED, storable(by));
                end(conn, AttemptOutcome::Interrupted, Some(&error))?;
            }
            LoadOutcome::Waiting { .. }
            | LoadOutcome::Unchanged { .. }
            | LoadOutcome::Unavailable(_)
            | LoadOutcome::Loaded
            | LoadOutcome::Absent { .. }
            | LoadOutcome::Left(_)
            | LoadOutcome::Settled(_)
            | LoadOutcome::Lost => attempts::take_back(conn, token)?,
        }
        // Those of a loaded day belong to the file that is loaded.
        if let Some(rejects) = rejects
            && !claim.is_reload()
        {
            rejects::replace(conn, &claim.row.dataset, claim.row.day, rejects)?;
        }
        Ok(None)
    })
}

/// The day's row after a claim that published nothing; `None`: the day is missing again. A day that is in the target
/// stays loaded as it was, whatever happened to its reload.
fn row_after(claim: &Claim, outcome: &LoadOutcome, measured: &Measured, now: Timestamp) -> Option<ProcessedDay> {
    if outcome.day_move().is_none() {
        return claim.prior.clone().map(|prior| match outcome {
            // It would be due at once, and whoever cancelled it would see it begin anew.
            LoadOutcome::Cancelled { retry_in, .. } => {
                ProcessedDay { next_attempt_at: prior.next_attempt_at.map(|at| at.max(now + *retry_in)), ..prior }
            }
            LoadOutcome::Unchanged { tag } => ProcessedDay { source_etag: tag.clone(), newer_etag: None, ..prior },
            _ => prior,
        });
    }
    let state = claim.state_after(outcome)?;
    if state == State::Loaded {
        return claim.prior.clone().map(|prior| match outcome {
            // So that the same file is not tried again by itself.
            LoadOutcome::Refused { file: Some(file), .. } => {
                ProcessedDay { newer_etag: Some(file.tag.clone()), ..prior }
            }
            _ => prior,
        });
    }
    let error = outcome.error().map(|error| storable(&error.in_full));
    let row = ProcessedDay { finished_at: Some(now), error, ..claim.row.clone().unclaimed(state) };
    let attempts = if outcome.counts() { row.attempts } else { claim.prior.as_ref().map_or(0, |prior| prior.attempts) };
    let row = ProcessedDay { attempts, ..row };
    Some(match outcome {
        LoadOutcome::Waiting { url, why, retry_in, .. } => {
            let waited = claim.prior.as_ref().filter(|prior| prior.state == State::Waiting);
            ProcessedDay {
                next_attempt_at: Some(next_look(now, *retry_in)),
                source_url: Some(url.clone()),
                error: Some(storable(why)),
                waiting_since: waited.and_then(|prior| prior.waiting_since).or(Some(now)),
                ..row
            }
        }
        LoadOutcome::Failed { retry_in, .. } => {
            ProcessedDay { next_attempt_at: retry_in.map(|delay| now + delay), ..row }
        }
        LoadOutcome::Blocked { retry_in, .. } => ProcessedDay { next_attempt_at: Some(now + *retry_in), ..row },
        LoadOutcome::Refused { file, .. } => ProcessedDay {
            rows_read: measured.rows_read,
            rows_rejected: measured.rows_rejected,
            source_etag: file.as_ref().map(|file| file.tag.clone()),
            source_bytes: file.as_ref().and_then(|file| file.bytes),
            source_modified: file.as_ref().map(|file| file.modified.into()),
            source_hash: file.as_ref().and_then(|file| file.hash.clone()),
            ..row
        },
        _ => row,
    })
}
