//! How much of everything a client may take, and who has how much of it now.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How much of everything a client may take. Tests make it less.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestLimits {
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
    /// Connections at once, and how many of them one address may have.
    pub connections: usize,
    /// How many of them one address may have: an IPv4 address, or an IPv6 network of 64 bits. A trusted proxy may have all.
    pub connections_per_address: usize,
    /// Connections beyond these, for one request each after health or metrics. What is more waits in the system's queue.
    pub spare_connections: usize,
    /// How long a client of a spare connection may take to send its request's headers.
    pub spare_head_time: Duration,
    /// How long a request's body may take to arrive.
    pub body_time: Duration,
    /// Requests of one address whose bodies are still arriving.
    pub bodies_per_address: usize,
    /// Event streams of one address, and of one user or token.
    pub streams: usize,
    /// How often it is seen whether whoever listens to a stream of events may still do so.
    pub stream_check: Duration,
}

impl Default for RequestLimits {
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
            connections_per_address: 128,
            spare_connections: 16,
            spare_head_time: Duration::from_secs(2),
            body_time: Duration::from_secs(10),
            bodies_per_address: 16,
            streams: 64,
            stream_check: Duration::from_secs(3),
        }
    }
}

/// Whose requests count together: an IPv4 address, or an IPv6 network of 64 bits, which is what one household has.
pub(super) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from(u128::from(address) & (u128::MAX << 64)).into(),
        address @ IpAddr::V4(_) => address,
    }
}

/// How much of something each holder has now, within a bound for each.
#[derive(Debug)]
pub(super) struct Shares<K> {
    held: Arc<Mutex<HashMap<K, usize>>>,
    most: usize,
}

/// One of the things that a holder has; dropping it gives it back.
#[derive(Debug)]
pub(super) struct Share<K: Eq + Hash> {
    held: Arc<Mutex<HashMap<K, usize>>>,
    holder: K,
}

fn locked<K>(held: &Mutex<HashMap<K, usize>>) -> MutexGuard<'_, HashMap<K, usize>> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<K: Eq + Hash + Clone> Shares<K> {
    /// Nobody has anything, and each may have so much.
    pub(super) fn new(most: usize) -> Self {
        Self { held: Arc::default(), most }
    }

    /// One more for that holder; `None` where it has as much as it may.
    pub(super) fn take(&self, holder: K) -> Option<Share<K>> {
        let mut held = locked(&self.held);
        let count = held.entry(holder.clone()).or_default();
        if *count >= self.most {
            return None;
        }
        *count += 1;
        drop(held);
        Some(Share { held: Arc::clone(&self.held), holder })
    }
}

impl<K: Eq + Hash> Drop for Share<K> {
    fn drop(&mut self) {
        let mut held = locked(&self.held);
        if let Some(count) = held.get_mut(&self.holder) {
            *count -= 1;
            if *count == 0 {
                held.remove(&self.holder);
            }
        }
    }
}

/// Says something at most once a minute, however often it happens.
#[derive(Debug, Default)]
pub(super) struct LogThrottle(Mutex<Option<Instant>>);

impl LogThrottle {
    /// True where it was not said within the last minute; it is said now.
    pub(super) fn is_due(&self) -> bool {
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let due = said.is_none_or(|said| said.elapsed() >= Duration::from_mins(1));
        if due {
            *said = Some(Instant::now());
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_of_ipv6_is_one_address_and_a_mapped_one_is_ipv4() {
        let of = |text: &str| network(text.parse().unwrap());
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::9"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_eq!(of("::ffff:10.0.0.1"), of("10.0.0.1"));
        assert_ne!(of("10.0.0.1"), of("10.0.0.2"));
    }

    #[test]
    fn each_holder_has_its_share_and_gives_it_back() {
        let shares = Shares::new(2);
        let first = shares.take("a");
        let _second = shares.take("a");
        assert!(shares.take("a").is_none());
        assert!(shares.take("b").is_some(), "another holder");
        drop(first);
        assert!(shares.take("a").is_some());
        assert_eq!(locked(&shares.held).len(), 1, "who has nothing is forgotten");
    }

    #[test]
    fn what_happens_often_is_said_once() {
        let said = LogThrottle::default();
        assert!(said.is_due() && !said.is_due());
    }
}
