//! Clears rows of `load_attempts` that were kept for long enough, a batch at a time.

use chrono::TimeDelta;
use diesel::dsl::exists;
use diesel::prelude::*;

use crate::db::columns::Timestamp;
use crate::db::error::{DbError, Doing};
use crate::db::pool::{Conn, on};
use crate::db::schema::load_attempts;

/// How many attempts one batch looks at: it holds locks for milliseconds.
const BATCH: i64 = 500;

/// A walk through the attempts that are old enough to be cleared, the oldest first.
#[derive(Debug, Clone)]
pub struct OldAttempts {
    /// The age from which on they are cleared.
    keep: TimeDelta,
    /// The attempt that was looked at last: when it ended, and its claim.
    last: (Timestamp, String),
}

/// An attempt that is old enough.
struct OldAttempt {
    claim: String,
    ended: Timestamp,
    /// A newer attempt at the same day has ended, too.
    has_newer: bool,
}

impl OldAttempts {
    /// Those that ended at least that long ago by the database's clock.
    #[must_use]
    pub fn older_than(keep: TimeDelta) -> Self {
        Self { keep, last: (Timestamp::default(), String::new()) }
    }

    /// Clears those of the next batch; how many, or `None` when all were looked at. Attempts that run stay, and so does the
    /// last one of each day that ended: it tells how the day came to be as it is, however long ago that was.
    ///
    /// # Errors
    /// A [`DbError`]; nothing of the batch was cleared.
    pub fn clear_batch(&mut self, conn: &mut Conn) -> Result<Option<usize>, DbError> {
        let batch = self.next_batch(conn)?;
        let Some(last) = batch.last().map(|last| (last.ended, last.claim.clone())) else { return Ok(None) };
        let old: Vec<String> = batch.into_iter().filter(|old| old.has_newer).map(|old| old.claim).collect();
        // Most days have one attempt. Where there is nothing to clear, nothing is written, and SQLite's lock not taken.
        if !old.is_empty() {
            clear(conn, &old)?;
        }
        self.last = last;
        Ok(Some(old.len()))
    }

    /// The next batch. A newer attempt that still runs counts for none: it is taken back where there is no file.
    fn next_batch(&self, conn: &mut Conn) -> Result<Vec<OldAttempt>, DbError> {
        use load_attempts as la;
        let before = conn.now()? - self.keep;
        let (ended, claim) = &self.last;
        let newer = diesel::alias!(load_attempts as newer);
        let same_day = newer.field(la::dataset).eq(la::dataset).and(newer.field(la::day).eq(la::day));
        let same_start = newer.field(la::started_at).eq(la::started_at).and(newer.field(la::claim).gt(la::claim));
        let has_newer = exists(
            newer
                .filter(same_day)
                .filter(newer.field(la::started_at).gt(la::started_at).or(same_start))
                .filter(newer.field(la::finished_at).is_not_null()),
        );
        let rows: Vec<(String, Option<Timestamp>, bool)> = on!(conn, c => la::table
            .filter(la::finished_at.lt(before))
            .filter(la::finished_at.ge(ended))
            .filter(la::finished_at.gt(ended).or(la::claim.gt(claim)))
            .order((la::finished_at, la::claim))
            .limit(BATCH)
            .select((la::claim, la::finished_at, has_newer))
            .load(c))
        .doing("looking for attempts of long ago")?;
        let old =
            |(claim, ended, has_newer): (_, Option<_>, _)| ended.map(|ended| OldAttempt { claim, ended, has_newer });
        Ok(rows.into_iter().filter_map(old).collect())
    }
}

fn clear(conn: &mut Conn, claims: &[String]) -> Result<(), DbError> {
    conn.transaction(|conn| {
        // It waits for no standby, and what a crash of the server takes back is cleared the next time.
        conn.commit_in_background()?;
        let old = load_attempts::table.filter(load_attempts::claim.eq_any(claims));
        on!(conn, c => diesel::delete(old).execute(c)).doing("clearing attempts of long ago").map(drop)
    })
}
