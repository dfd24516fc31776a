//! Connections: how they are made, what every session is told first, and transactions on them.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use diesel::connection::{Connection, SimpleConnection};
use diesel::r2d2::{CustomizeConnection, Pool, PooledConnection};
use diesel::{PgConnection, SqliteConnection};
use scheduled_thread_pool::ScheduledThreadPool;

use crate::db::error::DbError;
use crate::db::login::{DatabaseLogin, ReadUrl, Sessions};
use crate::db::session::{PostgresSession, SqliteSession};
use crate::db::sqlite_file;
use crate::db::url::DatabaseUrl;
use crate::db::watchlist::{Waiter, Watchlist};
use crate::wording::one_line;

/// How long a free connection is waited for, or a new one tried.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a connection that nobody wants is kept, but for one: each is a process of PostgreSQL's, or 50 KiB of
/// SQLite's caches here.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// A database and the connections to it.
pub struct Database {
    url: DatabaseUrl,
    login: Arc<DatabaseLogin>,
    /// Names, for as long as this lives, whoever works through these connections.
    worker: String,
    lease: Duration,
    connections: u32,
    pool: OnceLock<Connections>,
    /// What is told of when it waits for long.
    watched: Arc<Watchlist>,
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
    conn: HandleConn<C>,
    /// What it knows while it waits for the lock of a SQLite file.
    pub(super) waiter: Waiter,
}

/// A connection of its own, or one on loan from the pool.
enum HandleConn<C: diesel::r2d2::R2D2Connection + 'static> {
    Own(Box<C>),
    Pooled(Box<PooledConnection<Sessions<C>>>),
}

impl<C: diesel::r2d2::R2D2Connection + 'static> Handle<C> {
    fn own(database: &Database, conn: C) -> Self {
        Self { conn: HandleConn::Own(Box::new(conn)), waiter: database.waiter() }
    }

    fn pooled(database: &Database, conn: PooledConnection<Sessions<C>>) -> Self {
        Self { conn: HandleConn::Pooled(Box::new(conn)), waiter: database.waiter() }
    }

    /// The connection itself.
    pub(super) fn get(&mut self) -> &mut C {
        match &mut self.conn {
            HandleConn::Own(conn) => conn,
            HandleConn::Pooled(conn) => conn,
        }
    }

    /// It is watched.
    pub(super) fn watched_as(&mut self, waiter: Waiter) {
        self.waiter = waiter;
    }
}

/// Runs the same diesel expression on whichever connection it is.
macro_rules! on {
    ($conn:expr, $c:ident => $body:expr) => {
        match $conn {
            $crate::db::pool::Conn::Postgres(handle) => {
                let $c = handle.get();
                $body
            }
            $crate::db::pool::Conn::Sqlite(handle) => {
                let $c = handle.get();
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
        let login = Arc::new(DatabaseLogin::new(url.clone()));
        Self { url, login, worker, lease, connections, pool: OnceLock::new(), watched: Arc::default() }
    }

    /// The same, which reads its URL anew where a connection cannot be made. Other credentials for the same database are
    /// taken from there; another database is not.
    #[must_use]
    pub fn reading_url(self, read: ReadUrl) -> Self {
        let login = Arc::new(DatabaseLogin::new(self.url.clone()).reading(read));
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
    pub(super) fn watched(&self) -> &Arc<Watchlist> {
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

fn pool<C, S>(login: &Arc<DatabaseLogin>, connections: u32, session: S) -> Pool<Sessions<C>>
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
