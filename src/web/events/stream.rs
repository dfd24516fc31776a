//! A stream of events, as one listener gets it.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream::{self, Stream};
use tokio::sync::broadcast::Receiver;
use tokio::time::{Instant, timeout};

use super::Events;
use super::kinds::{HelloEvent, frame};
use crate::web::problem::Problem;

/// How long a stream says nothing before it shows that it is still there: proxies take long silence for the end.
const SILENCE: Duration = Duration::from_secs(15);

/// How long a stream lasts. Whoever listens comes back by itself, and is asked anew whether they may.
const LONGEST: Duration = Duration::from_mins(15);

/// When the browser comes back, in the protocol's words.
const COME_BACK: &[u8] = b"retry: 2000\n\n";

/// A comment, which is no event.
const STILL_HERE: Bytes = Bytes::from_static(b":\n\n");

/// What comes after a piece of the stream.
struct State {
    frames: Receiver<Bytes>,
    /// What the greeting says, until it was said.
    told: Option<u64>,
    until: Instant,
}

impl Events {
    /// An endless answer that tells what happens.
    ///
    /// # Errors
    /// A [`Problem`] when the daemon is ending.
    pub fn stream(&self) -> Result<Response, Problem> {
        let frames = self.listen().ok_or_else(|| Problem::unavailable("ending", "the daemon is ending"))?;
        // Not before that: what is told in between is heard, and counted as well.
        let pieces = pieces(frames, self.told());
        let headers = [
            (CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
            (CACHE_CONTROL, HeaderValue::from_static("no-store")),
            // nginx would hold events back until it has a page full of them.
            (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
        ];
        Ok((headers, Body::from_stream(pieces)).into_response())
    }
}

/// The stream's pieces: a greeting, then what comes. It ends when it is over, when its time is, and when the listener
/// is too far behind: coming back, it looks at everything anew.
fn pieces(frames: Receiver<Bytes>, told: u64) -> impl Stream<Item = Result<Bytes, Infallible>> {
    let state = State { frames, told: Some(told), until: Instant::now() + LONGEST };
    stream::unfold(state, |mut state| async move {
        let piece = state.next().await?;
        Some((Ok(piece), state))
    })
}

impl State {
    async fn next(&mut self) -> Option<Bytes> {
        if let Some(told) = self.told.take() {
            let hello = frame("hello", &HelloEvent { version: env!("CARGO_PKG_VERSION"), told });
            return Some([COME_BACK, &hello].concat().into());
        }
        if Instant::now() >= self.until {
            return None;
        }
        match timeout(SILENCE, self.frames.recv()).await {
            Ok(frame) => frame.ok(),
            Err(_) => Some(STILL_HERE),
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt;
    use tokio::sync::broadcast;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_silent_stream_shows_that_it_is_there_and_ends_in_time() {
        let (_send, receive) = broadcast::channel(1);
        let began = Instant::now();
        let all: Vec<_> = pieces(receive, 7).map(Result::unwrap).collect().await;
        assert!(all[0].starts_with(b"retry: 2000\n\nevent: hello\ndata: {\"version\":\""), "{:?}", all[0]);
        assert!(all[1..].iter().all(|piece| *piece == STILL_HERE));
        assert_eq!((began.elapsed(), all.len()), (LONGEST, 61));
    }

    #[tokio::test(start_paused = true)]
    async fn all_get_the_same_bytes_until_it_is_over() {
        let (send, receive) = broadcast::channel(2);
        let streams = [pieces(receive, 7), pieces(send.subscribe(), 7)];
        let event = Bytes::from_static(b"event: daemon\ndata: {}\n\n");
        send.send(event.clone()).unwrap();
        drop(send);
        for stream in streams {
            let all: Vec<_> = stream.map(Result::unwrap).collect().await;
            assert_eq!((all.len(), all[1].as_ptr()), (2, event.as_ptr()));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_too_far_behind_has_to_come_back() {
        let (send, receive) = broadcast::channel(1);
        for _ in 0..2 {
            send.send(Bytes::from_static(b"x")).unwrap();
        }
        let all: Vec<_> = pieces(receive, 7).collect().await;
        assert_eq!(all.len(), 1, "only the greeting");
    }
}
