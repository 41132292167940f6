//! A collector in this process: takes spans and lines of the log over gRPC and over HTTP, decodes them, and keeps them for the tests.

use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::post;
use http::HeaderMap;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_server::{LogsService, LogsServiceServer};
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsServiceRequest, ExportLogsServiceResponse};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};

use crate::support::{LIMIT, runtime};

/// What came in one message.
pub struct Export<M = ExportTraceServiceRequest> {
    pub headers: HeaderMap,
    pub message: M,
}

/// A line of the log.
#[derive(Clone, Debug)]
pub struct Line {
    pub scope: String,
    pub record: LogRecord,
}

impl Line {
    /// What it says.
    pub fn message(&self) -> &str {
        match self.record.body.as_ref().and_then(|body| body.value.as_ref()) {
            Some(Value::StringValue(text)) => text,
            other => panic!("a text: {other:?}"),
        }
    }

    pub fn value(&self, key: &str) -> Option<String> {
        value(&self.record.attributes, key)
    }
}

#[derive(Default)]
struct Came {
    spans: Vec<Export>,
    logs: Vec<Export<ExportLogsServiceRequest>>,
    /// All lines of `logs`.
    lines: Vec<Line>,
}

#[derive(Clone, Default)]
struct Received(Arc<(Mutex<Came>, Condvar)>);

impl Received {
    fn add(&self, headers: HeaderMap, message: ExportTraceServiceRequest) {
        let mut came = self.0.0.lock().expect("nothing panics with this lock");
        came.spans.push(Export { headers, message });
        self.0.1.notify_all();
    }

    fn add_logs(&self, headers: HeaderMap, message: ExportLogsServiceRequest) {
        let mut came = self.0.0.lock().expect("nothing panics with this lock");
        for logs in message.resource_logs.iter().flat_map(|resource| &resource.scope_logs) {
            let scope = logs.scope.as_ref().map_or(String::new(), |scope| scope.name.clone());
            came.lines.extend(logs.log_records.iter().map(|record| Line {
                scope: scope.clone(),
                record: record.clone(),
            }));
        }
        came.logs.push(Export { headers, message });
        self.0.1.notify_all();
    }
}

#[tonic::async_trait]
impl LogsService for Received {
    async fn export(
        &self,
        request: Request<ExportLogsServiceRequest>,
    ) -> Result<Response<ExportLogsServiceResponse>, Status> {
        let headers = request.metadata().clone().into_headers();
        self.add_logs(headers, request.into_inner());
        Ok(Response::new(ExportLogsServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl TraceService for Received {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let headers = request.metadata().clone().into_headers();
        self.add(headers, request.into_inner());
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

/// The path is what the specification adds to `OTEL_EXPORTER_OTLP_ENDPOINT`.
async fn take(State(received): State<Received>, headers: HeaderMap, body: Bytes) -> Vec<u8> {
    let message = ExportTraceServiceRequest::decode(body).expect("an export of spans");
    received.add(headers, message);
    ExportTraceServiceResponse::default().encode_to_vec()
}

async fn take_logs(State(received): State<Received>, headers: HeaderMap, body: Bytes) -> Vec<u8> {
    let message = ExportLogsServiceRequest::decode(body).expect("an export of log lines");
    received.add_logs(headers, message);
    ExportLogsServiceResponse::default().encode_to_vec()
}

fn routes_over_http(received: &Received) -> Router {
    Router::new()
        .route("/v1/traces", post(take))
        .route("/v1/logs", post(take_logs))
        .with_state(received.clone())
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, routes: Router) {
    let builder = Builder::new(TokioExecutor::new());
    // An error means that the peer went away.
    let _ = builder
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes))
        .await;
}

/// A collector that listens until it is dropped.
pub struct Collector {
    pub grpc: SocketAddr,
    pub http: SocketAddr,
    received: Received,
    runtime: Runtime,
}

impl Collector {
    pub fn start() -> Self {
        let runtime = runtime();
        let received = Received::default();
        let (grpc, http) = runtime.block_on(async {
            let any = SocketAddr::from(([127, 0, 0, 1], 0));
            let grpc = TcpListener::bind(any).await.expect("a port");
            let http = TcpListener::bind(any).await.expect("a port");
            (grpc, http)
        });
        let addresses = [&grpc, &http].map(|listener| listener.local_addr().expect("an address"));
        let service = TraceServiceServer::new(received.clone());
        let service = tonic::transport::Server::builder()
            .add_service(service)
            .add_service(LogsServiceServer::new(received.clone()));
        runtime.spawn(service.serve_with_incoming(TcpListenerStream::new(grpc)));
        let routes = routes_over_http(&received);
        runtime.spawn(async move {
            loop {
                let Ok((stream, _)) = http.accept().await else { return };
                tokio::spawn(serve(stream, routes.clone()));
            }
        });
        Self {
            grpc: addresses[0],
            http: addresses[1],
            received,
            runtime,
        }
    }

    /// A collector that speaks TLS, over HTTP or gRPC as the calls are, with a certificate of its own making: its port, and
    /// the certificate in PEM.
    pub fn behind_tls(&self) -> (SocketAddr, String) {
        let rcgen::CertifiedKey { cert, signing_key } =
            rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        let key = rustls_pki_types::PrivateKeyDer::Pkcs8(signing_key.serialize_der().into());
        let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
        let config = tokio_rustls::rustls::ServerConfig::builder_with_provider(provider);
        let config = config.with_safe_default_protocol_versions().expect("versions");
        let config = config
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key);
        let mut config = config.expect("a certificate and its key");
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0)));
        let listener = self.runtime.block_on(listener).expect("a port");
        let address = listener.local_addr().expect("an address");
        let routes = tonic::service::Routes::new(TraceServiceServer::new(self.received.clone()));
        let routes = routes.add_service(LogsServiceServer::new(self.received.clone()));
        let routes = routes.into_axum_router().merge(routes_over_http(&self.received));
        self.runtime.spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else {
                    return;
                };
                let (acceptor, routes) = (acceptor.clone(), routes.clone());
                tokio::spawn(async move {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        serve(stream, routes).await;
                    }
                });
            }
        });
        (address, cert.pem())
    }

    /// Waits until the spans that came are enough, and gives them to `see`.
    pub fn until<T>(&self, mut see: impl FnMut(&[Export]) -> Option<T>) -> T {
        let (found, came) = self.wait(|came| see(&came.spans));
        found.unwrap_or_else(|| panic!("these spans came: {:#?}", spans(&came.spans)))
    }

    /// Waits until the lines that came are enough, and gives them to `see`.
    pub fn until_lines<T>(&self, mut see: impl FnMut(&[Line]) -> Option<T>) -> T {
        let (found, came) = self.wait(|came| see(&came.lines));
        found.unwrap_or_else(|| panic!("these lines came: {:#?}", came.lines))
    }

    fn wait<T>(&self, mut see: impl FnMut(&Came) -> Option<T>) -> (Option<T>, MutexGuard<'_, Came>) {
        let mut found = None;
        let came = self.received.0.0.lock().expect("nothing panics with this lock");
        let waited = self.received.0.1.wait_timeout_while(came, LIMIT, |came| {
            found = see(came);
            found.is_none()
        });
        let (came, _) = waited.expect("nothing panics with this lock");
        (found, came)
    }

    /// The spans that came so far.
    pub fn now<T>(&self, see: impl FnOnce(&[Export]) -> T) -> T {
        see(&self.received.0.0.lock().expect("nothing panics with this lock").spans)
    }

    /// The lines that came so far.
    pub fn lines(&self) -> Vec<Line> {
        let came = self.received.0.0.lock().expect("nothing panics with this lock");
        came.lines.clone()
    }

    /// The headers of the first message with lines, and who sent it.
    pub fn first_of_lines(&self) -> (HeaderMap, Resource) {
        let came = self.received.0.0.lock().expect("nothing panics with this lock");
        let first = came.logs.first().expect("lines came");
        let resource = first.message.resource_logs[0].resource.clone();
        (first.headers.clone(), resource.expect("a resource"))
    }
}

/// All spans that came, in their order.
pub fn spans(exports: &[Export]) -> Vec<Span> {
    let resources = exports.iter().flat_map(|export| &export.message.resource_spans);
    let scopes = resources.flat_map(|resource| &resource.scope_spans);
    scopes.flat_map(|scope| scope.spans.clone()).collect()
}

/// The value of an attribute, as text.
pub fn value(attributes: &[KeyValue], key: &str) -> Option<String> {
    let found = attributes.iter().find(|attribute| attribute.key == key)?;
    match &found.value {
        Some(AnyValue {
            value: Some(Value::StringValue(text)),
        }) => Some(text.clone()),
        Some(AnyValue {
            value: Some(Value::IntValue(number)),
        }) => Some(number.to_string()),
        other => panic!("{key}: {other:?}"),
    }
}
