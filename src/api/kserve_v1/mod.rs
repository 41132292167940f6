//! `POST /v1/models/{name}:predict` as `KServe` v1 and the row form of TensorFlow Serving's REST have it: `instances` in,
//! `predictions` out. `name` is a model's or a task's (`api/target_name.rs`).

use std::collections::BTreeMap;
use std::fmt;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Extension, Path, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use http::{HeaderValue, header};
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::call::Call;
use super::door::Door;
use super::field_names::renamed;
use super::http::answer::{respond, with_cache_hits, written};
use super::http::body::{Decoding, build, read_json};
use super::http::error::HttpError;
use super::http::route::Route;
use super::offers::Offer;
use super::scores::EVERY_LABEL;
use super::target_name::TargetName;
use crate::error::{Error, Reason};
use crate::service::messages::{PredictInput, Prediction};

/// The paths.
pub static TABLE: [Route; 1] = [Route::new("POST", PATH, || post(predict)).of(Offer::KserveV1, form)];

const PATH: &str = "/v1/models/{name}:predict";
const VERB: &str = ":predict";

/// Writes a failure.
fn form(error: &Error, _: &Call) -> Response {
    Json(serde_json::json!({ "error": error.message, "reason": error.reason.name() })).into_response()
}

/// A body.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PredictBody {
    #[serde(default)]
    instances: Option<Vec<Instance>>,
    /// TensorFlow Serving's name for what is asked of a model; there is one.
    #[serde(default)]
    signature_name: Option<String>,
}

/// A text, or one with its pair.
struct Instance {
    text: String,
    pair: Option<String>,
}

/// An instance as an object.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    text: String,
    #[serde(default)]
    text_pair: Option<String>,
}

impl<'de> Deserialize<'de> for Instance {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextOrObject)
    }
}

struct TextOrObject;

impl<'de> Visitor<'de> for TextOrObject {
    type Value = Instance;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a text or an object with the field text")
    }

    fn visit_str<E>(self, text: &str) -> Result<Instance, E> {
        let text = text.to_owned();
        Ok(Instance { text, pair: None })
    }

    fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<Instance, A::Error> {
        let Fields { text, text_pair } = Fields::deserialize(MapAccessDeserializer::new(fields))?;
        Ok(Instance { text, pair: text_pair })
    }
}

impl PredictBody {
    pub const FIELDS: &'static [&'static str] = &["instances", "signature_name"];

    /// What it asks for.
    pub fn ask(self, target: TargetName) -> Result<PredictInput, Error> {
        let known = |name: &str| name.is_empty() || name == "serving_default";
        if !self.signature_name.as_deref().is_none_or(known) {
            return Err(Error::invalid_field(
                "signature_name",
                "must be absent or serving_default",
            ));
        }
        let instances = self.instances.unwrap_or_default();
        let pairs = instances.iter().filter(|instance| instance.pair.is_some()).count();
        if pairs > 0 && pairs < instances.len() {
            let problem = "holds pairs and single texts; ask for each in a request of its own";
            return Err(Error::invalid_field("instances", problem));
        }
        let (texts, pairs): (Vec<_>, Vec<_>) = instances.into_iter().map(|one| (one.text, one.pair)).unzip();
        Ok(target.ask(PredictInput {
            texts,
            text_pairs: pairs.into_iter().flatten().collect(),
            top_k: EVERY_LABEL,
            ..PredictInput::default()
        }))
    }
}

#[derive(Serialize)]
struct PredictAnswer {
    predictions: Vec<Answer>,
}

/// The answer to one instance.
#[derive(Serialize)]
struct Answer {
    label: String,
    /// The label's probability, or a regression's value.
    score: f32,
    /// By label.
    probabilities: BTreeMap<String, f32>,
}

impl From<Prediction> for Answer {
    fn from(prediction: Prediction) -> Self {
        let scores = prediction.scores.into_iter();
        Self {
            label: prediction.label,
            score: prediction.value.unwrap_or(prediction.confidence),
            probabilities: scores.map(|score| (score.label, score.score)).collect(),
        }
    }
}

/// The answer at `/v1/models/{name}`, which is Tandem's own path.
fn without_verb(call: Call) -> Response {
    let problem = "this path does not take POST; with :predict at its end it does";
    let error = Error::new(Reason::MethodNotAllowed, problem);
    let allowed = [(header::ALLOW, HeaderValue::from_static("GET,HEAD"))];
    (allowed, HttpError { error, call }).into_response()
}

async fn predict(
    State(door): State<Door>,
    Extension(call): Extension<Call>,
    name: Result<Path<String>, PathRejection>,
    request: Request,
) -> Response {
    // The router knows whole parts of a path only, so that any name comes here.
    if name.as_ref().is_ok_and(|Path(path)| !path.ends_with(VERB)) {
        return without_verb(call);
    }
    let work = async {
        let Path(path) = name.map_err(|_| Error::invalid_field("name", "must be UTF-8"))?;
        let name = path.strip_suffix(VERB).unwrap_or_default();
        let decoding = Decoding::of_texts(PredictBody::FIELDS, door.context.limits, build);
        let body: PredictBody = read_json(&door.context, &call, request, decoding).await?;
        if name.is_empty() {
            return Err(Error::invalid_field(
                "name",
                "is missing: write /v1/models/NAME:predict",
            ));
        }
        let target = TargetName::find(name, &door.service.catalog())?;
        let output = door.answer(&call, call.time(), body.ask(target)?).await;
        let output = output.map_err(|error| {
            renamed(
                error,
                &[
                    ("texts", "instances"),
                    ("text_pairs", "instances"),
                    ("top_k", "instances"),
                ],
            )
        })?;
        let hits = output.cache_hits;
        let predictions = output.predictions.into_iter().map(Answer::from).collect();
        Ok(with_cache_hits(written(&PredictAnswer { predictions })?, hits))
    };
    respond(&call, PATH, work).await
}
