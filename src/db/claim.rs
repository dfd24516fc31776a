//! Claims: the right of one process to work on a day for now.
//!
//! A claim is a random token in the day's row with a lease by the database's clock. Each function here is one
//! transaction of its own and durable when it returns; publishing, which ends a claim with success, is in `publish`.

use std::time::Duration;

use crate::dataset::DatasetName;
use crate::day::Day;
use crate::db::attempt_log::AttemptLog;
pub use crate::db::attempts::ClaimEnd;
use crate::db::attempts::{self, AttemptOutcome, Measured, Trigger};
use crate::db::columns::Timestamp;
use crate::db::day_action;
use crate::db::days::{self, ProcessedDay};
use crate::db::error::DbError;
use crate::db::missing_files::next_look;
use crate::db::pool::Conn;
use crate::db::rejects::{self, RejectSpool};
use crate::db::worker::Worker;
use crate::plan::{self, Decision, Known, LoadMode, Owner, Reason, SkipReason};
use crate::policy::Policy;
use crate::state::{Move, State, after};

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
    /// It is left alone, and why.
    Left(SkipReason),
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
            Err(leave) => return Ok(ClaimResult::Left(leave)),
        };
        let Some(row) = row else {
            if let Decision::Skip(leave) = plan::decide(None, ask, *now, policy) {
                return Ok(ClaimResult::Left(leave));
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
            Decision::Skip(leave) => Ok(ClaimResult::Left(leave)),
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
        return Ok(ClaimResult::Left(at_work(conn, request)?.unwrap_or(SkipReason::Busy)));
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

/// A file that was refused, as far as it tells whether the source's file is still that one.
#[derive(Debug, Clone)]
pub struct RefusedFile {
    /// Its size, bytes as stored, where the server says it.
    pub bytes: Option<i64>,
    /// When it was last changed.
    pub modified: Timestamp,
    /// SHA-256 of its stored bytes; `None` where it was not read to its end.
    pub hash: Option<String>,
    /// What tells this version of it from others.
    pub tag: String,
}

/// How a claim ends when nothing is published.
#[derive(Debug)]
pub enum Ending {
    /// The file of a day that is not loaded is not there. Costs no attempt.
    Waiting {
        /// Where it was looked for.
        url: String,
        /// What was found instead.
        why: String,
        /// When to look again.
        look_again: Duration,
    },
    /// The attempt went wrong.
    Failed {
        /// What went wrong.
        error: String,
        /// When to try again; `None` when attempts are used up.
        try_again: Option<Duration>,
    },
    /// Something that only a person can change in the database keeps the day from being loaded. Costs no attempt.
    Blocked {
        /// What it is.
        error: String,
        /// When to try again.
        try_again: Duration,
    },
    /// A check said no.
    Refused {
        /// Which, and why.
        error: String,
        /// The file that was refused.
        file: Option<RefusedFile>,
    },
    /// The file is the one that was loaded or refused, under this tag by now. Costs no attempt.
    Unchanged {
        /// Its tag.
        tag: Option<String>,
    },
    /// The source cannot be asked now. Costs no attempt.
    Unavailable,
    /// It was stopped. Costs no attempt.
    Interrupted,
    /// Somebody cancelled it. Costs no attempt.
    Cancelled {
        /// Who, with the reason that was given.
        by: String,
        /// How long a day that was due by its own clock is left alone.
        again: Duration,
    },
    /// The database failed. Costs no attempt.
    Database {
        /// What it said.
        error: String,
    },
}

impl Ending {
    /// True when the attempt is given back.
    #[must_use]
    pub fn costs_no_attempt(&self) -> bool {
        !matches!(self, Self::Failed { .. } | Self::Refused { .. })
    }
}

/// Ends a claim without publishing, with what was told of the attempt, and its rejects where there are any. Nothing is
/// written when the claim has ended by now; the attempt then tells how.
///
/// # Errors
/// A [`DbError`]; the claim then ends with its lease, or with this process.
pub fn end(
    conn: &mut Conn,
    claim: &Claim,
    ending: &Ending,
    measured: &Measured,
    log: &AttemptLog,
    rejects: Option<&mut RejectSpool>,
) -> Result<ClaimEnd, DbError> {
    conn.transaction(|conn| {
        conn.commit_on_this_server()?;
        let now = conn.now()?;
        let row = days::lock(conn, &claim.row.dataset, claim.row.day, true)?;
        if row.is_none_or(|row| row.claim.as_deref() != Some(&claim.token)) {
            return attempts::ended(conn, &claim.token);
        }
        match after_ending(claim, ending, measured, now) {
            Some(row) => days::save(conn, &row)?,
            None => days::remove(conn, &claim.row.dataset, claim.row.day)?,
        }
        let end = |conn: &mut Conn, outcome, error: Option<&str>| {
            attempts::end(conn, &claim.token, outcome, measured, log.stored().as_deref(), error, now)
        };
        match ending {
            Ending::Waiting { .. } | Ending::Unchanged { .. } | Ending::Unavailable => {
                attempts::take_back(conn, &claim.token)?;
            }
            Ending::Failed { error, .. } => end(conn, AttemptOutcome::Failed, Some(error.as_str()))?,
            Ending::Blocked { error, .. } | Ending::Database { error } => {
                end(conn, AttemptOutcome::Database, Some(error.as_str()))?;
            }
            Ending::Refused { error, .. } => end(conn, AttemptOutcome::Refused, Some(error.as_str()))?,
            Ending::Interrupted => end(conn, AttemptOutcome::Interrupted, None)?,
            Ending::Cancelled { by, .. } => {
                end(conn, AttemptOutcome::Interrupted, Some(&format!("{}{by}", attempts::CANCELLED)))?;
            }
        }
        // Those of a loaded day belong to the file that is loaded.
        if let Some(rejects) = rejects
            && !claim.is_reload()
        {
            rejects::replace(conn, &claim.row.dataset, claim.row.day, rejects)?;
        }
        Ok(ClaimEnd::AsAsked)
    })
}

/// The day's row after a claim that published nothing; `None`: the day is missing again. A day that is in the target
/// stays loaded as it was, whatever happened to its reload.
fn after_ending(claim: &Claim, ending: &Ending, measured: &Measured, now: Timestamp) -> Option<ProcessedDay> {
    let moved = match ending {
        Ending::Unavailable | Ending::Interrupted | Ending::Database { .. } => return claim.prior.clone(),
        // It would be due at once, and whoever cancelled it would see it begin anew.
        Ending::Cancelled { again, .. } => {
            return claim.prior.clone().map(|prior| ProcessedDay {
                next_attempt_at: prior.next_attempt_at.map(|at| at.max(now + *again)),
                ..prior
            });
        }
        Ending::Unchanged { tag } => {
            return claim.prior.clone().map(|prior| ProcessedDay {
                source_etag: tag.clone(),
                newer_etag: None,
                ..prior
            });
        }
        Ending::Waiting { .. } => Move::FileMissing,
        Ending::Failed { .. } | Ending::Blocked { .. } => Move::Failed,
        Ending::Refused { .. } => Move::Refused,
    };
    let state = after(Some(State::Running), moved, claim.is_reload()).ok().flatten()?;
    if state == State::Loaded {
        return claim.prior.clone().map(|prior| match ending {
            // So that the same file is not tried again by itself.
            Ending::Refused { file: Some(file), .. } => ProcessedDay { newer_etag: Some(file.tag.clone()), ..prior },
            _ => prior,
        });
    }
    let row = ProcessedDay { finished_at: Some(now), ..claim.row.clone().unclaimed(state) };
    Some(match ending {
        Ending::Waiting { url, why, look_again } => {
            let waited = claim.prior.as_ref().filter(|prior| prior.state == State::Waiting);
            ProcessedDay {
                attempts: claim.prior.as_ref().map_or(0, |prior| prior.attempts),
                next_attempt_at: Some(next_look(now, *look_again)),
                source_url: Some(url.clone()),
                error: Some(why.clone()),
                waiting_since: waited.and_then(|prior| prior.waiting_since).or(Some(now)),
                ..row
            }
        }
        Ending::Failed { error, try_again } => {
            ProcessedDay { next_attempt_at: try_again.map(|delay| now + delay), error: Some(error.clone()), ..row }
        }
        Ending::Blocked { error, try_again } => ProcessedDay {
            attempts: claim.prior.as_ref().map_or(0, |prior| prior.attempts),
            next_attempt_at: Some(now + *try_again),
            error: Some(error.clone()),
            ..row
        },
        Ending::Refused { error, file } => ProcessedDay {
            rows_read: measured.rows_read,
            rows_rejected: measured.rows_rejected,
            error: Some(error.clone()),
            source_etag: file.as_ref().map(|file| file.tag.clone()),
            source_bytes: file.as_ref().and_then(|file| file.bytes),
            source_modified: file.as_ref().map(|file| file.modified),
            source_hash: file.as_ref().and_then(|file| file.hash.clone()),
            ..row
        },
        Ending::Unavailable
        | Ending::Interrupted
        | Ending::Cancelled { .. }
        | Ending::Database { .. }
        | Ending::Unchanged { .. } => row,
    })
}
