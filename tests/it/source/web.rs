//! Web servers, and the clouds that are reached like them.

use std::sync::Mutex;
use std::sync::mpsc::{Sender, channel};

use bytes::Bytes;
use hyper::header::{CONTENT_RANGE, ETAG, HeaderValue, LOCATION};
use hyper::{Method, Response};

use super::*;
use crate::support::http::{Body, Server, cut_off, stalled, status, unmeasured, unmeasured_and_cut_off, whole};

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
    assert_eq!((read.text.as_slice(), read.info.bytes, read.info.etag), (&b"id\n1\n"[..], Some(5), None));
    assert_eq!(read.info.url, format!("{}/a%20b/01.04.csv?from=***&token=***", url.replace("me:p%40ss", "***")));
    let seen = server.seen();
    assert_eq!(seen[0].target, "/a%20b/01.04.csv?from=2019-04-01&token=hush");
    assert_eq!(seen[0].authorization.as_deref(), Some("Basic bWU6cEBzcw=="));
}

#[test]
fn user_and_headers_come_from_files_that_are_read_each_time() {
    let folder = tempfile::TempDir::new().unwrap();
    let (user, headers) = (folder.path().join("user"), folder.path().join("headers"));
    std::fs::write(&user, "me:p@ss\n").unwrap();
    let server = serve(&[|| whole("id\n")]);
    let mut spec = spec(&format!("{}/{{day}}.csv", server.url()));
    spec.user_file = Some(user);
    assert_eq!(Asked::new(&spec).read().unwrap().text, b"id\n");
    assert_eq!(server.seen()[0].authorization.as_deref(), Some("Basic bWU6cEBzcw=="));
    spec.headers_file = Some(headers.clone());
    let asked = Asked::new(&spec);
    for token in ["Bearer old", "Bearer new"] {
        std::fs::write(&headers, format!("Authorization: {token}\n")).unwrap();
        asked.read().unwrap();
        assert_eq!(server.seen().pop().unwrap().authorization.as_deref(), Some(token));
    }
    std::fs::write(&headers, "hush\n").unwrap();
    assert_has(&asked.error(), &["headers has no \"Name: value\" in line 1"]);
    assert!(!asked.error().contains("hush"));
    std::fs::remove_file(&headers).unwrap();
    assert_has(&asked.error(), &["headers cannot be read"]);
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
    assert_has(
        &asked(&serve(&[|| status(401, "")])).error(),
        &["credentials were not accepted (401", "source.headers_file"],
    );
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
fn a_body_of_unknown_length_is_whole_by_its_end_mark() {
    let text = csv(50_000);
    let body = Bytes::from(text.clone());
    let server = Server::start(move |_| {
        let body = body.clone();
        async { unmeasured(body) }
    });
    let read = asked(&server).read().unwrap();
    assert_eq!((read.info.bytes, read.hash.as_str()), (None, sha256(&text).as_str()));
    assert_eq!(read.text, text);
}

#[test]
fn a_part_of_a_file_that_nobody_asked_for_is_an_error() {
    let server = serve(&[|| {
        let mut part = status(206, "id\n1\n");
        part.headers_mut().insert(CONTENT_RANGE, HeaderValue::from_static("bytes 0-4/100"));
        part
    }]);
    assert_has(&asked(&server).error(), &["sends a part of the file (206)"]);
    assert_has(&asked(&server).look().unwrap_err().to_string(), &["sends a part of the file (206)"]);
}

#[test]
fn an_encoding_that_nobody_asked_for_is_named_and_a_time_that_cannot_be_read_is_none() {
    let server = serve(&[|| {
        let mut encoded = whole("\u{1}id");
        encoded.headers_mut().insert(hyper::header::CONTENT_ENCODING, HeaderValue::from_static("br"));
        encoded
    }]);
    assert_has(&asked(&server).error(), &["\"br\" (Content-Encoding), which was not asked for"]);
    let server = serve(&[|| {
        let mut response = whole("id\n");
        response.headers_mut().insert(hyper::header::LAST_MODIFIED, HeaderValue::from_static("yesterday"));
        response
    }]);
    assert_eq!(asked(&server).read().unwrap().text, b"id\n");
}

#[test]
fn a_body_of_unknown_length_that_is_cut_off_is_an_error() {
    let error = asked(&serve(&[|| unmeasured_and_cut_off("id\n1\n")])).read().unwrap_err();
    assert_has(&error.to_string(), &["reading failed after 5 bytes"]);
    assert!(!error.is_temporary(), "{error}");
}

/// A server that answers everything with these bytes, and hangs up.
fn raw(answer: &'static str) -> (std::net::SocketAddr, std::thread::JoinHandle<()>) {
    use std::io::BufRead as _;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut lines = std::io::BufReader::new(stream.try_clone().unwrap()).lines();
        while lines.next().is_some_and(|line| !line.unwrap().is_empty()) {}
        stream.write_all(answer.as_bytes()).unwrap();
    });
    (address, thread)
}

#[test]
fn a_body_that_ends_when_the_server_hangs_up_is_refused() {
    let (address, thread) = raw("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nid\n1\n");
    let error = Asked::new(&spec(&format!("http://{address}/{{day}}.csv"))).error();
    assert_has(&error, &["does not say how long the file is"]);
    thread.join().unwrap();
}

#[test]
fn an_idle_body_is_given_up() {
    let (gone, hung_up) = channel();
    let server = stalling(gone);
    let spec = spec(&format!("{}/{{day}}.csv", server.url()));
    let timeouts = ClientTimeouts { idle: Duration::from_millis(500), ..hasty() };
    assert_has(&Asked::with(&spec, &[], timeouts).error(), &["reading failed after 5 of 7 bytes", "timed out"]);
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
    let FileStatus::File(info) = asked(&server).look().unwrap() else { panic!("not there") };
    assert_eq!(info.bytes, Some(3));
}

/// A server whose file of the day is elsewhere.
fn redirecting(to: String) -> Server {
    Server::start(move |request| {
        let moved = request.uri().path().ends_with("/2019-04-01.csv");
        let mut response = if moved { status(302, "") } else { whole("id\n") };
        if moved {
            response.headers_mut().insert(LOCATION, HeaderValue::from_str(&to).unwrap());
        }
        async { response }
    })
}

#[test]
fn a_redirect_to_another_host_is_followed_only_where_that_is_wanted_and_takes_no_secret_along() {
    let other = serve(&[|| whole("id\n")]);
    let elsewhere = other.url().replace("127.0.0.1", "localhost");
    let server = redirecting(format!("{elsewhere}/x.csv?signature=hush"));
    let mut spec = spec(&format!("{}/{{day}}.csv?token=secret", server.url().replace("//", "//me:secret@")));
    let error = Asked::new(&spec).read().unwrap_err();
    assert_has(&error.to_string(), &["another host, localhost", "source.redirects = \"any\""]);
    assert!(!error.to_string().contains("hush") && !error.is_temporary(), "{error}");
    assert_eq!((server.seen().len(), other.seen().len()), (1, 0), "a refusal is not tried again");
    spec.redirects = dayfill::dataset::Redirects::Any;
    assert_eq!(Asked::new(&spec).read().unwrap().text, b"id\n");
    let seen = other.seen();
    assert_eq!(seen[0].target, "/x.csv?signature=hush");
    assert_eq!((&seen[0].authorization, &seen[0].referer), (&None, &None));
}

#[test]
fn a_redirect_on_the_same_host_keeps_the_user_and_tells_nobody_where_it_comes_from() {
    let server = redirecting("/elsewhere.csv".to_owned());
    let url = server.url().replace("//", "//me:secret@");
    assert_eq!(Asked::new(&spec(&format!("{url}/{{day}}.csv?token=secret"))).read().unwrap().text, b"id\n");
    let seen = server.seen();
    assert_eq!((seen[1].target.as_str(), &seen[1].referer), ("/elsewhere.csv", &None));
    assert!(seen[1].authorization.is_some());
    let error = asked(&redirecting("/b/2019-04-01.csv".to_owned())).error();
    assert_has(&error, &["10 redirects were followed"]);
}

/// A file that was changed then, by the clock of its server.
fn dated(changed: &'static str) -> Response<Body> {
    let mut response = with_etag(whole("id\n"));
    response.headers_mut().insert(hyper::header::LAST_MODIFIED, HeaderValue::from_static(changed));
    let date = HeaderValue::from_static("Tue, 02 Apr 2019 02:00:00 GMT");
    response.headers_mut().insert(hyper::header::DATE, date);
    response
}

#[test]
fn a_file_must_settle_by_the_clock_of_its_server_before_it_is_taken() {
    let settle = |url: String| {
        let mut spec = spec(&url);
        spec.settle = Duration::from_secs(10);
        (spec.anonymous, spec.allow_http) = (true, true);
        spec
    };
    let growing = serve(&[|| dated("Tue, 02 Apr 2019 01:59:55 GMT")]);
    let ahead = serve(&[|| dated("Tue, 02 Apr 2019 02:00:55 GMT")]);
    let rested = serve(&[|| dated("Tue, 02 Apr 2019 01:59:50 GMT")]);
    for scheme in ["http", "gs"] {
        let asked = |server: &Server| {
            let url =
                if scheme == "gs" { "gs://b/{day}.csv".to_owned() } else { format!("{}/{{day}}.csv", server.url()) };
            let environment = [("GOOGLE_BASE_URL".to_owned(), server.url())];
            Asked::with(&settle(url), &environment, hasty())
        };
        assert_has(&asked(&growing).not_there(), &["changed 5 s ago; settle is 10 s"]);
        assert_has(&asked(&ahead).not_there(), &["changed 55 s in the future; settle is 10 s"]);
        if scheme == "http" {
            assert_eq!(asked(&rested).read().unwrap().text, b"id\n");
            let error = asked(&serve(&[|| whole("id\n")])).read().unwrap_err().to_string();
            assert_has(&error, &["Last-Modified", "settle cannot hold"]);
        }
    }
}

#[test]
fn a_server_that_is_in_trouble_five_times_is_asked_a_sixth_time() {
    let trouble: fn() -> Response<Body> = || status(503, "");
    let server = serve(&[trouble, trouble, trouble, trouble, trouble, || whole("id\n")]);
    let timeouts = ClientTimeouts { backoff: Duration::from_millis(1), ..ClientTimeouts::default() };
    let asked = Asked::with(&spec(&format!("{}/{{day}}.csv", server.url())), &[], timeouts);
    assert_eq!(asked.read().unwrap().text, b"id\n");
    assert_eq!(server.seen().len(), 6);
}

#[test]
fn a_body_is_resumed_as_long_as_more_of_it_comes() {
    let content = csv(2_000);
    let body = Bytes::from(content.clone());
    let server = Server::start(move |request| {
        let range = request.headers().get(hyper::header::RANGE).map(|range| range.to_str().unwrap().to_owned());
        let from: usize = range.map_or(0, |range| range[6..].split('-').next().unwrap().parse().unwrap());
        let piece = (body.len() / 12 + 1).min(body.len() - from);
        let mut response = with_etag(cut_off(body.slice(from..), piece));
        if from > 0 {
            *response.status_mut() = 206.try_into().unwrap();
            let range = format!("bytes {from}-{}/{}", body.len() - 1, body.len());
            response.headers_mut().insert(CONTENT_RANGE, HeaderValue::from_str(&range).unwrap());
        }
        async { response }
    });
    assert_eq!(asked(&server).read().unwrap().text, content);
    assert_eq!(server.seen().len(), 12, "with no more than 2 retries in a row");
}

#[test]
fn what_a_server_repeats_of_the_request_is_masked() {
    let server = Server::start(|request| {
        let header = |name| request.headers().get(name).map_or("", |value: &HeaderValue| value.to_str().unwrap());
        let said = format!("{} {}", request.uri(), header(hyper::header::AUTHORIZATION));
        async { status(400, said) }
    });
    let url = server.url().replace("//", "//me:pa55word@");
    let error = Asked::new(&spec(&format!("{url}/{{day}}.csv?sig=s3cr3t%2Fsig"))).error();
    assert_has(&error, &["400 Bad Request: /2019-04-01.csv?*** ***"]);
    // So is what a server asks for that was sent on to.
    let sender = redirecting(format!("{}/elsewhere.csv?signature=r3d1rected", server.url()));
    let mut spec = spec(&format!("{}/{{day}}.csv", sender.url()));
    spec.redirects = dayfill::dataset::Redirects::Any;
    assert_has(&Asked::new(&spec).error(), &["400 Bad Request: /elsewhere.csv?***"]);
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

#[test]
fn the_file_of_credentials_that_cannot_be_used_is_named() {
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("key.json");
    std::fs::write(&file, "{}").unwrap();
    let file = file.to_str().unwrap();
    let wrong = format!("names {file}");
    let server = serve(&[|| status(404, "")]);
    let (missing, account) = ("/nonexistent/key.json", "AZURE_STORAGE_ACCOUNT_NAME");
    let workload = [(account, "a"), ("AZURE_CLIENT_ID", "c"), ("AZURE_TENANT_ID", "t")];
    for (scheme, variable, value, words) in [
        ("gs", "GOOGLE_APPLICATION_CREDENTIALS", missing, "names /nonexistent/key.json: No such file"),
        ("gs", "GOOGLE_SERVICE_ACCOUNT", missing, "names /nonexistent/key.json: No such file"),
        ("gs", "GOOGLE_APPLICATION_CREDENTIALS", file, &*wrong),
        ("gs", "GOOGLE_SERVICE_ACCOUNT", file, &*wrong),
        ("az", "AZURE_FEDERATED_TOKEN_FILE", missing, "names /nonexistent/key.json: No such file"),
    ] {
        let endpoint = server.url();
        let mut environment = vec![(variable, value), ("AZURE_STORAGE_ENDPOINT", &*endpoint)];
        environment.extend(workload.iter().filter(|_| scheme == "az").copied());
        let environment: Vec<_> = environment.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        let asked = Asked::with(&spec(&format!("{scheme}://bucket/{{day}}.csv")), &environment, hasty());
        for error in [asked.open().unwrap_err(), asked.look().unwrap_err()] {
            assert_has(&error.to_string(), &["://bucket/2019-04-01.csv: ", variable, words]);
            assert!(!error.is_temporary(), "{error}");
        }
    }
    assert_eq!(server.seen(), []);
}

#[test]
fn googles_details_are_kept() {
    let server = serve(&[|| {
        status(
            403,
            "<?xml version='1.0'?><Error><Code>AccessDenied</Code><Message>Access denied.</Message><Details>etl does \
             not have storage.objects.get access to the Google Cloud Storage object.</Details></Error>",
        )
    }]);
    let mut spec = spec("gs://bucket/{day}.csv");
    (spec.anonymous, spec.allow_http, spec.forbidden) = (true, true, Forbidden::Waiting);
    let environment = [("GOOGLE_BASE_URL".to_owned(), server.url())];
    let error = Asked::with(&spec, &environment, hasty()).error();
    assert_has(&error, &["Access denied. (etl does not have storage.objects.get", "grant storage.objects.get"]);
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
    // A port that nobody listens on any more, a name that no name server knows (RFC 6761), and a handshake that is reset.
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let resetting = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = resetting.local_addr().unwrap();
    let reset = |stream: std::io::Result<std::net::TcpStream>| stream.unwrap().read_exact(&mut [0]).unwrap();
    let thread = std::thread::spawn(move || resetting.incoming().take(3).map(reset).count());
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
