//! The report of a distillation: the cascade first, then the student.

use super::cascade::{Cascade, Subject};
use crate::cli::train::report::{self as of_training, Around};
use crate::cli::train::told::Told;
use crate::cli::{calibration_page, command_line, costs};
use crate::model::loading::FastPath;
use crate::offline::distillation::student::Round;
use crate::offline::report::disagreements::LabelledBy;
use crate::offline::report::origin;
use crate::offline::report::page::{Block, Page, Section, Table};
use crate::offline::report::quality_curve::{At, QualityCurve, section as curve_section};
use crate::offline::report::words::percent;

const MULTI_LABEL: &str = "--multi-label";

/// The page.
pub fn page(told: &Told<'_>, subject: &Subject<'_>, cascade: &Cascade<'_>, rounds: &[Round]) -> Page {
    let models = [subject.fast, subject.deep];
    let timings = models.map(|model| costs::measure(model, told.dataset, FastPath::default()));
    let gold = subject.gold.and_then(|gold| of_training::data_fact(&gold.facts));
    let mut page = of_training::page(
        told,
        Around {
            costs: Some(calibration_page::costs(
                &cascade.report,
                timings.each_ref().map(Option::as_ref),
            )),
            origins: models.into_iter().map(of_training::model_fact).chain(gold).collect(),
            next: next(told),
            labelled_by: LabelledBy::DeepModel,
        },
    );
    let calibrated = &cascade.report.calibrated;
    page.title = format!("distill: a cascade for {}", told.place.task);
    let mut summary = calibrated.certified();
    summary.extend(cascade.findings.iter().cloned());
    summary.extend(page.summary);
    page.summary = summary;
    let curve = curve_section(&QualityCurve {
        task: &told.place.task,
        quality: "agreement with the deep model",
        curve: calibrated.curve.iter().map(At::accuracy).collect(),
        deep: Some(At::accuracy(&calibrated.deep_alone)),
        chosen: Some(At::accuracy(&calibrated.chosen)),
        target: None,
        certificates: calibrated.certified(),
    });
    let mut first = vec![curve];
    if let Some(labels) = &cascade.by_labels {
        let mut table = Table::new("Accuracy by people's labels", ["who answers", "right"]);
        table.row(["the fast model alone".to_owned(), percent(labels.fast, 2)]);
        table.strong_row(["the cascade".to_owned(), percent(labels.cascade, 2)]);
        table.row(["the deep model alone".to_owned(), percent(labels.deep, 2)]);
        first.push(
            Section::new("By people's labels")
                .text(labels.sentence())
                .with(Block::Table(table)),
        );
    }
    let lines = round_lines(rounds);
    if !lines.is_empty() {
        first.push(lines.into_iter().fold(Section::new("Rounds"), Section::text));
    }
    first.append(&mut page.sections);
    page.sections = first;
    page
}

/// The page where no cascade can be had: the student, and why.
pub fn page_of_student(told: &Told<'_>, subject: &Subject<'_>, why: &str, rounds: &[Round]) -> Page {
    let around = Around {
        origins: [subject.fast, subject.deep].map(of_training::model_fact).into(),
        labelled_by: LabelledBy::DeepModel,
        next: next_without(told),
        ..Around::of(told, subject.fast)
    };
    let mut page = of_training::page(told, around);
    page.title = format!("distill: no cascade for {}", told.place.task);
    page.summary.insert(0, why.to_owned());
    let lines = round_lines(rounds);
    if !lines.is_empty() {
        page.sections
            .insert(0, lines.into_iter().fold(Section::new("Rounds"), Section::text));
    }
    page
}

fn next(told: &Told<'_>) -> Section {
    let place = told.place;
    let models = place.repository.display().to_string();
    let on_labels = |words: &[&str]| {
        let all = [words, &["--models", &models, "--task", &place.task]].concat();
        let all = all.into_iter().map(str::to_owned);
        // The files of texts without labels may be read without it.
        let several = (!told.is_single_label()).then(|| MULTI_LABEL.to_owned());
        let reading = told.reading.iter().filter(|word| *word != MULTI_LABEL).cloned();
        command_line::of(all.chain(reading).chain(several).collect())
    };
    let routes = ["evaluate", "LABELLED.tsv", "--route", "cascade", "--route", "deep"];
    origin::next(&[
        (
            "Serve both. A start finds the calibration by its name.".to_owned(),
            told.serve(),
        ),
        ("Ask them, with grpcurl.".to_owned(), told.ask()),
        (
            "Measure the cascade by people's labels, beside the deep model alone.".to_owned(),
            on_labels(&routes),
        ),
        (
            "Calibrate it by labels, once there are some.".to_owned(),
            on_labels(&["calibrate", "LABELLED.tsv"]),
        ),
    ])
}

/// What to do where no cascade can be had. The route of a request can't be the cascade then.
fn next_without(told: &Told<'_>) -> Section {
    origin::next(&[
        (
            "Distil again with more texts, or with a target that asks for less, such as --target 'agreement>=0.95' or --target 'cost<=0.5'.".to_owned(),
            command_line::of(std::env::args().skip(1).collect()),
        ),
        ("Serve both models, each by its own route.".to_owned(), told.serve()),
    ])
}

/// What each round gave; nothing for a single one.
pub fn round_lines(rounds: &[Round]) -> Vec<String> {
    let line = |(at, round): (usize, &Round)| {
        format!(
            "round {}: agrees alone on {:.2}%; with {:.1}% escalated on {:.2}%",
            at + 1,
            round.agreement * 100.0,
            round.escalated * 100.0,
            round.cascade_agreement * 100.0
        )
    };
    if rounds.len() < 2 {
        return Vec::new();
    }
    rounds.iter().enumerate().map(line).collect()
}
