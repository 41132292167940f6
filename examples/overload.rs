//! More texts than a cascade can do: a fixed threshold against gears, under the same load, and how right the answers are.
//!
//! ```sh
//! cargo build --release
//! cargo run --release --example overload -- labelled.tsv               # calls that can't be done in time are refused
//! cargo run --release --example overload -- labelled.tsv --fallback    # the fast model answers what the deep one can't
//! ```
//!
//! Two servers run, with and without gears. First a closed loop shows what the fixed threshold can do. Then so many times
//! that arrive on a schedule, whether or not earlier calls are answered, at one server after the other in turn. A call is
//! in time if its answer comes within the deadline, counted from when the call was due. The clients run on the same machine.

#[path = "common/server.rs"]
mod server;

use std::collections::BTreeMap;
use std::error::Error;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use clap::Parser;
use tandem::api::pb;
use tandem::cli::dataset_args::DatasetArgs;
use tandem::model::repository;
use tandem::offline::dataset::Dataset;
use tandem::offline::evaluation::tally::Labels;
use tandem::service::catalog::cascade_calibration::{Calibration, CurvePoint, file_of};
use tokio::sync::Semaphore;

use server::{Client, Server};

/// The calls that may be open.
const MOST_OPEN: usize = 4096;
/// The callers of the closed loop.
const CALLERS: u64 = 16;
/// Between two loads, so that queues run dry and gears are shifted back.
const PAUSE: Duration = Duration::from_secs(6);

/// Compares a fixed threshold with gears under more load than the fixed one can do.
#[derive(Parser)]
struct Args {
    /// Labelled texts that neither model was trained on: .tsv, .csv, .jsonl
    file: PathBuf,
    /// The server's program
    #[arg(long, default_value = "target/release/tandem")]
    program: PathBuf,
    /// The folder of the models
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/models"))]
    models: PathBuf,
    /// The task
    #[arg(long, default_value = "sentiment")]
    task: String,
    /// How many times what the fixed threshold can do arrives
    #[arg(long, value_delimiter = ',', default_values_t = [1.5, 2.0, 3.0])]
    factors: Vec<f64>,
    /// The seconds of a load
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=60))]
    seconds: u64,
    /// How many times each load is put on each server
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=20))]
    rounds: u64,
    /// The texts of a call
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u64).range(1..=128))]
    batch_size: u64,
    /// The deadline of a call, in milliseconds
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u64).range(1..=60_000))]
    deadline_ms: u64,
    /// The lowest gear
    #[arg(long, default_value_t = 0.5631)]
    floor: f32,
    /// The queue of the deep model from which on the next gear is taken, in milliseconds
    #[arg(long, default_value_t = 50)]
    queue_time_ms: u64,
    /// Let the fast model answer what the deep one can't in time
    #[arg(long)]
    fallback: bool,
    #[command(flatten)]
    labelled: DatasetArgs,
}

/// The calls of a load.
struct Load {
    texts: Vec<(String, String)>,
    template: pb::PredictRequest,
    batch_size: usize,
    deadline: Option<Duration>,
    taken: AtomicU64,
    found: Mutex<Found>,
}

/// What came of a load, in texts.
#[derive(Clone, Debug, Default)]
struct Found {
    offered: u64,
    answered: u64,
    in_time: u64,
    fell_back: u64,
    escalated: u64,
    right: u64,
    /// Texts by the threshold that was in force, in units of its last digit.
    thresholds: BTreeMap<u32, u64>,
    failures: BTreeMap<String, u64>,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    let calibration = Calibration::read(&file_of(&args.models, &args.task))?;
    let texts = args.texts(&calibration)?;
    let task = &args.task;
    let fixed = Server::start(
        &args.program,
        &args.models,
        &format!("[tasks.{task}]\ndefault_route = \"cascade\""),
    )?;
    let geared = format!(
        "[tasks.{task}]\ndefault_route = \"cascade\"\n[tasks.{task}.cascade.gears]\nfloor = {}\nqueue_time = \"{}ms\"",
        args.floor, args.queue_time_ms
    );
    let geared = Server::start(&args.program, &args.models, &geared)?;
    let clients = [fixed.client().await?, geared.client().await?];
    let load = |deadline: Option<Duration>| {
        Arc::new(Load {
            texts: texts.clone(),
            template: pb::PredictRequest {
                task: args.task.clone(),
                allow_fallback: Some(args.fallback && deadline.is_some()),
                ..pb::PredictRequest::default()
            },
            batch_size: args.batch_size as usize,
            deadline,
            taken: AtomicU64::new(0),
            found: Mutex::default(),
        })
    };
    closed(&load(None), &clients[0], Duration::from_secs(2)).await?;
    let time = Duration::from_secs(args.seconds);
    let done = closed(&load(None), &clients[0], time).await?;
    let capacity = done.answered as f64 / time.as_secs_f64();
    println!(
        "with its fixed threshold, {}, the cascade does {capacity:.0} texts/s\n",
        calibration.min_confidence
    );
    heading(&args);
    for &factor in &args.factors {
        let mut all = [Found::default(), Found::default()];
        for round in 0..args.rounds {
            for turn in 0..2 {
                // In turns, and each round the other one first.
                let which = ((round + turn) % 2) as usize;
                tokio::time::sleep(PAUSE).await;
                let load = load(Some(Duration::from_millis(args.deadline_ms)));
                let rate = capacity * factor / args.batch_size as f64;
                all[which].add(&open(&load, &clients[which], rate, time).await);
            }
        }
        for (name, found) in ["fixed", "gears"].into_iter().zip(&all) {
            found.tell(
                factor,
                name,
                (time * args.rounds as u32).as_secs_f64(),
                &calibration.curve,
            );
        }
    }
    Ok(())
}

fn heading(args: &Args) {
    println!(
        "{} rounds of {} s each in turn, {} texts a call, deadline {} ms, {}\n",
        args.rounds,
        args.seconds,
        args.batch_size,
        args.deadline_ms,
        if args.fallback {
            "with fallback"
        } else {
            "without fallback"
        }
    );
    println!(
        "| load | threshold | offered/s | in time/s | in time | refused or late | fell back | escalated | mean threshold | right \
         | promised | right, in time/s |"
    );
    println!("| ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
}

impl Args {
    /// The texts, each with its right label.
    fn texts(&self, calibration: &Calibration) -> Result<Vec<(String, String)>, Box<dyn Error>> {
        let models = repository::open(&self.models)?;
        let deep = models
            .iter()
            .find(|model| model.manifest.name == calibration.deep.model);
        let labels = deep
            .ok_or("the calibration names a deep model that is not there")?
            .manifest
            .labels
            .clone();
        let dataset: Dataset = self
            .labelled
            .read(&self.file, &self.labelled.columns(), Some(&labels))?;
        let text = |at: usize| {
            let truth = Labels::of(&dataset.examples[at].target, false)?;
            let label = truth.places().first().map(|&label| labels[label as usize].clone())?;
            Some((dataset.text(at).into_owned(), label))
        };
        Ok((0..dataset.len()).filter_map(text).collect())
    }
}

/// Callers, each of which waits for its answer before it asks again.
async fn closed(load: &Arc<Load>, client: &Client, time: Duration) -> Result<Found, Box<dyn Error>> {
    let end = Instant::now() + time;
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..CALLERS {
        let (load, client) = (Arc::clone(load), client.clone());
        callers.spawn(async move {
            while Instant::now() < end {
                load.call(client.clone(), Instant::now()).await;
            }
        });
    }
    while let Some(ended) = callers.join_next().await {
        ended?;
    }
    Ok(load.found.lock().expect("no panic").clone())
}

/// Calls at each moment of a schedule.
async fn open(load: &Arc<Load>, client: &Client, rate: f64, time: Duration) -> Found {
    let open = Arc::new(Semaphore::new(MOST_OPEN));
    let (started, all) = (Instant::now(), (rate * time.as_secs_f64()) as u64);
    for index in 0..all {
        let due = started + Duration::from_secs_f64(index as f64 / rate);
        tokio::time::sleep_until(due.into()).await;
        load.found.lock().expect("no panic").offered += load.batch_size as u64;
        let Ok(place) = Arc::clone(&open).try_acquire_owned() else {
            load.found.lock().expect("no panic").failed("not sent", load.batch_size);
            continue;
        };
        let (load, client) = (Arc::clone(load), client.clone());
        tokio::spawn(async move {
            load.call(client, due).await;
            drop(place);
        });
    }
    // Each call has a deadline, so this ends.
    let _ = open.acquire_many(MOST_OPEN as u32).await;
    load.found.lock().expect("no panic").clone()
}

impl Load {
    async fn call(&self, mut client: Client, due: Instant) {
        let index = self.taken.fetch_add(1, Ordering::Relaxed) as usize;
        let from = index * self.batch_size % self.texts.len();
        let asked: Vec<&(String, String)> = self.texts.iter().cycle().skip(from).take(self.batch_size).collect();
        let mut request = tonic::Request::new(pb::PredictRequest {
            texts: asked.iter().map(|(text, _)| text.clone()).collect(),
            ..self.template.clone()
        });
        if let Some(deadline) = self.deadline {
            request.set_timeout(deadline.saturating_sub(due.elapsed()));
        }
        let answer = client.predict(request).await;
        let took = due.elapsed();
        let mut found = self.found.lock().expect("no panic");
        let answer = match answer {
            Ok(answer) => answer.into_inner(),
            Err(status) => return found.failed(&format!("{:?}", status.code()), self.batch_size),
        };
        found.answered += self.batch_size as u64;
        if self.deadline.is_none_or(|deadline| took <= deadline) {
            found.in_time += self.batch_size as u64;
        }
        let threshold = answer
            .min_confidence
            .map_or(0, |threshold| (threshold * 1e4).round() as u32);
        *found.thresholds.entry(threshold).or_default() += self.batch_size as u64;
        for (prediction, (_, label)) in answer.predictions.iter().zip(asked) {
            found.right += u64::from(prediction.label == *label);
            match prediction.decision() {
                pb::Decision::Escalated => found.escalated += 1,
                pb::Decision::FallbackDeadline | pb::Decision::FallbackOverload => found.fell_back += 1,
                _ => {}
            }
        }
    }
}

impl Found {
    fn failed(&mut self, why: &str, texts: usize) {
        *self.failures.entry(why.to_owned()).or_default() += texts as u64;
    }

    fn add(&mut self, other: &Self) {
        self.offered += other.offered;
        self.answered += other.answered;
        self.in_time += other.in_time;
        self.fell_back += other.fell_back;
        self.escalated += other.escalated;
        self.right += other.right;
        for (threshold, texts) in &other.thresholds {
            *self.thresholds.entry(*threshold).or_default() += texts;
        }
        for (why, texts) in &other.failures {
            *self.failures.entry(why.clone()).or_default() += texts;
        }
    }

    /// A line of the table. What is promised is the accuracy of the curve at the thresholds that were in force.
    fn tell(&self, factor: f64, name: &str, seconds: f64, curve: &[CurvePoint]) {
        let share = |texts: u64, of: u64| texts as f64 / of.max(1) as f64;
        let mean = |of: &dyn Fn(f32) -> f64| {
            let sum = |(&threshold, &texts): (&u32, &u64)| of(threshold as f32 / 1e4) * texts as f64;
            self.thresholds.iter().map(sum).sum::<f64>() / self.answered.max(1) as f64
        };
        println!(
            "| {factor} | {name} | {:.0} | {:.0} | {:.1}% | {:.1}% | {:.1}% | {:.1}% | {:.4} | {:.2}% | {:.2}% | {:.0} |",
            self.offered as f64 / seconds,
            self.in_time as f64 / seconds,
            share(self.in_time, self.offered) * 100.0,
            100.0 - share(self.in_time, self.offered) * 100.0,
            share(self.fell_back, self.answered) * 100.0,
            share(self.escalated, self.answered) * 100.0,
            mean(&f64::from),
            share(self.right, self.answered) * 100.0,
            mean(&|threshold| accuracy_at(curve, threshold)) * 100.0,
            // Late answers are as often right as those in time.
            share(self.right, self.answered) * self.in_time as f64 / seconds
        );
        eprintln!(
            "{factor} {name}: failures {:?}, thresholds {:?}",
            self.failures, self.thresholds
        );
    }
}

/// The accuracy that the curve says, between two of its points by a straight line.
fn accuracy_at(curve: &[CurvePoint], threshold: f32) -> f64 {
    let after = curve.iter().position(|point| point.min_confidence >= threshold);
    match after {
        None => curve.last().map_or(0.0, |last| last.accuracy),
        Some(0) => curve[0].accuracy,
        Some(at) => {
            let (low, high) = (&curve[at - 1], &curve[at]);
            let part = f64::from((threshold - low.min_confidence) / (high.min_confidence - low.min_confidence));
            low.accuracy + part * (high.accuracy - low.accuracy)
        }
    }
}
