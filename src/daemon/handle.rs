//! What the daemon shows of itself, and what it can be asked for: the page's side of the loop. The loop writes,
//! everybody else reads; whoever asks for something is heard at the loop's next turn.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use tokio::sync::broadcast;
use tokio::sync::mpsc::UnboundedSender;

use super::configuration::{BrokenDataset, ConfigValue};
use crate::daemon::manual_loads::{EndedLoad, ManualLoads};
use crate::dataset::DatasetName;
use crate::day::Day;
use crate::db::activity_log;
use crate::db::paused::Pause;
use crate::db::pool::Conn;
use crate::events::{PublishedEvent, Subscriber, Subscribers};
use crate::load_day::{Context, Job};
use crate::metrics::Metrics;
use crate::plan::LoadMode;

/// How much news a listener may be behind before it misses some.
const BEHIND: usize = 256;

/// What the daemon shows of itself.
pub struct DaemonHandle {
    status: RwLock<Arc<DaemonStatus>>,
    turned: RwLock<Instant>,
    metrics: Arc<Metrics>,
    subscribers: Subscribers,
    live: broadcast::Sender<PublishedEvent>,
    commands: UnboundedSender<DaemonCommand>,
    manual_loads: Arc<ManualLoads>,
}

/// The daemon as it was at its loop's last turn.
#[derive(Default)]
pub struct DaemonStatus {
    /// What loading needs, once the database was reached.
    pub context: Option<Arc<Context>>,
    /// Where the database is, safe to print.
    pub database: String,
    /// Since when the database cannot be reached, where it cannot, and why.
    pub unreachable: Option<(DateTime<Utc>, String)>,
    /// The datasets, by name: the very same map until one of them is shown otherwise, so that whoever goes through
    /// all of them can tell that nothing changed.
    pub datasets: Arc<BTreeMap<DatasetName, DatasetSnapshot>>,
    /// How many lanes work now.
    pub working: usize,
    /// It is ending: no further day begins.
    pub stopping: bool,
    /// The main file of the configuration.
    pub file: String,
    /// Since when the configuration is in force.
    pub in_force_since: DateTime<Utc>,
    /// When one was refused last.
    pub refused_at: Option<DateTime<Utc>>,
    /// Every key that was given, and the main file's others with their defaults, by the place each stands in.
    pub keys: Arc<BTreeMap<String, ConfigValue>>,
    /// What is wrong with the configuration that was refused last, a line each; `None` when the last one was taken.
    pub refused: Option<String>,
    /// The datasets that cannot be used as their files have them.
    pub broken: Vec<BrokenDataset>,
}

/// A dataset as the daemon has it.
#[derive(Clone)]
pub struct DatasetSnapshot {
    /// The dataset, ready to be loaded.
    pub job: Arc<Job>,
    /// Its next tick.
    pub next_tick: Option<DateTime<Utc>>,
    /// Since when, by whom and why it is paused.
    pub paused: Option<Pause>,
    /// When its last tick was taken, since the daemon started.
    pub last_tick: Option<DateTime<Utc>>,
    /// What keeps it from being loaded, where something does.
    pub trouble: Option<String>,
    /// Why its source cannot be asked, and since when, where that is so.
    pub source_trouble: Option<(DateTime<Utc>, String)>,
}

impl DatasetSnapshot {
    /// What keeps it from being loaded, its source or something else.
    #[must_use]
    pub fn held_up(&self) -> Option<&str> {
        let of_source = self.source_trouble.as_ref().map(|(_, error)| error.as_str());
        self.trouble.as_deref().or(of_source)
    }
}

impl PartialEq for DatasetSnapshot {
    fn eq(&self, other: &Self) -> bool {
        let Self { job, next_tick, paused, last_tick, trouble, source_trouble } = self;
        Arc::ptr_eq(job, &other.job)
            && (next_tick, paused, last_tick) == (&other.next_tick, &other.paused, &other.last_tick)
            && (trouble, source_trouble) == (&other.trouble, &other.source_trouble)
    }
}

/// Hands events on to those who watch, as the web UI does.
struct LiveEvents(broadcast::Sender<PublishedEvent>);

impl Subscriber for LiveEvents {
    fn receive(&self, event: &PublishedEvent) {
        if self.0.receiver_count() > 0 {
            // The last of them may be gone.
            drop(self.0.send(event.clone()));
        }
    }
}

/// What the loop can be asked for.
#[derive(Debug)]
pub enum DaemonCommand {
    /// To fill in the days that are missing, as at a tick.
    CatchUp(DatasetName),
    /// To load these days, oldest first.
    Load {
        /// The dataset.
        dataset: DatasetName,
        /// The days.
        days: Vec<Day>,
        /// How: [`LoadMode::Named`] leaves loaded days, [`LoadMode::Retry`] others as well, [`LoadMode::Forced`] loads all again.
        ask: LoadMode,
    },
    /// To see what was changed in the state tables: days skipped or forgotten, datasets paused or resumed.
    Changed(DatasetName),
}

impl DaemonHandle {
    /// One whose events go to these subscribers, the metrics, the manual loads and those who watch. A subscriber of the
    /// daemon alone is added here.
    pub(super) fn new(ask: UnboundedSender<DaemonCommand>, subscribers: Subscribers) -> Self {
        let (live, _) = broadcast::channel(BEHIND);
        let (status, turned) = (RwLock::default(), RwLock::new(Instant::now()));
        let (metrics, manual_loads) = (Arc::<Metrics>::default(), Arc::<ManualLoads>::default());
        let subscribers =
            subscribers.with(metrics.clone()).with(manual_loads.clone()).with(Arc::new(LiveEvents(live.clone())));
        Self { status, turned, metrics, subscribers, live, commands: ask, manual_loads }
    }

    /// That of a daemon whose loop is over.
    #[cfg(test)]
    pub(crate) fn disconnected() -> Self {
        Self::new(tokio::sync::mpsc::unbounded_channel().0, Subscribers::default())
    }

    /// The daemon as it was at its loop's last turn.
    #[must_use]
    pub fn status(&self) -> Arc<DaemonStatus> {
        Arc::clone(&self.status.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// How long ago the loop turned last. It does so at least every 15 seconds while it lives.
    #[must_use]
    pub fn last_turn_age(&self) -> Duration {
        self.turned.read().unwrap_or_else(PoisonError::into_inner).elapsed()
    }

    /// What is counted.
    #[must_use]
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// What happens from here on.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<PublishedEvent> {
        self.live.subscribe()
    }

    /// Asks for something; false when the loop is over, so that nobody hears it.
    pub fn send(&self, command: DaemonCommand) -> bool {
        self.commands.send(command).is_ok()
    }

    /// The days of a dataset that this process is loading now.
    #[must_use]
    pub fn loading(&self, dataset: &DatasetName) -> BTreeSet<Day> {
        let flights = self.status().context.as_ref().map(|context| context.active_loads.now()).unwrap_or_default();
        flights.iter().filter(|flight| flight.dataset == *dataset).map(|flight| flight.day).collect()
    }

    /// What persons asked to have loaded, until it came to something.
    #[must_use]
    pub fn manual_loads(&self) -> &ManualLoads {
        &self.manual_loads
    }

    /// Writes how orders ended that have ended, and tells those who watch.
    pub fn record_ended_loads(&self, conn: &mut Conn) {
        for EndedLoad { entry, dataset, outcome } in self.manual_loads.take_ended() {
            log::info!("{dataset}: what was asked for is {outcome}");
            if let Err(error) = activity_log::end(conn, entry, &outcome) {
                log::warn!("the activity log does not tell what came of this: {error}");
            }
            self.publish(&PublishedEvent::DatasetChanged { dataset });
        }
    }

    /// Publishes an event that is true by now.
    pub fn publish(&self, event: &PublishedEvent) {
        self.subscribers.receive(event);
    }

    /// Who hears of events.
    pub(super) fn subscribers(&self) -> &Subscribers {
        &self.subscribers
    }

    pub(super) fn show(&self, shown: DaemonStatus) {
        let database_up = shown.context.is_some() && shown.unreachable.is_none();
        self.metrics.turned(Utc::now(), database_up, shown.datasets.keys());
        *self.status.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(shown);
        self.turned();
    }

    pub(super) fn turned(&self) {
        *self.turned.write().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::DayEvent;
    use crate::load_outcome::LoadOutcome;
    use crate::metrics::{Process, Seen};

    #[test]
    fn whoever_asks_is_told_whether_it_is_heard() {
        let (send, events) = tokio::sync::mpsc::unbounded_channel();
        let handle = DaemonHandle::new(send, Subscribers::default());
        let look = || DaemonCommand::Changed("orders".parse().unwrap());
        assert!(handle.send(look()));
        drop(events);
        assert!(!handle.send(look()));
    }

    #[test]
    fn what_is_shown_and_heard_is_in_the_metrics() {
        let handle = DaemonHandle::disconnected();
        let (process, now) = (Process::default(), Utc::now());
        let seen = Seen {
            datasets: &[],
            workers: None,
            database_silent: false,
            configuration_refused: false,
            broken_datasets: 0,
            process,
            now,
        };
        let text = handle.metrics().expose(&seen);
        assert!(!text.contains("\ndayfill_loop_turned_timestamp_seconds "), "{text}");
        handle.show(DaemonStatus::default());
        handle
            .publish(&PublishedEvent::Day(DayEvent { bytes: 7, ..DayEvent::sample("2024-03-01", LoadOutcome::Lost) }));
        let text = handle.metrics().expose(&seen);
        for line in ["dayfill_claims_lost_total{dataset=\"orders\"} 1", "dayfill_database_up 0"] {
            assert!(text.lines().any(|found| found == line), "{line}: {text}");
        }
        assert!(text.contains("\ndayfill_loop_turned_timestamp_seconds "), "{text}");
    }
}
