//! `/api/v1/events`: what happens, as it happens.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;

use crate::web::Site;
use crate::web::problem::Problem;

/// What happens, as server-sent events without an end: `hello` (`HelloEvent`) first, then `day` (`DayEvent`),
/// `progress` (`ProgressEvent`), `dataset` (`DatasetEvent`) and `daemon` (`DaemonEvent`), each with its data as JSON.
#[utoipa::path(
    get,
    path = "/api/v1/events",
    operation_id = "stream_events",
    tag = "events",
    responses(
        (status = OK, body = String, content_type = "text/event-stream"),
        (status = SERVICE_UNAVAILABLE, body = Problem, content_type = "application/problem+json",
            description = "ending")
    )
)]
pub(super) async fn stream(State(site): State<Arc<Site>>) -> Result<Response, Problem> {
    site.events().stream()
}
