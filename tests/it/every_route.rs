//! What holds for every method and every path, whatever its protocol: it wants a key unless it is declared open, its texts count against
//! the key's rate, it waits for its message no longer than its deadline, and its failures are counted and told with its request's id.
//!
//! The walk takes the methods from the descriptors that reflection tells and the paths from the OpenAPI document, not from the tables
//! that the doors work with: one that is added is walked too.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::net::SocketAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bytes::Bytes;
use futures::StreamExt;
use futures::future::join_all;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body::Frame;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, Kind, MessageDescriptor, MethodDescriptor, Value};
use tandem::api::DESCRIPTOR_SET;
use tandem::api::open_inference::pb::model_infer_request::InferInputTensor;
use tandem::api::open_inference::pb::{InferTensorContents, ModelInferRequest};
use tandem::config::LoadReports;
use tonic::Status;

use crate::support::frames::frame;
use crate::support::{Refusal, TestServer};

const KEY: &str = "0123456789abcdef";
/// The key whose rate allows one text at once.
const ONE_TEXT: &str = "one-text-0123456789";
const OPERATOR: &str = "operator-0123456789";
/// What may be asked without a key. Whoever adds to it should know why everybody may ask.
const OPEN: [&str; 14] = [
    "/grpc.health.v1.Health/Check",
    // What it lists is what `GET /readyz` tells.
    "/grpc.health.v1.Health/List",
    "/grpc.health.v1.Health/Watch",
    // The same questions in the words of the Open Inference Protocol.
    "/inference.GRPCInferenceService/ServerLive",
    "/inference.GRPCInferenceService/ServerReady",
    "GET /v2/health/live",
    "GET /v2/health/ready",
    "GET /health",
    "GET /healthz",
    "GET /readyz",
    // The page, which asks nothing by itself.
    "GET /",
    "GET /page",
    "GET /page/server.json",
    "GET /page/{file}",
];

async fn server() -> TestServer {
    TestServer::builder()
        .fast_only()
        .tokens(&format!("many:{KEY},one:{ONE_TEXT} texts_per_second=1 burst=1"))
        // A service that is there if it is asked for.
        .with(|settings| settings.load_reports = LoadReports::Asked)
        .admin_port()
        .admin_tokens(&format!("operator:{OPERATOR}"))
        .start()
        .await
}

/// A method at a port.
struct GrpcMethod {
    path: String,
    address: SocketAddr,
    key: &'static str,
    descriptor: MethodDescriptor,
}

/// Every method of the gRPC port and of the admin port.
fn methods(server: &TestServer) -> Vec<GrpcMethod> {
    let mut pool = DescriptorPool::new();
    for described in [
        DESCRIPTOR_SET,
        tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
    ] {
        pool.decode_file_descriptor_set(described).expect("a descriptor set");
    }
    let mut walked = Vec::new();
    for service in pool.services() {
        let name = service.full_name().to_owned();
        for descriptor in service.methods() {
            let at = |address, key| GrpcMethod {
                path: format!("/{name}/{}", descriptor.name()),
                address,
                key,
                descriptor: descriptor.clone(),
            };
            if name != "tandem.v1.AdminService" {
                walked.push(at(server.grpc_addr(), KEY));
            }
            // The admin port has its own service, and those that tell of models and health, or load models.
            let there = is_own(&name) || name == "inference.GRPCInferenceService";
            let not_there = name == "tandem.v1.PredictionService" || !there;
            if !not_there {
                walked.push(at(server.admin_addr(), OPERATOR));
            }
        }
    }
    assert!(walked.len() >= 20, "{} methods", walked.len());
    walked
}

/// Whether a service is no protocol's of others.
fn is_own(service: &str) -> bool {
    service.starts_with("tandem.v1.") || service.starts_with("grpc.")
}

/// A path of the gateway.
struct HttpPath {
    method: Method,
    path: String,
    /// The fields of its body; none if it takes none.
    fields: BTreeSet<String>,
}

impl HttpPath {
    /// Its path with a name where one belongs.
    fn filled(&self) -> String {
        let names = [("{name}", "sentiment-fast"), ("{version}", "1"), ("{file}", "main.js")];
        names
            .iter()
            .fold(self.path.clone(), |path, (part, name)| path.replace(part, name))
    }
}

/// Every path of the OpenAPI document.
async fn paths(server: &TestServer) -> Vec<HttpPath> {
    let bearer = format!("Bearer {KEY}");
    let headers = [("authorization", bearer.as_str())];
    let http = server.http();
    let document = http.send(Method::GET, "/openapi.json", &headers, "").await.json();
    let mut walked = Vec::new();
    for (path, methods) in document["paths"].as_object().expect("paths") {
        for (method, described) in methods.as_object().expect("methods") {
            let schema = &described["requestBody"]["content"]["application/json"]["schema"];
            let one = std::slice::from_ref(schema);
            let any = schema["oneOf"].as_array().map_or(one, Vec::as_slice);
            let fields = any.iter().flat_map(|schema| {
                let named = schema["$ref"].as_str().and_then(|name| name.rsplit('/').next());
                let schema = named.map_or(schema, |name| &document["components"]["schemas"][name]);
                schema["properties"].as_object().into_iter().flatten()
            });
            walked.push(HttpPath {
                method: method.to_uppercase().parse().expect("a method"),
                path: path.clone(),
                fields: fields.map(|(name, _)| name.clone()).collect(),
            });
        }
    }
    assert!(walked.len() >= 15, "{} paths", walked.len());
    walked
}

/// An answer, as far as it was read.
struct Answer {
    head: StatusCode,
    headers: HeaderMap,
    body: Bytes,
    trailers: Option<HeaderMap>,
}

impl Answer {
    /// The reason of its failure; empty if it is none.
    fn reason(&self) -> String {
        let json = || serde_json::from_slice::<serde_json::Value>(&self.body).unwrap_or_default();
        match self.status() {
            Some(status) => Refusal::of(&status).reason,
            None => {
                // Some protocols have a sentence for the error, and the reason beside it; Connect has gRPC's details,
                // and the page says it to people.
                let json = json();
                let reason = json["error"]["reason"].as_str().or(json["reason"].as_str());
                let reason = reason.map(str::to_owned);
                let told = reason.or_else(|| of_details(&json)).or_else(|| on_page(&self.body));
                told.unwrap_or_default()
            }
        }
    }

    /// The gRPC status, if there is one.
    fn status(&self) -> Option<Status> {
        let trailers = self.trailers.as_ref().and_then(Status::from_header_map);
        Status::from_header_map(&self.headers).or(trailers)
    }
}

/// The reason of a failure of Connect.
fn of_details(failure: &serde_json::Value) -> Option<String> {
    let details = failure["details"].as_array()?;
    let info = details.iter().find(|detail| detail["type"] == "google.rpc.ErrorInfo")?;
    let bytes = STANDARD_NO_PAD.decode(info["value"].as_str()?).ok()?;
    tonic_types::pb::ErrorInfo::decode(&*bytes).ok().map(|info| info.reason)
}

/// The reason of a failure of the page's form: the first thing that is bold.
fn on_page(html: &[u8]) -> Option<String> {
    let (_, told) = std::str::from_utf8(html).ok()?.split_once("<b>")?;
    told.split_once(": ").map(|(reason, _)| reason.to_owned())
}

type AnyBody = BoxBody<Bytes, Infallible>;

fn whole(bytes: impl Into<Bytes>) -> AnyBody {
    Full::new(bytes.into()).boxed()
}

/// A body that begins and never ends.
fn endless(beginning: &'static [u8]) -> AnyBody {
    let first = futures::stream::iter([Ok(Frame::data(Bytes::from_static(beginning)))]);
    BodyExt::boxed(StreamBody::new(first.chain(futures::stream::pending())))
}

/// Sends a request, and reads the answer: to its end, or its head alone where it may have none.
async fn send(address: SocketAddr, grpc: bool, mut request: Request<AnyBody>, to_its_end: bool) -> Answer {
    let path = request.uri().to_string();
    *request.uri_mut() = format!("http://{address}{path}").parse().expect("a URI");
    request
        .headers_mut()
        .insert("x-request-id", "the-walk".parse().expect("a value"));
    let client = Client::builder(TokioExecutor::new()).http2_only(grpc).build_http();
    let (head, body) = client.request(request).await.expect("an answer").into_parts();
    let mut answer = Answer {
        head: head.status,
        headers: head.headers,
        body: Bytes::new(),
        trailers: None,
    };
    assert_eq!(answer.headers["x-request-id"], "the-walk", "{path}");
    if to_its_end {
        let body = body.collect().await.expect("a whole answer");
        answer.trailers = body.trailers().cloned();
        answer.body = body.to_bytes();
    }
    answer
}

impl GrpcMethod {
    fn request(&self, key: Option<&str>, timeout: Option<&str>, body: AnyBody) -> Request<AnyBody> {
        let mut request = Request::post(self.path.as_str())
            .header("te", "trailers")
            .header("content-type", "application/grpc");
        if let Some(key) = key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        if let Some(timeout) = timeout {
            request = request.header("grpc-timeout", timeout);
        }
        request.body(body).expect("a request")
    }
}

impl HttpPath {
    fn request(&self, key: Option<&str>, timeout: Option<&str>, body: AnyBody) -> Request<AnyBody> {
        let mut request = Request::builder()
            .method(self.method.clone())
            .uri(self.filled())
            .header("content-type", "application/json");
        if let Some(key) = key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        if let Some(timeout) = timeout {
            request = request.header("x-request-timeout-ms", timeout);
        }
        request.body(body).expect("a request")
    }
}

fn assert_counted(metrics: &str, door: &str, method: &str, reason: &str) {
    let labels = [
        format!("door=\"{door}\""),
        format!("method=\"{method}\""),
        format!("\"{reason}\""),
    ];
    let counted = metrics
        .lines()
        .any(|line| labels.iter().all(|label| line.contains(label)));
    assert!(counted, "{labels:?} in {metrics}");
}

#[tokio::test]
async fn whoever_has_no_key_is_refused_unless_the_route_is_declared_open() {
    let server = server().await;
    let mut open = BTreeSet::new();
    let mut refused = Vec::new();
    for method in methods(&server) {
        let request = method.request(None, None, whole(frame(false, b"")));
        match send(method.address, true, request, false).await.status() {
            Some(status) => {
                assert_eq!(Refusal::of(&status).reason, "UNAUTHENTICATED", "{}", method.path);
                let own = is_own(method.descriptor.parent_service().full_name());
                let of = &method.descriptor;
                refused.push(("grpc", if own { of.name() } else { of.full_name() }.to_owned()));
            }
            None => drop(open.insert(method.path)),
        }
    }
    for path in paths(&server).await {
        let name = format!("{} {}", path.method, path.path);
        let answer = send(server.http_addr(), false, path.request(None, None, whole("")), true).await;
        match answer.head.as_u16() {
            401 => {
                assert_eq!(answer.reason(), "UNAUTHENTICATED", "{name}");
                refused.push(("http", path.path));
            }
            200 => drop(open.insert(name)),
            other => panic!("{name}: {other}"),
        }
    }
    assert_eq!(open, OPEN.map(str::to_owned).into());
    let metrics = server.service.metrics().text();
    for (door, method) in refused {
        assert_counted(&metrics, door, &method, "UNAUTHENTICATED");
    }
    // What is not there wants a key too, so that one that is added and forgotten is closed.
    let nowhere = HttpPath {
        method: Method::GET,
        path: "/v3/predict".into(),
        fields: BTreeSet::new(),
    };
    let answer = send(server.http_addr(), false, nowhere.request(None, None, whole("")), true).await;
    assert_eq!(answer.reason(), "UNAUTHENTICATED");
    for mut method in methods(&server) {
        method.path = "/tandem.v3.PredictionService/Predict".into();
        let request = method.request(None, None, whole(frame(false, b"")));
        let answer = send(method.address, true, request, false).await;
        assert_eq!(answer.reason(), "UNAUTHENTICATED");
    }
}

/// A message with two texts, if it or a message in it has any.
fn two_texts(of: &MessageDescriptor) -> Option<DynamicMessage> {
    if of.full_name() == "inference.ModelInferRequest" {
        let tensor = InferInputTensor {
            name: "text".into(),
            datatype: "BYTES".into(),
            shape: vec![2],
            contents: Some(InferTensorContents {
                bytes_contents: vec![b"a".to_vec(); 2],
                ..InferTensorContents::default()
            }),
            ..InferInputTensor::default()
        };
        let request = ModelInferRequest {
            model_name: "sentiment-fast".into(),
            inputs: vec![tensor],
            ..ModelInferRequest::default()
        };
        return DynamicMessage::decode(of.clone(), &*request.encode_to_vec()).ok();
    }
    let mut message = DynamicMessage::new(of.clone());
    if let Some(id) = of.get_field_by_name("id") {
        message.set_field(&id, Value::String("a".into()));
    }
    if let Some(texts) = of.get_field_by_name("texts") {
        message.set_field(&texts, Value::List(vec![Value::String("a".into()); 2]));
        return Some(message);
    }
    let inner = of.fields().find_map(|field| match field.kind() {
        Kind::Message(inner) if inner.parent_file() == of.parent_file() => Some((field, two_texts(&inner)?)),
        _ => None,
    });
    let (field, inner) = inner?;
    message.set_field(&field, Value::Message(inner));
    Some(message)
}

/// A message of a protocol whose messages hold one text, or one pair.
fn one_text(of: &MessageDescriptor) -> Option<DynamicMessage> {
    let inputs = of.get_field_by_name("inputs")?;
    if inputs.kind() != Kind::String {
        return None;
    }
    let mut message = DynamicMessage::new(of.clone());
    let text = Value::String("a".into());
    message.set_field(
        &inputs,
        if inputs.is_list() {
            Value::List(vec![text; 2])
        } else {
            text
        },
    );
    Some(message)
}

/// The reason with which the answer to a request of a stream was refused, where each has an answer of its own.
fn reason_in_stream(method: &GrpcMethod, answer: &Answer) -> String {
    let message = DynamicMessage::decode(method.descriptor.output(), &answer.body[5..]).expect("an answer");
    let status = message.get_field_by_name("status").expect("it may fail").into_owned();
    let status = status.as_message().expect("a status").encode_to_vec();
    let status = tonic_types::Status::decode(&*status).expect("a google.rpc.Status");
    let details = status.encode_to_vec().into();
    Refusal::of(&Status::with_details(status.code.into(), status.message, details)).reason
}

#[tokio::test]
async fn texts_count_against_the_rate_of_the_key_wherever_they_come_in() {
    let server = server().await;
    let mut walked = 0;
    for method in methods(&server) {
        let Some(message) = two_texts(&method.descriptor.input()).filter(|_| method.key == KEY) else {
            continue;
        };
        let request = method.request(Some(ONE_TEXT), None, whole(frame(false, &message.encode_to_vec())));
        let answer = send(method.address, true, request, true).await;
        let reason = if method.descriptor.is_server_streaming() {
            reason_in_stream(&method, &answer)
        } else {
            answer.reason()
        };
        assert_eq!(reason, "RATE_LIMITED", "{}", method.path);
        walked += 1;
    }
    assert_eq!(walked, 4, "Predict, PredictStream, Explain and ModelInfer");
    for method in methods(&server) {
        let Some(message) = one_text(&method.descriptor.input()) else {
            continue;
        };
        // One text passes; of many, one after the other, one comes too early.
        let message = frame(false, &message.encode_to_vec());
        let at_once = if method.descriptor.is_client_streaming() { 50 } else { 1 };
        let mut reasons = BTreeSet::new();
        for _ in 0..50 {
            let request = method.request(Some(ONE_TEXT), None, whole(message.repeat(at_once)));
            reasons.insert(send(method.address, true, request, true).await.reason());
            if reasons.contains("RATE_LIMITED") {
                break;
            }
        }
        assert!(reasons.contains("RATE_LIMITED"), "{}: {reasons:?}", method.path);
        walked += 1;
    }
    assert_eq!(walked, 8, "and four of text-embeddings-inference");
    for path in paths(&server).await {
        for field in &path.fields {
            let texts = match (field.as_str(), path.path.as_str()) {
                ("text" | "texts" | "input" | "instances", _) | ("inputs", "/classify" | "/v1/classify") => {
                    serde_json::json!(["a", "b"])
                }
                ("inputs", path) if path.starts_with("/v2/") => {
                    serde_json::json!([{"name": "text", "datatype": "BYTES", "shape": [2], "data": ["a", "b"]}])
                }
                ("inputs", _) => serde_json::json!([["a"], ["b"]]),
                _ => continue,
            };
            let body = serde_json::json!({ field.as_str(): texts }).to_string();
            let request = path.request(Some(ONE_TEXT), None, whole(body));
            let answer = send(server.http_addr(), false, request, true).await;
            assert_eq!(
                (answer.head.as_u16(), answer.reason().as_str()),
                (429, "RATE_LIMITED"),
                "{} {field}",
                path.path
            );
            walked += 1;
        }
    }
    assert_eq!(walked, 22, "and fourteen bodies of HTTP");
}

#[tokio::test]
async fn no_route_waits_for_a_message_past_the_deadline() {
    let server = server().await;
    let methods = methods(&server);
    let calls = methods.iter().map(async |method| {
        // The head of a message, and none of it.
        let request = method.request(Some(method.key), Some("50m"), endless(b"\0\0\0\0\x09"));
        let answer = send(method.address, true, request, true).await;
        // The library's reflection ends a stream that it can't read, and says no more.
        let silent = method.path.starts_with("/grpc.reflection.");
        let expected = if silent { "" } else { "DEADLINE_EXCEEDED" };
        assert_eq!(answer.reason(), expected, "{}", method.path);
    });
    join_all(calls).await;
    let paths = paths(&server).await;
    let with_bodies: Vec<_> = paths.iter().filter(|path| !path.fields.is_empty()).collect();
    assert!(with_bodies.iter().all(|path| path.method == Method::POST) && with_bodies.len() >= 3);
    let calls = with_bodies.into_iter().map(async |path| {
        let request = path.request(Some(KEY), Some("50"), endless(b"{"));
        let answer = send(server.http_addr(), false, request, true).await;
        assert_eq!(
            (answer.head.as_u16(), answer.reason().as_str()),
            (504, "DEADLINE_EXCEEDED"),
            "{}",
            path.path
        );
    });
    join_all(calls).await;
}
