//! Routers, put behind the guard.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{any, post};
use axum::{Router, http::StatusCode};

use super::pass::{needs_operator_to_change, needs_token_to_change, watch};
use super::{Guard, headers, only_looks};
use crate::web::auth::{login, logout};
use crate::web::limits::Limits;
use crate::web::problem::Problem;

impl Guard {
    /// Puts both routers behind this guard, below the base path. Everybody may look at what is `open`: the login page,
    /// scripts and styles, health. What is `closed` is shown to whoever is known, and changed (every method but GET,
    /// HEAD and OPTIONS) by operators. Both want a CSRF token of a change that does not come with a token.
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
        let open = layered(open, |open| open.route_layer(from_fn(needs_token_to_change)));
        let closed = layered(closed, |closed| closed.route_layer(from_fn(needs_operator_to_change)));
        let all = open.merge(closed).method_not_allowed_fallback(no_such_method);
        let base = guard.base_path().to_owned();
        let all = if base.is_empty() {
            all
        } else {
            let (from, to) = (format!("{base}/"), base.clone());
            Router::new().nest(&base, all).route(&from, any(|| async move { Redirect::permanent(&to) }))
        };
        all.fallback(nothing_here).layer(from_fn_with_state(guard, watch))
    }
}

/// Puts a router that only looks behind the limits alone, for a listener of health and metrics: nobody is asked who
/// they are, under whatever name they come.
pub fn plain(router: Router, limits: Limits) -> Router {
    router.method_not_allowed_fallback(no_such_method).fallback(nothing_here).layer(from_fn_with_state(limits, look))
}

async fn look(State(limits): State<Limits>, request: Request, next: Next) -> Response {
    let mut answer = if only_looks(request.method()) {
        // Nobody reads what is sent along.
        let answer = next.run(request.map(|_| Body::empty()));
        tokio::time::timeout(limits.request_time, answer).await.unwrap_or_else(|_| too_slow().into_response())
    } else {
        no_such_method().await.into_response()
    };
    headers::add(answer.headers_mut(), false);
    answer
}

async fn nothing_here() -> Problem {
    Problem::not_found()
}

async fn no_such_method() -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method", "this cannot be asked for in that way")
}

pub(super) fn too_slow() -> Problem {
    Problem::unavailable("slow", "it took too long; what was begun may have been done")
}
