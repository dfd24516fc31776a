//! A summary of each dataset, kept in memory, so that an overview of a thousand of them asks nobody.
//!
//! What this daemon does to a dataset is seen at once. What others do, and what only the clock does, is seen in the
//! background: dataset after dataset, on one connection of its own, never one that loads may wait for.

mod refresh_queue;

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, Weak};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::broadcast::{self, Receiver};

use self::refresh_queue::{NextRead, ReadTiming, RefreshQueue};
use crate::cron;
use crate::daemon::{DaemonHandle, DaemonStatus};
use crate::dataset::DatasetName;
use crate::db::error::DbError;
use crate::db::pool::Conn;
use crate::events::PublishedEvent;
use crate::load_day::{Context, Job};
use crate::load_outcome::LoadOutcome;
use crate::status::{self, Summary};

/// The longest rest: after it the daemon is looked at, since not all that changes there is news.
const LONGEST_REST: Duration = Duration::from_secs(5);

/// How soon the daemon is looked at again that has no database yet.
const UNCONNECTED: Duration = Duration::from_millis(200);

/// How many changes a listener may be behind before it misses some.
const BEHIND: usize = 256;

/// A summary, and when it was read.
#[derive(Debug, Clone)]
pub struct CachedSummary {
    /// The summary.
    pub summary: Summary,
    /// When it was read, by this machine's clock.
    pub read_at: DateTime<Utc>,
}

/// The summaries of the datasets that the daemon shows.
#[derive(Debug)]
pub struct Summaries {
    kept: RwLock<BTreeMap<DatasetName, Arc<CachedSummary>>>,
    changed: broadcast::Sender<DatasetName>,
}

impl Default for Summaries {
    fn default() -> Self {
        Self { kept: RwLock::default(), changed: broadcast::channel(BEHIND).0 }
    }
}

impl Summaries {
    /// A dataset's; `None` before it was read for the first time.
    #[must_use]
    pub fn of(&self, name: &DatasetName) -> Option<Arc<CachedSummary>> {
        self.kept.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// All, as they are now.
    #[must_use]
    pub fn all(&self) -> BTreeMap<DatasetName, Arc<CachedSummary>> {
        self.kept.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Which ones are others, from here on.
    #[must_use]
    pub fn changes(&self) -> Receiver<DatasetName> {
        self.changed.subscribe()
    }

    /// Keeps them, for as long as the runtime lives.
    pub(super) async fn run(self: Arc<Self>, daemon: Arc<DaemonHandle>) {
        let mut events = daemon.subscribe();
        let (mut due, mut reader) = (RefreshQueue::default(), SummaryReader::default());
        let mut known = Arc::default();
        loop {
            let shown = daemon.status();
            if !Arc::ptr_eq(&known, &shown.datasets) {
                due.set_datasets(shown.datasets.iter().map(|(name, dataset)| (name, &dataset.job)));
                self.forget_all_but(&shown);
                known = Arc::clone(&shown.datasets);
            }
            let rest = self.one(&shown, &mut due, &mut reader).await;
            drop(shown);
            if let Some(rest) = rest {
                tokio::select! {
                    received = events.recv() => match received {
                        Err(RecvError::Closed) => return,
                        heard => handle_event(heard.map_err(drop), &mut due),
                    },
                    () = tokio::time::sleep(rest) => {}
                }
            }
            // Many days of one dataset are one reason to read it.
            loop {
                match events.try_recv() {
                    Err(TryRecvError::Empty | TryRecvError::Closed) => break,
                    heard => handle_event(heard.map_err(drop), &mut due),
                }
            }
        }
    }

    /// Reads the summary that is due; or how long there is none.
    async fn one(
        &self,
        shown: &DaemonStatus,
        due: &mut RefreshQueue<Job>,
        reader: &mut SummaryReader,
    ) -> Option<Duration> {
        let Some(context) = shown.context.as_ref().filter(|_| shown.unreachable.is_none()) else {
            reader.let_go();
            return Some(UNCONNECTED);
        };
        if reader.turn_to(context) {
            due.request_all();
        }
        let name = match due.next(Instant::now()) {
            NextRead::Read(name) => name,
            NextRead::Rest(rest) => return Some(rest.min(LONGEST_REST)),
        };
        let job = Arc::clone(&shown.datasets.get(&name)?.job);
        let began = Instant::now();
        let read = reader.read(context, job).await;
        let now = Instant::now();
        let reading = ReadTiming { took: now - began, beside_work: shown.working > 0 };
        match read {
            Ok(summary) => {
                due.was_read(&name, now, reading);
                self.put(name, summary);
            }
            // The loop says what is wrong with the database.
            Err(error) if error.is_unreachable() => {
                log::debug!("{name}: its days: {error}");
                due.rest(now);
            }
            Err(error) if due.failed(&name, now, reading) => {
                log::warn!("{name}: cannot read its days: {error}; retrying");
            }
            Err(error) => log::debug!("{name}: still cannot read its days: {error}"),
        }
        None
    }

    fn put(&self, name: DatasetName, summary: Summary) {
        let new = Arc::new(CachedSummary { summary, read_at: Utc::now() });
        let old = {
            let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
            kept.insert(name.clone(), Arc::clone(&new))
        };
        if old.is_none_or(|old| old.summary != new.summary) {
            // Nobody may listen.
            drop(self.changed.send(name));
        }
    }

    fn forget_all_but(&self, shown: &DaemonStatus) {
        let gone = |kept: &BTreeMap<DatasetName, _>| kept.keys().any(|name| !shown.datasets.contains_key(name));
        if gone(&self.kept.read().unwrap_or_else(PoisonError::into_inner)) {
            let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
            kept.retain(|name, _| shown.datasets.contains_key(name));
        }
    }
}

/// Events that were missed may have been of any dataset.
fn handle_event(event: Result<PublishedEvent, ()>, due: &mut RefreshQueue<Job>) {
    match event {
        Ok(PublishedEvent::Day(event)) => match event.outcome {
            LoadOutcome::Left(_)
            | LoadOutcome::Lost
            | LoadOutcome::Interrupted
            | LoadOutcome::DatabaseFailed { .. } => {}
            _ => due.request(&event.dataset),
        },
        Ok(PublishedEvent::DaySkipped { dataset, .. } | PublishedEvent::DatasetChanged { dataset }) => {
            due.request(&dataset);
        }
        // The state tables have nothing of the others.
        Ok(_) => {}
        Err(()) => due.request_all(),
    }
}

/// Reads summaries, on one connection.
#[derive(Default)]
struct SummaryReader {
    /// Which database it is turned to. It must not keep it: the daemon waits for the last who does.
    context: Weak<Context>,
    conn: Option<Conn>,
}

impl SummaryReader {
    /// Turns to a database; true when it was another before.
    fn turn_to(&mut self, context: &Arc<Context>) -> bool {
        let context = Arc::downgrade(context);
        if context.ptr_eq(&self.context) {
            return false;
        }
        *self = Self { context, conn: None };
        true
    }

    /// Closes its connection: a session holds the worker's lock.
    fn let_go(&mut self) {
        self.conn = None;
    }

    async fn read(&mut self, context: &Arc<Context>, job: Arc<Job>) -> Result<Summary, DbError> {
        let (conn, context) = (self.conn.take(), Arc::clone(context));
        let read = move || {
            let mut conn = conn.map_or_else(|| context.database.connect(), Ok)?;
            let wanted = cron::wanted(&job.dataset, Utc::now());
            let summary = status::summary(&mut conn, &job.dataset, &wanted)?;
            Ok((conn, summary))
        };
        let broke = |error: tokio::task::JoinError| DbError::Unreachable(error.to_string());
        let (conn, summary) = tokio::task::spawn_blocking(read).await.map_err(broke)??;
        self.conn = Some(conn);
        Ok(summary)
    }
}
