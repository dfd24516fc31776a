//! Publishing: moving a staged day into the target together with the day's state, in one transaction.

use crate::audit::Passed;
use crate::dataset::{Dataset, Mode};
use crate::day::Day;
use crate::db::attempt_log::AttemptLog;
use crate::db::attempts::{self, AttemptOutcome, Measured};
use crate::db::bad_rows;
use crate::db::cancellation;
use crate::db::claim::Claim;
use crate::db::columns::Timestamp;
use crate::db::days::{self, ProcessedDay};
use crate::db::error::{CONSTRAINTS, DbError, WRITING};
use crate::db::pool::Conn;
use crate::db::rejects;
use crate::db::stage::StagedDay;
pub use crate::db::target_rows::PublishError;
use crate::db::target_rows::{
    broken_references, comparing_as_target, count, delete_day, has_trigger, no_more_broken_references, reject_doubles,
};
use crate::db::watchlist::Watched;
use crate::state::{Move, State, after};
use crate::wording::counted;

/// The file that a day was staged from.
#[derive(Debug, Clone)]
pub struct PublishedFile {
    /// Where it is.
    pub url: String,
    /// Its `ETag`, where the source gives one.
    pub etag: Option<String>,
    /// Its size, bytes as stored.
    pub bytes: u64,
    /// When it was last changed, UTC.
    pub modified: Timestamp,
    /// SHA-256 of its stored bytes.
    pub hash: String,
    /// SHA-256 of the dataset's definition.
    pub definition_hash: String,
}

/// What is known of the attempt that publishes.
pub struct PublishingAttempt<'a> {
    /// What was counted and timed.
    pub measured: &'a mut Measured,
    /// What is told of it.
    pub log: &'a AttemptLog,
    /// The connection as it is watched: what cancels its statements, until the commit is sent.
    pub watched: &'a Watched,
}

/// How much of a SQLite file publishing keeps in memory, since the rows of a day go all over the key's index, and how
/// much everything else does, which is SQLite's default: a daemon has many connections, each with memory of its own.
const PUBLISHING_KIB: u32 = 16_384;
const USUAL_KIB: u32 = 2_000;

/// Publishes a staged day: proves the claim and holds its row, writes the target, and last makes the day loaded and the
/// attempt complete. All of it is durable when this returns, or none.
///
/// The order matters: the day's row is locked first, so that a rival blocks there or finds the work done, and written
/// last, so that it never says more than the target holds.
///
/// # Errors
/// A [`PublishError`]; nothing was published then. After a lost connection the commit may have been carried out all the
/// same; the day's row tells.
pub fn publish(
    conn: &mut Conn,
    claim: &Claim,
    staged: &mut StagedDay<'_>,
    _passed: Passed,
    origin: &PublishedFile,
    attempt: PublishingAttempt<'_>,
) -> Result<(), PublishError> {
    let PublishingAttempt { measured, log, watched } = attempt;
    let began = std::time::Instant::now();
    let mut stored = None;
    conn.keep_pages(PUBLISHING_KIB)?;
    let published = conn.transaction(|conn| {
        let held = days::lock(conn, &claim.row.dataset, claim.row.day, true)?;
        if held.is_none_or(|row| row.claim.as_deref() != Some(&claim.token)) {
            return Err(PublishError::Lost);
        }
        // Where the file was waited for, the request may have come while nobody could look for it.
        if let Some((_, by)) = cancellation::of(conn, std::slice::from_ref(&claim.token))?.pop() {
            return Err(PublishError::Cancelled(by));
        }
        let WrittenRows { passed, loaded } =
            conn.on_targets(|conn| write_target(conn, claim.row.day, staged, log, watched))?;
        let now = conn.now()?;
        rejects::replace(conn, &claim.row.dataset, claim.row.day, &mut staged.rejects)?;
        measured.rows_read = Some(signed(staged.counts.read));
        measured.rows_rejected = Some(signed(staged.counts.rejected));
        measured.rows_filtered = Some(signed(staged.counts.read - staged.counts.rejected) - passed);
        measured.rows_loaded = Some(loaded);
        measured.publish_ms = i64::try_from(began.elapsed().as_millis()).ok();
        if loaded < passed {
            let rows = counted(passed, "row");
            log.line(format_args!(
                "{loaded} of {rows} inserted: a trigger or a rule of the target kept out the others"
            ));
        }
        log.line(format_args!("{} written to the target; committing", counted(loaded, "row")));
        stored = log.stored();
        attempts::end(conn, &claim.token, AttemptOutcome::Loaded, measured, stored.as_deref(), None, now)?;
        days::save(conn, &loaded_row(claim, origin, measured, now))?;
        // From here on nothing stops it: a commit that was sent may be carried out whatever becomes of its answer.
        if watched.seal() { Ok(()) } else { Err(PublishError::Stopped) }
    });
    // The commit itself may have waited, for a standby. That it is told of is worth no failure.
    if published.is_ok() && log.stored() != stored {
        drop(conn.transaction(|conn| attempts::save_log(conn, &claim.token, log.stored().as_deref())));
    }
    // What was published stays so, whatever becomes of the cache.
    drop(conn.keep_pages(USUAL_KIB));
    published
}

fn loaded_row(claim: &Claim, origin: &PublishedFile, measured: &Measured, now: Timestamp) -> ProcessedDay {
    let state = after(Some(State::Running), Move::Published, claim.is_reload()).ok().flatten();
    ProcessedDay {
        source_url: Some(origin.url.clone()),
        source_etag: origin.etag.clone(),
        source_bytes: Some(signed(origin.bytes)),
        source_modified: Some(origin.modified),
        source_hash: Some(origin.hash.clone()),
        definition_hash: Some(origin.definition_hash.clone()),
        loaded_at: Some(now),
        rows_read: measured.rows_read,
        rows_filtered: measured.rows_filtered,
        rows_rejected: measured.rows_rejected,
        rows_loaded: measured.rows_loaded,
        finished_at: Some(now),
        error: None,
        note: None,
        newer_etag: None,
        ..claim.row.clone().unclaimed(state.unwrap_or(State::Loaded))
    }
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// What became of the staged rows.
struct WrittenRows {
    /// How many passed the filter.
    passed: i64,
    /// How many of them the target took.
    loaded: i64,
}

/// Writes the staged rows to the target. Doubled keys, and rows that the database does not take, are looked for only
/// when it trips over one, since files hardly ever have any; an upsert need not trip over doubled keys, so that they are
/// looked for first there.
fn write_target(
    conn: &mut Conn,
    day: Day,
    staged: &mut StagedDay<'_>,
    log: &AttemptLog,
    watched: &Watched,
) -> Result<WrittenRows, PublishError> {
    let written = match write_whole(conn, day, staged) {
        Err(PublishError::Db(error)) if error.may_be_a_rows() => {
            log.line(format_args!("{error}; looking for the rows at fault"));
            let before = staged.counts.rejected;
            let written = bad_rows::write_others(conn, day, staged, watched)?;
            log.line(format_args!(
                "{} rejected while writing to the target",
                counted(staged.counts.rejected - before, "row")
            ));
            written
        }
        written => written?,
    };
    let accepted = signed(staged.counts.read - staged.counts.rejected);
    let statements = conn.statements(staged.dataset);
    // Counted by the filter, not by what the target took: a trigger may keep rows out. Where it took all, all passed.
    let is_sure =
        staged.dataset.rows.filter.is_none() || (written == accepted && staged.dataset.target.mode == Mode::ReplaceDay);
    let passed = if is_sure { accepted } else { count(conn, &statements.count(day))? };
    // Rows that were there already count too in the other modes, and the insert does not tell of them.
    let loaded = match staged.dataset.target.mode {
        Mode::ReplaceDay => standing(conn, day, staged.dataset, written, passed)?,
        _ if written < passed => passed - left_out(conn, day, staged.dataset)?,
        _ => passed,
    };
    Ok(WrittenRows { passed, loaded })
}

/// How many of the rows stand in the target after so many were written. A trigger may send them to tables that inherit
/// from it, which counts as none written; one that gives them another day is an error: no reload would delete them.
fn standing(conn: &mut Conn, day: Day, dataset: &Dataset, written: i64, passed: i64) -> Result<i64, DbError> {
    let table = &dataset.target.table;
    if passed == 0 || !has_trigger(conn, table, "insert")? {
        return Ok(written);
    }
    let count_day = conn.statements(dataset).count_day(day);
    match count(conn, &count_day)? {
        there if there < written => {
            Err(DbError::RowsMoved { table: table.to_string(), rows: counted(written - there, "row") })
        }
        there => Ok(there.min(passed)),
    }
}

/// How many staged rows a trigger kept out: their key is not in the target after they were written or, where a row is
/// updated, is there of an older day.
fn left_out(conn: &mut Conn, day: Day, dataset: &Dataset) -> Result<i64, DbError> {
    let (table, updates) = (&dataset.target.table, dataset.target.mode == Mode::Upsert);
    if !(has_trigger(conn, table, "insert")? || updates && has_trigger(conn, table, "update")?) {
        return Ok(0);
    }
    let key = comparing_as_target(conn, dataset)?;
    let count_left_out = conn.statements(dataset).count_left_out(day, &key);
    count(conn, &count_left_out)
}

fn write_whole(conn: &mut Conn, day: Day, staged: &mut StagedDay<'_>) -> Result<i64, PublishError> {
    if staged.dataset.target.mode == Mode::Upsert {
        reject_doubles(conn, day, staged)?;
    }
    Ok(conn.savepoint(|conn| insert(conn, day, staged.dataset))?)
}

/// Writes all staged rows at once, and holds what the database would check at the commit against them; how many were
/// written.
fn insert(conn: &mut Conn, day: Day, dataset: &Dataset) -> Result<i64, DbError> {
    if dataset.target.mode == Mode::ReplaceDay {
        delete_day(conn, day, dataset)?;
    }
    let broken = broken_references(conn, dataset)?;
    let insert = conn.statements(dataset).insert(day);
    let written = conn.execute(&insert, WRITING).map(signed)?;
    if let Conn::Postgres(_) = conn {
        conn.batch("set constraints all immediate", CONSTRAINTS)?;
    }
    no_more_broken_references(conn, dataset, broken)?;
    Ok(written)
}
