//! What the student and the deep model do together, on texts that the student was not trained on.

use std::path::Path;

use super::args::DistillArgs;
use crate::cli::calibrate::{micros, weights};
use crate::cli::calibration_report::{Report, warning};
use crate::cli::moment;
use crate::cli::outcome::{Outcome, failure};
use crate::cli::output::outln;
use crate::cli::terminal::{width, wrap};
use crate::model::gain::TextSize;
use crate::model::loading::FastPath;
use crate::model::repository::VerifiedModel;
use crate::offline::calibration::cascade::{self, Calibrated, Options, Reference};
use crate::offline::calibration::certificate::most_errors;
use crate::offline::calibration::curve::Judged;
use crate::offline::calibration::each::{DEEP, Each, FAST};
use crate::offline::calibration::measure;
use crate::offline::calibration::options::Deferral;
use crate::offline::calibration::target::{Target, Wanted};
use crate::offline::calibration::verdict::Verdict;
use crate::offline::calibration::{ROUNDS, Sample};
use crate::offline::dataset::Dataset;
use crate::offline::distillation::split::{CERTIFYING, is_trained_on};
use crate::offline::distillation::teacher::Answers;
use crate::offline::evaluation::findings;
use crate::offline::evaluation::interval::Interval;
use crate::offline::evaluation::tally::Labels;
use crate::offline::training::held_out::top;
use crate::offline::training::rows::Rows;
use crate::offline::training::train::Trained;

/// How many texts are run by both models for what they cost.
const TIMED: usize = 1_000;

/// Both models, and the texts.
pub struct Subject<'a> {
    pub task: &'a str,
    pub fast: &'a VerifiedModel,
    pub deep: &'a VerifiedModel,
    pub trained: &'a Trained,
    pub texts: &'a Dataset,
    pub answers: &'a Answers,
    pub gold: Option<&'a Dataset>,
}

/// A calibrated cascade.
pub struct Cascade<'a> {
    pub report: Report<'a>,
    /// How it does by people's labels, if there are any.
    pub by_labels: Option<ByLabels>,
    /// What is so, in sentences.
    pub findings: Vec<String>,
}

/// How right each is by people's labels.
pub struct ByLabels {
    pub file: String,
    pub texts: usize,
    pub fast: f64,
    pub cascade: f64,
    pub deep: f64,
    /// The accuracy of the fast model minus that of the deep one.
    pub fast_above_deep: Interval,
    /// What is certified: the least accuracy of the cascade, and how surely.
    pub at_least: f64,
    pub confidence: f64,
}

impl ByLabels {
    /// In a sentence.
    pub fn sentence(&self) -> String {
        format!(
            "by the {} labels of {}: fast alone {:.2}% right, cascade {:.2}%, deep alone {:.2}%; certified: the cascade is right on \
             at least {:.2}% of texts like these, at a confidence of {}%",
            self.texts,
            self.file,
            self.fast * 100.0,
            self.cascade * 100.0,
            self.deep * 100.0,
            (self.at_least * 1e4).floor() / 100.0,
            self.confidence * 100.0
        )
    }
}

impl<'a> Cascade<'a> {
    /// Times both models, fits and certifies on the texts that are held out.
    pub fn measure(subject: &Subject<'a>, target: Target, args: &DistillArgs) -> Outcome<Self> {
        let labels = &subject.deep.manifest.labels;
        let each = Each::of(&subject.fast.manifest, &subject.deep.manifest);
        let samples = subject.held_out(args.training.seed, each.as_ref()).map_err(failure)?;
        let options = Options {
            wanted: &Wanted::Targets(vec![target]),
            labels,
            confidence: args.confidence,
            certifying: CERTIFYING,
            seed: args.training.seed,
            reference: Reference::Deep,
            deep_temperature: f64::from(subject.deep.manifest.calibration.temperature),
            each: each.as_ref(),
            deferral: Deferral::Confidence,
        };
        let calibrated = cascade::calibrate(&samples, &options);
        let never = subject.never_given(each.as_ref());
        let refused = |problem| {
            let learnt = learnt(&samples, each.as_ref(), subject.trained.trained_on);
            let all = std::iter::once(problem).chain(learnt).chain(never.clone());
            failure(all.collect::<Vec<_>>().join("; "))
        };
        let calibrated = calibrated.map_err(refused)?;
        let by_labels = subject
            .gold
            .map(|gold| subject.by_labels(gold, &calibrated, args))
            .transpose()
            .map_err(failure)?;
        let mut found: Vec<String> = never.into_iter().collect();
        found.extend(by_labels.iter().flat_map(|found| {
            let beats = findings::fast_beats_deep(found.fast_above_deep);
            std::iter::once(found.sentence()).chain(beats)
        }));
        let report = Report {
            task: subject.task,
            file: name_of(&args.texts),
            measured_at: moment::told(),
            seed: args.training.seed,
            micros_a_text: [micros(&samples, 0), micros(&samples, 1)],
            labels,
            temperatures: calibrated.fitted.temperatures,
            blend: weights(&calibrated.fitted, labels),
            warning: warning(&calibrated, labels, "agreement", CERTIFYING),
            against_deep: true,
            each_label: each.is_some(),
            calibrated,
        };
        Ok(Self {
            report,
            by_labels,
            findings: found,
        })
    }

    /// Prints the curve, the certificate and what is so.
    pub fn print(&self) {
        self.report.print();
        for line in self.findings.iter().flat_map(|line| wrap(line, width())) {
            outln!("{line}");
        }
    }
}

impl Subject<'_> {
    /// Both models' answers to the texts that the student was not trained on; the deep model's stand for the labels.
    fn held_out(&self, seed: u64, each: Option<&Each>) -> Result<Vec<Sample>, String> {
        let held = |at: &usize| !is_trained_on(self.texts.examples[*at].group, seed);
        let places: Vec<usize> = (0..self.texts.len()).filter(held).collect();
        let step = places.len().div_ceil(TIMED).max(1);
        let timed: Vec<usize> = places.iter().copied().step_by(step).collect();
        let texts: Vec<_> = timed.iter().map(|&at| self.texts.text(at)).collect();
        let texts: Vec<&str> = texts.iter().map(AsRef::as_ref).collect();
        let costs = measure::run([self.fast, self.deep], &texts, 1, FastPath::default(), |_| {})?;
        let mut costs = timed.into_iter().zip(costs).peekable();
        let threads = std::num::NonZeroUsize::MIN;
        let is_held = |at: usize| held(&at);
        let rows = Rows::encode(self.texts, self.trained.recipe.features(), &is_held, threads);
        let mut room = Vec::new();
        let mut samples = Vec::with_capacity(places.len());
        for at in places {
            let cost = costs
                .next_if(|(place, _)| *place == at)
                .and_then(|(_, said)| Some(said?.costs));
            let Some(deep) = self.answers.row(at) else { continue };
            let fast = self
                .trained
                .link
                .logits(&self.trained.model.columns_of(rows.row(at, &mut room)));
            let group = self.texts.examples[at].group;
            let mut sample = Sample::unlabelled(group, wide(&fast), wide(deep), cost.unwrap_or([None; ROUNDS]));
            if let Some(each) = each {
                sample.truth = each.given(DEEP, &sample.deep);
            }
            samples.push(sample);
        }
        Ok(samples)
    }

    /// The accuracy by people's labels, of texts of which the student saw none.
    fn by_labels(&self, gold: &Dataset, calibrated: &Calibrated, args: &DistillArgs) -> Result<ByLabels, String> {
        let each = calibrated.fitted.each.is_some();
        let labelled: Vec<(usize, Labels)> = (0..gold.len())
            .filter_map(|at| Some((at, Labels::of(&gold.examples[at].target, each)?)))
            .collect();
        let texts: Vec<_> = labelled.iter().map(|(at, _)| gold.text(*at)).collect();
        let texts: Vec<&str> = texts.iter().map(AsRef::as_ref).collect();
        let said = measure::run([self.fast, self.deep], &texts, 1, FastPath::default(), |_| {})?;
        let samples: Vec<Sample> = labelled
            .into_iter()
            .zip(said)
            .filter_map(|((at, truth), said)| {
                let [fast, deep] = said?.logits;
                Some(Sample {
                    truth,
                    group: gold.examples[at].group,
                    fast,
                    deep,
                    costs: [None; ROUNDS],
                    size: TextSize::default(),
                })
            })
            .collect();
        if samples.is_empty() {
            return Err("--labelled: none of its texts has a label and an answer of both models".to_owned());
        }
        let judged = Judged::new(samples.iter().collect(), &calibrated.fitted);
        let chosen = calibrated.chosen.min_confidence.unwrap_or(1.0);
        let points = judged.points(&[0.0, chosen], args.training.seed);
        let [fast, cascade, deep] = &points[..] else {
            return Err("--labelled: its figures are not three".to_owned());
        };
        Ok(ByLabels {
            file: args.labelled.as_deref().map(name_of).unwrap_or_default(),
            texts: samples.len(),
            fast: fast.accuracy.value,
            cascade: cascade.accuracy.value,
            deep: deep.accuracy.value,
            fast_above_deep: fast.above_deep,
            at_least: 1.0 - most_errors(judged.wrong(chosen), 1.0 - args.confidence),
            confidence: args.confidence,
        })
    }

    /// The labels that the deep model gives to none of all texts.
    fn never_given(&self, each: Option<&Each>) -> Option<String> {
        let labels = &self.deep.manifest.labels;
        let (mut given, mut answered) = (vec![0; labels.len()], 0);
        for row in (0..self.texts.len()).filter_map(|at| self.answers.row(at)) {
            answered += 1;
            let said = match each {
                Some(each) => each.given(DEEP, &wide(row)),
                None => Labels::One(top(row) as u32),
            };
            for &label in said.places() {
                given[label as usize] += 1;
            }
        }
        findings::never_given("the deep model", labels, &given, answered, None)
    }
}

/// That n-grams can't learn the task, if that is so.
fn learnt(samples: &[Sample], each: Option<&Each>, trained_on: usize) -> Option<String> {
    let said = |sample: &Sample| match each {
        Some(each) => each.given(FAST, &sample.fast),
        None => Verdict::likeliest(&sample.fast).given,
    };
    let agree = |sample: &&Sample| said(sample) == sample.truth;
    let share = samples.iter().filter(agree).count() as f64 / samples.len().max(1) as f64;
    findings::not_learnt(share, trained_on)
}

fn wide(logits: &[f32]) -> Vec<f64> {
    logits.iter().map(|&logit| f64::from(logit)).collect()
}

/// A file's name without its folder.
fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
