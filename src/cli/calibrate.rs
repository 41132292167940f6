//! `tandem calibrate`: measures a cascade on labelled texts and writes the chosen point where the next start finds it.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressStyle};

use super::calibration_report::Report;
use super::config_args::ConfigArgs;
use super::exit::Exit;
use super::outcome::{Outcome, failure};
use super::output::{complain, fail};
use super::read_args::ReadArgs;
use crate::config::Settings;
use crate::model::repository::VerifiedModel;
use crate::offline::calibration::curve::{self, Fitted, Judged, Point};
use crate::offline::calibration::interval::Interval;
use crate::offline::calibration::measure::{self, Said};
use crate::offline::calibration::target::{AccuracyTarget, Target, choose};
use crate::offline::calibration::{ROUNDS, Sample, fit};
use crate::offline::labelled::{self, Labelled, LabelledTexts, Meanings, in_fit_half};
use crate::offline::reader::Columns;
use crate::service::catalog::cascade_calibration::{BlendWeights, file_of};
use crate::service::lifecycle::start::open_catalog;

/// The fewest labelled texts in each half; with fewer, nothing can be fitted.
const LEAST_TEXTS: usize = 20;
/// The most labels that one message lists.
const MOST_NAMED: usize = 16;
/// If the interval of the accuracy is wider than this, end to end, a warning says so.
const WIDE: f64 = 0.02;

/// The arguments of `tandem calibrate`.
#[derive(clap::Args)]
pub struct CalibrateArgs {
    /// The labelled texts: .tsv, .csv (both with a header) or .jsonl
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The task [default: the only task]
    #[arg(long, value_name = "TASK", default_value = "", hide_default_value = true)]
    task: String,
    /// How the file is read.
    #[command(flatten)]
    reading: ReadArgs,
    /// The column, or key, of the label
    #[arg(long, value_name = "NAME", default_value = "label")]
    label_column: String,
    /// What a value of the label column means, if it is neither a label's name nor its place from 0; may be repeated
    #[arg(long, value_name = "VALUE=LABEL", value_parser = meaning)]
    map: Vec<(String, String)>,
    /// Leave rows without a label out
    #[arg(long)]
    skip_unlabelled: bool,
    /// The cheapest point with this accuracy: 0.895, 89.5%, or against the deep model's: deep, deep-0.2pt [default: deep-0.2pt]
    #[arg(long, value_name = "ACCURACY", group = "target", allow_hyphen_values = true)]
    target_accuracy: Option<AccuracyTarget>,
    /// The dearest point at this cost, the deep model for every text being 1
    #[arg(long, value_name = "COST", group = "target")]
    target_cost: Option<f64>,
    /// This threshold
    #[arg(long, value_name = "CONFIDENCE", group = "target")]
    min_confidence: Option<f32>,
    /// What the split into halves and the intervals are drawn with
    #[arg(long, value_name = "NUMBER", default_value_t = 20_261_122)]
    seed: u64,
    /// Where the calibration is written, its report as .json and its plot as .svg beside it [default: where a start looks]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Write no files
    #[arg(long)]
    dry_run: bool,
    /// The settings, and the file that holds them.
    #[command(flatten)]
    config: ConfigArgs,
}

fn meaning(text: &str) -> Result<(String, String), String> {
    let (value, label) = text.split_once('=').ok_or("write VALUE=LABEL")?;
    Ok((value.to_owned(), label.to_owned()))
}

fn usage<E: ToString>(error: E) -> (String, Exit) {
    (error.to_string(), Exit::Usage)
}

/// Measures, reports and writes.
pub fn run(args: &CalibrateArgs) -> Exit {
    match calibrate(args) {
        Ok(()) => Exit::Success,
        Err((problem, exit)) => fail(&problem, exit),
    }
}

fn calibrate(args: &CalibrateArgs) -> Outcome<()> {
    let settings = args.config.resolve().map_err(usage)?;
    let target = target(args)?;
    let Subject { task, fast, deep } = subject(args, &settings)?;
    let labels = &deep.manifest.labels;
    let out = args.out.clone().unwrap_or_else(|| usual_place(&settings, &task));
    if !args.dry_run {
        check_place(&out)?;
    }
    let texts = read(args, labels)?;
    let halves = |texts: &[Labelled]| -> Outcome<Option<String>> {
        let (fitting, measuring) = texts.iter().partition(|text| in_fit_half(&text.text, args.seed));
        check_halves([fitting, measuring], labels)
    };
    let absent = halves(&texts)?;
    if let Some(absent) = absent {
        complain(&format!("warning: {absent}"));
    }
    let samples = measure(&texts, &fast, &deep, settings.intra_threads)?;
    let (texts, samples) = answered(texts, samples);
    halves(&texts)?;
    let half = |wanted: bool| -> Vec<&Sample> {
        let pairs = texts.iter().zip(&samples);
        pairs
            .filter(|(text, _)| in_fit_half(&text.text, args.seed) == wanted)
            .map(|(_, sample)| sample)
            .collect()
    };
    let (fitting, measuring) = (half(true), half(false));
    let fitted = fit_on(&fitting);
    let mut texts_of_labels = vec![0; labels.len()];
    for one in &measuring {
        texts_of_labels[one.truth] += 1;
    }
    let (counts, fitting) = ((fitting.len(), measuring.len()), Judged::new(fitting, &fitted));
    let fine: Vec<_> = fitting
        .thresholds(0..=100)
        .into_iter()
        .map(|at| fitting.plain(at))
        .collect();
    let min_confidence = choose(target, &fine, fitting.deep_accuracy()).map_err(failure)?;
    let mut thresholds = fitting.grid();
    thresholds.push(min_confidence);
    let mut curve = Judged::new(measuring, &fitted).points(&thresholds, args.seed);
    let deep_alone = curve.pop().expect("the deep model comes last");
    let chosen = curve.pop().expect("the chosen threshold comes before it");

    let report = Report {
        task: &task,
        file: name_of(&args.file),
        seed: args.seed,
        fitted_on: counts.0,
        measured_on: counts.1,
        micros_a_text: [micros(&samples, 0), micros(&samples, 1)],
        labels,
        texts_of_labels: texts_of_labels.clone(),
        temperatures: fitted.temperatures,
        blend: weights(&fitted, labels),
        warning: warning(&chosen, &deep_alone, labels, &texts_of_labels),
        chosen,
        deep_alone,
        curve,
    };
    report.print();
    if !args.dry_run {
        report.write(&out, [&fast, &deep]).map_err(failure)?;
    }
    Ok(())
}

fn target(args: &CalibrateArgs) -> Outcome<Target> {
    let share = |name: &str, value: f64| match value {
        value if (0.0..=1.0).contains(&value) => Ok(value),
        _ => Err(usage(format!("--{name} must be from 0 to 1"))),
    };
    match (args.target_accuracy, args.target_cost, args.min_confidence) {
        (_, Some(cost), _) if cost.is_finite() && cost > 0.0 => Ok(Target::Cost(cost)),
        (_, Some(_), _) => Err(usage("--target-cost must be a number above 0")),
        (_, _, Some(confidence)) => {
            share("min-confidence", f64::from(confidence))?;
            Ok(Target::Confidence(confidence))
        }
        (Some(accuracy), _, _) => Ok(Target::Accuracy(accuracy)),
        (None, None, None) => Ok(Target::Accuracy("deep-0.2pt".parse().map_err(usage)?)),
    }
}

/// The cascade that is calibrated.
struct Subject {
    task: String,
    fast: VerifiedModel,
    deep: VerifiedModel,
}

fn subject(args: &CalibrateArgs, settings: &Settings) -> Outcome<Subject> {
    // A calibration that is there already, valid or not, must not affect a new one.
    let mut bare = settings.clone();
    for task in bare.tasks.values_mut() {
        task.cascade.calibration = None;
    }
    let catalog = open_catalog(&bare).map_err(usage)?.catalog;
    let known = catalog.task_names().collect::<Vec<_>>().join(", ");
    let Some(task) = catalog.task(&args.task) else {
        return Err(usage(format!("--task: name one of the tasks: {known}")));
    };
    let name = catalog.task_name(&args.task).unwrap_or_default().to_owned();
    match (&task.fast, &task.deep) {
        (Some(fast), Some(deep)) => Ok(Subject {
            fast: fast.verified.clone(),
            deep: deep.verified.clone(),
            task: name,
        }),
        _ => Err(usage(format!(
            "the task `{name}` has one tier only: there is nothing to calibrate"
        ))),
    }
}

fn usual_place(settings: &Settings, task: &str) -> PathBuf {
    let configured = settings
        .tasks
        .get(task)
        .and_then(|task| task.cascade.calibration.clone());
    configured.unwrap_or_else(|| file_of(&settings.models, task))
}

fn read(args: &CalibrateArgs, labels: &[String]) -> Outcome<Vec<Labelled>> {
    let map: BTreeMap<String, String> = args.map.iter().cloned().collect();
    let columns = Columns {
        text: args.reading.text_column.clone(),
        pair: None,
        label: Some(args.label_column.clone()),
    };
    let meanings = Meanings {
        labels,
        map: &map,
        skip_unlabelled: args.skip_unlabelled,
    };
    let of_file = |told: &str| format!("{}: {told}", args.file.display());
    let LabelledTexts { texts, notes } = labelled::read(&args.file, &args.reading.options(), columns, &meanings)
        .map_err(|problem| usage(of_file(&problem)))?;
    for note in &notes {
        complain(&of_file(note));
    }
    Ok(texts)
}

/// Fails now if the files could not be written after all the measuring.
fn check_place(out: &Path) -> Outcome<()> {
    let folder = match out.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let problem = |problem: &dyn std::fmt::Display| {
        usage(format!(
            "{}: the calibration can't be written there: {problem}; name another place with --out, or write none with --dry-run",
            folder.display()
        ))
    };
    if !folder.is_dir() {
        return Err(problem(&"no such folder"));
    }
    if out.is_dir() {
        return Err(usage(format!(
            "--out: {} is a folder, it must be a file",
            out.display()
        )));
    }
    // The only sure way to know whether files can be made is to make one. It is removed at once.
    let trial = folder.join(format!(".tandem-{}", std::process::id()));
    std::fs::write(&trial, "").map_err(|error| problem(&error))?;
    std::fs::remove_file(&trial).map_err(|error| problem(&error))
}

/// Runs both models on every text.
fn measure(
    texts: &[Labelled],
    fast: &VerifiedModel,
    deep: &VerifiedModel,
    intra_threads: usize,
) -> Outcome<Vec<Option<Sample>>> {
    let only: Vec<&str> = texts.iter().map(|text| text.text.as_str()).collect();
    let bar = progress(measure::runs(only.len()));
    let said = measure::run([fast, deep], &only, intra_threads, |runs| bar.inc(runs as u64));
    bar.finish_and_clear();
    let said = said.map_err(failure)?;
    let place = |label: &String| fast.manifest.labels.iter().position(|other| other == label);
    let fast_of_deep: Option<Vec<usize>> = deep.manifest.labels.iter().map(place).collect();
    let fast_of_deep = fast_of_deep.ok_or_else(|| usage("the labels of both models are not the same set"))?;
    let samples = texts.iter().zip(said).map(|(text, said)| {
        let Said {
            logits: [fast, deep],
            costs,
        } = said?;
        Some(Sample {
            truth: text.label,
            fast: fast_of_deep.iter().map(|&label| fast[label]).collect(),
            deep,
            costs,
        })
    });
    Ok(samples.collect())
}

/// The texts that both models answered, with the answers. Prints how many others there are.
fn answered(texts: Vec<Labelled>, samples: Vec<Option<Sample>>) -> (Vec<Labelled>, Vec<Sample>) {
    let count = texts.len();
    let both = texts.into_iter().zip(samples);
    let (texts, samples): (Vec<Labelled>, Vec<Sample>) =
        both.filter_map(|(text, sample)| Some((text, sample?))).unzip();
    let lost = count - texts.len();
    if lost > 0 {
        complain(&format!(
            "warning: {lost} of {count} texts are left out: one of the models does not answer them"
        ));
    }
    (texts, samples)
}

/// A progress bar, visible only on a terminal.
fn progress(runs: usize) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} runs, {eta} left")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(runs as u64).with_style(style)
}

/// Checks that both halves are large enough. Returns a warning about labels that one of them lacks.
fn check_halves(halves: [Vec<&Labelled>; 2], labels: &[String]) -> Outcome<Option<String>> {
    let least = halves[0].len().min(halves[1].len());
    if least < LEAST_TEXTS {
        return Err(usage(format!(
            "too few labelled texts: a half has {least}, it must have at least {LEAST_TEXTS}"
        )));
    }
    let has = |half: &[&Labelled], label: usize| half.iter().any(|text| text.label == label);
    let lacking = labels.iter().enumerate();
    let lacking = lacking.filter(|(at, _)| !halves.iter().all(|half| has(half, *at)));
    let lacking: Vec<&str> = lacking.map(|(_, label)| label.as_str()).collect();
    if lacking.is_empty() {
        return Ok(None);
    }
    let more = if lacking.len() > MOST_NAMED {
        format!(" and {} more", lacking.len() - MOST_NAMED)
    } else {
        String::new()
    };
    let named = lacking.iter().take(MOST_NAMED).copied().collect::<Vec<_>>().join(", ");
    Ok(Some(format!(
        "a half of the texts has none of {named}{more}: the figures say nothing of them, and macro-F1 counts them as 0"
    )))
}

fn fit_on(samples: &[&Sample]) -> Fitted {
    let fast = fit::temperature(samples.iter().map(|one| (one.fast.as_slice(), one.truth)));
    let deep = fit::temperature(samples.iter().map(|one| (one.deep.as_slice(), one.truth)));
    Fitted {
        temperatures: [fast, deep],
        blend: fit::blend(samples, [fast, deep]),
    }
}

fn weights(fitted: &Fitted, labels: &[String]) -> BlendWeights {
    BlendWeights {
        fast: fitted.blend.fast,
        deep: fitted.blend.deep,
        bias: labels.iter().cloned().zip(fitted.blend.bias.iter().copied()).collect(),
    }
}

/// The time of one text in a tier, in microseconds: the median of the rounds, with the lowest and the highest.
fn micros(samples: &[Sample], tier: usize) -> Interval {
    let of_round = |round: usize| {
        let costs: Vec<f64> = samples.iter().filter_map(|one| Some(one.costs[round]?[tier])).collect();
        (!costs.is_empty()).then(|| costs.iter().sum::<f64>() / costs.len() as f64 * 1e6)
    };
    Interval::of_rounds((0..ROUNDS).filter_map(of_round).collect())
}

/// A warning about figures that should not be trusted blindly; `None` if there is nothing to warn of.
fn warning(chosen: &Point, deep: &Point, labels: &[String], texts: &[usize]) -> Option<String> {
    let Interval { low, high, .. } = chosen.accuracy;
    let measured_on: usize = texts.iter().sum();
    let few = (high - low > WIDE).then(|| {
        let wanted = (measured_on as f64 * ((high - low) / WIDE).powi(2) * 2.0 / 100.0).ceil() * 100.0;
        format!(
            "few labelled texts: the accuracy at the chosen point is between {low:.3} and {high:.3}, and the point may be \
             chosen by chance; about {wanted} texts in all make that two points"
        )
    });
    let lost = curve::loser(chosen, deep, texts).map(|(label, here, alone)| {
        format!(
            "the recall of {} is {here:.3} at the chosen point, {alone:.3} with the deep model alone: if that label matters, take \
             a point with a higher one by --min-confidence",
            labels[label]
        )
    });
    let all: Vec<String> = [few, lost].into_iter().flatten().collect();
    (!all.is_empty()).then(|| all.join("; "))
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
