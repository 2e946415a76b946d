//! Failed attempts to come in, by where they come from: after some, one has to wait.
//!
//! Nothing but time makes up for them: whoever has one password would else guess at another for ever, and sign in
//! now and then.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

/// So many failures …
const MOST: u32 = 10;
/// … in so long a time.
const WITHIN_MS: i64 = 5 * 60_000;
/// Most addresses that are remembered; the oldest are forgotten first.
const REMEMBERED: usize = 10_000;

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Attempts(HashMap<IpAddr, Failures>);

#[derive(Clone, Copy, Debug)]
struct Failures {
    since_ms: i64,
    count: u32,
}

impl Failures {
    fn count_at(self, now_ms: i64) -> u32 {
        if now_ms - self.since_ms < WITHIN_MS { self.count } else { 0 }
    }
}

impl Attempts {
    /// How long someone has to wait before the next attempt; `None` if not at all.
    pub fn wait(&self, from: IpAddr, now_ms: i64) -> Option<Duration> {
        let failures = self.0.get(&block(from)).filter(|failures| failures.count_at(now_ms) >= MOST)?;
        let left_ms = (failures.since_ms + WITHIN_MS - now_ms).clamp(0, WITHIN_MS);
        Some(Duration::from_millis(u64::try_from(left_ms).unwrap_or_default()))
    }

    pub fn failed(&mut self, from: IpAddr, now_ms: i64) {
        if self.0.len() >= REMEMBERED {
            self.0.retain(|_, failures| failures.count_at(now_ms) > 0);
        }
        if self.0.len() >= REMEMBERED {
            let oldest = self.0.iter().min_by_key(|(_, failures)| failures.since_ms).map(|(from, _)| *from);
            oldest.map(|oldest| self.0.remove(&oldest));
        }
        let failures = self.0.entry(block(from)).or_insert(Failures { since_ms: now_ms, count: 0 });
        if failures.count_at(now_ms) == 0 {
            *failures = Failures { since_ms: now_ms, count: 0 };
        }
        failures.count = failures.count.saturating_add(1);
    }
}

/// Whom an address stands for: of IPv6, a customer has a /64 at least.
pub fn block(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() & !u128::from(u64::MAX)).into()),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, Ipv6Addr};

    #[test]
    fn who_fails_too_often_waits() {
        let (mut attempts, from) = (Attempts::default(), IpAddr::from([10, 0, 0, 1]));
        for _ in 0..MOST {
            assert_eq!(attempts.wait(from, 1000), None);
            attempts.failed(from, 1000);
        }
        assert_eq!(attempts.wait(from, 1000), Some(Duration::from_millis(WITHIN_MS as u64)));
        assert_eq!(attempts.wait(IpAddr::from([10, 0, 0, 2]), 1000), None);
        assert_eq!(attempts.wait(from, 1000 + WITHIN_MS), None);
        attempts.failed(from, 1000 + WITHIN_MS);
        assert_eq!(attempts.wait(from, 1000 + WITHIN_MS), None);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut attempts = Attempts::default();
        for at in 0..REMEMBERED as u32 + 100 {
            attempts.failed(Ipv4Addr::from_bits(at).into(), i64::from(at));
        }
        assert!(attempts.0.len() <= REMEMBERED);
    }

    #[test]
    fn a_network_of_addresses_is_one_guesser() {
        let mut attempts = Attempts::default();
        for host in 0..u128::from(MOST) {
            attempts.failed(Ipv6Addr::from_bits((0x2001_0db8 << 96) + host).into(), 0);
        }
        assert!(attempts.wait(Ipv6Addr::from_bits((0x2001_0db8 << 96) + 999).into(), 0).is_some());
        assert_eq!(block("::ffff:10.0.0.1".parse().expect("valid")), IpAddr::from([10, 0, 0, 1]));
    }
}
