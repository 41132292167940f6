//! Builds the tensors that a graph takes from a batch: padded ids, masks, texts.

use std::sync::Arc;

use half::f16;
use ort::session::SessionInputValue;
use ort::value::Tensor;

use crate::model::input::ModelInput;

/// What an input of the graph is fed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FeedKind {
    TokenIds,
    AttentionMask,
    TokenTypeIds,
    Positions { first: u32 },
    FeatureIds,
    FeatureScale,
    Texts { columns: bool },
}

/// The type of the numbers that an input holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Numbers {
    /// The usual type of this kind of input; for transformers 64-bit integers.
    Usual,
    I32,
    F32,
    F16,
    Bool,
}

/// The shape that batches are padded to, if the graph takes only one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Fixed {
    pub rows: Option<usize>,
    pub width: Option<usize>,
}

/// Builds one padded input. If the graph has a fixed number of rows, copies of the first row fill the batch up.
pub(super) fn tensor_for(
    kind: FeedKind,
    numbers: Numbers,
    fixed: Fixed,
    inputs: &[&ModelInput],
    pad_id: u32,
) -> Result<SessionInputValue<'static>, ort::Error> {
    let missing = fixed.rows.unwrap_or(0).saturating_sub(inputs.len());
    let filled: Vec<&ModelInput>;
    let mut all = inputs;
    if let (1.., Some(first)) = (missing, inputs.first()) {
        filled = inputs
            .iter()
            .copied()
            .chain(std::iter::repeat_n(*first, missing))
            .collect();
        all = &filled;
    }
    let inputs = all;
    let rows = inputs.len();
    let widest = inputs.iter().map(|input| input.width()).max().unwrap_or(0);
    // A row has at least one cell, which may be padding: some graphs can't run on empty rows.
    let width = fixed.width.unwrap_or(widest).max(1);
    let shape = [rows, width];
    Ok(match kind {
        FeedKind::TokenIds => {
            let values = padded(inputs, width, i64::from(pad_id), |input| {
                input.ids().iter().map(|&id| i64::from(id))
            });
            integers(shape, values, numbers)?
        }
        FeedKind::AttentionMask => {
            let values = padded(inputs, width, 0, |input| input.ids().iter().map(|_| 1_i64));
            integers(shape, values, numbers)?
        }
        FeedKind::TokenTypeIds => {
            let values = padded(inputs, width, 0, |input| {
                type_ids(input).iter().map(|&id| i64::from(id))
            });
            integers(shape, values, numbers)?
        }
        FeedKind::Positions { first } => {
            // A position that does not count is the one before the first; the mask hides it anyway.
            let none = i64::from(first.saturating_sub(1));
            let values = padded(inputs, width, none, |input| (i64::from(first)..).take(input.width()));
            integers(shape, values, numbers)?
        }
        FeedKind::FeatureIds => {
            // There are at most 2^30 buckets, so ids fit an i32.
            let values = padded(inputs, width, pad_id as i32, |input| {
                input.ids().iter().map(|&id| id as i32)
            });
            Tensor::from_array((shape, values))?.into()
        }
        FeedKind::FeatureScale => {
            let values: Vec<f32> = inputs
                .iter()
                .map(|input| 1.0 / (input.width().max(1) as f32).sqrt())
                .collect();
            Tensor::from_array(([rows], values))?.into()
        }
        FeedKind::Texts { columns } => {
            let texts: Vec<Arc<str>> = inputs.iter().map(|input| text(input)).collect();
            if columns {
                Tensor::from_string_array(([rows, 1], texts.as_slice()))?.into()
            } else {
                Tensor::from_string_array(([rows], texts.as_slice()))?.into()
            }
        }
    })
}

fn integers(shape: [usize; 2], values: Vec<i64>, numbers: Numbers) -> Result<SessionInputValue<'static>, ort::Error> {
    // Ids, positions and token types fit 32-bit integers; only masks may be fed as other types.
    let values = values.into_iter();
    Ok(match numbers {
        Numbers::Usual => Tensor::from_array((shape, values.collect::<Vec<_>>()))?.into(),
        Numbers::I32 => Tensor::from_array((shape, values.map(|value| value as i32).collect::<Vec<_>>()))?.into(),
        Numbers::F32 => Tensor::from_array((shape, values.map(|value| value as f32).collect::<Vec<_>>()))?.into(),
        Numbers::F16 => {
            let values: Vec<f16> = values.map(|value| f16::from_f32(value as f32)).collect();
            Tensor::from_array((shape, values))?.into()
        }
        Numbers::Bool => Tensor::from_array((shape, values.map(|value| value != 0).collect::<Vec<_>>()))?.into(),
    })
}

fn padded<'a, T: Copy, I: Iterator<Item = T>>(
    inputs: &[&'a ModelInput],
    width: usize,
    pad: T,
    row: impl Fn(&'a ModelInput) -> I,
) -> Vec<T> {
    let mut values = Vec::with_capacity(inputs.len() * width);
    for (at, input) in inputs.iter().enumerate() {
        values.extend(row(input));
        values.resize((at + 1) * width, pad);
    }
    values
}

fn type_ids(input: &ModelInput) -> &[u32] {
    match input {
        ModelInput::Tokens { type_ids, .. } => type_ids,
        ModelInput::Features(_) | ModelInput::Text(_) => &[],
    }
}

fn text(input: &ModelInput) -> Arc<str> {
    match input {
        ModelInput::Text(text) => Arc::clone(text),
        ModelInput::Tokens { .. } | ModelInput::Features(_) => Arc::from(""),
    }
}
