//! The rows of `processed_days`: reading and writing them.

use std::collections::BTreeMap;

use diesel::prelude::*;

use crate::dataset::{Dataset, DatasetName};
use crate::day::{Day, DayRange};
use crate::db::columns::Timestamp;
use crate::db::encoding::Texts;
use crate::db::error::{DbError, Doing};
use crate::db::pool::{Conn, on};
use crate::db::schema::processed_days;
use crate::db::worker_lock;
use crate::definition;
use crate::plan::{Known, Owner};
use crate::state::State;

/// One row of `processed_days`. All times are UTC, by the database's clock.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = processed_days, treat_none_as_null = true, treat_none_as_default_value = false)]
pub struct ProcessedDay {
    /// The dataset's name.
    pub dataset: String,
    /// The day.
    pub day: Day,
    /// Its state.
    pub state: State,
    /// Attempts begun in this series.
    pub attempts: i32,
    /// The worker that holds the claim.
    pub worker: Option<String>,
    /// The claim's token.
    pub claim: Option<String>,
    /// Until when the claim holds without a heartbeat.
    pub lease_until: Option<Timestamp>,
    /// When a waiting or failed day is due.
    pub next_attempt_at: Option<Timestamp>,
    /// The file that was loaded or last looked for.
    pub source_url: Option<String>,
    /// The loaded file's `ETag`; as the three that follow, that of the refused file where a day is refused.
    pub source_etag: Option<String>,
    /// The loaded file's size, bytes as stored.
    pub source_bytes: Option<i64>,
    /// When the loaded file was last changed.
    pub source_modified: Option<Timestamp>,
    /// SHA-256 of the loaded file's stored bytes.
    pub source_hash: Option<String>,
    /// SHA-256 of the dataset's definition that shaped the rows.
    pub definition_hash: Option<String>,
    /// When the target last took the day's rows.
    pub loaded_at: Option<Timestamp>,
    /// Rows in the file.
    pub rows_read: Option<i64>,
    /// Rows the dataset's filter left out.
    pub rows_filtered: Option<i64>,
    /// Rows that could not be taken, each counted as the lines of the file that it spans.
    pub rows_rejected: Option<i64>,
    /// Rows that passed the filter.
    pub rows_loaded: Option<i64>,
    /// When the last attempt began.
    pub started_at: Option<Timestamp>,
    /// When the last attempt ended.
    pub finished_at: Option<Timestamp>,
    /// What went wrong, for a person.
    pub error: Option<String>,
    /// What a person said.
    pub note: Option<String>,
    /// When the file of a waiting day was first looked for.
    pub waiting_since: Option<Timestamp>,
    /// The `ETag` of a newer file that was seen and is not loaded.
    pub newer_etag: Option<String>,
}

impl ProcessedDay {
    /// A row for a day that had none.
    pub(super) fn new(dataset: &DatasetName, day: Day, state: State) -> Self {
        Self {
            dataset: dataset.as_str().to_owned(),
            day,
            state,
            attempts: 0,
            worker: None,
            claim: None,
            lease_until: None,
            next_attempt_at: None,
            source_url: None,
            source_etag: None,
            source_bytes: None,
            source_modified: None,
            source_hash: None,
            definition_hash: None,
            loaded_at: None,
            rows_read: None,
            rows_filtered: None,
            rows_rejected: None,
            rows_loaded: None,
            started_at: None,
            finished_at: None,
            error: None,
            note: None,
            waiting_since: None,
            newer_etag: None,
        }
    }

    /// True when the target holds the day's rows.
    #[must_use]
    pub fn in_target(&self) -> bool {
        self.loaded_at.is_some()
    }

    /// The row without what is known of a file, which is that of a refused one where the target holds no rows.
    pub(super) fn without_file(self) -> Self {
        Self { source_etag: None, source_bytes: None, source_modified: None, source_hash: None, ..self }
    }

    /// The row after its claim ended.
    pub(super) fn unclaimed(self, state: State) -> Self {
        Self { state, worker: None, claim: None, lease_until: None, ..self }
    }

    /// What the plan wants to know of the row. `now` is the database's.
    pub(super) fn known(&self, conn: &mut Conn, now: Timestamp) -> Result<Known, DbError> {
        let brief = PlanRow {
            day: self.day,
            state: self.state,
            attempts: self.attempts,
            worker: self.worker.clone(),
            lease_until: self.lease_until,
            next_attempt_at: self.next_attempt_at,
            loaded_at: self.loaded_at,
        };
        brief.known(conn, now)
    }
}

/// What the plan wants to know of a row, as the table holds it.
#[derive(Debug, Queryable, Selectable)]
#[diesel(table_name = processed_days)]
struct PlanRow {
    day: Day,
    state: State,
    attempts: i32,
    worker: Option<String>,
    lease_until: Option<Timestamp>,
    next_attempt_at: Option<Timestamp>,
    loaded_at: Option<Timestamp>,
}

impl PlanRow {
    fn known(&self, conn: &mut Conn, now: Timestamp) -> Result<Known, DbError> {
        let running = self.state == State::Running;
        Ok(Known {
            state: self.state,
            attempts: u32::try_from(self.attempts).unwrap_or(0),
            in_target: self.loaded_at.is_some(),
            next_look: self.next_attempt_at.map(Into::into),
            owner: if running { self.owner(conn, now)? } else { Owner::Gone },
        })
    }

    /// What became of the process a running day belongs to.
    fn owner(&self, conn: &mut Conn, now: Timestamp) -> Result<Owner, DbError> {
        let Some(worker) = self.worker.as_deref() else { return Ok(Owner::Gone) };
        let leased = self.lease_until.is_some_and(|until| until > now) || worker_lock::is_leased_by_file(conn, worker)?;
        let alive = leased && worker_lock::may_be_alive(conn, worker)?;
        Ok(if alive { Owner::Alive } else { Owner::Gone })
    }
}

/// The rows of a dataset within a range, by day.
///
/// # Errors
/// A [`DbError`] when the database does not answer.
pub fn list(conn: &mut Conn, dataset: &str, range: Option<DayRange>) -> Result<Vec<ProcessedDay>, DbError> {
    on!(conn, c => {
        let mut rows = processed_days::table.filter(processed_days::dataset.eq(dataset)).into_boxed();
        if let Some(DayRange { from, to }) = range {
            rows = rows.filter(processed_days::day.between(from, to));
        }
        rows.order(processed_days::day).select(ProcessedDay::as_select()).load(c)
    })
    .doing("reading the processed days")
}

/// The rows of these days of a dataset, by day.
///
/// # Errors
/// A [`DbError`] when the database does not answer.
pub fn list_of(conn: &mut Conn, dataset: &str, days: &[Day]) -> Result<Vec<ProcessedDay>, DbError> {
    on!(conn, c => processed_days::table
        .filter(processed_days::dataset.eq(dataset))
        .filter(processed_days::day.eq_any(days))
        .order(processed_days::day)
        .select(ProcessedDay::as_select())
        .load(c))
    .doing("reading the processed days")
}

/// What the plan wants to know of a dataset's days within a range, and the database's clock when it was read.
///
/// Nearly all days are loaded, and that is all there is to know of them: the primary key's index has the days, and a
/// small one those that are not loaded. The rows themselves lie far apart, since those of one day are written together;
/// reading those of ten years took ten times as long. A day that moves between the two reads shows as it was before or
/// is after; whoever goes on to claim it sees its row.
///
/// # Errors
/// A [`DbError`] when the database does not answer.
pub fn known(
    conn: &mut Conn,
    dataset: &DatasetName,
    DayRange { from, to }: DayRange,
) -> Result<(BTreeMap<Day, Known>, Timestamp), DbError> {
    let within = || {
        processed_days::table
            .filter(processed_days::dataset.eq(dataset.as_str()))
            .filter(processed_days::day.between(from, to))
    };
    // Written out as the index's condition is: SQLite uses a partial index for the very same words only.
    let not_loaded = diesel::dsl::sql::<diesel::sql_types::Bool>("state <> 'loaded'");
    let days: Vec<Day> =
        on!(conn, c => within().select(processed_days::day).load(c)).doing("reading the processed days")?;
    let others: Vec<PlanRow> = on!(conn, c => within().filter(not_loaded).select(PlanRow::as_select()).load(c))
        .doing("reading the processed days")?;
    let now = conn.now()?;
    let mut known: BTreeMap<Day, Known> = days.into_iter().map(|day| (day, Known::LOADED)).collect();
    for row in others {
        known.insert(row.day, row.known(conn, now)?);
    }
    Ok((known, now))
}

/// Days whose hash is of a form that can no longer be compared.
fn of_older_form() -> diesel::dsl::NotLike<processed_days::definition_hash, String> {
    processed_days::definition_hash.not_like(format!("{}%", definition::FORM))
}

/// How many days of the dataset brought rows to its target by its present definition, and the first and last of them.
///
/// # Errors
/// A [`DbError`] when the database does not answer.
pub(super) fn with_rows(conn: &mut Conn, dataset: &Dataset) -> Result<Option<(i64, DayRange)>, DbError> {
    use diesel::dsl::{count_star, max, min};
    let (number, from, to): (i64, Option<Day>, Option<Day>) = on!(conn, c => processed_days::table
        .filter(processed_days::dataset.eq(dataset.name.as_str()))
        .filter(processed_days::definition_hash.eq(definition::hash(dataset)).or(of_older_form()))
        .filter(processed_days::rows_loaded.gt(0))
        .select((count_star(), min(processed_days::day), max(processed_days::day)))
        .get_result(c))
    .doing("counting the days with rows in the target")?;
    Ok(from.zip(to).map(|(from, to)| (number, DayRange { from, to })))
}

/// The days that are loaded by the dataset's present definition, with rows, oldest first.
///
/// # Errors
/// A [`DbError`] when the database does not answer.
pub(super) fn all_with_rows(conn: &mut Conn, dataset: &Dataset) -> Result<Vec<Day>, DbError> {
    let days: Vec<Day> = on!(conn, c => processed_days::table
        .filter(processed_days::dataset.eq(dataset.name.as_str()))
        .filter(processed_days::state.eq("loaded"))
        .filter(processed_days::definition_hash.eq(definition::hash(dataset)).or(of_older_form()))
        .filter(processed_days::rows_loaded.gt(0))
        .order(processed_days::day)
        .select(processed_days::day)
        .load(c))
    .doing("reading the days with rows in the target")?;
    Ok(days.into_iter().collect())
}

/// A day that a process is loading, that waits, or that failed.
#[derive(Debug)]
pub struct OpenDayRow {
    /// The dataset's name, as the table has it.
    pub dataset: String,
    /// The day.
    pub day: Day,
    /// The worker that holds it, where one does.
    pub worker: Option<String>,
    /// What the plan wants to know of it.
    pub known: Known,
}

/// The days of all datasets that are running, waiting or failed, and the database's clock when they were read.
///
/// # Errors
/// A [`DbError`] when the database does not answer.
pub fn open(conn: &mut Conn) -> Result<(Vec<OpenDayRow>, Timestamp), DbError> {
    // Written out as the index's condition is: SQLite uses a partial index for the very same words only.
    let is_open = diesel::dsl::sql::<diesel::sql_types::Bool>("state in ('running', 'waiting', 'failed')");
    let rows: Vec<(String, PlanRow)> = on!(conn, c => processed_days::table
        .filter(is_open)
        .select((processed_days::dataset, PlanRow::as_select()))
        .order((processed_days::dataset, processed_days::day))
        .load(c))
    .doing("reading the open days")?;
    let now = conn.now()?;
    let open: Result<_, DbError> = rows
        .into_iter()
        .map(|(dataset, row)| {
            let known = row.known(conn, now)?;
            Ok(OpenDayRow { dataset, day: row.day, worker: row.worker, known })
        })
        .collect();
    Ok((open?, now))
}

/// Reads a day's row and holds it against other transactions until this one ends. PostgreSQL: with `wait` it waits for
/// another that holds the row; without, the row is passed over. SQLite's transaction holds the whole file.
pub(super) fn lock(conn: &mut Conn, dataset: &str, day: Day, wait: bool) -> Result<Option<ProcessedDay>, DbError> {
    let row = processed_days::table.find((dataset, day));
    match conn {
        Conn::Postgres(handle) if wait => row.select(ProcessedDay::as_select()).for_update().first(handle.get()),
        Conn::Postgres(handle) => row.select(ProcessedDay::as_select()).for_update().skip_locked().first(handle.get()),
        Conn::Sqlite(handle) => row.select(ProcessedDay::as_select()).first(handle.get()),
    }
    .optional()
    .doing("locking the day's row")
}

/// The day's state, its row locked or not; `None` is missing.
pub(super) fn state_of(conn: &mut Conn, dataset: &str, day: Day) -> Result<Option<State>, DbError> {
    let row = processed_days::table.find((dataset, day));
    let state: Option<State> =
        on!(conn, c => row.select(processed_days::state).first(c).optional()).doing("looking for the day's row")?;
    Ok(state)
}

/// The token of the claim on the day, its row locked or not; `None` where nobody has claimed it.
pub(super) fn claim_on(conn: &mut Conn, dataset: &str, day: Day) -> Result<Option<String>, DbError> {
    let row = processed_days::table.find((dataset, day));
    let token = on!(conn, c => row.select(processed_days::claim).first::<Option<String>>(c).optional());
    Ok(token.doing("looking for the day's row")?.flatten())
}

/// The row with its texts as the database can store them: files, servers and persons may use characters that it lacks.
fn storable(conn: &mut Conn, row: &ProcessedDay) -> Result<ProcessedDay, DbError> {
    let (mut row, mut texts) = (row.clone(), Texts::default());
    for text in [&mut row.source_url, &mut row.source_etag, &mut row.error, &mut row.note, &mut row.newer_etag] {
        *text = text.take().map(|text| texts.storable(conn, text)).transpose()?;
    }
    Ok(row)
}

/// Writes a new row; false when the day has one by now.
pub(super) fn insert(conn: &mut Conn, row: &ProcessedDay) -> Result<bool, DbError> {
    let row = &storable(conn, row)?;
    let inserted = on!(conn, c => diesel::insert_into(processed_days::table)
        .values(row)
        .on_conflict_do_nothing()
        .execute(c));
    Ok(inserted.doing("writing the day's row")? == 1)
}

/// Writes every column of a row that is there.
pub(super) fn save(conn: &mut Conn, row: &ProcessedDay) -> Result<(), DbError> {
    let row = &storable(conn, row)?;
    let same = processed_days::table.find((&row.dataset, row.day));
    on!(conn, c => diesel::update(same).set(row).execute(c)).doing("writing the day's row").map(drop)
}

/// Takes a row away.
pub(super) fn remove(conn: &mut Conn, dataset: &str, day: Day) -> Result<(), DbError> {
    let row = processed_days::table.find((dataset, day));
    on!(conn, c => diesel::delete(row).execute(c)).doing("removing the day's row").map(drop)
}
