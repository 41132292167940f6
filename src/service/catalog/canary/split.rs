//! Which clients get the canary: a share of them, by a hash that every replica and every build computes alike. A
//! request that names a version gets that one instead.

use sha2::{Digest, Sha256};

use crate::service::messages::ClientKey;

/// Whether a client belongs to the `share` (0 to 1) of clients that get this version of a model. A client that belongs
/// to a share also belongs to every larger one. Another version is tried on other clients first.
pub fn gets_canary(client: ClientKey, model: &str, version: &str, share: f64) -> bool {
    // The upper 53 bits: as many as a double keeps.
    const STEPS: f64 = (1_u64 << 53) as f64;
    let mut hasher = Sha256::new();
    hasher.update(model);
    hasher.update([0]);
    hasher.update(version);
    hasher.update([0]);
    hasher.update(client.0.to_le_bytes());
    let digest: [u8; 32] = hasher.finalize().into();
    let first = digest.first_chunk::<8>().map_or(0, |bytes| u64::from_be_bytes(*bytes));
    ((first >> 11) as f64) / STEPS < share
}

#[cfg(test)]
mod tests {
    use super::*;

    fn takers(version: &str, share: f64) -> Vec<u64> {
        let taken = |client: &u64| gets_canary(ClientKey(*client), "a", version, share);
        (0..10_000).filter(taken).collect()
    }

    #[test]
    fn a_share_of_clients_gets_it_and_keeps_it_while_the_share_grows() {
        let tenth = takers("2", 0.1);
        assert!((900..1100).contains(&tenth.len()), "{}", tenth.len());
        let half = takers("2", 0.5);
        assert!((4800..5200).contains(&half.len()), "{}", half.len());
        assert!(tenth.iter().all(|client| half.contains(client)));
        assert_eq!((takers("2", 0.0).len(), takers("2", 1.0).len()), (0, 10_000));
    }

    #[test]
    fn another_version_is_tried_on_others() {
        let (second, third) = (takers("2", 0.1), takers("3", 0.1));
        let both = second.iter().filter(|client| third.contains(client)).count();
        assert!((50..200).contains(&both), "{both}");
    }

    #[test]
    fn replicas_and_builds_agree() {
        // The hash's values are fixed here: a changed hash would send clients elsewhere in the middle of a roll-out.
        let first: Vec<u64> = takers("2", 0.001).into_iter().take(3).collect();
        assert_eq!(first, PINNED);
    }

    const PINNED: [u64; 3] = [765, 1686, 1706];
}
