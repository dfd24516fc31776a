//! Web servers, and the clouds that are reached like them.

use std::sync::Mutex;
use std::sync::mpsc::{Sender, channel};

use bytes::Bytes;
use hyper::header::{CONTENT_RANGE, ETAG, HeaderValue, LOCATION};
use hyper::{Method, Response};

use super::*;
use crate::support::http::{Body, Server, cut_off, stalled, status, unmeasured, whole};

/// A server that gives one answer after another, and the last one for ever.
fn serve(answers: &[fn() -> Response<Body>]) -> Server {
    let mut answers = answers.to_vec();
    answers.reverse();
    let answers = Mutex::new(answers);
    Server::start(move |_| {
        let mut answers = answers.lock().unwrap();
        let answer = if answers.len() > 1 { answers.pop().unwrap() } else { answers[0] };
        async move { answer() }
    })
}

fn with_etag(mut response: Response<Body>) -> Response<Body> {
    response.headers_mut().insert(ETAG, HeaderValue::from_static("\"v1\""));
    response
}

fn asked(server: &Server) -> Asked {
    Asked::new(&spec(&format!("{}/{{day}}.csv", server.url())))
}

#[test]
fn a_file_is_read_with_its_query_and_its_user() {
    let server = serve(&[|| whole("id\n1\n")]);
    let url = server.url().replace("http://", "http://me:p%40ss@");
    let asked = Asked::new(&spec(&format!("{url}/a%20b/{{day:%d.%m}}.csv?from={{day}}&token=hush")));
    let read = asked.read().unwrap();
    assert_eq!((read.text.as_slice(), read.info.bytes, read.info.etag), (&b"id\n1\n"[..], 5, None));
    assert_eq!(read.info.url, format!("{}/a%20b/01.04.csv?from=***&token=***", url.replace("me:p%40ss", "***")));
    let seen = server.seen();
    assert_eq!(seen[0].target, "/a%20b/01.04.csv?from=2019-04-01&token=hush");
    assert_eq!(seen[0].authorization.as_deref(), Some("Basic bWU6cEBzcw=="));
}

#[test]
fn no_message_holds_a_secret() {
    let answers: [fn() -> Response<Body>; 4] =
        [|| status(401, "who?"), || status(403, "no"), || status(400, "what?"), || status(500, "oh")];
    for answer in answers {
        let server = serve(&[answer]);
        let url = server.url().replace("http://", "http://me:hush@");
        let error = Asked::new(&spec(&format!("{url}/{{day}}.csv?token=hush"))).error();
        assert!(!error.contains("hush"), "{error}");
    }
    for scheme in ["http", "https"] {
        let error = Asked::new(&spec(&format!("{scheme}://me:hush@127.0.0.1:1/{{day}}.csv?token=hush"))).error();
        assert!(!error.contains("hush"), "{error}");
        assert_has(&error, &["127.0.0.1:1/2019-04-01.csv?token=***", "onnect"]);
    }
}

#[test]
fn a_missing_file_is_waited_for() {
    assert_has(&asked(&serve(&[|| status(404, "not here")])).not_there(), &["404 Not Found", "not here"]);
}

#[test]
fn refusals_say_what_to_do() {
    assert_has(&asked(&serve(&[|| status(401, "")])).error(), &["credentials were not accepted", "401"]);
    let server = serve(&[|| status(403, "members only")]);
    assert_has(&asked(&server).error(), &["access denied (403 Forbidden: members only)", "forbidden = \"waiting\""]);
    let mut spec = spec(&format!("{}/{{day}}.csv", server.url()));
    spec.forbidden = Forbidden::Waiting;
    assert_has(&Asked::new(&spec).not_there(), &["403", "forbidden = \"waiting\""]);
    assert_has(&asked(&serve(&[|| status(405, "")])).error(), &["405"]);
}

#[test]
fn a_server_in_trouble_is_asked_again() {
    let troubles: [fn() -> Response<Body>; 3] = [|| status(500, ""), || status(503, "SlowDown"), || status(429, "")];
    for trouble in troubles {
        let server = serve(&[trouble, trouble, || whole("id\n")]);
        assert_eq!(asked(&server).read().unwrap().text, b"id\n");
        assert_eq!(server.seen().len(), 3);
    }
    let server = serve(&[|| status(500, "out of coffee")]);
    assert_has(&asked(&server).error(), &["500 Internal Server Error: out of coffee"]);
    assert_eq!(server.seen().len(), 3);
}

#[test]
fn a_body_shorter_than_announced_is_an_error() {
    let error = asked(&serve(&[|| cut_off("id\n1\n2\n", 5)])).error();
    assert_has(&error, &["reading failed after 5 of 7 bytes"]);
}

#[test]
fn a_body_that_breaks_off_is_resumed_by_its_etag() {
    let server = serve(&[
        || with_etag(cut_off("id\n1\n2\n", 3)),
        || {
            let mut rest = with_etag(status(206, "1\n2\n"));
            rest.headers_mut().insert(CONTENT_RANGE, HeaderValue::from_static("bytes 3-6/7"));
            rest
        },
    ]);
    assert_eq!(asked(&server).read().unwrap().text, b"id\n1\n2\n");
    assert_eq!(server.seen()[1].range.as_deref(), Some("bytes=3-6"));
}

#[test]
fn a_body_of_unknown_length_is_refused() {
    let error = asked(&serve(&[|| unmeasured("id\n1\n")])).error();
    assert_has(&error, &["does not say how long the file is"]);
}

#[test]
fn an_idle_body_is_given_up() {
    let (gone, hung_up) = channel();
    let server = stalling(gone);
    let spec = spec(&format!("{}/{{day}}.csv", server.url()));
    let patience = Patience { idle: Duration::from_millis(500), ..hasty() };
    assert_has(&Asked::with(&spec, &[], patience).error(), &["reading failed after 5 of 7 bytes", "timed out"]);
    hung_up.recv().unwrap_err();
}

#[test]
fn a_file_that_is_dropped_is_no_longer_received() {
    let (gone, hung_up) = channel();
    let server = stalling(gone);
    let asked = asked(&server);
    drop(asked.file());
    hung_up.recv().unwrap_err();
}

/// Answers once, with more than a decoder looks at, and then stays silent.
fn stalling(gone: Sender<()>) -> Server {
    let gone = Mutex::new(Some(gone));
    Server::start(move |_| {
        let gone = gone.lock().unwrap().take().unwrap();
        async move { stalled(Bytes::from_static(b"id\n1\n2\n"), 5, gone) }
    })
}

#[test]
fn a_server_without_head_is_asked_with_get() {
    let server = Server::start(|request| {
        let get = request.method() == Method::GET;
        async move { if get { whole("id\n") } else { status(405, "") } }
    });
    let Looked::File(info) = asked(&server).look().unwrap() else { panic!("not there") };
    assert_eq!(info.bytes, 3);
}

#[test]
fn a_redirect_is_followed() {
    let server = Server::start(|request| {
        let moved = request.uri().path() == "/2019-04-01.csv";
        async move {
            let mut response = if moved { status(302, "") } else { whole("id\n") };
            if moved {
                response.headers_mut().insert(LOCATION, HeaderValue::from_static("/elsewhere.csv"));
            }
            response
        }
    });
    assert_eq!(asked(&server).read().unwrap().text, b"id\n");
}

#[test]
fn google_and_azure_take_their_settings_from_the_environment() {
    let server = serve(&[|| {
        let mut response = with_etag(whole("id\n"));
        let modified = HeaderValue::from_static("Tue, 02 Apr 2019 02:00:00 GMT");
        response.headers_mut().insert(hyper::header::LAST_MODIFIED, modified);
        response
    }]);
    let environment: Vec<(String, String)> = [
        ("GOOGLE_BASE_URL", server.url()),
        ("AZURE_STORAGE_ACCOUNT_NAME", "account".to_owned()),
        ("AZURE_STORAGE_ENDPOINT", server.url()),
        // Not for us, though the name would fit.
        ("BUCKET", "wrong".to_owned()),
        ("CONTAINER_NAME", "wrong".to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    for scheme in ["gs", "az"] {
        let mut spec = spec(&format!("{scheme}://bucket/a b/{{day}}.csv"));
        (spec.anonymous, spec.allow_http) = (true, true);
        let read = Asked::with(&spec, &environment, hasty()).read().unwrap();
        assert_eq!(read.text, b"id\n");
        assert_eq!(read.info.url, format!("{scheme}://bucket/a b/2019-04-01.csv"));
        let target = server.seen().pop().unwrap().target;
        let path = percent_encoding::percent_decode_str(&target).decode_utf8().unwrap();
        assert!(path.ends_with("bucket/a b/2019-04-01.csv"), "{target}");
    }
}

#[test]
fn an_unsigned_request_reads_a_public_bucket() {
    let server = s3::S3Server::start_public();
    server.put("open", "2019-04-01.csv", "id\n");
    let mut spec = spec("s3://open/{day}.csv");
    (spec.anonymous, spec.allow_http, spec.endpoint) = (true, true, Some(server.endpoint()));
    assert_eq!(Asked::new(&spec).read().unwrap().text, b"id\n");
    assert_eq!(server.seen()[0].authorization, None);
}

/// The error of a source that nobody serves any more.
fn error_of(answer: fn() -> Response<Body>) -> SourceError {
    asked(&serve(&[answer])).read().unwrap_err()
}

#[test]
fn trouble_that_passes_by_itself_is_told_from_what_does_not() {
    let temporary: [fn() -> Response<Body>; 5] =
        [|| status(408, ""), || status(429, ""), || status(500, ""), || status(502, ""), || status(503, "")];
    for answer in temporary {
        let error = error_of(answer);
        assert!(error.is_temporary(), "{error}");
    }
    let lasting: [fn() -> Response<Body>; 7] = [
        || status(400, ""),
        || status(401, ""),
        || status(403, ""),
        || status(405, ""),
        || status(501, ""),
        || status(505, ""),
        || cut_off("id\n1\n2\n", 5),
    ];
    for answer in lasting {
        let error = error_of(answer);
        assert!(!error.is_temporary(), "{error}");
    }
}

#[test]
fn a_server_that_is_not_there_is_trouble_that_passes() {
    // A port that nobody listens on any more, a name that no name server knows (RFC 6761), and a handshake cut off.
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let resetting = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = resetting.local_addr().unwrap();
    let thread = std::thread::spawn(move || resetting.incoming().take(3).map(|stream| drop(stream.unwrap())).count());
    for host in [format!("http://{closed}"), "http://nowhere.invalid".to_owned(), format!("https://{address}")] {
        let error = Asked::new(&spec(&format!("{host}/{{day}}.csv"))).read().unwrap_err();
        assert!(error.is_temporary(), "{error}");
    }
    assert_eq!(thread.join().unwrap(), 3);
    // What answers is no TLS: it will not be the next time either.
    let plain = serve(&[|| whole("id\n")]);
    let error = Asked::new(&spec(&format!("{}/{{day}}.csv", plain.url().replace("http", "https")))).read().unwrap_err();
    assert!(!error.is_temporary(), "{error}");
}
