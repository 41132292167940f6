//! What a session's arenas hold: ONNX Runtime takes memory from a device in blocks, keeps them for later runs, and counts them.

use std::ffi::CStr;
use std::ptr;

use ort::AsPointer;
use ort::memory::{AllocationDevice, Allocator, AllocatorType, MemoryInfo, MemoryType};
use ort::session::Session;

use crate::model::device_memory::{DeviceMemory, Part};

/// The key of the bytes that an arena has taken from its device.
const TAKEN: &CStr = c"TotalAllocated";
/// So many runs that are no larger than one before go by between two looks.
const RUNS_BETWEEN: u32 = 256;

/// The arenas of one session that tell what they hold.
pub(super) struct Arenas {
    arenas: Vec<(Allocator, Part)>,
    /// The cells of the largest run that was looked at.
    largest: usize,
    runs: u32,
}

impl Arenas {
    /// Those of an open session, on the devices of its model. A device without one is left out.
    pub fn of(session: &Session, memory: &DeviceMemory) -> Self {
        let arena = |device: &str| {
            let (name, index) = device.split_once(':').unwrap_or((device, "0"));
            let name = match name {
                "cpu" => AllocationDevice::CPU,
                "cuda" => AllocationDevice::CUDA,
                other => AllocationDevice::new(other),
            };
            let info = MemoryInfo::new(name, index.parse().ok()?, AllocatorType::Device, MemoryType::Default);
            let allocator = Allocator::new(session, info.ok()?).ok()?;
            taken(&allocator).is_some().then_some(allocator)
        };
        let with_part = |(at, device)| Some((arena(device)?, memory.part(at)));
        let mut arenas = Self {
            arenas: memory.devices().enumerate().filter_map(with_part).collect(),
            largest: 0,
            runs: 0,
        };
        arenas.look();
        arenas
    }

    /// After a run of so many cells: looks whether more was taken, which a larger run does, and others seldom.
    pub fn after_run(&mut self, cells: usize) {
        self.runs += 1;
        if cells > self.largest || self.runs >= RUNS_BETWEEN {
            self.largest = self.largest.max(cells);
            self.look();
        }
    }

    fn look(&mut self) {
        self.runs = 0;
        for (allocator, part) in &mut self.arenas {
            part.set(taken(allocator).unwrap_or(0));
        }
    }
}

/// The bytes that an allocator has taken from its device; `None` if it does not count.
#[expect(unsafe_code, reason = "ort has no function for it")]
fn taken(allocator: &Allocator) -> Option<u64> {
    let api = ort::api();
    let mut pairs = ptr::null_mut();
    // SAFETY: the allocator is lent to us; a status and the pairs are freed once, and the value is read before.
    unsafe {
        let status = (api.AllocatorGetStats)(allocator.ptr(), &raw mut pairs);
        if !status.0.is_null() {
            (api.ReleaseStatus)(status.0);
            return None;
        }
        if pairs.is_null() {
            return None;
        }
        let value = (api.GetKeyValue)(pairs, TAKEN.as_ptr());
        let value = (!value.is_null()).then(|| CStr::from_ptr(value).to_string_lossy().into_owned());
        (api.ReleaseKeyValuePairs)(pairs);
        value?.parse().ok()
    }
}
