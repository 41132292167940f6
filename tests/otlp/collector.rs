//! A collector in this process: takes spans over gRPC and over HTTP, decodes them, and keeps them for the tests.

use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::post;
use http::HeaderMap;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};

use crate::support::{LIMIT, runtime};

/// What came in one message.
pub struct Export {
    pub headers: HeaderMap,
    pub message: ExportTraceServiceRequest,
}

#[derive(Clone, Default)]
struct Received(Arc<(Mutex<Vec<Export>>, Condvar)>);

impl Received {
    fn add(&self, headers: HeaderMap, message: ExportTraceServiceRequest) {
        let mut exports = self.0.0.lock().expect("nothing panics with this lock");
        exports.push(Export { headers, message });
        self.0.1.notify_all();
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

fn routes_over_http(received: &Received) -> Router {
    Router::new()
        .route("/v1/traces", post(take))
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
        let service = tonic::transport::Server::builder().add_service(service);
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

    /// Waits until what came is enough, and gives it to `see`.
    pub fn until<T>(&self, mut see: impl FnMut(&[Export]) -> Option<T>) -> T {
        let mut found = None;
        let exports = self.received.0.0.lock().expect("nothing panics with this lock");
        let waited = self.received.0.1.wait_timeout_while(exports, LIMIT, |exports| {
            found = see(exports);
            found.is_none()
        });
        let (exports, _) = waited.expect("nothing panics with this lock");
        found.unwrap_or_else(|| panic!("these spans came: {:#?}", spans(&exports)))
    }

    /// What came so far.
    pub fn now<T>(&self, see: impl FnOnce(&[Export]) -> T) -> T {
        see(&self.received.0.0.lock().expect("nothing panics with this lock"))
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
