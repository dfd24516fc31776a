//! How much of everything a client may take, and how the page ends.

use std::convert::Infallible;
use std::io::{Read, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use dayfill::web::Limits;
use futures_util::{StreamExt, stream};

use crate::support::page::{Answer, Page, Start, to_the_end};

/// Short enough for a test, and far from being reached where it should not be.
const SHORT: Duration = Duration::from_millis(500);

fn page(change: impl FnOnce(&mut Limits), open: Router) -> Page {
    let mut start = Start { open, ..Start::default() };
    change(&mut start.limits);
    start.without_users()
}

fn request(page: &Page, method: &str, path: &str, more: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nHost: {0}\r\nOrigin: http://{0}\r\n{more}", page.address())
}

#[test]
fn a_body_that_is_too_large_is_refused_however_it_comes() {
    let page = page(|_| {}, Router::new());
    let (cookie, token) = page.browser(&[]);
    let post = |length: usize| {
        let field = format!("csrf={token}&x=");
        let body = field.clone() + &"x".repeat(length - field.len());
        let origin = format!("http://{}", page.address());
        let kind = ("Content-Type", "application/x-www-form-urlencoded");
        page.ask("POST", "/days", &[("Cookie", &cookie), ("Origin", &origin), kind], &body)
    };
    assert_eq!(post(64 * 1024).body, "changed by 65536 bytes");
    let answer = post(64 * 1024 + 1);
    assert_eq!((answer.status, answer.code().as_str()), (413, "too-large"));
    assert_eq!(answer.header("connection"), "close");

    let piece = format!("8000\r\n{}\r\n", "x".repeat(0x8000));
    let head = request(&page, "POST", "/days", "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n");
    let answer = Answer::parse(&page.send(format!("{head}{piece}{piece}1\r\nx\r\n").as_bytes()));
    assert_eq!(answer.code(), "too-large");
}

#[test]
fn headers_are_few_and_short() {
    let page = page(|_| {}, Router::new());
    let status = |more: &str| {
        let request = request(&page, "GET", "/health", &format!("Connection: close\r\n{more}\r\n"));
        Answer::parse(&page.send(request.as_bytes())).status
    };
    assert_eq!(status(&"X-More: x\r\n".repeat(61)), 200);
    assert_eq!(status(&"X-More: x\r\n".repeat(62)), 431);
    assert_eq!(status(&format!("X-More: {}\r\n", "x".repeat(15_000))), 200);
    assert_eq!(status(&format!("X-More: {}\r\n", "x".repeat(20_000))), 431);
}

#[test]
fn whoever_is_slow_to_ask_is_cut_off() {
    let page = page(|limits| limits.head_time = SHORT, Router::new());
    // Nothing, a piece of the headers, and a rest between two requests: each ends by itself.
    assert_eq!(to_the_end(&mut page.connect()), b"");
    let mut begun = page.connect();
    begun.write_all(request(&page, "GET", "/health", "X-More").as_bytes()).unwrap();
    assert_eq!(to_the_end(&mut begun), b"");
    let mut kept = page.connect();
    kept.write_all(request(&page, "GET", "/health", "\r\n").as_bytes()).unwrap();
    assert_eq!(Answer::parse(&to_the_end(&mut kept)).body, "ok");
}

#[test]
fn a_request_has_its_time() {
    let slow = get(std::future::pending::<()>);
    let page = page(|limits| limits.request_time = SHORT, Router::new().route("/slow", slow));
    let answer = page.get("/slow", &[]);
    assert_eq!((answer.status, answer.code().as_str()), (503, "slow"));
    // The body that is announced never comes.
    let mut begun = page.connect();
    begun.write_all(request(&page, "POST", "/days", "Content-Length: 10\r\n\r\nx").as_bytes()).unwrap();
    let answer = Answer::parse(&to_the_end(&mut begun));
    assert_eq!((answer.status, answer.code().as_str()), (408, "slow-request"));
}

#[test]
fn whoever_takes_nothing_is_given_up() {
    let (send, gone) = channel::<()>();
    let send = Arc::new(Mutex::new(Some(send)));
    // Without end, each piece as soon as the one before is taken; the sender goes with it.
    let pour = get(move || {
        let send = send.lock().unwrap().take();
        async move {
            let pieces = stream::repeat(Bytes::from_static(&[b'x'; 4096])).map(move |piece| {
                let _goes = &send;
                Ok::<_, Infallible>(piece)
            });
            Body::from_stream(pieces)
        }
    });
    let page = page(|limits| limits.write_time = SHORT, Router::new().route("/pour", pour));
    let mut stream = page.connect();
    stream.write_all(request(&page, "GET", "/pour", "\r\n").as_bytes()).unwrap();
    assert_eq!(gone.recv_timeout(Duration::from_secs(30)), Err(RecvTimeoutError::Disconnected));
}

#[test]
fn a_stream_of_events_outlasts_a_requests_time_and_ends_with_the_page() {
    let (send, events) = tokio::sync::mpsc::unbounded_channel::<&'static str>();
    let events = Arc::new(Mutex::new(Some(events)));
    let stream = get(move || {
        let events = events.lock().unwrap().take().unwrap();
        async move {
            let events = stream::unfold(events, |mut events| async {
                let event = events.recv().await?;
                Some((Ok::<_, Infallible>(Bytes::from_static(event.as_bytes())), events))
            });
            ([(CONTENT_TYPE, "text/event-stream")], Body::from_stream(events))
        }
    });
    let slow = get(std::future::pending::<()>);
    let change = |limits: &mut Limits| (limits.request_time, limits.grace) = (SHORT, SHORT);
    let mut page = page(change, Router::new().route("/events", stream).route("/slow", slow));
    let mut stream = page.connect();
    stream.write_all(request(&page, "GET", "/events", "\r\n").as_bytes()).unwrap();
    let mut wait_for = |event: &'static str| {
        send.send(event).unwrap();
        let mut all = Vec::new();
        let mut byte = [0];
        while !all.ends_with(event.as_bytes()) {
            stream.read_exact(&mut byte).unwrap();
            all.push(byte[0]);
        }
    };
    wait_for("data: one\n\n");
    // This one began later, and its time is over.
    assert_eq!(page.get("/slow", &[]).status, 503);
    wait_for("data: two\n\n");
    page.stop();
    to_the_end(&mut stream);
    page.stopped();
    assert!(send.is_closed(), "nobody listens any more");
}

#[test]
fn what_is_being_answered_at_the_stop_is_answered() {
    let (arrived, seen) = channel();
    let (go, wait) = tokio::sync::oneshot::channel::<()>();
    let wait = Arc::new(Mutex::new(Some((wait, arrived))));
    let slow = get(move || {
        let (wait, arrived) = wait.lock().unwrap().take().unwrap();
        async move {
            arrived.send(()).unwrap();
            wait.await.unwrap();
            "done"
        }
    });
    let mut page = page(|_| {}, Router::new().route("/slow", slow));
    let address = page.address();
    let mut idle = page.connect();
    let mut stream = page.connect();
    stream.write_all(request(&page, "GET", "/slow", "\r\n").as_bytes()).unwrap();
    seen.recv().unwrap();
    page.stop();
    assert_eq!(to_the_end(&mut idle), b"", "who asks for nothing is not waited for");
    go.send(()).unwrap();
    let answer = Answer::parse(&to_the_end(&mut stream));
    assert_eq!((answer.body.as_str(), answer.header("connection")), ("done", "close"));
    page.stopped();
    assert!(std::net::TcpStream::connect(address).is_err(), "nobody listens any more");
}

#[test]
fn connections_are_so_many_and_the_others_wait_for_room() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = get(move || async move { asked.fetch_add(1, Ordering::SeqCst).to_string() });
    let page = page(|limits| limits.connections = 1, Router::new().route("/count", count));
    let mut first = page.connect();
    let ask = request(&page, "GET", "/count", "\r\n");
    let mut next = || {
        first.write_all(ask.as_bytes()).unwrap();
        let mut answer = Vec::new();
        let mut byte = [0];
        while !answer.ends_with(b"\r\n\r\n") {
            first.read_exact(&mut byte).unwrap();
            answer.push(byte[0]);
        }
        first.read_exact(&mut byte).unwrap();
        char::from(byte[0])
    };
    assert_eq!(next(), '0');
    let mut second = page.connect();
    second.write_all(request(&page, "GET", "/count", "Connection: close\r\n\r\n").as_bytes()).unwrap();
    for expected in ['1', '2', '3'] {
        assert_eq!(next(), expected, "the second one is not heard before the first has gone");
    }
    drop(first);
    assert_eq!(Answer::parse(&to_the_end(&mut second)).body, "4");
}
