//! Problem details (RFC 9457): how every refusal is told.

use std::time::Duration;

use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::web::escape;

/// Why a request was not answered as asked. Its detail is for people and holds no secret.
///
/// A [`Response`] made of one has it among its extensions, where [`guard`](super::guard) finds it to make a page of it
/// for a browser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The status.
    pub status: StatusCode,
    /// What tells this problem from others of its status, for programs; it never changes.
    pub code: &'static str,
    /// What is wrong, and what to do about it.
    pub detail: String,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Problem {
    /// A problem.
    #[must_use]
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into(), headers: Vec::new() }
    }

    /// 400: the request is not one that can be understood.
    #[must_use]
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad-request", detail)
    }

    /// 401: nobody is logged in.
    #[must_use]
    pub fn unauthorized(code: &'static str, detail: impl Into<String>) -> Self {
        let challenge = HeaderValue::from_static("Bearer realm=\"dayfill\"");
        Self::new(StatusCode::UNAUTHORIZED, code, detail).with_header(WWW_AUTHENTICATE, challenge)
    }

    /// 403: whoever asks may not.
    #[must_use]
    pub fn forbidden(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, code, detail)
    }

    /// 404: there is no such thing.
    #[must_use]
    pub fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", "nothing exists at this address")
    }

    /// 429: not so often; after that time again.
    #[must_use]
    pub fn too_many(code: &'static str, detail: impl Into<String>, wait: Duration) -> Self {
        // A begun second is a second.
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        Self::new(StatusCode::TOO_MANY_REQUESTS, code, detail).with_header(RETRY_AFTER, seconds.into())
    }

    /// 503: not just now.
    #[must_use]
    pub fn unavailable(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, detail)
    }

    /// 503: the request took longer than it may.
    #[must_use]
    pub fn timed_out() -> Self {
        Self::unavailable("slow", "request timed out; the action may still have completed")
    }

    /// The same with a header more.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// The status's own words.
    #[must_use]
    pub fn title(&self) -> &'static str {
        self.status.canonical_reason().unwrap_or("Error")
    }

    /// The answer with another body, but the same status and headers.
    #[must_use]
    pub fn respond(&self, body: impl IntoResponse) -> Response {
        let mut response = body.into_response();
        *response.status_mut() = self.status;
        response.headers_mut().extend(self.headers.iter().cloned());
        response
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Self { status, code, detail, .. } = &self;
        let body = json!({
            "type": "about:blank",
            "title": self.title(),
            "status": status.as_u16(),
            "detail": detail,
            "code": code,
        });
        let mut response = self.respond(escape::json(body.to_string()));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        response.extensions_mut().insert(self);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_that_has_begun_is_waited_for() {
        for (millis, seconds) in [(0, "0"), (1, "1"), (1000, "1"), (59_001, "60")] {
            let response = Problem::too_many("x", "x", Duration::from_millis(millis)).into_response();
            assert_eq!(response.headers()[RETRY_AFTER], seconds);
        }
    }

    #[test]
    fn the_problem_goes_with_its_answer() {
        let response = Problem::unauthorized("login", "log in").into_response();
        assert_eq!(response.status(), 401);
        assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
        assert_eq!(response.headers()[WWW_AUTHENTICATE], "Bearer realm=\"dayfill\"");
        let problem = response.extensions().get::<Problem>().unwrap();
        assert_eq!((problem.code, problem.title()), ("login", "Unauthorized"));
    }
}
