//! Sends batches of spans, over gRPC or HTTP. Says at most once a minute that it can't.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use opentelemetry_otlp::{SpanExporter, WithHttpConfig, WithTonicConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::SpanData;
use parking_lot::Mutex;
use tokio::runtime::{Builder, Handle, Runtime};

use super::collector_tls;
use crate::telemetry::span_metrics::SpanMetrics;
use crate::telemetry::variables::variable;

/// How often the log says that spans can't be sent.
const SAID_EVERY: Duration = Duration::from_mins(1);
/// How long a batch may take to be sent, where the variables say nothing.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How the collector is spoken to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Grpc,
    Http,
}

impl Protocol {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Grpc => "grpc",
            Self::Http => "http/protobuf",
        }
    }
}

/// A variable's value: that for spans alone, or that for all that is exported.
fn exporter_variable(name: &str) -> Option<String> {
    variable(&format!("OTEL_EXPORTER_OTLP_TRACES_{name}")).or_else(|| variable(&format!("OTEL_EXPORTER_OTLP_{name}")))
}

/// The protocol that the variables say; HTTP by default, as the specification has it.
pub(super) fn protocol() -> Protocol {
    match exporter_variable("PROTOCOL").as_deref() {
        Some("grpc") => Protocol::Grpc,
        _ => Protocol::Http,
    }
}

fn timeout() -> Duration {
    let millis = exporter_variable("TIMEOUT").and_then(|millis| millis.parse().ok());
    millis.map_or(TIMEOUT, Duration::from_millis)
}

/// Sends spans on a runtime of its own.
pub(super) struct Sender {
    to: Arc<SpanExporter>,
    on: Handle,
    timeout: Duration,
    metrics: SpanMetrics,
    /// How many spans are on their way.
    waiting: Arc<AtomicUsize>,
    trouble: Mutex<Trouble>,
}

/// The runtime that sends. It ends without waiting for a request that hangs, also where an async runtime drops it.
pub(super) struct Background(Option<Runtime>);

impl Drop for Background {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// What the log has yet to say.
#[derive(Default)]
struct Trouble {
    said: Option<Instant>,
    lost: usize,
}

impl fmt::Debug for Sender {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Sender")
    }
}

impl Sender {
    /// A sender by the variables, and the runtime that it needs for as long as it sends.
    pub(super) fn new(metrics: SpanMetrics, waiting: Arc<AtomicUsize>) -> Result<(Self, Background), String> {
        if let Some(unknown) =
            exporter_variable("PROTOCOL").filter(|name| !["grpc", "http/protobuf"].contains(&&**name))
        {
            tracing::warn!(
                unknown,
                "OTEL_EXPORTER_OTLP_PROTOCOL may be grpc or http/protobuf, which is taken"
            );
        }
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .max_blocking_threads(1)
            .thread_name("spans")
            .enable_all()
            .build()
            .map_err(|error| format!("there is no thread to send spans: {error}"))?;
        let timeout = timeout();
        let on = runtime.handle().clone();
        let runtime = Background(Some(runtime));
        let to = {
            let _inside = on.enter();
            exporter(timeout)?
        };
        let sender = Self {
            to: Arc::new(to),
            on,
            timeout,
            metrics,
            waiting,
            trouble: Mutex::default(),
        };
        Ok((sender, runtime))
    }

    /// Counts lost spans, and says so unless that was said a moment ago.
    fn lose(&self, spans: usize, problem: &str) {
        self.metrics.lost("not_sent", spans);
        let mut trouble = self.trouble.lock();
        trouble.lost += spans;
        if trouble.said.is_some_and(|said| said.elapsed() < SAID_EVERY) {
            return;
        }
        let lost = std::mem::take(&mut trouble.lost);
        trouble.said = Some(Instant::now());
        drop(trouble);
        tracing::warn!(lost, problem, "spans can't be sent to the collector, calls go on");
    }
}

fn exporter(timeout: Duration) -> Result<SpanExporter, String> {
    let certificate = exporter_variable("CERTIFICATE");
    let authorities = certificate.map(|path| {
        let read = std::fs::read(&path);
        read.map_err(|error| format!("OTEL_EXPORTER_OTLP_CERTIFICATE {path}: {error}"))
    });
    let authorities = authorities.transpose()?;
    let built = match protocol() {
        Protocol::Grpc => {
            let builder = SpanExporter::builder().with_tonic();
            builder.with_tls_config(collector_tls::over_grpc(authorities)).build()
        }
        Protocol::Http => {
            let client = collector_tls::over_http(authorities, timeout)?;
            SpanExporter::builder().with_http().with_http_client(client).build()
        }
    };
    built.map_err(|error| error.to_string())
}

impl opentelemetry_sdk::trace::SpanExporter for Sender {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        let (to, timeout) = (Arc::clone(&self.to), self.timeout);
        let sending = self.on.spawn(async move {
            let sent = tokio::time::timeout(timeout, to.export(batch)).await;
            sent.unwrap_or(Err(OTelSdkError::Timeout(timeout)))
        });
        let sent = sending
            .await
            .unwrap_or_else(|error| Err(OTelSdkError::InternalFailure(error.to_string())));
        self.waiting.fetch_sub(spans, Ordering::Relaxed);
        match &sent {
            Ok(()) => self.metrics.sent(spans),
            Err(error) => self.lose(spans, &error.to_string()),
        }
        sent
    }

    fn shutdown_with_timeout(&self, limit: Duration) -> OTelSdkResult {
        self.to.shutdown_with_timeout(limit)
    }

    fn set_resource(&mut self, resource: &Resource) {
        // Before the first batch nobody else has it.
        if let Some(to) = Arc::get_mut(&mut self.to) {
            to.set_resource(resource);
        }
    }
}
