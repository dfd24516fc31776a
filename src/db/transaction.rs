//! Transactions, savepoints and single statements on either database.

use diesel::SqliteConnection;
use diesel::connection::{AnsiTransactionManager, SimpleConnection, TransactionManager};

use crate::db::columns::Timestamp;
use crate::db::error::{DbError, Doing};
use crate::db::pool::{Conn, Handle, on};

impl Handle<SqliteConnection> {
    /// Begins a transaction that holds the lock of all writers.
    fn begin_writing(&mut self) -> diesel::QueryResult<()> {
        let waiter = self.waiter.clone();
        super::sqlite::refuse_writes(self.get(), false)?;
        super::sqlite::while_locked(self.get(), &waiter, |conn| {
            AnsiTransactionManager::begin_transaction_sql(conn, "BEGIN IMMEDIATE")
        })
    }

    /// True inside a transaction.
    fn is_in_transaction(&mut self) -> bool {
        let status = AnsiTransactionManager::transaction_manager_status_mut(self.get());
        !matches!(status.transaction_depth(), Ok(None))
    }
}

impl Conn {
    /// Runs statements about targets. Names without a schema mean there what they mean to other sessions of the role:
    /// in the datasets' expressions, in triggers, and for the target itself. That path is put back at the end; where the
    /// transaction failed, its rollback does so.
    pub(super) fn on_targets<T, E: From<DbError>>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<T, E>,
    ) -> Result<T, E> {
        self.look_in("nullif(current_setting('dayfill.search_path', true), '')")?;
        let done = work(self);
        let back = self.look_in("quote_ident(nullif(current_setting('dayfill.schema', true), ''))");
        let value = done?;
        back?;
        Ok(value)
    }

    /// Sets the search path, unless the expression is null.
    fn look_in(&mut self, path: &str) -> Result<(), DbError> {
        match self {
            Self::Postgres(_) => self.batch(
                &format!("select set_config('search_path', coalesce({path}, current_setting('search_path')), false)"),
                "setting the search path",
            ),
            Self::Sqlite(_) => Ok(()),
        }
    }

    /// Runs statements in one transaction: committed when `work` is done, rolled back when it fails. On SQLite it takes
    /// the write lock first (`BEGIN IMMEDIATE`): a transaction that begins by reading cannot wait for the lock later.
    ///
    /// All that writes comes through here. On SQLite a statement that writes outside fails: the wait for the file would
    /// be told to nobody, and could not be cancelled.
    pub(super) fn transaction<T, E: From<DbError>>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<T, E>,
    ) -> Result<T, E> {
        let begun = match self {
            Self::Postgres(handle) => AnsiTransactionManager::begin_transaction(handle.get()),
            Self::Sqlite(handle) => handle.begin_writing(),
        };
        let done = match begun.doing("beginning a transaction") {
            Ok(()) => self.end(work, "committing"),
            Err(error) => Err(error.into()),
        };
        self.refuse_writes();
        done
    }

    /// Runs statements that write to temporary tables alone, which no lock of others keeps from it.
    pub(super) fn on_own_tables<T>(&mut self, work: impl FnOnce(&mut Self) -> T) -> T {
        if let Self::Sqlite(handle) = self {
            if handle.is_in_transaction() {
                return work(self);
            }
            // If it cannot be said, the statements fail, and say why.
            drop(super::sqlite::refuse_writes(handle.get(), false));
        }
        let done = work(self);
        self.refuse_writes();
        done
    }

    fn refuse_writes(&mut self) {
        if let Self::Sqlite(handle) = self {
            // A connection that does not take it takes nothing else either.
            drop(super::sqlite::refuse_writes(handle.get(), true));
        }
    }

    /// Runs statements inside a transaction that can fail without failing the whole.
    pub(super) fn savepoint<T, E: From<DbError>>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<T, E>,
    ) -> Result<T, E> {
        on!(self, c => AnsiTransactionManager::begin_transaction(c)).doing("setting a savepoint")?;
        self.end(work, "releasing a savepoint")
    }

    fn end<T, E: From<DbError>>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<T, E>,
        doing: &'static str,
    ) -> Result<T, E> {
        match work(self) {
            Ok(value) => {
                on!(self, c => AnsiTransactionManager::commit_transaction(c)).doing(doing)?;
                Ok(value)
            }
            Err(error) => {
                // The first error says what went wrong; one more from a dead connection would only hide it.
                drop(on!(self, c => AnsiTransactionManager::rollback_transaction(c)));
                Err(error)
            }
        }
    }

    /// What to grant where PostgreSQL's messages are in another language than English and the role may not choose one;
    /// `None` where all is well.
    ///
    /// # Errors
    /// A [`DbError`] when the database does not answer.
    pub fn language_advice(&mut self) -> Result<Option<String>, DbError> {
        let Self::Postgres(handle) = self else { return Ok(None) };
        let found = super::postgres::foreign_language(handle.get()).doing("reading lc_messages")?;
        Ok(found.map(|(language, role)| {
            let language = if language.is_empty() { "the server's own language" } else { &language };
            format!(
                "lc_messages is {language}, and {role} may not set it: dayfill reads English messages, and takes some \
                 errors of rows for trouble of the database; as a superuser: alter role {role} set lc_messages = 'C';"
            )
        }))
    }

    /// The database's clock, UTC. SQLite's is this machine's.
    ///
    /// # Errors
    /// A [`DbError`] when the database does not answer.
    pub fn now(&mut self) -> Result<Timestamp, DbError> {
        match self {
            Self::Postgres(handle) => super::postgres::now(handle.get()).doing("reading the database's clock"),
            Self::Sqlite(_) => Ok(super::sqlite::now()),
        }
    }

    /// Has SQLite keep that much of the file in memory. PostgreSQL keeps its tables in the server's.
    pub(super) fn keep_pages(&mut self, kib: u32) -> Result<(), DbError> {
        match self {
            Self::Postgres(_) => Ok(()),
            Self::Sqlite(_) => self.batch(&format!("pragma cache_size = -{kib}"), "setting the size of SQLite's cache"),
        }
    }

    /// Runs statements that return nothing.
    pub(super) fn batch(&mut self, sql: &str, doing: &'static str) -> Result<(), DbError> {
        on!(self, c => c.batch_execute(sql)).doing(doing)
    }

    /// Runs one statement; the number of rows it touched.
    pub(super) fn execute(&mut self, sql: &str, doing: &'static str) -> Result<u64, DbError> {
        use diesel::RunQueryDsl;
        let touched = on!(self, c => diesel::sql_query(sql).execute(c)).doing(doing)?;
        Ok(touched as u64)
    }

    /// Lets the transaction's commit wait for this server's disk, and for no standby. Right for what another attempt
    /// would find out again: a load that ended without rows must not hang because a standby is away.
    pub(super) fn commit_on_this_server(&mut self) -> Result<(), DbError> {
        match self {
            Self::Postgres(_) => self.batch("set local synchronous_commit = local", "beginning a transaction"),
            Self::Sqlite(_) => Ok(()),
        }
    }

    /// Lets the transaction's commit return before the disk has it. Right for what only living sessions need, as
    /// claims: a server that crashes and forgets it has ended our session too, and publishing finds the token gone.
    pub(super) fn commit_in_background(&mut self) -> Result<(), DbError> {
        match self {
            Self::Postgres(_) => self.batch("set local synchronous_commit = off", "beginning a transaction"),
            Self::Sqlite(_) => Ok(()),
        }
    }
}
