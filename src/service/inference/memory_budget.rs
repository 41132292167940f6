//! Memory budget: the RAM that all loaded models together are expected to take.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The sum of the expected bytes of all loaded models; cheap to clone.
#[derive(Clone, Default)]
pub struct MemoryBudget {
    expected: Arc<AtomicU64>,
}

impl MemoryBudget {
    /// The RAM that all loaded models are expected to take, in bytes.
    pub fn expected_bytes(&self) -> u64 {
        self.expected.load(Ordering::Relaxed)
    }

    /// Adds a model of `bytes` until the returned value is dropped.
    pub fn count(&self, bytes: u64) -> LoadedBytes {
        self.expected.fetch_add(bytes, Ordering::Relaxed);
        LoadedBytes {
            bytes,
            of: Arc::clone(&self.expected),
        }
    }
}

/// Holds a loaded model's bytes in the sum; takes them out when dropped.
pub struct LoadedBytes {
    bytes: u64,
    of: Arc<AtomicU64>,
}

impl Drop for LoadedBytes {
    fn drop(&mut self) {
        self.of.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}
