//! `POST /predict`: texts in the simplest form, that of the tutorial, for clients that were written for it.
//!
//! `{"text": ["…", …] or "…", "do_fast": true}` → `{"0": {"text": …, "label": …, "confidence": …}, "1": …}`, keys in
//! numeric order. A body with `inputs` is one of text-embeddings-inference, which has the same path (`api/tei/`).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::{Extension, Request, State};
use axum::response::Response;
use serde::{Deserialize, Serialize, Serializer};

use super::answer::{respond, with_cache_hits, written};
use super::body::{Decoding, build, read_json_by};
use super::error::ErrorForm;
use super::peek::first_field;
use super::texts::Texts;
use crate::api::call::Call;
use crate::api::door::Door;
use crate::api::field_names::renamed;
use crate::api::offers::Offer;
use crate::api::tei;
use crate::api::tei::request::TeiRequest;
use crate::error::Error;
use crate::service::messages::{PredictInput, Prediction, Route};

/// A body of the tutorial.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SimpleRequest {
    #[serde(default)]
    text: Texts,
    #[serde(default)]
    do_fast: bool,
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

impl SimpleRequest {
    pub const FIELDS: &'static [&'static str] = &["text", "do_fast"];
}

/// A body of this path, by its key.
enum Body {
    Simple(SimpleRequest),
    Tei(TeiRequest),
}

/// Answers one call: of the tutorial, or, where its body has `inputs`, of text-embeddings-inference.
pub async fn predict(State(door): State<Door>, Extension(call): Extension<Call>, request: Request) -> Response {
    let limits = door.context.limits;
    let knows_tei = door.context.offers.has(Offer::TextEmbeddingsInference);
    let is_tei = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&is_tei);
    let decoding = move |json: &[u8]| {
        if knows_tei && first_field(json, &["text", "inputs"]) == Some("inputs") {
            told.store(true, Ordering::Relaxed);
            return Decoding::of_texts(TeiRequest::FIELDS, limits, |json| build(json).map(Body::Tei));
        }
        Decoding::of_texts(SimpleRequest::FIELDS, limits, |json| build(json).map(Body::Simple))
    };
    let work = async {
        match read_json_by(&door.context, &call, request, decoding).await? {
            Body::Simple(request) => answer(&door, &call, request).await,
            Body::Tei(request) => tei::http::answer(&door, &call, request).await,
        }
    };
    let mut response = respond(&call, "/predict", work).await;
    if is_tei.load(Ordering::Relaxed) {
        response.extensions_mut().insert::<ErrorForm>(tei::error::form);
    }
    response
}

async fn answer(door: &Door, call: &Call, request: SimpleRequest) -> Result<Response, Error> {
    let texts = request.text.0;
    let input = PredictInput {
        texts: texts.clone(),
        route: if request.do_fast { Route::Fast } else { Route::Deep },
        ..PredictInput::default()
    };
    let output = door.answer(call, call.time(), input).await;
    let output = output.map_err(|error| renamed(error, &[("texts", "text"), ("route", "do_fast")]))?;
    let hits = output.cache_hits;
    let answers = SimplePredictions {
        texts: &texts,
        predictions: &output.predictions,
    };
    Ok(with_cache_hits(written(&answers)?, hits))
}
