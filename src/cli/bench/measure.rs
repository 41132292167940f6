//! One measurement: a load on a target, the processor time that it took, and the figures.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::load::{self, Arrivals, Calls, Client, Outcome, Until};
use super::progress::Progress;
use super::recorder::{LatencySummary, Recorder};
use crate::telemetry::process::cpu_seconds;

/// A server, and its process id if that is on this machine.
pub struct Target {
    pub clients: Vec<Client>,
    pub pid: Option<u32>,
}

/// The figures that a comparison uses, of a server or of a reference.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Rates {
    pub calls_per_second: f64,
    pub texts_per_second: f64,
    /// The processor time of the server's process for each text that it answered, in microseconds.
    pub cpu_us_per_text: Option<f64>,
    pub cpu_us_per_call: Option<f64>,
}

/// The figures of one measurement. In an open loop, latencies count from the moment when the call was due.
#[derive(Clone, Debug, Serialize)]
pub struct Measured {
    /// From the first call until no more started.
    pub seconds: f64,
    pub calls_answered: u64,
    pub texts_answered: u64,
    #[serde(flatten)]
    pub rates: Rates,
    pub texts_in_time_per_second: f64,
    pub cpu_seconds: Option<f64>,
    pub client_cpu_seconds: Option<f64>,
    pub latency: Option<LatencySummary>,
    pub stages: Stages,
    pub failures: Vec<FailureSummary>,
    /// The failures in which the server refused a call for want of room or time.
    pub refusals: Option<LatencySummary>,
    pub calls_cancelled: u64,
    pub calls_not_sent: u64,
    pub wrong_answers: u64,
    /// How late the calls of a schedule were sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sent_late: Option<LatencySummary>,
}

/// Where the server says that the time went. `outside` is the rest of a call's latency.
#[derive(Clone, Debug, Serialize)]
pub struct Stages {
    pub preprocess: Option<LatencySummary>,
    pub queue: Option<LatencySummary>,
    pub inference: Option<LatencySummary>,
    pub total: Option<LatencySummary>,
    pub outside: Option<LatencySummary>,
}

/// The calls that failed in one way.
#[derive(Clone, Debug, Serialize)]
pub struct FailureSummary {
    pub code: &'static str,
    pub reason: String,
    /// The message of the first one.
    pub message: String,
    pub latency: Option<LatencySummary>,
}

/// Puts a load on a target and returns the figures.
pub async fn measure(
    target: &Target,
    calls: &Arc<Calls>,
    arrivals: Arrivals,
    until: Until,
    progress: &Progress,
) -> Measured {
    let pid = target.pid.map(|pid| pid.to_string());
    let cpu = || pid.as_deref().and_then(cpu_seconds);
    let (before, client_before) = (cpu(), cpu_seconds("self"));
    progress.start(until);
    let outcome = load::run(calls, &target.clients, arrivals, until, |calls, elapsed| {
        progress.at(until, calls, elapsed);
    })
    .await;
    let spent = |before: Option<f64>, after: Option<f64>| Some(after? - before?);
    Measured::new(
        outcome,
        matches!(arrivals, Arrivals::Open { .. }),
        spent(before, cpu()),
        spent(client_before, cpu_seconds("self")),
    )
}

/// Puts a load on a target for a time; returns the median latency, in milliseconds.
pub async fn warm_up(
    target: &Target,
    calls: &Arc<Calls>,
    callers: usize,
    time: Duration,
    progress: &Progress,
) -> Option<f64> {
    if time.is_zero() {
        return None;
    }
    progress.say("warm-up");
    let arrivals = Arrivals::Closed { callers };
    let measured = measure(target, calls, arrivals, Until::Elapsed(time), progress).await;
    measured.latency.map(|latency| latency.p50_ms)
}

impl Measured {
    fn new(outcome: Outcome, open: bool, cpu: Option<f64>, client_cpu: Option<f64>) -> Self {
        let Outcome { recorder, measured } = outcome;
        let seconds = measured.as_secs_f64();
        let latency = recorder.answers.summary();
        let calls = latency.map_or(0, |latency| latency.count);
        let Recorder {
            texts,
            calls_within,
            texts_within,
            texts_in_time,
            stages,
            ..
        } = &recorder;
        let each = |count: u64| cpu.filter(|_| count > 0).map(|cpu| cpu * 1e6 / count as f64);
        let a_second = |count: f64| if seconds > 0.0 { count / seconds } else { 0.0 };
        Self {
            seconds,
            calls_answered: calls,
            texts_answered: *texts,
            rates: Rates {
                calls_per_second: a_second(*calls_within),
                texts_per_second: a_second(*texts_within),
                cpu_us_per_text: each(*texts),
                cpu_us_per_call: each(calls),
            },
            texts_in_time_per_second: a_second(*texts_in_time),
            cpu_seconds: cpu,
            client_cpu_seconds: client_cpu,
            latency,
            stages: Stages {
                preprocess: stages.preprocess.summary(),
                queue: stages.queue.summary(),
                inference: stages.inference.summary(),
                total: stages.total.summary(),
                outside: stages.outside.summary(),
            },
            failures: recorder
                .failures
                .iter()
                .map(|(failure, failed)| FailureSummary {
                    code: failure.code,
                    reason: failure.reason.clone(),
                    message: failed.message.clone(),
                    latency: failed.latencies.summary(),
                })
                .collect(),
            refusals: recorder.refusals.summary(),
            calls_cancelled: recorder.cancelled,
            calls_not_sent: recorder.surplus,
            wrong_answers: recorder.wrong,
            sent_late: recorder.late.summary().filter(|_| open),
        }
    }
}
