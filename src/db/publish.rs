//! Publishing: moving a staged day into the target together with the day's state, in one transaction.

use chrono::NaiveDateTime;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text};

use crate::audit::{Passed, TooManyRejected, audit};
use crate::column::Identifier;
use crate::dataset::Mode;
use crate::day::Day;
use crate::db::attempt_log::AttemptLog;
use crate::db::attempts::{self, Measured, Outcome};
use crate::db::claim::Claim;
use crate::db::days::{self, ProcessedDay};
use crate::db::error::{DbError, Doing};
use crate::db::pool::{Conn, on};
use crate::db::rejects;
use crate::db::stage::StagedDay;
use crate::state::{Move, State, after};
use crate::validate::Reject;
use crate::wording::counted;

/// The file that a day was staged from.
#[derive(Debug, Clone)]
pub struct Origin {
    /// Where it is.
    pub url: String,
    /// Its `ETag`, where the source gives one.
    pub etag: Option<String>,
    /// Its size, bytes as stored.
    pub bytes: u64,
    /// When it was last changed, UTC.
    pub modified: NaiveDateTime,
    /// SHA-256 of its stored bytes.
    pub hash: String,
    /// SHA-256 of the dataset's definition.
    pub definition_hash: String,
}

/// Nothing was published; the target is as it was.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The claim is no longer ours: another process took the day over.
    #[error("the claim was lost to another process")]
    Lost,
    /// With the rows whose key comes twice, too many are rejected.
    #[error(transparent)]
    Refused(#[from] TooManyRejected),
    /// The database failed.
    #[error(transparent)]
    Db(#[from] DbError),
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
    origin: &Origin,
    measured: &mut Measured,
    log: &mut AttemptLog,
) -> Result<(), PublishError> {
    let began = std::time::Instant::now();
    conn.keep_pages(PUBLISHING_KIB)?;
    let published = conn.transaction(|conn| {
        let held = days::lock(conn, &claim.row.dataset, claim.row.day, true)?;
        if held.is_none_or(|row| row.claim.as_deref() != Some(&claim.token)) {
            return Err(PublishError::Lost);
        }
        let loaded = write_target(conn, claim, staged)?;
        let now = conn.now()?;
        rejects::replace(conn, &claim.row.dataset, claim.row.day, &mut staged.rejects)?;
        measured.rows_read = Some(signed(staged.counts.read));
        measured.rows_rejected = Some(signed(staged.counts.rejected));
        measured.rows_filtered = Some(signed(staged.counts.read - staged.counts.rejected) - loaded);
        measured.rows_loaded = Some(loaded);
        measured.publish_ms = i64::try_from(began.elapsed().as_millis()).ok();
        log.line(format_args!("{} written to the target; committing", counted(loaded, "row")));
        attempts::end(conn, &claim.token, Outcome::Loaded, measured, log.stored(), None, now)?;
        days::save(conn, &loaded_row(claim, origin, measured, now))?;
        Ok(())
    });
    // What was published stays so, whatever becomes of the cache.
    drop(conn.keep_pages(USUAL_KIB));
    published
}

fn loaded_row(claim: &Claim, origin: &Origin, measured: &Measured, now: NaiveDateTime) -> ProcessedDay {
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

/// Writes the staged rows to the target; how many passed the filter. Doubled keys are looked for only when the database
/// trips over them, since files hardly ever have any; an upsert need not trip over them, so that they are looked for
/// first there.
fn write_target(conn: &mut Conn, claim: &Claim, staged: &mut StagedDay<'_>) -> Result<i64, PublishError> {
    let day = Day::new(claim.row.day);
    let mode = staged.dataset.target.mode;
    if mode == Mode::Upsert {
        reject_doubles(conn, day, staged)?;
    }
    let first_try = conn.savepoint(|conn| insert(conn, day, staged));
    let Err(error) = first_try else { return Ok(first_try?) };
    let doubles_possible = mode == Mode::ReplaceDay && !error.is_the_databases_own();
    if !doubles_possible || reject_doubles(conn, day, staged)? == 0 {
        return Err(error.into());
    }
    Ok(insert(conn, day, staged)?)
}

fn insert(conn: &mut Conn, day: Day, staged: &StagedDay<'_>) -> Result<i64, DbError> {
    let statements = conn.statements(staged.dataset);
    if staged.dataset.target.mode == Mode::ReplaceDay {
        conn.execute(&statements.delete_day(day), "taking the day's old rows out of the target")?;
        return conn.execute(&statements.insert(day), "writing rows to the target").map(signed);
    }
    conn.execute(&statements.insert(day), "writing rows to the target")?;
    // Rows that were there already count too, and the insert does not tell of them.
    count(conn, &statements.count(day))
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

fn count(conn: &mut Conn, sql: &str) -> Result<i64, DbError> {
    let counted: Count = on!(conn, c => diesel::sql_query(sql).get_result(c)).doing("counting staged rows")?;
    Ok(counted.count)
}

#[derive(QueryableByName)]
struct Double {
    #[diesel(sql_type = BigInt)]
    line: i64,
    #[diesel(sql_type = BigInt)]
    first_line: i64,
    #[diesel(sql_type = Nullable<Text>)]
    value: Option<String>,
}

/// Rejects each staged row whose key stands on an earlier line, and audits the day again; how many there were.
fn reject_doubles(conn: &mut Conn, day: Day, staged: &mut StagedDay<'_>) -> Result<u64, PublishError> {
    let statements = conn.statements(staged.dataset);
    for sql in statements.gather_doubles(day) {
        conn.batch(&sql, "looking for doubled keys")?;
    }
    let doubles = count(conn, &statements.count_doubles())?.unsigned_abs();
    if doubles == 0 {
        return Ok(0);
    }
    let first: Vec<Double> = on!(conn, c => diesel::sql_query(statements.first_doubles(rejects::KEPT)).load(c))
        .doing("reading the doubled keys")?;
    let kept = first.len() as u64;
    let key = staged.dataset.target.key.iter().map(Identifier::as_str).collect::<Vec<_>>().join(", ");
    for Double { line, first_line, value } in first {
        let reason = format!("is the key of line {first_line} already");
        let reject = Reject { line: line.unsigned_abs(), column: Some(key.clone()), value, reason };
        staged.keep(1, reject)?;
    }
    staged.counts.rejected += doubles - kept;
    audit(staged.counts, &staged.dataset.limits)?;
    conn.execute(&statements.remove_doubles(), "taking doubled keys out of the stage")?;
    Ok(doubles)
}
