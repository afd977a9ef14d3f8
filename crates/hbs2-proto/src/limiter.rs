//! Inbound limits.

use std::time::{Duration, Instant};

/// A bucket that holds some tokens and is refilled at a steady rate.
#[derive(Debug, Clone)]
pub(crate) struct Bucket {
    tokens: u32,
    size: u32,
    refill: Duration,
    at: Instant,
}

impl Bucket {
    /// A full bucket of `size` tokens; one comes back each `refill`.
    pub(crate) fn new(now: Instant, size: u32, refill: Duration) -> Self {
        Self { tokens: size, size, refill, at: now }
    }

    /// Takes a token, if there is one.
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        self.take_many(now, 1)
    }

    /// Takes so many tokens, if there are.
    pub(crate) fn take_many(&mut self, now: Instant, count: u32) -> bool {
        let passed = now.saturating_duration_since(self.at);
        let back = u32::try_from(passed.as_nanos() / self.refill.as_nanos()).unwrap_or(u32::MAX);
        if back >= self.size - self.tokens {
            self.tokens = self.size;
            self.at = now;
        } else {
            self.tokens += back;
            self.at += self.refill * back;
        }
        let has = self.tokens >= count;
        if has {
            self.tokens -= count;
        }
        has
    }

    /// Puts back a token that was taken.
    pub(crate) fn give_back(&mut self) {
        self.tokens = self.size.min(self.tokens + 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_then_the_rate_holds() {
        let start = Instant::now();
        let mut bucket = Bucket::new(start, 3, Duration::from_secs(1));
        let taken = |bucket: &mut Bucket, seconds: u64| {
            (0..9).filter(|_| bucket.take(start + Duration::from_secs(seconds))).count()
        };
        assert_eq!(taken(&mut bucket, 0), 3);
        assert_eq!(taken(&mut bucket, 2), 2);
        assert_eq!(taken(&mut bucket, 100), 3);
        (0..9).for_each(|_| bucket.give_back());
        assert_eq!(taken(&mut bucket, 100), 3, "never more than its size");
    }
}
