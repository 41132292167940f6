//! Recorder: counts and latencies of calls. Gets the times passed in; reads no clock.

use std::collections::BTreeMap;
use std::error::Error as _;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;
use tonic::{Code, Status, TimeoutExpired};
use tonic_types::StatusExt;

use crate::api::pb;

/// Latencies in nanoseconds, exact to three digits.
#[derive(Clone)]
pub struct Latencies(Histogram<u64>);

impl Default for Latencies {
    fn default() -> Self {
        Self(Histogram::new(3).expect("three digits are within what it can hold"))
    }
}

impl Latencies {
    /// Adds one latency.
    pub fn record(&mut self, took: Duration) {
        // No error: the histogram grows with its values.
        let _ = self.0.record(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
    }

    /// The figures in milliseconds; `None` if there are no latencies.
    pub fn summary(&self) -> Option<LatencySummary> {
        let at = |share: f64| self.0.value_at_quantile(share) as f64 / 1e6;
        (!self.0.is_empty()).then(|| LatencySummary {
            count: self.0.len(),
            p50_ms: at(0.5),
            p95_ms: at(0.95),
            p99_ms: at(0.99),
            p999_ms: at(0.999),
            max_ms: self.0.max() as f64 / 1e6,
            mean_ms: self.0.mean() / 1e6,
        })
    }
}

/// Latencies of one kind, in milliseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct LatencySummary {
    pub count: u64,
    pub p50_ms: f64,
    pub p95_ms: f64,
    pub p99_ms: f64,
    pub p999_ms: f64,
    pub max_ms: f64,
    pub mean_ms: f64,
}

/// Added to the reason of a call that was refused for its deadline long before that had passed.
const EARLY: &str = ", early";

/// Why a call got no answer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Failure {
    /// The name of the gRPC code in the specification.
    pub code: &'static str,
    /// The server's reason; `client` if this side gave up or could not reach the server.
    pub reason: String,
}

impl Failure {
    /// The failure of a status. Tells a deadline that this side's timer ended from one that the server refused or
    /// missed.
    pub fn of(status: &Status, took: Duration, timeout: Option<Duration>) -> Self {
        let reason = status.get_details_error_info().map(|info| info.reason);
        let expired_here = reason.is_none() && timer_expired(status);
        let code = if expired_here {
            Code::DeadlineExceeded
        } else {
            status.code()
        };
        let early = timeout.is_some_and(|timeout| took < timeout / 2);
        let reason = match reason {
            // Refused long before the deadline, because the call would not have been done in time.
            Some(reason) if code == Code::DeadlineExceeded && early => format!("{reason}{EARLY}"),
            Some(reason) => reason,
            None => "client".to_owned(),
        };
        Self {
            code: name(code),
            reason,
        }
    }

    /// Whether the server refused the call without trying.
    fn is_refusal(&self) -> bool {
        let turned_away = ["RESOURCE_EXHAUSTED", "UNAVAILABLE"].contains(&self.code) && self.reason != "client";
        turned_away || self.reason.ends_with(EARLY)
    }
}

/// Whether this side's timer ended the call; the status then says CANCELLED.
fn timer_expired(status: &Status) -> bool {
    std::iter::successors(status.source(), |&error| error.source()).any(|error| error.is::<TimeoutExpired>())
}

fn name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

/// The calls that failed in one way.
#[derive(Clone, Default)]
pub struct Failed {
    /// The message of the first one.
    pub message: String,
    pub latencies: Latencies,
}

/// The outcomes of the calls so far.
#[derive(Clone, Default)]
pub struct Recorder {
    /// The latencies of answered calls.
    pub answers: Latencies,
    /// The number of texts in those.
    pub texts: u64,
    /// The answered calls whose work falls into the measured time; a call that ends later counts by its share.
    /// `texts_within`: their texts.
    pub calls_within: f64,
    pub texts_within: f64,
    /// The same for texts answered before the deadline, which counts from when the call was due.
    pub texts_in_time: f64,
    /// The calls that got no answer.
    pub failures: BTreeMap<Failure, Failed>,
    /// The latencies of those that the server refused for want of room or time.
    pub refusals: Latencies,
    /// The number of calls that this side cancelled.
    pub cancelled: u64,
    /// The number of calls that were not sent because too many were open.
    pub surplus: u64,
    /// The number of answers with a wrong label, or with too few.
    pub wrong: u64,
    /// How late the calls of a schedule were sent, which is this side's fault.
    pub late: Latencies,
    /// Where the server says that the time went.
    pub stages: Stages,
}

/// Where the server says that the time of each call went.
#[derive(Clone, Default)]
pub struct Stages {
    pub preprocess: Latencies,
    pub queue: Latencies,
    pub inference: Latencies,
    pub total: Latencies,
    /// The rest of the call's latency: network, HTTP/2, and this client.
    pub outside: Latencies,
}

impl Stages {
    fn record(&mut self, timing: &pb::Timing, took: Duration) {
        let of = |duration: Option<prost_types::Duration>| {
            Duration::try_from(duration.unwrap_or_default()).unwrap_or_default()
        };
        self.preprocess.record(of(timing.preprocess_duration));
        self.queue.record(of(timing.queue_duration));
        self.inference.record(of(timing.inference_duration));
        let total = of(timing.total_duration);
        self.total.record(total);
        self.outside.record(took.saturating_sub(total));
    }
}

impl Recorder {
    /// Counts an answer to `texts` texts that took `took`, of which `share` falls into the measured time.
    pub fn answered(&mut self, texts: usize, took: Duration, share: f64, in_time: bool, timing: Option<&pb::Timing>) {
        self.answers.record(took);
        self.texts += texts as u64;
        self.calls_within += share;
        self.texts_within += share * texts as f64;
        if in_time {
            self.texts_in_time += share * texts as f64;
        }
        if let Some(timing) = timing {
            self.stages.record(timing, took);
        }
    }

    /// Counts a failure.
    pub fn failed(&mut self, failure: Failure, message: &str, took: Duration) {
        if failure.is_refusal() {
            self.refusals.record(took);
        }
        let failed = self.failures.entry(failure).or_default();
        if failed.message.is_empty() {
            message.clone_into(&mut failed.message);
        }
        failed.latencies.record(took);
    }
}

#[cfg(test)]
mod tests {
    use tonic::transport::Channel;

    use super::*;
    use crate::api::pb::prediction_service_client::PredictionServiceClient;

    #[test]
    fn failures_are_told_apart_by_code_reason_and_time() {
        let second = Duration::from_secs(1);
        let tell = |status: &Status, took| {
            let failure = Failure::of(status, took, Some(second));
            format!("{} {}", failure.code, failure.reason)
        };
        let mut details = tonic_types::ErrorDetails::new();
        details.set_error_info("DEADLINE_EXCEEDED", "tandem.v1", std::collections::HashMap::new());
        let refused = Status::with_error_details(Code::DeadlineExceeded, "", details);
        assert_eq!(
            tell(&refused, second / 10),
            "DEADLINE_EXCEEDED DEADLINE_EXCEEDED, early"
        );
        assert_eq!(tell(&refused, second), "DEADLINE_EXCEEDED DEADLINE_EXCEEDED");
        let here = Status::from_error(Box::new(TimeoutExpired(())));
        assert_eq!(tell(&here, second), "DEADLINE_EXCEEDED client");
        let by_words_alone = Status::cancelled("Timeout expired");
        assert_eq!(tell(&by_words_alone, second), "CANCELLED client");
        let lost = Status::unavailable("");
        assert_eq!(tell(&lost, second), "UNAVAILABLE client");
    }

    #[tokio::test]
    async fn a_call_that_nobody_answers_in_time_is_told_as_a_missed_deadline() {
        let nobody = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = format!("http://{}", nobody.local_addr().expect("an address"));
        let channel = Channel::from_shared(address).expect("an address").connect_lazy();
        let mut request = tonic::Request::new(pb::PredictRequest::default());
        request.set_timeout(Duration::from_millis(1));
        let mut client = PredictionServiceClient::new(channel);
        let status = client.predict(request).await.expect_err("nobody answers");
        let failure = Failure::of(&status, Duration::from_millis(1), None);
        assert_eq!((failure.code, failure.reason.as_str()), ("DEADLINE_EXCEEDED", "client"));
    }

    #[test]
    fn latencies_keep_three_digits() {
        let mut latencies = Latencies::default();
        assert!(latencies.summary().is_none());
        for millis in 1..=1000 {
            latencies.record(Duration::from_millis(millis));
        }
        let summary = latencies.summary().expect("some");
        assert_eq!(summary.count, 1000);
        for (found, expected) in [
            (summary.p50_ms, 500.0),
            (summary.p99_ms, 990.0),
            (summary.max_ms, 1000.0),
        ] {
            assert!((found / expected - 1.0).abs() < 2e-3, "{found} {expected}");
        }
    }
}
