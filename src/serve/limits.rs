//! How many requests a client may make: a bucket each that fills at the allowed rate, and from which every
//! request takes one. And how many connections it may hold.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::access::attempts::block;

/// Seconds of the allowed rate that may be asked for at once: a page brings a dozen files along.
const BURST_SECONDS: f64 = 10.0;
/// Most clients that are told apart at a time.
const REMEMBERED: usize = 20_000;

/// How fast an allowance fills up, and how much it holds.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    pub per_second: f64,
    pub at_once: f64,
}

/// What was left of an allowance at a moment.
#[derive(Clone, Copy, Debug)]
pub struct Bucket {
    left: f64,
    at: Instant,
}

impl Rate {
    pub fn full(self, now: Instant) -> Bucket {
        Bucket { left: self.at_once, at: now }
    }

    /// Takes one.
    ///
    /// # Errors
    /// If there is none left: how long it takes until there is.
    pub fn take(self, bucket: &mut Bucket, now: Instant) -> Result<(), Duration> {
        *bucket = Bucket { left: self.left(*bucket, now), at: now };
        if bucket.left < 1.0 {
            return Err(Duration::from_secs_f64((1.0 - bucket.left) / self.per_second));
        }
        bucket.left -= 1.0;
        Ok(())
    }

    fn left(self, bucket: Bucket, now: Instant) -> f64 {
        let since = now.saturating_duration_since(bucket.at).as_secs_f64();
        (bucket.left + since * self.per_second).min(self.at_once)
    }
}

/// See the module.
#[derive(Debug)]
pub struct Limits {
    rate: Rate,
    buckets: Mutex<HashMap<IpAddr, Bucket>>,
}

impl Limits {
    pub fn new(per_second: u32) -> Limits {
        let per_second = f64::from(per_second);
        let rate = Rate { per_second, at_once: per_second * BURST_SECONDS };
        Limits { rate, buckets: Mutex::default() }
    }

    /// Takes one request of a client.
    ///
    /// # Errors
    /// As [`Rate::take`].
    pub fn take(&self, from: IpAddr, now: Instant) -> Result<(), Duration> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= REMEMBERED && !buckets.contains_key(&block(from)) {
            // Who has not asked for long has a full bucket, as a stranger has.
            buckets.retain(|_, bucket| self.rate.left(*bucket, now) < self.rate.at_once);
            if buckets.len() >= REMEMBERED {
                buckets.clear();
            }
        }
        self.rate.take(buckets.entry(block(from)).or_insert(self.rate.full(now)), now)
    }
}

/// The connections that each client holds.
#[derive(Debug, Default)]
pub struct Crowd(Mutex<HashMap<IpAddr, u32>>);

/// One connection, until it is dropped; without an address, one that is not counted.
#[derive(Debug)]
pub struct Held {
    of: Option<(Arc<Crowd>, IpAddr)>,
}

impl Crowd {
    /// One more connection of a client; `None` where it has as many as it may.
    pub fn hold(self: &Arc<Crowd>, from: IpAddr, most: u32) -> Option<Held> {
        let from = block(from);
        let mut held = self.lock();
        let count = held.entry(from).or_default();
        if *count >= most {
            return None;
        }
        *count += 1;
        Some(Held { of: Some((Arc::clone(self), from)) })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, u32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    pub const UNCOUNTED: Held = Held { of: None };
}

impl Drop for Held {
    fn drop(&mut self) {
        let Some((crowd, from)) = &self.of else { return };
        let mut held = crowd.lock();
        if let Some(count) = held.get_mut(from) {
            *count -= 1;
            if *count == 0 {
                held.remove(from);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    #[test]
    fn a_client_gets_its_rate_and_others_theirs() {
        let (limits, start) = (Limits::new(2), Instant::now());
        let (one, other) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        for _ in 0..20 {
            assert_eq!(limits.take(one, start), Ok(()));
        }
        assert_eq!(limits.take(one, start), Err(Duration::from_millis(500)));
        assert_eq!(limits.take(other, start), Ok(()));
        let later = start + Duration::from_millis(500);
        assert_eq!((limits.take(one, later), limits.take(one, later).is_err()), (Ok(()), true));
    }

    #[test]
    fn a_client_holds_so_many_connections_and_gives_them_back() {
        let crowd = Arc::new(Crowd::default());
        let (one, other) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        let first = crowd.hold(one, 2).expect("the first");
        let _second = crowd.hold(one, 2).expect("the second");
        assert!(crowd.hold(one, 2).is_none() && crowd.hold(other, 2).is_some());
        drop(first);
        assert!(crowd.hold(one, 2).is_some());
        assert_eq!(crowd.lock().len(), 1, "who holds nothing is not remembered");
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (limits, now) = (Limits::new(1), Instant::now());
        for at in 0..REMEMBERED as u32 * 2 {
            let _ = limits.take(Ipv4Addr::from_bits(at).into(), now);
        }
        assert!(limits.buckets.lock().expect("no panic").len() <= REMEMBERED);
    }
}
