//! Making a database ready: its state tables, and the tables of datasets.

use crate::dataset::Dataset;
use crate::db::error::DbError;
use crate::db::migrate;
use crate::db::pool::{Conn, Database};
use crate::db::target::{self, TargetError};

/// Connects to the database and brings its state tables up to date.
///
/// # Errors
/// A [`DbError`] when it cannot be reached or the tables cannot be altered.
pub fn connect(database: &Database) -> Result<Conn, DbError> {
    let mut conn = database.connect()?;
    database.warm_up();
    if let Some(advice) = conn.language_advice()? {
        log::warn!("errors may be taken for others: {advice}");
    }
    let fresh = !migrate::has_state_tables(&mut conn)?;
    let applied = migrate::migrate(&mut conn)?;
    if !fresh && !applied.is_empty() {
        log::info!("the state tables were brought up to date: {}", applied.join(", "));
    }
    Ok(conn)
}

/// Creates the target tables that are missing and checks all of them, and the SQL of their datasets. What is wrong with
/// which dataset, one text each with its name in front; none when all fit.
///
/// # Errors
/// A [`DbError`] when the database does not answer.
pub fn targets<'a>(conn: &mut Conn, datasets: impl Iterator<Item = &'a Dataset>) -> Result<Vec<String>, DbError> {
    let mut unfit = Vec::new();
    for dataset in datasets {
        unfit.extend(target(conn, dataset)?.map(|why| format!("{}: {why}", dataset.name)));
    }
    Ok(unfit)
}

/// The same for one dataset, whose name whoever asks knows.
///
/// # Errors
/// A [`DbError`] when the database does not answer.
pub fn target(conn: &mut Conn, dataset: &Dataset) -> Result<Option<String>, DbError> {
    match target::prepare(conn, dataset) {
        Ok(()) => Ok(None),
        Err(TargetError::Db(error)) => Err(error),
        Err(error) => Ok(Some(error.to_string())),
    }
}
