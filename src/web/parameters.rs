//! What the address of a request names, read with refusals that are told as all are.

use axum::extract::rejection::QueryRejection;
use axum::extract::{FromRequestParts, Path, Query};
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use super::problem::Problem;

/// What the path names. What is no text is nowhere.
pub(super) struct PathParameter<T>(pub(super) T);

impl<T, S> FromRequestParts<S> for PathParameter<T>
where
    T: DeserializeOwned + Send,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let read = Path::from_request_parts(parts, state).await;
        read.map(|Path(named)| Self(named)).map_err(|_| Problem::not_found())
    }
}

/// The parameters behind the path's `?`.
pub(super) struct Parameters<T>(pub(super) T);

impl<T, S> FromRequestParts<S> for Parameters<T>
where
    T: DeserializeOwned + Send,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let read = Query::from_request_parts(parts, state).await;
        let wrong = |rejection: QueryRejection| parameter(rejection.body_text());
        read.map(|Query(parameters)| Self(parameters)).map_err(wrong)
    }
}

/// 400: a parameter is wrong.
pub(super) fn parameter(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "parameter", detail)
}
