//! A fault in the words of each door, and a refusal as each door tells it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use prost::Message;
use serde_json::{Value, json};
use tandem::api::open_inference::pb as oip;
use tandem::api::open_inference::pb::infer_parameter::ParameterChoice;
use tandem::api::pb;
use tandem::api::tei::pb as tei;
use tonic::Status;

use super::by_grpc;
use crate::support::TestServer;
use crate::support::frames::{PREDICT, frame};
use crate::support::http::gzip;

/// Where texts come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Door {
    Grpc,
    Stream,
    OipGrpc,
    TeiGrpc,
    TeiStream,
    Web,
    Json,
    Tutorial,
    OipRest,
    TeiHttp,
    Vllm,
    Pipeline,
    Kserve,
    ConnectJson,
    ConnectProto,
}

/// What is wrong with a request, or what one holds that nothing is wrong with.
pub enum Fault {
    Texts(Vec<String>),
    Model(&'static str),
    Task(&'static str),
    /// A route that there is not.
    Route,
    /// For the cascade.
    Confidence(f64),
    UnknownField,
    WrongType,
    Null,
    NotUtf8,
    Rubbish,
    /// A byte over the limit of the message.
    TooLarge,
    /// The same, packed.
    Bomb,
    NoTime,
}

/// A refusal.
pub struct Told {
    /// Tandem's name of it; empty where it is an answer.
    pub reason: String,
    pub message: String,
    /// The status of HTTP.
    pub http: u16,
    /// The name of gRPC's code, where the protocol has one.
    pub grpc: Option<String>,
}

impl Door {
    pub const ALL: [Self; 15] = [
        Self::Grpc,
        Self::Stream,
        Self::OipGrpc,
        Self::TeiGrpc,
        Self::TeiStream,
        Self::Web,
        Self::Json,
        Self::Tutorial,
        Self::OipRest,
        Self::TeiHttp,
        Self::Vllm,
        Self::Pipeline,
        Self::Kserve,
        Self::ConnectJson,
        Self::ConnectProto,
    ];

    /// As docs/doors.md calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Grpc => "Predict",
            Self::Stream => "PredictStream",
            Self::OipGrpc => "ModelInfer",
            Self::TeiGrpc => "`tei.v1` Predict",
            Self::TeiStream => "`tei.v1` PredictStream",
            Self::Web => "gRPC-Web",
            Self::Json => "`/v1/predict`",
            Self::Tutorial => "`/predict` with `text`",
            Self::OipRest => "`/v2/…/infer`",
            Self::TeiHttp => "`/predict` with `inputs`",
            Self::Vllm => "`/classify` with `input`",
            Self::Pipeline => "`/classify` with `inputs`",
            Self::Kserve => "`:predict`",
            Self::ConnectJson => "Connect (JSON)",
            Self::ConnectProto => "Connect (Protobuf)",
        }
    }

    pub fn path(self) -> &'static str {
        match self {
            Self::Grpc | Self::Web | Self::ConnectJson | Self::ConnectProto => PREDICT,
            Self::Stream => "/tandem.v1.PredictionService/PredictStream",
            Self::OipGrpc => "/inference.GRPCInferenceService/ModelInfer",
            Self::TeiGrpc => "/tei.v1.Predict/Predict",
            Self::TeiStream => "/tei.v1.Predict/PredictStream",
            Self::Json => "/v1/predict",
            Self::Tutorial | Self::TeiHttp => "/predict",
            Self::OipRest => "/v2/models/sentiment:fast/infer",
            Self::Vllm | Self::Pipeline => "/classify",
            Self::Kserve => "/v1/models/sentiment:fast:predict",
        }
    }

    fn content_type(self) -> &'static str {
        match self {
            Self::Web => "application/grpc-web+proto",
            Self::ConnectProto => "application/proto",
            _ if self.is_grpc() => "application/grpc",
            _ => "application/json",
        }
    }

    /// Whether it is at the gRPC port.
    fn is_grpc(self) -> bool {
        matches!(
            self,
            Self::Grpc | Self::Stream | Self::OipGrpc | Self::TeiGrpc | Self::TeiStream
        )
    }

    /// Whether its messages are framed.
    fn is_framed(self) -> bool {
        self.is_grpc() || self == Self::Web
    }

    fn takes_protobuf(self) -> bool {
        self.is_framed() || self == Self::ConnectProto
    }

    /// Whether a message holds one text.
    pub fn takes_one(self) -> bool {
        matches!(self, Self::TeiGrpc | Self::TeiStream)
    }

    /// The status where it is another than docs/errors.md has for the reason.
    pub fn http_status(self, reason: &str) -> Option<u16> {
        let refuses = ["INVALID_FIELD", "MALFORMED_MESSAGE", "INVALID_UTF8"].contains(&reason);
        (self == Self::TeiHttp && refuses).then_some(422)
    }

    /// The body of a request that has this fault, before it is framed or packed; `None` where it can't be said.
    fn body(self, fault: &Fault, server: &TestServer) -> Option<Vec<u8>> {
        if matches!(fault, Fault::TooLarge | Fault::Bomb) {
            return Some(if self.takes_protobuf() {
                vec![0; server.max_message_bytes() + 1]
            } else {
                vec![b' '; server.max_json_bytes() + 1]
            });
        }
        if matches!(fault, Fault::Rubbish) {
            return Some(if self.takes_protobuf() {
                b"\xff\xff\xff".to_vec()
            } else if self == Self::TeiHttp {
                // What it is told by comes first.
                br#"{"inputs": rubbish"#.to_vec()
            } else {
                b"rubbish".to_vec()
            });
        }
        if self.takes_protobuf() {
            self.message(fault)
        } else {
            self.document(fault)
        }
    }

    /// In Protobuf.
    fn message(self, fault: &Fault) -> Option<Vec<u8>> {
        if matches!(fault, Fault::WrongType) {
            // A number for the first field, which is text in all of them.
            return Some(b"\x08\x01".to_vec());
        }
        let texts = match fault {
            Fault::Texts(texts) => texts.clone(),
            Fault::NotUtf8 => vec!["\u{ff}".to_owned()],
            Fault::UnknownField | Fault::Null => return None,
            _ => vec!["a".to_owned()],
        };
        let plain = matches!(fault, Fault::Texts(_) | Fault::NotUtf8 | Fault::NoTime);
        let message = match self {
            Self::OipGrpc => infer_request(fault, &texts)?.encode_to_vec(),
            Self::TeiGrpc | Self::TeiStream => {
                let one = <[String; 1]>::try_from(texts).ok().filter(|_| plain)?;
                let [inputs] = one;
                let truncate = true;
                tei::PredictRequest {
                    inputs,
                    truncate,
                    ..tei::PredictRequest::default()
                }
                .encode_to_vec()
            }
            Self::Stream => pb::PredictStreamRequest {
                id: "one".into(),
                request: Some(predict_request(fault, texts)),
                ..pb::PredictStreamRequest::default()
            }
            .encode_to_vec(),
            _ => predict_request(fault, texts).encode_to_vec(),
        };
        Some(broken(message, fault))
    }

    /// In JSON.
    fn document(self, fault: &Fault) -> Option<Vec<u8>> {
        let texts = match fault {
            Fault::Texts(texts) => json!(texts),
            Fault::NotUtf8 => json!(["\u{ff}"]),
            Fault::WrongType => json!(1),
            Fault::Null => json!(null),
            _ => json!(["a"]),
        };
        let own = matches!(self, Self::Json | Self::ConnectJson);
        let open_inference = self == Self::OipRest;
        let mut document = self.with_texts(texts, fault);
        match fault {
            Fault::Model(_) if own => {
                document["model"] = json!("no-such");
                document.as_object_mut()?.remove("route");
            }
            Fault::Model(_) if matches!(self, Self::Vllm | Self::Pipeline) => document["model"] = json!("no-such"),
            // In the path.
            Fault::Model(_) if matches!(self, Self::OipRest | Self::Kserve) => {}
            Fault::Task(name) if own => document["task"] = json!(name),
            Fault::Route if own => document["route"] = json!(99),
            Fault::Route if open_inference => document["parameters"] = json!({"route": "fastest"}),
            Fault::Confidence(_) if own || open_inference => {}
            Fault::Model(_) | Fault::Task(_) | Fault::Route | Fault::Confidence(_) => return None,
            Fault::UnknownField => document["nonsense"] = json!(1),
            _ => {}
        }
        if let Fault::Confidence(confidence) = fault {
            let confidence = if confidence.is_nan() {
                json!("NaN")
            } else {
                json!(confidence)
            };
            if own {
                document["route"] = json!("ROUTE_CASCADE");
                document["minConfidence"] = confidence;
            } else {
                document["parameters"] = json!({"min_confidence": confidence});
            }
        }
        Some(broken(document.to_string().into_bytes(), fault))
    }

    fn with_texts(self, texts: Value, fault: &Fault) -> Value {
        let count = texts.as_array().map_or(1, Vec::len);
        match self {
            Self::Tutorial => json!({"text": texts, "do_fast": true}),
            Self::OipRest => json!({"inputs": [
                {"name": "text", "datatype": "BYTES", "shape": [count], "data": texts}
            ]}),
            Self::TeiHttp => match texts {
                Value::Array(texts) => {
                    let lists: Vec<Value> = texts.into_iter().map(|text| json!([text])).collect();
                    json!({"inputs": lists, "truncate": true})
                }
                other => json!({"inputs": other}),
            },
            Self::Vllm => json!({"model": "sentiment:fast", "input": texts}),
            Self::Pipeline => json!({"model": "sentiment:fast", "inputs": texts}),
            Self::Kserve => json!({"instances": texts}),
            _ if matches!(fault, Fault::Task(_)) => json!({"texts": texts}),
            _ => json!({"texts": texts, "route": "ROUTE_FAST"}),
        }
    }

    /// The path, where the model's name is a part of it.
    fn path_for(self, fault: &Fault) -> String {
        let name = match fault {
            Fault::Model(name) => name,
            Fault::Confidence(_) => "sentiment:cascade",
            _ => "sentiment:fast",
        };
        // A route beside a name that says one is another fault.
        let name = if matches!(fault, Fault::Route) {
            "sentiment"
        } else {
            name
        };
        self.path().replace("sentiment:fast", name)
    }

    fn timeout(self) -> (&'static str, &'static str) {
        match self {
            Self::ConnectJson | Self::ConnectProto => ("connect-timeout-ms", "0"),
            _ if self.is_framed() => ("grpc-timeout", "0m"),
            _ => ("x-request-timeout-ms", "0"),
        }
    }
}

/// Makes the one text of a request bytes that are not UTF-8.
fn broken(mut message: Vec<u8>, fault: &Fault) -> Vec<u8> {
    if matches!(fault, Fault::NotUtf8) {
        let at = message.windows(2).position(|two| two == "\u{ff}".as_bytes());
        let at = at.expect("the text");
        message[at..at + 2].copy_from_slice(b"\xff\xfe");
    }
    message
}

fn predict_request(fault: &Fault, texts: Vec<String>) -> pb::PredictRequest {
    let mut request = pb::PredictRequest {
        texts,
        route: pb::Route::Fast.into(),
        ..pb::PredictRequest::default()
    };
    match fault {
        Fault::Model(name) => {
            request.model = (*name).to_owned();
            request.route = 0;
        }
        Fault::Task(name) => {
            request.task = (*name).to_owned();
            request.route = 0;
        }
        Fault::Route => request.route = 99,
        Fault::Confidence(confidence) => {
            request.route = pb::Route::Cascade.into();
            request.min_confidence = Some(*confidence as f32);
        }
        _ => {}
    }
    request
}

fn infer_request(fault: &Fault, texts: &[String]) -> Option<oip::ModelInferRequest> {
    let tensor = oip::model_infer_request::InferInputTensor {
        name: "text".into(),
        datatype: "BYTES".into(),
        shape: vec![i64::try_from(texts.len()).expect("few")],
        contents: Some(oip::InferTensorContents {
            bytes_contents: texts.iter().map(|text| text.clone().into_bytes()).collect(),
            ..oip::InferTensorContents::default()
        }),
        ..oip::model_infer_request::InferInputTensor::default()
    };
    let mut request = oip::ModelInferRequest {
        model_name: "sentiment:fast".into(),
        inputs: vec![tensor],
        ..oip::ModelInferRequest::default()
    };
    let parameter = |choice| oip::InferParameter {
        parameter_choice: Some(choice),
    };
    match fault {
        Fault::Model(name) => request.model_name = (*name).to_owned(),
        Fault::Task(_) => return None,
        Fault::Route => {
            request.model_name = "sentiment".into();
            let fastest = parameter(ParameterChoice::StringParam("fastest".into()));
            request.parameters.insert("route".into(), fastest);
        }
        Fault::Confidence(confidence) => {
            request.model_name = "sentiment:cascade".into();
            let confidence = parameter(ParameterChoice::DoubleParam(*confidence));
            request.parameters.insert("min_confidence".into(), confidence);
        }
        _ => {}
    }
    Some(request)
}

/// Asks a door, with a key if there is one; `None` where it can't say the fault.
pub async fn send(server: &TestServer, door: Door, fault: &Fault, key: Option<&str>) -> Option<Told> {
    let mut body = door.body(fault, server)?;
    let packs = matches!(fault, Fault::Bomb);
    if packs {
        body = gzip(&body);
    }
    if door.is_framed() {
        body = frame(packs, &body).to_vec();
    }
    let address = if door.is_grpc() {
        server.grpc_addr()
    } else {
        server.http_addr()
    };
    let mut request = Request::post(format!("http://{address}{}", door.path_for(fault)))
        .header("te", "trailers")
        .header("content-type", door.content_type());
    if packs {
        let name = if door.is_framed() {
            "grpc-encoding"
        } else {
            "content-encoding"
        };
        request = request.header(name, "gzip");
    }
    if matches!(fault, Fault::NoTime) {
        let (name, value) = door.timeout();
        request = request.header(name, value);
    }
    if let Some(key) = key {
        request = request.header("authorization", format!("Bearer {key}"));
    }
    let request = request.body(Full::new(Bytes::from(body))).expect("a request");
    // Over HTTP/1 an answer that comes before the whole body was sent may be lost with the connection.
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new())
        .http2_only(door.is_grpc() || matches!(fault, Fault::TooLarge))
        .build_http();
    let (head, body) = client.request(request).await.expect("an answer").into_parts();
    let body = body.collect().await.expect("a whole answer");
    let trailers = body.trailers().cloned();
    let answer = body.to_bytes();
    let http = head.status.as_u16();
    if door.is_framed() {
        let status = status_of(door, &head.headers, trailers.as_ref(), &answer);
        return Some(told_by_status(&status, http));
    }
    Some(told_by_document(door, http, &answer))
}

/// The status that an answer ends with; of a stream whose requests are answered one by one, that of the first.
fn status_of(door: Door, headers: &HeaderMap, trailers: Option<&HeaderMap>, answer: &[u8]) -> Status {
    if door == Door::Stream
        && let Some(message) = answer.get(5..).filter(|message| !message.is_empty())
    {
        let message = pb::PredictStreamResponse::decode(message).expect("an answer");
        let Some(pb::predict_stream_response::Outcome::Status(status)) = message.outcome else {
            return Status::new(tonic::Code::Ok, "");
        };
        let details = status.encode_to_vec().into();
        return Status::with_details(status.code.into(), status.message, details);
    }
    let of = |headers: &HeaderMap| Status::from_header_map(headers);
    let in_body = || {
        // gRPC-Web has its trailers in a frame of their own.
        let mut rest = answer;
        while let [flag, a, b, c, d, after @ ..] = rest {
            let (part, others) = after.split_at(u32::from_be_bytes([*a, *b, *c, *d]) as usize);
            if flag & 0x80 != 0 {
                let lines = std::str::from_utf8(part).expect("UTF-8").lines();
                let pairs = lines.filter_map(|line| line.split_once(':'));
                let pairs = pairs.map(|(name, value)| {
                    let name = http::HeaderName::try_from(name).expect("a name");
                    (name, value.trim().parse().expect("a value"))
                });
                return of(&pairs.collect());
            }
            rest = others;
        }
        None
    };
    let status = of(headers).or_else(|| trailers.and_then(of)).or_else(in_body);
    status.expect("a status")
}

fn told_by_status(status: &Status, http: u16) -> Told {
    let told = by_grpc(status);
    Told {
        reason: told.reason,
        message: told.message,
        http,
        grpc: Some(told.code),
    }
}

fn told_by_document(door: Door, http: u16, answer: &[u8]) -> Told {
    let document: Value = if http == 200 {
        json!({})
    } else {
        serde_json::from_slice(answer).expect("JSON")
    };
    let error = &document["error"];
    let text = |found: [&Value; 3]| found.into_iter().find_map(Value::as_str).unwrap_or_default().to_owned();
    let message = text([&error["message"], error, &document["message"]]);
    let connect = matches!(door, Door::ConnectJson | Door::ConnectProto);
    let reason = if connect && http != 200 {
        let details = document["details"].as_array().expect("details");
        let info = details.iter().find(|one| one["type"] == "google.rpc.ErrorInfo");
        let value = info.expect("an ErrorInfo")["value"].as_str().expect("base64");
        let value = STANDARD_NO_PAD.decode(value).expect("base64");
        tonic_types::pb::ErrorInfo::decode(&*value)
            .expect("an ErrorInfo")
            .reason
    } else {
        text([&error["reason"], &document["reason"], &Value::Null])
    };
    Told {
        reason,
        message,
        http,
        grpc: None,
    }
}
