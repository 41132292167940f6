//! The report of `tandem calibrate` as a page for a browser.

use super::calibration_report::Report;
use super::command_line;
use super::costs::{self, OfCascade};
use super::train::report::{data_fact, model_fact};
use crate::model::repository::VerifiedModel;
use crate::offline::calibration::target::Wanted;
use crate::offline::calibration::verdict::Verdict;
use crate::offline::dataset::Dataset;
use crate::offline::evaluation::answer::{Answer, Known};
use crate::offline::evaluation::classes::{classes, confusions};
use crate::offline::evaluation::tally::{Labels, Reliability};
use crate::offline::report::data_card::DataCard;
use crate::offline::report::disagreements::{self, Disagreement, LabelledBy};
use crate::offline::report::origin::{self, Origin};
use crate::offline::report::page::{Page, Section};
use crate::offline::report::quality_curve::QualityCurve;
use crate::offline::report::words::{cut, number, percent};
use crate::offline::report::{
    answered, classes as class_by_class, confusion, data_card, deferral, quality_curve, reliability,
};
use crate::offline::timing::Timing;

/// How many columns the text of an example may take.
const EXAMPLE_COLUMNS: usize = 60;

/// A measured text: its place in the dataset, its right labels, and the answer at the chosen point.
pub type Said = (usize, Labels, Verdict);

/// What the page shows besides the report.
pub struct Measured<'a> {
    pub report: &'a Report<'a>,
    pub dataset: &'a Dataset,
    /// The measured texts.
    pub answers: Vec<Said>,
    /// The fast and the deep model.
    pub models: [&'a VerifiedModel; 2],
    /// What answers of both cost.
    pub timings: [Option<Timing>; 2],
    /// The folder of the models, for the command that serves them.
    pub repository: String,
    /// How the file was read, as flags for a command on a file like it.
    pub reading: Vec<String>,
    /// Whether the page may show none of the texts.
    pub without_texts: bool,
    /// What the threshold was chosen by.
    pub wanted: &'a Wanted,
}

/// The page.
pub fn page(measured: &Measured<'_>) -> Page {
    let Measured { report, dataset, .. } = measured;
    let mut rates = Reliability::default();
    let (mut known, mut given) = (Vec::new(), Vec::new());
    for (_, truth, verdict) in &measured.answers {
        verdict.rate(&mut rates, verdict.given == *truth, 1.0);
        known.push(Known {
            truth: truth.clone(),
            weight: 1.0,
        });
        given.push(Answer {
            given: verdict.given.clone(),
            confidence: verdict.confidence,
            // Nothing here asks for it.
            loss: 0.0,
            probabilities: Vec::new(),
        });
    }
    let classes = classes(report.labels.len(), &known, &given);
    let parts = [
        ("fitted on", report.calibrated.fitted_on as u64),
        ("measured on (all figures)", report.calibrated.measured_on as u64),
    ];
    let card = DataCard {
        facts: &dataset.facts,
        labels: report.labels,
        parts: &parts,
        notes: &dataset.notes,
    };
    let mut curve_section = quality_curve::section(&QualityCurve {
        target: measured.wanted.accuracy(report.calibrated.deep_alone.accuracy.value),
        ..report.quality_curve()
    });
    if let Some(warning) = &report.warning {
        curve_section = curve_section.note(warning.clone());
    }
    let answered = answered::section(&report.calibrated.answered, report.calibrated.abstention.as_ref());
    let mut sections = vec![curve_section, answered];
    sections.extend(report.calibrated.deferral.as_ref().map(deferral::section));
    sections.push(class_by_class::section(report.labels, &classes));
    if !report.each_label {
        sections.push(confusion::section(report.labels, &classes, &confusions(&known, &given)));
    }
    sections.extend([
        reliability::section("the cascade at the chosen point", &rates),
        costs(report, measured.timings.each_ref().map(Option::as_ref)),
        disagreements::section(disagreeing(measured), LabelledBy::People),
        data_card::section(card),
        next(measured),
        made(measured),
    ]);
    Page {
        title: format!("{}: the cascade, calibrated", report.task),
        summary: summary(measured),
        sections,
    }
}

fn summary(measured: &Measured<'_>) -> Vec<String> {
    let report = measured.report;
    let chosen = &report.calibrated.chosen;
    let fast = report.calibrated.curve.first().unwrap_or(chosen);
    let whole = if report.each_label { " with all labels" } else { "" };
    let right = format!(
        "{} of the answers are right{whole} at {} of the deep model's cost. The deep model alone: {}. The fast model alone: {} at {}.",
        percent(chosen.accuracy.value, 1),
        number(chosen.cost.value, 2),
        percent(report.calibrated.deep_alone.accuracy.value, 1),
        percent(fast.accuracy.value, 1),
        number(fast.cost.value, 3),
    );
    let escalated = format!(
        "{} of the texts go to the deep model: those of which the fast one is less than {} sure. The point was chosen by {}.",
        percent(chosen.escalated, 1),
        percent(chosen.min_confidence.map_or(1.0, f64::from), 1),
        measured.wanted,
    );
    [right, escalated]
        .into_iter()
        .chain(report.calibrated.findings.iter().cloned())
        .collect()
}

/// What both models and the chosen point cost.
pub fn costs(report: &Report<'_>, timings: [Option<&Timing>; 2]) -> Section {
    let [fast, deep] = report.micros_a_text.map(|micros| micros.value / 1e6);
    let chosen = &report.calibrated.chosen;
    costs::of_cascade(&OfCascade {
        fast: timings[0],
        deep: timings[1],
        core_seconds: [fast, chosen.cost.value * deep, deep],
        escalated: chosen.escalated,
    })
}

fn disagreeing(measured: &Measured<'_>) -> Vec<Disagreement> {
    let mut wrong: Vec<&Said> = (measured.answers.iter())
        .filter(|(_, truth, verdict)| verdict.given != *truth)
        .collect();
    wrong.sort_by(|a, b| b.2.confidence.total_cmp(&a.2.confidence));
    wrong.truncate(disagreements::MOST);
    let told = |(at, truth, verdict): &Said| Disagreement {
        line: measured.dataset.examples[*at].line,
        text: (!measured.without_texts).then(|| measured.dataset.text(*at).into_owned()),
        labelled: truth.names(measured.dataset),
        said: verdict.given.names(measured.dataset),
        confidence: verdict.confidence,
    };
    wrong.into_iter().map(told).collect()
}

fn next(measured: &Measured<'_>) -> Section {
    let Measured { report, repository, .. } = measured;
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let first = measured.answers.first().filter(|_| !measured.without_texts);
    let text = first.map_or("a text".into(), |(at, ..)| measured.dataset.text(*at));
    let request = serde_json::json!({
        "texts": [cut(&text, EXAMPLE_COLUMNS)],
        "task": report.task,
        "route": "ROUTE_CASCADE",
    });
    let request = request.to_string();
    let ask = ["grpcurl", "-plaintext", "-d", &request, "localhost:50051"];
    let ask = [&ask[..], &["tandem.v1.PredictionService/Predict"]].concat();
    let of_task = ["evaluate", "others.tsv", "--models", repository, "--task", report.task];
    let routes = ["--route", "cascade", "--route", "deep"];
    let mut evaluate = words(&[&of_task[..], &routes].concat());
    evaluate.extend(measured.reading.iter().cloned());
    origin::next(&[
        (
            "Serve it. A start finds the calibration by its name.".to_owned(),
            command_line::of(words(&["serve", "--models", repository])),
        ),
        (
            "Ask it, with grpcurl.".to_owned(),
            origin::command(words(&ask).into_iter()),
        ),
        (
            "Measure it on other texts, which took no part.".to_owned(),
            command_line::of(evaluate),
        ),
    ])
}

fn made(measured: &Measured<'_>) -> Section {
    let report = measured.report;
    let [fast, deep] = report.temperatures.map(|temperature| number(temperature, 4));
    let facts = [
        ("measured at".to_owned(), report.measured_at.clone()),
        ("temperatures".to_owned(), format!("fast {fast}, deep {deep}")),
        (
            "weights of an escalated answer".to_owned(),
            if report.each_label {
                "the deep model's own answer".to_owned()
            } else {
                format!(
                    "fast {}, deep {}",
                    number(report.blend.fast, 4),
                    number(report.blend.deep, 4)
                )
            },
        ),
    ];
    let models = measured.models.into_iter().map(model_fact);
    let data = data_fact(&measured.dataset.facts);
    origin::section(&Origin {
        command: command_line::told(),
        seed: Some(report.seed),
        facts: models.chain(data).chain(facts).collect(),
    })
}
