//! Connections: how they are made, what every session is told first, and transactions on them.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use chrono::NaiveDateTime;
use diesel::connection::{AnsiTransactionManager, Connection, SimpleConnection, TransactionManager};
use diesel::r2d2::{CustomizeConnection, Pool, PooledConnection};
use diesel::{PgConnection, SqliteConnection};
use scheduled_thread_pool::ScheduledThreadPool;

use crate::column::Identifier;
use crate::db::error::{DbError, Doing, one_line};
use crate::db::login::{Login, ReadUrl, Sessions};
use crate::db::sqlite_file;
use crate::db::url::DatabaseUrl;
use crate::db::watch::{Waiter, Watch};

/// How long a free connection is waited for, or a new one tried.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a connection that nobody wants is kept, but for one: each is a process of PostgreSQL's, or 50 KiB of
/// SQLite's caches here.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// How much of the stage PostgreSQL keeps in memory. With its default of 8 MB it writes most pages twice: staging and
/// inserting a million rows took 8 to 15% longer (docs/benchmarks.md). Only a session that stages takes it.
const STAGE_BUFFERS: &str = "64MB";

/// A database and the connections to it.
pub struct Database {
    url: DatabaseUrl,
    login: Arc<Login>,
    /// Names, for as long as this lives, whoever works through these connections.
    worker: String,
    lease: Duration,
    connections: u32,
    pool: OnceLock<Connections>,
    /// What is told of when it waits for long.
    watched: Arc<Watch>,
}

enum Connections {
    Postgres(Pool<Sessions<PgConnection>>),
    Sqlite(Pool<Sessions<SqliteConnection>>),
}

/// A connection to either database.
pub enum Conn {
    /// To PostgreSQL.
    Postgres(Handle<PgConnection>),
    /// To SQLite.
    Sqlite(Handle<SqliteConnection>),
}

/// A connection in somebody's hands.
pub struct Handle<C: diesel::r2d2::R2D2Connection + 'static> {
    link: Link<C>,
    /// What it knows while it waits for the lock of a SQLite file.
    waiter: Waiter,
}

/// A connection of its own, or one on loan from the pool.
enum Link<C: diesel::r2d2::R2D2Connection + 'static> {
    Own(Box<C>),
    Pooled(Box<PooledConnection<Sessions<C>>>),
}

impl<C: diesel::r2d2::R2D2Connection + 'static> Handle<C> {
    fn own(database: &Database, conn: C) -> Self {
        Self { link: Link::Own(Box::new(conn)), waiter: database.waiter() }
    }

    fn pooled(database: &Database, conn: PooledConnection<Sessions<C>>) -> Self {
        Self { link: Link::Pooled(Box::new(conn)), waiter: database.waiter() }
    }

    /// The connection itself.
    pub(super) fn get(&mut self) -> &mut C {
        match &mut self.link {
            Link::Own(conn) => conn,
            Link::Pooled(conn) => conn,
        }
    }

    /// It is watched.
    pub(super) fn watched_as(&mut self, waiter: Waiter) {
        self.waiter = waiter;
    }
}

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

/// Runs the same diesel expression on whichever connection it is.
macro_rules! on {
    ($conn:expr, $c:ident => $body:expr) => {
        match $conn {
            $crate::db::pool::Conn::Postgres(link) => {
                let $c = link.get();
                $body
            }
            $crate::db::pool::Conn::Sqlite(link) => {
                let $c = link.get();
                $body
            }
        }
    };
}
pub(super) use on;

impl Database {
    /// A database behind a pool of at most `connections`. Nothing is connected yet. `lease` is how long a claim holds
    /// without a heartbeat; a PostgreSQL session that idles in a transaction for that long is ended by the server, so
    /// that a stalled process cannot hold a day's row.
    #[must_use]
    pub fn new(url: DatabaseUrl, lease: Duration, connections: u32) -> Self {
        let worker = uuid::Uuid::new_v4().to_string();
        let login = Arc::new(Login::new(url.clone()));
        Self { url, login, worker, lease, connections, pool: OnceLock::new(), watched: Arc::default() }
    }

    /// The same, which reads its URL anew where a connection cannot be made. Other credentials for the same database are
    /// taken from there; another database is not.
    #[must_use]
    pub fn reading_url(self, read: ReadUrl) -> Self {
        let login = Arc::new(Login::new(self.url.clone()).reading(read));
        Self { login, ..self }
    }

    /// True where connections are made with other credentials than those it was told.
    #[must_use]
    pub fn has_other_credentials(&self) -> bool {
        self.login.url() != self.url
    }

    /// The id of the worker that these connections belong to. On PostgreSQL each of them holds its lock.
    pub(super) fn worker(&self) -> &str {
        &self.worker
    }

    /// The connections that are watched.
    pub(super) fn watched(&self) -> &Arc<Watch> {
        &self.watched
    }

    fn postgres_session(&self) -> PostgresSession {
        let schema = match &self.url {
            DatabaseUrl::Postgres(server) => server.schema().cloned(),
            DatabaseUrl::Sqlite(_) => None,
        };
        PostgresSession { lease: self.lease, worker_key: super::postgres::worker_key(&self.worker), schema }
    }

    /// Lets the pool make its first connection, in the background, so that who needs it does not wait for it.
    pub fn warm_up(&self) {
        self.pool();
    }

    fn pool(&self) -> &Connections {
        self.pool.get_or_init(|| match &self.url {
            DatabaseUrl::Postgres(_) => {
                Connections::Postgres(pool(&self.login, self.connections, self.postgres_session()))
            }
            DatabaseUrl::Sqlite(path) => {
                create_private(path);
                Connections::Sqlite(pool(&self.login, self.connections, SqliteSession))
            }
        })
    }

    /// Where the database is; safe to print.
    #[must_use]
    pub fn url(&self) -> &DatabaseUrl {
        &self.url
    }

    /// How long a claim holds without a heartbeat.
    #[must_use]
    pub fn lease(&self) -> Duration {
        self.lease
    }

    /// A connection for looking only, which leaves a SQLite file as it is: a file of another program's is not switched
    /// to WAL.
    ///
    /// # Errors
    /// [`DbError::Unreachable`].
    pub fn connect_to_look(&self) -> Result<Conn, DbError> {
        let DatabaseUrl::Sqlite(path) = &self.url else { return self.connect() };
        let named = |error: String| DbError::Unreachable(sqlite_file::explained(path, &one_line(&error)));
        let mut conn =
            SqliteConnection::establish(&path.to_string_lossy()).map_err(|error| named(error.to_string()))?;
        super::sqlite::wait_inside(&mut conn).map_err(|error| named(error.to_string()))?;
        // The file is opened by the first statement that reads it. What may pass, as a lock, the caller's meets.
        match conn.batch_execute("select 1 from sqlite_master limit 1") {
            Err(error) if sqlite_file::is_hopeless(&error.to_string()) => return Err(named(error.to_string())),
            _ => {}
        }
        super::sqlite::refuse_writes(&mut conn, true).map_err(|error| named(error.to_string()))?;
        Ok(Conn::Sqlite(Handle::own(self, conn)))
    }

    /// A new connection outside the pool. Its errors come at once and say what is wrong; the pool's come after
    /// 30 seconds and often do not (r2d2 issue 51).
    ///
    /// # Errors
    /// [`DbError::Unreachable`].
    pub fn connect(&self) -> Result<Conn, DbError> {
        let masked = |message: String| DbError::Unreachable(self.login.url().mask(&one_line(&message)));
        match &self.url {
            DatabaseUrl::Postgres(_) => {
                let mut conn: PgConnection = self.login.establish().map_err(|error| masked(error.to_string()))?;
                self.postgres_session().on_acquire(&mut conn).map_err(|error| masked(error.to_string()))?;
                Ok(Conn::Postgres(Handle::own(self, conn)))
            }
            DatabaseUrl::Sqlite(path) => {
                let named = |error: String| masked(sqlite_file::explained(path, &error));
                if let Some(why) = sqlite_file::unwritable(path) {
                    return Err(masked(format!("{}: {why}", path.display())));
                }
                create_private(path);
                let mut conn =
                    SqliteConnection::establish(&path.to_string_lossy()).map_err(|error| named(error.to_string()))?;
                SqliteSession.on_acquire(&mut conn).map_err(|error| named(error.to_string()))?;
                Ok(Conn::Sqlite(Handle::own(self, conn)))
            }
        }
    }

    /// A connection on loan from the pool when one is free, else one of its own: nobody waits, and what is wrong is
    /// said at once.
    ///
    /// # Errors
    /// [`DbError::Unreachable`].
    pub fn conn_at_once(&self) -> Result<Conn, DbError> {
        let free = match self.pool() {
            Connections::Postgres(pool) => pool.try_get().map(|conn| Conn::Postgres(Handle::pooled(self, conn))),
            Connections::Sqlite(pool) => pool.try_get().map(|conn| Conn::Sqlite(Handle::pooled(self, conn))),
        };
        free.map_or_else(|| self.connect(), Ok)
    }

    /// Has SQLite write what stands in the log beside the file into the file, as far as no other process reads there:
    /// whoever copies the file alone then has it all. The end of the last connection does the same, and this process
    /// may end without one.
    pub fn fold_log(&self) {
        if let Connections::Sqlite(pool) = self.pool()
            && let Ok(mut conn) = pool.get_timeout(Duration::from_secs(1))
            && let Err(error) = super::sqlite::fold_log(&mut conn)
        {
            log::debug!("the write-ahead log stays beside the file: {error}");
        }
    }

    /// A connection on loan from the pool.
    ///
    /// # Errors
    /// [`DbError::Unreachable`] when none came free or could be made in time.
    pub fn conn(&self) -> Result<Conn, DbError> {
        let masked = |error: diesel::r2d2::PoolError| {
            let words = one_line(&error.to_string());
            DbError::Unreachable(match &self.url {
                DatabaseUrl::Postgres(_) => self.login.url().mask(&words),
                DatabaseUrl::Sqlite(path) => sqlite_file::explained(path, &words),
            })
        };
        Ok(match self.pool() {
            Connections::Postgres(pool) => Conn::Postgres(Handle::pooled(self, pool.get().map_err(masked)?)),
            Connections::Sqlite(pool) => Conn::Sqlite(Handle::pooled(self, pool.get().map_err(masked)?)),
        })
    }
}

/// Makes a SQLite file that is not there yet for its owner alone: targets and rejected rows hold what files held. The
/// files beside it get the same rights from SQLite. A file that is there keeps its own.
fn create_private(path: &Path) {
    // What keeps it from being made is told when it is opened.
    drop(OpenOptions::new().write(true).create_new(true).mode(0o600).open(path));
}

fn pool<C, S>(login: &Arc<Login>, connections: u32, session: S) -> Pool<Sessions<C>>
where
    C: diesel::r2d2::R2D2Connection + 'static,
    S: CustomizeConnection<C, diesel::r2d2::Error>,
{
    // One thread opens connections, instead of three: each takes a stack and an arena of the allocator.
    let threads = ScheduledThreadPool::builder().num_threads(1).thread_name_pattern("connections").build();
    Pool::builder()
        .thread_pool(Arc::new(threads))
        .max_size(connections)
        .min_idle(Some(1))
        .idle_timeout(Some(IDLE_TIMEOUT))
        .connection_timeout(CONNECTION_TIMEOUT)
        .connection_customizer(Box::new(session))
        // r2d2 would log each failed try as an error; what the caller gets says the same once.
        .error_handler(Box::new(diesel::r2d2::NopErrorHandler))
        .build_unchecked(Sessions::new(Arc::clone(login)))
}

/// How often a server that can (PostgreSQL 14, on Linux) looks whether we are still there while it works or waits for a
/// lock on our behalf: a statement of a process that was killed does not stay in the queue for a lock.
const CLIENT_CHECK: &str = "2s";

/// What every PostgreSQL session is told first. The time limits that a role or database may set would end a worker's
/// session, which idles for life, or a long publish; compiling the insert takes longer than it saves. With
/// `row_security` off a policy that would hide rows from a statement makes it fail: a day's old rows that the delete
/// does not see would stay beside the new ones.
///
/// Where dayfill's own tables have a schema of their own, it is all of the search path; the path that the session came
/// with is kept for what is said about targets (`Conn::on_targets`).
///
/// Each session shares in the worker's lock: while any of them is there, the process is.
#[derive(Debug)]
struct PostgresSession {
    lease: Duration,
    worker_key: i64,
    schema: Option<Identifier>,
}

impl CustomizeConnection<PgConnection, diesel::r2d2::Error> for PostgresSession {
    fn on_acquire(&self, conn: &mut PgConnection) -> Result<(), diesel::r2d2::Error> {
        super::postgres::speak_english(conn);
        // A pooler's session that another client used may have temporary tables behind it, and keeps its buffers then.
        // Whatever else is wrong with the session, the next statement says.
        drop(conn.batch_execute(&format!("set temp_buffers = '{STAGE_BUFFERS}'")));
        conn.batch_execute(&format!(
            "set timezone = 'UTC'; set datestyle = 'ISO, YMD'; set standard_conforming_strings = on; \
             set default_transaction_isolation = 'read committed'; set statement_timeout = 0; set lock_timeout = 0; \
             set idle_in_transaction_session_timeout = {}; set client_min_messages = warning; \
             set jit = off; set row_security = off; \
             select set_config(name, '0', false) from pg_settings \
             where name in ('idle_session_timeout', 'transaction_timeout'); \
             select set_config(name, '{CLIENT_CHECK}', false) from pg_settings \
             where name = 'client_connection_check_interval' and version() ~* 'linux'; \
             select pg_advisory_lock_shared({})",
            self.lease.as_millis(),
            self.worker_key
        ))
        .map_err(diesel::r2d2::Error::QueryError)?;
        let Some(schema) = &self.schema else { return Ok(()) };
        conn.batch_execute(&format!(
            "select set_config('dayfill.search_path', \
             coalesce(nullif(current_setting('dayfill.search_path', true), ''), current_setting('search_path')), false), \
             set_config('dayfill.schema', '{schema}', false), set_config('search_path', quote_ident('{schema}'), false)"
        ))
        .map_err(diesel::r2d2::Error::QueryError)
    }
}

/// What every SQLite connection is told first: the busy timeout before all, since even the others may meet a lock.
#[derive(Debug)]
struct SqliteSession;

impl CustomizeConnection<SqliteConnection, diesel::r2d2::Error> for SqliteSession {
    fn on_acquire(&self, conn: &mut SqliteConnection) -> Result<(), diesel::r2d2::Error> {
        super::sqlite::wait_inside(conn)
            .and_then(|()| use_wal(conn))
            .and_then(|()| {
                conn.batch_execute("pragma synchronous = normal; pragma foreign_keys = on; pragma temp_store = file")
            })
            .and_then(|()| super::sqlite::refuse_writes(conn, true))
            .map_err(diesel::r2d2::Error::QueryError)
    }
}

/// Switches the file to WAL. The switch itself does not wait for others' locks, whatever the timeout (tried); taking
/// the whole file and letting go of it does.
fn use_wal(conn: &mut SqliteConnection) -> diesel::QueryResult<()> {
    loop {
        match conn.batch_execute("pragma journal_mode = wal") {
            Err(error) if error.to_string().contains("locked") => {
                super::sqlite::while_locked(conn, &Waiter::default(), |conn| {
                    conn.batch_execute("begin exclusive; rollback")
                })?;
            }
            switched => return switched,
        }
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
            Self::Postgres(link) => AnsiTransactionManager::begin_transaction(link.get()),
            Self::Sqlite(link) => link.begin_writing(),
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
        if let Self::Sqlite(link) = self {
            if link.is_in_transaction() {
                return work(self);
            }
            // If it cannot be said, the statements fail, and say why.
            drop(super::sqlite::refuse_writes(link.get(), false));
        }
        let done = work(self);
        self.refuse_writes();
        done
    }

    fn refuse_writes(&mut self) {
        if let Self::Sqlite(link) = self {
            // A connection that does not take it takes nothing else either.
            drop(super::sqlite::refuse_writes(link.get(), true));
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
        let Self::Postgres(link) = self else { return Ok(None) };
        let found = super::postgres::foreign_language(link.get()).doing("reading lc_messages")?;
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
    pub fn now(&mut self) -> Result<NaiveDateTime, DbError> {
        match self {
            Self::Postgres(link) => super::postgres::now(link.get()).doing("reading the database's clock"),
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
}
