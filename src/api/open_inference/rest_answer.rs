//! Answers of the REST form: JSON, with the outputs that are wanted in binary behind it, one after the other.

use std::collections::BTreeMap;

use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, header};
use serde::{Serialize, Serializer};
use serde_json::json;

use super::PLATFORM;
use super::answer::{Answer, Data, OutputTensor};
use super::binary;
use super::describe::{Description, Tensor};
use super::repository::Entry;
use crate::api::call::Call;
use crate::api::http::answer::json as http_json;
use crate::error::Error;

/// The header with the size of the JSON, in bytes, where binary follows it.
pub static HEADER_LENGTH: HeaderName = HeaderName::from_static("inference-header-content-length");

#[derive(Serialize)]
struct Document<'a> {
    model_name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    model_version: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    id: &'a str,
    parameters: BTreeMap<&'static str, &'a str>,
    outputs: Vec<Output<'a>>,
}

#[derive(Serialize)]
struct Output<'a> {
    name: &'static str,
    datatype: &'static str,
    shape: &'a [usize],
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    parameters: BTreeMap<&'static str, serde_json::Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Flat<'a>>,
}

/// The elements in one list, row after row.
struct Flat<'a>(&'a Data);

impl Serialize for Flat<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Data::Texts(texts) => texts.serialize(serializer),
            Data::Numbers(numbers) => numbers.serialize(serializer),
        }
    }
}

/// The answer to a request.
pub fn inferred(answer: &Answer) -> Result<Response, Error> {
    let mut pieces = Vec::new();
    let outputs = answer.outputs.iter().map(|tensor| output(tensor, &mut pieces));
    let document = Document {
        model_name: &answer.model_name,
        model_version: &answer.model_version,
        id: &answer.id,
        outputs: outputs.collect(),
        parameters: BTreeMap::from([("models", answer.models.as_str())]),
    };
    let mut body = serde_json::to_vec(&document).map_err(|_| Error::internal())?;
    if pieces.is_empty() {
        return Ok(http_json(body));
    }
    let length = HeaderValue::from(body.len());
    body.extend(pieces.concat());
    let content_type = HeaderValue::from_static("application/octet-stream");
    let mut response = ([(header::CONTENT_TYPE, content_type)], body).into_response();
    response.headers_mut().insert(HEADER_LENGTH.clone(), length);
    Ok(response)
}

fn output<'a>(tensor: &'a OutputTensor, pieces: &mut Vec<Vec<u8>>) -> Output<'a> {
    let mut parameters = BTreeMap::new();
    if let Some(labels) = &tensor.labels {
        parameters.insert("labels", json!(labels));
    }
    if tensor.binary {
        let piece = match &tensor.data {
            Data::Texts(texts) => binary::write_texts(texts),
            Data::Numbers(numbers) => binary::write_numbers(numbers),
        };
        parameters.insert("binary_data_size", json!(piece.len()));
        pieces.push(piece);
    }
    Output {
        name: tensor.output.name(),
        datatype: tensor.output.datatype(),
        shape: &tensor.shape,
        parameters,
        data: (!tensor.binary).then_some(Flat(&tensor.data)),
    }
}

/// What is told of a name.
pub fn metadata(described: &Description) -> serde_json::Value {
    let tensors = |tensors: &[Tensor]| -> Vec<serde_json::Value> {
        let tensor =
            |tensor: &Tensor| json!({"name": tensor.name, "datatype": tensor.datatype, "shape": tensor.shape()});
        tensors.iter().map(tensor).collect()
    };
    json!({
        "name": described.name,
        "versions": described.versions,
        "platform": PLATFORM,
        "inputs": tensors(&described.inputs),
        "outputs": tensors(&described.outputs),
    })
}

/// The same as Triton describes a model.
pub fn config(described: &Description) -> serde_json::Value {
    let data_type = |tensor: &Tensor| match tensor.datatype {
        super::tensors::FP32 => "TYPE_FP32",
        _ => "TYPE_STRING",
    };
    let dims = |tensor: &Tensor| -> Vec<i64> { tensor.columns.into_iter().collect() };
    let input = |tensor: &Tensor| json!({"name": tensor.name, "data_type": data_type(tensor), "dims": dims(tensor), "optional": tensor.optional});
    let output = |tensor: &Tensor| json!({"name": tensor.name, "data_type": data_type(tensor), "dims": dims(tensor)});
    json!({
        "name": described.name,
        "platform": PLATFORM,
        "backend": PLATFORM,
        "max_batch_size": described.max_texts,
        "input": described.inputs.iter().map(input).collect::<Vec<_>>(),
        "output": described.outputs.iter().map(output).collect::<Vec<_>>(),
        "parameters": {"labels": {"string_value": described.labels}},
    })
}

/// The names that there are.
pub fn index(entries: &[Entry]) -> serde_json::Value {
    let entry = |entry: &Entry| json!({"name": entry.name, "version": entry.version, "state": entry.state, "reason": entry.reason});
    entries.iter().map(entry).collect()
}

/// A failure, as the protocol has it, with its reason in Tandem's words beside it.
pub fn failure(error: &Error, _: &Call) -> Response {
    axum::Json(json!({"error": error.message, "reason": error.reason.name()})).into_response()
}
