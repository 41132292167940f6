//! The one list of failures that callers see, and what each is in gRPC, in HTTP and in metrics.
//!
//! Knows numbers and names only: each door converts to its wire type (`api/grpc/status.rs`, `api/http/error.rs`). Must
//! not carry request text, paths or messages of ONNX Runtime.

use std::time::Duration;

/// The domain of every `google.rpc.ErrorInfo` that this server sends.
pub const ERROR_DOMAIN: &str = "tandem.v1";

/// The name of the fact that says which model failed.
pub const MODEL_FACT: &str = "model";
/// The name of the fact that says in which version.
pub const MODEL_VERSION_FACT: &str = "model_version";

/// What went wrong, by the name that clients see in `ErrorInfo.reason`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// A field's value is not allowed, or does not fit another field.
    InvalidField,
    /// The message could not be decoded: broken Protobuf, broken JSON, a wrong type, an unknown key.
    MalformedMessage,
    /// A string field, or a JSON document, holds bytes that are not UTF-8.
    InvalidUtf8,
    /// No task of that name.
    TaskNotFound,
    /// No model of that name, or not in that version.
    ModelNotFound,
    /// The task has no model in the tier that the route asks for.
    TierNotConfigured,
    /// The task's cascade has no calibration, and the request names no confidence.
    CascadeNotCalibrated,
    /// The model's queue has no room for the request.
    QueueFull,
    /// The caller's key has a limit, and it is reached.
    RateLimited,
    /// The requests that are read and worked on hold as many bytes as they may.
    BodiesFull,
    /// As many streams of load reports are open as may be.
    StreamsFull,
    /// The message is larger than the server takes.
    MessageTooLarge,
    /// The headers are larger than the server takes.
    HeadersTooLarge,
    /// The deadline passed, or is sure to pass, before the answer.
    DeadlineExceeded,
    /// The caller went away.
    Cancelled,
    /// The model is being loaded, verified or warmed up.
    ModelLoading,
    /// The model could not be loaded, or failed since.
    ModelFailed,
    /// The server is finishing what it has.
    ServerDraining,
    /// The model failed on this request.
    InferenceFailed,
    /// A bug in the server.
    Internal,
    /// The model's answer can't be explained exactly.
    NotExplainable,
    /// A version did not pass the checks before it may serve.
    VersionRefused,
    /// The state of the model's versions forbids what the operator asks for.
    RolloutConflict,
    /// The server keeps no texts that could be exported.
    TextsNotKept,
    /// The caller has no key, or one that is not known.
    Unauthenticated,
    /// The caller's key is good for other calls.
    KeyNotAllowed,
    /// No such method or path.
    MethodNotFound,
    /// The path is there, but not for this HTTP method.
    MethodNotAllowed,
    /// The content type is not one that this path takes.
    UnsupportedMediaType,
    /// The message's compression is not one that the server takes.
    UnsupportedEncoding,
}

/// The codes and the name of a [`Reason`]: gRPC code, HTTP status, and what clients and metrics call it.
struct Mapping {
    name: &'static str,
    grpc_code: i32,
    grpc_name: &'static str,
    http_status: u16,
}

impl Reason {
    /// Every reason, for documentation and for tests.
    pub const ALL: [Reason; 30] = [
        Reason::InvalidField,
        Reason::MalformedMessage,
        Reason::InvalidUtf8,
        Reason::TaskNotFound,
        Reason::ModelNotFound,
        Reason::TierNotConfigured,
        Reason::CascadeNotCalibrated,
        Reason::QueueFull,
        Reason::RateLimited,
        Reason::BodiesFull,
        Reason::StreamsFull,
        Reason::MessageTooLarge,
        Reason::HeadersTooLarge,
        Reason::DeadlineExceeded,
        Reason::Cancelled,
        Reason::ModelLoading,
        Reason::ModelFailed,
        Reason::ServerDraining,
        Reason::InferenceFailed,
        Reason::Internal,
        Reason::NotExplainable,
        Reason::VersionRefused,
        Reason::RolloutConflict,
        Reason::TextsNotKept,
        Reason::Unauthenticated,
        Reason::KeyNotAllowed,
        Reason::MethodNotFound,
        Reason::MethodNotAllowed,
        Reason::UnsupportedMediaType,
        Reason::UnsupportedEncoding,
    ];

    fn mapping(self) -> Mapping {
        let (name, grpc_code, grpc_name, http_status) = match self {
            Reason::InvalidField => ("INVALID_FIELD", 3, "INVALID_ARGUMENT", 400),
            Reason::MalformedMessage => ("MALFORMED_MESSAGE", 3, "INVALID_ARGUMENT", 400),
            Reason::InvalidUtf8 => ("INVALID_UTF8", 3, "INVALID_ARGUMENT", 400),
            Reason::TaskNotFound => ("TASK_NOT_FOUND", 5, "NOT_FOUND", 404),
            Reason::ModelNotFound => ("MODEL_NOT_FOUND", 5, "NOT_FOUND", 404),
            Reason::TierNotConfigured => ("TIER_NOT_CONFIGURED", 9, "FAILED_PRECONDITION", 400),
            Reason::CascadeNotCalibrated => ("CASCADE_NOT_CALIBRATED", 9, "FAILED_PRECONDITION", 400),
            Reason::QueueFull => ("QUEUE_FULL", 8, "RESOURCE_EXHAUSTED", 429),
            Reason::RateLimited => ("RATE_LIMITED", 8, "RESOURCE_EXHAUSTED", 429),
            Reason::BodiesFull => ("BODIES_FULL", 8, "RESOURCE_EXHAUSTED", 429),
            Reason::StreamsFull => ("STREAMS_FULL", 8, "RESOURCE_EXHAUSTED", 429),
            Reason::HeadersTooLarge => ("HEADERS_TOO_LARGE", 8, "RESOURCE_EXHAUSTED", 431),
            Reason::MessageTooLarge => ("MESSAGE_TOO_LARGE", 8, "RESOURCE_EXHAUSTED", 413),
            Reason::DeadlineExceeded => ("DEADLINE_EXCEEDED", 4, "DEADLINE_EXCEEDED", 504),
            Reason::Cancelled => ("CANCELLED", 1, "CANCELLED", 499),
            Reason::ModelLoading => ("MODEL_LOADING", 14, "UNAVAILABLE", 503),
            Reason::ModelFailed => ("MODEL_FAILED", 14, "UNAVAILABLE", 503),
            Reason::ServerDraining => ("SERVER_DRAINING", 14, "UNAVAILABLE", 503),
            Reason::InferenceFailed => ("INFERENCE_FAILED", 13, "INTERNAL", 500),
            Reason::Internal => ("INTERNAL", 13, "INTERNAL", 500),
            Reason::VersionRefused => ("VERSION_REFUSED", 9, "FAILED_PRECONDITION", 400),
            Reason::RolloutConflict => ("ROLLOUT_CONFLICT", 9, "FAILED_PRECONDITION", 400),
            Reason::TextsNotKept => ("TEXTS_NOT_KEPT", 9, "FAILED_PRECONDITION", 400),
            Reason::NotExplainable => ("NOT_EXPLAINABLE", 12, "UNIMPLEMENTED", 501),
            Reason::Unauthenticated => ("UNAUTHENTICATED", 16, "UNAUTHENTICATED", 401),
            Reason::KeyNotAllowed => ("KEY_NOT_ALLOWED", 7, "PERMISSION_DENIED", 403),
            Reason::MethodNotFound => ("METHOD_NOT_FOUND", 12, "UNIMPLEMENTED", 404),
            Reason::MethodNotAllowed => ("METHOD_NOT_ALLOWED", 12, "UNIMPLEMENTED", 405),
            Reason::UnsupportedMediaType => ("UNSUPPORTED_MEDIA_TYPE", 3, "INVALID_ARGUMENT", 415),
            Reason::UnsupportedEncoding => ("UNSUPPORTED_ENCODING", 12, "UNIMPLEMENTED", 415),
        };
        Mapping {
            name,
            grpc_code,
            grpc_name,
            http_status,
        }
    }

    /// The name in `ErrorInfo.reason`, in JSON and in metric labels.
    pub fn name(self) -> &'static str {
        self.mapping().name
    }

    /// The number of the gRPC status code.
    pub fn grpc_code(self) -> i32 {
        self.mapping().grpc_code
    }

    /// The name of the gRPC status code.
    pub fn grpc_name(self) -> &'static str {
        self.mapping().grpc_name
    }

    /// Whether the server's own state is to blame, for the errors that load reports count. A caller's mistake is not, nor a deadline,
    /// which the caller chose: it could make servers look bad that are well.
    pub fn is_the_servers(self) -> bool {
        matches!(
            self,
            Self::QueueFull
                | Self::BodiesFull
                | Self::ModelLoading
                | Self::ModelFailed
                | Self::ServerDraining
                | Self::InferenceFailed
                | Self::Internal
        )
    }

    /// The HTTP status.
    pub fn http_status(self) -> u16 {
        self.mapping().http_status
    }
}

/// One field that was refused, for `google.rpc.BadRequest`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldViolation {
    /// The path of the field, by its name in the .proto file, for instance `texts[3]`.
    pub field: String,
    /// What is wrong with it, with the limit.
    pub description: String,
}

/// A failure, complete enough for every door to tell its caller.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    pub reason: Reason,
    /// One sentence for people. Never holds request text.
    pub message: String,
    /// The fields at fault, for [`Reason::InvalidField`].
    pub violations: Vec<FieldViolation>,
    /// When a new try makes sense, for [`Reason::QueueFull`] and its like.
    pub retry_after: Option<Duration>,
    /// More facts by name, for `ErrorInfo.metadata`, for instance a limit.
    pub facts: Vec<(&'static str, String)>,
}

impl Error {
    /// A failure with a sentence for people.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
            violations: Vec::new(),
            retry_after: None,
            facts: Vec::new(),
        }
    }

    /// A field at fault; the sentence names the field and what is wrong.
    pub fn invalid_field(field: impl Into<String>, description: impl Into<String>) -> Self {
        Self::invalid_fields(vec![FieldViolation {
            field: field.into(),
            description: description.into(),
        }])
    }

    /// Several fields at fault; at least one.
    pub fn invalid_fields(violations: Vec<FieldViolation>) -> Self {
        let message = violations
            .iter()
            .map(|violation| format!("{}: {}", violation.field, violation.description))
            .collect::<Vec<_>>()
            .join("; ");
        Self {
            violations,
            ..Self::new(Reason::InvalidField, message)
        }
    }

    /// The queue has no room; the caller may come back after the pause.
    pub fn queue_full(message: impl Into<String>, retry_after: Duration) -> Self {
        Self {
            retry_after: Some(retry_after),
            ..Self::new(Reason::QueueFull, message)
        }
    }

    /// A bug in the server: a handler panicked, say.
    pub fn internal() -> Self {
        Self::new(Reason::Internal, "the server failed")
    }

    /// A message that is broken before it can be decoded.
    pub fn unreadable(what: &str) -> Self {
        Self::new(Reason::MalformedMessage, format!("the message can't be read: {what}"))
    }

    /// A message over the limit.
    pub fn message_too_large(limit_bytes: usize) -> Self {
        Self::new(
            Reason::MessageTooLarge,
            format!("the message is larger than the limit of {limit_bytes} bytes"),
        )
        .with_fact("limit_bytes", limit_bytes)
    }

    /// The deadline passed before the answer.
    pub fn deadline_exceeded() -> Self {
        Self::new(
            Reason::DeadlineExceeded,
            "the deadline passed before the answer was ready",
        )
    }

    /// The deadline is sure to pass before the answer: refused on arrival, no work was done.
    pub fn deadline_too_short(expected: Duration) -> Self {
        let expected_ms = expected.as_millis();
        Self::new(
            Reason::DeadlineExceeded,
            format!("the answer would take about {expected_ms} ms with what waits ahead, longer than the deadline"),
        )
        .with_fact("expected_ms", expected_ms)
    }

    pub fn fact(&self, name: &str) -> Option<&str> {
        let found = self.facts.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Adds a fact for `ErrorInfo.metadata`.
    pub fn with_fact(mut self, name: &'static str, value: impl ToString) -> Self {
        self.facts.push((name, value.to_string()));
        self
    }
}
