//! Answers that have no end: how many of them a client may have, and that they end when whoever listens may not any more.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE};
use axum::http::{HeaderMap, Response};
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use tokio::time::{Duration, Interval, MissedTickBehavior, interval};

use super::{Client, Guard};
use crate::web::auth::Identity;
use crate::web::limits::{LogThrottle, RequestLimits, Share, Shares, network};
use crate::web::problem::Problem;

/// How long whoever has too many streams is asked to wait.
const COME_BACK: Duration = Duration::from_secs(10);

/// The event streams of each address, and of each user or token.
#[derive(Debug)]
pub(super) struct Streams {
    by_address: Shares<IpAddr>,
    by_user: Shares<String>,
    said: LogThrottle,
}

impl Streams {
    pub(super) fn new(limits: RequestLimits) -> Self {
        Self {
            by_address: Shares::new(limits.streams),
            by_user: Shares::new(limits.streams),
            said: LogThrottle::default(),
        }
    }
}

/// Who asked for a stream, and the headers by which that is known.
pub(super) struct StreamClient {
    client: Client,
    who: Option<Identity>,
    credentials: HeaderMap,
}

impl StreamClient {
    pub(super) fn new(client: &Client, who: Option<&Identity>, headers: &HeaderMap) -> Self {
        let mut credentials = HeaderMap::new();
        for name in [AUTHORIZATION, COOKIE] {
            for value in headers.get_all(&name) {
                credentials.append(&name, value.clone());
            }
        }
        Self { client: client.clone(), who: who.cloned(), credentials }
    }
}

/// A stream under way.
struct BoundStream {
    pieces: BoxStream<'static, Result<Bytes, axum::Error>>,
    check: Interval,
    guard: Arc<Guard>,
    listener: StreamClient,
    _address: Share<IpAddr>,
    _user: Option<Share<String>>,
}

impl Guard {
    /// The answer as it is, where it has an end. A stream of events counts among those of its address and user, and ends
    /// soon after whoever listens was removed, got another role or password, or logged out.
    pub(super) fn limit_stream(
        self: &Arc<Self>,
        answer: Response<Body>,
        listener: StreamClient,
    ) -> Result<Response<Body>, Problem> {
        let is_stream = answer.headers().get(CONTENT_TYPE).is_some_and(|kind| kind == "text/event-stream");
        if !is_stream {
            return Ok(answer);
        }
        let address = self.streams.by_address.take(network(listener.client.address));
        let name = listener.who.as_ref().filter(|_| self.auth.has_users()).map(|who| who.name.clone());
        let user = name.clone().map(|name| self.streams.by_user.take(name));
        let (Some(address), None | Some(Some(_))) = (address, &user) else {
            if self.streams.said.is_due() {
                let who = name.map_or_else(
                    || listener.client.address.to_string(),
                    |name| format!("{name} from {}", listener.client.address),
                );
                log::warn!("{who} has {} event streams, the limit; further ones get 429", self.limits.streams);
            }
            return Err(Problem::too_many("too-many-streams", "too many event streams", COME_BACK));
        };
        let mut check = interval(self.limits.stream_check);
        check.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let guard = Arc::clone(self);
        Ok(answer.map(|body| {
            let pieces = body.into_data_stream().boxed();
            Body::from_stream(stream::unfold(
                BoundStream { pieces, check, guard, listener, _address: address, _user: user.flatten() },
                |mut listening| async move {
                    let piece = listening.next().await?;
                    Some((Ok::<_, Infallible>(piece), listening))
                },
            ))
        }))
    }
}

impl BoundStream {
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            tokio::select! {
                piece = self.pieces.next() => return piece?.ok(),
                _ = self.check.tick() => {
                    let StreamClient { client, who, credentials } = &self.listener;
                    let now = self.guard.auth.who(self.guard.jar(client), credentials);
                    if now.as_ref().ok() != Some(who) {
                        return None;
                    }
                }
            }
        }
    }
}
