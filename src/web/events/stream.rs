//! A stream of events, as one listener gets it.

use std::convert::Infallible;
use std::future::ready;
use std::time::Duration;

use axum::http::header::CACHE_CONTROL;
use axum::http::{HeaderName, HeaderValue};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt as _;
use futures_util::stream::{self, Stream};
use tokio::sync::broadcast::Receiver;
use tokio::time::sleep;

use super::Events;
use super::messages::{HelloEvent, event};
use crate::web::problem::Problem;

/// How long a stream says nothing before it shows that it is still there: proxies take long silence for the end.
const SILENCE: Duration = Duration::from_secs(15);

/// How long a stream lasts. The browser connects again, and its credentials are checked again.
const LONGEST: Duration = Duration::from_mins(15);

/// How long a browser waits before it connects again.
const RECONNECT: Duration = Duration::from_secs(2);

impl Events {
    /// An endless response with everything that happens from now on.
    ///
    /// # Errors
    /// A [`Problem`] when the daemon is shutting down.
    pub fn stream(&self) -> Result<Response, Problem> {
        let events = self.listen().ok_or_else(|| Problem::unavailable("ending", "the daemon is shutting down"))?;
        // Not before that: what happens in between is received, and counted as well.
        let stream = Sse::new(from_hello(events, self.told())).keep_alive(KeepAlive::new().interval(SILENCE));
        let headers = [
            (CACHE_CONTROL, HeaderValue::from_static("no-store")),
            // nginx would hold events back until it has a page full of them.
            (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
        ];
        Ok((headers, stream).into_response())
    }
}

/// A greeting, then each event. The stream ends when the channel does, after [`LONGEST`], and when the listener is too
/// far behind: it connects again and reads everything again.
fn from_hello(events: Receiver<Event>, told: u64) -> impl Stream<Item = Result<Event, Infallible>> {
    let hello = event("hello", &HelloEvent { version: env!("CARGO_PKG_VERSION"), told }).retry(RECONNECT);
    let events = stream::unfold(events, |mut events| async move {
        let event = events.recv().await.ok()?;
        Some((event, events))
    });
    stream::once(ready(hello)).chain(events).take_until(sleep(LONGEST)).map(Ok)
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;
    use tokio::sync::broadcast;
    use tokio::time::Instant;

    use super::*;
    use crate::web::events::DaemonEvent;

    async fn text(response: Response) -> String {
        String::from_utf8(to_bytes(response.into_body(), usize::MAX).await.unwrap().into()).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_stream_sends_comments_and_ends_in_time() {
        let events = Events::default();
        let began = Instant::now();
        let text = text(events.stream().unwrap()).await;
        assert!(
            text.starts_with("event: hello\ndata: {\"version\":\"") && text.contains("\nretry: 2000\n\n"),
            "{text}"
        );
        assert_eq!((began.elapsed(), text.matches("\n:\n").count()), (LONGEST, 59), "{text}");
    }

    #[tokio::test(start_paused = true)]
    async fn every_listener_gets_each_event_until_the_channel_closes() {
        let events = Events::default();
        let streams = [events.stream().unwrap(), events.stream().unwrap()];
        events.send(event("daemon", &DaemonEvent {}));
        events.end();
        for stream in streams {
            assert!(text(stream).await.ends_with("\n\nevent: daemon\ndata: {}\n\n"));
        }
        assert!(events.stream().is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_listener_too_far_behind_is_disconnected() {
        let (send, receive) = broadcast::channel(1);
        for _ in 0..2 {
            send.send(Event::default()).unwrap();
        }
        let all: Vec<_> = from_hello(receive, 7).collect().await;
        assert_eq!(all.len(), 1, "only the greeting");
    }
}
