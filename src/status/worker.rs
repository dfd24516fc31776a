//! What is known of the processes that work with the database.

use super::time;
use crate::db::error::DbError;
use crate::db::pool::Conn;
use crate::db::worker;

/// A process that works with the database now: a daemon, or a command that loads.
#[derive(Debug, Clone, serde::Serialize, utoipa::ToSchema)]
#[schema(as = Worker)]
pub struct WorkerStatus {
    /// Its id, as the days that it loads have it.
    pub id: String,
    /// The machine or container it runs on.
    pub host: String,
    /// Its process id there.
    pub pid: i64,
    /// Its version of dayfill.
    pub version: String,
    /// When it started.
    #[schema(format = DateTime)]
    pub started_at: String,
    /// Its last sign of life.
    #[schema(format = DateTime)]
    pub heartbeat_at: String,
    /// What is wrong with the configuration it refused, a line per problem; it goes on with the one before.
    pub refused_config: Option<String>,
}

/// The processes that work with the database now, by the time they started.
///
/// # Errors
/// A [`DbError`] when the database does not answer.
pub fn workers(conn: &mut Conn) -> Result<Vec<WorkerStatus>, DbError> {
    let of = |worker: worker::Registered| WorkerStatus {
        id: worker.id,
        host: worker.host,
        pid: worker.pid,
        version: worker.version,
        started_at: time(worker.started_at),
        heartbeat_at: time(worker.heartbeat_at),
        refused_config: worker.refused_config,
    };
    Ok(worker::alive(conn)?.into_iter().map(of).collect())
}
