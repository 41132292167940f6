//! Comparison of a server with a reference, in alternating rounds, by the ratios of their medians.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use super::args::{BenchArgs, Reference};
use super::child::{ReferenceChild, flags};
use super::echo;
use super::load::{Arrivals, Calls, Until, connect_all};
use super::measure::{Measured, Rates, Target, measure, warm_up};
use super::progress::Progress;
use crate::api::pb;
use crate::cli::client::{Server, ServerAddress};

/// A reference that was started.
pub enum Rival {
    /// The raw loop, and its own description of itself.
    Onnx { child: ReferenceChild, description: Value },
    /// The service that gives every call the same answer.
    Echo { target: Target, _child: ReferenceChild },
}

/// What a reference did in one round.
#[derive(Clone, Debug, Serialize)]
pub struct ReferenceRound {
    #[serde(flatten)]
    pub rates: Rates,
    /// The measurement of the service that gives every call the same answer; absent for the raw loop.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub measured: Option<Measured>,
    /// The raw loop with one text at a time, where the server has one caller with one text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub single: Option<Single>,
}

/// The medians of the raw loop's steps with one text at a time, in milliseconds.
#[derive(Clone, Copy, Debug, Serialize, serde::Deserialize)]
pub struct Single {
    pub preprocess_p50_ms: f64,
    /// A run on a session of one thread.
    pub run_p50_ms: f64,
    /// A run on a session with as many threads as there are cores.
    pub run_all_cores_p50_ms: Option<f64>,
}

impl Single {
    /// The faster of the two runs, in milliseconds.
    pub fn run_ms(&self) -> f64 {
        self.run_all_cores_p50_ms
            .map_or(self.run_p50_ms, |wide| wide.min(self.run_p50_ms))
    }
}

/// The rounds of a comparison, and their ratios.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    pub reference: &'static str,
    pub description: Value,
    pub server: Vec<Measured>,
    pub reference_rounds: Vec<ReferenceRound>,
    pub ratios: Ratios,
}

/// Ratios of medians. 1 means as good as the reference; more is better.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Ratios {
    /// Texts per second: the server's divided by the reference's.
    pub wall: f64,
    /// Processor time for each text: the reference's divided by the server's.
    pub cpu: Option<f64>,
    /// What the server adds to one call, in milliseconds: the median call, minus the median run of a bare session and
    /// the median preprocessing; or minus the median call to a server that does nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub added_p50_ms: Option<f64>,
}

impl Rival {
    /// Starts the reference. `answer` is one that the server gave to such a call.
    pub async fn start(args: &BenchArgs, reference: Reference, answer: &pb::PredictResponse) -> Result<Self, String> {
        let cpus = args.server_cpus.as_deref();
        match reference {
            Reference::Onnx => {
                let mut child = ReferenceChild::start(&onnx_arguments(args), cpus)?;
                let description = child.ask("ready").await?;
                Ok(Self::Onnx { child, description })
            }
            Reference::Echo => {
                let mut child = ReferenceChild::start(&["bench-echo".into()], cpus)?;
                let address = child.ask(&echo::encode(answer)).await?;
                let address = address["grpc"].as_str().ok_or("the reference tells no address")?;
                let target = Target {
                    clients: connect_all(&Server::plain(ServerAddress::parse(address)?), args.connections).await?,
                    pid: child.pid(),
                };
                Ok(Self::Echo { target, _child: child })
            }
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Onnx { .. } => "onnx",
            Self::Echo { .. } => "echo",
        }
    }

    async fn round(&mut self, load: &Rounds<'_>) -> Result<ReferenceRound, String> {
        match self {
            Self::Echo { target, .. } => {
                let measured = load.measure(target).await;
                Ok(ReferenceRound {
                    rates: measured.rates,
                    measured: Some(measured),
                    single: None,
                })
            }
            Self::Onnx { child, .. } => {
                // The shortest round is a window to a thread, which may take seconds.
                if !load.warm_up.is_zero() {
                    child.ask(&format!("round {}", load.warm_up.as_secs_f64())).await?;
                }
                let found = child.ask(&format!("round {}", load.time.as_secs_f64())).await?;
                let rate = found["texts_per_second"]
                    .as_f64()
                    .ok_or("the reference tells no rate")?;
                let cpu = found["cpu_seconds"].as_f64().zip(found["texts"].as_f64());
                let cpu = cpu.map(|(seconds, texts)| seconds * 1e6 / texts);
                let batch = load.calls.batch_size as f64;
                let single = if load.is_single() {
                    Some(child.ask(&format!("single {}", load.time.as_secs_f64())).await?)
                } else {
                    None
                };
                Ok(ReferenceRound {
                    rates: Rates {
                        calls_per_second: rate / batch,
                        texts_per_second: rate,
                        cpu_us_per_text: cpu,
                        cpu_us_per_call: cpu.map(|cpu| cpu * batch),
                    },
                    measured: None,
                    single: single.and_then(|single| serde_json::from_value(single).ok()),
                })
            }
        }
    }
}

fn onnx_arguments(args: &BenchArgs) -> Vec<String> {
    let mut arguments = vec!["bench-onnx".to_owned()];
    arguments.extend(flags(args.config.config.as_deref(), &args.config.options));
    arguments.extend(args.texts.iter().map(|file| format!("--texts={}", file.display())));
    arguments.extend(args.reading.arguments());
    arguments.push(format!("--window={}", args.reference_window()));
    arguments.push(format!("--batch={}", args.reference_batch.unwrap_or(0)));
    arguments.push(format!("--model={}", args.model));
    arguments.push(format!("--task={}", args.task));
    let route = args.route.map(|route| format!("{route:?}").to_lowercase());
    arguments.extend(route.map(|route| format!("--route={route}")));
    arguments
}

/// The settings of the rounds.
pub struct Rounds<'a> {
    pub calls: &'a Arc<Calls>,
    pub callers: usize,
    pub until: Until,
    /// The length of a round of the raw loop.
    pub time: Duration,
    pub warm_up: Duration,
    pub count: u64,
    pub progress: &'a Progress,
}

impl Rounds<'_> {
    async fn measure(&self, target: &Target) -> Measured {
        warm_up(target, self.calls, self.callers, self.warm_up, self.progress).await;
        let arrivals = Arrivals::Closed { callers: self.callers };
        measure(target, self.calls, arrivals, self.until, self.progress).await
    }

    fn is_single(&self) -> bool {
        self.callers == 1 && self.calls.batch_size == 1
    }

    /// Runs the rounds: server, reference, server, reference, …
    pub async fn run(&self, server: &Target, rival: &mut Rival) -> Result<Comparison, String> {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for round in 1..=self.count {
            self.progress
                .say(format!("round {round} of {}: the server", self.count));
            ours.push(self.measure(server).await);
            self.progress
                .say(format!("round {round} of {}: {}", self.count, rival.name()));
            theirs.push(rival.round(self).await?);
        }
        Ok(Comparison {
            reference: rival.name(),
            description: match rival {
                Rival::Onnx { description, .. } => description.clone(),
                Rival::Echo { .. } => Value::Null,
            },
            ratios: ratios(&ours, &theirs),
            server: ours,
            reference_rounds: theirs,
        })
    }
}

fn ratios(ours: &[Measured], theirs: &[ReferenceRound]) -> Ratios {
    let our = |figure: fn(&Rates) -> Option<f64>| median(ours.iter().filter_map(|round| figure(&round.rates)));
    let their = |figure: fn(&Rates) -> Option<f64>| median(theirs.iter().filter_map(|round| figure(&round.rates)));
    let wall: fn(&Rates) -> Option<f64> = |rates| Some(rates.texts_per_second);
    let cpu: fn(&Rates) -> Option<f64> = |rates| rates.cpu_us_per_text;
    let p50 = |measured: &Measured| Some(measured.latency.as_ref()?.p50_ms);
    let call = median(ours.iter().filter_map(p50));
    let idle_call = median(theirs.iter().filter_map(|round| p50(round.measured.as_ref()?)));
    let run = median(theirs.iter().filter_map(|round| Some(round.single?.run_ms())));
    let preprocess = median(theirs.iter().filter_map(|round| Some(round.single?.preprocess_p50_ms)));
    Ratios {
        wall: our(wall).zip(their(wall)).map_or(0.0, |(our, their)| our / their),
        cpu: our(cpu).zip(their(cpu)).map(|(our, their)| their / our),
        added_p50_ms: call
            .zip(run)
            .zip(preprocess)
            .map(|((call, run), preprocess)| call - run - preprocess)
            .or_else(|| Some(call? - idle_call?)),
    }
}

/// The middle value, or the mean of the two middle ones; `None` without values.
pub fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let (upper, lower) = (values.len() / 2, values.len().checked_sub(1)? / 2);
    Some(f64::midpoint(values[upper], values[lower]))
}

#[cfg(test)]
mod tests {
    use super::median;

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median([].into_iter()), None);
        assert_eq!(median([3.0].into_iter()), Some(3.0));
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), Some(2.0));
        assert_eq!(median([4.0, 1.0, 2.0, 3.0].into_iter()), Some(2.5));
    }
}
