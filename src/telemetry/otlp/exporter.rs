//! Sends batches of spans, over gRPC or HTTP. Says at most once a minute that it can't.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use opentelemetry_otlp::{SpanExporter, WithHttpConfig, WithTonicConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::SpanData;
use tokio::runtime::Handle;

use super::collector::{Background, Protocol, Signal, Trouble};
use super::collector_tls;
use crate::telemetry::span_metrics::SpanMetrics;

/// Sends spans on a runtime of its own.
pub(super) struct Sender {
    to: Arc<SpanExporter>,
    on: Handle,
    timeout: Duration,
    metrics: SpanMetrics,
    /// How many spans are on their way.
    waiting: Arc<AtomicUsize>,
    trouble: Trouble,
}

impl fmt::Debug for Sender {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Sender")
    }
}

impl Sender {
    /// A sender by the variables, and the runtime that it needs for as long as it sends.
    pub(super) fn new(metrics: SpanMetrics, waiting: Arc<AtomicUsize>) -> Result<(Self, Background), String> {
        Signal::Traces.tell_unknown_protocol();
        let runtime = Background::start("spans")?;
        let timeout = Signal::Traces.timeout();
        let on = runtime.handle().clone();
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
            trouble: Trouble::default(),
        };
        Ok((sender, runtime))
    }

    /// Counts lost spans, and says so unless that was said a moment ago.
    fn lose(&self, spans: usize, problem: &str) {
        self.metrics.lost("not_sent", spans);
        if let Some(lost) = self.trouble.add(spans) {
            tracing::warn!(lost, problem, "spans can't be sent to the collector, calls go on");
        }
    }
}

fn exporter(timeout: Duration) -> Result<SpanExporter, String> {
    let authorities = Signal::Traces.authorities()?;
    let built = match Signal::Traces.protocol() {
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
