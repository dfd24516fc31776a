//! The daemon: it decides *when* days are looked at, and leaves the rest to `reconcile`.
//!
//! One loop owns all that changes. It is woken by the next tick, by an event, or after a nap, and then does the same
//! each time: passes ticks that are due to the agenda, begins what can begin, and aims at what comes next. Everything
//! that blocks runs on a thread of its own and answers with an event, so that the loop always turns; the service
//! manager's watchdog is fed by the loop and by nothing else.
//!
//! Between ticks a *pulse* looks at the open days of all datasets: those that wait or failed and are due by their own
//! clock, and those whose process is gone. The state table is the only thing daemons share, and all that outlives one.

mod agenda;
mod board;
mod configuration;
mod events;
mod hear;
mod housekeeping;
mod lane;
mod link;
mod member;
mod orders;
mod pulse;
mod reload;
mod status;
mod stopping;
mod trouble;
mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use self::agenda::Agenda;
pub use self::board::{Asked, Board, DatasetShown, News, Shown};
pub use self::configuration::{BrokenDataset, Configuration, Connection, Given, Read};
use self::events::Event;
use self::housekeeping::Housekeeping;
use self::lane::Hindrance;
use self::link::{Connect, Link};
use self::member::Member;
use self::pulse::Pulse;
use self::reload::Reload;
use self::trouble::{Trouble, Troubles};
use self::watch::Watch;
use crate::dataset::DatasetName;
use crate::day::Day;
use crate::db::attempts::Trigger;
use crate::db::paused::Paused;
use crate::load_day::{Context, Stop};
use crate::scheduler::{ClockWatch, Clocks, Waker, WakerError};
use crate::service_manager::ServiceManager;
use crate::wording::fault;

/// The longest nap: after it the loop looks at the clock whatever was or was not to wake it.
const LONGEST_NAP: Duration = Duration::from_secs(15);

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
    Waker(#[from] WakerError),
}

/// How the daemon begins.
pub struct Start {
    /// What it is told to do at first.
    pub configuration: Configuration,
    /// How it is told anew.
    pub read: Arc<Read>,
    /// Whether it catches up at once, whatever the datasets say.
    pub catch_up: Option<bool>,
    /// The service manager.
    pub manager: ServiceManager,
    /// Who is told of attempts.
    #[cfg(feature = "otel")]
    pub traces: Option<Arc<crate::traces::Traces>>,
}

/// A daemon that is ready to run.
pub struct Ready {
    daemon: Daemon,
    events: UnboundedReceiver<Event>,
}

impl Ready {
    /// What it shows of itself, and what it can be asked for.
    #[must_use]
    pub fn board(&self) -> Arc<Board> {
        Arc::clone(&self.daemon.board)
    }

    /// Runs until a signal stops it.
    pub async fn run(self) {
        self.daemon.run(self.events).await;
    }
}

/// Makes a daemon ready. Must be called inside the runtime that sources are to use.
///
/// # Errors
/// A [`StartError`].
pub async fn start(start: Start) -> Result<Ready, StartError> {
    let (send, events) = unbounded_channel();
    events::forward_signals(&send).map_err(StartError::Signals)?;
    let waker = Waker::start().await?;
    let daemon = Daemon::new(start, send, waker);
    let version = env!("CARGO_PKG_VERSION");
    log::info!("dayfill {version} starts: {}, {}", daemon.counted(), daemon.configuration.connection.database);
    daemon.say_broken(&[]);
    Ok(Ready { daemon, events })
}

struct Daemon {
    /// What it is told to do.
    configuration: Configuration,
    /// The datasets at work.
    members: BTreeMap<DatasetName, Arc<Member>>,
    /// Which of them is to be looked at when.
    agenda: Agenda,
    /// Its database.
    link: Link,
    /// What else stands in the way.
    troubles: Troubles,
    /// Sources that cannot be asked, by dataset.
    sources: Troubles,
    /// When the open days are looked at.
    pulse: Pulse,
    /// When what was kept for long enough is cleared.
    housekeeping: Housekeeping,
    /// When the configuration is read again, and what came of the last time.
    reload: Reload,
    /// Tells loads to stop.
    stop: Stop,
    /// When loads in flight are cancelled; set by the first signal.
    stopping: Option<Instant>,
    /// When they were cancelled.
    abandoned: Option<Instant>,
    /// Days that a person asked for and of which it was said that they did not begin.
    not_begun: BTreeMap<DatasetName, BTreeSet<Day>>,
    /// Datasets that are paused.
    pauses: BTreeMap<DatasetName, Paused>,
    /// What it shows of itself.
    board: Arc<Board>,
    /// What those who watch hear once the board shows it: who looks then sees what they were told of.
    news: Vec<News>,
    /// Late days that were said.
    late: BTreeMap<DatasetName, BTreeSet<Day>>,
    /// The service manager was told that it is up.
    ready: bool,
    /// The dataset that came to something last, and what to say of it.
    last: Option<(DatasetName, String)>,
    /// Notices files that change.
    watch: Watch,
    /// Notices that the clock was set.
    clock: ClockWatch,
    /// Wakes the loop at the next tick.
    waker: Waker,
    /// The service manager.
    manager: ServiceManager,
    /// Where events are sent, for the loop to hear.
    send: UnboundedSender<Event>,
}

impl Daemon {
    fn new(start: Start, send: UnboundedSender<Event>, waker: Waker) -> Self {
        let board = Board::new(send.clone());
        #[cfg(feature = "otel")]
        let board = board.with_traces(start.traces);
        let Start { configuration, read, catch_up, manager, .. } = start;
        let now = Utc::now();
        let mut daemon = Self {
            members: BTreeMap::new(),
            agenda: Agenda::default(),
            link: Link::default(),
            troubles: Troubles::default(),
            sources: Troubles::default(),
            pulse: Pulse::new(now),
            housekeeping: Housekeeping::new(now),
            reload: Reload::new(read),
            stop: Stop::default(),
            stopping: None,
            abandoned: None,
            not_begun: BTreeMap::new(),
            pauses: BTreeMap::new(),
            board: Arc::new(board),
            news: Vec::new(),
            late: BTreeMap::new(),
            ready: false,
            last: None,
            watch: watch(&configuration, &send),
            clock: ClockWatch::new(Clocks::read()),
            waker,
            manager,
            send,
            configuration,
        };
        for job in daemon.configuration.jobs.clone() {
            let name = job.dataset.name.clone();
            let catch_up = catch_up.unwrap_or(job.dataset.policy.catch_up.on_start);
            daemon.agenda.put(&job.dataset, now);
            daemon.agenda.look(&name, catch_up.then_some(Trigger::Start));
            daemon.members.insert(name, Arc::new(Member::new(&job)));
        }
        daemon
    }

    async fn run(mut self, mut events: UnboundedReceiver<Event>) {
        self.connect();
        while !self.is_over() {
            self.turn();
            self.show();
            if let Some(at) = self.agenda.next()
                && let Err(error) = self.waker.arm(at).await
            {
                // The naps are short enough to notice the tick all the same.
                log::debug!("{error}");
            }
            let nap = self.nap();
            tokio::select! {
                () = self.waker.rung() => {}
                event = events.recv() => {
                    self.hear(event);
                    // A turn goes through all datasets: one for all that came together.
                    while !self.is_over() && let Ok(event) = events.try_recv() {
                        self.hear(Some(event));
                    }
                }
                () = tokio::time::sleep(nap) => {}
            }
        }
        self.say_unanswered();
        // Days that were about to begin, and did not.
        self.say_not_begun();
        // Whoever asks from here on is told that nobody hears it; who asked before is not left in the dark.
        events.close();
        while let Ok(event) = events.try_recv() {
            if let Event::Asked(asked) = event {
                self.asked(asked);
            }
        }
        self.last_words().await;
        log::info!("dayfill stopped");
    }

    /// What is done each time the loop turns.
    fn turn(&mut self) {
        let now = Utc::now();
        self.manager.feed_watchdog();
        if let Some(jump) = self.clock.look(Clocks::read()) {
            log::info!("{jump}: looking at the schedules anew");
            self.agenda.aim(now);
            self.pulse.soon(now);
            self.link.try_now(now);
            self.troubles.try_now(now);
            self.sources.try_now(now);
        }
        if let Some(abandon_at) = self.stopping {
            if Instant::now() >= abandon_at && !self.stop.is_abandoned() {
                self.abandon();
            }
            return;
        }
        self.agenda.pass(now);
        self.reload_if_due();
        if self.link.unreachable().is_some_and(|trouble| now < trouble.until()) {
            return;
        }
        let Some(context) = self.link.context().cloned() else {
            self.connect();
            return;
        };
        let doubtful = self.link.unreachable().is_some();
        if self.pulse.is_due(now) || (doubtful && !self.pulse.is_out()) {
            self.pulse.begun(now);
            let (context, older) = (Arc::clone(&context), self.link.older().to_vec());
            let (generation, members) = (self.link.generation(), self.members.clone());
            self.thread("pulse", move || {
                let pulsed = Box::new(pulse::look(&context, &older, &members, Utc::now()));
                Event::Pulsed { generation, pulsed }
            });
        }
        if !doubtful {
            self.begin_work(&context, now);
            self.keep_house(&context, now);
        }
    }

    fn begin_work(&mut self, context: &Arc<Context>, now: DateTime<Utc>) {
        if self.agenda.holds_some() {
            let loads = context.flights.now();
            self.agenda.free(|name, day| loads.iter().any(|load| load.dataset == *name && load.day == day));
        }
        for (name, work) in self.agenda.begin(now) {
            let Some(member) = self.members.get(&name).cloned() else { continue };
            let (context, board, generation) = (Arc::clone(context), Arc::clone(&self.board), self.link.generation());
            self.thread("lane", move || {
                let began = Instant::now();
                // A fault in one dataset's work holds up that dataset and no other.
                let isolated = AssertUnwindSafe(|| lane::work(&context, &member, &work, &board, &Utc::now));
                let came = std::panic::catch_unwind(isolated)
                    .unwrap_or_else(|panic| Err(Hindrance::Other(fault(panic.as_ref()))));
                Event::Worked { generation, name, work, began, came }
            });
        }
    }

    /// How long the loop may sleep when nothing wakes it.
    fn nap(&self) -> Duration {
        let now = Utc::now();
        let until = |at: DateTime<Utc>| (at - now).to_std().unwrap_or_default();
        let mut naps = vec![LONGEST_NAP];
        naps.extend(self.manager.watchdog_interval().map(|interval| interval / 2));
        if self.stopping.is_some() {
            naps.push(stopping::CHECK);
        } else {
            naps.extend(self.reload.due_in());
            let blocked = self.link.unreachable().map(Trouble::until);
            naps.extend(blocked.filter(|_| !self.link.is_connecting() && !self.pulse.is_out()).map(until));
            // Without a database there is nothing to begin, and its connection wakes the loop.
            if blocked.is_none() && self.link.context().is_some() {
                naps.extend(self.pulse.next().map(until));
                naps.extend(self.agenda.next_try().map(until));
                naps.extend(self.agenda.holds_some().then_some(LOAD_CHECK));
            }
        }
        naps.into_iter().min().unwrap_or(LONGEST_NAP)
    }

    /// Runs what blocks on a thread of its own; its event comes to [`Self::hear`].
    fn thread(&self, what: &'static str, work: impl FnOnce() -> Event + Send + 'static) {
        let send = self.send.clone();
        let thread = move || {
            let done = std::panic::catch_unwind(AssertUnwindSafe(work));
            let event = done.unwrap_or_else(|panic| Event::Broke(what, fault(panic.as_ref())));
            // Nobody listens only when the daemon is over.
            drop(send.send(event));
        };
        if let Err(error) = std::thread::Builder::new().name(what.to_owned()).spawn(thread) {
            drop(self.send.send(Event::Broke(what, error.to_string())));
        }
    }

    fn connect(&mut self) {
        if !self.link.begin_connecting() {
            return;
        }
        let connect = Connect::new(&self.configuration, &self.stop, self.link.flights());
        let generation = self.link.generation();
        self.thread("connect", move || Event::Connected { generation, connected: connect.connect() });
    }

    /// Shows what is to be seen now, and then tells of what is news in it.
    fn show(&mut self) {
        let unreachable = self.link.unreachable();
        self.board.show(Shown {
            context: self.link.context().cloned(),
            database: self.configuration.connection.database.to_string(),
            unreachable: unreachable.map(|trouble| (trouble.since(), trouble.error().to_owned())),
            datasets: self.datasets_shown(),
            working: self.agenda.working(),
            stopping: self.stopping.is_some(),
            file: self.configuration.file.clone(),
            in_force_since: self.reload.in_force_since(),
            refused_at: self.reload.refused_at(),
            keys: Arc::clone(&self.configuration.keys),
            refused: self.reload.refused(),
            broken: self.configuration.broken.clone(),
        });
        self.news.drain(..).for_each(|news| self.board.tell(news));
    }

    /// The datasets, in the map that is shown already if nothing of them changed: the loop turns often.
    fn datasets_shown(&self) -> Arc<BTreeMap<DatasetName, DatasetShown>> {
        let before = Arc::clone(&self.board.shown().datasets);
        let now = || self.members.iter().map(|(name, member)| (name, self.dataset_shown(name, member)));
        let is_shown =
            |((name, now), (known, shown)): ((_, DatasetShown), (_, &DatasetShown))| name == known && now == *shown;
        if before.len() == self.members.len() && now().zip(before.iter()).all(is_shown) {
            return before;
        }
        Arc::new(now().map(|(name, now)| (name.clone(), now)).collect())
    }

    fn dataset_shown(&self, name: &DatasetName, member: &Member) -> DatasetShown {
        DatasetShown {
            job: Arc::clone(&member.job),
            next_tick: self.agenda.next_tick(name),
            last_tick: self.agenda.last_tick(name),
            paused: self.pauses.get(name).cloned(),
            trouble: self.troubles.of(name.as_str()).map(|trouble| trouble.error().to_owned()),
            source_trouble: self.sources.of(name.as_str()).map(|it| (it.since(), it.error().to_owned())),
        }
    }
}

fn watch(configuration: &Configuration, send: &UnboundedSender<Event>) -> Watch {
    let send = send.clone();
    Watch::start(&configuration.watched, move || drop(send.send(Event::FilesChanged)))
}

#[cfg(test)]
mod tests;
