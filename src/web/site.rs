//! What the API and the pages are made from: the daemon's handle, the summaries, the event streams, and the one door to
//! the database.

use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use tokio::sync::Semaphore;

use super::events::Events;
use super::problem::Problem;
use super::summaries::Summaries;
use crate::daemon::{DaemonHandle, DatasetSnapshot};
use crate::dataset::DatasetName;
use crate::db::error::DbError;
use crate::db::pool::Conn;
use crate::wording::quoted;

/// How many requests read from the database at a time; further ones wait. Each takes a connection.
const READERS: usize = 4;

/// How many change something there at a time. They may have to wait for whoever is publishing, and readers need not.
const WRITERS: usize = 2;

/// How many who must answer soon read there at a time: they wait for no other reader, and no other reader for them.
const SCRAPERS: usize = 1;

/// What the API and the pages are made from.
pub struct Site {
    daemon: Arc<DaemonHandle>,
    summaries: Arc<Summaries>,
    events: Arc<Events>,
    readers: Arc<Semaphore>,
    writers: Arc<Semaphore>,
    scrapers: Arc<Semaphore>,
}

impl Site {
    /// Begins to keep what is told of the daemon behind that handle. Must be called inside a runtime.
    #[must_use]
    pub fn start(daemon: Arc<DaemonHandle>) -> Arc<Self> {
        let (summaries, events) = (Arc::new(Summaries::default()), Arc::new(Events::default()));
        tokio::spawn(Arc::clone(&events).run(Arc::clone(&daemon), Arc::clone(&summaries)));
        tokio::spawn(Arc::clone(&summaries).run(Arc::clone(&daemon)));
        let places = |number| Arc::new(Semaphore::new(number));
        let (readers, writers, scrapers) = (places(READERS), places(WRITERS), places(SCRAPERS));
        Arc::new(Self { daemon, summaries, events, readers, writers, scrapers })
    }

    /// What the daemon shows of itself, and what it can be asked for.
    #[must_use]
    pub fn daemon(&self) -> &Arc<DaemonHandle> {
        &self.daemon
    }

    /// The datasets in short.
    #[must_use]
    pub fn summaries(&self) -> &Summaries {
        &self.summaries
    }

    /// What happens, for those who listen.
    #[must_use]
    pub fn events(&self) -> &Events {
        &self.events
    }

    /// A dataset as the daemon has it.
    ///
    /// # Errors
    /// A [`Problem`] when there is none of that name.
    pub fn dataset(&self, name: &str) -> Result<DatasetSnapshot, Problem> {
        let find = |name: &str| self.daemon.status().datasets.get(&name.parse::<DatasetName>().ok()?).cloned();
        find(name).ok_or_else(|| {
            // The name that was asked for stays out of the command: links can hold all kinds of words.
            let own = name.split_once('@').and_then(|(own, _)| find(own));
            let own = own.map(|own| own.job.dataset.name.to_string());
            let hint = own.map(|own| format!("; `dayfill status --dataset {own}@TABLE` shows days in another table"));
            let detail = format!("there is no dataset {}{}", quoted(name), hint.unwrap_or_default());
            Problem::new(StatusCode::NOT_FOUND, "no-such-dataset", detail)
        })
    }

    /// Reads from the database. What blocks goes through here, on a thread that may.
    ///
    /// # Errors
    /// A [`Problem`]: the database is not there, or what the reading came to.
    pub async fn read<T, E>(&self, read: impl FnOnce(&mut Conn) -> Result<T, E> + Send + 'static) -> Result<T, Problem>
    where
        T: Send + 'static,
        E: Into<Problem> + Send + 'static,
    {
        self.database(&self.readers, read).await
    }

    /// Changes something in the database.
    ///
    /// # Errors
    /// A [`Problem`]: the database is not there, or what the change came to.
    pub async fn write<T, E>(
        &self,
        write: impl FnOnce(&mut Conn) -> Result<T, E> + Send + 'static,
    ) -> Result<T, Problem>
    where
        T: Send + 'static,
        E: Into<Problem> + Send + 'static,
    {
        self.database(&self.writers, write).await
    }

    /// Reads from the database for who must answer soon; `None` when it does not answer within that time.
    pub(super) async fn read_within<T, E>(
        &self,
        most: Duration,
        read: impl FnOnce(&mut Conn) -> Result<T, E> + Send + 'static,
    ) -> Option<Result<T, Problem>>
    where
        T: Send + 'static,
        E: Into<Problem> + Send + 'static,
    {
        tokio::time::timeout(most, self.database(&self.scrapers, read)).await.ok()
    }

    async fn database<T, E>(
        &self,
        places: &Arc<Semaphore>,
        work: impl FnOnce(&mut Conn) -> Result<T, E> + Send + 'static,
    ) -> Result<T, Problem>
    where
        T: Send + 'static,
        E: Into<Problem> + Send + 'static,
    {
        let place = Arc::clone(places).acquire_owned().await.map_err(|error| gone(error.to_string()))?;
        let shown = self.daemon.status();
        if let Some((since, error)) = &shown.unreachable {
            return Err(gone(format!("{error} (since {})", crate::status::instant(*since))));
        }
        let Some(context) = shown.context.clone() else {
            return Err(gone("no connection to the database yet"));
        };
        drop(shown);
        let work = move || {
            // The place goes with the work, which goes on when nobody waits for it any more.
            let _place = place;
            // A connection that is free at once, or a new one: loads that wait for one of the pool's come first.
            work(&mut context.database.conn_at_once()?).map_err(Into::into)
        };
        tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| {
            log::error!("a fault in dayfill: {error}");
            Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "fault", "a fault in dayfill; its log says more"))
        })
    }
}

/// 503: the database is not there.
fn gone(why: impl Into<String>) -> Problem {
    Problem::unavailable("database", why)
}

impl From<DbError> for Problem {
    fn from(error: DbError) -> Self {
        let text = error.to_string();
        if error.is_the_databases_own() {
            return gone(text);
        }
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "database-error", text)
    }
}
