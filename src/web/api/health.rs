//! `/healthz` and `/readyz`: for whoever starts, restarts and asks the process.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use crate::web::Site;
use crate::web::problem::Problem;
use crate::wording::counted;

/// The loop turns at least every 15 seconds; one that did not for so long hangs.
const HANGS: Duration = Duration::from_mins(1);

/// It is fine.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct HealthStatus {
    /// `ok`.
    status: &'static str,
    /// What is wrong but keeps the process from nothing else.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
}

impl HealthStatus {
    fn with(warnings: Vec<String>) -> Json<Self> {
        Json(Self { status: "ok", warnings })
    }
}

/// Whether the process turns. A database that is away does not matter: restarting the process would not bring it back.
#[utoipa::path(
    get,
    path = "/healthz",
    tag = "health",
    responses(
        (status = OK, body = HealthStatus),
        (status = SERVICE_UNAVAILABLE, body = Problem, content_type = "application/problem+json", description = "hangs")
    )
)]
pub(super) async fn healthz(State(site): State<Arc<Site>>) -> Result<Json<HealthStatus>, Problem> {
    let ago = site.daemon().last_turn_age();
    if ago >= HANGS {
        return Err(Problem::unavailable(
            "hangs",
            format!("the daemon's main loop has been blocked for {} s", ago.as_secs()),
        ));
    }
    Ok(HealthStatus::with(Vec::new()))
}

/// Whether the process can do its work: the database answers, and the configuration was taken. A dataset whose own file is
/// wrong is a warning: the others are loaded. What is wrong is not told to everybody; `configuration` and the log tell it.
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "health",
    responses(
        (status = OK, body = HealthStatus),
        (status = SERVICE_UNAVAILABLE, body = Problem, content_type = "application/problem+json",
            description = "database, configuration")
    )
)]
pub(super) async fn readyz(State(site): State<Arc<Site>>) -> Result<Json<HealthStatus>, Problem> {
    let shown = site.daemon().status();
    if shown.context.is_none() || shown.unreachable.is_some() {
        return Err(Problem::unavailable("database", "the database cannot be reached"));
    }
    if shown.refused.is_some() {
        return Err(Problem::unavailable(
            "configuration",
            "the configuration is invalid; the previous one stays in force",
        ));
    }
    let broken = shown.broken.len();
    let warning = format!("{} cannot be used: invalid files; see /api/v1/configuration", counted(broken, "dataset"));
    Ok(HealthStatus::with((broken > 0).then_some(warning).into_iter().collect()))
}
