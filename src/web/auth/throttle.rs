//! How often an address may fail to log in.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

/// So many failures within [`WITHIN`] are let through, and no more.
const MOST: usize = 10;
/// The time for them.
const WITHIN: Duration = Duration::from_mins(1);
/// So many addresses are remembered.
const ADDRESSES: usize = 4096;

/// The attempts of the last minute that failed or are not decided yet, by address.
#[derive(Debug, Default)]
pub(super) struct Throttle {
    failed: HashMap<IpAddr, VecDeque<Instant>>,
}

/// Whose attempts count together: an IPv4 address, or an IPv6 network of 64 bits, which is what one household has.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from(u128::from(address) & (u128::MAX << 64)).into(),
        address @ IpAddr::V4(_) => address,
    }
}

impl Throttle {
    /// Notes an attempt as failed before it is made, so that a hundred at once are no way around; or tells how long
    /// there is to wait.
    pub(super) fn begin(&mut self, address: IpAddr, now: Instant) -> Result<(), Duration> {
        let address = network(address);
        if !self.failed.contains_key(&address) {
            self.make_room(now);
        }
        let failed = self.failed.entry(address).or_default();
        while failed.pop_front_if(|at| now.saturating_duration_since(*at) >= WITHIN).is_some() {}
        match failed.front() {
            Some(oldest) if failed.len() >= MOST => Err(WITHIN.saturating_sub(now.saturating_duration_since(*oldest))),
            _ => {
                failed.push_back(now);
                Ok(())
            }
        }
    }

    /// Takes the note of an attempt back: it was right. Others of that address stay, so that whoever has a password of
    /// their own cannot guess for ever at somebody else's.
    pub(super) fn succeeded(&mut self, address: IpAddr, began: Instant) {
        let address = network(address);
        let Some(failed) = self.failed.get_mut(&address) else { return };
        if let Some(at) = failed.iter().position(|at| *at == began) {
            failed.remove(at);
        }
        if failed.is_empty() {
            self.failed.remove(&address);
        }
    }

    /// True when the address has no attempt left.
    pub(super) fn is_spent(&self, address: IpAddr) -> bool {
        self.failed.get(&network(address)).is_some_and(|failed| failed.len() >= MOST)
    }

    /// Memory stays bounded: what is over is forgotten, and then whoever has been quiet for longest.
    fn make_room(&mut self, now: Instant) {
        if self.failed.len() < ADDRESSES {
            return;
        }
        self.failed.retain(|_, at| at.back().is_some_and(|at| now.saturating_duration_since(*at) < WITHIN));
        if self.failed.len() >= ADDRESSES {
            let quiet = self.failed.iter().min_by_key(|(_, at)| at.back().copied()).map(|(address, _)| *address);
            quiet.map(|address| self.failed.remove(&address));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn address(number: u32) -> IpAddr {
        Ipv4Addr::from(number).into()
    }

    #[test]
    fn ten_a_minute_and_then_no_more() {
        let mut throttle = Throttle::default();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        for second in 0..10 {
            assert_eq!(throttle.begin(address(1), at(second)), Ok(()));
        }
        assert_eq!(throttle.begin(address(1), at(20)), Err(Duration::from_secs(40)));
        assert_eq!(throttle.begin(address(2), at(20)), Ok(()), "another address");
        // The window slides: each attempt makes room a minute later.
        assert_eq!(throttle.begin(address(1), at(60)), Ok(()));
        assert_eq!(throttle.begin(address(1), at(60)), Err(Duration::from_secs(1)));
    }

    #[test]
    fn what_succeeded_does_not_count_and_does_not_forgive_the_rest() {
        let mut throttle = Throttle::default();
        let now = Instant::now();
        for _ in 0..9 {
            throttle.begin(address(1), now).unwrap();
        }
        for _ in 0..20 {
            throttle.begin(address(1), now).unwrap();
            assert!(throttle.is_spent(address(1)));
            throttle.succeeded(address(1), now);
        }
        throttle.begin(address(1), now).unwrap();
        assert!(throttle.begin(address(1), now).is_err());
        throttle.begin(address(2), now).unwrap();
        throttle.succeeded(address(2), now);
        assert!(!throttle.failed.contains_key(&address(2)));
    }

    #[test]
    fn a_network_of_ipv6_is_one_address_and_a_mapped_one_is_ipv4() {
        let of = |text: &str| network(text.parse().unwrap());
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::9"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_eq!(of("::ffff:10.0.0.1"), of("10.0.0.1"));
        assert_ne!(of("10.0.0.1"), of("10.0.0.2"));
    }

    #[test]
    fn memory_is_bounded() {
        let mut throttle = Throttle::default();
        let start = Instant::now();
        for number in 0..5000 {
            throttle.begin(address(number), start + Duration::from_millis(number.into())).unwrap();
        }
        assert_eq!(throttle.failed.len(), ADDRESSES);
        assert!(!throttle.failed.contains_key(&address(0)) && throttle.failed.contains_key(&address(4999)));
        throttle.begin(address(9999), start + Duration::from_mins(5)).unwrap();
        assert_eq!(throttle.failed.len(), 1);
    }
}
