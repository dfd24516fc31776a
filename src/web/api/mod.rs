//! The API: JSON under `/api/v1`, described by a document (`OpenAPI` 3.1) that is made of the very handlers the router
//! calls. The names of fields are a documented contract (docs/api.md).
//!
//! It knows nothing of who asks but their name: whoever mounts the routers puts a guard in front.

mod actions;
mod audit_log;
mod configuration;
mod datasets;
mod day;
mod days;
mod events;
mod health;
mod parameters;
mod problems;
mod workers;

use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::routing::{get, post};
use utoipa::OpenApi;
use utoipa::openapi::server::ServerBuilder;

use crate::web::Site;

/// Where the document is.
const DOCUMENT: &str = "/api/openapi.json";

#[derive(OpenApi)]
#[openapi(
    info(
        title = "dayfill",
        description = "What the daemon knows of datasets and days, and what it can be asked for. Fields are added, never \
                       renamed or removed: ignore what you do not know. Errors are problem details (RFC 9457).",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0")
    ),
    paths(
        datasets::list,
        datasets::one,
        days::list,
        day::one,
        day::rejected_rows,
        actions::post,
        workers::list,
        configuration::show,
        audit_log::list,
        events::stream,
        health::healthz,
        health::readyz
    ),
    components(schemas(
        crate::web::events::HelloEvent,
        crate::web::events::DayEvent<'static>,
        crate::web::events::ProgressEvent,
        crate::web::events::DatasetEvent<'static>,
        crate::web::events::DaemonEvent,
    ))
)]
struct Document;

/// What whoever is known may look at, and operators may change: everything but health. `base_path` is where the page is
/// mounted, for the document: empty, or with a `/` in front and none behind.
pub fn router(site: &Arc<Site>, base_path: &str) -> Router {
    let base_path = base_path.to_owned();
    Router::new()
        .route("/api/v1/datasets", get(datasets::list))
        .route("/api/v1/datasets/{name}", get(datasets::one))
        .route("/api/v1/datasets/{name}/days", get(days::list))
        .route("/api/v1/datasets/{name}/days/{day}", get(day::one))
        .route("/api/v1/datasets/{name}/days/{day}/rejects", get(day::rejected_rows))
        .route("/api/v1/datasets/{name}/actions", post(actions::post))
        .route("/api/v1/workers", get(workers::list))
        .route("/api/v1/configuration", get(configuration::show))
        .route("/api/v1/audit-log", get(audit_log::list))
        .route("/api/v1/events", get(events::stream))
        // Made when it is asked for: it takes more memory than the rest of an idle daemon's page.
        .route(DOCUMENT, get(|| async move { Json(document(&base_path)) }))
        .with_state(Arc::clone(site))
}

/// What everybody may look at: whether the process turns, and whether it can do its work.
pub fn health(site: &Arc<Site>) -> Router {
    Router::new()
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .with_state(Arc::clone(site))
}

/// The document that describes both.
#[must_use]
pub fn document(base_path: &str) -> utoipa::openapi::OpenApi {
    let mut document = Document::openapi();
    if !base_path.is_empty() {
        document.servers = Some(vec![ServerBuilder::new().url(base_path).build()]);
    }
    document
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_is_of_version_3_1_and_names_every_path() {
        let document = serde_json::to_value(document("/dayfill")).unwrap();
        assert_eq!((&document["openapi"], &document["servers"][0]["url"]), (&"3.1.0".into(), &"/dayfill".into()));
        let paths: Vec<&String> = document["paths"].as_object().unwrap().keys().collect();
        let documented = include_str!("../../../docs/api.md");
        for path in &paths {
            assert!(documented.contains(&format!("`{path}`")), "docs/api.md does not tell of {path}");
        }
        assert_eq!(paths.len(), 12, "{paths:?}");
        assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
    }

    #[test]
    fn nothing_in_the_document_points_nowhere() {
        let document = serde_json::to_value(document("")).unwrap();
        let text = document.to_string();
        let schemas = document["components"]["schemas"].as_object().unwrap();
        for reference in text.split("\"$ref\":\"#/components/schemas/").skip(1) {
            let name = reference.split('"').next().unwrap();
            assert!(schemas.contains_key(name), "there is no schema {name}");
        }
        assert!(schemas.contains_key("Problem") && schemas.contains_key("Day"), "{:?}", schemas.keys());
    }
}
