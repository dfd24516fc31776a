//! What is known of the processes that work with the database.

use chrono::{DateTime, Utc};

use crate::db::error::DbError;
use crate::db::pool::Conn;
use crate::db::workers;
use crate::json;

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
    #[serde(serialize_with = "json::time")]
    #[schema(value_type = String, format = DateTime)]
    pub started_at: DateTime<Utc>,
    /// Its last sign of life.
    #[serde(serialize_with = "json::time")]
    #[schema(value_type = String, format = DateTime)]
    pub heartbeat_at: DateTime<Utc>,
    /// What is wrong with the configuration it refused, a line per problem; it goes on with the one before.
    pub refused_config: Option<String>,
}

/// The processes that work with the database now, by the time they started.
///
/// # Errors
/// A [`DbError`] when the database does not answer.
pub fn workers(conn: &mut Conn) -> Result<Vec<WorkerStatus>, DbError> {
    let of = |worker: workers::WorkerRow| WorkerStatus {
        id: worker.id,
        host: worker.host,
        pid: worker.pid,
        version: worker.version,
        started_at: worker.started_at.and_utc(),
        heartbeat_at: worker.heartbeat_at.and_utc(),
        refused_config: worker.refused_config,
    };
    Ok(workers::alive(conn)?.into_iter().map(of).collect())
}
