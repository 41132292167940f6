//! The errors that a caller gets where a model gives no answer.

use crate::error::{Error, MODEL_FACT, MODEL_VERSION_FACT, Reason};
use crate::model::input::EncodeError;
use crate::model::loaded::Model;

/// The model failed. The caller does not learn why; the log says it.
pub fn inference_failed(model: &Model) -> Error {
    let name = &model.manifest.name;
    Error::new(Reason::InferenceFailed, format!("the model `{name}` failed"))
        .with_fact(MODEL_FACT, name)
        .with_fact(MODEL_VERSION_FACT, &model.manifest.version)
}

/// The text at position `place` of the request could not be encoded.
pub fn encode_error(place: usize, error: EncodeError) -> Error {
    match error {
        EncodeError::TooLong { found, limit } => Error::invalid_field(
            format!("texts[{place}]"),
            format!("is longer than the model reads: it has {found}, the limit is {limit}"),
        ),
        EncodeError::PairTooLong { found, limit } => Error::invalid_field(
            format!("text_pairs[{place}]"),
            format!("is too long to stand whole in each window: it has {found}, the limit is {limit}"),
        ),
        EncodeError::Untokenizable => Error::invalid_field(
            format!("texts[{place}]"),
            "can't be cut into tokens: it holds what the model's vocabulary does not, and that has no token for the unknown",
        ),
        EncodeError::NoTokens => Error::invalid_field(
            format!("texts[{place}]"),
            "has no tokens, and the model's vocabulary has none for the unknown, the padding or the end that could stand for it",
        ),
        EncodeError::BeyondTable { id, rows } => Error::invalid_field(
            format!("texts[{place}]"),
            format!(
                "holds a token that the model was not made for: its id is {id}, the model knows those below {rows}, and it has no token for the unknown"
            ),
        ),
        EncodeError::NoPairs => Error::invalid_field("text_pairs", "the model that was asked takes single texts"),
        EncodeError::Failed => Error::new(Reason::Internal, "preprocessing failed"),
    }
}
