//! Runs a linear model without ONNX Runtime: a sum for each text, in the arithmetic of the graph that `tandem train` writes.
//!
//! ONNX Runtime stays the reference. A load opens the graph in it, holds it to the golden examples, and then holds this to
//! both: see `loading/native_check.rs`.

use std::sync::Arc;

use ndarray::Array2;

use super::graph;
use super::weights::{Link, Quantised};
use crate::model::input::ModelInput;
use crate::model::limited::CallOff;
use crate::model::manifest::{Manifest, OutputKind, Preprocess};
use crate::model::runner::{RunError, Runner, SharedRunner};

/// A linear model that any number of threads run at once; cheap to clone.
#[derive(Clone)]
pub struct NativeRunner {
    model: Arc<Quantised>,
    link: Link,
    classes: usize,
    off: CallOff,
    /// Room to add up in.
    sums: Vec<i32>,
}

impl NativeRunner {
    /// The model in an ONNX file, if it is one that `tandem train` wrote for such a manifest. `off` ends its runs.
    pub fn of(manifest: &Manifest, file: &[u8], off: CallOff) -> Option<Self> {
        let Preprocess::HashedNgrams(features) = &manifest.preprocess else {
            return None;
        };
        let classes = manifest.labels.len();
        let link = Link::of(manifest.problem_type, classes);
        let model = graph::read(file, link, classes)?;
        let is_its_own = manifest.onnx.output == "logits"
            && manifest.onnx.output_kind == OutputKind::Logits
            && model.buckets() == features.buckets as usize;
        is_its_own.then(|| Self {
            model: Arc::new(model),
            link,
            classes,
            off,
            sums: Vec::new(),
        })
    }

    /// Which buckets have a weight, a bit each: features in the others say nothing, since no text of the training had them.
    pub fn known_buckets(&self) -> Vec<u64> {
        self.model.known_buckets()
    }

    /// Refuses a run of a model whose runs are called off.
    fn check(&self) -> Result<(), RunError> {
        if self.off.is_off() {
            return Err(RunError("its runs were called off".into()));
        }
        Ok(())
    }
}

impl SharedRunner for NativeRunner {
    fn run_shared(&self, inputs: &[ModelInput]) -> Result<Vec<Vec<f32>>, RunError> {
        self.check()?;
        let mut sums = Vec::new();
        let row = |input: &ModelInput| match input {
            ModelInput::Features(ids) => Ok(self.model.logits(self.link, ids, &mut sums)),
            ModelInput::Tokens { .. } | ModelInput::Text(_) => Err(no_features()),
        };
        inputs.iter().map(row).collect()
    }
}

fn no_features() -> RunError {
    RunError("a linear model takes features".into())
}

impl Runner for NativeRunner {
    fn run(&mut self, inputs: &[&ModelInput]) -> Result<Array2<f32>, RunError> {
        self.check()?;
        let mut values = Vec::with_capacity(inputs.len() * self.classes);
        for input in inputs {
            let ModelInput::Features(ids) = input else {
                return Err(no_features());
            };
            values.extend(self.model.logits(self.link, ids, &mut self.sums));
        }
        Array2::from_shape_vec((inputs.len(), self.classes), values).map_err(|error| RunError(error.to_string()))
    }

    fn reopen(&self) -> Result<Box<dyn Runner>, RunError> {
        Ok(Box::new(self.clone()))
    }
}
