//! Rolling versions out and back: as operators say, and what a canary's counts say.
//!
//! In reading order: [`operations`] (what operators say) → [`auto_rollback`] (one task a canary, which ends it if it does badly) →
//! [`canary_comparison`] (its texts, answered by the stable version too).

pub mod auto_rollback;
pub mod canary_comparison;
pub mod operations;
