//! Logging in and out. The page with the form is somebody else's; it has the fields `csrf`, `name`, `password`, `next`.

use std::sync::Arc;

use axum::Extension;
use axum::Form;
use axum::extract::State;
use axum::extract::rejection::FormRejection;
use axum::http::header::SET_COOKIE;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::{Cookie, How, LoginError, Who, no_users};
use crate::web::guard::{Client, Guard, see_other};
use crate::web::problem::Problem;

/// What the form holds. It is never shown, so it has no `Debug`.
#[derive(Deserialize)]
pub(in crate::web) struct Login {
    name: String,
    password: String,
    #[serde(default)]
    next: String,
}

/// Among an answer's extensions: where the login was to lead.
#[derive(Debug, Clone)]
pub(in crate::web) struct Next(pub(in crate::web) String);

/// `POST /login`: a session for who knows the password.
pub(in crate::web) async fn login(
    State(guard): State<Arc<Guard>>,
    Extension(client): Extension<Client>,
    form: Result<Form<Login>, FormRejection>,
) -> Response {
    let Ok(Form(Login { name, password, next })) = form else {
        return Problem::bad_request("a login has the fields name and password").into_response();
    };
    let next = next_or_home(&next, guard.base_path());
    match guard.auth().login(client.address, &name, password).await {
        Ok((session, seconds)) => {
            let cookie = guard.jar(&client).set(Cookie::Session, &session, Some(seconds));
            let mut answer = see_other(&next);
            answer.headers_mut().extend(cookie.map(|cookie| (SET_COOKIE, cookie)));
            answer
        }
        Err(error) => {
            let mut answer = refusal(&error).into_response();
            answer.extensions_mut().insert(Next(next));
            answer
        }
    }
}

fn refusal(error: &LoginError) -> Problem {
    match error {
        LoginError::Wrong => Problem::unauthorized("wrong-login", "name and password do not go together"),
        LoginError::TooMany(wait) => {
            Problem::too_many("too-many-logins", "too many logins have failed from this address: wait a little", *wait)
        }
        LoginError::NoUsers => no_users(),
        LoginError::Unavailable => Problem::unavailable("users", "nobody can log in just now; dayfill's log says why"),
    }
}

/// `POST /logout`: ends the session and takes its cookie away.
pub(in crate::web) async fn logout(
    State(guard): State<Arc<Guard>>,
    Extension(client): Extension<Client>,
    who: Option<Extension<Who>>,
) -> Response {
    if let Some(Extension(Who { how: How::Session(id), .. })) = who {
        let guard = Arc::clone(&guard);
        let ended = tokio::task::spawn_blocking(move || guard.auth().end(&id)).await;
        if ended.is_err() {
            return Problem::unavailable("users", "the session could not be ended; dayfill's log says why")
                .into_response();
        }
    }
    let mut answer = see_other(&format!("{}/login", guard.base_path()));
    let cookie = guard.jar(&client).set(Cookie::Session, "", Some(0));
    answer.headers_mut().extend(cookie.map(|cookie| (SET_COOKIE, cookie)));
    answer
}

/// A path of ours, or the page's own: what a form or a link names may lead to another site.
pub(in crate::web) fn next_or_home(next: &str, base_path: &str) -> String {
    // Two slashes begin the name of a host, and to browsers a backslash is one; blanks and the like they leave out.
    let plain = next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    let below = next.strip_prefix(base_path).is_some_and(|rest| rest.starts_with(['/', '?']) || rest.is_empty());
    if plain && below && next.starts_with('/') && !next.starts_with("//") {
        next.to_owned()
    } else if base_path.is_empty() {
        "/".to_owned()
    } else {
        base_path.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_leads_to_paths_of_ours_only() {
        for (next, base, expected) in [
            ("/", "", "/"),
            ("/days?dataset=orders&from=2024-03-01#x", "", "/days?dataset=orders&from=2024-03-01#x"),
            ("/d/days", "/d", "/d/days"),
            ("/d", "/d", "/d"),
            ("/d?x=1", "/d", "/d?x=1"),
            ("", "", "/"),
            ("", "/d", "/d"),
            ("/other", "/d", "/d"),
            ("/days", "/d", "/d"),
            ("days", "", "/"),
            ("//evil.example", "", "/"),
            ("/\\evil.example", "", "/"),
            ("\\\\evil.example", "", "/"),
            ("/\t/evil.example", "", "/"),
            ("/\n/evil.example", "", "/"),
            (" /days", "", "/"),
            ("https://evil.example/", "", "/"),
            ("javascript:alert(1)", "", "/"),
            ("/d//evil.example", "/d", "/d//evil.example"),
            ("/é", "", "/"),
        ] {
            assert_eq!(next_or_home(next, base), expected, "{next:?} below {base:?}");
        }
    }
}
