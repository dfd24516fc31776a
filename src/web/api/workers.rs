//! `/api/v1/workers`: the processes that work with the database.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use crate::status::{self, RegisteredWorker};
use crate::web::Site;
use crate::web::problem::Problem;

/// The processes that are at work now.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct WorkerList {
    /// One per process, by the time it started: daemons, and commands that load.
    workers: Vec<RegisteredWorker>,
}

/// The processes that work with the database now, and their last signs of life.
#[utoipa::path(
    get,
    path = "/api/v1/workers",
    operation_id = "list_workers",
    tag = "daemon",
    responses(
        (status = OK, body = WorkerList),
        (status = SERVICE_UNAVAILABLE, body = Problem, content_type = "application/problem+json",
            description = "database")
    )
)]
pub(super) async fn list(State(site): State<Arc<Site>>) -> Result<Json<WorkerList>, Problem> {
    Ok(Json(WorkerList { workers: site.read(status::workers).await? }))
}
