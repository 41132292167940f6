//! The memory that the sessions of a model hold on each device. Pure: `onnx/arenas.rs` reads the figures.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The tallies of a model, one a device. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct DeviceMemory(Arc<[Tally]>);

#[derive(Debug)]
struct Tally {
    device: String,
    bytes: AtomicU64,
}

impl DeviceMemory {
    /// Tallies for these devices, such as `cpu` and `cuda:0`.
    pub fn of(devices: impl IntoIterator<Item = String>) -> Self {
        let tally = |device| Tally {
            device,
            bytes: AtomicU64::new(0),
        };
        Self(devices.into_iter().map(tally).collect())
    }

    /// The bytes that its sessions hold, by device; without those of which nothing is held or nothing known.
    pub fn bytes(&self) -> impl Iterator<Item = (&str, u64)> {
        let held = |tally: &Tally| tally.bytes.load(Ordering::Relaxed);
        let all = self.0.iter().map(move |tally| (tally.device.as_str(), held(tally)));
        all.filter(|&(_, bytes)| bytes > 0)
    }

    /// The devices, in the order of the tallies.
    pub fn devices(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|tally| tally.device.as_str())
    }

    /// The part of one session on the device at this place. Starts with nothing.
    pub fn part(&self, at: usize) -> Part {
        Part {
            of: self.clone(),
            at,
            bytes: 0,
        }
    }
}

/// What one session holds on one device; given back when it is dropped.
#[derive(Debug)]
pub struct Part {
    of: DeviceMemory,
    at: usize,
    bytes: u64,
}

impl Part {
    /// Sets what the session holds now.
    pub fn set(&mut self, bytes: u64) {
        let Some(tally) = self.of.0.get(self.at) else { return };
        // It wraps around where a part shrinks, and so is right again.
        tally.bytes.fetch_add(bytes.wrapping_sub(self.bytes), Ordering::Relaxed);
        self.bytes = bytes;
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.set(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_add_up_by_device_and_are_given_back() {
        let memory = DeviceMemory::of(["cpu".to_owned(), "cuda:0".to_owned()]);
        let told = || memory.bytes().map(|(_, bytes)| bytes).collect::<Vec<_>>();
        let (mut one, mut other, mut beyond) = (memory.part(1), memory.part(1), memory.part(2));
        one.set(100);
        other.set(50);
        beyond.set(7);
        assert_eq!(told(), [150]);
        one.set(40);
        assert_eq!(told(), [90]);
        drop(one);
        assert_eq!(told(), [50]);
        drop(other);
        assert!(told().is_empty());
        assert_eq!(memory.devices().collect::<Vec<_>>(), ["cpu", "cuda:0"]);
    }
}
