//! Whether spans are sent, and where: by the variables of OpenTelemetry's specification. Nothing is sent unless one of them
//! names a collector.

use std::time::Duration;

use super::metrics::Metrics;
use super::spans::Spans;
use super::variables::{is_disabled, names_otlp, variable};

/// Sends the spans that it is left with, within a time. Blocks.
type Ending = Box<dyn FnOnce(Duration) + Send>;

/// The sending of spans; nothing where it is off.
#[derive(Default)]
pub struct SpanExport {
    /// Where the spans of calls go.
    pub spans: Spans,
    ending: Option<Ending>,
}

/// The variables that name a collector.
const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];

/// Whether the variables ask for spans.
fn is_wanted() -> bool {
    !is_disabled()
        && names_otlp("OTEL_TRACES_EXPORTER").unwrap_or(true)
        && ENDPOINTS.iter().any(|name| variable(name).is_some())
}

impl SpanExport {
    /// Begins to send spans, if the variables of the environment ask for it. What is wrong with them is a line of the log:
    /// a server is not kept from serving by what watches it.
    pub fn start(metrics: &Metrics) -> Self {
        if !is_wanted() {
            return Self::default();
        }
        Self::begin(metrics)
    }

    #[cfg(feature = "otlp")]
    fn begin(metrics: &Metrics) -> Self {
        match super::otlp::start(metrics.spans()) {
            Ok((spans, ending)) => Self {
                spans: Some(spans),
                ending: Some(ending),
            },
            Err(problem) => {
                tracing::error!(problem, "no spans are sent");
                Self::default()
            }
        }
    }

    #[cfg(not(feature = "otlp"))]
    fn begin(_: &Metrics) -> Self {
        tracing::warn!(
            "this build has no exporter of spans, so OTEL_EXPORTER_OTLP_ENDPOINT changes nothing: build with --features otlp"
        );
        Self::default()
    }

    /// Sends what is left, within a time. Blocks.
    pub fn end(self, limit: Duration) {
        if let Some(ending) = self.ending {
            ending(limit);
        }
    }
}
