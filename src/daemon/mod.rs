//! The daemon: it decides *when* days are looked at, and leaves the rest to `reconcile`.
//!
//! One loop owns all that changes. It is woken by the next tick, by an event, or after the poll timeout, and then does the same
//! each time: passes ticks that are due to the queue, begins what can begin, and aims at what comes next. Everything
//! that blocks runs on a thread of its own and answers with an event, so that the loop always turns; the service
//! manager's watchdog is fed by the loop and by nothing else.
//!
//! Between ticks a *sweep* looks at the open days of all datasets: those that wait or failed and are due by their own
//! clock, and those whose process is gone. The state table is the only thing daemons share, and all that outlives one.

mod active_dataset;
mod config_reader;
mod configuration;
mod database_session;
mod dataset_runtime;
mod dataset_task;
mod events;
mod file_watch;
mod handle;
mod handle_event;
mod housekeeping;
mod manual_loads;
mod reload;
mod run_queue;
mod shutdown;
mod status;
mod sweep;
mod task;
mod trouble;

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

pub use self::configuration::{BrokenDataset, ConfigValue, DaemonConfig, DatabaseSettings, Read};
use self::database_session::{ConnectJob, DatabaseSession};
use self::dataset_runtime::DatasetRuntime;
use self::dataset_task::StartedTask;
use self::events::Event;
use self::file_watch::FileWatch;
pub use self::handle::{DaemonCommand, DaemonHandle, DaemonStatus, DatasetSnapshot};
use self::housekeeping::Housekeeping;
use self::reload::Reloader;
use self::run_queue::RunQueue;
use self::sweep::Sweeper;
use self::task::TaskError;
use self::trouble::{TrackedTrouble, Trouble};
use crate::cron::{ClockWatch, Clocks, Timer, TimerError};
use crate::dataset::DatasetName;
use crate::db::attempts::Trigger;
use crate::events::{PublishedEvent, Subscribers};
use crate::load_day::{Context, Stop};
use crate::service_manager::ServiceManager;
use crate::wording::fault;

/// The longest poll timeout: after it the loop looks at the clock whatever was or was not to wake it.
const MAX_POLL_TIMEOUT: Duration = Duration::from_secs(15);

/// Threads for loading beyond the loads that may run at once: whoever waits for one of those begins when it ends.
const SPARE_LOAD_THREADS: usize = 4;

/// How often it is seen whether loads have ended that what persons asked for waits for.
const LOAD_CHECK: Duration = Duration::from_secs(1);

/// The daemon could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Signals cannot be listened for.
    #[error("listening for signals: {0}")]
    Signals(std::io::Error),
    /// The scheduler did not start.
    #[error(transparent)]
    Timer(#[from] TimerError),
}

/// How the daemon begins.
pub struct Start {
    /// What it is told to do at first.
    pub configuration: DaemonConfig,
    /// How it is told anew.
    pub read: Arc<Read>,
    /// Whether it catches up at once, whatever the datasets say.
    pub catch_up: Option<bool>,
    /// The service manager.
    pub manager: ServiceManager,
    /// Who hears of events, beside the metrics, the manual loads and the web UI.
    pub subscribers: Subscribers,
}

/// A daemon that is ready to run.
pub struct Ready {
    daemon: Daemon,
    inbox: Inbox,
}

/// What the loop waits for.
struct Inbox {
    events: UnboundedReceiver<Event>,
    commands: UnboundedReceiver<DaemonCommand>,
}

impl Ready {
    /// What it shows of itself, and what it can be asked for.
    #[must_use]
    pub fn handle(&self) -> Arc<DaemonHandle> {
        Arc::clone(&self.daemon.handle)
    }

    /// Runs until a signal stops it.
    pub async fn run(self) {
        self.daemon.run(self.inbox).await;
    }
}

/// Makes a daemon ready. Must be called inside the runtime that sources are to use.
///
/// # Errors
/// A [`StartError`].
pub async fn start(start: Start) -> Result<Ready, StartError> {
    let timer = Timer::start().await?;
    let (daemon, inbox) = Daemon::new(start, timer);
    events::forward_signals(&daemon.send).map_err(StartError::Signals)?;
    let version = env!("CARGO_PKG_VERSION");
    log::info!("dayfill {version} starts: {}, {}", daemon.counted(), daemon.configuration.connection.database);
    daemon.say_broken(&[]);
    Ok(Ready { daemon, inbox })
}

struct Daemon {
    /// What it is told to do.
    configuration: DaemonConfig,
    /// The datasets at work, and what runs when.
    queue: RunQueue,
    /// Its database.
    database: DatabaseSession,
    /// Why the open days cannot be read.
    sweep_trouble: TrackedTrouble,
    /// Why the ends of attempts cannot be written that the database was not there for.
    flush_trouble: TrackedTrouble,
    /// Why old attempts cannot be cleared.
    clearing_trouble: TrackedTrouble,
    /// When the open days are looked at.
    sweeper: Sweeper,
    /// When what was kept for long enough is cleared.
    housekeeping: Housekeeping,
    /// When the configuration is read again, and what came of the last time.
    reloader: Reloader,
    /// Tells loads to stop.
    stop: Stop,
    /// When loads in flight are cancelled; set by the first signal.
    stopping: Option<Instant>,
    /// When they were cancelled.
    abandoned: Option<Instant>,
    /// What it shows of itself.
    handle: Arc<DaemonHandle>,
    /// Events that are published once the daemon shows what they say: who looks then sees it.
    events: Vec<PublishedEvent>,
    /// The service manager was told that it is up.
    ready: bool,
    /// The dataset that came to something last, and what to say of it.
    last: Option<(DatasetName, String)>,
    /// Notices files that change.
    watch: FileWatch,
    /// Notices that the clock was set.
    clock: ClockWatch,
    /// Wakes the loop at the next tick.
    timer: Timer,
    /// The service manager.
    manager: ServiceManager,
    /// Where events are sent, for the loop to hear.
    send: UnboundedSender<Event>,
}

impl Daemon {
    fn new(start: Start, timer: Timer) -> (Self, Inbox) {
        let (send, events) = unbounded_channel();
        let (send_command, commands) = unbounded_channel();
        let Start { configuration, read, catch_up, manager, subscribers } = start;
        let handle = DaemonHandle::new(send_command, subscribers);
        let now = Utc::now();
        let mut daemon = Self {
            queue: RunQueue::default(),
            database: DatabaseSession::default(),
            sweep_trouble: TrackedTrouble::default(),
            flush_trouble: TrackedTrouble::default(),
            clearing_trouble: TrackedTrouble::default(),
            sweeper: Sweeper::new(now),
            housekeeping: Housekeeping::new(now),
            reloader: Reloader::new(read),
            stop: Stop::default(),
            stopping: None,
            abandoned: None,
            handle: Arc::new(handle),
            events: Vec::new(),
            ready: false,
            last: None,
            watch: watch(&configuration, &send),
            clock: ClockWatch::new(Clocks::read()),
            timer,
            manager,
            send,
            configuration,
        };
        for job in daemon.configuration.jobs.clone() {
            let name = job.dataset.name.clone();
            let catch_up = catch_up.unwrap_or(job.dataset.policy.catch_up.on_start);
            daemon.queue.put(&job, now);
            daemon.queue.look(&name, catch_up.then_some(Trigger::Start));
        }
        (daemon, Inbox { events, commands })
    }

    async fn run(mut self, mut inbox: Inbox) {
        self.connect();
        while !self.is_over() {
            self.turn();
            self.show();
            if let Some(at) = self.queue.next()
                && let Err(error) = self.timer.arm(at).await
            {
                // The timeouts are short enough to notice the tick all the same.
                log::debug!("{error}");
            }
            let poll_timeout = self.poll_timeout();
            tokio::select! {
                () = self.timer.wait() => {}
                // The senders are ours as well, so that there is always one.
                Some(event) = inbox.events.recv() => self.handle_event(event),
                Some(command) = inbox.commands.recv() => self.handle_command(command),
                () = tokio::time::sleep(poll_timeout) => {}
            }
            // A turn goes through all datasets: one for all that came together.
            while !self.is_over()
                && let Ok(event) = inbox.events.try_recv()
            {
                self.handle_event(event);
            }
            while !self.is_over()
                && let Ok(command) = inbox.commands.try_recv()
            {
                self.handle_command(command);
            }
        }
        self.say_unanswered();
        // Days that were about to begin, and did not.
        self.say_not_begun();
        // Whoever asks from here on is told that nobody hears it; who asked before is not left in the dark.
        inbox.commands.close();
        while let Ok(command) = inbox.commands.try_recv() {
            self.handle_command(command);
        }
        self.show();
        self.sign_off().await;
        log::info!("dayfill stopped");
    }

    /// What is done each time the loop turns.
    fn turn(&mut self) {
        let now = Utc::now();
        self.manager.feed_watchdog();
        if let Some(jump) = self.clock.look(Clocks::read()) {
            log::info!("{jump}: looking at the schedules anew");
            self.queue.aim(now);
            self.sweeper.soon(now);
            self.database.try_now(now);
            for trouble in [&mut self.sweep_trouble, &mut self.flush_trouble, &mut self.clearing_trouble] {
                trouble.try_now(now);
            }
        }
        if let Some(abandon_at) = self.stopping {
            if Instant::now() >= abandon_at && !self.stop.is_abandoned() {
                self.abandon();
            }
            return;
        }
        self.queue.pass(now);
        self.reload_if_due();
        if self.database.unreachable().is_some_and(|trouble| now < trouble.until()) {
            return;
        }
        let Some(context) = self.database.context().cloned() else {
            self.connect();
            return;
        };
        let doubtful = self.database.unreachable().is_some();
        if self.sweeper.is_due(now) || (doubtful && !self.sweeper.is_out()) {
            self.sweeper.begun(now);
            let (context, older) = (Arc::clone(&context), self.database.older().to_vec());
            let (generation, members) = (self.database.generation(), self.queue.definitions());
            self.thread("sweep", move || {
                let result = Box::new(sweep::sweep(&context, &older, &members, Utc::now()));
                Event::SweepEnded { generation, result }
            });
        }
        if !doubtful {
            self.start_tasks(&context, now);
            self.clear_old_attempts_if_due(&context, now);
        }
    }

    fn start_tasks(&mut self, context: &Arc<Context>, now: DateTime<Utc>) {
        if self.queue.holds_some() {
            let loads = context.active_loads.now();
            self.queue.free(|name, day| loads.iter().any(|load| load.dataset == *name && load.day == day));
        }
        let threads = self.configuration.connection.max_parallel_loads as usize + SPARE_LOAD_THREADS;
        for started in self.queue.begin(now, threads) {
            let Some(dataset) = self.queue.dataset(&started.name).map(|it| Arc::clone(&it.definition)) else {
                continue;
            };
            let (context, handle) = (Arc::clone(context), Arc::clone(&self.handle));
            let generation = self.database.generation();
            self.thread("dataset task", move || {
                let began = Instant::now();
                // A fault in one dataset's work holds up that dataset and no other.
                let isolated = AssertUnwindSafe(|| task::run(&context, &dataset, &started, &handle, &Utc::now));
                let result = std::panic::catch_unwind(isolated)
                    .unwrap_or_else(|panic| Err(TaskError::Other(fault(panic.as_ref()))));
                let StartedTask { name, task, .. } = started;
                Event::TaskEnded { generation, name, task, began, result }
            });
        }
    }

    /// How long the loop may sleep when nothing wakes it.
    fn poll_timeout(&self) -> Duration {
        let now = Utc::now();
        let until = |at: DateTime<Utc>| (at - now).to_std().unwrap_or_default();
        let mut timeouts = vec![MAX_POLL_TIMEOUT];
        timeouts.extend(self.manager.watchdog_interval().map(|interval| interval / 2));
        if self.stopping.is_some() {
            timeouts.push(shutdown::CHECK);
        } else {
            timeouts.extend(self.reloader.due_in());
            let blocked = self.database.unreachable().map(Trouble::until);
            timeouts.extend(blocked.filter(|_| !self.database.is_connecting() && !self.sweeper.is_out()).map(until));
            // Without a database there is nothing to begin, and its connection wakes the loop.
            if blocked.is_none() && self.database.context().is_some() {
                timeouts.extend(self.sweeper.next().map(until));
                timeouts.extend(self.queue.next_try().map(until));
                timeouts.extend(self.queue.holds_some().then_some(LOAD_CHECK));
            }
        }
        timeouts.into_iter().min().unwrap_or(MAX_POLL_TIMEOUT)
    }

    /// Runs what blocks on a thread of its own; its event comes to [`Self::handle_event`].
    fn thread(&self, what: &'static str, work: impl FnOnce() -> Event + Send + 'static) {
        let send = self.send.clone();
        let thread = move || {
            let done = std::panic::catch_unwind(AssertUnwindSafe(work));
            let event = done.unwrap_or_else(|panic| Event::ThreadPanicked(what, fault(panic.as_ref())));
            // Nobody listens only when the daemon is over.
            drop(send.send(event));
        };
        if let Err(error) = std::thread::Builder::new().name(what.to_owned()).spawn(thread) {
            drop(self.send.send(Event::ThreadPanicked(what, error.to_string())));
        }
    }

    fn connect(&mut self) {
        if !self.database.begin_connecting() {
            return;
        }
        let connect =
            ConnectJob::new(&self.configuration, &self.stop, self.database.flights(), self.handle.subscribers());
        let generation = self.database.generation();
        self.thread("connect", move || Event::Connected { generation, connected: connect.connect() });
    }

    /// Shows what is to be seen now, and then tells of what is news in it.
    fn show(&mut self) {
        let unreachable = self.database.unreachable();
        self.handle.show(DaemonStatus {
            context: self.database.context().cloned(),
            database: self.configuration.connection.database.to_string(),
            unreachable: unreachable.map(|trouble| (trouble.since(), trouble.error().to_owned())),
            datasets: self.dataset_snapshots(),
            working: self.queue.working(),
            stopping: self.stopping.is_some(),
            file: self.configuration.file.clone(),
            in_force_since: self.reloader.in_force_since(),
            refused_at: self.reloader.refused_at(),
            keys: Arc::clone(&self.configuration.keys),
            refused: self.reloader.refused(),
            broken: self.configuration.broken.clone(),
        });
        self.publish_pending();
    }

    /// Publishes what happened since the last time.
    fn publish_pending(&mut self) {
        self.events.drain(..).for_each(|event| self.handle.publish(&event));
    }

    /// The datasets, in the map that is shown already if nothing of them changed: the loop turns often.
    fn dataset_snapshots(&self) -> Arc<BTreeMap<DatasetName, DatasetSnapshot>> {
        let before = Arc::clone(&self.handle.status().datasets);
        let now = || self.queue.iter().map(|(name, dataset)| (name, snapshot(dataset)));
        let is_shown = |((name, now), (known, shown)): ((_, DatasetSnapshot), (_, &DatasetSnapshot))| {
            name == known && now == *shown
        };
        if before.len() == self.queue.iter().count() && now().zip(before.iter()).all(is_shown) {
            return before;
        }
        Arc::new(now().map(|(name, now)| (name.clone(), now)).collect())
    }
}

fn snapshot(dataset: &DatasetRuntime) -> DatasetSnapshot {
    DatasetSnapshot {
        job: Arc::clone(&dataset.definition.job),
        next_tick: dataset.next_tick,
        last_tick: dataset.last_tick,
        paused: dataset.paused.clone(),
        trouble: dataset.trouble.current().map(|trouble| trouble.error().to_owned()),
        source_trouble: dataset.source_trouble.current().map(|it| (it.since(), it.error().to_owned())),
    }
}

fn watch(configuration: &DaemonConfig, send: &UnboundedSender<Event>) -> FileWatch {
    let send = send.clone();
    FileWatch::start(&configuration.watched, move || drop(send.send(Event::FilesChanged)))
}

#[cfg(test)]
mod tests;
