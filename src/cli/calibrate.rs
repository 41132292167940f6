//! `tandem calibrate`: measures a cascade on labelled texts and writes the chosen point where the next start finds it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use indicatif::{ProgressBar, ProgressStyle};

use super::calibration_page::{self, Measured, Said};
use super::calibration_report::{Report, warning};
use super::config_args::ConfigArgs;
use super::costs;
use super::dataset_args::DatasetArgs;
use super::exit::Exit;
use super::models_here::{check_out, here};
use super::moment;
use super::out_place;
use super::outcome::{Outcome, failure};
use super::output::{complain, fail, outln};
use super::target_args::{self, TargetArgs};
use crate::config::Settings;
use crate::model::gain::TextSize;
use crate::model::manifest::ProblemType;
use crate::model::repository::VerifiedModel;
use crate::offline::calibration::cascade::{self, CERTIFYING, Calibrated, Options, Reference, is_fitted_on};
use crate::offline::calibration::curve::{Fitted, Judged};
use crate::offline::calibration::each::Each;
use crate::offline::calibration::measure;
use crate::offline::calibration::options::Deferral;
use crate::offline::calibration::verdict::Verdict;
use crate::offline::calibration::{ROUNDS, Sample};
use crate::offline::dataset::Dataset;
use crate::offline::dataset::preflight::{self, Work};
use crate::offline::evaluation::interval::Interval;
use crate::offline::evaluation::tally::Labels;
use crate::offline::report::files;
use crate::service::catalog::ModelVersion;
use crate::service::catalog::cascade_calibration::{BlendWeights, file_of};
use crate::service::lifecycle::start::open_catalog;

/// The fewest labelled texts in each half; with fewer, nothing can be fitted.
const LEAST_TEXTS: usize = 20;
/// The bytes of what is written, at most: of 1,000 labels, each with its recall at every point of the curve.
const LARGEST_FILES: u64 = 16 << 20;
/// The most labels that one message lists.
const MOST_NAMED: usize = 16;

/// The arguments of `tandem calibrate`.
#[derive(clap::Args)]
pub struct CalibrateArgs {
    /// The labelled texts: .tsv, .csv (both with a header), .jsonl or .parquet
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The task [default: the only task]
    #[arg(long, value_name = "TASK", default_value = "", hide_default_value = true)]
    task: String,
    /// How the file is read, and what the labels in it mean.
    #[command(flatten)]
    labelled: DatasetArgs,
    /// What the operator wants of the cascade.
    #[command(flatten)]
    target: TargetArgs,
    /// By what texts are given to the deep model
    #[arg(long, value_name = "WHAT", value_enum, default_value_t = Deferral::Confidence)]
    deferral: Deferral,
    /// What the split into halves and the intervals are drawn with
    #[arg(long, value_name = "NUMBER", default_value_t = 20_261_122)]
    seed: u64,
    /// Where the calibration is written; beside it its report as .json and .html, the curve as .svg [default: where a start looks]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Where the report is written, .html or .md [default: .html beside the calibration]
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Write none of the texts into the report
    #[arg(long)]
    without_texts: bool,
    /// Write no files
    #[arg(long)]
    dry_run: bool,
    /// The settings, and the file that holds them.
    #[command(flatten)]
    config: ConfigArgs,
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
    let wanted = args.target.wanted().map_err(usage)?;
    let deferral = target_args::deferral(args.deferral, &wanted).map_err(usage)?;
    let (settings, fetched) = here(args.config.resolve().map_err(usage)?)?;
    let Subject { task, fast, deep } = subject(args, &settings)?;
    let labels = &deep.manifest.labels;
    wanted.check(labels).map_err(usage)?;
    let out = args.out.clone().unwrap_or_else(|| usual_place(&settings, &task));
    let page = args.report.clone().unwrap_or_else(|| out.with_extension("html"));
    if !args.dry_run {
        check_out(&out, &settings, fetched.is_some()).map_err(usage)?;
        check_places(&args.file, &out, &page).map_err(usage)?;
    }
    let each = Each::of(&fast.manifest, &deep.manifest);
    let (dataset, all) = read(args, &deep, &out)?;
    let samples = measure(&dataset, &all, [&fast, &deep], &settings)?;
    let (texts, samples) = answered(all, samples);
    check_halves(&texts, args.seed, labels)?;
    let options = Options {
        wanted: &wanted,
        labels,
        confidence: args.target.confidence,
        certifying: CERTIFYING,
        seed: args.seed,
        reference: Reference::Labels,
        deep_temperature: f64::from(deep.manifest.calibration.temperature),
        each: each.as_ref(),
        deferral,
    };
    let calibrated = cascade::calibrate(&samples, &options).map_err(failure)?;
    let report = Report {
        task: &task,
        file: name_of(&args.file),
        measured_at: moment::told(),
        seed: args.seed,
        micros_a_text: [micros(&samples, 0), micros(&samples, 1)],
        labels,
        temperatures: calibrated.fitted.temperatures,
        blend: weights(&calibrated.fitted, labels),
        warning: warning(
            &calibrated,
            labels,
            if each.is_some() { "exact match" } else { "accuracy" },
            CERTIFYING,
        ),
        against_deep: false,
        each_label: each.is_some(),
        calibrated,
    };
    let models = [&fast, &deep];
    let of_page = || Measured {
        answers: answers(&report.calibrated, &texts, &samples, args.seed),
        report: &report,
        dataset: &dataset,
        models,
        timings: models.map(|model| costs::measure(model, &dataset, settings.fast_path)),
        repository: settings.models.display().to_string(),
        reading: args.labelled.arguments(),
        without_texts: args.without_texts,
        wanted: &wanted,
    };
    let content = (!args.dry_run).then(|| calibration_page::page(&of_page()));
    // Nothing reads a text from here on.
    dataset.check_whole().map_err(failure)?;
    report.print();
    let Some(content) = content else { return Ok(()) };
    report.write(&out, models).map_err(failure)?;
    let written = files::write(&content, &page).map_err(failure)?;
    for path in written {
        outln!("wrote {}", path.display());
    }
    Ok(())
}

/// The measured texts: the place of each in the dataset, its right label, and the answer at the chosen point.
fn answers(calibrated: &Calibrated, texts: &[Labelled], samples: &[Sample], seed: u64) -> Vec<Said> {
    let (measured, samples): (Vec<&Labelled>, Vec<&Sample>) = (texts.iter().zip(samples))
        .filter(|(text, _)| !text.is_fitted_on(seed))
        .unzip();
    let judged = Judged::new(samples, &calibrated.fitted);
    let given = judged.at(calibrated.chosen.min_confidence.unwrap_or(1.0));
    let both = measured.into_iter().zip(given);
    let said = |(text, given): (&Labelled, &Verdict)| (text.at, text.truth.clone(), given.clone());
    both.map(said).collect()
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
    let seen = |model: &Option<Arc<ModelVersion>>| model.as_ref()?.verified.of_task(&name);
    match (seen(&task.fast), seen(&task.deep)) {
        (Some(fast), Some(deep)) => Ok(Subject { fast, deep, task: name }),
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

/// A text whose label is known.
struct Labelled {
    /// Its place in the dataset.
    at: usize,
    group: u64,
    /// The right label, or labels, in the order of the dataset's labels.
    truth: Labels,
}

impl Labelled {
    /// Whether it is in the half to fit on, and not in the half to measure on. Equal texts are in the same half.
    fn is_fitted_on(&self, seed: u64) -> bool {
        is_fitted_on(self.group, seed)
    }
}

fn labelled(dataset: &Dataset, at: usize) -> Option<Labelled> {
    let example = &dataset.examples[at];
    let truth = Labels::of(&example.target, dataset.problem_type == ProblemType::MultiLabel)?;
    Some(Labelled {
        at,
        group: example.group,
        truth,
    })
}

/// Reads the texts, and says what they are like.
fn read(args: &CalibrateArgs, deep: &VerifiedModel, out: &Path) -> Outcome<(Dataset, Vec<Labelled>)> {
    let labels = &deep.manifest.labels;
    let columns = args.labelled.columns_for(&deep.manifest).map_err(usage)?;
    let dataset = args.labelled.read(&args.file, &columns, Some(labels)).map_err(usage)?;
    let work = Work {
        out: (!args.dry_run).then_some(out),
        free: out_place::free(out),
        needs: Some(LARGEST_FILES),
        estimate: None,
    };
    let found = preflight::look(&dataset, &columns, &work).map_err(usage)?;
    let all: Vec<Labelled> = (0..dataset.len()).filter_map(|at| labelled(&dataset, at)).collect();
    let absent = check_halves(&all, args.seed, labels)?;
    super::preflight::tell(&found, &args.file.display().to_string());
    if let Some(absent) = absent {
        complain(&format!("warning: {absent}"));
    }
    Ok((dataset, all))
}

/// Fails now if a file could not be written after all the work, or if one that is read would be.
fn check_places(read: &Path, out: &Path, page: &Path) -> Result<(), String> {
    let (figures, curve) = (out.with_extension("json"), out.with_extension("svg"));
    let written = [
        (out, "the calibration"),
        (&figures, "the report's figures"),
        (&curve, "the curve"),
        (page, "the report"),
    ];
    out_place::check_apart(&[read], &written)?;
    out_place::check_file(out, "the calibration")?;
    out_place::check(page, "the report")?;
    files::Kind::of(page).map(|_| ())
}

/// Runs both models on every text.
fn measure(
    dataset: &Dataset,
    texts: &[Labelled],
    models: [&VerifiedModel; 2],
    settings: &Settings,
) -> Outcome<Vec<Option<Sample>>> {
    let only: Vec<Cow<'_, str>> = texts.iter().map(|text| dataset.text(text.at)).collect();
    let only: Vec<&str> = only.iter().map(AsRef::as_ref).collect();
    let bar = progress(measure::runs(only.len()));
    let said = measure::run(models, &only, settings.intra_threads, settings.fast_path, |runs| {
        bar.inc(runs as u64);
    });
    bar.finish_and_clear();
    let said = said.map_err(failure)?;
    let [fast, deep] = models.map(|model| &model.manifest.labels);
    let place = |label: &String| fast.iter().position(|other| other == label);
    let fast_of_deep: Option<Vec<usize>> = deep.iter().map(place).collect();
    let fast_of_deep = fast_of_deep.ok_or_else(|| usage("the labels of both models are not the same set"))?;
    let samples = texts.iter().zip(said).zip(&only).map(|((text, said), whole)| {
        let measure::Said {
            logits: [fast, deep],
            costs,
            features,
        } = said?;
        Some(Sample {
            truth: text.truth.clone(),
            group: text.group,
            fast: fast_of_deep.iter().map(|&label| fast[label]).collect(),
            deep,
            costs,
            size: TextSize {
                bytes: whole.len(),
                features,
            },
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
fn check_halves(texts: &[Labelled], seed: u64, labels: &[String]) -> Outcome<Option<String>> {
    let (fitting, measuring): (Vec<_>, Vec<_>) = texts.iter().partition(|text| text.is_fitted_on(seed));
    let halves = [fitting, measuring];
    let least = halves[0].len().min(halves[1].len());
    if least < LEAST_TEXTS {
        return Err(usage(format!(
            "too few labelled texts: a half has {least}, it must have at least {LEAST_TEXTS}"
        )));
    }
    let has = |half: &[&Labelled], label: usize| half.iter().any(|text| text.truth.has(label as u32));
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
        "a half of the texts has none of {named}{more}: the figures say nothing of them"
    )))
}

pub(super) fn weights(fitted: &Fitted, labels: &[String]) -> BlendWeights {
    BlendWeights {
        fast: fitted.blend.fast,
        deep: fitted.blend.deep,
        bias: if fitted.each.is_some() {
            BTreeMap::new()
        } else {
            labels.iter().cloned().zip(fitted.blend.bias.iter().copied()).collect()
        },
    }
}

/// The time of one text in a tier, in microseconds: the median of the rounds, with the lowest and the highest.
pub(super) fn micros(samples: &[Sample], tier: usize) -> Interval {
    let of_round = |round: usize| {
        let costs: Vec<f64> = samples.iter().filter_map(|one| Some(one.costs[round]?[tier])).collect();
        (!costs.is_empty()).then(|| costs.iter().sum::<f64>() / costs.len() as f64 * 1e6)
    };
    Interval::of_rounds((0..ROUNDS).filter_map(of_round).collect())
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
