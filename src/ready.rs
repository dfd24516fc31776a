//! Making a database ready: its state tables, and the tables of datasets.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::dataset::Dataset;
use crate::db::error::DbError;
use crate::db::migrate;
use crate::db::pool::{Conn, Database};
use crate::db::pooler;
use crate::db::setup;
use crate::db::target::{self, TargetError};

/// Connects to the database and brings its state tables up to date.
///
/// # Errors
/// A [`DbError`] when it cannot be reached, the tables cannot be altered, or others lock them.
pub fn connect(database: &Database) -> Result<Conn, DbError> {
    let mut conn = database.connect()?;
    database.warm_up();
    if let Some(advice) = conn.language_advice()?
        && is_news(&advice)
    {
        log::warn!("errors may be taken for others: {advice}");
    }
    pooler::require_sessions(&mut conn, &mut database.conn()?)?;
    let examined = setup::require(&mut conn)?;
    for note in examined.notes {
        if is_news(&note) {
            log::warn!("database: {note}");
        }
    }
    let fresh = !migrate::has_state_tables(&mut conn)?;
    let applied = if examined.pending.is_empty() { Vec::new() } else { migrate::migrate(&mut conn)? };
    if !fresh && !applied.is_empty() {
        log::info!("the state tables were brought up to date: {}", applied.join(", "));
    }
    Ok(conn)
}

/// True the first time: what holds for a whole database is said once, however often this process connects.
fn is_news(text: &str) -> bool {
    static SAID: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    SAID.lock().unwrap_or_else(PoisonError::into_inner).insert(text.to_owned())
}

/// The pauses between tries at what is locked: the first, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(5));

/// Does work again and again for as long as others hold locks that it needs, and says once who does. Each try waits for
/// a short time only, so that nobody queues for long behind a wait of ours.
///
/// # Errors
/// The work's error, but for [`DbError::Locked`].
pub fn patiently<T>(mut work: impl FnMut() -> Result<T, DbError>) -> Result<T, DbError> {
    let mut pause = PAUSES.0;
    let mut said = String::new();
    loop {
        match work() {
            Err(DbError::Locked { tables, by, seconds }) => {
                if said != tables {
                    log::info!("{}; trying again", DbError::Locked { tables: tables.clone(), by, seconds });
                    said = tables;
                }
                std::thread::sleep(pause);
                pause = (pause * 2).min(PAUSES.1);
            }
            done => return done,
        }
    }
}

/// Creates a dataset's target if it is missing, and checks it and the dataset's SQL, in bounds: a target that others lock
/// is an error. What is wrong with it; `None` when all fits.
///
/// # Errors
/// A [`DbError`] when the database does not answer, or others lock the table.
pub fn target(conn: &mut Conn, dataset: &Dataset) -> Result<Option<String>, DbError> {
    match target::prepare(conn, dataset) {
        Ok(()) => Ok(None),
        Err(TargetError::Db(error)) => Err(error),
        Err(error) => Ok(Some(error.to_string())),
    }
}
