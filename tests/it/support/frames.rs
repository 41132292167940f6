//! gRPC by hand: any bytes over HTTP/2, for what no generated client sends.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tonic::Status;

/// The path of Predict.
pub const PREDICT: &str = "/tandem.v1.PredictionService/Predict";

/// A call to be changed in one place.
pub struct RawCall {
    /// The HTTP method.
    pub method: Method,
    /// The path.
    pub path: String,
    /// The content type.
    pub content_type: String,
    /// More headers.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
}

/// What came back.
pub struct RawAnswer {
    /// The HTTP status.
    pub http_status: StatusCode,
    /// The gRPC status.
    pub status: Status,
    /// The headers.
    pub headers: HeaderMap,
}

/// A frame: its flag, its length, the message.
pub fn frame(compressed: bool, message: &[u8]) -> Bytes {
    let mut frame = vec![u8::from(compressed)];
    frame.extend(u32::try_from(message.len()).expect("a short message").to_be_bytes());
    frame.extend_from_slice(message);
    frame.into()
}

/// A client of HTTP/2 that sends a request again, on another connection, if the first one closed before it went out: as
/// gRPC asks of clients, and tonic's does not do.
pub type RawClient = Client<hyper_util::client::legacy::connect::HttpConnector, Full<Bytes>>;

/// A client without a connection.
pub fn client() -> RawClient {
    Client::builder(TokioExecutor::new()).http2_only(true).build_http()
}

impl RawCall {
    /// A call of Predict with one frame.
    pub fn predict(message: &[u8]) -> Self {
        Self {
            method: Method::POST,
            path: PREDICT.into(),
            content_type: "application/grpc".into(),
            headers: Vec::new(),
            body: frame(false, message),
        }
    }

    /// Adds a header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sends the call on a connection of its own.
    pub async fn send(self, address: SocketAddr) -> RawAnswer {
        self.send_by(&client(), address).await
    }

    /// Sends the call by a client, which keeps its connection.
    pub async fn send_by(self, client: &RawClient, address: SocketAddr) -> RawAnswer {
        let mut request = Request::builder()
            .method(self.method)
            .uri(format!("http://{address}{}", self.path))
            .header("te", "trailers")
            .header("content-type", self.content_type);
        for (name, value) in self.headers {
            request = request.header(name, value);
        }
        let request = request.body(Full::new(self.body)).expect("a request");
        let (head, body) = client.request(request).await.expect("an answer").into_parts();
        let trailers = body.collect().await.expect("a whole answer").trailers().cloned();
        let status = trailers
            .as_ref()
            .and_then(Status::from_header_map)
            .or_else(|| Status::from_header_map(&head.headers))
            .expect("a gRPC status");
        RawAnswer {
            http_status: head.status,
            status,
            headers: head.headers,
        }
    }
}
