//! The report of a distillation: the cascade first, then the student.

use super::cascade::Cascade;
use crate::cli::train::report as of_training;
use crate::cli::train::told::Told;
use crate::offline::distillation::student::Round;
use crate::offline::report::page::{Block, Page, Section, Table};
use crate::offline::report::quality_curve::{At, QualityCurve, section as curve_section};
use crate::offline::report::words::percent;

/// The page.
pub fn page(told: &Told<'_>, cascade: &Cascade<'_>, rounds: &[Round]) -> Page {
    let mut page = of_training::page(told);
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
