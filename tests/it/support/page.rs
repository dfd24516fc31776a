//! A small page behind the guard, in the test process, and requests to it as they go over the wire.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use axum::response::IntoResponse as _;
use axum::routing::get;
use axum::{Extension, Router};
use dayfill::cron::Clocks;
use dayfill::web::auth::{Auth, Identity, Role, users_file};
use dayfill::web::guard::{ErrorPage, Guard};
use dayfill::web::serve::{Tls, serve};
use dayfill::web::{RequestLimits, WebSettings};
use tokio::sync::oneshot;

/// The password of everybody here.
pub(crate) const PASSWORD: &str = "correct horse";

/// How a page begins.
pub(crate) struct Start {
    pub(crate) settings: WebSettings,
    pub(crate) limits: RequestLimits,
    /// What everybody may look at, beside [`open`].
    pub(crate) open: Router,
    /// What is behind a login, beside [`closed`].
    pub(crate) closed: Router,
}

impl Default for Start {
    fn default() -> Self {
        let limits = RequestLimits { grace: Duration::from_secs(30), ..RequestLimits::default() };
        Self { settings: WebSettings::default(), limits, open: Router::new(), closed: Router::new() }
    }
}

/// A page on a free port of this machine, until it is dropped.
pub(crate) struct Page {
    address: SocketAddr,
    base: String,
    users: PathBuf,
    /// Where that is, if it goes with the page.
    folder: Option<tempfile::TempDir>,
    clock: Arc<Mutex<Clocks>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What came back.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// All headers, the names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

/// What everybody may look at.
fn open() -> Router {
    Router::new().route("/form", get(|| async { "a form" })).route("/health", get(|| async { "ok" }))
}

/// What is behind a login.
fn closed() -> Router {
    let who = |Extension(Identity { name, role, .. }): Extension<Identity>| async move { format!("{name} is {role}") };
    let change = |body: String| async move { format!("changed by {} bytes", body.len()) };
    Router::new().route("/days", get(who).post(change).delete(|| async { "gone" }))
}

impl Start {
    /// A page with the users `ada` (operator) and `bob` (reader).
    pub(crate) fn with_users(mut self) -> Page {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let users = folder.path().join("users.toml");
        for (name, role) in [("ada", Role::Operator), ("bob", Role::Reader)] {
            users_file::put_user(&users, name, role, PASSWORD).expect("the file is written");
        }
        self.settings.auth = Some(users);
        let mut page = self.without_users();
        page.folder = Some(folder);
        page
    }

    /// A page for those on this machine.
    pub(crate) fn without_users(self) -> Page {
        let Self { mut settings, limits, open: more_open, closed: more_closed } = self;
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        listener.set_nonblocking(true).expect("a socket");
        let address = listener.local_addr().expect("it is bound");
        settings.listen = Some(address);
        let clock = Arc::new(Mutex::new(Clocks::read()));
        let read = Arc::clone(&clock);
        let now = Arc::new(move || *read.lock().expect("nobody panics with it"));
        let (users, base) = (settings.auth.clone(), settings.base_path.clone());
        let auth = Auth::open_at(users.as_deref(), now).expect("the users file is right");
        let tls = settings.tls.clone().map(|files| Tls::open(files).expect("the certificate is right"));
        let shown = |refused: &ErrorPage| {
            let next = &refused.next;
            axum::response::Html(format!("<p>{} {next}</p>", refused.problem.code)).into_response()
        };
        let proxies = settings.trusted_proxies.clone();
        let guard = Guard::new(settings, auth).with_limits(limits).with_page(shown);
        let router = guard.mount(open().merge(more_open), closed().merge(more_closed));
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async move {
                let listener = tokio::net::TcpListener::from_std(listener).expect("a socket");
                serve(listener, router, tls, limits, proxies, async { drop(stopped.await) }).await;
            });
        });
        let users = users.unwrap_or_default();
        Page { address, base, users, folder: None, clock, stop: Some(stop), thread: Some(thread) }
    }
}

impl Page {
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The users file.
    pub(crate) fn users(&self) -> &Path {
        &self.users
    }

    /// Sets both of its clocks forward.
    pub(crate) fn pass(&self, time: Duration) {
        let mut clock = self.clock.lock().expect("nobody panics with it");
        clock.wall += time;
        clock.monotonic += time;
    }

    /// Tells it to stop; what is being answered goes on.
    pub(crate) fn stop(&mut self) {
        drop(self.stop.take());
    }

    /// Waits until it has stopped.
    pub(crate) fn stopped(mut self) {
        self.stop();
        self.thread.take().expect("it is taken here only").join().expect("it ends well");
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("it listens");
        // Only so that a failing test ends.
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a socket");
        stream
    }

    /// What comes back for these bytes, to the end of the connection.
    pub(crate) fn send(&self, request: &[u8]) -> Vec<u8> {
        let mut stream = self.connect();
        // It may have hung up on the half of it.
        drop(stream.write_all(request));
        to_the_end(&mut stream)
    }

    /// The answer to a request with these headers beside `Host` (unless it is among them) and `Connection`.
    pub(crate) fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut request = format!("{method} {}{path} HTTP/1.1\r\nConnection: close\r\n", self.base);
        if !headers.iter().any(|(name, _)| *name == "Host") {
            let _ = write!(request, "Host: {}\r\n", self.address);
        }
        for (name, value) in headers {
            let _ = write!(request, "{name}: {value}\r\n");
        }
        let _ = write!(request, "Content-Length: {}\r\n\r\n{body}", body.len());
        Answer::parse(&self.send(request.as_bytes()))
    }

    pub(crate) fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.ask("GET", path, headers, "")
    }

    /// A form sent as a browser does, from a page of ours.
    pub(crate) fn post(&self, path: &str, headers: &[(&str, &str)], form: &[(&str, &str)]) -> Answer {
        let origin = format!("http://{}", self.address);
        let mut all = vec![("Content-Type", "application/x-www-form-urlencoded")];
        if !headers.iter().any(|(name, _)| *name == "Origin") {
            all.push(("Origin", &origin));
        }
        all.extend(headers);
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        self.ask("POST", path, &all, &body)
    }

    /// Logs in from a new browser.
    pub(crate) fn login(&self, headers: &[(&str, &str)], name: &str, password: &str) -> Answer {
        self.post("/login", headers, &[("name", name), ("password", password)])
    }

    /// The cookie of a session of that user.
    pub(crate) fn session(&self, name: &str) -> String {
        let answer = self.login(&[], name, PASSWORD);
        assert_eq!(answer.status, 303, "{answer:?}");
        answer.cookie("session")
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        self.stop();
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// All that comes until the other end hangs up, however it does.
pub(crate) fn to_the_end(stream: &mut TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    match stream.read_to_end(&mut all) {
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => panic!("nobody hung up: {all:?}"),
        _ => all,
    }
}

impl Answer {
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|status| status.parse().ok());
        let headers = lines.filter_map(|line| line.split_once(": "));
        Self {
            status: status.unwrap_or_else(|| panic!("no status: {head}")),
            headers: headers.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect(),
            body: body.to_owned(),
        }
    }

    /// The one value of a header; empty when it is not there.
    pub(crate) fn header(&self, name: &str) -> &str {
        let mut values = self.headers.iter().filter(|(header, _)| header == name).map(|(_, value)| value.as_str());
        let value = values.next().unwrap_or_default();
        assert_eq!(values.next(), None, "{name} is used twice");
        value
    }

    /// `name=value` of the cookie that is set and whose name ends so.
    pub(crate) fn cookie(&self, name: &str) -> String {
        let cookie = self.header("set-cookie").split(';').next().unwrap_or_default();
        assert!(cookie.contains(&format!("{name}=")), "no cookie {name}: {self:?}");
        cookie.to_owned()
    }

    /// The code of a problem.
    pub(crate) fn code(&self) -> String {
        assert_eq!(self.header("content-type"), "application/problem+json", "{self:?}");
        let problem: serde_json::Value = serde_json::from_str(&self.body).expect("JSON");
        assert_eq!(problem["status"], self.status);
        assert!(problem["title"].is_string() && problem["detail"].is_string() && problem["type"] == "about:blank");
        problem["code"].as_str().expect("a text").to_owned()
    }
}
