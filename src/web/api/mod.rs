//! The API: JSON under `/api/v1`, described by a document (`OpenAPI` 3.1) that is made of the very handlers the router
//! calls. The names of fields are a documented contract (docs/api.md).
//!
//! It knows nothing of who asks but their name: whoever mounts the routers puts a guard in front.

mod actions;
mod activity_log;
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
use axum::middleware::map_response;
use axum::routing::{get, post};
use utoipa::OpenApi;
use utoipa::openapi::content::ContentBuilder;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::server::ServerBuilder;
use utoipa::openapi::{Ref, ResponseBuilder};

use crate::web::Site;
use crate::web::escape;

/// How the document calls the way to say who asks.
const TOKEN: &str = "token";

/// Where the document is.
const DOCUMENT: &str = "/api/openapi.json";

#[derive(OpenApi)]
#[openapi(
    info(
        title = "dayfill",
        description = "Datasets, days and actions of the daemon. Fields are added, never renamed or removed: \
                       ignore unknown ones. Errors are problem details (RFC 9457).",
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
        activity_log::list,
        events::stream
    ),
    components(schemas(
        crate::web::events::HelloEvent,
        crate::web::events::DayMessage<'static>,
        crate::web::events::ProgressEvent,
        crate::web::events::DatasetEvent<'static>,
        crate::web::events::DaemonEvent,
    ))
)]
struct Document;

/// What everybody may ask for.
#[derive(OpenApi)]
#[openapi(paths(health::healthz, health::readyz))]
struct Health;

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
        .route("/api/v1/activity-log", get(activity_log::list))
        .route("/api/v1/events", get(events::stream))
        // Made when it is asked for: it takes more memory than the rest of an idle daemon's page.
        .route(DOCUMENT, get(|| async move { Json(document(&base_path)) }))
        .layer(map_response(escape::answer))
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
    tell_of_the_guard(&mut document);
    document.merge(Health::openapi());
    if !base_path.is_empty() {
        document.servers = Some(vec![ServerBuilder::new().url(base_path).build()]);
    }
    document
}

/// What the guard in front wants of every request, and answers to one that it does not let in.
fn tell_of_the_guard(document: &mut utoipa::openapi::OpenApi) {
    let token = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("A token from `dayfill web add-token`. Without users, reading needs none."));
    let components = document.components.get_or_insert_default();
    components.add_security_scheme(TOKEN, SecurityScheme::Http(token.build()));
    let problem = |codes: &str| {
        let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
        ResponseBuilder::new().description(codes).content("application/problem+json", content).build()
    };
    for path in document.paths.paths.values_mut() {
        for operation in [&mut path.get, &mut path.post].into_iter().flatten() {
            operation.security = Some(vec![SecurityRequirement::new(TOKEN, [""; 0])]);
            let answers = &mut operation.responses.responses;
            answers.insert("401".to_owned(), problem("login, token").into());
            answers.insert("403".to_owned(), problem("role, origin, local-only").into());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::web::actions::Action;

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

    #[test]
    fn the_document_knows_what_can_be_asked_for_and_calls_each_operation_by_a_name_of_its_own() {
        let document = serde_json::to_value(document("")).unwrap();
        let actions = &document["components"]["schemas"]["Action"]["enum"];
        assert_eq!(*actions, serde_json::json!(Action::ALL.map(Action::name)));
        let operations = document["paths"].as_object().unwrap().values().flat_map(|path| path.as_object().unwrap());
        let names: Vec<&str> = operations.map(|(_, operation)| operation["operationId"].as_str().unwrap()).collect();
        let different: BTreeSet<&str> = names.iter().copied().collect();
        assert_eq!(different.len(), names.len(), "{names:?}");
    }
}
