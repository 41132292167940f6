//! What sampled calls are told of their batches: how long their rows waited and ran, and in which batch. The batch has a
//! span of its own, in a trace of its own since it belongs to many calls, and points at them.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use super::queue::Batch;
use crate::telemetry::call_span::CallSpan;
use crate::telemetry::spans::{Kind, Span, SpanRef, Stage, attribute};

/// The most calls that the span of a batch points at.
const MAX_LINKS: usize = 128;

/// A sampled call that has rows in a batch.
struct Part<'a> {
    call: &'a CallSpan,
    rows: usize,
    enqueued_at: Instant,
}

/// Tells the sampled calls of a batch that it ran. Costs a comparison for each row where there are none.
pub(super) fn ran(batch: &Batch, model: &Arc<str>, began: Instant, took: Duration, failed: bool) {
    let mut parts: Vec<Part<'_>> = Vec::new();
    for entry in &batch.entries {
        let call = entry.ticket.span();
        if !call.is_on() {
            continue;
        }
        if let Some(part) = parts.iter_mut().find(|part| part.call.is() == call.is()) {
            part.rows += 1;
        } else {
            parts.push(Part {
                call,
                rows: 1,
                enqueued_at: entry.enqueued_at,
            });
        }
    }
    if let Some(sink) = parts.first().and_then(|part| part.call.sink()) {
        let is = SpanRef {
            trace: sink.new_trace(),
            span: fastrand::u64(1..),
        };
        sink.take(span_of(batch, is, &parts, model, (began, took), failed));
        for part in parts {
            part.call.add(|| Stage::new("queue", part.enqueued_at, began));
            part.call.add(|| {
                Stage::new("inference", began, began + took)
                    .with("tandem.texts", part.rows)
                    .with("tandem.batch.texts", batch.entries.len())
                    .linked(Some(is))
                    .failed(failed)
            });
        }
    }
}

/// Tells a sampled call that its rows ran where they arrived, without a batch.
pub(super) fn ran_on_arrival(call: &CallSpan, rows: usize, took: Duration, failed: bool) {
    call.add(|| {
        let now = Instant::now();
        Stage::new("inference", now.checked_sub(took).unwrap_or(now), now)
            .with("tandem.texts", rows)
            .failed(failed)
    });
}

fn span_of(
    batch: &Batch,
    is: SpanRef,
    parts: &[Part<'_>],
    model: &Arc<str>,
    (began, took): (Instant, Duration),
    failed: bool,
) -> Span {
    let started = SystemTime::now() - began.elapsed();
    Span {
        is,
        parent: None,
        parent_is_remote: false,
        state: Arc::default(),
        kind: Kind::Internal,
        name: Cow::Borrowed("batch"),
        began: started,
        ended: started + took,
        attributes: vec![
            attribute("tandem.model", model.to_string()),
            attribute("tandem.batch.texts", batch.entries.len()),
            attribute("tandem.batch.width", batch.width),
            attribute("tandem.batch.sampled_calls", parts.len()),
        ],
        links: parts.iter().filter_map(|part| part.call.is()).take(MAX_LINKS).collect(),
        failed,
    }
}
