//! The proof system: sumcheck, one logup-GKR for all lookups, the batched linear part, keys.

pub mod lookup;
