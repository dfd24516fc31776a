//! How much of everything a client may take.

use std::time::Duration;

/// How much of everything a client may take. Tests make it less.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a request's body.
    pub body: usize,
    /// Bytes of a request's first line and headers; at least 8192, the least that hyper takes.
    pub head: usize,
    /// Headers of a request.
    pub headers: usize,
    /// How long a client may take to send a request's headers, and how long a connection may rest between requests; for
    /// the handshake of TLS as well.
    pub head_time: Duration,
    /// How long a request may take, from its headers to the headers of its answer.
    pub request_time: Duration,
    /// How long a client may take nothing of what is sent to it.
    pub write_time: Duration,
    /// How long requests may go on after the stop.
    pub grace: Duration,
    /// Connections at once; more wait in the system's queue.
    pub connections: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body: 64 * 1024,
            head: 16 * 1024,
            headers: 64,
            head_time: Duration::from_secs(10),
            request_time: Duration::from_secs(30),
            write_time: Duration::from_secs(30),
            grace: Duration::from_secs(5),
            connections: 256,
        }
    }
}
