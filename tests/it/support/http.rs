//! A web server in the test process, for tests of the source: it notes requests, and its answers may break off or stall.
//! Where only the moment of an answer matters, there is `slow_http`.
#![expect(clippy::unwrap_used, reason = "what goes wrong here fails the test that asked for it")]

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use bytes::Bytes;
use futures_util::stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::{AUTHORIZATION, CONTENT_LENGTH, HeaderValue, RANGE, REFERER, RETRY_AFTER};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::sync::oneshot;

pub(crate) type Body = UnsyncBoxBody<Bytes, io::Error>;

/// A request as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) method: String,
    /// Path and query, as sent.
    pub(crate) target: String,
    pub(crate) range: Option<String>,
    pub(crate) authorization: Option<String>,
    pub(crate) referer: Option<String>,
}

/// A server on a free port of this machine, until it is dropped.
pub(crate) struct Server {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub(crate) fn start<H, F>(handler: H) -> Self
    where
        H: Fn(Request<Incoming>) -> F + Send + Sync + 'static,
        F: Future<Output = Response<Body>> + Send + 'static,
    {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (stop, mut stopped) = oneshot::channel();
        let (handler, log) = (Arc::new(handler), Arc::clone(&seen));
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                loop {
                    let (stream, _) = tokio::select! {
                        accepted = listener.accept() => accepted.unwrap(),
                        _ = &mut stopped => return,
                    };
                    let (handler, log) = (Arc::clone(&handler), Arc::clone(&log));
                    let service = service_fn(move |request: Request<Incoming>| {
                        let header = |name| request.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
                        log.lock().unwrap().push(Seen {
                            method: request.method().to_string(),
                            target: request.uri().to_string(),
                            range: header(RANGE),
                            authorization: header(AUTHORIZATION),
                            referer: header(REFERER),
                        });
                        let answer = handler(request);
                        async { Ok::<_, Infallible>(answer.await) }
                    });
                    // A client that goes away, or an answer that breaks off on purpose, is no failure of the server.
                    tokio::spawn(async move {
                        drop(
                            hyper::server::conn::http1::Builder::new()
                                .serve_connection(TokioIo::new(stream), service)
                                .await,
                        );
                    });
                }
            });
        });
        Self { address, seen, stop: Some(stop), thread: Some(thread) }
    }

    /// `http://127.0.0.1:port`
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The requests so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

/// An answer without a body's length.
pub(crate) fn unmeasured(content: impl Into<Bytes>) -> Response<Body> {
    let frame = Ok(Frame::data(content.into()));
    Response::new(StreamBody::new(stream::iter([frame])).boxed_unsync())
}

/// An answer without a body's length that breaks off before its end mark.
pub(crate) fn unmeasured_and_cut_off(content: impl Into<Bytes>) -> Response<Body> {
    use futures_util::StreamExt;
    let first = Ok(Frame::data(content.into()));
    let rest = stream::once(async {
        tokio::task::yield_now().await;
        Err(io::Error::other("cut off"))
    });
    Response::new(StreamBody::new(stream::iter([first]).chain(rest)).boxed_unsync())
}

pub(crate) fn status(status: u16, content: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(Full::new(content.into()).map_err(|never| match never {}).boxed_unsync());
    *response.status_mut() = status.try_into().unwrap();
    response
}

/// What says that a server is in trouble and is asked for once in a look: requests are not repeated for it, as they are
/// for 429 and 5xx.
pub(crate) fn in_trouble() -> Response<Body> {
    status(425, "")
}

/// The same of a server that asks to be left alone for so many seconds.
pub(crate) fn busy_for(seconds: &'static str) -> Response<Body> {
    let mut answer = status(503, "");
    answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static(seconds));
    answer
}

pub(crate) fn whole(content: impl Into<Bytes>) -> Response<Body> {
    status(200, content)
}

/// Announces the whole content, sends its first bytes, and hangs up.
pub(crate) fn cut_off(content: impl Into<Bytes>, after: usize) -> Response<Body> {
    announced(&content.into(), after, || async {
        // Hyper sends what it has when a body makes it wait, and would lose it to an error that came at once.
        tokio::task::yield_now().await;
        io::Error::other("cut off")
    })
}

/// Announces the whole content, sends its first bytes, and then nothing; `gone` is dropped when the client hangs up.
pub(crate) fn stalled(content: impl Into<Bytes>, after: usize, gone: std::sync::mpsc::Sender<()>) -> Response<Body> {
    announced(&content.into(), after, move || async move {
        std::future::pending::<()>().await;
        drop(gone);
        io::Error::other("stalled")
    })
}

fn announced<F, E>(content: &Bytes, after: usize, end: F) -> Response<Body>
where
    F: FnOnce() -> E + Send + 'static,
    E: Future<Output = io::Error> + Send + 'static,
{
    use futures_util::StreamExt;
    let first = Ok(Frame::data(content.slice(..after)));
    let rest = stream::once(async move { Err(end().await) });
    let body = StreamBody::new(stream::iter([first]).chain(rest)).boxed_unsync();
    Response::builder().header(CONTENT_LENGTH, content.len()).body(body).unwrap()
}
