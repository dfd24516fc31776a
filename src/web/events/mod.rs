//! What happens, for those who listen. One task makes each event once; all streams share it, so that a further listener
//! costs next to nothing, and where nobody listens nothing is made.

mod flights;
mod kinds;
mod stream;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use chrono::Utc;
use tokio::sync::Notify;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::broadcast::{self, Receiver};
use tokio::time::{MissedTickBehavior, interval, sleep_until};

use self::flights::Seen;
use self::kinds::frame;
pub use self::kinds::{DaemonEvent, DatasetEvent, DayEvent, HelloEvent, ProgressEvent};
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
    /// Events as they go over the wire; `None` once it is over.
    frames: Mutex<Option<broadcast::Sender<Bytes>>>,
    /// Wakes the task when somebody begins to listen.
    listening: Notify,
    /// Grows with everything that is told.
    told: AtomicU64,
}

impl Default for Events {
    fn default() -> Self {
        // A page that was made by the process before has a lower number.
        let told = AtomicU64::new(Utc::now().timestamp_millis().unsigned_abs());
        Self { frames: Mutex::new(Some(broadcast::channel(BEHIND).0)), listening: Notify::new(), told }
    }
}

/// What is to be told when it was gathered.
#[derive(Default)]
struct Gathered {
    datasets: BTreeSet<DatasetName>,
    daemon: bool,
    at: Option<tokio::time::Instant>,
    /// The datasets that were paused when something was told last.
    paused: BTreeSet<DatasetName>,
}

impl Events {
    /// Ends all streams, for good: the daemon is ending, and nobody need wait for those who listen.
    pub fn end(&self) {
        self.frames.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// Ends the streams there are: where they are listened for is about to change. Whoever listens comes back by
    /// itself.
    pub(in crate::web) fn break_off(&self) {
        if let Some(frames) = &mut *self.frames.lock().unwrap_or_else(PoisonError::into_inner) {
            *frames = broadcast::channel(BEHIND).0;
        }
    }

    /// How many listen now.
    #[must_use]
    pub fn listeners(&self) -> usize {
        let frames = self.frames.lock().unwrap_or_else(PoisonError::into_inner);
        frames.as_ref().map_or(0, broadcast::Sender::receiver_count)
    }

    /// A number that grows with everything that is told, whether anybody listens or not: who saw it before they looked,
    /// and finds it unchanged when they begin to listen, has missed nothing.
    #[must_use]
    pub fn told(&self) -> u64 {
        self.told.load(Ordering::SeqCst)
    }

    /// What happens from here on; `None` when it is over.
    fn listen(&self) -> Option<Receiver<Bytes>> {
        let frames = self.frames.lock().unwrap_or_else(PoisonError::into_inner);
        let receiver = frames.as_ref().map(broadcast::Sender::subscribe);
        self.listening.notify_one();
        receiver
    }

    fn send(&self, frame: Bytes) {
        if let Some(frames) = &*self.frames.lock().unwrap_or_else(PoisonError::into_inner) {
            // Nobody may listen by now.
            drop(frames.send(frame));
        }
    }

    /// Makes the events, for as long as the runtime lives.
    pub(super) async fn keep(self: Arc<Self>, daemon: Arc<DaemonHandle>, summaries: Arc<Summaries>) {
        let (mut news, mut changes) = (daemon.subscribe(), summaries.changes());
        let mut look = interval(PROGRESS);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut seen, mut gathered) = (Seen::default(), Gathered::default());
        loop {
            let listened_to = self.listeners() > 0;
            let gathered_by = gathered.at.unwrap_or_else(tokio::time::Instant::now);
            tokio::select! {
                heard = news.recv() => match heard {
                    Ok(news) => self.hear(&news, &mut gathered),
                    Err(RecvError::Lagged(_)) => gathered.daemon(),
                    Err(RecvError::Closed) => return,
                },
                name = changes.recv() => match name {
                    Ok(name) => gathered.dataset(name),
                    Err(RecvError::Lagged(_)) => gathered.daemon(),
                    Err(RecvError::Closed) => return,
                },
                () = sleep_until(gathered_by), if gathered.at.is_some() => {
                    self.tell(&mut gathered, &daemon, &summaries);
                }
                _ = look.tick(), if listened_to => {
                    let flights = daemon.status().context.as_ref().map(|context| context.flights.now());
                    seen.look(&flights.unwrap_or_default()).into_iter().for_each(|frame| self.send(frame));
                }
                () = self.listening.notified() => {}
            }
            if !listened_to {
                seen = Seen::default();
            }
        }
    }

    fn hear(&self, news: &News, gathered: &mut Gathered) {
        if let News::Day { .. } = news {
            self.told.fetch_add(1, Ordering::SeqCst);
        }
        match news {
            News::Day { dataset, day, state, rows_loaded, rows_rejected, error } if self.listeners() > 0 => {
                let (dataset, state, error) = (dataset.as_str(), state.name(), error.as_deref());
                let (day, rows_loaded, rows_rejected) = (*day, *rows_loaded, *rows_rejected);
                self.send(frame("day", &DayEvent { dataset, day, state, rows_loaded, rows_rejected, error }));
            }
            News::Day { .. } => {}
            News::Dataset(name) => gathered.dataset(name.clone()),
            News::Daemon => gathered.daemon(),
        }
    }

    /// Tells what was gathered.
    fn tell(&self, gathered: &mut Gathered, daemon: &DaemonHandle, summaries: &Summaries) {
        let shown = daemon.status();
        let is_paused =
            |(name, dataset): (&DatasetName, &DatasetSnapshot)| dataset.paused.as_ref().map(|_| name.clone());
        let paused: BTreeSet<DatasetName> = shown.datasets.iter().filter_map(is_paused).collect();
        let Gathered { mut datasets, daemon, paused: before, .. } = std::mem::take(gathered);
        datasets.extend(paused.symmetric_difference(&before).cloned());
        gathered.paused = paused;
        // Before it is told: who begins to listen in between hears of it, too.
        self.told.fetch_add(1, Ordering::SeqCst);
        if self.listeners() == 0 {
            return;
        }
        for name in &datasets {
            let (Some(dataset), Some(kept)) = (shown.datasets.get(name), summaries.of(name)) else { continue };
            let event = DatasetEvent {
                dataset: name.as_str(),
                counts: &kept.summary.counts,
                next_tick: dataset.next_tick.map(instant),
                paused: dataset.paused.is_some(),
                late: kept.summary.late,
            };
            self.send(frame("dataset", &event));
        }
        if daemon {
            self.send(frame("daemon", &DaemonEvent {}));
        }
    }
}

impl Gathered {
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
