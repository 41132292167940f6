//! `tandem bench-onnx`: what the hardware can do. A bare loop over ONNX Runtime with the server's preprocessing and
//! sessions: one session of one thread for each core, texts sorted by length within windows, and no network, queue or
//! deadline.

use std::io::BufRead;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::recorder::Latencies;
use super::texts;
use crate::cli::config_args::ConfigArgs;
use crate::cli::exit::Exit;
use crate::cli::models_here::here;
use crate::cli::output::{fail, outln};
use crate::cli::read_args::ReadArgs;
use crate::config::Settings;
use crate::config::settings::RouteSetting;
use crate::cores;
use crate::model::loaded::Model;
use crate::model::loading::wide_trial::Found;
use crate::model::loading::{FastPath, InstanceSettings, initialize};
use crate::model::model_name::ModelName;
use crate::model::repository::{self, VerifiedModel};
use crate::model::{ModelInput, Runner, Tier};
use crate::telemetry::process::cpu_seconds;

/// The arguments of `tandem bench-onnx`.
#[derive(clap::Args)]
pub struct RawArgs {
    /// The texts [default: 512 reviews]
    #[arg(long, value_name = "FILE")]
    pub texts: Option<PathBuf>,
    /// Texts within which the loop may sort by length
    #[arg(long, value_name = "COUNT", default_value_t = 256)]
    pub window: usize,
    /// Rows in a batch; 0 takes the fastest of 1, 2, 4, 8, 16, 32
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    pub batch: usize,
    /// Which model runs, by its tier
    #[arg(long, value_name = "ROUTE")]
    pub route: Option<RouteSetting>,
    /// How their file is read.
    #[command(flatten)]
    pub reading: ReadArgs,
    /// Which model runs, by its name
    #[arg(long, value_name = "NAME", default_value = "")]
    pub model: String,
    /// Which model runs, by its task
    #[arg(long, value_name = "TASK", default_value = "")]
    pub task: String,
    /// The settings, and the file that holds them.
    #[command(flatten)]
    pub config: ConfigArgs,
}

/// Reads commands from standard input, answers each with a line of JSON, and ends with its input.
pub fn run(args: &RawArgs) -> Exit {
    let settings = match args.config.resolve() {
        Ok(settings) => settings,
        Err(error) => return fail(&error, Exit::Usage),
    };
    let settings = match here(settings) {
        Ok((settings, _)) => settings,
        Err((problem, exit)) => return fail(&problem, exit),
    };
    match serve(args, &settings) {
        Ok(()) => Exit::Success,
        Err(problem) => fail(&problem, Exit::Failure),
    }
}

fn serve(args: &RawArgs, settings: &Settings) -> Result<(), String> {
    let verified = choose(args, settings)?;
    let mut bare = Bare::load(args, settings, &verified)?;
    for line in std::io::stdin().lock().lines() {
        let line = line.map_err(|error| error.to_string())?;
        let (command, seconds) = line.split_once(' ').unwrap_or((&line, "0"));
        let seconds = seconds.parse().map_err(|_| format!("`{line}` names no time"))?;
        let time = Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())?;
        let answer = match command {
            "ready" => bare.describe(&verified),
            "round" => bare.round(time)?,
            "single" => bare.single(&verified, time)?,
            _ => return Err(format!("`{line}` is no command")),
        };
        outln!("{answer}");
    }
    Ok(())
}

/// The model that a server with these settings would ask.
fn choose(args: &RawArgs, settings: &Settings) -> Result<VerifiedModel, String> {
    let models = repository::open(&settings.models).map_err(|error| error.to_string())?;
    let tier = match args.route.unwrap_or(settings.default_route) {
        RouteSetting::Fast => Tier::Fast,
        // A cascade is compared with the deep model, since that is what it saves.
        RouteSetting::Deep | RouteSetting::Cascade => Tier::Deep,
    };
    let asked = ModelName::parse(&args.model);
    if asked.is_none() && !args.model.is_empty() {
        return Err("--model must be NAME or NAME@VERSION".into());
    }
    let task = match args.task.as_str() {
        "" => settings.default_task.as_deref().unwrap_or_default(),
        task => task,
    };
    let mut found = models.into_iter().filter(|model| {
        let manifest = &model.manifest;
        match &asked {
            Some(asked) => {
                let version = asked
                    .version
                    .as_ref()
                    .is_none_or(|version| *version == manifest.version);
                version && manifest.name == asked.name
            }
            None => manifest.tier == tier && (task.is_empty() || manifest.tasks().any(|own| own == task)),
        }
    });
    match (found.next(), found.next()) {
        (Some(model), None) => Ok(model),
        (None, _) => Err(format!("no such model in {}", settings.models.display())),
        (Some(_), Some(_)) => Err("several models fit: name one with --model".into()),
    }
}

/// The loop, ready to run.
struct Bare {
    model: Arc<Model>,
    runners: Vec<Box<dyn Runner>>,
    texts: Vec<String>,
    window: usize,
    batch: usize,
    next_window: AtomicUsize,
}

/// What one thread did in a round.
struct Part {
    texts: usize,
    took: Duration,
}

impl Bare {
    fn load(args: &RawArgs, settings: &Settings, verified: &VerifiedModel) -> Result<Self, String> {
        let asked = match verified.manifest.tier {
            Tier::Fast => settings.fast_instances,
            Tier::Deep => settings.deep_instances,
        };
        let count = if asked == 0 { cores::usable() } else { asked };
        let initialized = initialize(verified, sessions(count)).map_err(|error| error.to_string())?;
        let mut bare = Self {
            model: initialized.model,
            runners: initialized.runners,
            texts: texts::load(
                args.texts.as_deref(),
                &args.reading.options(),
                args.reading.text_column.as_deref(),
            )?
            .texts,
            window: args.window.max(1),
            batch: args.batch,
            next_window: AtomicUsize::new(0),
        };
        if bare.batch == 0 {
            bare.batch = bare.fastest_batch()?;
        }
        Ok(bare)
    }

    fn describe(&self, verified: &VerifiedModel) -> Value {
        let manifest = &verified.manifest;
        json!({
            "model": format!("{}@{}", manifest.name, manifest.version),
            "sessions": self.runners.len(),
            "threads_a_session": 1,
            "batch": self.batch,
            "window": self.window,
        })
    }

    /// Tries each batch size for a moment; returns the fastest.
    fn fastest_batch(&mut self) -> Result<usize, String> {
        let mut best = (0.0, 1);
        for batch in [1, 2, 4, 8, 16, 32] {
            if batch > self.window {
                break;
            }
            self.batch = batch;
            let rate = rate(&self.run(Duration::from_millis(500))?);
            if rate > best.0 {
                best = (rate, batch);
            }
        }
        Ok(best.1)
    }

    /// Runs for `time`, and on until each thread has finished its window. A window that is cut short would count its
    /// short texts and leave out the long ones.
    fn run(&mut self, time: Duration) -> Result<Vec<Part>, String> {
        let Self {
            model,
            runners,
            texts,
            window,
            batch,
            next_window,
        } = self;
        let (model, texts, next_window): (&Model, &[String], &AtomicUsize) = (model, texts, next_window);
        let started = Instant::now();
        std::thread::scope(|scope| {
            let threads: Vec<_> = runners
                .iter_mut()
                .map(|runner| {
                    scope.spawn(|| {
                        let mut done = 0;
                        while done == 0 || started.elapsed() < time {
                            let from = next_window.fetch_add(1, Ordering::Relaxed).wrapping_mul(*window);
                            run_window(model, runner.as_mut(), texts, from, *window, *batch)?;
                            done += *window;
                        }
                        Ok(Part {
                            texts: done,
                            took: started.elapsed(),
                        })
                    })
                })
                .collect();
            let parts = threads.into_iter().map(|thread| thread.join());
            parts
                .map(|part| part.unwrap_or_else(|_| Err("a thread panicked".into())))
                .collect()
        })
    }

    fn round(&mut self, time: Duration) -> Result<Value, String> {
        let before = cpu_seconds("self");
        let parts = self.run(time)?;
        let cpu = cpu_seconds("self").zip(before).map(|(after, before)| after - before);
        let texts: usize = parts.iter().map(|part| part.texts).sum();
        Ok(json!({ "texts": texts, "texts_per_second": rate(&parts), "cpu_seconds": cpu }))
    }

    /// Runs one text after the other, on a session of one thread and on one with as many threads as cores. Returns the
    /// medians.
    fn single(&mut self, verified: &VerifiedModel, time: Duration) -> Result<Value, String> {
        let mut wide = match cores::usable() {
            1 => None,
            threads => wide_session(verified, threads)?,
        };
        let narrow = self.runners.first_mut().ok_or("there is no session")?;
        let mut tokenise = Latencies::default();
        let mut runs = [Latencies::default(), Latencies::default()];
        let started = Instant::now();
        for text in self.texts.iter().cycle() {
            let clock = Instant::now();
            let encoding = self.model.preprocess(text, None).map_err(|error| error.to_string())?;
            tokenise.record(clock.elapsed());
            for (runner, latencies) in [Some(&mut *narrow), wide.as_mut()].into_iter().flatten().zip(&mut runs) {
                let clock = Instant::now();
                runner.run(&[&encoding.input]).map_err(|error| error.to_string())?;
                latencies.record(clock.elapsed());
            }
            if started.elapsed() >= time {
                break;
            }
        }
        let median = |latencies: &Latencies| latencies.summary().map(|summary| summary.p50_ms);
        Ok(json!({
            "preprocess_p50_ms": median(&tokenise),
            "run_p50_ms": median(&runs[0]),
            "run_all_cores_p50_ms": median(&runs[1]),
        }))
    }
}

fn run_window(
    model: &Model,
    runner: &mut dyn Runner,
    texts: &[String],
    from: usize,
    window: usize,
    batch: usize,
) -> Result<(), String> {
    let texts = texts.iter().cycle().skip(from % texts.len()).take(window);
    let encodings = texts.map(|text| model.preprocess(text, None).map_err(|error| error.to_string()));
    let encodings = encodings.collect::<Result<Vec<_>, _>>()?;
    let mut inputs: Vec<&ModelInput> = encodings.iter().map(|encoding| &encoding.input).collect();
    inputs.sort_by_key(|input| input.width());
    for rows in inputs.chunks(batch) {
        runner.run(rows).map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// Texts per second: the rates of the threads added up, since they finish their last windows at different times.
fn rate(parts: &[Part]) -> f64 {
    parts
        .iter()
        .map(|part| part.texts as f64 / part.took.as_secs_f64())
        .sum()
}

/// A session of so many threads, which spin while it runs.
fn wide_session(verified: &VerifiedModel, threads: usize) -> Result<Option<Box<dyn Runner>>, String> {
    let settings = InstanceSettings {
        idle_threads: threads,
        ..sessions(1)
    };
    let initialized = initialize(verified, settings).map_err(|error| error.to_string())?;
    let Some(wide) = initialized.wide else { return Ok(None) };
    Ok(match wide.open(&|| false)? {
        Found::Good(runner) => Some(runner),
        // The session of one thread is the faster one then.
        Found::NoFaster | Found::Moved(_) | Found::Over => None,
    })
}

fn sessions(count: usize) -> InstanceSettings {
    InstanceSettings {
        count,
        intra_threads: 1,
        idle_threads: 1,
        // For the warm-up only: the loop sets its batches by their number of rows.
        max_cells: 256,
        fast_path: FastPath::Onnx,
    }
}
