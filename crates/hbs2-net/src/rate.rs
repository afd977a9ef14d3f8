//! How fast bytes may pass, all links together.
//!
//! Whoever has moved bytes pays for them, and waits as long as the account is overdrawn. Debts add up, so those who come
//! later wait longer, and nobody is passed over. What may pass at once is a tenth of a second's worth: less would cost
//! wake-ups, more would be felt by whoever shares the line.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What may pass at once when a tenth of a second's worth is less, in bytes: some datagrams, or a quarter of the
/// longest chunk.
const PIECE_BYTES_MIN: u64 = 16 * 1024;

/// Pieces in a second.
const PIECES: u64 = 10;

/// A limit that may change at any time.
#[derive(Debug)]
pub(crate) struct Rate {
    /// Bytes a second, 0 for no limit.
    per_second: AtomicU64,
    account: Mutex<Account>,
}

#[derive(Debug)]
struct Account {
    /// Bytes that may pass at once; overdrawn below zero.
    bytes: i64,
    at: Instant,
}

impl Default for Rate {
    fn default() -> Self {
        Self { per_second: AtomicU64::new(0), account: Mutex::new(Account { bytes: 0, at: Instant::now() }) }
    }
}

impl Rate {
    /// Sets the limit in bytes a second; `None` for none. Debts are forgotten.
    pub(crate) fn set(&self, per_second: Option<u64>) {
        let per_second = per_second.unwrap_or(0);
        if self.per_second.swap(per_second, Ordering::Relaxed) != per_second {
            *self.account() = Account { bytes: 0, at: Instant::now() };
        }
    }

    /// What had better be moved at once, in bytes.
    pub(crate) fn piece(&self) -> usize {
        match self.per_second.load(Ordering::Relaxed) {
            0 => usize::MAX,
            rate => usize::try_from((rate / PIECES).max(PIECE_BYTES_MIN)).unwrap_or(usize::MAX),
        }
    }

    /// Pays for bytes that have been moved; waits while the account is overdrawn.
    pub(crate) async fn spend(&self, bytes: usize) {
        if self.per_second.load(Ordering::Relaxed) > 0 {
            let wait = self.charge(Instant::now(), bytes);
            if !wait.is_zero() {
                tokio::time::sleep(wait).await;
            }
        }
    }

    /// Charges bytes; how long whoever moved them is to wait.
    fn charge(&self, now: Instant, bytes: usize) -> Duration {
        let rate = self.per_second.load(Ordering::Relaxed);
        if rate == 0 {
            return Duration::ZERO;
        }
        let piece = i64::try_from(self.piece()).unwrap_or(i64::MAX);
        let mut account = self.account();
        let passed = now.saturating_duration_since(account.at);
        let earned = u128::from(rate) * passed.as_micros() / 1_000_000;
        account.bytes = account.bytes.saturating_add(i64::try_from(earned).unwrap_or(i64::MAX)).min(piece);
        account.bytes = account.bytes.saturating_sub(i64::try_from(bytes).unwrap_or(i64::MAX));
        account.at = now;
        match u64::try_from(-account.bytes) {
            Ok(debt) => Duration::from_micros(debt.saturating_mul(1_000_000) / rate),
            Err(_) => Duration::ZERO,
        }
    }

    fn account(&self) -> MutexGuard<'_, Account> {
        self.account.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_kept_over_time_whatever_the_pieces() {
        for piece in [100, 10_000, 300_000] {
            let rate = Rate::default();
            rate.set(Some(1_000_000));
            let start = Instant::now();
            let (mut now, mut moved) = (start, 0);
            while moved < 3_000_000 {
                moved += piece;
                now += rate.charge(now, piece);
            }
            let took = (now - start).as_millis();
            assert!((2_850..=3_300).contains(&took), "pieces of {piece} took {took} ms");
        }
    }

    #[test]
    fn a_rest_saves_a_tenth_of_a_second_and_no_more() {
        let rate = Rate::default();
        rate.set(Some(1_000_000));
        let later = Instant::now() + Duration::from_secs(60);
        assert_eq!(rate.charge(later, 100_000), Duration::ZERO);
        assert_eq!(rate.charge(later, 100_000), Duration::from_millis(100));
    }

    #[test]
    fn without_a_limit_nobody_waits() {
        let rate = Rate::default();
        assert_eq!((rate.charge(Instant::now(), usize::MAX), rate.piece()), (Duration::ZERO, usize::MAX));
        rate.set(Some(1_000));
        rate.charge(Instant::now(), 1_000_000);
        rate.set(None);
        assert_eq!(rate.charge(Instant::now(), 1), Duration::ZERO);
    }
}
