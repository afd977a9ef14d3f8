//! Peers that deliver wrong blocks.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use hbs2_core::SignPublicKey;

use crate::session::STRIKES_MAX;

/// Time after which a strike is forgotten.
const DECAY: Duration = Duration::from_secs(600);

/// How long a peer with too many strikes is not asked.
const SHUN: Duration = Duration::from_secs(600);

/// Peers remembered, at most; the least recent go first.
const PEERS_MAX: usize = 1024;

/// Strikes by peer, with the time of the last.
#[derive(Debug, Default)]
pub(crate) struct Strikes {
    peers: BTreeMap<SignPublicKey, (u32, Instant)>,
}

impl Strikes {
    /// Notes a wrong block; how many there are lately.
    pub(crate) fn strike(&mut self, now: Instant, peer: SignPublicKey) -> u32 {
        let count = self.count(now, &peer) + 1;
        self.peers.insert(peer, (count, now));
        if self.peers.len() > PEERS_MAX {
            let oldest = self.peers.iter().min_by_key(|(_, (_, at))| *at).map(|(peer, _)| *peer);
            oldest.and_then(|peer| self.peers.remove(&peer));
        }
        count
    }

    /// Strikes lately.
    pub(crate) fn count(&self, now: Instant, peer: &SignPublicKey) -> u32 {
        let Some((count, at)) = self.peers.get(peer) else { return 0 };
        let spans = now.saturating_duration_since(*at).as_secs() / DECAY.as_secs();
        count.saturating_sub(u32::try_from(spans).unwrap_or(u32::MAX))
    }

    /// Until when a peer is not to be asked.
    pub(crate) fn shunned(&self, now: Instant, peer: &SignPublicKey) -> Option<Instant> {
        let (count, at) = self.peers.get(peer)?;
        Some(*at + SHUN).filter(|until| *count >= STRIKES_MAX && now < *until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strikes_shun_for_a_while_and_are_forgotten() {
        let (start, eve) = (Instant::now(), SignPublicKey::from_bytes([3; 32]));
        let mut strikes = Strikes::default();
        for count in 1..=STRIKES_MAX {
            assert_eq!(strikes.shunned(start, &eve), None);
            assert_eq!(strikes.strike(start, eve), count);
        }
        assert_eq!(strikes.shunned(start, &eve), Some(start + SHUN));
        let later = start + 2 * DECAY;
        assert_eq!((strikes.shunned(later, &eve), strikes.count(later, &eve)), (None, STRIKES_MAX - 2));
    }
}
