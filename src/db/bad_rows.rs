//! Writes a staged day of which the database does not take every row: finds the rows at fault under savepoints, rejects
//! them against the dataset's limit, and writes the others. All of it inside the transaction that publishes; a day that
//! the database takes whole never comes here.

use diesel::prelude::*;
use diesel::sql_types::BigInt;

use crate::audit::audit;
use crate::dataset::{Mode, Target};
use crate::day::Day;
use crate::db::error::{COMPUTING, CONSTRAINTS, DbError, Doing, WRITING};
use crate::db::halving::{Lines, Trial, take_or_reject};
use crate::db::pool::{Conn, on};
use crate::db::refusal;
use crate::db::stage::StagedDay;
use crate::db::target_rows::{PublishError, broken_references, delete_day, no_more_broken_references, reject_doubles};
use crate::db::watchlist::Watched;
use crate::validate::Reject;

/// How many rows wait at most for rows that they refer to.
const MOST_WAITING: usize = 10_000;

/// What is tried with the staged rows.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum SearchStep {
    /// The filter and the derived columns are computed.
    Compute,
    /// They are written to the target.
    Write,
}

/// Writes all rows but those that the database does not take; how many were written.
///
/// # Errors
/// [`PublishError::Refused`] as soon as too many are rejected, [`PublishError::Stopped`] as soon as the load is to stop; an
/// error that is no row's fault as it is.
pub(super) fn write_others(
    conn: &mut Conn,
    day: Day,
    staged: &mut StagedDay<'_>,
    watched: &Watched,
) -> Result<i64, PublishError> {
    let statements = conn.statements(staged.dataset);
    conn.batch(&statements.index_stage(), "indexing the stage")?;
    let all = staged_lines(conn, &statements.staged_lines())?;
    let rows = &staged.dataset.rows;
    let computes = rows.filter.is_some() || !rows.derive.is_empty();
    let mut search = RowSearch::new(conn, day, staged, watched)?;
    if computes {
        take_or_reject(&mut search, all)?;
    }
    search.written = 0;
    search.step = SearchStep::Write;
    let mode = search.staged.dataset.target.mode;
    if mode != Mode::InsertNew {
        reject_doubles(search.conn, day, search.staged)?;
    }
    if mode == Mode::ReplaceDay {
        delete_day(search.conn, day, search.staged.dataset)?;
    }
    // What fails without any row is no row's fault.
    let nothing = search.statement(Lines::NONE);
    search.run(&nothing, WRITING).map_err(DbError::without_rows)?;
    take_or_reject(&mut search, all)?;
    search.settle()?;
    let RowSearch { written, .. } = search;
    if let Conn::Postgres(_) = conn {
        // Those of other tables that refer to the day's rows are met only when all of them are there.
        conn.batch("set constraints all immediate", CONSTRAINTS)?;
    }
    audit(staged.counts, &staged.dataset.limits)?;
    Ok(written)
}

#[derive(QueryableByName)]
struct StagedLines {
    #[diesel(sql_type = BigInt)]
    from: i64,
    #[diesel(sql_type = BigInt)]
    to: i64,
}

fn staged_lines(conn: &mut Conn, sql: &str) -> Result<Lines, DbError> {
    let StagedLines { from, to } =
        on!(conn, c => diesel::sql_query(sql).get_result(c)).doing("reading the stage's lines")?;
    Ok(Lines { from, to })
}

struct RowSearch<'s, 'd> {
    conn: &'s mut Conn,
    staged: &'s mut StagedDay<'d>,
    /// Tells when the load is to stop: a search may take far longer than a statement.
    watched: &'s Watched,
    day: Day,
    step: SearchStep,
    written: i64,
    /// Statements can report their errors' SQLSTATE.
    coded: bool,
    /// Holds the target's own deferred constraints against what was written.
    check_deferred: Option<String>,
    /// The target's rows may refer to each other, so that a row may have to wait for another.
    refers_to_itself: bool,
    /// Rows that refer to a row that is not there (yet).
    waiting: Vec<(i64, Reject)>,
}

impl<'s, 'd> RowSearch<'s, 'd> {
    fn new(conn: &'s mut Conn, day: Day, staged: &'s mut StagedDay<'d>, watched: &'s Watched) -> Result<Self, DbError> {
        let table = &staged.dataset.target.table;
        let doing = "reading the target's constraints";
        let (coded, check_deferred, refers_to_itself) = match conn {
            Conn::Postgres(handle) => (
                super::postgres::can_report_codes(handle.get()).doing(doing)?,
                super::postgres::check_deferred(handle.get(), table).doing(doing)?,
                super::postgres::refers_to_itself(handle.get(), table).doing(doing)?,
            ),
            Conn::Sqlite(handle) => (false, None, super::sqlite::refers_to_itself(handle.get(), table).doing(doing)?),
        };
        let (step, waiting) = (SearchStep::Compute, Vec::new());
        Ok(Self { conn, staged, watched, day, step, written: 0, coded, check_deferred, refers_to_itself, waiting })
    }

    fn statement(&self, lines: Lines) -> String {
        let statements = self.conn.statements(self.staged.dataset);
        match self.step {
            SearchStep::Compute => statements.compute(self.day, lines),
            SearchStep::Write => statements.insert_lines(self.day, lines),
        }
    }

    /// Runs a statement under a savepoint; the number of rows it touched.
    fn run(&mut self, sql: &str, doing: &'static str) -> Result<i64, DbError> {
        let Self { conn, check_deferred, staged, coded, step, .. } = self;
        conn.savepoint(|conn| {
            let deferred = check_deferred.as_deref().filter(|_| *step == SearchStep::Write);
            if let (true, Conn::Postgres(handle)) = (*coded, &mut *conn) {
                return super::postgres::run_coded(handle.get(), sql, deferred).doing(doing);
            }
            let before = broken_references(conn, staged.dataset)?;
            let touched = conn.execute(sql, doing)?;
            if let Some(deferred) = deferred {
                conn.batch(deferred, CONSTRAINTS)?;
            }
            no_more_broken_references(conn, staged.dataset, before)?;
            Ok(i64::try_from(touched).unwrap_or(i64::MAX))
        })
    }

    fn reject_now(&mut self, line: i64, reject: Reject) -> Result<(), PublishError> {
        self.staged.keep(1, reject)?;
        let remove = self.conn.statements(self.staged.dataset).remove_line(line);
        self.conn.execute(&remove, "taking a rejected row out of the stage")?;
        audit(self.staged.counts, &self.staged.dataset.limits)?;
        Ok(())
    }

    /// Tries the rows that wait for as long as one of them finds what it refers to, and rejects the others.
    fn settle(&mut self) -> Result<(), PublishError> {
        loop {
            let waiting = std::mem::take(&mut self.waiting);
            let before = waiting.len();
            for (line, reject) in waiting {
                if self.take(Lines { from: line, to: line })?.is_some() {
                    self.waiting.push((line, reject));
                }
            }
            if self.waiting.len() == before || self.waiting.is_empty() {
                break;
            }
        }
        for (line, reject) in std::mem::take(&mut self.waiting) {
            self.reject_now(line, reject)?;
        }
        Ok(())
    }
}

/// Tells of a day that the target has no partition for.
fn no_partition(conn: &mut Conn, target: &Target, day: Day) -> Result<DbError, DbError> {
    let missing = match conn {
        Conn::Postgres(handle) => super::postgres::missing_partition(handle.get(), target, &[day])
            .doing("looking for the target's partitions")?,
        Conn::Sqlite(_) => None,
    };
    let advice = missing.map_or_else(String::new, |(_, create)| format!(": {create}"));
    Ok(DbError::NoPartition { day, table: target.table.to_string(), advice })
}

impl Trial for RowSearch<'_, '_> {
    type Fault = DbError;
    type Error = PublishError;

    fn take(&mut self, lines: Lines) -> Result<Option<DbError>, PublishError> {
        if self.watched.is_cancelled() {
            return Err(PublishError::Stopped);
        }
        let doing = if self.step == SearchStep::Compute { COMPUTING } else { WRITING };
        let statement = self.statement(lines);
        match self.run(&statement, doing) {
            Ok(rows) => {
                self.written += rows;
                Ok(None)
            }
            Err(error) => {
                let target = &self.staged.dataset.target;
                if error.is_of_a_missing_partition(target.day_column.as_str()) {
                    return Err(no_partition(self.conn, target, self.day)?.into());
                }
                if error.may_be_a_rows() { Ok(Some(error)) } else { Err(error.into()) }
            }
        }
    }

    fn reject(&mut self, line: i64, error: DbError) -> Result<(), PublishError> {
        let reject = match self.step {
            SearchStep::Compute => refusal::of_expressions(self.conn, self.staged.dataset, self.day, line, &error)?,
            SearchStep::Write => refusal::of_write(self.conn, self.staged.dataset, line, &error)?,
        };
        if !(self.refers_to_itself && error.is_of_a_foreign_key()) {
            return self.reject_now(line, reject);
        }
        self.waiting.push((line, reject));
        // They count against the limit when nothing has come that they refer to: many may wait for one.
        if self.waiting.len() < MOST_WAITING { Ok(()) } else { self.settle() }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::config::{self, Environment};
    use crate::db::pool::Database;
    use crate::db::stage;

    const ORDERS: &str = r#"
[source]
url = "days/{day}.csv"
[schedule]
cron = "0 2 * * *"
start = 2024-03-01
[target]
table = "orders"
key = ["id"]
[rows]
columns = [{ name = "id", type = "text" }]
[limits]
max_rejected = "100%"
"#;

    #[test]
    fn a_search_ends_as_soon_as_the_load_is_to_stop() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        std::fs::create_dir(folder.path().join("datasets")).unwrap();
        write("dayfill.toml", "[database]\nurl = \"sqlite:days.db\"\n");
        write("datasets/orders.toml", ORDERS);
        let config = config::load(Some(&folder.path().join("dayfill.toml")), &Environment::default());
        let config = config.unwrap_or_else(|problems| panic!("{problems}"));
        let database = Arc::new(Database::new(config.settings.database.url, config.settings.claim.lease, 2));
        let mut conn = database.connect().unwrap();
        let table = "create table orders (id text check (id <> 'b'), file_date text)";
        let made: Result<(), DbError> = conn.transaction(|conn| conn.batch(table, "creating the target"));
        made.unwrap();
        let mut search = |cancelled: bool| {
            let mut staged = StagedDay::new(&config.datasets[0]);
            stage::create(&mut conn, staged.dataset).unwrap();
            let rows = "insert into temp.dayfill_stage values ('a', 2), ('b', 3)";
            conn.on_own_tables(|conn| conn.batch(rows, "staging")).unwrap();
            staged.counts.read = 2;
            let watched = database.watch(&mut conn, Arc::new(|_| {})).unwrap();
            if cancelled {
                watched.canceller().cancel();
            }
            conn.transaction(|conn| write_others(conn, "2024-03-01".parse().unwrap(), &mut staged, &watched))
        };
        assert_eq!(search(false).unwrap(), 1);
        assert!(matches!(search(true), Err(PublishError::Stopped)));
    }
}
