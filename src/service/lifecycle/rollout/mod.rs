//! Roll-out of versions, and roll-back: by operators, and by a canary's counts.
//!
//! In reading order: [`operations`] (operators' commands) → [`auto_rollback`] (one task for each canary, which ends it
//! if it does badly) → [`canary_comparison`] (the canary's texts, answered by the stable version too) → [`following`]
//! (what other servers were told).

pub mod auto_rollback;
pub mod canary_comparison;
pub mod following;
pub mod operations;
