//! The metric of the memory that the sessions of loaded versions hold, by device. Read when metrics are rendered, since it
//! grows with the largest batches.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;

use crate::model::device_memory::DeviceMemory;

/// The tallies of all loaded versions, by model and version. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct LoadedMemory(Arc<Mutex<BTreeMap<(String, String), DeviceMemory>>>);

impl LoadedMemory {
    /// Sets or removes the tallies of a version.
    pub fn set(&self, model: &str, version: &str, memory: Option<DeviceMemory>) {
        let key = (model.to_owned(), version.to_owned());
        let mut all = self.0.lock();
        match memory {
            Some(memory) => drop(all.insert(key, memory)),
            None => drop(all.remove(&key)),
        }
    }
}

impl Collector for LoadedMemory {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let all = self.0.lock();
        let mut family = encoder.encode_descriptor(
            "model_device_memory_bytes",
            "Memory that the arenas of ONNX Runtime hold for a loaded version, by device",
            None,
            MetricType::Gauge,
        )?;
        for ((model, version), memory) in all.iter() {
            for (device, bytes) in memory.bytes() {
                let labels = [("model", model.as_str()), ("version", version), ("device", device)];
                let gauge = ConstGauge::new(i64::try_from(bytes).unwrap_or(i64::MAX));
                gauge.encode(family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}
