//! `/api/v1/activity-log`: who did what, and when.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};

use super::parameters::{Parameters, limit, value};
use crate::db::activity_log;
use crate::status::ActivityEntry;
use crate::web::Site;
use crate::web::problem::Problem;

const USUAL: u32 = 100;
const MOST: u32 = 1000;

/// Which entries.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ActivityLogParameters {
    /// Entries before this one: the `next_before` of the page before.
    #[param(value_type = Option<i64>)]
    before: Option<String>,
    /// How many at most, 1 to 1000; 100 unless it is said.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000)]
    limit: Option<String>,
}

/// A page of the activity log.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct ActivityLog {
    /// The entries, newest first.
    entries: Vec<ActivityEntry>,
    /// The next page is what comes `before` this entry; null when there is no more.
    next_before: Option<i64>,
}

/// Who did what and when, on the page or through the API; newest first.
#[utoipa::path(
    get,
    path = "/api/v1/activity-log",
    operation_id = "list_activity_log",
    tag = "daemon",
    params(ActivityLogParameters),
    responses(
        (status = OK, body = ActivityLog),
        (status = BAD_REQUEST, body = Problem, content_type = "application/problem+json", description = "parameter"),
        (status = SERVICE_UNAVAILABLE, body = Problem, content_type = "application/problem+json",
            description = "database")
    )
)]
pub(super) async fn list(
    State(site): State<Arc<Site>>,
    Parameters(which): Parameters<ActivityLogParameters>,
) -> Result<Json<ActivityLog>, Problem> {
    let before: Option<i64> = value("before", which.before.as_deref(), "the number of an entry")?;
    let limit = limit(which.limit.as_deref(), USUAL, MOST)?;
    let mut entries = site.read(move |conn| activity_log::page(conn, before, limit + 1)).await?;
    let more = entries.len() > limit as usize;
    entries.truncate(limit as usize);
    let next_before = entries.last().map(|entry| entry.id).filter(|_| more);
    Ok(Json(ActivityLog { entries, next_before }))
}
