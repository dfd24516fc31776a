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
pub use self::messages::{DaemonEvent, DatasetEvent, DayMessage, HelloEvent, ProgressEvent};
use self::progress::ProgressTracker;
use crate::daemon::{DaemonHandle, DatasetSnapshot};
use crate::dataset::DatasetName;
use crate::events::{DayEvent, PublishedEvent};
use crate::load_outcome::LoadOutcome;
use crate::state::State;
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
        let (mut events, mut changes) = (daemon.subscribe(), summaries.changes());
        let mut progress = interval(PROGRESS);
        progress.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut seen, mut gathered) = (ProgressTracker::default(), PendingEvents::default());
        loop {
            let listened_to = self.listeners() > 0;
            let gathered_by = gathered.at.unwrap_or_else(tokio::time::Instant::now);
            tokio::select! {
                received = events.recv() => match received {
                    Ok(event) => self.handle_event(&event, &mut gathered),
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
                    let loads = daemon.status().context.as_ref().map(|context| context.active_loads.now());
                    seen.observe(&loads.unwrap_or_default()).into_iter().for_each(|event| self.send(event));
                }
                () = self.listening.notified() => {}
            }
            if !listened_to {
                seen = ProgressTracker::default();
            }
        }
    }

    fn handle_event(&self, event: &PublishedEvent, gathered: &mut PendingEvents) {
        match event {
            PublishedEvent::Day(event) => self.handle_day(event, gathered),
            PublishedEvent::DaySkipped { dataset, day } => {
                self.send_day(&DayMessage::of_state(dataset.as_str(), *day, State::Skipped));
            }
            PublishedEvent::DatasetChanged { dataset }
            | PublishedEvent::DatasetBlocked { dataset, .. }
            | PublishedEvent::DatasetUnblocked { dataset, .. } => gathered.dataset(dataset.clone()),
            PublishedEvent::DatasetPaused { .. }
            | PublishedEvent::DatasetResumed { .. }
            | PublishedEvent::DatabaseLost { again: false, .. }
            | PublishedEvent::DatabaseBack { .. }
            | PublishedEvent::ConfigurationApplied
            | PublishedEvent::ConfigurationRejected { .. } => gathered.daemon(),
            PublishedEvent::DaysAlike { .. }
            | PublishedEvent::DaysLate { .. }
            | PublishedEvent::DatabaseLost { again: true, .. }
            | PublishedEvent::DatabaseFailed { .. }
            | PublishedEvent::DatabaseRecovered { .. } => {}
        }
    }

    fn handle_day(&self, event: &DayEvent, gathered: &mut PendingEvents) {
        let error = match &event.outcome {
            LoadOutcome::Loaded | LoadOutcome::Settled(_) => None,
            LoadOutcome::Waiting { why, .. } | LoadOutcome::Absent { why, .. } => Some(why.clone()),
            LoadOutcome::Failed { error, .. } | LoadOutcome::Blocked { error, .. } => {
                Some(event.with_what_stays(&error.message))
            }
            LoadOutcome::Refused { error, .. } => Some(event.with_what_stays(&error.in_full)),
            // The day is as it was, whatever that is.
            LoadOutcome::Cancelled { .. } | LoadOutcome::Unchanged { .. } | LoadOutcome::Unavailable(_) => {
                return gathered.dataset(event.dataset.clone());
            }
            LoadOutcome::Left(_)
            | LoadOutcome::Lost
            | LoadOutcome::Interrupted
            | LoadOutcome::DatabaseFailed { .. } => return,
        };
        let Some(state) = event.state() else { return };
        self.send_day(&DayMessage {
            rows_loaded: event.rows_loaded(),
            rows_rejected: event.rows_rejected(),
            error: error.as_deref(),
            ..DayMessage::of_state(event.dataset.as_str(), event.day, state)
        });
    }

    fn send_day(&self, message: &DayMessage<'_>) {
        self.told.fetch_add(1, Ordering::SeqCst);
        if self.listeners() > 0 {
            self.send(event("day", message));
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
