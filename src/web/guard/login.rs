//! Logging in and out. The page with the form is somebody else's; it has the fields `name`, `password`, `next`.

use std::sync::Arc;

use axum::Extension;
use axum::Form;
use axum::extract::State;
use axum::extract::rejection::FormRejection;
use axum::http::header::SET_COOKIE;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::redirect::{ReturnPath, safe_return_path, see_other};
use super::{Client, Guard};
use crate::web::auth::{AuthMethod, Identity, LoginFailure, users_unavailable};
use crate::web::problem::Problem;

/// What the form holds. It is never shown, so it has no `Debug`.
#[derive(Deserialize)]
pub(super) struct LoginForm {
    name: String,
    password: String,
    #[serde(default)]
    next: String,
}

/// `POST /login`: a session for who knows the password.
pub(super) async fn login(
    State(guard): State<Arc<Guard>>,
    Extension(client): Extension<Client>,
    form: Result<Form<LoginForm>, FormRejection>,
) -> Response {
    let Ok(Form(LoginForm { name, password, next })) = form else {
        return Problem::bad_request("a login needs the fields name and password").into_response();
    };
    let next = safe_return_path(&next, guard.base_path());
    match guard.auth().login(client.address, &name, password).await {
        Ok((session, seconds)) => {
            let cookie = guard.jar(&client).set(&session, Some(seconds));
            let mut answer = see_other(&next);
            answer.headers_mut().extend(cookie.map(|cookie| (SET_COOKIE, cookie)));
            answer
        }
        Err(error) => {
            let mut answer = refusal(&error).into_response();
            answer.extensions_mut().insert(ReturnPath(next));
            answer
        }
    }
}

fn refusal(error: &LoginFailure) -> Problem {
    match error {
        LoginFailure::Wrong => Problem::unauthorized("wrong-login", "wrong name or password"),
        LoginFailure::TooMany(wait) => {
            Problem::too_many("too-many-logins", "too many failed logins from this address: wait and try again", *wait)
        }
        LoginFailure::NoUsers => users_unavailable(),
        LoginFailure::Unavailable => Problem::unavailable("users", "login unavailable; dayfill's log says why"),
    }
}

/// `POST /logout`: ends the session and takes its cookie away.
pub(super) async fn logout(
    State(guard): State<Arc<Guard>>,
    Extension(client): Extension<Client>,
    who: Option<Extension<Identity>>,
) -> Response {
    if let Some(Extension(Identity { how: AuthMethod::Session(id), .. })) = who {
        let guard = Arc::clone(&guard);
        let ended = tokio::task::spawn_blocking(move || guard.auth().end(&id)).await;
        if ended.is_err() {
            return Problem::unavailable("users", "the session could not be ended; dayfill's log says why")
                .into_response();
        }
    }
    let mut answer = see_other(&format!("{}/login", guard.base_path()));
    let cookie = guard.jar(&client).set("", Some(0));
    answer.headers_mut().extend(cookie.map(|cookie| (SET_COOKIE, cookie)));
    answer
}
