//! Memory budget: the RAM that all loaded models together are expected to take.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

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

/// The loads under way, which have not taken yet what they will; cheap to clone.
#[derive(Clone, Default)]
pub struct Loads(Arc<Mutex<UnderWay>>);

#[derive(Default)]
struct UnderWay {
    count: usize,
    /// What was in use when the first of them began, in bytes.
    before: u64,
    /// What all that began since are expected to take, in bytes.
    expected: u64,
}

impl Loads {
    /// What will be in use once the loads under way have taken what they are expected to, where `used` bytes are in use
    /// now.
    pub fn used_after(&self, used: u64) -> u64 {
        let now = self.0.lock();
        if now.count == 0 {
            return used;
        }
        used.max(now.before.saturating_add(now.expected))
    }

    /// Counts a load of `bytes` until the returned value is dropped, where `used` bytes are in use now.
    pub fn begin(&self, bytes: u64, used: u64) -> Load {
        let mut now = self.0.lock();
        if now.count == 0 {
            (now.before, now.expected) = (used, 0);
        }
        now.count += 1;
        now.expected = now.expected.saturating_add(bytes);
        Load(self.clone())
    }
}

/// A load under way.
pub struct Load(Loads);

impl Drop for Load {
    fn drop(&mut self) {
        self.0.0.lock().count -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loads_under_way_count_with_what_they_have_not_taken_yet() {
        let loads = Loads::default();
        assert_eq!(loads.used_after(100), 100, "none is under way");
        let first = loads.begin(50, 100);
        assert_eq!(loads.used_after(100), 150, "it has taken nothing yet");
        assert_eq!(loads.used_after(130), 150, "it has taken a part");
        let second = loads.begin(200, 130);
        assert_eq!(loads.used_after(140), 350);
        assert_eq!(loads.used_after(400), 400, "more than was expected");
        drop(first);
        assert_eq!(loads.used_after(160), 350, "what it took is there, the other goes on");
        drop(second);
        assert_eq!(loads.used_after(340), 340);
        let _third = loads.begin(10, 340);
        assert_eq!(loads.used_after(340), 350, "counted from now on");
    }
}
