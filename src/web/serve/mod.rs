//! HTTP/1.1 on a listener, with or without TLS: connections within limits, and an end in which requests are answered.

mod connection_slots;
mod tls;
mod write_timeout;

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::HeaderValue;
use axum::http::header::CONNECTION;
use axum::response::{IntoResponse, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use ipnet::IpNet;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use self::connection_slots::ConnectionSlots;
pub use self::tls::{Tls, TlsError};
use self::write_timeout::WriteTimeout;
use super::guard::Peer;
use super::limits::RequestLimits;
use super::problem::Problem;

/// How long nothing is accepted after the system could not; it has run out of something.
const AFTER_TROUBLE: Duration = Duration::from_secs(1);

/// What answers while there is no room for anything else: whoever watches over the process asks for it.
const WATCHED: [&str; 3] = ["/healthz", "/readyz", "/metrics"];

/// Serves connections until the stop, and then until the last request is answered or the grace is over. Streams that
/// never end are ended then. The connections of `proxies` do not count as those of one client.
///
/// Where there is no room left, or an address has its share, a spare connection answers one request after health or
/// metrics, and 503 to any other.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    tls: Option<Tls>,
    limits: RequestLimits,
    proxies: Vec<IpNet>,
    stop: impl Future<Output = ()>,
) {
    let room = ConnectionSlots::new(limits, proxies);
    let graceful = GracefulShutdown::new();
    let server = Arc::new(Server { router: TowerToHyperService::new(router), tls, limits });
    let mut connections = JoinSet::new();
    let mut stop = std::pin::pin!(stop);
    loop {
        let accepted = async {
            // Who finds no room, and no spare either, waits in the system's queue.
            let place = room.place().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            accepted = accepted => accepted,
            () = &mut stop => break,
        };
        match accepted {
            Ok((stream, remote)) => {
                // Without a place the connection is closed.
                let Some(place) = room.of(place, remote.ip()) else { continue };
                let (server, watcher) = (Arc::clone(&server), graceful.watcher());
                connections.spawn(async move {
                    server.connection(stream, remote, place.spare, watcher).await;
                    drop(place);
                });
            }
            Err(error) if is_the_clients(&error) => {}
            Err(error) => {
                log::warn!("cannot accept connections: {error}");
                sleep(AFTER_TROUBLE).await;
            }
        }
        while connections.try_join_next().is_some() {}
    }
    drop(listener);
    if timeout(limits.grace, graceful.shutdown()).await.is_err() {
        log::debug!("cancelled requests that were still running at shutdown");
    }
    connections.shutdown().await;
}

/// The client went away before it was accepted.
fn is_the_clients(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset)
}

struct Server {
    router: TowerToHyperService<Router>,
    tls: Option<Tls>,
    limits: RequestLimits,
}

impl Server {
    async fn connection(&self, stream: TcpStream, remote: SocketAddr, spare: bool, watcher: Watcher) {
        let Ok(local) = stream.local_addr() else { return };
        // Answers are written whole: nothing is gained by holding their last piece back.
        drop(stream.set_nodelay(true));
        let peer = Peer { remote, local, tls: self.tls.is_some() };
        match &self.tls {
            None => self.http(stream, peer, spare, watcher).await,
            Some(tls) => match timeout(self.head_time(spare), tls.acceptor().accept(stream)).await {
                Ok(Ok(stream)) => self.http(stream, peer, spare, watcher).await,
                Ok(Err(error)) => log::debug!("no TLS with {remote}: {error}"),
                Err(_) => log::debug!("no TLS with {remote} within the time for it"),
            },
        }
    }

    fn head_time(&self, spare: bool) -> Duration {
        if spare { self.limits.spare_head_time } else { self.limits.head_time }
    }

    async fn http<S>(&self, stream: S, peer: Peer, spare: bool, watcher: Watcher)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let RequestLimits { head, headers, write_time, .. } = self.limits;
        let head_time = self.head_time(spare);
        let service = service_fn(async |mut request: Request<Incoming>| {
            if spare && !WATCHED.iter().any(|path| request.uri().path().ends_with(path)) {
                return Ok(busy());
            }
            request.extensions_mut().insert(peer);
            let mut answer = self.router.call(request).await?;
            if spare {
                answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, Infallible>(answer)
        });
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(head_time).max_buf_size(head).max_headers(headers);
        let connection = http.serve_connection(TokioIo::new(WriteTimeout::new(stream, write_time)), service);
        if let Err(error) = watcher.watch(connection).await {
            log::debug!("connection to {} lost: {error}", peer.remote);
        }
    }
}

/// There is no room for what was asked for.
fn busy() -> Response {
    let problem = Problem::unavailable("busy", "too many connections, in all or from this address");
    problem.with_header(CONNECTION, HeaderValue::from_static("close")).into_response()
}
