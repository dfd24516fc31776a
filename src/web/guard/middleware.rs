//! The way of a request past the guard.

use std::net::IpAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::CONNECTION;
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use hyper::body::Body as _;
use tokio::time::{Instant, timeout, timeout_at};

use super::client::{Client, Peer};
use super::error_page::RequestInfo;
use super::streams::StreamClient;
use super::{Guard, headers, is_read_only, origin};
use crate::web::auth::{AuthMethod, CredentialError, Identity, Role, bearer, users_unavailable};
use crate::web::limits::network;
use crate::web::problem::Problem;

/// What is known of who asks.
pub(super) struct Visitor {
    pub(super) client: Client,
    pub(super) who: Option<Identity>,
    /// Whether there is somebody to be known cannot be told: the users file cannot be read.
    users_unavailable: bool,
}

/// Among a request's extensions where the users file cannot be read just now: nobody comes in, whoever it is.
#[derive(Debug, Clone, Copy)]
pub(in crate::web) struct UsersUnavailable;

/// The guard as a layer around everything.
pub(super) async fn guard_request(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    let info = RequestInfo::of(&request);
    let (visitor, answer) = match guard.visitor(&request) {
        Ok(visitor) => {
            let listener = StreamClient::new(&visitor.client, visitor.who.as_ref(), request.headers());
            let answer = guard.forward(&visitor, request, next).await;
            let answer = answer.and_then(|answer| guard.limit_stream(answer, listener));
            (Some(visitor), answer.unwrap_or_else(IntoResponse::into_response))
        }
        Err(problem) => (None, problem.into_response()),
    };
    let who = visitor.as_ref().and_then(|visitor| visitor.who.clone());
    let mut answer = guard.render_error(answer, info, who);
    // Every other server on this machine would have to speak TLS as well.
    let https_only = visitor.is_some_and(|visitor| visitor.client.secure && visitor.client.host.name() != "localhost");
    headers::add(answer.headers_mut(), https_only);
    answer
}

impl Guard {
    /// Finds out who asks, from the headers alone, and refuses who has no business here.
    fn visitor(&self, request: &Request) -> Result<Visitor, Problem> {
        let headers = request.headers();
        let Some(peer) = request.extensions().get::<Peer>() else {
            return Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "peer", "the connection has no peer address"));
        };
        let client = Client::of(peer, request.uri(), headers, &self.settings)?;
        if !self.auth.has_users() && !client.is_local() {
            let detail = "without users (web.auth) the web UI answers only its own machine, and no proxy";
            return Err(Problem::forbidden("local-only", detail));
        }
        let (who, users_unavailable) = match self.auth.who(self.jar(&client), headers) {
            Ok(who) => (who, false),
            Err(CredentialError::NoUsers) => (None, true),
            Err(CredentialError::Token) => return Err(Problem::unauthorized("token", "unknown token")),
        };
        // A page of another site cannot send a token along, be it known or not.
        let is_program = uses_token(who.as_ref()) || users_unavailable && bearer(headers).is_some();
        if !is_read_only(request.method()) && !is_program {
            origin::require_same_origin(&client, headers)?;
        }
        Ok(Visitor { client, who, users_unavailable })
    }

    /// Reads the body and hands the request on, both within the time there is.
    async fn forward(&self, visitor: &Visitor, request: Request, next: Next) -> Result<Response, Problem> {
        let until = Instant::now() + self.limits.request_time;
        let (mut parts, body) = request.into_parts();
        let body = self.body(visitor.client.address, body).await?;
        parts.extensions.insert(visitor.client.clone());
        if let Some(who) = &visitor.who {
            parts.extensions.insert(who.clone());
        }
        if visitor.users_unavailable {
            parts.extensions.insert(UsersUnavailable);
        }
        let answer = next.run(Request::from_parts(parts, Body::from(body)));
        timeout_at(until, answer).await.map_err(|_| Problem::timed_out())
    }
}

impl Guard {
    /// The whole body of a request, within its time and among so many of its address at once.
    async fn body(&self, address: IpAddr, body: Body) -> Result<Vec<u8>, Problem> {
        if body.is_end_stream() {
            return Ok(Vec::new());
        }
        let Some(_share) = self.bodies.take(network(address)) else {
            if self.bodies_log.is_due() {
                let most = self.limits.bodies_per_address;
                log::warn!("{address} has {most} unfinished requests, the limit per address; further ones get 429");
            }
            let detail = "too many unfinished requests from this address";
            return Err(Problem::too_many("too-many-requests", detail, self.limits.body_time)
                .with_header(CONNECTION, HeaderValue::from_static("close")));
        };
        let slow = |_| Problem::new(StatusCode::REQUEST_TIMEOUT, "slow-request", "the request did not arrive in time");
        timeout(self.limits.body_time, read_body(body, self.limits.body)).await.map_err(slow)?
    }
}

fn uses_token(who: Option<&Identity>) -> bool {
    who.is_some_and(|who| who.how == AuthMethod::Token)
}

/// The whole body, if it is no larger than that.
async fn read_body(body: Body, most: usize) -> Result<Vec<u8>, Problem> {
    // Who is told so may still be sending, and cannot be heard out.
    let too_large = || {
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", format!("the request has more than {most} bytes"))
            .with_header(CONNECTION, HeaderValue::from_static("close"))
    };
    let mut pieces = body.into_data_stream();
    let mut all = Vec::new();
    while let Some(piece) = pieces.next().await {
        let piece =
            piece.map_err(|_| Problem::bad_request("the connection closed before the whole request arrived"))?;
        if all.len() + piece.len() > most {
            return Err(too_large());
        }
        all.extend_from_slice(&piece);
    }
    Ok(all)
}

/// For open routes: while the users file cannot be read, they change nothing.
pub(super) async fn require_readable_users(request: Request, next: Next) -> Result<Response, Problem> {
    if !is_read_only(request.method()) && request.extensions().get::<UsersUnavailable>().is_some() {
        return Err(users_unavailable());
    }
    Ok(next.run(request).await)
}

/// For what is shown to those who are known, and changed by operators.
pub(super) async fn require_operator(request: Request, next: Next) -> Result<Response, Problem> {
    let Some(who) = request.extensions().get::<Identity>() else {
        let has_users = request.extensions().get::<UsersUnavailable>().is_none();
        return Err(if has_users { Problem::unauthorized("login", "not logged in") } else { users_unavailable() });
    };
    if !is_read_only(request.method()) && who.role < Role::Operator {
        let detail = format!("{} has the role {}; this action needs the role operator", who.name, who.role);
        return Err(Problem::forbidden("role", detail));
    }
    Ok(next.run(request).await)
}
