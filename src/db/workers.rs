//! The rows of `workers`: one per process that loads.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use diesel::prelude::*;

use crate::db::cancellation;
use crate::db::columns::Timestamp;
use crate::db::error::{DbError, Doing};
use crate::db::pool::{Conn, on};
use crate::db::schema::workers;
use crate::db::worker_lock::{self, is_alive};
use crate::json;

/// How old the last heartbeat of a worker is when its row is cleared away.
const FORGET_AFTER: TimeDelta = TimeDelta::days(7);

#[derive(Insertable)]
#[diesel(table_name = workers)]
struct NewWorker<'a> {
    id: &'a str,
    host: &'a str,
    pid: i64,
    version: &'a str,
    started_at: Timestamp,
    heartbeat_at: Timestamp,
}

/// A process that works with the database now: a daemon, or a command that loads.
#[derive(Debug, Clone, Queryable, Selectable, serde::Serialize, utoipa::ToSchema)]
#[diesel(table_name = workers)]
#[schema(as = Worker)]
pub struct RegisteredWorker {
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
    #[diesel(deserialize_as = Timestamp)]
    pub started_at: DateTime<Utc>,
    /// Its last sign of life.
    #[serde(serialize_with = "json::time")]
    #[schema(value_type = String, format = DateTime)]
    #[diesel(deserialize_as = Timestamp)]
    pub heartbeat_at: DateTime<Utc>,
    /// What is wrong with the configuration it refused, a line per problem; it goes on with the one before.
    pub refused_config: Option<String>,
}

/// The processes that are alive now, by the time they started.
///
/// # Errors
/// A [`DbError`] when the database does not answer.
pub fn alive(conn: &mut Conn) -> Result<Vec<RegisteredWorker>, DbError> {
    let all: Vec<RegisteredWorker> = on!(conn, c => workers::table
        .order((workers::started_at, workers::id))
        .select(RegisteredWorker::as_select())
        .load(c))
    .doing("reading the workers")?;
    let mut alive = Vec::new();
    for worker in all {
        if is_alive(conn, &worker.id)? {
            alive.push(worker);
        }
    }
    Ok(alive)
}

/// How long ago each process that is alive gave its last sign of life, by the database's clock.
///
/// # Errors
/// A [`DbError`] when the database does not answer.
pub fn heartbeat_ages(conn: &mut Conn) -> Result<Vec<Duration>, DbError> {
    let alive = alive(conn)?;
    let now = conn.now()?;
    Ok(alive.iter().map(|worker| (*now - worker.heartbeat_at).to_std().unwrap_or_default()).collect())
}

/// The machine or container that this process runs on, and its process id there.
pub(super) fn this_process() -> (String, i64) {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    (host.trim().to_owned(), std::process::id().into())
}

/// Registers this process, and clears away the rows of workers that are long gone.
pub(super) fn register(conn: &mut Conn, id: &str) -> Result<(), DbError> {
    let (host, pid) = this_process();
    let now = conn.now()?;
    let worker =
        NewWorker { id, host: &host, pid, version: env!("CARGO_PKG_VERSION"), started_at: now, heartbeat_at: now };
    conn.transaction(|conn| {
        conn.commit_in_background()?;
        cancellation::clear(conn, now)?;
        let old = workers::table.filter(workers::heartbeat_at.lt(now - FORGET_AFTER));
        let ids: Vec<String> =
            on!(conn, c => old.select(workers::id).load(c)).doing("looking for workers of long ago")?;
        for id in ids {
            if !is_alive(conn, &id)? {
                worker_lock::remove_file(conn, &id)?;
                on!(conn, c => diesel::delete(workers::table.find(&id)).execute(c)).doing("clearing a worker away")?;
            }
        }
        on!(conn, c => diesel::insert_into(workers::table).values(&worker).execute(c))
            .doing("registering the worker")
            .map(drop)
    })
}
