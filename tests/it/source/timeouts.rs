//! How long servers are waited for, by a clock that stands still until a test moves it.

use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::JoinHandle;

use futures_util::StreamExt as _;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::Response;
use hyper::body::Frame;
use hyper::header::{CONTENT_LENGTH, RETRY_AFTER};
use tokio::runtime::Handle;
use tokio::sync::{mpsc as pieces, oneshot};

use super::*;
use crate::support::http::{Body, Server, status, whole};

/// Longer than anything here takes.
const BOUND: Duration = Duration::from_secs(30);

/// A runtime whose clock moves on demand. Its sockets are real.
struct Clock {
    handle: Handle,
    moved: Duration,
    stop: Option<(oneshot::Sender<()>, Sender<()>)>,
    thread: Option<JoinHandle<()>>,
}

impl Clock {
    fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        let handle = runtime.handle().clone();
        let ((stop, stopped), (work, never)) = (oneshot::channel(), mpsc::channel::<()>());
        // The clock of a runtime without any other work would jump to the next timer; so there is always some.
        runtime.spawn_blocking(move || never.recv());
        let thread = std::thread::spawn(move || drop(runtime.block_on(stopped)));
        Self { handle, moved: Duration::ZERO, stop: Some((stop, work)), thread: Some(thread) }
    }

    fn advance(&mut self, by: Duration) {
        self.moved += by;
        self.handle.block_on(self.handle.spawn(tokio::time::advance(by))).unwrap();
    }

    /// Lets the clock run on until something comes.
    fn run_until<T>(&mut self, comes: &Receiver<T>) -> T {
        for _ in 0..600 {
            match comes.recv_timeout(Duration::from_millis(20)) {
                Ok(come) => return come,
                Err(_) => self.advance(Duration::from_secs(1)),
            }
        }
        panic!("nothing came within 10 min of the clock");
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        drop(self.stop.take());
        self.thread.take().unwrap().join().unwrap();
    }
}

/// A server that tells of each request and answers it when the test says so.
fn held() -> (Server, Receiver<oneshot::Sender<Response<Body>>>) {
    let (tell, requests) = mpsc::channel();
    let server = Server::start(move |_| {
        let (answer, answered) = oneshot::channel();
        // The test may have seen enough.
        drop(tell.send(answer));
        async { answered.await.unwrap_or_else(|_| status(500, "")) }
    });
    (server, requests)
}

/// Opens and reads the day's file on another thread.
fn reading(source: Source, handle: Handle) -> Receiver<Result<Vec<u8>, String>> {
    let (done, result) = mpsc::channel();
    std::thread::spawn(move || {
        let read = match source.open(DAY.parse().unwrap(), &handle) {
            Ok(OpenedFile::File(file)) => super::read(file).map(|read| read.text).map_err(|error| error.to_string()),
            Ok(OpenedFile::NotThere { why, .. }) => Err(why),
            Err(error) => Err(error.to_string()),
        };
        drop(done.send(read));
    });
    result
}

fn at(server: &Server, timeout: Option<u64>) -> SourceSpec {
    let mut spec = spec(&format!("{}/{{day}}.csv", server.url()));
    spec.timeout = timeout.map_or(spec.timeout, Duration::from_secs);
    spec
}

#[test]
fn the_first_byte_is_waited_for_as_long_as_the_dataset_says() {
    let (mut clock, (server, requests)) = (Clock::start(), held());
    let result = reading(Source::new(&at(&server, Some(120)), &[]).unwrap(), clock.handle.clone());
    let answer = requests.recv_timeout(BOUND).unwrap();
    clock.advance(Duration::from_secs(119));
    answer.send(whole("id\n")).unwrap();
    assert_eq!(result.recv_timeout(BOUND).unwrap().unwrap(), b"id\n");
    assert_eq!(server.seen().len(), 1, "it was asked once");
    // Without the key it is a minute, and then the server is asked again.
    let result = reading(Source::new(&at(&server, None), &[]).unwrap(), clock.handle.clone());
    let silent = requests.recv_timeout(BOUND).unwrap();
    clock.moved = Duration::ZERO;
    clock.run_until(&requests).send(whole("id\n")).unwrap();
    assert!(clock.moved >= Duration::from_mins(1), "asked again after {:?}", clock.moved);
    assert_eq!(result.recv_timeout(BOUND).unwrap().unwrap(), b"id\n");
    drop(silent);
}

#[test]
fn a_slow_file_is_read_to_its_end_as_long_as_more_of_it_comes() {
    const PIECES: usize = 12;
    let (mut clock, (server, requests)) = (Clock::start(), held());
    let asked = Source::new(&at(&server, None), &[]).unwrap();
    let handle = clock.handle.clone();
    let (opened, open) = mpsc::channel();
    std::thread::spawn(move || drop(opened.send(asked.open(DAY.parse().unwrap(), &handle).unwrap())));
    let answer = requests.recv_timeout(BOUND).unwrap();
    let (send, receive) = pieces::unbounded_channel::<&'static [u8]>();
    let body = futures_util::stream::unfold(receive, |mut receive| async move {
        let piece = bytes::Bytes::from_static(receive.recv().await?);
        Some((Ok::<_, std::io::Error>(Frame::data(piece)), receive))
    });
    let body = StreamBody::new(body.boxed()).boxed_unsync();
    answer.send(Response::builder().header(CONTENT_LENGTH, PIECES * 1024).body(body).unwrap()).unwrap();
    let mut piece = [0; 1024];
    send.send(&[b'a'; 1024]).unwrap();
    let OpenedFile::File(mut file) = open.recv_timeout(BOUND).unwrap() else { panic!("it is there") };
    file.read_exact(&mut piece).unwrap();
    for _ in 1..PIECES {
        clock.advance(Duration::from_secs(50));
        send.send(&[b'a'; 1024]).unwrap();
        file.read_exact(&mut piece).unwrap();
    }
    file.finish().unwrap();
    assert_eq!((clock.moved.as_secs(), server.seen().len()), (550, 1));
}

fn busy(code: u16, seconds: &'static str) -> Response<Body> {
    let mut response = status(code, "slow down");
    response.headers_mut().insert(RETRY_AFTER, hyper::header::HeaderValue::from_static(seconds));
    response
}

#[test]
fn a_server_that_is_busy_is_left_alone_as_long_as_it_asks() {
    for code in [429, 503] {
        let (mut clock, (server, requests)) = (Clock::start(), held());
        let result = reading(Source::new(&at(&server, None), &[]).unwrap(), clock.handle.clone());
        requests.recv_timeout(BOUND).unwrap().send(busy(code, "10")).unwrap();
        clock.run_until(&requests).send(whole("id\n")).unwrap();
        assert!(clock.moved >= Duration::from_secs(10), "asked again after {:?}", clock.moved);
        assert_eq!(result.recv_timeout(BOUND).unwrap().unwrap(), b"id\n");
    }
}

#[test]
fn nobody_waits_for_a_busy_server_that_is_not_asked_again() {
    let (clock, (server, requests)) = (Clock::start(), held());
    let timeouts = ClientTimeouts { retries: 0, ..ClientTimeouts::default() };
    let source = Source::with_timeouts(&at(&server, None), &[], timeouts).unwrap();
    let result = reading(source, clock.handle.clone());
    requests.recv_timeout(BOUND).unwrap().send(busy(503, "50")).unwrap();
    // The clock stands still.
    let error = result.recv_timeout(BOUND).unwrap().unwrap_err();
    assert_has(&error, &["503 Service Unavailable: slow down"]);
    // One that asks for longer than anybody waits is asked once, whatever the retries, and by nobody else meanwhile.
    let (server, requests) = held();
    let result = reading(Source::new(&at(&server, None), &[]).unwrap(), clock.handle.clone());
    requests.recv_timeout(BOUND).unwrap().send(busy(503, "3600")).unwrap();
    let error = result.recv_timeout(BOUND).unwrap().unwrap_err();
    assert_has(
        &error,
        &["503 Service Unavailable; the server asks for no further request until 20", "Z (Retry-After)"],
    );
    let result = reading(Source::new(&at(&server, None), &[]).unwrap(), clock.handle.clone());
    assert_eq!(result.recv_timeout(BOUND).unwrap().unwrap_err(), error, "of another dataset");
    assert_eq!(server.seen().len(), 1);
}
