//! `/api/v1/datasets/{name}/days/{day}`: a day with its attempts, and the rows that could not be taken.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use chrono::Utc;
use serde::{Deserialize, Serialize};

use super::parameters::{DatasetInPath, DayInPath, Parameters, limit, no_such_day, value};
use crate::cron;
use crate::db::pool::Conn;
use crate::db::rejects::{self, RejectedRow};
use crate::status::{self, Attempt, DayStatus};
use crate::web::Site;
use crate::web::problem::Problem;

/// How many rejected rows come with a day, and on a page of them at most.
const FIRST: u32 = 20;
const USUAL: u32 = 100;
const MOST: u32 = 1000;

/// A day and what happened to it.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct DayDetail {
    /// The dataset.
    dataset: String,
    /// What is known of the day.
    status: DayStatus,
    /// How far this process is with loading it; null when it is not.
    progress: Option<LoadProgress>,
    /// The newest attempts, newest first, at most 100.
    load_attempts: Vec<Attempt>,
    /// The first rows that could not be taken, at most 20.
    rejected_rows: Vec<RejectedRow>,
    /// How many of them are kept, at most 10,000.
    rejected_rows_kept: i64,
}

/// How far a load is.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct LoadProgress {
    /// Which attempt of its series it is, from 1.
    attempt: u32,
    /// When it began, by this machine's clock.
    #[schema(format = DateTime)]
    began_at: String,
    /// `source`, `stage`, `audit` or `publish`.
    step: &'static str,
    /// Rows read so far.
    rows: u64,
    /// Bytes read so far, as stored.
    bytes: u64,
    /// The file's size as stored; 0 before it is open.
    bytes_total: u64,
    /// What it has waited for in the database for more than ten seconds, and who is in the way; null when nothing.
    waiting_for: Option<String>,
}

/// A page of rejected rows.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct RejectedRows {
    /// The rows, by line.
    rejected_rows: Vec<RejectedRow>,
    /// The next page is what comes `after` this line; null when there is no more.
    next_after: Option<i64>,
}

/// A day, with its attempts and the first of its rejected rows.
#[utoipa::path(
    get,
    path = "/api/v1/datasets/{name}/days/{day}",
    operation_id = "show_day",
    tag = "days",
    params(DatasetInPath, DayInPath),
    responses(
        (status = OK, body = DayDetail),
        (status = NOT_FOUND, body = Problem, content_type = "application/problem+json",
            description = "no-such-dataset, or no-such-day: it is neither wanted nor has it a row"),
        (status = SERVICE_UNAVAILABLE, body = Problem, content_type = "application/problem+json",
            description = "database")
    )
)]
pub(super) async fn one(
    State(site): State<Arc<Site>>,
    DatasetInPath(shown): DatasetInPath,
    DayInPath(day): DayInPath,
) -> Result<Json<DayDetail>, Problem> {
    let name = shown.job.dataset.name.clone();
    let context = site.daemon().status().context.clone();
    let flight = context.and_then(|context| {
        context.active_loads.now().into_iter().find(|flight| flight.dataset == name && flight.day == day)
    });
    let progress = flight.map(|flight| LoadProgress {
        attempt: flight.attempt,
        began_at: status::instant(flight.began),
        step: flight.step().name(),
        rows: flight.rows(),
        bytes: flight.bytes(),
        bytes_total: flight.bytes_total(),
        waiting_for: flight.waits(),
    });
    let read = move |conn: &mut Conn| {
        let dataset = &shown.job.dataset;
        let wanted = cron::wanted(dataset, Utc::now());
        let Some(status) = status::of_day(conn, dataset, &wanted, day)? else {
            return Err(no_such_day(format!("{name}: {day} is not wanted and has no attempts")));
        };
        Ok(DayDetail {
            status,
            progress,
            load_attempts: status::attempts(conn, &name, day)?,
            rejected_rows: rejects::page(conn, &name, day, None, FIRST)?,
            rejected_rows_kept: rejects::kept(conn, &name, day)?,
            dataset: name.to_string(),
        })
    };
    site.read(read).await.map(Json)
}

/// Which rejected rows.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct RejectedRowsParameters {
    /// Rows behind this line: the `next_after` of the page before.
    #[param(value_type = Option<i64>)]
    after: Option<String>,
    /// How many at most, 1 to 1000; 100 unless it is said.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000)]
    limit: Option<String>,
}

/// Rows of a day's file that could not be taken, by line: the first 10,000 are kept.
#[utoipa::path(
    get,
    path = "/api/v1/datasets/{name}/days/{day}/rejects",
    operation_id = "list_rejected_rows",
    tag = "days",
    params(DatasetInPath, DayInPath, RejectedRowsParameters),
    responses(
        (status = OK, body = RejectedRows),
        (status = BAD_REQUEST, body = Problem, content_type = "application/problem+json", description = "parameter"),
        (status = NOT_FOUND, body = Problem, content_type = "application/problem+json",
            description = "no-such-dataset, no-such-day"),
        (status = SERVICE_UNAVAILABLE, body = Problem, content_type = "application/problem+json",
            description = "database")
    )
)]
pub(super) async fn rejected_rows(
    State(site): State<Arc<Site>>,
    DatasetInPath(shown): DatasetInPath,
    DayInPath(day): DayInPath,
    Parameters(which): Parameters<RejectedRowsParameters>,
) -> Result<Json<RejectedRows>, Problem> {
    let after: Option<i64> = value("after", which.after.as_deref(), "the number of a line")?;
    let limit = limit(which.limit.as_deref(), USUAL, MOST)?;
    let mut rows = site.read(move |conn| rejects::page(conn, &shown.job.dataset.name, day, after, limit + 1)).await?;
    let more = rows.len() > limit as usize;
    rows.truncate(limit as usize);
    let next_after = rows.last().map(|row| row.line).filter(|_| more);
    Ok(Json(RejectedRows { rejected_rows: rows, next_after }))
}
