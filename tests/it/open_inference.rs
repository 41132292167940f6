//! Open Inference Protocol v2: the answers of Tandem's own door, as tensors, over gRPC and REST; and what each name, tensor and
//! parameter means.

mod bad_input;

use http::Method;
use serde_json::{Value, json};
use tandem::api::open_inference::pb::grpc_inference_service_client::GrpcInferenceServiceClient;
use tandem::api::open_inference::pb::infer_parameter::ParameterChoice;
use tandem::api::open_inference::pb::model_infer_request::{InferInputTensor, InferRequestedOutputTensor};
use tandem::api::open_inference::pb::{self, InferTensorContents, ModelInferRequest, ModelInferResponse};
use tandem::api::pb::Route;
use tonic::transport::Channel;
use tonic::{Code, Status};

use crate::support::http::{Answer, gzip};
use crate::support::models::ModelCopy;
use crate::support::reviews::texts;
use crate::support::{Refusal, TestServer, by_route};

type InferenceClient = GrpcInferenceServiceClient<Channel>;

async fn client(server: &TestServer) -> InferenceClient {
    GrpcInferenceServiceClient::new(server.channel().await)
}

/// Texts as a tensor with its elements in it.
fn typed(name: &str, texts: &[&str]) -> InferInputTensor {
    InferInputTensor {
        contents: Some(InferTensorContents {
            bytes_contents: texts.iter().map(|text| text.as_bytes().to_vec()).collect(),
            ..InferTensorContents::default()
        }),
        ..without_elements(name, texts.len())
    }
}

fn without_elements(name: &str, count: usize) -> InferInputTensor {
    InferInputTensor {
        name: name.to_owned(),
        datatype: "BYTES".to_owned(),
        shape: vec![i64::try_from(count).expect("few")],
        ..InferInputTensor::default()
    }
}

/// Texts in one piece.
fn raw(texts: &[&str]) -> Vec<u8> {
    let piece = |text: &&str| {
        let length = u32::try_from(text.len()).expect("short");
        [&length.to_le_bytes()[..], text.as_bytes()].concat()
    };
    texts.iter().flat_map(piece).collect()
}

fn typed_request(model: &str, texts: &[&str]) -> ModelInferRequest {
    ModelInferRequest {
        model_name: model.to_owned(),
        inputs: vec![typed("text", texts)],
        ..ModelInferRequest::default()
    }
}

fn raw_request(model: &str, texts: &[&str]) -> ModelInferRequest {
    ModelInferRequest {
        model_name: model.to_owned(),
        inputs: vec![without_elements("text", texts.len())],
        raw_input_contents: vec![raw(texts).into()],
        ..ModelInferRequest::default()
    }
}

fn with_parameter(mut request: ModelInferRequest, name: &str, value: ParameterChoice) -> ModelInferRequest {
    let value = pb::InferParameter {
        parameter_choice: Some(value),
    };
    request.parameters.insert(name.to_owned(), value);
    request
}

fn word(text: &str) -> ParameterChoice {
    ParameterChoice::StringParam(text.to_owned())
}

async fn infer(client: &mut InferenceClient, request: ModelInferRequest) -> Result<ModelInferResponse, Status> {
    client.model_infer(request).await.map(tonic::Response::into_inner)
}

async fn infer_json(server: &TestServer, model: &str, body: &Value) -> Answer {
    let path = format!("/v2/models/{model}/infer");
    server.http().post(&path, body.to_string()).await
}

fn json_of(texts: &[&str]) -> Value {
    json!({"inputs": [{"name": "text", "datatype": "BYTES", "shape": [texts.len()], "data": texts}]})
}

/// Labels and scores, by whichever way they came.
#[derive(Debug, PartialEq)]
struct Found {
    labels: Vec<String>,
    scores: Vec<f32>,
    probabilities: Vec<f32>,
}

fn numbers(bytes: &[u8]) -> Vec<f32> {
    let (numbers, []) = bytes.as_chunks::<4>() else {
        panic!("whole numbers")
    };
    numbers.iter().map(|number| f32::from_le_bytes(*number)).collect()
}

fn words(mut bytes: &[u8]) -> Vec<String> {
    let mut words = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk::<4>() {
        let (word, rest) = rest.split_at(u32::from_le_bytes(*length) as usize);
        words.push(String::from_utf8(word.to_vec()).expect("UTF-8"));
        bytes = rest;
    }
    words
}

fn of_typed(answer: &ModelInferResponse) -> Found {
    let contents = |at: usize| answer.outputs[at].contents.clone().expect("elements");
    let labels = contents(0).bytes_contents.into_iter();
    Found {
        labels: labels.map(|label| String::from_utf8(label).expect("UTF-8")).collect(),
        scores: contents(1).fp32_contents,
        probabilities: contents(2).fp32_contents,
    }
}

fn of_raw(answer: &ModelInferResponse) -> Found {
    Found {
        labels: words(&answer.raw_output_contents[0]),
        scores: numbers(&answer.raw_output_contents[1]),
        probabilities: numbers(&answer.raw_output_contents[2]),
    }
}

fn of_json(answer: &Value) -> Found {
    let data = |at: usize| answer["outputs"][at]["data"].clone();
    Found {
        labels: serde_json::from_value(data(0)).expect("labels"),
        scores: serde_json::from_value(data(1)).expect("numbers"),
        probabilities: serde_json::from_value(data(2)).expect("numbers"),
    }
}

#[tokio::test]
async fn every_way_gives_the_answers_of_our_own_door() {
    let server = TestServer::shared().await;
    let mut client = client(server).await;
    let texts = texts(128);
    let own = server.client().await.predict(by_route(Route::Fast, &texts)).await;
    let own = own.expect("an answer").into_inner().predictions;
    let by_typed = infer(&mut client, typed_request("sentiment:fast", &texts))
        .await
        .expect("an answer");
    let by_raw = infer(&mut client, raw_request("sentiment-fast", &texts))
        .await
        .expect("an answer");
    assert!(by_typed.raw_output_contents.is_empty(), "as it was asked");
    assert!(
        by_raw.outputs.iter().all(|output| output.contents.is_none()),
        "as it was asked"
    );
    let by_json = infer_json(server, "sentiment:fast", &json_of(&texts)).await;
    assert_eq!(by_json.status, 200, "{}", by_json.text());
    for found in [of_typed(&by_typed), of_raw(&by_raw), of_json(&by_json.json())] {
        assert_eq!(found.probabilities.len(), 2 * texts.len());
        for (at, own) in own.iter().enumerate() {
            assert_eq!(found.labels[at], own.label, "text {at}");
            assert!((found.scores[at] - own.confidence).abs() < 1e-5, "text {at}");
            // The columns are negative, positive.
            let column = usize::from(own.label == "positive");
            assert_eq!(found.probabilities[2 * at + column], found.scores[at], "text {at}");
        }
    }
    let shapes: Vec<_> = by_raw
        .outputs
        .iter()
        .map(|output| (output.name.as_str(), &output.shape[..]))
        .collect();
    assert_eq!(
        shapes,
        [("label", &[128][..]), ("score", &[128]), ("probabilities", &[128, 2])]
    );
    let labels = by_raw.outputs[2].parameters["labels"].parameter_choice.clone();
    assert_eq!(labels, Some(word(r#"["negative","positive"]"#)));
}

#[tokio::test]
async fn a_name_is_a_model_a_task_or_a_task_by_its_route() {
    let server = TestServer::shared().await;
    let mut client = client(server).await;
    let text = ["정말 재미있게 봤어요"];
    for (name, version, models, told) in [
        ("sentiment-fast", "", "sentiment-fast@1", "1"),
        ("sentiment-fast", "1", "sentiment-fast@1", "1"),
        ("sentiment-fast@1", "", "sentiment-fast@1", "1"),
        ("sentiment:deep", "", "sentiment-deep@1", ""),
        ("sentiment:fast", "", "sentiment-fast@1", ""),
    ] {
        let request = ModelInferRequest {
            model_version: version.to_owned(),
            id: "one".to_owned(),
            ..typed_request(name, &text)
        };
        let answer = infer(&mut client, request).await.expect("an answer");
        let took_part = answer.parameters["models"].parameter_choice.clone();
        assert_eq!(took_part, Some(word(models)), "{name}");
        assert_eq!(
            (
                answer.model_name.as_str(),
                answer.model_version.as_str(),
                answer.id.as_str()
            ),
            (name, told, "one")
        );
    }
    // The route as a parameter, and as a part of the name, which exclude each other.
    let asked = |name: &str, route: &str| with_parameter(typed_request(name, &text), "route", word(route));
    let answer = infer(&mut client, asked("sentiment", "fast")).await.expect("an answer");
    assert_eq!(
        answer.parameters["models"].parameter_choice,
        Some(word("sentiment-fast@1"))
    );
    infer(&mut client, asked("sentiment:fast", "fast"))
        .await
        .expect("the same route");
    for name in ["sentiment:deep", "sentiment-fast"] {
        let refused = infer(&mut client, asked(name, "fast")).await;
        let refusal = Refusal::of(&refused.expect_err("two routes"));
        assert_eq!(
            (refusal.code, refusal.reason.as_str()),
            (Code::InvalidArgument, "INVALID_FIELD"),
            "{name}"
        );
    }
}

#[tokio::test]
async fn options_of_a_request_are_parameters() {
    let server = TestServer::shared().await;
    let mut client = client(server).await;
    let cascade = |confidence: f64| {
        let request = typed_request("sentiment:cascade", &["정말 재미있게 봤어요"]);
        with_parameter(request, "min_confidence", ParameterChoice::DoubleParam(confidence))
    };
    for (confidence, models) in [(0.0, "sentiment-fast@1"), (1.0, "sentiment-fast@1,sentiment-deep@1")] {
        let answer = infer(&mut client, cascade(confidence)).await.expect("an answer");
        assert_eq!(
            answer.parameters["models"].parameter_choice,
            Some(word(models)),
            "{confidence}"
        );
    }
    let late = with_parameter(
        typed_request("sentiment:deep", &texts(128)),
        "timeout",
        ParameterChoice::Int64Param(1),
    );
    let refused = infer(&mut client, late).await.expect_err("a microsecond");
    assert_eq!(refused.code(), Code::DeadlineExceeded);
    let mut body = json_of(&["a"]);
    body["parameters"] = json!({"route": "fast", "priority": "bulk", "min_confidence": 0.5});
    let answer = infer_json(server, "sentiment", &body).await;
    assert_eq!(answer.status, 400);
    assert!(answer.text().contains("parameters.min_confidence"), "{}", answer.text());
}

#[tokio::test]
async fn only_the_outputs_that_are_named_come_in_that_order() {
    let server = TestServer::shared().await;
    let mut client = client(server).await;
    let mut request = raw_request("sentiment:fast", &["a", "b"]);
    request.outputs = ["score", "label"]
        .map(|name| InferRequestedOutputTensor {
            name: name.to_owned(),
            ..InferRequestedOutputTensor::default()
        })
        .to_vec();
    let answer = infer(&mut client, request).await.expect("an answer");
    let names: Vec<&str> = answer.outputs.iter().map(|output| output.name.as_str()).collect();
    assert_eq!(names, ["score", "label"]);
    assert_eq!(
        (
            numbers(&answer.raw_output_contents[0]).len(),
            words(&answer.raw_output_contents[1]).len()
        ),
        (2, 2)
    );
}

#[tokio::test]
async fn binary_follows_the_json_both_ways_and_may_be_packed() {
    let server = TestServer::shared().await;
    let texts = texts(40);
    let piece = raw(&texts);
    let document = json!({
        "id": "b",
        "inputs": [{"name": "text", "datatype": "BYTES", "shape": [40, 1],
                    "parameters": {"binary_data_size": piece.len()}}],
        "outputs": [{"name": "label"}, {"name": "score", "parameters": {"binary_data": true}}],
    })
    .to_string();
    let length = document.len().to_string();
    let body = [document.as_bytes(), &piece].concat();
    let path = "/v2/models/sentiment-fast/versions/1/infer";
    let http = server.http();
    let headers = [("inference-header-content-length", length.as_str())];
    let plain = http.send(Method::POST, path, &headers, body.clone()).await;
    let mut packed_headers = headers.to_vec();
    packed_headers.push(("content-encoding", "gzip"));
    let packed = http.send(Method::POST, path, &packed_headers, gzip(&body)).await;
    packed_headers[1].1 = "deflate";
    let zlib = http.send(Method::POST, path, &packed_headers, deflate(&body)).await;
    for answer in [&packed, &zlib] {
        assert_eq!(answer.body, plain.body, "{}", String::from_utf8_lossy(&answer.body));
    }
    assert_eq!(
        (plain.status.as_u16(), plain.header("content-type")),
        (200, "application/octet-stream")
    );
    let length: usize = plain
        .header("inference-header-content-length")
        .parse()
        .expect("a number");
    let (json, binary) = plain.body.split_at(length);
    let json: Value = serde_json::from_slice(json).expect("JSON");
    assert_eq!((&json["id"], &json["model_version"]), (&json!("b"), &json!("1")));
    assert_eq!(json["outputs"][0]["data"].as_array().map(Vec::len), Some(40));
    assert_eq!(json["outputs"][1]["parameters"]["binary_data_size"], binary.len());
    assert_eq!(numbers(binary).len(), 40);
}

fn deflate(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut packed = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    packed.write_all(bytes).expect("a Vec takes every write");
    packed.finish().expect("a Vec takes every write")
}

#[tokio::test]
async fn models_and_the_server_are_told_of_alike_over_grpc_and_rest() {
    let server = TestServer::shared().await;
    let mut client = client(server).await;
    let http = server.http();
    assert!(
        client
            .server_live(pb::ServerLiveRequest {})
            .await
            .expect("live")
            .into_inner()
            .live
    );
    assert!(
        client
            .server_ready(pb::ServerReadyRequest {})
            .await
            .expect("ready")
            .into_inner()
            .ready
    );
    assert_eq!(http.get("/v2/health/live").await.json(), json!({"live": true}));
    assert_eq!(http.get("/v2/health/ready").await.json(), json!({"ready": true}));
    let told = client
        .server_metadata(pb::ServerMetadataRequest {})
        .await
        .expect("an answer")
        .into_inner();
    let expected = json!({"name": told.name, "version": told.version, "extensions": told.extensions});
    assert_eq!(http.get("/v2").await.json(), expected);
    for name in ["sentiment-fast", "sentiment:cascade"] {
        let path = format!("/v2/models/{name}");
        let asked = pb::ModelMetadataRequest {
            name: name.to_owned(),
            version: String::new(),
        };
        let told = client.model_metadata(asked).await.expect("an answer").into_inner();
        let tensors = |tensors: &[pb::model_metadata_response::TensorMetadata]| -> Value {
            let tensors = tensors.iter();
            tensors
                .map(|it| json!({"name": it.name, "datatype": it.datatype, "shape": it.shape}))
                .collect()
        };
        let (inputs, outputs) = (tensors(&told.inputs), tensors(&told.outputs));
        let expected = json!({"name": name, "versions": told.versions, "platform": "tandem", "inputs": inputs, "outputs": outputs});
        assert_eq!(http.get(&path).await.json(), expected);
        assert_eq!(
            http.get(&format!("{path}/ready")).await.json(),
            json!({"name": name, "ready": true})
        );
        let config = http.get(&format!("{path}/config")).await.json();
        let asked = pb::ModelConfigRequest {
            name: name.to_owned(),
            version: String::new(),
        };
        let told = client
            .model_config(asked)
            .await
            .expect("an answer")
            .into_inner()
            .config
            .expect("one");
        assert_eq!(config["max_batch_size"], told.max_batch_size);
        assert_eq!(
            config["parameters"]["labels"]["string_value"],
            told.parameters["labels"].string_value
        );
        assert_eq!(config["output"][2]["dims"], json!([2]));
    }
    let asked = pb::RepositoryIndexRequest {
        repository_name: String::new(),
        ready: true,
    };
    let told = client
        .repository_index(asked)
        .await
        .expect("an answer")
        .into_inner()
        .models;
    let named: Vec<(&str, &str)> = told.iter().map(|it| (it.name.as_str(), it.version.as_str())).collect();
    let expected = [
        ("sentiment-deep", "1"),
        ("sentiment-fast", "1"),
        ("sentiment", ""),
        ("sentiment:cascade", ""),
        ("sentiment:deep", ""),
        ("sentiment:fast", ""),
    ];
    assert_eq!(named, expected);
    for body in ["", "{}", r#"{"ready": true}"#] {
        let index = http.send(Method::POST, "/v2/repository/index", &[], body).await.json();
        assert_eq!(index.as_array().map(Vec::len), Some(expected.len()), "{index}");
    }
}

#[tokio::test]
async fn operators_load_and_unload_at_the_admin_port_and_nowhere_else() {
    let first = ModelCopy::of("sentiment-fast", "1");
    let server = TestServer::builder()
        .models(first.repository().to_owned())
        .admin_port()
        .start()
        .await;
    first.version("2").set_temperature(2.0);
    let mut public = client(&server).await;
    let mut admin = GrpcInferenceServiceClient::new(server.admin_channel().await);
    let load = |model: &str| pb::RepositoryModelLoadRequest {
        model_name: model.to_owned(),
        ..pb::RepositoryModelLoadRequest::default()
    };
    let unload = |model: &str| pb::RepositoryModelUnloadRequest {
        model_name: model.to_owned(),
        ..pb::RepositoryModelUnloadRequest::default()
    };
    let refused = public
        .repository_model_load(load("sentiment-fast@2"))
        .await
        .expect_err("the wrong port");
    assert_eq!(refused.code(), Code::Unimplemented);
    let refused = admin
        .model_infer(typed_request("sentiment-fast", &["a"]))
        .await
        .expect_err("the wrong port");
    assert_eq!(refused.code(), Code::Unimplemented);
    let by_rest = server
        .http()
        .post("/v2/repository/models/sentiment-fast/load", "{}")
        .await;
    assert_eq!(by_rest.status, 404);
    assert!(by_rest.text().contains("admin port"), "{}", by_rest.text());

    let version = |version: &str| ModelInferRequest {
        model_version: version.to_owned(),
        ..typed_request("sentiment-fast", &["a"])
    };
    infer(&mut public, version("2")).await.expect_err("not loaded");
    admin
        .repository_model_load(load("sentiment-fast@2"))
        .await
        .expect("loaded");
    assert_eq!(
        infer(&mut public, version("2")).await.expect("loaded").model_version,
        "2"
    );
    assert_eq!(
        infer(&mut public, version("")).await.expect("stable").model_version,
        "1"
    );
    admin
        .repository_model_unload(unload("sentiment-fast@2"))
        .await
        .expect("unloaded");
    infer(&mut public, version("2")).await.expect_err("unloaded");
    // Without a version: the newest serves from now on, and can't be unloaded.
    admin
        .repository_model_load(load("sentiment-fast"))
        .await
        .expect("loaded");
    assert_eq!(
        infer(&mut public, version("")).await.expect("stable").model_version,
        "2"
    );
    for (model, code) in [
        ("sentiment-fast", Code::InvalidArgument),
        ("sentiment-fast@2", Code::FailedPrecondition),
        ("sentiment:fast", Code::InvalidArgument),
    ] {
        let refused = admin.repository_model_unload(unload(model)).await.expect_err(model);
        assert_eq!(refused.code(), code, "{model}: {refused}");
    }
    let refused = admin
        .repository_model_load(load("nothing"))
        .await
        .expect_err("no such model");
    assert_eq!(refused.code(), Code::NotFound);
}

#[tokio::test]
async fn it_can_be_switched_off() {
    let server = TestServer::builder()
        .fast_only()
        .with(|settings| settings.no_open_inference = true)
        .start()
        .await;
    let refused = infer(&mut client(&server).await, typed_request("sentiment", &["a"])).await;
    assert_eq!(refused.expect_err("off").code(), Code::Unimplemented);
    let answer = infer_json(&server, "sentiment", &json_of(&["a"])).await;
    assert_eq!(
        (answer.status.as_u16(), server.http().get("/v2").await.status.as_u16()),
        (404, 404)
    );
}
