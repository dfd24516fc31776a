//! Room for connections: so many in all, so many of one address, and some kept for whoever watches over the process.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::web::limits::{LogThrottle, RequestLimits, Share, Shares, network};

/// A connection's place, until it is dropped.
pub(super) struct Admission {
    permit: Option<OwnedSemaphorePermit>,
    /// That of its address, where it is counted.
    share: Option<Share<IpAddr>>,
    /// It is for a single request after health or metrics.
    pub(super) spare: bool,
}

/// The room for connections.
pub(super) struct ConnectionSlots {
    usual: Arc<Semaphore>,
    spare: Arc<Semaphore>,
    addresses: Shares<IpAddr>,
    limits: RequestLimits,
    proxies: Vec<IpNet>,
    full: LogThrottle,
    one_has_much: LogThrottle,
}

impl ConnectionSlots {
    pub(super) fn new(limits: RequestLimits, proxies: Vec<IpNet>) -> Self {
        Self {
            usual: Arc::new(Semaphore::new(limits.connections)),
            spare: Arc::new(Semaphore::new(limits.spare_connections)),
            addresses: Shares::new(limits.connections_per_address),
            limits,
            proxies,
            full: LogThrottle::default(),
            one_has_much: LogThrottle::default(),
        }
    }

    /// Waits for a place: a usual one where there is one, else a spare one.
    pub(super) async fn place(&self) -> Admission {
        let (permit, spare) = tokio::select! {
            biased;
            permit = Arc::clone(&self.usual).acquire_owned() => (permit, false),
            permit = Arc::clone(&self.spare).acquire_owned() => (permit, true),
        };
        // The semaphores are never closed.
        Admission { permit: permit.ok(), share: None, spare }
    }

    /// The place as the client at that address gets it: a spare one in place of a usual one where the address has its
    /// share. `None` where there is none for it.
    pub(super) fn of(&self, mut place: Admission, remote: IpAddr) -> Option<Admission> {
        if place.spare {
            if self.full.is_due() {
                let connections = self.limits.connections;
                log::warn!(
                    "the web UI has {connections} connections, its limit; further ones get 503, except for health and metrics"
                );
            }
            return Some(place);
        }
        if self.proxies.iter().any(|net| net.contains(&remote.to_canonical())) {
            return Some(place);
        }
        place.share = self.addresses.take(network(remote));
        if place.share.is_none() {
            if self.one_has_much.is_due() {
                let most = self.limits.connections_per_address;
                log::warn!(
                    "{remote} has {most} connections, the limit per address; further ones get 503, except for health and metrics"
                );
            }
            place.permit = Some(Arc::clone(&self.spare).try_acquire_owned().ok()?);
            place.spare = true;
        }
        Some(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_has_its_share_and_then_spare_places() {
        let limits = RequestLimits {
            connections: 8,
            connections_per_address: 1,
            spare_connections: 1,
            ..RequestLimits::default()
        };
        let room = ConnectionSlots::new(limits, vec!["10.0.0.1/32".parse().unwrap()]);
        let mut kept = Vec::new();
        for (remote, expected) in [
            ("2001:db8:1:2::1", Some(false)),
            // The same network, for which there is one spare place.
            ("2001:db8:1:2::9", Some(true)),
            ("2001:db8:1:2::a", None),
            ("2001:db8:1:3::1", Some(false)),
            ("10.0.0.2", Some(false)),
            ("::ffff:10.0.0.2", None),
            // A trusted proxy.
            ("10.0.0.1", Some(false)),
            ("::ffff:10.0.0.1", Some(false)),
        ] {
            let place = room.of(room.place().await, remote.parse().unwrap());
            assert_eq!(place.as_ref().map(|place| place.spare), expected, "{remote}");
            kept.push(place);
        }
    }
}
