//! What happens, for those who listen. One task makes each event once; all streams share it, so that a further listener
//! costs next to nothing, and where nobody listens nothing is made.

mod messages;
mod progress;
mod stream;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::response::sse::Event;
use chrono::Utc;
use tokio::sync::Notify;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::broadcast::{self, Receiver};
use tokio::time::{MissedTickBehavior, interval, sleep_until};

use self::messages::event;
pub use self::messages::{DaemonEvent, DatasetEvent, DayEvent, HelloEvent, ProgressEvent};
use self::progress::ProgressTracker;
use crate::daemon::{DaemonHandle, DatasetSnapshot, News};
use crate::dataset::DatasetName;
use crate::status::instant;
use crate::web::summaries::Summaries;

/// How far a listener may be behind; one that is further is told to begin anew.
const BEHIND: usize = 256;

/// How often it is looked how far loads are.
const PROGRESS: Duration = Duration::from_millis(500);

/// How long news of a dataset and of the daemon are gathered: many come together.
const GATHER: Duration = Duration::from_millis(100);

/// What happens, for those who listen.
#[derive(Debug)]
pub struct Events {
    /// To every stream; `None` once the daemon shuts down.
    channel: Mutex<Option<broadcast::Sender<Event>>>,
    /// Wakes the task when somebody begins to listen.
    listening: Notify,
    /// Grows with everything that is told.
    told: AtomicU64,
}

impl Default for Events {
    fn default() -> Self {
        // A page that was made by the process before has a lower number.
        let told = AtomicU64::new(Utc::now().timestamp_millis().unsigned_abs());
        Self { channel: Mutex::new(Some(broadcast::channel(BEHIND).0)), listening: Notify::new(), told }
    }
}

/// What is to be told when it was gathered.
#[derive(Default)]
struct PendingEvents {
    datasets: BTreeSet<DatasetName>,
    daemon: bool,
    at: Option<tokio::time::Instant>,
    /// The datasets that were paused when something was told last.
    paused: BTreeSet<DatasetName>,
}

impl Events {
    /// Ends all streams, for good: the daemon is ending, and nobody need wait for those who listen.
    pub fn end(&self) {
        self.channel.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// Ends the streams there are: where they are listened for is about to change. Whoever listens comes back by
    /// itself.
    pub(in crate::web) fn disconnect_all(&self) {
        if let Some(channel) = &mut *self.channel.lock().unwrap_or_else(PoisonError::into_inner) {
            *channel = broadcast::channel(BEHIND).0;
        }
    }

    /// How many listen now.
    #[must_use]
    pub fn listeners(&self) -> usize {
        let channel = self.channel.lock().unwrap_or_else(PoisonError::into_inner);
        channel.as_ref().map_or(0, broadcast::Sender::receiver_count)
    }

    /// A number that grows with everything that is told, whether anybody listens or not: who saw it before they looked,
    /// and finds it unchanged when they begin to listen, has missed nothing.
    #[must_use]
    pub fn told(&self) -> u64 {
        self.told.load(Ordering::SeqCst)
    }

    /// What happens from here on; `None` when it is over.
    fn listen(&self) -> Option<Receiver<Event>> {
        let channel = self.channel.lock().unwrap_or_else(PoisonError::into_inner);
        let receiver = channel.as_ref().map(broadcast::Sender::subscribe);
        self.listening.notify_one();
        receiver
    }

    fn send(&self, event: Event) {
        if let Some(channel) = &*self.channel.lock().unwrap_or_else(PoisonError::into_inner) {
            // Nobody may listen by now.
            drop(channel.send(event));
        }
    }

    /// Makes the events, for as long as the runtime lives.
    pub(super) async fn run(self: Arc<Self>, daemon: Arc<DaemonHandle>, summaries: Arc<Summaries>) {
        let (mut news, mut changes) = (daemon.subscribe(), summaries.changes());
        let mut progress = interval(PROGRESS);
        progress.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut seen, mut gathered) = (ProgressTracker::default(), PendingEvents::default());
        loop {
            let listened_to = self.listeners() > 0;
            let gathered_by = gathered.at.unwrap_or_else(tokio::time::Instant::now);
            tokio::select! {
                received = news.recv() => match received {
                    Ok(news) => self.handle_news(&news, &mut gathered),
                    Err(RecvError::Lagged(_)) => gathered.daemon(),
                    Err(RecvError::Closed) => return,
                },
                name = changes.recv() => match name {
                    Ok(name) => gathered.dataset(name),
                    Err(RecvError::Lagged(_)) => gathered.daemon(),
                    Err(RecvError::Closed) => return,
                },
                () = sleep_until(gathered_by), if gathered.at.is_some() => {
                    self.flush(&mut gathered, &daemon, &summaries);
                }
                _ = progress.tick(), if listened_to => {
                    let flights = daemon.status().context.as_ref().map(|context| context.flights.now());
                    seen.observe(&flights.unwrap_or_default()).into_iter().for_each(|event| self.send(event));
                }
                () = self.listening.notified() => {}
            }
            if !listened_to {
                seen = ProgressTracker::default();
            }
        }
    }

    fn handle_news(&self, news: &News, gathered: &mut PendingEvents) {
        if let News::Day { .. } = news {
            self.told.fetch_add(1, Ordering::SeqCst);
        }
        match news {
            News::Day { dataset, day, state, rows_loaded, rows_rejected, error } if self.listeners() > 0 => {
                let (dataset, state, error) = (dataset.as_str(), state.name(), error.as_deref());
                let (day, rows_loaded, rows_rejected) = (*day, *rows_loaded, *rows_rejected);
                self.send(event("day", &DayEvent { dataset, day, state, rows_loaded, rows_rejected, error }));
            }
            News::Day { .. } => {}
            News::Dataset(name) => gathered.dataset(name.clone()),
            News::Daemon => gathered.daemon(),
        }
    }

    /// Tells what was gathered.
    fn flush(&self, gathered: &mut PendingEvents, daemon: &DaemonHandle, summaries: &Summaries) {
        let shown = daemon.status();
        let is_paused =
            |(name, dataset): (&DatasetName, &DatasetSnapshot)| dataset.paused.as_ref().map(|_| name.clone());
        let paused: BTreeSet<DatasetName> = shown.datasets.iter().filter_map(is_paused).collect();
        let PendingEvents { mut datasets, daemon, paused: before, .. } = std::mem::take(gathered);
        datasets.extend(paused.symmetric_difference(&before).cloned());
        gathered.paused = paused;
        // Before it is told: who begins to listen in between hears of it, too.
        self.told.fetch_add(1, Ordering::SeqCst);
        if self.listeners() == 0 {
            return;
        }
        for name in &datasets {
            let (Some(dataset), Some(kept)) = (shown.datasets.get(name), summaries.of(name)) else { continue };
            let changed = DatasetEvent {
                dataset: name.as_str(),
                counts: &kept.summary.counts,
                next_tick: dataset.next_tick.map(instant),
                paused: dataset.paused.is_some(),
                late: kept.summary.late,
            };
            self.send(event("dataset", &changed));
        }
        if daemon {
            self.send(event("daemon", &DaemonEvent {}));
        }
    }
}

impl PendingEvents {
    fn dataset(&mut self, name: DatasetName) {
        self.datasets.insert(name);
        self.soon();
    }

    fn daemon(&mut self) {
        self.daemon = true;
        self.soon();
    }

    fn soon(&mut self) {
        self.at.get_or_insert_with(|| tokio::time::Instant::now() + GATHER);
    }
}
