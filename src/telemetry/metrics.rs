//! Metrics, at `/metrics`, in the formats that Prometheus and other collectors ask for.
//!
//! Every label has a bounded set of values: names of models, tasks, methods, keys, codes. Nothing from a request becomes
//! a label.

use std::sync::Arc;
use std::time::Instant;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::prometheus_protobuf::{self, prometheus_data_model::MetricFamily};
use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use super::cascade::CascadeMetrics;
use super::door_metrics::DoorMetrics;
use super::kept::KeptMetrics;
use super::load::Totals;
use super::model_metrics::{ModelFamilies, ModelMetrics};
use super::plain_text;
use super::process::{LogCollector, ProcessCollector, cpu_time};
use super::span_metrics::SpanMetrics;
use super::versions::VersionMetrics;

/// A format of the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// OpenMetrics, as text.
    #[default]
    OpenMetrics,
    /// Prometheus's older text format.
    PlainText,
    /// Prometheus's protobuf format, which alone has native histograms.
    Protobuf,
}

impl Format {
    pub const ALL: [Self; 3] = [Self::OpenMetrics, Self::PlainText, Self::Protobuf];

    /// The content type of [`Metrics::render`] in this format.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::PlainText => "text/plain; version=0.0.4; charset=utf-8",
            Self::Protobuf => {
                "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
            }
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CertificateLabels {
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabels {
    outcome: &'static str,
}

/// All metrics of one server; cheap to clone.
#[derive(Clone)]
pub struct Metrics {
    registry: Arc<Registry>,
    doors: DoorMetrics,
    versions: VersionMetrics,
    inflight_body_bytes: Gauge,
    inflight_body_limit: Gauge,
    certificate_expiry: Family<CertificateLabels, Gauge>,
    security_reloads: Family<OutcomeLabels, Counter>,
    cores: Gauge,
    model: ModelFamilies,
    cascade: CascadeMetrics,
    kept: KeptMetrics,
    spans: SpanMetrics,
}

impl Metrics {
    /// The metrics of a server, with what it was built from.
    pub fn new(onnxruntime_version: &str) -> Self {
        let mut root = Registry::default();
        root.register_collector(Box::new(ProcessCollector));
        let registry = root.sub_registry_with_prefix("tandem");
        registry.register_collector(Box::new(LogCollector));
        let doors = DoorMetrics::register(registry);
        let versions = VersionMetrics::register(registry);
        let inflight_body_bytes = Gauge::default();
        registry.register(
            "inflight_body_bytes",
            "Bytes of the bodies of open requests, and of answers that are not written yet",
            inflight_body_bytes.clone(),
        );
        let inflight_body_limit = Gauge::default();
        registry.register(
            "inflight_body_limit_bytes",
            "The most bytes that bodies of open requests and unwritten answers may have",
            inflight_body_limit.clone(),
        );
        let (certificate_expiry, security_reloads) = register_security(registry);
        let cores = Gauge::default();
        registry.register(
            "cores",
            "Cores that the server may use, by its affinity and its control group's quota",
            cores.clone(),
        );
        let model = ModelFamilies::register(registry);
        let cascade = CascadeMetrics::register(registry);
        let kept = KeptMetrics::register(registry);
        let spans = SpanMetrics::register(registry);
        let build = [
            ("version", env!("CARGO_PKG_VERSION").to_owned()),
            ("onnxruntime", onnxruntime_version.to_owned()),
        ];
        registry.register("build", "What this server was built from", Info::new(build.to_vec()));
        Self {
            registry: Arc::new(root),
            doors,
            versions,
            inflight_body_bytes,
            inflight_body_limit,
            certificate_expiry,
            security_reloads,
            cores,
            model,
            cascade,
            kept,
            spans,
        }
    }

    pub fn doors(&self) -> &DoorMetrics {
        &self.doors
    }

    pub fn versions(&self) -> &VersionMetrics {
        &self.versions
    }

    pub fn cascade(&self) -> &CascadeMetrics {
        &self.cascade
    }

    pub fn kept(&self) -> &KeptMetrics {
        &self.kept
    }

    pub fn spans(&self) -> &SpanMetrics {
        &self.spans
    }

    /// All metrics in a format.
    pub fn render(&self, format: Format) -> Vec<u8> {
        match format {
            Format::OpenMetrics => self.text().into_bytes(),
            Format::PlainText => plain_text::render(&self.families()).into_bytes(),
            Format::Protobuf => prometheus_protobuf::encode_to_vec(&self.registry).unwrap_or_default(),
        }
    }

    /// All metrics as OpenMetrics text.
    pub fn text(&self) -> String {
        let mut out = String::new();
        // Writing to a string can't fail; a collector that fails leaves what was written before it.
        let _ = text::encode(&mut out, &self.registry);
        out
    }

    /// All metrics with their samples, as data.
    pub fn families(&self) -> Vec<MetricFamily> {
        prometheus_protobuf::encode(&self.registry).unwrap_or_default()
    }

    /// The gauge of the bytes of bodies in flight.
    pub fn inflight_body_bytes(&self) -> Gauge {
        self.inflight_body_bytes.clone()
    }

    /// Sets the most bytes that bodies in flight may have.
    pub fn set_inflight_body_limit(&self, bytes: usize) {
        self.inflight_body_limit.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    /// Sets when a certificate of the doors expires, in seconds since 1970.
    pub fn set_certificate_expiry(&self, kind: &'static str, at: i64) {
        let labels = CertificateLabels { kind };
        self.certificate_expiry.get_or_create(&labels).set(at);
    }

    /// Counts a look at the files of keys and certificates that found new ones, or ones that can't be used.
    pub fn security_reloaded(&self, changed: bool) {
        let outcome = if changed { "changed" } else { "failed" };
        self.security_reloads.get_or_create(&OutcomeLabels { outcome }).inc();
    }

    /// Sets how many cores the server may use.
    pub fn set_cores(&self, cores: usize) {
        self.cores.set(i64::try_from(cores).unwrap_or(i64::MAX));
    }

    /// What the server did since the start, until `at`.
    pub fn totals(&self, at: Instant) -> Totals {
        let (answered, failed) = self.doors.outcomes();
        Totals {
            at,
            cpu: cpu_time(),
            answered,
            failed,
            models: self.model.work(),
        }
    }

    pub fn for_model(&self, name: &str, tier: &'static str) -> ModelMetrics {
        self.model.for_model(name, tier)
    }
}

fn register_security(registry: &mut Registry) -> (Family<CertificateLabels, Gauge>, Family<OutcomeLabels, Counter>) {
    let expiry = Family::default();
    registry.register(
        "certificate_expiry_timestamp_seconds",
        "When a certificate expires, in seconds since 1970: the server's own, and the authority of clients; absent without TLS",
        expiry.clone(),
    );
    let reloads: Family<OutcomeLabels, Counter> = Family::default();
    registry.register(
        "security_reloads",
        "Looks at the files of keys and certificates that found new ones (changed), or ones that can't be used (failed)",
        reloads.clone(),
    );
    for outcome in ["changed", "failed"] {
        drop(reloads.get_or_create(&OutcomeLabels { outcome }));
    }
    (expiry, reloads)
}
