//! `POST /predict`: texts in the simplest form, that of the tutorial, for clients that were written for it.
//!
//! `{"text": ["…", …] or "…", "do_fast": true}` → `{"0": {"text": …, "label": …, "confidence": …}, "1": …}`, keys in
//! numeric order.

use std::marker::PhantomData;

use axum::Json;
use axum::extract::{Extension, Request, State};
use axum::response::{IntoResponse, Response};
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::answer::{respond, with_cache_hits};
use super::body::{Decoding, read_json};
use crate::api::call::Call;
use crate::api::door::Door;
use crate::api::json::{self, Fields, Refused};
use crate::error::{Error, Reason};
use crate::service::messages::{PredictInput, Prediction, Route};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SimpleRequest {
    text: Texts,
    #[serde(default)]
    do_fast: bool,
}

struct Texts(Vec<String>);

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OneOrMany)
    }
}

struct OneOrMany;

impl<'de> Visitor<'de> for OneOrMany {
    type Value = Texts;

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("a text or a list of texts")
    }

    fn visit_str<E>(self, text: &str) -> Result<Texts, E> {
        Ok(Texts(vec![text.to_owned()]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Texts, A::Error> {
        let mut texts = Vec::new();
        while let Some(text) = items.next_element()? {
            texts.push(text);
        }
        Ok(Texts(texts))
    }
}

#[derive(Serialize)]
struct SimplePrediction<'a> {
    text: &'a str,
    label: &'a str,
    confidence: f32,
}

struct SimplePredictions<'a> {
    texts: &'a [String],
    predictions: &'a [Prediction],
}

impl Serialize for SimplePredictions<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let answers = self.texts.iter().zip(self.predictions).enumerate();
        serializer.collect_map(answers.map(|(at, (text, prediction))| {
            let answer = SimplePrediction {
                text,
                label: &prediction.label,
                confidence: prediction.confidence,
            };
            (at.to_string(), answer)
        }))
    }
}

/// Answers one call.
pub async fn predict(State(door): State<Door>, Extension(call): Extension<Call>, request: Request) -> Response {
    respond(&call, "/predict", answer(&door, &call, request)).await
}

async fn answer(door: &Door, call: &Call, request: Request) -> Result<Response, Error> {
    let decoding = Decoding {
        fields: Fields::Named(&["text", "do_fast"]),
        items: door.context.limits.max_texts,
        build: |json| json::with_path(json, PhantomData).map_err(Refused::Malformed),
    };
    let request: SimpleRequest = read_json(&door.context, call, request, decoding).await?;
    let texts = request.text.0;
    let input = PredictInput {
        texts: texts.clone(),
        route: if request.do_fast { Route::Fast } else { Route::Deep },
        ..PredictInput::default()
    };
    let output = door.answer(call, call.time(), input).await.map_err(in_simple_words)?;
    let hits = output.cache_hits;
    let answers = SimplePredictions {
        texts: &texts,
        predictions: &output.predictions,
    };
    let answers = serde_json::value::to_raw_value(&answers)
        .map_err(|_| Error::new(Reason::Internal, "the answer can't be written"))?;
    Ok(with_cache_hits(Json(answers).into_response(), hits))
}

/// Renames the fields of an error to the body's: `text`, and no list for a lone text.
fn in_simple_words(mut error: Error) -> Error {
    for violation in &mut error.violations {
        if let Some(rest) = violation.field.strip_prefix("texts") {
            violation.field = format!("text{rest}");
        }
    }
    if error.violations.is_empty() {
        return error;
    }
    Error::invalid_fields(error.violations)
}
