//! What a load report in the trailers costs a call: reads the body of an answer over gRPC with it and without, many times, and prints
//! the processor time of one.
//!
//!     cargo run --release --example report_cost -- 1000000

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures::FutureExt;
use http::HeaderMap;
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use rustix::time::{ClockId, clock_gettime};
use tandem::api::orca::reports::LoadReports;
use tandem::api::orca::trailers;
use tandem::config::{LoadReports as When, Settings};
use tandem::telemetry::load::{Load, ModelLoad};

/// An answer as tonic gives it: a message, then trailers.
fn answer() -> Response {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", http::HeaderValue::from_static("0"));
    let frames = [
        Ok::<_, axum::Error>(Frame::data(Bytes::from_static(b"a message"))),
        Ok(Frame::trailers(trailers)),
    ];
    Response::new(Body::new(StreamBody::new(futures::stream::iter(frames))))
}

fn read(response: Response) {
    let whole = response
        .into_body()
        .collect()
        .now_or_never()
        .expect("nothing is waited for");
    black_box(whole.expect("no failure"));
}

/// Processor time in nanoseconds.
fn worked() -> i64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}

fn timed(count: u32, mut work: impl FnMut()) -> i64 {
    let before = worked();
    for _ in 0..count {
        work();
    }
    (worked() - before) / i64::from(count.max(1))
}

fn main() {
    let count = std::env::args().nth(1).and_then(|count| count.parse().ok());
    let count: u32 = count.unwrap_or(1_000_000);
    let settings = Settings {
        load_reports: When::Always,
        ..Settings::default()
    };
    let reports = Arc::new(LoadReports::new(&settings).expect("they are on"));
    let model = |name: &str, tier| ModelLoad {
        name: name.to_owned(),
        tier,
        busy: 0.123,
        wait: Duration::from_micros(1234),
    };
    let load = Load {
        utilization: 0.456,
        cpu: 0.45,
        memory: Some(0.5),
        answered: 678.9,
        failed: 0.2,
        models: vec![model("sentiment-deep", "deep"), model("sentiment-fast", "fast")],
    };
    let made = timed(1000, || reports.publish(black_box(&load)));
    let headers = HeaderMap::new();
    let without = timed(count, || read(answer()));
    let with = timed(count, || {
        let form = reports.form(black_box(&headers)).expect("always");
        read(trailers::add_to_grpc(answer(), &reports, form));
    });
    let form = reports.form(&headers).expect("always");
    let (name, value) = reports.header(form);
    println!("{} ns of processor time a call", with - without);
    println!("{} bytes of name and value", name.as_str().len() + value.len());
    println!("{made} ns to make the reports of a moment, twice a second");
}
