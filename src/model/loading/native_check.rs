//! Whether a model may run without ONNX Runtime: only if it then gives the answers that ONNX Runtime gives.

use super::golden::Report;
use super::load_types::FastPath;
use crate::model::linear::NativeRunner;
use crate::model::manifest::Manifest;
use crate::model::model_error::ModelError;
use crate::model::onnx::{OnnxBytes, OnnxRunner, RunLimit};
use crate::model::own_texts;
use crate::model::preprocess::Preprocessor;
use crate::model::runner::{RunError, Runner};
use crate::model::sample::Sample;

/// How far a logit may be from ONNX Runtime's; relative for logits above 1. Both round to 32 bits a few times.
const TOLERANCE: f32 = 1e-5;
/// The widths of the rows of ids that are compared.
const WIDTHS: [usize; 3] = [1, 7, 64];

/// The model without ONNX Runtime, if that is asked for and its file is one that `tandem train` wrote.
pub fn recognised(
    fast_path: FastPath,
    manifest: &Manifest,
    bytes: &OnnxBytes,
    limit: &RunLimit,
) -> Option<NativeRunner> {
    let file = bytes.whole().filter(|_| fast_path == FastPath::Native)?;
    NativeRunner::of(manifest, file, limit.off())
}

/// What runs the model: a runner without ONNX Runtime in the place of each session, if there is one.
pub fn instances(native: Option<&NativeRunner>, sessions: Vec<OnnxRunner>) -> Vec<Box<dyn Runner>> {
    let one = |session| match native {
        Some(native) => Box::new(native.clone()) as Box<dyn Runner>,
        None => Box::new(session),
    };
    sessions.into_iter().map(one).collect()
}

/// The runner, if it passes the golden examples, which ONNX Runtime has passed, and says what `reference` says of rows of our
/// own. If it does not, a line in the log tells, and the model runs in ONNX Runtime.
pub fn held(
    native: Option<NativeRunner>,
    passes: impl FnOnce(&mut NativeRunner) -> Result<Report, ModelError>,
    reference: &mut dyn Runner,
    preprocessor: &Preprocessor,
    sample: &Sample,
) -> Option<NativeRunner> {
    let mut native = native?;
    let golden = passes(&mut native).map_err(|error| error.to_string());
    let agrees = golden.and_then(|_| agree(&mut native, reference, preprocessor, sample));
    if let Err(problem) = &agrees {
        tracing::warn!(
            problem,
            "a fast model runs in ONNX Runtime: a sum of our own gives other answers"
        );
    }
    agrees.is_ok().then_some(native)
}

/// Holds a runner to what ONNX Runtime, `reference`, says of rows of our own. The error is a part of a line.
fn agree(
    native: &mut NativeRunner,
    reference: &mut dyn Runner,
    preprocessor: &Preprocessor,
    sample: &Sample,
) -> Result<(), String> {
    let told = |error: RunError| error.to_string();
    let of_sample = WIDTHS.map(|width| sample.of_width(width));
    for row in own_texts::rows(preprocessor).chain(of_sample) {
        let (found, expected) = (
            native.run(&[&row]).map_err(told)?,
            reference.run(&[&row]).map_err(told)?,
        );
        if found.dim() != expected.dim() {
            return Err(format!("{:?} logits come back for {:?}", found.dim(), expected.dim()));
        }
        for (found, expected) in found.iter().zip(&expected) {
            let difference = (found - expected).abs();
            // A difference that is no number is none that is allowed.
            if difference.is_nan() || difference > TOLERANCE * expected.abs().max(1.0) {
                return Err(format!("a logit is {found}, and {expected} in ONNX Runtime"));
            }
        }
    }
    Ok(())
}
