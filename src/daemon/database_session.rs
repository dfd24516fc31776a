//! The daemon's link to its database: what is in force, what loads that began before a reload still work with, and
//! whether it can be reached.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::runtime::Handle;

use super::configuration::{DaemonConfig, DatabaseSettings};
use super::trouble::{DELAYS, Trouble};
use crate::db::paused::{self, Pause};
use crate::db::pool::Database;
use crate::db::worker::Worker;
use crate::events::Subscribers;
use crate::load_day::{ActiveLoads, Context, Stop};
use crate::ready;

/// Connections beyond those that load: for looking.
const LOOKING: u32 = 2;

/// The daemon's link to its database.
#[derive(Default)]
pub(super) struct DatabaseSession {
    /// The database in force, once it was reached.
    context: Option<Arc<Context>>,
    /// What loads that began before a reload still work with.
    older: Vec<Arc<Context>>,
    /// The loads in flight, whichever of these they work with.
    flights: Arc<ActiveLoads>,
    /// Counts the settings it was made by, to tell what is heard of earlier ones.
    generation: u32,
    /// A connection is being made.
    connecting: bool,
    /// Why it cannot be reached.
    unreachable: Option<Trouble>,
    /// When it was last reached again.
    back_at: Option<Instant>,
    /// In which generation other credentials were told of.
    renewed_in: Option<u32>,
}

impl DatabaseSession {
    /// The database in force, once it was reached.
    pub(super) fn context(&self) -> Option<&Arc<Context>> {
        self.context.as_ref()
    }

    /// What loads that began before a reload still work with.
    pub(super) fn older(&self) -> &[Arc<Context>] {
        &self.older
    }

    /// Which of the settings it is made by, counted.
    pub(super) fn generation(&self) -> u32 {
        self.generation
    }

    /// Begins to connect; false when that is going on.
    pub(super) fn begin_connecting(&mut self) -> bool {
        !std::mem::replace(&mut self.connecting, true)
    }

    /// Connecting came to an end.
    pub(super) fn ended_connecting(&mut self) {
        self.connecting = false;
    }

    /// True while a connection is being made.
    pub(super) fn is_connecting(&self) -> bool {
        self.connecting
    }

    /// This is the database in force.
    pub(super) fn take(&mut self, context: Arc<Context>) {
        self.context = Some(context);
    }

    /// Other settings are in force, and this is their database, unless it is yet to be connected to. What goes on with
    /// the one before may end.
    pub(super) fn replace(&mut self, context: Option<Arc<Context>>) {
        self.generation += 1;
        self.older.extend(std::mem::replace(&mut self.context, context));
    }

    /// Why it cannot be reached, while it cannot.
    pub(super) fn unreachable(&self) -> Option<&Trouble> {
        self.unreachable.as_ref()
    }

    /// It cannot be reached; true when it could a moment ago.
    pub(super) fn lost(&mut self, error: &str, now: DateTime<Utc>) -> bool {
        let before = self.unreachable.take();
        self.unreachable = Some(Trouble::again(before.as_ref(), error, DELAYS, now, fastrand::f64()));
        before.is_none()
    }

    /// It answers; for how long it did not, where it did not.
    pub(super) fn reached(&mut self, now: DateTime<Utc>) -> Option<TimeDelta> {
        let trouble = self.unreachable.take()?;
        self.back_at = Some(Instant::now());
        Some(trouble.lasted(now))
    }

    /// True when it was reached again after that.
    pub(super) fn came_back_after(&self, then: Instant) -> bool {
        self.back_at.is_some_and(|back| then < back)
    }

    /// The clock was set: the next try may be far away by now.
    pub(super) fn try_now(&mut self, now: DateTime<Utc>) {
        self.unreachable.iter_mut().for_each(|trouble| trouble.try_now(now));
    }

    /// True, once for each database, where connections to it are made with other credentials than the configuration in
    /// force has.
    pub(super) fn renewed_credentials(&mut self) -> bool {
        let other = self.context.as_ref().is_some_and(|context| context.database.has_other_credentials());
        other && self.renewed_in.replace(self.generation) != Some(self.generation)
    }

    /// The loads in flight.
    pub(super) fn flights(&self) -> &Arc<ActiveLoads> {
        &self.flights
    }

    /// How many days are being loaded or looked at, with what is in force and with what was before.
    pub(super) fn in_flight(&self) -> usize {
        let contexts = self.context.iter().chain(&self.older);
        contexts.map(|context| context.in_flight.load(Ordering::SeqCst)).sum()
    }

    /// Lets go of what loads that are over by now worked with.
    pub(super) fn let_go_of_older(&mut self) {
        let over = |context: &mut Arc<Context>| Arc::strong_count(context) == 1 && !context.has_pending();
        self.older.extract_if(.., over).for_each(set_aside);
    }

    /// All that it holds, and it holds no more.
    pub(super) fn into_contexts(self) -> Vec<Arc<Context>> {
        self.context.into_iter().chain(self.older).collect()
    }
}

/// Everything that connecting to the database needs.
pub(super) struct ConnectJob {
    database: Arc<Database>,
    runtime: Handle,
    stop: Stop,
    flights: Arc<ActiveLoads>,
    subscribers: Subscribers,
    loads: u32,
}

impl ConnectJob {
    /// To the database that is told. Must be called inside the runtime.
    pub(super) fn new(
        configuration: &DaemonConfig,
        stop: &Stop,
        flights: &Arc<ActiveLoads>,
        subscribers: &Subscribers,
    ) -> Self {
        let DatabaseSettings { database, lease, max_parallel_loads: loads } = configuration.connection.clone();
        let database = Database::new(database, lease, loads + LOOKING);
        let database = database.reading_url(Arc::clone(&configuration.read_url));
        stop.cancels(database.waits());
        let (stop, flights, subscribers) = (stop.clone(), Arc::clone(flights), subscribers.clone());
        Self { database: Arc::new(database), runtime: Handle::current(), stop, flights, subscribers, loads }
    }

    /// Connects, brings the state tables up to date and registers this process.
    pub(super) fn connect(self) -> Result<OpenedDatabase, String> {
        let connected = ready::connect(&self.database).and_then(|mut conn| {
            let paused = paused::list(&mut conn)?;
            Ok((Worker::start(&self.database, conn)?, paused))
        });
        let (worker, paused) = connected.map_err(|error| error.to_string())?;
        let context = Context::new(self.database, worker, self.runtime, self.stop, self.loads);
        Ok(OpenedDatabase {
            context: Arc::new(context.with_active_loads(&self.flights).with_subscribers(self.subscribers)),
            paused,
        })
    }
}

/// A connection to the database.
pub(super) struct OpenedDatabase {
    pub(super) context: Arc<Context>,
    /// The datasets that are paused.
    pub(super) paused: Vec<Pause>,
}

/// Drops it on a thread of its own: signing off waits for the database.
pub(super) fn set_aside(context: Arc<Context>) {
    // Without a thread it is dropped here.
    drop(std::thread::Builder::new().name("sign off".to_owned()).spawn(move || drop(context)));
}
