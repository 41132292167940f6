//! One request from end to end: tensors to texts, the door's answer, and tensors again. The same over gRPC and REST.

use super::answer::{self, Answer};
use super::names::{self, Named};
use super::parameters::Options;
use super::request::{InferRequest, held_by};
use super::tensors::{self, Output, Wanted};
use crate::api::call::Call;
use crate::api::door::Door;
use crate::api::field_names::renamed;
use crate::api::scores::EVERY_LABEL;
use crate::error::Error;
use crate::service::messages::{PredictInput, Route};

/// The longest id, in bytes.
const MAX_ID_BYTES: usize = 1024;

/// The protocol's names of the service's fields.
const FIELD_NAMES: [(&str, &str); 8] = [
    ("text_pairs", tensors::TEXT_PAIR),
    ("texts", tensors::TEXT),
    ("top_k", "probabilities"),
    ("model", "model_name"),
    ("task", "model_name"),
    ("route", "parameters.route"),
    ("min_confidence", "parameters.min_confidence"),
    ("allow_fallback", "parameters.allow_fallback"),
];

/// Answers a request of `call`.
pub async fn infer(door: &Door, call: &Call, request: InferRequest) -> Result<Answer, Error> {
    call.body.grow_to(held_by(&request.inputs))?;
    if request.id.len() > MAX_ID_BYTES {
        let problem = format!("has {} bytes, the limit is {MAX_ID_BYTES}", request.id.len());
        return Err(Error::invalid_field("id", problem));
    }
    let named = names::find(&door.service, &request.model_name, &request.model_version)?;
    let options = Options::read(&request.parameters)?;
    let wanted = tensors::wanted(&request.outputs, named.outputs())?;
    let texts = tensors::texts(request.inputs, door.context.limits.max_texts)?;
    let input = input(&named, options, texts, &wanted)?;
    let answered = door.answer(call, options.time(call), input).await;
    let output = answered.map_err(|error| renamed(error, &FIELD_NAMES))?;
    answer::of(&named, &wanted, options, request.id, output)
}

fn input(
    named: &Named,
    options: Options,
    (texts, text_pairs): tensors::Texts,
    wanted: &[Wanted],
) -> Result<PredictInput, Error> {
    let input = PredictInput {
        texts,
        text_pairs,
        // As many as there are, for the probability of each label.
        top_k: if wanted.iter().any(|wanted| wanted.output == Output::Probabilities) {
            EVERY_LABEL
        } else {
            0
        },
        min_confidence: options.min_confidence,
        allow_fallback: options.allow_fallback,
        truncation: options.truncation,
        priority: options.priority,
        ..PredictInput::default()
    };
    let asked = named.target.clone().ask(input);
    Ok(PredictInput {
        route: match (asked.route, options.route) {
            (route, Route::Default) => route,
            (Route::Default, route) => route,
            (named, route) if named == route => route,
            _ => {
                let problem = "is not the route that model_name says: say one of them";
                return Err(Error::invalid_field("parameters.route", problem));
            }
        },
        ..asked
    })
}
