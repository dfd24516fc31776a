//! How much of everything a client may take, and how the page ends.

use std::convert::Infallible;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use dayfill::web::RequestLimits;
use dayfill::web::auth::{Role, users_file};
use futures_util::{StreamExt, stream};

use crate::support::page::{Answer, Page, Start, to_the_end};

/// Short enough for a test, and far from being reached where it should not be.
const SHORT: Duration = Duration::from_millis(500);

fn page(change: impl FnOnce(&mut RequestLimits), open: Router) -> Page {
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
    let post = |length: usize| {
        let body = "x".repeat(length);
        let origin = format!("http://{}", page.address());
        let kind = ("Content-Type", "application/x-www-form-urlencoded");
        page.ask("POST", "/days", &[("Origin", &origin), kind], &body)
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
}

#[test]
fn a_body_has_its_time_which_is_short() {
    let change =
        |limits: &mut RequestLimits| (limits.body_time, limits.request_time) = (SHORT, Duration::from_hours(1));
    let page = page(change, Router::new());
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
    let change = |limits: &mut RequestLimits| (limits.request_time, limits.grace) = (SHORT, SHORT);
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

/// Asks for a path on a connection that stays, and waits for the answer's headers.
fn ask_and_stay(page: &Page, path: &str, headers: &str) -> (TcpStream, String) {
    let mut stream = page.connect();
    stream.write_all(request(page, "GET", path, &format!("{headers}\r\n")).as_bytes()).unwrap();
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() == 1 {
        head.push(byte[0]);
    }
    (stream, String::from_utf8(head).unwrap())
}

fn healthz() -> Router {
    Router::new().route("/healthz", get(async || "ok"))
}

/// Waits for the status of an answer: who hung up is seen to have gone a moment later.
fn wait_for_status(page: &Page, path: &str, status: u16) {
    crate::support::wait_until("a place is free", || page.get(path, &[]).status == status);
}

#[test]
fn where_all_places_are_taken_health_is_answered_and_nothing_else() {
    let page = page(|limits| limits.connections = 2, healthz());
    let kept = [ask_and_stay(&page, "/form", ""), ask_and_stay(&page, "/form", "")];
    assert!(kept.iter().all(|(_, head)| head.starts_with("HTTP/1.1 200")), "{kept:?}");
    for _ in 0..40 {
        assert_eq!(page.get("/healthz", &[]).body, "ok", "one request each, and its place is free again");
    }
    let answer = page.get("/form", &[]);
    assert_eq!((answer.status, answer.code().as_str(), answer.header("connection")), (503, "busy", "close"));
    // Who would keep its place longer does not.
    let (_, head) = ask_and_stay(&page, "/healthz", "");
    assert!(head.contains("\r\nconnection: close\r\n"), "{head}");
    drop(kept);
    wait_for_status(&page, "/form", 200);
}

#[test]
fn a_spare_place_is_kept_for_a_shorter_time() {
    let change = |limits: &mut RequestLimits| {
        (limits.connections, limits.head_time, limits.spare_head_time) = (1, Duration::from_hours(1), SHORT);
    };
    let page = page(change, healthz());
    let _kept = ask_and_stay(&page, "/form", "");
    assert_eq!(to_the_end(&mut page.connect()), b"");
}

#[test]
fn one_address_cannot_take_all_places() {
    let page = page(|limits| (limits.connections, limits.connections_per_address) = (8, 2), healthz());
    let kept = [ask_and_stay(&page, "/form", ""), ask_and_stay(&page, "/form", "")];
    assert_eq!(page.get("/form", &[]).code(), "busy");
    assert_eq!(page.get("/healthz", &[]).body, "ok");
    // Another address has places of its own; on Linux all of 127.0.0.0/8 is this machine.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let other = runtime.block_on(async {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
        socket.connect(page.address()).await.unwrap().into_std().unwrap()
    });
    other.set_nonblocking(false).unwrap();
    let mut other = other;
    other.write_all(request(&page, "GET", "/form", "Connection: close\r\n\r\n").as_bytes()).unwrap();
    assert_eq!(Answer::parse(&to_the_end(&mut other)).status, 200);
    drop(kept);
    wait_for_status(&page, "/form", 200);
}

#[test]
fn a_trusted_proxys_connections_are_those_of_many_clients() {
    let mut start = Start { open: healthz(), ..Start::default() };
    start.limits.connections_per_address = 1;
    start.settings.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
    let page = start.with_users();
    let kept = [ask_and_stay(&page, "/form", ""), ask_and_stay(&page, "/form", "")];
    assert!(kept.iter().all(|(_, head)| head.starts_with("HTTP/1.1 200")), "{kept:?}");
}

#[test]
fn unfinished_requests_are_so_many_for_one_address() {
    let page = page(|limits| limits.bodies_per_address = 2, healthz());
    let unfinished = || {
        let mut begun = page.connect();
        begun.write_all(request(&page, "POST", "/days", "Content-Length: 10\r\n\r\nx").as_bytes()).unwrap();
        begun
    };
    let _kept = [unfinished(), unfinished()];
    crate::support::wait_until("both are seen", || {
        let refused = Answer::parse(&to_the_end(&mut unfinished()));
        refused.status == 429
    });
    assert_eq!(page.get("/days", &[]).status, 200, "what has no body is not one of them");
}

/// A stream that never says anything.
fn silent() -> Router {
    let stream = get(async || {
        let never = stream::pending::<Result<Bytes, Infallible>>();
        ([(CONTENT_TYPE, "text/event-stream")], Body::from_stream(never))
    });
    Router::new().route("/events", stream)
}

#[test]
fn streams_are_so_many_for_one_address() {
    let page = page(|limits| limits.streams = 2, silent());
    let mut kept = vec![ask_and_stay(&page, "/events", ""), ask_and_stay(&page, "/events", "")];
    let answer = page.get("/events", &[]);
    assert_eq!((answer.status, answer.code().as_str()), (429, "too-many-streams"));
    assert_eq!(page.get("/days", &[]).status, 200, "the page is there all the same");
    kept.pop();
    crate::support::wait_until("a place is free", || ask_and_stay(&page, "/events", "").1.starts_with("HTTP/1.1 200"));
}

#[test]
fn streams_are_so_many_for_one_user_wherever_they_come_from() {
    let mut start = Start { closed: silent(), ..Start::default() };
    start.limits.streams = 2;
    start.settings.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
    let page = start.with_users();
    let ada = page.session("ada");
    let bob = page.session("bob");
    let stream = |cookie: &str, client: u8| {
        ask_and_stay(&page, "/events", &format!("Cookie: {cookie}\r\nX-Forwarded-For: 192.0.2.{client}\r\n"))
    };
    let kept = [stream(&ada, 1), stream(&ada, 2)];
    assert!(kept.iter().all(|(_, head)| head.starts_with("HTTP/1.1 200")), "{kept:?}");
    let (_, head) = stream(&ada, 3);
    assert!(head.starts_with("HTTP/1.1 429"), "{head}");
    let (_, head) = stream(&bob, 3);
    assert!(head.starts_with("HTTP/1.1 200"), "another user: {head}");
}

#[test]
fn an_ipv6_network_is_one_address() {
    let mut start = Start { closed: silent(), ..Start::default() };
    (start.limits.streams, start.limits.bodies_per_address) = (2, 2);
    start.settings.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
    let page = start.with_users();
    let cookies = ["ada", "bob"].map(|name| page.session(name));
    let of = |client: &str| format!("X-Forwarded-For: 2001:db8:1:{client}\r\n");
    let stream = |user: usize, client: &str| {
        ask_and_stay(&page, "/events", &format!("Cookie: {}\r\n{}", cookies[user], of(client)))
    };
    let kept = [stream(0, "2::1"), stream(1, "2::2")];
    assert!(kept.iter().all(|(_, head)| head.starts_with("HTTP/1.1 200")), "{kept:?}");
    assert!(stream(0, "2::3").1.starts_with("HTTP/1.1 429"));
    assert!(stream(0, "3::1").1.starts_with("HTTP/1.1 200"), "another network");
    let unfinished = |client: &str| {
        let mut begun = page.connect();
        let more = format!("{}Content-Length: 10\r\n\r\nx", of(client));
        begun.write_all(request(&page, "POST", "/days", &more).as_bytes()).unwrap();
        begun
    };
    let _kept = [unfinished("2::1"), unfinished("2::2")];
    crate::support::wait_until("both are seen", || Answer::parse(&to_the_end(&mut unfinished("2::3"))).status == 429);
}

#[test]
fn the_streams_of_who_may_not_listen_any_more_end() {
    let mut start = Start { open: Router::new(), closed: silent(), ..Start::default() };
    start.limits.stream_check = Duration::from_millis(50);
    let page = start.with_users();
    let stream = |cookie: &str| {
        let (stream, head) = ask_and_stay(&page, "/events", &format!("Cookie: {cookie}\r\n"));
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        stream
    };
    let ada = page.session("ada");
    let bob = page.session("bob");
    let (mut of_bob, mut other_of_bob) = (stream(&bob), stream(&bob));
    users_file::put_user(page.users(), "bob", Role::Operator, "another horse").unwrap();
    to_the_end(&mut of_bob);
    to_the_end(&mut other_of_bob);
    // Logging out ends them too.
    let mut of_ada = stream(&ada);
    assert_eq!(page.post("/logout", &[("Cookie", &ada)], &[]).status, 303);
    to_the_end(&mut of_ada);
    let ada = page.session("ada");
    let mut of_ada = stream(&ada);
    users_file::remove_user(page.users(), "ada").unwrap();
    to_the_end(&mut of_ada);
}
