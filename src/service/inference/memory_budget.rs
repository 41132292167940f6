//! What all models that are loaded are expected to take.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts the bytes of all loaded models; cheap to clone.
#[derive(Clone, Default)]
pub struct MemoryBudget {
    expected: Arc<AtomicU64>,
}

impl MemoryBudget {
    /// What all models that are loaded are expected to take, in bytes.
    pub fn expected_bytes(&self) -> u64 {
        self.expected.load(Ordering::Relaxed)
    }

    /// Counts a loaded model until what it gives is dropped.
    pub fn count(&self, bytes: u64) -> LoadedBytes {
        self.expected.fetch_add(bytes, Ordering::Relaxed);
        LoadedBytes {
            bytes,
            of: Arc::clone(&self.expected),
        }
    }
}

/// Keeps a loaded model counted.
pub struct LoadedBytes {
    bytes: u64,
    of: Arc<AtomicU64>,
}

impl Drop for LoadedBytes {
    fn drop(&mut self) {
        self.of.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}
