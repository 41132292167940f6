//! Bad tensors: each is a clear error that names its field, and nothing that a message declares makes the server take more than came.

use http::Method;
use prost::Message;
use serde_json::{Value, json};
use tandem::api::open_inference::pb::infer_parameter::ParameterChoice;
use tandem::api::open_inference::pb::model_infer_request::{InferInputTensor, InferRequestedOutputTensor};
use tandem::api::open_inference::pb::{InferParameter, InferTensorContents, ModelInferRequest};
use tonic::Code;

use super::{client, infer, json_of, raw, raw_request, typed, typed_request, without_elements};
use crate::support::frames::{RawCall, frame};
use crate::support::{Refusal, TestServer};

const MODEL: &str = "sentiment-fast";
const INFER: &str = "/v2/models/sentiment-fast/infer";

fn of_inputs(inputs: Vec<InferInputTensor>) -> ModelInferRequest {
    ModelInferRequest {
        inputs,
        ..typed_request(MODEL, &[])
    }
}

fn with_shape(shape: &[i64], texts: &[&str]) -> ModelInferRequest {
    of_inputs(vec![InferInputTensor {
        shape: shape.to_vec(),
        ..typed("text", texts)
    }])
}

fn with_raw(count: usize, pieces: &[&[u8]]) -> ModelInferRequest {
    ModelInferRequest {
        inputs: vec![without_elements("text", count)],
        raw_input_contents: pieces.iter().map(|piece| piece.to_vec().into()).collect(),
        ..typed_request(MODEL, &[])
    }
}

fn with_size(size: i64) -> ModelInferRequest {
    let mut request = with_raw(1, &[&raw(&["a"])]);
    let size = InferParameter {
        parameter_choice: Some(ParameterChoice::Int64Param(size)),
    };
    request.inputs[0].parameters.insert("binary_data_size".to_owned(), size);
    request
}

fn with_outputs(names: &[&str]) -> ModelInferRequest {
    let output = |name: &&str| InferRequestedOutputTensor {
        name: (*name).to_owned(),
        ..InferRequestedOutputTensor::default()
    };
    ModelInferRequest {
        outputs: names.iter().map(output).collect(),
        ..typed_request(MODEL, &["a"])
    }
}

fn with_numbers() -> ModelInferRequest {
    of_inputs(vec![InferInputTensor {
        contents: Some(InferTensorContents {
            fp32_contents: vec![1.0],
            ..InferTensorContents::default()
        }),
        ..without_elements("text", 1)
    }])
}

/// A request over gRPC, and the field and the words that its refusal must have.
fn table() -> Vec<(ModelInferRequest, &'static str, &'static str)> {
    let datatype = InferInputTensor {
        datatype: "FP32".to_owned(),
        ..typed("text", &["a"])
    };
    let both = ModelInferRequest {
        raw_input_contents: vec![raw(&["a"]).into()],
        ..typed_request(MODEL, &["a"])
    };
    let long = "가".repeat(6000);
    let [cut, declared, not_utf8] = [&b"\x02\0\0\0a"[..], b"\xff\xff\xff\x7fa", b"\x01\0\0\0\xff"];
    let half = [&raw(&["a"])[..], b"\x01\0"].concat();
    let following = raw(&["a", "b"]);
    vec![
        (with_shape(&[-1], &["a"]), "text.shape", "holds -1"),
        (with_shape(&[1, -1], &["a"]), "text.shape", "holds -1"),
        (with_shape(&[i64::MIN], &["a"]), "text.shape", "must not be negative"),
        (with_shape(&[], &["a"]), "text.shape", "is missing"),
        (with_shape(&[1, 2], &["a", "b"]), "text.shape", "has 2 columns"),
        (with_shape(&[1, 1, 1], &["a"]), "text.shape", "more than 2 dimensions"),
        (with_shape(&[2], &["a"]), "text", "hold fewer"),
        (with_shape(&[1], &["a", "b"]), "text", "hold more"),
        (with_shape(&[i64::MAX], &["a"]), "text", "the limit is 128"),
        (with_shape(&[129], &["a"; 129]), "text", "the limit is 128"),
        (with_shape(&[0], &[]), "text", "holds no text"),
        (with_shape(&[1], &[long.as_str()]), "text[0]", "has 18000 bytes"),
        (of_inputs(vec![datatype]), "text.datatype", "`FP32`"),
        (of_inputs(vec![typed("texts", &["a"])]), "inputs[0].name", "`texts`"),
        (
            of_inputs(vec![typed("text", &["a"]), typed("text", &["a"])]),
            "inputs[1].name",
            "twice",
        ),
        (
            of_inputs(vec![typed("text_pair", &["a"])]),
            "inputs",
            "`text` is missing",
        ),
        (
            of_inputs(vec![typed("text", &["a"]), typed("text_pair", &["a", "b"])]),
            "text_pair",
            "holds 2 texts",
        ),
        (
            of_inputs(vec![typed("text", &["a"]), typed("text_pair", &["b"])]),
            "text_pair",
            "single texts",
        ),
        (of_inputs(vec![typed("text", &["a"]); 100]), "inputs", "the limit is 16"),
        (of_inputs(vec![without_elements("text", 1)]), "text", "there are none"),
        (with_numbers(), "text", "fp32_contents"),
        (both, "raw_input_contents", "excludes contents"),
        (
            with_raw(1, &[&raw(&["a"]), b""]),
            "raw_input_contents",
            "holds 2 pieces",
        ),
        (with_size(6), "text.parameters.binary_data_size", "which has 5 bytes"),
        (with_size(-5), "text.parameters.binary_data_size", "which has 5 bytes"),
        (with_raw(1, &[cut]), "text[0]", "says that it has 2 bytes, 1 are left"),
        (with_raw(1, &[declared]), "text[0]", "says that it has 2147483647 bytes"),
        (with_raw(1, &[not_utf8]), "text[0]", "not UTF-8"),
        (with_raw(2, &[&half]), "text[1]", "needs 4 bytes"),
        (with_raw(128, &[&half]), "text[1]", "needs 4 bytes"),
        (with_raw(1, &[&following]), "text", "5 bytes follow"),
        (with_raw(1_000_000, &[b""]), "text", "the limit is 128"),
        (with_outputs(&["logits"]), "outputs[0].name", "`logits`"),
        (with_outputs(&["label", "label"]), "outputs[1].name", "twice"),
        (with_outputs(&["label"; 100]), "outputs", "the limit is 16"),
    ]
}

#[tokio::test]
async fn every_bad_tensor_is_told_by_its_name() {
    let server = TestServer::shared().await;
    let mut client = client(server).await;
    for (request, field, words) in table() {
        let refused = infer(&mut client, request).await;
        let refusal = Refusal::of(&refused.expect_err(words));
        assert_eq!(
            (refusal.code, &refusal.fields[..]),
            (Code::InvalidArgument, &[field.to_owned()][..]),
            "{words}"
        );
        assert!(refusal.message.contains(words), "{words}: {}", refusal.message);
    }
    for (name, version, words) in [
        ("nothing", "", "sentiment:fast"),
        ("sentiment:slow", "", "`sentiment:slow`"),
        (MODEL, "7", "`sentiment-fast@7` is not loaded"),
        ("sentiment", "1", "no versions"),
    ] {
        let request = ModelInferRequest {
            model_version: version.to_owned(),
            ..typed_request(name, &["a"])
        };
        let refusal = Refusal::of(&infer(&mut client, request).await.expect_err(words));
        assert_eq!(
            (refusal.code, refusal.reason.as_str()),
            (Code::NotFound, "MODEL_NOT_FOUND"),
            "{name}"
        );
        assert!(refusal.message.contains(words), "{name}: {}", refusal.message);
    }
}

/// As KServe's client sends it.
#[tokio::test]
async fn the_size_of_a_raw_tensor_may_be_said() {
    let mut client = client(TestServer::shared().await).await;
    let answer = infer(&mut client, with_size(5)).await.expect("an answer");
    assert_eq!(answer.outputs[0].shape, [1]);
}

#[tokio::test]
async fn lists_are_decoded_no_further_than_it_takes_to_refuse_them() {
    let server = TestServer::shared().await;
    let count = 1_000_000;
    let empty = [0x42, 0].repeat(count);
    let contents = |bytes: Vec<u8>| [&[0x2a][..], &varint(bytes.len()), &bytes].concat();
    let input = |rest: Vec<u8>| {
        let head = without_elements("text", 128).encode_to_vec();
        let input = [head, rest].concat();
        let request = ModelInferRequest {
            model_name: MODEL.to_owned(),
            ..ModelInferRequest::default()
        };
        [
            request.encode_to_vec(),
            [&[0x2a][..], &varint(input.len()), &input].concat(),
        ]
        .concat()
    };
    let packed = |field: u8| [&[field][..], &varint(count), &vec![1; count]].concat();
    for (message, words) in [
        // Texts of no bytes, numbers of one byte that take eight, dimensions.
        (input(contents(empty)), "hold more"),
        (input(contents(packed(0x1a))), "there are none"),
        (input(packed(0x1a)), "there are none"),
    ] {
        let mut call = RawCall::predict(&message);
        call.path = "/inference.GRPCInferenceService/ModelInfer".into();
        let answer = call.send(server.grpc_addr()).await;
        assert_eq!(answer.status.code(), Code::InvalidArgument, "{words}");
        assert!(
            answer.status.message().contains(words),
            "{words}: {}",
            answer.status.message()
        );
    }
    server.until_no_body_is_held().await;
}

fn varint(number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    prost::encoding::encode_varint(number as u64, &mut bytes);
    bytes
}

#[tokio::test]
async fn a_message_over_the_limit_is_refused() {
    let server = TestServer::shared().await;
    let mut client = client(server).await;
    let long = "a".repeat(server.max_message_bytes());
    let refused = infer(&mut client, raw_request(MODEL, &[&long]))
        .await
        .expect_err("too large");
    assert_eq!(Refusal::of(&refused).reason, "MESSAGE_TOO_LARGE");
    // The largest that is valid is taken.
    let largest = "a".repeat(16 << 10);
    infer(&mut client, raw_request(MODEL, &[largest.as_str(); 128]))
        .await
        .expect("an answer");
    infer(&mut client, typed_request(MODEL, &[largest.as_str(); 128]))
        .await
        .expect("an answer");
    let call = RawCall {
        path: "/inference.GRPCInferenceService/ServerLive".into(),
        ..RawCall::predict(b"")
    };
    let large = frame(false, &vec![0; 5000]);
    let answer = RawCall { body: large, ..call }.send(server.grpc_addr()).await;
    assert_eq!(Refusal::of(&answer.status).reason, "MESSAGE_TOO_LARGE");
}

fn input(name: &str, value: &Value) -> Value {
    let mut body = json_of(&["a"]);
    body["inputs"][0][name] = value.clone();
    body
}

#[tokio::test]
async fn a_bad_body_is_told_in_the_protocols_form() {
    let server = TestServer::shared().await;
    let with = |name: &str, value: Value| {
        let mut body = json_of(&["a"]);
        body[name] = value;
        body
    };
    for (body, words) in [
        (input("shape", &json!([-1])), "text.shape: holds -1"),
        (input("shape", &json!([1.5])), "inputs[0].shape[0]"),
        (input("shape", &json!([2])), "hold fewer"),
        (input("shape", &json!(vec![1; 100])), "the limit is 16"),
        (input("datatype", &json!("INT64")), "text.datatype: is `INT64`"),
        (input("name", &json!("t\n")), "is no input"),
        (input("data", &json!([1])), "text.data[0]: must be a list of texts"),
        (input("data", &json!([["a", "b"]])), "text.data[0]"),
        (input("data", &json!(vec!["a"; 200])), "text.data: holds more than 128"),
        (input("parameters", &json!({"binary_data_size": 3})), "excludes data"),
        (input("parameters", &json!({"a": {"b": 1}})), "inputs[0].parameters"),
        (input("dtype", &json!("BYTES")), "unknown field `dtype`"),
        (
            with("parameters", json!({"sequence_id": 1})),
            "`sequence_id` is not known",
        ),
        (with("parameters", json!({"priority": "high"})), "parameters.priority"),
        (
            with("outputs", json!([{"name": "nothing"}])),
            "outputs[0].name: `nothing`",
        ),
        (
            with(
                "outputs",
                json!([{"name": "label", "parameters": {"classification": 2}}]),
            ),
            "label.parameters: `classification`",
        ),
        (with("id", json!("i".repeat(2000))), "id: has 2000 bytes"),
        (json!({}), "missing field `inputs`"),
        (json!([]), "can't be read"),
        (json!({"inputs": []}), "`text` is missing"),
    ] {
        let answer = server.http().post(INFER, body.to_string()).await;
        let told = answer.json();
        assert_eq!(answer.status, 400, "{body}: {told}");
        let error = told["error"].as_str().unwrap_or_default();
        assert!(error.contains(words), "{body}: {error}");
    }
}

#[tokio::test]
async fn bad_binary_and_bad_headers_are_told_in_the_protocols_form() {
    let server = TestServer::shared().await;
    let tensor = |size: i64| {
        json!({"inputs": [{"name": "text", "datatype": "BYTES", "shape": [1],
                           "parameters": {"binary_data_size": size}}]})
        .to_string()
    };
    let piece = raw(&["a"]);
    let behind = |json: &str, piece: &[u8]| [json.as_bytes(), piece].concat();
    let length = |json: &str| json.len().to_string();
    for (json, piece, length, status, words) in [
        (tensor(5), &piece[..], length(&tensor(5)), 200, "positive"),
        (tensor(6), &piece, length(&tensor(6)), 400, "of which 5 are left"),
        (tensor(-5), &piece, length(&tensor(-5)), 400, "of which 5 are left"),
        (tensor(4), &piece, length(&tensor(4)), 400, "leaves 1 bytes"),
        (
            tensor(5),
            b"\xff\xff\xff\xff\x01",
            length(&tensor(5)),
            400,
            "says that it has 4294967295 bytes",
        ),
        (
            tensor(5),
            &piece,
            "9999".to_owned(),
            400,
            "inference-header-content-length",
        ),
        (tensor(5), &piece, "-1".to_owned(), 400, "must be the size of the JSON"),
        (tensor(5), &piece, "0".to_owned(), 400, "can't be read"),
    ] {
        let headers = [("inference-header-content-length", length.as_str())];
        let body = behind(&json, piece);
        let answer = server.http().send(Method::POST, INFER, &headers, body).await;
        assert_eq!(answer.status, status, "{words}: {}", answer.text());
        assert!(
            status == 200 || answer.json()["error"].as_str().unwrap_or_default().contains(words),
            "{words}: {}",
            answer.text()
        );
    }
    let without = server.http().send(Method::POST, INFER, &[], tensor(5)).await;
    assert!(without.text().contains("needs the header"), "{}", without.text());
    let typed = server
        .http()
        .send(Method::POST, INFER, &[("content-type", "text/plain")], "{}")
        .await;
    assert_eq!(
        (typed.status.as_u16(), typed.json()["reason"].as_str()),
        (415, Some("UNSUPPORTED_MEDIA_TYPE"))
    );
    for packing in ["br", "gzip, gzip", "deflate, gzip"] {
        let packed = server
            .http()
            .send(Method::POST, INFER, &[("content-encoding", packing)], "{}")
            .await;
        assert_eq!(
            (packed.status.as_u16(), packed.json()["reason"].as_str()),
            (415, Some("UNSUPPORTED_ENCODING")),
            "{packing}"
        );
    }
    let large = vec![b' '; server.max_json_bytes() + 1];
    let refused = server.http().send(Method::POST, INFER, &[], large).await;
    assert_eq!(
        (refused.status.as_u16(), refused.json()["reason"].as_str()),
        (413, Some("MESSAGE_TOO_LARGE"))
    );
    let index = server
        .http()
        .send(Method::POST, "/v2/repository/index", &[], vec![b' '; 5000])
        .await;
    assert_eq!(index.status, 413);
    for (method, path, status) in [
        (Method::GET, INFER, 405),
        (Method::GET, "/v2/models/nothing", 404),
        (Method::GET, "/v2/models/nothing/ready", 404),
        (Method::GET, "/v2/models/sentiment/versions/1/ready", 404),
        (Method::GET, "/v2/models/%ff/config", 400),
    ] {
        let answer = server.http().send(method, path, &[], "").await;
        assert_eq!(answer.status, status, "{path}");
        assert!(answer.json()["error"].is_string(), "{path}: {}", answer.text());
    }
}
