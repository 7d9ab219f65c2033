//! Numbers that look random and follow from a seed.

use std::sync::{Mutex, PoisonError};

use karvan_system::Entropy;

/// A generator (SplitMix64) that replays alike for one seed. Never for real keys.
pub struct Dice(Mutex<u64>);

impl Dice {
    /// Makes a generator.
    pub const fn new(seed: u64) -> Self {
        Self(Mutex::new(seed))
    }

    /// Returns the next number.
    pub fn roll(&self) -> u64 {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number below `bound`.
    pub fn below(&self, bound: u64) -> u64 {
        self.roll() % bound
    }
}

impl Entropy for Dice {
    fn fill(&self, buffer: &mut [u8]) {
        for chunk in buffer.chunks_mut(8) {
            let bytes = self.roll().to_le_bytes();
            chunk.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
        }
    }
}
