//! Finds out from the manifest what each input of a graph is fed with.

use ort::value::{Outlet, TensorElementType};

use super::inputs::{FeedKind, Fixed, Numbers};
use crate::model::manifest::{Manifest, Preprocess};

#[derive(Clone)]
pub(super) struct Feed {
    pub(super) name: String,
    pub(super) kind: FeedKind,
    pub(super) numbers: Numbers,
}

pub(super) fn feed_for(input: &Outlet, manifest: &Manifest) -> Result<Feed, String> {
    let name = input.name();
    let called = manifest.onnx.inputs.iter().find(|(_, called)| *called == name);
    let role = called.map_or(name, |(role, _)| role.as_str());
    let (kind, expected) = match (&manifest.preprocess, role) {
        (Preprocess::Tokenizer(_), "input_ids") => (FeedKind::TokenIds, TensorElementType::Int64),
        (Preprocess::Tokenizer(_), "attention_mask") => (FeedKind::AttentionMask, TensorElementType::Int64),
        (Preprocess::Tokenizer(_), "token_type_ids") => (FeedKind::TokenTypeIds, TensorElementType::Int64),
        (Preprocess::Tokenizer(_), "position_ids") => {
            let first = manifest.onnx.first_position;
            (FeedKind::Positions { first }, TensorElementType::Int64)
        }
        (Preprocess::HashedNgrams(_), "ids") => (FeedKind::FeatureIds, TensorElementType::Int32),
        (Preprocess::HashedNgrams(_), "scale") => (FeedKind::FeatureScale, TensorElementType::Float32),
        (Preprocess::String { .. }, name) if manifest.onnx.input.as_deref() == Some(name) => {
            let columns = input.dtype().tensor_shape().is_some_and(|shape| shape.len() == 2);
            (FeedKind::Texts { columns }, TensorElementType::String)
        }
        (Preprocess::Tokenizer(_), _) => {
            return Err(format!(
                "the model has an input `{name}` that a tokenizer does not feed by that name; [onnx.inputs] in the manifest says \
                 which of input_ids, attention_mask, token_type_ids and position_ids it takes"
            ));
        }
        _ => {
            return Err(format!(
                "the model has an input `{name}` that this preprocessing does not feed"
            ));
        }
    };
    let found = input.dtype().tensor_type();
    let numbers = match (found, kind) {
        (Some(found), _) if found == expected => Numbers::Usual,
        (Some(TensorElementType::Int32), _) if expected == TensorElementType::Int64 => Numbers::I32,
        (Some(TensorElementType::Float32), FeedKind::AttentionMask) => Numbers::F32,
        (Some(TensorElementType::Float16), FeedKind::AttentionMask) => Numbers::F16,
        (Some(TensorElementType::Bool), FeedKind::AttentionMask) => Numbers::Bool,
        _ => {
            return Err(format!(
                "the input `{name}` should be a tensor of {expected}, it is {}",
                input.dtype()
            ));
        }
    };
    Ok(Feed {
        name: name.to_owned(),
        kind,
        numbers,
    })
}

/// The sizes that a transformer's graph is fixed to. The sizes that the manifest allows must fit into them.
pub(super) fn fixed(inputs: &[Outlet], manifest: &Manifest) -> Result<Fixed, String> {
    let Preprocess::Tokenizer(settings) = &manifest.preprocess else {
        return Ok(Fixed::default());
    };
    let size = |at: usize, key: &str, most: usize| {
        let sizes = inputs
            .iter()
            .filter_map(|input| input.dtype().tensor_shape()?.get(at).copied());
        let size = sizes
            .filter_map(|size| usize::try_from(size).ok())
            .find(|&size| size > 0);
        match size {
            Some(size) if size < most => Err(format!("the model takes exactly {size}, {key} is {most}")),
            size => Ok(size),
        }
    };
    Ok(Fixed {
        rows: size(0, "limits.max_batch_size", manifest.limits.most_texts())?,
        width: size(1, "preprocess.max_tokens", settings.max_tokens)?,
    })
}

pub(super) fn check_fed(feeds: &[Feed], manifest: &Manifest) -> Result<(), String> {
    let needed: &[(FeedKind, &str)] = match manifest.preprocess {
        Preprocess::Tokenizer(_) => &[(FeedKind::TokenIds, "input_ids")],
        Preprocess::HashedNgrams(_) => &[(FeedKind::FeatureIds, "ids"), (FeedKind::FeatureScale, "scale")],
        Preprocess::String { .. } => &[],
    };
    for (kind, name) in needed {
        if !feeds.iter().any(|feed| feed.kind == *kind) {
            return Err(format!("the model has no input `{name}`"));
        }
    }
    if feeds.is_empty() {
        return Err("the model has no input".into());
    }
    Ok(())
}
