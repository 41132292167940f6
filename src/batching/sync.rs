//! Locks: those of the standard library, or, under the feature `shuttle`, those of the model checker that tries out
//! their orders. Nothing else in `batching` may wait. All other locks of this crate are `parking_lot`'s, which the checker
//! can't stand in for.

#[cfg(not(feature = "shuttle"))]
pub use std::sync::{Arc, Condvar, Mutex, MutexGuard, atomic};

#[cfg(feature = "shuttle")]
pub use shuttle::sync::{Arc, Condvar, Mutex, MutexGuard, atomic};

/// Takes a lock, even if a thread panicked with it: each change of what it guards is one call that leaves it whole.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
