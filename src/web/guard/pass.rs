//! The way of a request past the guard.

use std::net::IpAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{CONNECTION, SET_COOKIE};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use hyper::body::Body as _;
use tokio::time::{Instant, timeout, timeout_at};

use super::client::{Client, Peer};
use super::csrf::Csrf;
use super::refused::Asked;
use super::streams::Listener;
use super::{Guard, headers, mount, only_looks, origin};
use crate::web::auth::{How, Role, Unknown, Who, bearer, no_users};
use crate::web::limits::network;
use crate::web::problem::Problem;

/// What is known of who asks.
pub(super) struct Visit {
    pub(super) client: Client,
    pub(super) who: Option<Who>,
    pub(super) csrf: Csrf,
    /// Whether there is somebody to be known cannot be told: the users file cannot be read.
    no_users: bool,
}

/// Among a request's extensions: whether it may change something, as far as a page of another site could not have sent
/// it.
#[derive(Debug, Clone, Copy)]
struct Proven(bool);

/// Among a request's extensions where the users file cannot be read just now: nobody comes in, whoever it is.
#[derive(Debug, Clone, Copy)]
pub(in crate::web) struct NoUsers;

/// The guard as a layer around everything.
pub(super) async fn watch(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    let asked = Asked::of(&request);
    let (visit, answer) = match guard.visit(&request) {
        Ok(visit) => {
            let listener = Listener::new(&visit.client, visit.who.as_ref(), request.headers());
            let answer = guard.pass(&visit, request, next).await;
            let answer = answer.and_then(|answer| guard.bound_stream(answer, listener));
            (Some(visit), answer.unwrap_or_else(IntoResponse::into_response))
        }
        Err(problem) => (None, problem.into_response()),
    };
    let mut answer = guard.shown(answer, asked, visit.as_ref());
    if let Some(Visit { client, csrf, .. }) = &visit
        && let Some(cookie) = csrf.cookie(guard.jar(client))
    {
        answer.headers_mut().append(SET_COOKIE, cookie);
    }
    // Every other server on this machine would have to speak TLS as well.
    let https_only = visit.is_some_and(|visit| visit.client.secure && visit.client.host.name() != "localhost");
    headers::add(answer.headers_mut(), https_only);
    answer
}

impl Guard {
    /// Finds out who asks, from the headers alone, and refuses who has no business here.
    fn visit(&self, request: &Request) -> Result<Visit, Problem> {
        let headers = request.headers();
        let Some(peer) = request.extensions().get::<Peer>() else {
            return Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "peer", "it is not known who asks"));
        };
        let client = Client::of(peer, request.uri(), headers, &self.settings)?;
        if !self.auth.has_users() && !client.is_local() {
            let detail = "without users (web.auth) the page is for those on its own machine, and not through a proxy";
            return Err(Problem::forbidden("local-only", detail));
        }
        let jar = self.jar(&client);
        let (who, no_users) = match self.auth.who(jar, headers) {
            Ok(who) => (who, false),
            Err(Unknown::NoUsers) => (None, true),
            Err(Unknown::Token) => return Err(Problem::unauthorized("token", "there is no such token")),
        };
        let csrf = Csrf::of(who.as_ref(), &self.auth, jar, headers);
        // A page of another site cannot send a token along, be it known or not.
        let is_program = by_token(who.as_ref()) || no_users && bearer(headers).is_some();
        if !only_looks(request.method()) && !is_program {
            origin::refuse_if_foreign(&client, headers)?;
        }
        Ok(Visit { client, who, csrf, no_users })
    }

    /// Reads the body and hands the request on, both within the time there is.
    async fn pass(&self, visit: &Visit, request: Request, next: Next) -> Result<Response, Problem> {
        let until = Instant::now() + self.limits.request_time;
        let (mut parts, body) = request.into_parts();
        let body = self.body(visit.client.address, body).await?;
        let proven = by_token(visit.who.as_ref()) || visit.csrf.is_in(&self.auth, &parts.headers, &body);
        parts.extensions.insert(Proven(proven));
        parts.extensions.insert(visit.client.clone());
        parts.extensions.insert(visit.csrf.clone());
        if let Some(who) = &visit.who {
            parts.extensions.insert(who.clone());
        }
        if visit.no_users {
            parts.extensions.insert(NoUsers);
        }
        let answer = next.run(Request::from_parts(parts, Body::from(body)));
        timeout_at(until, answer).await.map_err(|_| mount::too_slow())
    }
}

impl Guard {
    /// The whole body of a request, within its time and among so many of its address at once.
    async fn body(&self, address: IpAddr, body: Body) -> Result<Vec<u8>, Problem> {
        if body.is_end_stream() {
            return Ok(Vec::new());
        }
        let Some(_share) = self.bodies.take(network(address)) else {
            if self.said_bodies.is_due() {
                let most = self.limits.bodies_per_address;
                log::warn!("{address} has {most} unfinished requests, as many as one may: further ones are refused");
            }
            let detail = "there are too many unfinished requests of this address already";
            return Err(Problem::too_many("too-many-requests", detail, self.limits.body_time)
                .with_header(CONNECTION, HeaderValue::from_static("close")));
        };
        let slow = |_| Problem::new(StatusCode::REQUEST_TIMEOUT, "slow-request", "the request took too long to arrive");
        timeout(self.limits.body_time, whole(body, self.limits.body)).await.map_err(slow)?
    }
}

fn by_token(who: Option<&Who>) -> bool {
    who.is_some_and(|who| who.how == How::Token)
}

/// The whole body, if it is no larger than that.
async fn whole(body: Body, most: usize) -> Result<Vec<u8>, Problem> {
    // Who is told so may still be sending, and cannot be heard out.
    let too_large = || {
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", format!("a request holds at most {most} bytes"))
            .with_header(CONNECTION, HeaderValue::from_static("close"))
    };
    let mut pieces = body.into_data_stream();
    let mut all = Vec::new();
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|_| Problem::bad_request("the request broke off"))?;
        if all.len() + piece.len() > most {
            return Err(too_large());
        }
        all.extend_from_slice(&piece);
    }
    Ok(all)
}

/// For what everybody may look at.
pub(super) async fn needs_token_to_change(request: Request, next: Next) -> Result<Response, Problem> {
    if !only_looks(request.method()) {
        refuse_if_unproven(&request)?;
    }
    Ok(next.run(request).await)
}

/// For what is shown to those who are known, and changed by operators.
pub(super) async fn needs_operator_to_change(request: Request, next: Next) -> Result<Response, Problem> {
    let Some(who) = request.extensions().get::<Who>() else {
        let has_users = request.extensions().get::<NoUsers>().is_none();
        return Err(if has_users { Problem::unauthorized("login", "nobody is logged in") } else { no_users() });
    };
    if !only_looks(request.method()) {
        if who.role < Role::Operator {
            let detail = format!("{} is a {} and may not change anything", who.name, who.role);
            return Err(Problem::forbidden("role", detail));
        }
        refuse_if_unproven(&request)?;
    }
    Ok(next.run(request).await)
}

fn refuse_if_unproven(request: &Request) -> Result<(), Problem> {
    match request.extensions().get() {
        Some(Proven(true)) => Ok(()),
        // The token is that of a session, which nobody can know.
        _ if request.extensions().get::<NoUsers>().is_some() => Err(no_users()),
        _ => Err(Problem::forbidden(
            "csrf",
            "the form is not of this session (its CSRF token is missing or another's): load the page again",
        )),
    }
}
