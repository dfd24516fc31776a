//! How often an address may try to log in: each attempt costs a hash, which takes a core and memory for a while.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::web::limits::network;

/// So many failures within [`WITHIN`] are let through, and no more.
const MOST: usize = 10;
/// So many logins that succeed.
const MOST_RIGHT: usize = 60;
/// The time for them.
const WITHIN: Duration = Duration::from_mins(1);
/// So many addresses are remembered.
const ADDRESSES: usize = 4096;

/// The attempts of the last minute, by address.
#[derive(Debug, Default)]
pub(super) struct Throttle {
    addresses: HashMap<IpAddr, Attempts>,
}

/// The attempts of an address within the last minute, oldest first.
#[derive(Debug, Default)]
struct Attempts {
    /// Those that failed or are not decided yet.
    failed: VecDeque<Instant>,
    /// Those that succeeded.
    right: VecDeque<Instant>,
}

impl Attempts {
    fn forget_old(&mut self, now: Instant) {
        for attempts in [&mut self.failed, &mut self.right] {
            while attempts.pop_front_if(|at| now.saturating_duration_since(*at) >= WITHIN).is_some() {}
        }
    }

    /// When the last one was.
    fn last(&self) -> Option<Instant> {
        self.failed.back().max(self.right.back()).copied()
    }
}

impl Throttle {
    /// Notes an attempt as failed before it is made, so that a hundred at once are no way around; or tells how long
    /// there is to wait.
    pub(super) fn begin(&mut self, address: IpAddr, now: Instant) -> Result<(), Duration> {
        let address = network(address);
        if !self.addresses.contains_key(&address) {
            self.make_room(now);
        }
        let attempts = self.addresses.entry(address).or_default();
        attempts.forget_old(now);
        for (attempts, most) in [(&attempts.failed, MOST), (&attempts.right, MOST_RIGHT)] {
            if let Some(oldest) = attempts.front().filter(|_| attempts.len() >= most) {
                return Err(WITHIN.saturating_sub(now.saturating_duration_since(*oldest)));
            }
        }
        attempts.failed.push_back(now);
        Ok(())
    }

    /// Notes that an attempt was right. Failed ones of that address stay, so that whoever has a password of their own
    /// cannot guess for ever at somebody else's.
    pub(super) fn succeeded(&mut self, address: IpAddr, began: Instant) {
        let Some(attempts) = self.addresses.get_mut(&network(address)) else { return };
        if let Some(at) = attempts.failed.iter().position(|at| *at == began) {
            attempts.failed.remove(at);
            attempts.right.push_back(began);
        }
    }

    /// True when the address has no attempt left.
    pub(super) fn is_spent(&self, address: IpAddr) -> bool {
        self.addresses.get(&network(address)).is_some_and(|attempts| attempts.failed.len() >= MOST)
    }

    /// Memory stays bounded: what is over is forgotten, and then whoever has been quiet for longest.
    fn make_room(&mut self, now: Instant) {
        if self.addresses.len() < ADDRESSES {
            return;
        }
        let is_recent = |at: Instant| now.saturating_duration_since(at) < WITHIN;
        self.addresses.retain(|_, attempts| attempts.last().is_some_and(is_recent));
        if self.addresses.len() >= ADDRESSES {
            let quiet = self.addresses.iter().min_by_key(|(_, attempts)| attempts.last()).map(|(address, _)| *address);
            quiet.map(|address| self.addresses.remove(&address));
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
    fn what_succeeded_does_not_forgive_the_rest_and_is_bounded_too() {
        let mut throttle = Throttle::default();
        let now = Instant::now();
        for _ in 0..9 {
            throttle.begin(address(1), now).unwrap();
        }
        for _ in 0..MOST_RIGHT {
            throttle.begin(address(1), now).unwrap();
            assert!(throttle.is_spent(address(1)));
            throttle.succeeded(address(1), now);
        }
        assert_eq!(throttle.begin(address(1), now), Err(WITHIN), "each costs a hash, also one that is right");
        assert_eq!(throttle.begin(address(2), now), Ok(()), "another address");
        assert_eq!(throttle.begin(address(1), now + WITHIN), Ok(()));
    }

    #[test]
    fn memory_is_bounded() {
        let mut throttle = Throttle::default();
        let start = Instant::now();
        for number in 0..5000 {
            throttle.begin(address(number), start + Duration::from_millis(number.into())).unwrap();
        }
        assert_eq!(throttle.addresses.len(), ADDRESSES);
        assert!(!throttle.addresses.contains_key(&address(0)) && throttle.addresses.contains_key(&address(4999)));
        throttle.begin(address(9999), start + Duration::from_mins(5)).unwrap();
        assert_eq!(throttle.addresses.len(), 1);
    }
}
