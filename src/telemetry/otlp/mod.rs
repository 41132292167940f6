//! OTLP: sampling, and spans and lines of the log on their way to an OpenTelemetry collector. The only place that knows the
//! library.
//!
//! A span is put into a bounded queue, without waiting. A thread of the library takes batches out of it, and a runtime with
//! one thread of its own sends them, so that no thread that serves has any part in it.

mod collector;
mod collector_tls;
mod exporter;
pub(super) mod log_lines;
mod log_queue;
mod resource;

use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::HeaderMap;
use opentelemetry::baggage::BaggageExt;
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{
    Link, SpanContext, SpanId, SpanKind, Status, TraceContextExt, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{Context, InstrumentationScope, Key, KeyValue};
use opentelemetry_http::HeaderExtractor;
use opentelemetry_sdk::propagation::{BaggagePropagator, TraceContextPropagator};
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Config, SamplingDecision, ShouldSample, SpanData, SpanEvents, SpanLinks,
    SpanProcessor,
};

use super::span_metrics::SpanMetrics;
use super::spans::{Attribute, Kind, Origin, Span, SpanRef, SpanSink, Value};
use collector::Signal;
use exporter::Sender;
use resource::resource;

/// The most entries of a caller's baggage that its span keeps, and the longest name and value of one, in bytes.
const MAX_BAGGAGE: usize = 8;
const MAX_BAGGAGE_BYTES: usize = 128;
/// The longest `tracestate` that spans keep, in bytes, by W3C's recommendation.
const MAX_STATE_BYTES: usize = 512;

/// Samples calls, and queues their spans.
struct Tracer {
    sampler: Box<dyn ShouldSample>,
    processor: BatchSpanProcessor,
    scope: InstrumentationScope,
    metrics: SpanMetrics,
    room: usize,
    /// The spans in the queue, and those that are being sent.
    waiting: Arc<AtomicUsize>,
}

type Started = (Arc<dyn SpanSink>, Box<dyn FnOnce(Duration) + Send>);

/// Begins to send spans as the variables say. The second part of what it gives sends the last ones, and blocks meanwhile.
pub(super) fn start(metrics: &SpanMetrics) -> Result<Started, String> {
    let waiting = Arc::new(AtomicUsize::new(0));
    let (sender, runtime) = Sender::new(metrics.clone(), Arc::clone(&waiting))?;
    let room = Signal::Traces.room();
    let batches = BatchConfigBuilder::default().with_max_queue_size(room).build();
    let mut processor = BatchSpanProcessor::builder(sender).with_batch_config(batches).build();
    processor.set_resource(&resource());
    let Config { sampler, .. } = Config::default();
    tracing::info!(
        protocol = Signal::Traces.protocol().name(),
        ?sampler,
        "spans of calls are sent to a collector"
    );
    let tracer = Arc::new(Tracer {
        sampler,
        processor,
        scope: InstrumentationScope::builder("tandem")
            .with_version(env!("CARGO_PKG_VERSION"))
            .build(),
        metrics: metrics.clone(),
        room,
        waiting,
    });
    let ending = Arc::clone(&tracer);
    let end = move |limit| {
        ending.end(limit);
        drop(runtime);
    };
    Ok((tracer, Box::new(end)))
}

impl Tracer {
    fn end(&self, limit: Duration) {
        let ended = self.processor.shutdown_with_timeout(limit);
        let unsent = self.waiting.load(Ordering::Relaxed);
        if ended.is_err() && unsent > 0 {
            tracing::warn!(unsent, "spans could not be sent before the end");
        }
    }
}

impl SpanSink for Tracer {
    fn sample(&self, headers: &HeaderMap) -> Option<Origin> {
        let headers = HeaderExtractor(headers);
        let parent = headers
            .0
            .contains_key("traceparent")
            .then(|| TraceContextPropagator::new().extract_with_context(&Context::new(), &headers))
            .filter(|context| context.span().span_context().is_valid());
        let from = parent.as_ref().map(|context| context.span().span_context().clone());
        let trace = from
            .as_ref()
            .map_or_else(|| TraceId::from(self.new_trace()), SpanContext::trace_id);
        let decided = self
            .sampler
            .should_sample(parent.as_ref(), trace, "", &SpanKind::Server, &[], &[]);
        if decided.decision != SamplingDecision::RecordAndSample {
            return None;
        }
        let state = decided.trace_state.header();
        let state = if state.len() <= MAX_STATE_BYTES {
            state.as_str()
        } else {
            ""
        };
        Some(Origin {
            trace: u128::from_be_bytes(trace.to_bytes()),
            parent: from.map(|from| u64::from_be_bytes(from.span_id().to_bytes())),
            state: state.into(),
            attributes: baggage(&headers),
        })
    }

    fn new_trace(&self) -> u128 {
        fastrand::u128(1..)
    }

    fn take(&self, span: Span) {
        // Counted here, since the library says nobody how many it drops.
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= self.room {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            self.metrics.lost("queue_full", 1);
            return;
        }
        self.processor.on_end(self.data_of(span));
    }
}

impl Tracer {
    fn data_of(&self, span: Span) -> SpanData {
        let state = TraceState::from_str(&span.state).unwrap_or_default();
        let mut links = SpanLinks::default();
        links.links = span
            .links
            .iter()
            .map(|&link| Link::with_context(context(link, false, TraceState::default())))
            .collect();
        SpanData {
            span_context: context(span.is, false, state),
            parent_span_id: SpanId::from(span.parent.unwrap_or_default()),
            parent_span_is_remote: span.parent_is_remote && span.parent.is_some(),
            span_kind: match span.kind {
                Kind::Server => SpanKind::Server,
                Kind::Internal => SpanKind::Internal,
            },
            name: span.name,
            start_time: span.began,
            end_time: span.ended,
            attributes: span.attributes.into_iter().map(key_value).collect(),
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links,
            // Without a description: messages of errors may quote what a caller sent.
            status: if span.failed { Status::error("") } else { Status::Unset },
            instrumentation_scope: self.scope.clone(),
        }
    }
}

fn context(of: SpanRef, is_remote: bool, state: TraceState) -> SpanContext {
    SpanContext::new(
        TraceId::from(of.trace),
        SpanId::from(of.span),
        TraceFlags::SAMPLED,
        is_remote,
        state,
    )
}

fn key_value((name, value): Attribute) -> KeyValue {
    match value {
        Value::Text(text) => KeyValue::new(name, text),
        Value::Whole(number) => KeyValue::new(name, number),
    }
}

/// The first entries of a caller's baggage, as attributes.
fn baggage(headers: &HeaderExtractor<'_>) -> Vec<Attribute> {
    if !headers.0.contains_key("baggage") {
        return Vec::new();
    }
    let context = BaggagePropagator::new().extract_with_context(&Context::new(), headers);
    let entries = context.baggage().iter();
    let kept = entries.filter(|(name, (value, _))| {
        name.as_str().len() <= MAX_BAGGAGE_BYTES && value.as_str().len() <= MAX_BAGGAGE_BYTES
    });
    let attribute = |(name, (value, _)): (&Key, &(opentelemetry::StringValue, _))| {
        (format!("baggage.{name}").into(), value.to_string().into())
    };
    kept.take(MAX_BAGGAGE).map(attribute).collect()
}
