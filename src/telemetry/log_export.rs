//! Whether lines of the log are sent to a collector beside standard error, by the variables of OpenTelemetry's specification.
//!
//! The variables that have spans sent do not suffice: lines are sent where `OTEL_LOGS_EXPORTER` is `otlp`, or where a
//! collector is named for them alone. The log is one for the process, and so is this.

use std::time::Duration;

use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::registry::LookupSpan;

use super::variables::{is_disabled, names_otlp, variable};

/// The variable that names a collector of lines alone.
const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT";

/// Whether the variables ask for lines.
fn is_wanted() -> bool {
    !is_disabled() && names_otlp("OTEL_LOGS_EXPORTER").unwrap_or_else(|| variable(ENDPOINT).is_some())
}

/// A layer of a subscriber.
pub(super) type BoxedLayer<S> = Box<dyn Layer<S> + Send + Sync>;

/// The start of the sending; what there is to say of it waits for the log.
pub struct LogExport(Option<begun::Begun>);

impl LogExport {
    /// No line is sent.
    pub fn off() -> Self {
        Self(None)
    }

    /// Begins to send lines, if the variables of the environment ask for it. What is wrong with them is a line of the log: a
    /// server is not kept from serving by what watches it.
    pub fn start() -> Self {
        Self(is_wanted().then(begun::begin))
    }

    /// What a subscriber needs to have its lines sent, if they are.
    pub(super) fn layer<S: Subscriber + for<'a> LookupSpan<'a>>(&self) -> Option<BoxedLayer<S>> {
        self.0.as_ref().and_then(begun::layer)
    }

    /// Says in the log, which has begun, what came of the start.
    pub(super) fn tell(self) {
        if let Some(begun) = self.0 {
            begun::tell(begun);
        }
    }
}

/// Sends what the program fails by, if lines are sent.
pub(super) fn complain(problem: &str) {
    begun::complain(problem);
}

/// Sends the lines that are left, within a time. Blocks. Nothing where no lines are sent, or this was called before.
pub fn end(limit: Duration) {
    begun::end(limit);
}

#[cfg(feature = "otlp")]
mod begun {
    use std::time::Duration;

    use parking_lot::Mutex;
    use tracing::Subscriber;
    use tracing_subscriber::registry::LookupSpan;

    use super::BoxedLayer;
    use crate::telemetry::otlp::log_lines::LogLines;

    /// The sending, or why there is none.
    pub type Begun = Result<LogLines, String>;

    static SENDING: Mutex<Option<LogLines>> = Mutex::new(None);

    pub fn begin() -> Begun {
        LogLines::start()
    }

    pub fn layer<S: Subscriber + for<'a> LookupSpan<'a>>(begun: &Begun) -> Option<BoxedLayer<S>> {
        let lines = begun.as_ref().ok()?;
        Some(Box::new(lines.layer()))
    }

    pub fn tell(begun: Begun) {
        match begun {
            Ok(lines) => {
                LogLines::tell();
                *SENDING.lock() = Some(lines);
            }
            Err(problem) => tracing::error!(problem, "no lines of the log are sent"),
        }
    }

    pub fn complain(problem: &str) {
        if let Some(lines) = &*SENDING.lock() {
            lines.complain(problem);
        }
    }

    pub fn end(limit: Duration) {
        let lines = SENDING.lock().take();
        if let Some(lines) = lines {
            lines.end(limit);
        }
    }
}

#[cfg(not(feature = "otlp"))]
mod begun {
    use std::time::Duration;

    use tracing::Subscriber;

    use super::BoxedLayer;

    /// Lines are wanted, which this build can't send.
    pub struct Begun;

    pub fn begin() -> Begun {
        Begun
    }

    pub fn layer<S: Subscriber>(_: &Begun) -> Option<BoxedLayer<S>> {
        None
    }

    pub fn tell(_: Begun) {
        tracing::warn!(
            "this build has no exporter of log lines, so OTEL_LOGS_EXPORTER changes nothing: build with --features otlp"
        );
    }

    pub fn complain(_: &str) {}

    pub fn end(_: Duration) {}
}
