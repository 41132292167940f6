//! scikit-learn exports (skl2onnx): one string input, a label and probabilities.

use super::onnx_file::ChosenOnnx;
use super::{Notes, Place};
use crate::model::manifest::Manifest;

/// What the manifest of such a folder would say; what is wrong goes into the notes.
pub(super) fn examine(_place: &Place<'_>, onnx: &ChosenOnnx, notes: &mut Notes) -> Option<Manifest> {
    notes.wrong(
        format!("{}: reads strings, and has no manifest", onnx.file),
        "write a manifest.toml with preprocess.kind = \"string\"",
    );
    None
}
