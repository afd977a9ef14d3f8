//! Random numbers that grow from a seed: nonces, cookies, jitter.

use std::fmt;
use std::time::Duration;

use hbs2_core::Hash;

/// BLAKE2b of the seed and a counter, cut into the numbers asked for. Whoever does not know the seed cannot guess
/// them; whoever sets it gets the same run again.
#[derive(Clone)]
pub(crate) struct Random {
    seed: [u8; 32],
    counter: u64,
    /// Bytes made and not yet used, taken from the end.
    left: Vec<u8>,
}

impl fmt::Debug for Random {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Random(secret)")
    }
}

impl Random {
    pub(crate) fn new(seed: [u8; 32]) -> Self {
        Self { seed, counter: 0, left: Vec::with_capacity(Hash::BYTES) }
    }

    pub(crate) fn bytes<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| self.byte())
    }

    pub(crate) fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.bytes())
    }

    /// A number below `end`, which is not zero. The bias of the remainder does not matter for choices.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        u64::from_le_bytes(self.bytes()) as usize % end
    }

    /// `around`, made up to a quarter shorter or longer, so that peers that failed together do not return together.
    pub(crate) fn jitter(&mut self, around: Duration) -> Duration {
        around * (192 + self.u32() % 129) / 256
    }

    fn byte(&mut self) -> u8 {
        if self.left.is_empty() {
            self.left.extend_from_slice(
                Hash::of_parts([&self.seed[..], &self.counter.to_le_bytes()[..]]).as_bytes(),
            );
            self.counter += 1;
        }
        self.left.pop().expect("filled when empty")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_gives_one_run() {
        let (mut a, mut b, mut c) = (Random::new([1; 32]), Random::new([1; 32]), Random::new([2; 32]));
        let (x, y, z): ([u8; 40], [u8; 40], [u8; 40]) = (a.bytes(), b.bytes(), c.bytes());
        assert_eq!(x, y);
        assert_ne!(x, z);
    }

    #[test]
    fn jitter_stays_within_a_quarter() {
        let mut random = Random::new([0; 32]);
        for _ in 0..1000 {
            let jittered = random.jitter(Duration::from_millis(1000)).as_millis();
            assert!((750..=1250).contains(&jittered), "{jittered}");
        }
    }
}
