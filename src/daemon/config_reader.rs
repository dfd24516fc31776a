//! Reads the configuration again and checks it against the database. It blocks, and touches nothing of the daemon's.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::configuration::{ConfigValue, DaemonConfig, DatabaseSettings, Read};
use super::database_session::{ConnectJob, OpenedDatabase};
use crate::db::error::DbError;
use crate::db::paused::Pause;
use crate::events::Subscribers;
use crate::load_day::{ActiveLoads, Context, Job, Stop};
use crate::ready;

/// A configuration that was read and can be obeyed.
pub(super) struct NewConfiguration {
    pub(super) configuration: DaemonConfig,
    /// The database it names, where that is another than before.
    pub(super) context: Option<Arc<Context>>,
    /// What is paused there.
    pub(super) paused: Option<Vec<Pause>>,
}

/// What reading needs, on a thread of its own.
pub(super) struct ReadJob {
    pub(super) read: Arc<Read>,
    pub(super) old: Vec<Arc<Job>>,
    pub(super) old_keys: Arc<BTreeMap<String, ConfigValue>>,
    pub(super) context: Option<Arc<Context>>,
    pub(super) connection: DatabaseSettings,
    pub(super) stop: Stop,
    pub(super) flights: Arc<ActiveLoads>,
    pub(super) subscribers: Subscribers,
    pub(super) runtime: tokio::runtime::Handle,
}

impl ReadJob {
    /// Reads the files, and holds what they say against the database.
    pub(super) fn read(self) -> Result<NewConfiguration, Vec<String>> {
        let mut configuration = (self.read)()?;
        let _inside = self.runtime.enter();
        let connected = if configuration.connection == self.connection || self.context.is_none() {
            None
        } else {
            let connect = ConnectJob::new(&configuration, &self.stop, &self.flights, &self.subscribers);
            Some(connect.connect().map_err(|error| vec![error])?)
        };
        let (context, paused) = connected.map(|OpenedDatabase { context, paused }| (context, paused)).unzip();
        if let Some(context) = context.as_ref().or(self.context.as_ref()) {
            self.check_targets(context, &mut configuration);
        }
        configuration.keep_older(&self.old, &self.old_keys);
        Ok(NewConfiguration { configuration, context, paused })
    }

    /// Checks the datasets whose rows would be others than before, and takes out those that the database cannot load. A
    /// database that is gone says nothing against them: they are checked again before they are loaded.
    fn check_targets(&self, context: &Context, configuration: &mut DaemonConfig) {
        let known = |job: &Job| {
            let same =
                |old: &Arc<Job>| old.dataset.name == job.dataset.name && old.definition_hash == job.definition_hash;
            // Another database may have other tables of the same names.
            self.connection.database.same_place(&configuration.connection.database) && self.old.iter().any(same)
        };
        let new: Vec<Arc<Job>> = configuration.jobs.iter().filter(|job| !known(job)).cloned().collect();
        for job in new {
            let checked = context.database.conn().and_then(|mut conn| ready::target(&mut conn, &job.dataset));
            match checked {
                Ok(None) => {}
                Ok(Some(why)) => {
                    let name = &job.dataset.name;
                    configuration.take_out(name, format!("{name}: {why}"));
                }
                // A lock on one table says nothing against the others.
                Err(error @ DbError::Locked { .. }) => log::debug!("{}: {error}", job.dataset.name),
                Err(error) => return log::debug!("the targets were not looked at: {error}"),
            }
        }
    }
}
