//! HTTP/1.1 on a listener, with or without TLS: connections within limits, and an end in which requests are answered.

mod patience;
mod tls;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use self::patience::Patience;
pub use self::tls::{Tls, TlsError};
use super::guard::Peer;
use super::limits::Limits;

/// How long nothing is accepted after the system could not; it has run out of something.
const AFTER_TROUBLE: Duration = Duration::from_secs(1);

/// Serves connections until the stop, and then until the last request is answered or the grace is over. Streams that
/// never end are ended then.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    tls: Option<Tls>,
    limits: Limits,
    stop: impl Future<Output = ()>,
) {
    let room = Arc::new(Semaphore::new(limits.connections));
    let graceful = GracefulShutdown::new();
    let server = Arc::new(Server { router: TowerToHyperService::new(router), tls, limits });
    let mut connections = JoinSet::new();
    let mut stop = std::pin::pin!(stop);
    loop {
        let accepted = async {
            // Who finds no room waits in the system's queue.
            let place = Arc::clone(&room).acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            accepted = accepted => accepted,
            () = &mut stop => break,
        };
        match accepted {
            Ok((stream, remote)) => {
                let (server, watcher) = (Arc::clone(&server), graceful.watcher());
                connections.spawn(async move {
                    server.connection(stream, remote, watcher).await;
                    drop(place);
                });
            }
            Err(error) if is_the_clients(&error) => {}
            Err(error) => {
                log::warn!("no connection can be accepted: {error}");
                sleep(AFTER_TROUBLE).await;
            }
        }
        while connections.try_join_next().is_some() {}
    }
    drop(listener);
    if timeout(limits.grace, graceful.shutdown()).await.is_err() {
        log::debug!("requests that went on after the stop were broken off");
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
    limits: Limits,
}

impl Server {
    async fn connection(&self, stream: TcpStream, remote: SocketAddr, watcher: Watcher) {
        let Ok(local) = stream.local_addr() else { return };
        // Answers are written whole: nothing is gained by holding their last piece back.
        drop(stream.set_nodelay(true));
        let peer = Peer { remote, local, tls: self.tls.is_some() };
        match &self.tls {
            None => self.http(stream, peer, watcher).await,
            Some(tls) => match timeout(self.limits.head_time, tls.acceptor().accept(stream)).await {
                Ok(Ok(stream)) => self.http(stream, peer, watcher).await,
                Ok(Err(error)) => log::debug!("no TLS with {remote}: {error}"),
                Err(_) => log::debug!("no TLS with {remote} within the time for it"),
            },
        }
    }

    async fn http<S>(&self, stream: S, peer: Peer, watcher: Watcher)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Limits { head, headers, head_time, write_time, .. } = self.limits;
        let service = service_fn(|mut request: Request<Incoming>| {
            request.extensions_mut().insert(peer);
            self.router.call(request)
        });
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(head_time).max_buf_size(head).max_headers(headers);
        let connection = http.serve_connection(TokioIo::new(Patience::new(stream, write_time)), service);
        if let Err(error) = watcher.watch(connection).await {
            log::debug!("the connection with {} broke off: {error}", peer.remote);
        }
    }
}
