//! Under which names the page answers, and what every answer carries.

use std::net::Ipv4Addr;

use axum::Router;
use axum::routing::get;
use dayfill::web::guard::{Peer, plain};
use dayfill::web::{RequestLimits, WebSettings};

use crate::support::page::{Answer, Start};

#[test]
fn a_request_for_another_host_is_refused() {
    let settings = WebSettings { hosts: vec!["dayfill.example.com".to_owned()], ..WebSettings::default() };
    let page = Start { settings, ..Start::default() }.without_users();
    for host in ["localhost", "127.0.0.1:1", "dayfill.example.com"] {
        assert_eq!(page.get("/health", &[("Host", host)]).status, 200, "{host}");
    }
    for host in ["evil.example", "example.com", "dayfill.example.com.evil.example"] {
        for path in ["/health", "/days", "/nothing", "/login"] {
            let answer = page.get(path, &[("Host", host)]);
            assert_eq!((answer.status, answer.code().as_str()), (421, "host"), "{host}{path}");
        }
    }
    let none = Answer::parse(&page.send(b"GET /health HTTP/1.1\r\nConnection: close\r\n\r\n"));
    assert_eq!((none.status, none.code().as_str()), (400, "bad-request"));
    let two = "GET /health HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\nConnection: close\r\n\r\n";
    assert_eq!(Answer::parse(&page.send(two.as_bytes())).status, 400);
    let whole = "GET http://evil.example/health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    assert_eq!(Answer::parse(&page.send(whole.as_bytes())).status, 400);
}

#[test]
fn every_answer_has_its_headers() {
    let page = Start::default().with_users();
    let policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                  form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
    for (status, answer) in [
        (200, page.get("/health", &[])),
        (401, page.get("/days", &[])),
        (404, page.get("/nothing", &[])),
        (405, page.ask("PUT", "/health", &[("Origin", &format!("http://{}", page.address()))], "")),
        (403, page.ask("PUT", "/health", &[], "")),
        (421, page.get("/health", &[("Host", "evil.example")])),
    ] {
        assert_eq!(answer.status, status, "{answer:?}");
        for (name, value) in [
            ("content-security-policy", policy),
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "same-origin"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
            ("cache-control", "no-store"),
            ("strict-transport-security", ""),
        ] {
            assert_eq!(answer.header(name), value, "{status} {name}");
        }
        assert!(answer.header("permissions-policy").contains("camera=()"));
        if status >= 400 {
            answer.code();
        }
    }
}

#[test]
fn a_browser_is_shown_a_page_and_led_to_the_login() {
    let page = Start::default().with_users();
    let browser = [("Accept", "text/html,application/xhtml+xml,*/*;q=0.8")];
    let led = page.get("/days?from=2024-03-01", &browser);
    assert_eq!((led.status, led.header("location")), (303, "/login?next=%2Fdays%3Ffrom%3D2024%2D03%2D01"));
    let missing = page.get("/nothing", &browser);
    assert_eq!((missing.status, missing.body.as_str()), (404, "<p>not-found /nothing</p>"));
    assert_eq!(missing.header("content-type"), "text/html; charset=utf-8");
    let refused = page.ask("POST", "/days", &browser, "");
    assert_eq!((refused.status, refused.body.as_str()), (403, "<p>origin /</p>"));
    // What a form held is gone by then: the page says so, and where to log in.
    let late = page.post("/days", &browser[..1], &[]);
    assert_eq!((late.status, late.body.as_str()), (401, "<p>login /</p>"));
    assert_eq!(page.get("/days", &[("Accept", "application/json")]).code(), "login");
    assert!(page.get("/days", &[]).header("www-authenticate").starts_with("Bearer"));
}

#[test]
fn everything_is_below_the_base_path() {
    let settings = WebSettings { base_path: "/tools/day-fill".to_owned(), ..WebSettings::default() };
    let page = Start { settings, ..Start::default() }.with_users();
    // `ask` puts the base path in front.
    assert_eq!(page.get("/health", &[]).body, "ok");
    let beside = |path: &str| {
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        Answer::parse(&page.send(request.as_bytes()))
    };
    for path in ["/health", "/", "/tools", "/tools/day-fillx/health", "/tools/day-fill/nothing"] {
        assert_eq!(beside(path).code(), "not-found", "{path}");
    }
    let slash = beside("/tools/day-fill/");
    assert_eq!((slash.status, slash.header("location")), (308, "/tools/day-fill"));
    let led = page.get("/days", &[("Accept", "text/html")]);
    assert_eq!(led.header("location"), "/tools/day-fill/login?next=%2Ftools%2Fday%2Dfill%2Fdays");
    let answer = page.login(&[], "ada", crate::support::page::PASSWORD);
    assert_eq!((answer.status, answer.header("location")), (303, "/tools/day-fill"));
    assert!(answer.header("set-cookie").contains("; Path=/tools/day-fill; "), "{answer:?}");
}

#[test]
fn health_and_metrics_are_told_to_everybody_under_any_name() {
    let limits = RequestLimits::default();
    let router = plain(Router::new().route("/metrics", get(|| async { "up 1" })), limits);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let asked = |request: String| {
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
            let address = listener.local_addr().unwrap();
            let asking = tokio::task::spawn_blocking(move || {
                let mut stream = std::net::TcpStream::connect(address).unwrap();
                std::io::Write::write_all(&mut stream, request.as_bytes()).unwrap();
                Answer::parse(&crate::support::page::to_the_end(&mut stream))
            });
            let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
            let stopping = async {
                let answer = asking.await.unwrap();
                drop(stop);
                answer
            };
            let serving = dayfill::web::serve::serve(listener, router.clone(), None, limits, Vec::new(), async {
                drop(stopped.await);
            });
            tokio::join!(stopping, serving).0
        })
    };
    let request = |method: &str, path: &str, body: &str| {
        let (kind, length) = ("application/x-www-form-urlencoded", body.len());
        let head = format!("{method} {path} HTTP/1.1\r\nHost: prometheus.example\r\nConnection: close\r\n");
        asked(format!("{head}Content-Type: {kind}\r\nContent-Length: {length}\r\n\r\n{body}"))
    };
    let metrics = request("GET", "/metrics", "");
    assert_eq!((metrics.status, metrics.body.as_str()), (200, "up 1"));
    assert_eq!(metrics.header("x-content-type-options"), "nosniff");
    assert_eq!(request("GET", "/nothing", "").code(), "not-found");
    assert_eq!(request("POST", "/metrics", "").code(), "method");
}

#[test]
fn without_knowing_the_peer_nobody_is_let_in() {
    // A router that somebody serves in another way must fail rather than let everybody pass for local.
    use dayfill::web::auth::Auth;
    use dayfill::web::guard::Guard;
    let guard = Guard::new(WebSettings::default(), Auth::open(None).unwrap());
    let router = guard.mount(Router::new(), Router::new().route("/days", get(|| async { "days" })));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let asked = |peer: Option<Peer>| {
        use hyper::service::Service as _;
        let request = axum::extract::Request::get("/days").header("host", "localhost");
        let mut request = request.body(axum::body::Body::empty()).unwrap();
        peer.map(|peer| request.extensions_mut().insert(peer));
        let service = hyper_util::service::TowerToHyperService::new(router.clone());
        runtime.block_on(service.call(request)).unwrap().status().as_u16()
    };
    let here = (Ipv4Addr::LOCALHOST, 1).into();
    assert_eq!(asked(None), 500);
    assert_eq!(asked(Some(Peer { remote: here, local: here, tls: false })), 200);
    let far = ([203, 0, 113, 9], 1).into();
    assert_eq!(asked(Some(Peer { remote: far, local: here, tls: false })), 403);
}
