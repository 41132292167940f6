//! The bounded queue of log lines that wait to be sent, around the library's: that one counts lines, tells nobody how many it
//! drops, and knows the trace of a line only from a context of its own, which calls here don't have.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use opentelemetry::logs::{AnyValue, LogRecord};
use opentelemetry::{InstrumentationScope, SpanId, TraceFlags, TraceId};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{BatchLogProcessor, LogBatch, LogProcessor, SdkLogRecord};

use crate::telemetry::sent_lines::{self, Lost};
use crate::telemetry::stderr::MAX_QUEUED_BYTES;

/// What a line and each of its fields take beside their texts, in bytes, roughly.
const OVERHEAD: usize = 64;

/// The lines that wait, and those that are being sent.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    lines: AtomicUsize,
    bytes: AtomicUsize,
}

impl Waiting {
    /// Whether a line of so many bytes has room beside `room` lines and [`MAX_QUEUED_BYTES`]. If so it waits from now on.
    fn enter(&self, bytes: usize, room: usize) -> bool {
        let lines = self.lines.fetch_add(1, Ordering::Relaxed);
        let queued = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        let enters = lines < room && queued + bytes <= MAX_QUEUED_BYTES;
        if !enters {
            self.leave((1, bytes));
        }
        enters
    }

    /// Lines of a batch are sent, or lost.
    pub(super) fn leave(&self, (lines, bytes): (usize, usize)) {
        self.lines.fetch_sub(lines, Ordering::Relaxed);
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    pub(super) fn lines(&self) -> usize {
        self.lines.load(Ordering::Relaxed)
    }
}

/// How many lines a batch has, and their bytes.
pub(super) fn share(batch: &LogBatch<'_>) -> (usize, usize) {
    let records = batch.iter();
    records.fold((0, 0), |(lines, bytes), (record, _)| (lines + 1, bytes + size(record)))
}

/// What a line takes while it waits, in bytes.
fn size(record: &SdkLogRecord) -> usize {
    let text = |value: &AnyValue| match value {
        AnyValue::String(text) => text.as_str().len(),
        _ => 0,
    };
    let fields = record.attributes_iter().map(|(_, value)| OVERHEAD + text(value));
    OVERHEAD + record.body().map_or(0, text) + fields.sum::<usize>()
}

/// The queue; lines without room in it are lost and counted.
#[derive(Debug)]
pub(super) struct Queue {
    pub(super) processor: BatchLogProcessor,
    /// The most lines that wait.
    pub(super) room: usize,
    pub(super) waiting: Arc<Waiting>,
}

impl LogProcessor for Queue {
    fn emit(&self, record: &mut SdkLogRecord, scope: &InstrumentationScope) {
        if !self.waiting.enter(size(record), self.room) {
            sent_lines::lost(Lost::QueueFull, 1);
            return;
        }
        record.set_timestamp(SystemTime::now());
        put_into_its_trace(record);
        self.processor.emit(record, scope);
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.processor.force_flush()
    }

    fn shutdown_with_timeout(&self, limit: Duration) -> OTelSdkResult {
        self.processor.shutdown_with_timeout(limit)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.processor.set_resource(resource);
    }
}

/// Takes over the trace that the line's own keys name. They stay, as on standard error.
fn put_into_its_trace(record: &mut SdkLogRecord) {
    let Some(trace) = field(record, "trace_id").and_then(|id| TraceId::from_hex(id).ok()) else {
        return;
    };
    let span = field(record, "span_id").and_then(|id| SpanId::from_hex(id).ok());
    // Only a call that is recorded has a span here.
    let flags = span.map(|_| TraceFlags::SAMPLED);
    record.set_trace_context(trace, span.unwrap_or(SpanId::INVALID), flags);
}

fn field<'a>(record: &'a SdkLogRecord, name: &str) -> Option<&'a str> {
    let (_, value) = record.attributes_iter().find(|(key, _)| key.as_str() == name)?;
    match value {
        AnyValue::String(text) => Some(text.as_str()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::logs::{Logger, LoggerProvider};
    use opentelemetry_sdk::logs::SdkLoggerProvider;

    use super::*;

    #[test]
    fn lines_and_bytes_that_wait_are_bounded() {
        let waiting = Waiting::default();
        assert!(waiting.enter(MAX_QUEUED_BYTES / 2, 2));
        assert!(!waiting.enter(MAX_QUEUED_BYTES / 2 + 1, 2), "no room for its bytes");
        assert!(waiting.enter(MAX_QUEUED_BYTES / 2, 2));
        assert!(!waiting.enter(0, 2), "no room for a line");
        waiting.leave((2, MAX_QUEUED_BYTES));
        assert_eq!((waiting.lines(), waiting.bytes.load(Ordering::Relaxed)), (0, 0));
        assert!(waiting.enter(MAX_QUEUED_BYTES, 1));
    }

    #[test]
    fn a_batch_leaves_as_much_as_entered() {
        let logger = SdkLoggerProvider::builder().build().logger("a");
        let mut record = logger.create_log_record();
        record.set_body("12345".into());
        record.add_attribute("trace_id", "4bf92f3577b34da6a3ce929d0e0e4736");
        record.add_attribute("texts", 3);
        let entered = size(&record);
        assert_eq!(entered, 3 * OVERHEAD + 5 + 32);
        put_into_its_trace(&mut record);
        assert!(record.trace_context().is_some());
        let scope = InstrumentationScope::default();
        assert_eq!(share(&LogBatch::new(&[(&record, &scope)])), (1, entered));
    }
}
