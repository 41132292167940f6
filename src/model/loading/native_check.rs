//! Whether a model may run without ONNX Runtime: only if it then gives the answers that ONNX Runtime gives.

use crate::model::linear::NativeRunner;
use crate::model::own_texts;
use crate::model::preprocess::Preprocessor;
use crate::model::runner::{RunError, Runner};
use crate::model::sample::Sample;

/// How far a logit may be from ONNX Runtime's; relative for logits above 1. Both round to 32 bits a few times.
const TOLERANCE: f32 = 1e-5;
/// The widths of the rows of ids that are compared.
const WIDTHS: [usize; 3] = [1, 7, 64];

/// Holds a runner to what ONNX Runtime, `reference`, says of rows of our own. The error is a part of a line.
pub fn agree(
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
