//! `/api/v1/audit-log`: who did what, and when.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};

use super::parameters::{Parameters, limit, value};
use crate::day::Day;
use crate::db::audit_log::{self, Entry};
use crate::status::instant;
use crate::web::Site;
use crate::web::problem::Problem;

const USUAL: u32 = 100;
const MOST: u32 = 1000;

/// Which entries.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    /// Entries before this one: the `next_before` of the page before.
    #[param(value_type = Option<i64>)]
    before: Option<String>,
    /// How many at most, 1 to 1000; 100 unless it is said.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000)]
    limit: Option<String>,
}

/// A page of the audit log.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct AuditLog {
    /// The entries, newest first.
    entries: Vec<AuditEntry>,
    /// The next page is what comes `before` this entry; null when there is no more.
    next_before: Option<i64>,
}

/// Something that somebody did.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct AuditEntry {
    /// Its number. Those of later entries are higher.
    id: i64,
    /// When.
    #[schema(format = DateTime)]
    at: String,
    /// The user or token; `local` where nobody has to log in.
    who: String,
    /// What was done, in one word.
    action: String,
    /// On which dataset.
    dataset: Option<String>,
    /// From which day on.
    #[schema(value_type = Option<String>, format = Date)]
    from: Option<Day>,
    /// To which day, that one included.
    #[schema(value_type = Option<String>, format = Date)]
    to: Option<Day>,
    /// Why, where that was said.
    reason: Option<String>,
    /// `done`, with what there is to say, or why not; `begun` before that is known, and for good where the process died
    /// over it.
    outcome: String,
}

impl From<Entry> for AuditEntry {
    fn from(entry: Entry) -> Self {
        Self {
            id: entry.id,
            at: instant(entry.at.and_utc()),
            who: entry.who,
            action: entry.action,
            dataset: entry.dataset,
            from: entry.from_day.map(Day::new),
            to: entry.to_day.map(Day::new),
            reason: entry.reason,
            outcome: entry.outcome,
        }
    }
}

/// Who did what and when, on the page or through the API; newest first.
#[utoipa::path(
    get,
    path = "/api/v1/audit-log",
    operation_id = "list_audit_log",
    tag = "daemon",
    params(Which),
    responses(
        (status = OK, body = AuditLog),
        (status = BAD_REQUEST, body = Problem, content_type = "application/problem+json", description = "parameter"),
        (status = SERVICE_UNAVAILABLE, body = Problem, content_type = "application/problem+json",
            description = "database")
    )
)]
pub(super) async fn list(
    State(site): State<Arc<Site>>,
    Parameters(which): Parameters<Which>,
) -> Result<Json<AuditLog>, Problem> {
    let before: Option<i64> = value("before", which.before.as_deref(), "the number of an entry")?;
    let limit = limit(which.limit.as_deref(), USUAL, MOST)?;
    let mut entries = site.read(move |conn| audit_log::page(conn, before, limit + 1)).await?;
    let more = entries.len() > limit as usize;
    entries.truncate(limit as usize);
    let next_before = entries.last().map(|entry| entry.id).filter(|_| more);
    Ok(Json(AuditLog { entries: entries.into_iter().map(AuditEntry::from).collect(), next_before }))
}
