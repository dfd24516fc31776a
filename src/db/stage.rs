//! The stage: a temporary table of this session that takes a day's rows before they are audited.

use crate::audit::Counts;
use crate::dataset::Dataset;
use crate::db::error::DbError;
use crate::db::pool::{Conn, Database};
use crate::db::rejects::RejectSpool;
use crate::db::row_sink::{Characters, Feed};
use crate::db::statements::{Dialect, Statements};
use crate::validate::Reject;

/// A day's rows in the stage, with what was counted and rejected on the way. The stage belongs to the connection's
/// session: only publishing on the same connection finds it.
pub struct StagedDay<'a> {
    /// The dataset whose rows they are.
    pub(super) dataset: &'a Dataset,
    /// What was counted.
    pub counts: Counts,
    /// What was rejected.
    pub rejects: RejectSpool,
    /// The first rejected row that was found, in words.
    pub first_reject: Option<String>,
}

impl<'a> StagedDay<'a> {
    /// An empty day, before its file is read.
    #[must_use]
    pub fn new(dataset: &'a Dataset) -> Self {
        Self { dataset, counts: Counts::default(), rejects: RejectSpool::default(), first_reject: None }
    }

    /// Counts an accepted row.
    pub fn accepted(&mut self) {
        self.counts.read += 1;
    }

    /// Counts and keeps a rejected row that spans `lines` lines of the file.
    ///
    /// # Errors
    /// A [`DbError`] when it cannot be kept.
    pub fn rejected(&mut self, lines: u64, reject: Reject) -> Result<(), DbError> {
        self.counts.read += lines;
        self.keep(lines, reject)
    }

    /// Counts a row as rejected that was counted as read before, and keeps it.
    pub(super) fn keep(&mut self, lines: u64, reject: Reject) -> Result<(), DbError> {
        self.counts.reject(lines);
        self.first_reject.get_or_insert_with(|| reject.to_string());
        self.rejects.push(reject)
    }
}

/// Makes an empty stage of the dataset's columns and fills it with what `feed` hands over. Another connection to the
/// database is made where it is to be asked for characters that its encoding may lack.
///
/// # Errors
/// The feeder's error, or a [`DbError`]; the stage is then good for nothing.
pub fn fill<E: From<DbError>>(
    conn: &mut Conn,
    database: &Database,
    dataset: &Dataset,
    feed: Feed<'_, E>,
) -> Result<(), E> {
    let characters = Characters::of(conn, database, dataset)?;
    unconfirmed(conn, |conn| {
        make(conn, dataset)?;
        match conn {
            Conn::Postgres(handle) => super::postgres::fill_stage(handle.get(), characters, feed),
            Conn::Sqlite(handle) => super::sqlite::fill_stage(handle.get(), feed),
        }
    })
}

/// Makes an empty stage of the dataset's columns.
pub(super) fn create(conn: &mut Conn, dataset: &Dataset) -> Result<(), DbError> {
    unconfirmed(conn, |conn| make(conn, dataset))
}

/// On PostgreSQL, does the work in a transaction whose commit waits for no disk and no standby: the stage goes with its
/// session. (On SQLite a transaction would take the lock of all writers.)
fn unconfirmed<E: From<DbError>>(conn: &mut Conn, work: impl FnOnce(&mut Conn) -> Result<(), E>) -> Result<(), E> {
    if matches!(conn, Conn::Sqlite(_)) {
        return conn.on_own_tables(work);
    }
    conn.transaction(|conn| {
        conn.commit_in_background()?;
        work(conn)
    })
}

fn make(conn: &mut Conn, dataset: &Dataset) -> Result<(), DbError> {
    let statements = conn.statements(dataset);
    let sql = statements.create_stage();
    conn.batch(&sql, "creating the stage")
}

impl Conn {
    /// The statements of a dataset in this database's dialect.
    pub(super) fn statements<'a>(&self, dataset: &'a Dataset) -> Statements<'a> {
        let dialect: &'static Dialect = match self {
            Self::Postgres(_) => &super::postgres::DIALECT,
            Self::Sqlite(_) => &super::sqlite::DIALECT,
        };
        Statements { dataset, dialect }
    }
}
