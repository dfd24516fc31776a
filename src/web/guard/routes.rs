//! Routers, put behind the guard.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{any, post};
use axum::{Router, http::StatusCode};

use super::login::{login, logout};
use super::middleware::{guard_request, require_operator, require_readable_users};
use super::{Guard, headers, is_read_only};
use crate::web::limits::RequestLimits;
use crate::web::problem::Problem;

impl Guard {
    /// Puts both routers behind this guard, below the base path. Everybody may look at what is `open`: the login page,
    /// scripts and styles, health. What is `closed` is shown to whoever is known, and changed (every method but GET,
    /// HEAD and OPTIONS) by operators.
    ///
    /// `POST /login` and `POST /logout` are added where there are users; `GET /login` has to be among what is open.
    pub fn mount(self, open: Router, closed: Router) -> Router {
        let guard = Arc::new(self);
        let mut open = open;
        if guard.auth().has_users() {
            open = open
                .route("/login", post(login).with_state(Arc::clone(&guard)))
                .route("/logout", post(logout).with_state(Arc::clone(&guard)));
        }
        // A layer on no route at all is an error to axum.
        let layered =
            |router: Router, layer: fn(Router) -> Router| if router.has_routes() { layer(router) } else { router };
        let open = layered(open, |open| open.route_layer(from_fn(require_readable_users)));
        let closed = layered(closed, |closed| closed.route_layer(from_fn(require_operator)));
        let all = open.merge(closed).method_not_allowed_fallback(method_not_allowed);
        let base = guard.base_path().to_owned();
        let all = if base.is_empty() {
            all
        } else {
            let (from, to) = (format!("{base}/"), base.clone());
            Router::new().nest(&base, all).route(&from, any(|| async move { Redirect::permanent(&to) }))
        };
        all.fallback(not_found).layer(from_fn_with_state(guard, guard_request))
    }
}

/// Puts a router that only looks behind the limits alone, for a listener of health and metrics: nobody is asked who
/// they are, under whatever name they come.
pub fn plain(router: Router, limits: RequestLimits) -> Router {
    router
        .method_not_allowed_fallback(method_not_allowed)
        .fallback(not_found)
        .layer(from_fn_with_state(limits, limit_request))
}

async fn limit_request(State(limits): State<RequestLimits>, request: Request, next: Next) -> Response {
    let mut answer = if is_read_only(request.method()) {
        // Nobody reads what is sent along.
        let answer = next.run(request.map(|_| Body::empty()));
        tokio::time::timeout(limits.request_time, answer).await.unwrap_or_else(|_| Problem::timed_out().into_response())
    } else {
        method_not_allowed().await.into_response()
    };
    headers::add(answer.headers_mut(), false);
    answer
}

async fn not_found() -> Problem {
    Problem::not_found()
}

async fn method_not_allowed() -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method", "this address does not support the method")
}
