//! What spans cost a call: does all that a call by the fast route does for its spans, many times, and prints the processor
//! time of one, that of the threads that send included. Whether calls are recorded, and which, the variables of
//! docs/tracing.md say; `TRACEPARENT` is the caller's header.
//!
//!     cargo run --release --features otlp --example span_cost -- 100000

use std::hint::black_box;
use std::time::{Duration, Instant};

use http::HeaderMap;
use rustix::time::{ClockId, clock_gettime};
use tandem::telemetry::call_span::CallSpan;
use tandem::telemetry::metrics::Metrics;
use tandem::telemetry::span_export::SpanExport;
use tandem::telemetry::spans::{Spans, Stage, attribute};

/// So many calls come in a row; then the threads that send get a moment.
const AT_ONCE: u32 = 200;

fn call(spans: &Spans, headers: &HeaderMap) {
    let arrived = Instant::now();
    let span = spans.as_ref().map(|spans| CallSpan::begin(spans, headers, arrived));
    let span = black_box(span.unwrap_or_default());
    span.describe(|| {
        let method = "tandem.v1.PredictionService/Predict";
        let attributes = vec![
            attribute("rpc.system.name", "grpc"),
            attribute("rpc.method", method.to_owned()),
        ];
        (method.into(), attributes)
    });
    span.add(|| Stage::new("read", arrived, Instant::now()));
    span.set("tandem.texts", || 1_usize);
    let of_call = black_box(span.clone());
    for name in ["validate", "route"] {
        of_call.timed(name, || black_box(name));
    }
    let mut tier = of_call.open("fast");
    tier.set("tandem.task", || "sentiment");
    tier.set("tandem.model", || "sentiment-fast".to_owned());
    tier.set("tandem.model.version", || "1".to_owned());
    tier.set("tandem.texts", || 1_usize);
    drop(black_box(tier.within.open("preprocess")));
    let of_ticket = black_box(tier.within.clone());
    of_ticket.add(|| Stage::new("inference", arrived, Instant::now()).with("tandem.texts", 1_usize));
    drop(tier);
    drop(black_box(of_call.open("postprocess")));
    black_box((span.is(), span.trace_id()));
    span.end(|| {
        let id = "00000000-0000-0000-0000-000000000000".to_owned();
        let attributes = vec![
            attribute("tandem.request_id", id),
            attribute("rpc.response.status_code", "OK"),
        ];
        (attributes, false)
    });
}

fn main() {
    let calls = std::env::args().nth(1).and_then(|calls| calls.parse().ok());
    let calls: u32 = calls.unwrap_or(100_000);
    let mut headers = HeaderMap::new();
    if let Ok(parent) = std::env::var("TRACEPARENT") {
        headers.insert("traceparent", parent.parse().expect("a header's value"));
    }
    let export = SpanExport::start(&Metrics::new("none"));
    let worked = || clock_gettime(ClockId::ProcessCPUTime);
    let before = worked();
    for at in 0..calls {
        call(&export.spans, &headers);
        if at % AT_ONCE == 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    export.end(Duration::from_secs(5));
    let after = worked();
    let nanos = (after.tv_sec - before.tv_sec) * 1_000_000_000 + (after.tv_nsec - before.tv_nsec);
    println!("{} ns of processor time a call", nanos / i64::from(calls.max(1)));
}
