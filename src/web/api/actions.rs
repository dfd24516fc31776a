//! `/api/v1/datasets/{name}/actions`: what can be asked for.

use std::sync::Arc;

use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};

use super::parameters::DatasetInPath;
use crate::day::Day;
use crate::state::State as DayState;
use crate::web::Site;
use crate::web::actions::{self, Action, ActionOrder, Effect, PlannedState};
use crate::web::auth::Identity;
use crate::web::problem::Problem;

/// What is asked for.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ActionRequest {
    /// What to do.
    #[schema(value_type = Action)]
    action: String,
    /// The first day; for `load`, `reload`, `retry`, `skip` and `forget`, and only there.
    #[schema(format = Date)]
    from: Option<String>,
    /// The last day, that one included; `from` unless it is said. At most 4,000 days.
    #[schema(format = Date)]
    to: Option<String>,
    /// Why: the note of a skipped day, the reason of a pause, and for the activity log. At most 1,000 characters, on one
    /// line.
    #[schema(max_length = 1000, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$")]
    reason: Option<String>,
    /// Confirms that `load` and `reload` are meant to load days before `start`, after `end` or in the future, of which
    /// nothing is known yet. Without it they are refused as a whole.
    #[serde(default)]
    allow_outside: bool,
    /// Only tell what would be done.
    #[serde(default)]
    dry_run: bool,
}

/// What is done, or would be.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct ActionAnswer {
    /// The dataset.
    dataset: String,
    /// What was asked for.
    action: &'static str,
    /// Nothing was done: this is what would be.
    dry_run: bool,
    /// The entry of the activity log that tells how it ends; null in a dry run, and where loads were cancelled while the
    /// database took no entry: it is written once it does, and the days are those whose loads the daemon itself cancelled.
    activity_entry: Option<i64>,
    /// How many of the days that are touched the schedule does not reach: `5 of 12 days: 3 before start (2024-01-01)
    /// and 2 in the future`; null where it reaches all.
    outside: Option<String>,
    /// What becomes of each day, oldest first; of a catch-up, of those that are not long done.
    days: Vec<DayEffect>,
}

/// What an action does to a day.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct DayEffect {
    /// The day.
    #[schema(value_type = String, format = Date)]
    day: Day,
    /// Its state before, or `missing`.
    state: &'static str,
    /// What it becomes if all goes well: a state, or `missing`. Null: it is left alone.
    becomes: Option<&'static str>,
    /// Why.
    because: String,
}

impl From<Effect> for DayEffect {
    fn from(effect: Effect) -> Self {
        let Effect { day, state, becomes, because, left: _ } = effect;
        Self { day, state: DayState::name_or_missing(state), becomes: becomes.map(PlannedState::name), because }
    }
}

/// Asks for something. Days that are to be loaded are loaded in the background, oldest first: `events` tells of them.
#[utoipa::path(
    post,
    path = "/api/v1/datasets/{name}/actions",
    operation_id = "act",
    tag = "actions",
    params(DatasetInPath),
    request_body = ActionRequest,
    responses(
        (status = ACCEPTED, body = ActionAnswer, description = "Done or started"),
        (status = OK, body = ActionAnswer, description = "A dry run: nothing was done"),
        (status = NOT_FOUND, body = Problem, content_type = "application/problem+json",
            description = "no-such-dataset"),
        (status = BAD_REQUEST, body = Problem, content_type = "application/problem+json",
            description = "bad-request: the body is not JSON"),
        (status = CONFLICT, body = Problem, content_type = "application/problem+json",
            description = "busy, illegal-move, loaded, not-to-retry, outside-schedule, paused: nothing was done"),
        (status = PAYLOAD_TOO_LARGE, body = Problem, content_type = "application/problem+json",
            description = "too-large"),
        (status = UNSUPPORTED_MEDIA_TYPE, body = Problem, content_type = "application/problem+json",
            description = "content-type: it is not sent as JSON"),
        (status = UNPROCESSABLE_ENTITY, body = Problem, content_type = "application/problem+json",
            description = "parameter: a field is wrong"),
        (status = SERVICE_UNAVAILABLE, body = Problem, content_type = "application/problem+json",
            description = "database, ending: the outcome is unknown, or the daemon is shutting down")
    )
)]
pub(super) async fn post(
    State(site): State<Arc<Site>>,
    DatasetInPath(shown): DatasetInPath,
    Extension(who): Extension<Identity>,
    request: Result<Json<ActionRequest>, JsonRejection>,
) -> Result<(StatusCode, Json<ActionAnswer>), Problem> {
    let Json(request) = request.map_err(|rejection| wrong(&rejection))?;
    let ActionRequest { action, from, to, reason, allow_outside, dry_run } = request;
    let order = ActionOrder::new(&action, from.as_deref(), to.as_deref(), reason.as_deref())
        .map_err(|wrong| unprocessable(wrong.to_string()))?;
    let order = ActionOrder { allow_outside, ..order };
    let (dataset, action) = (shown.job.dataset.name.to_string(), order.action.name());
    let job = Arc::clone(&shown.job);
    let (activity_entry, effects) = if dry_run {
        let daemon = Arc::clone(site.daemon());
        (None, site.read(move |conn| actions::preview(&daemon, conn, &shown.job.dataset, &order)).await?)
    } else {
        let given = actions::submit(&site, Arc::clone(&shown.job), who.name.clone(), order).await?;
        (given.entry, given.effects)
    };
    let status = if dry_run { StatusCode::OK } else { StatusCode::ACCEPTED };
    let outside = Some(actions::outside(&job.dataset, &effects)).filter(|outside| !outside.is_empty());
    let outside = outside.map(|outside| outside.to_string());
    let days = effects.into_iter().map(DayEffect::from).collect();
    Ok((status, Json(ActionAnswer { dataset, action, dry_run, activity_entry, outside, days })))
}

/// 422: a field is wrong.
fn unprocessable(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "parameter", detail)
}

/// What is wrong with a body that could not be read.
fn wrong(rejection: &JsonRejection) -> Problem {
    let text = rejection.body_text();
    match rejection {
        JsonRejection::JsonDataError(_) => unprocessable(text),
        JsonRejection::MissingJsonContentType(_) => {
            Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "content-type", "send it as application/json")
        }
        _ => Problem::bad_request(text),
    }
}

#[cfg(test)]
mod tests {
    use utoipa::PartialSchema as _;

    use super::*;
    use crate::web::action::LONGEST_REASON;

    /// The attribute that says so takes no constant.
    #[test]
    fn the_document_tells_how_long_a_reason_may_be() {
        let schema = serde_json::to_value(ActionRequest::schema()).unwrap();
        assert_eq!(schema["properties"]["reason"]["maxLength"], LONGEST_REASON);
    }
}
