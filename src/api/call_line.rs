//! Call line: the end of a call: one line in the log, one count.

use std::net::IpAddr;
use std::sync::LazyLock;
use std::time::Duration;

use governor::clock::MonotonicClock;

use crate::error::{Error, Reason};
use crate::telemetry::door_metrics::{DoorMetrics, NOT_SERVING, SERVING};
use crate::telemetry::line_limit::LineLimit;
use crate::telemetry::spans::SpanRef;

/// What a call asks for, by the names in its request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    pub task: String,
    pub model: String,
    pub route: &'static str,
}

/// What a call's line tells.
pub(super) struct CallLine<'a> {
    pub door: &'static str,
    pub method: &'static str,
    pub request_id: &'a str,
    pub trace_id: Option<&'a str>,
    /// The name of its key.
    pub key: Option<&'a str>,
    pub peer: Option<IpAddr>,
    pub asked: Option<&'a Asked>,
    pub texts: usize,
    /// Whether it asks for health, and so is no request.
    pub probe: bool,
    /// Whether the answer to such a call was that this does not serve.
    pub not_serving: bool,
    /// The share of answered calls that get a line at INFO, from 0 to 1.
    pub access_log: f64,
    /// The span of a call that is recorded.
    pub span: Option<SpanRef>,
    pub doors: &'a DoorMetrics,
}

/// Writes a call's line. What the call does not have is left out.
macro_rules! log {
    ($level:ident, $line:expr, $took:expr, $message:literal $(, $field:ident)*) => {
        if tracing::enabled!(tracing::Level::$level) {
            let line = $line;
            let named = |name: fn(&Asked) -> &str| line.asked.map(name).filter(|name| !name.is_empty());
            tracing::event!(
                tracing::Level::$level,
                door = line.door,
                method = line.method,
                request_id = line.request_id,
                trace_id = line.trace_id,
                span_id = line.span.map(SpanRef::span_id),
                key = line.key,
                peer = line.peer.map(tracing::field::display),
                task = named(|asked| &asked.task),
                model = named(|asked| &asked.model),
                route = named(|asked| asked.route),
                texts = (line.texts > 0).then_some(line.texts),
                took_us = u64::try_from($took.as_micros()).unwrap_or(u64::MAX),
                $($field,)*
                $message
            );
        }
    };
}

// One for the process, since the log is one too.
static FAILED_LINES: LazyLock<LineLimit> = LazyLock::new(|| LineLimit::new(MonotonicClock));
static REFUSED_LINES: LazyLock<LineLimit> = LazyLock::new(|| LineLimit::new(MonotonicClock));

impl CallLine<'_> {
    /// Writes the line of a call that took so long, and counts the call.
    pub fn write(&self, outcome: Result<(), &Error>, took: Duration) {
        if self.probe {
            let serves = outcome.is_ok() && !self.not_serving;
            self.doors
                .health_checked(self.door, if serves { SERVING } else { NOT_SERVING });
        } else {
            self.doors
                .answered((self.door, self.method), outcome.err(), self.key, (took, self.span));
        }
        let drawn = || !self.probe && self.access_log > 0.0 && fastrand::f64() < self.access_log;
        match outcome {
            Ok(()) if drawn() => log!(INFO, self, took, "answered"),
            Ok(()) => log!(DEBUG, self, took, "answered"),
            Err(error) => self.write_failure(error, took),
        }
    }

    fn write_failure(&self, error: &Error, took: Duration) {
        let (reason, code) = (error.reason.name(), error.reason.grpc_name());
        let failed = matches!(error.reason, Reason::Internal | Reason::InferenceFailed);
        let lines = if failed { &FAILED_LINES } else { &REFUSED_LINES };
        let Some(unlogged) = lines.take() else {
            log!(DEBUG, self, took, "not answered", code, reason);
            return;
        };
        let unlogged = (unlogged > 0).then_some(unlogged);
        if failed {
            log!(ERROR, self, took, "failed", code, reason, unlogged);
        } else {
            log!(INFO, self, took, "refused", code, reason, unlogged);
        }
    }
}
