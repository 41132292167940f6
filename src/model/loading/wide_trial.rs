//! A wide session that is still to be opened: that takes time, and the model serves without it.

use std::time::Instant;

use super::cost_probe::ShapeBounds;
use crate::model::manifest::Manifest;
use crate::model::neighbours::{self, Alone, Neighbours};
use crate::model::onnx::{OnnxBytes, OnnxRunner, RunLimit, Runtime, SessionSettings, SharedWeights, Source};
use crate::model::runner::Runner;
use crate::model::runtime::wide_session::WideSlot;
use crate::model::sample::Sample;
use crate::model::warm_up::warm_up;

/// Everything that a wide session is made of, and what it is held to.
pub struct WideTrial {
    pub(super) slot: WideSlot,
    pub(super) threads: usize,
    pub(super) manifest: Manifest,
    pub(super) bytes: OnnxBytes,
    pub(super) weights: Option<SharedWeights>,
    pub(super) pad_id: u32,
    pub(super) limit: RunLimit,
    pub(super) runtime: &'static Runtime,
    pub(super) sample: Sample,
    pub(super) bounds: ShapeBounds,
    pub(super) neighbours: Neighbours,
    /// Rows with the outputs that a narrow session had for them.
    pub(super) alone: Vec<Alone>,
}

impl WideTrial {
    /// Opens the session and puts it where the instances look for it, or logs why not. Gives up between two steps once
    /// `is_over` says so. Blocks.
    pub fn run(self, is_over: &dyn Fn() -> bool) {
        let started = Instant::now();
        let (slot, model, threads) = (self.slot.clone(), self.manifest.name.clone(), self.threads);
        let opened = self.open(is_over);
        match opened {
            Ok(Some(runner)) => {
                slot.put(runner);
                let took_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
                tracing::info!(
                    model,
                    threads,
                    took_ms,
                    "a session of more threads stands by for quiet moments"
                );
            }
            Ok(None) => {}
            Err(problem) => tracing::warn!(model, threads, problem, "no session of more threads can be opened"),
        }
    }

    /// Opens the session. `None` if its answers differ from those of the others, or if `is_over` says that nobody needs
    /// it any more. The error is a part of a line.
    pub fn open(self, is_over: &dyn Fn() -> bool) -> Result<Option<Box<dyn Runner>>, String> {
        let source = Source {
            bytes: &self.bytes,
            manifest: &self.manifest,
            pad_id: self.pad_id,
            weights: self.weights.as_ref(),
            limit: &self.limit,
        };
        let mut runner = OnnxRunner::load(self.runtime, source, SessionSettings::wide(self.threads))?;
        if is_over() {
            return Ok(None);
        }
        warm_up(&mut runner, &self.sample, self.bounds).map_err(|error| error.to_string())?;
        if is_over() {
            return Ok(None);
        }
        if let Some(moved) =
            neighbours::moved_elsewhere(&mut [&mut runner], &self.alone, self.neighbours, self.bounds.cells)
        {
            let model = &self.manifest.name;
            tracing::warn!(
                model,
                moved,
                "its answers move with the number of threads, so idle_threads is 1 for it"
            );
            return Ok(None);
        }
        Ok(Some(Box::new(runner)))
    }
}
