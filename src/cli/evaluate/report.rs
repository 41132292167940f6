//! What was found, as a page: HTML or Markdown.

use super::lists::Lists;
use super::summary::{Summary, Told};
use crate::offline::evaluation::contest::{self, Contest};
use crate::offline::evaluation::interval::Interval;
use crate::offline::report::disagreements::{self, Disagreement};
use crate::offline::report::page::{Block, Page, Section, Table};
use crate::offline::report::words::{count, number, percent, points};
use crate::offline::report::{classes, confusion, data_card, origin, reliability};

/// The page. `command` is what was run; `most` bounds the list of probably wrong labels.
pub fn page(summary: &Summary<'_>, contest: &Contest, lists: &Lists<'_>, command: String, most: usize) -> Page {
    let names: Vec<&str> = summary.contenders.iter().map(|told| told.name).collect();
    let mut sections = vec![figures(summary), coverage(summary)];
    for (told, evaluation) in summary.contenders.iter().zip(&contest.evaluations) {
        let of = |mut section: Section| {
            if names.len() > 1 {
                section.title = format!("{}: {}", told.name, section.title);
            }
            section
        };
        sections.push(of(classes::section(lists.labels, &evaluation.classes)));
        if !summary.multi_label {
            let confused = confusion::section(lists.labels, &evaluation.classes, &evaluation.confusions);
            sections.push(of(confused));
        }
        sections.push(of(reliability::section(told.name, &evaluation.tally.reliability)));
    }
    if let Some(answers) = lists.answered.answers.last() {
        let doubted = contest::doubted(&lists.answered.texts, answers, most);
        sections.push(disagreements::section(
            doubted.into_iter().map(|at| disagreement(lists, at)).collect(),
        ));
    }
    sections.push(data_card::section(data_card::DataCard {
        facts: summary.data,
        labels: &lists.dataset.labels,
        parts: &[],
        notes: &lists.dataset.notes,
    }));
    let models = summary
        .contenders
        .iter()
        .flat_map(|told| told.models.iter().map(|model| (told.name.to_owned(), model.clone())));
    sections.push(origin::section(&origin::Origin {
        command,
        seed: Some(summary.seed),
        facts: models.collect(),
    }));
    Page {
        title: format!("evaluate: {} on {}", names.join(" and "), summary.data.file),
        summary: summary.findings.clone(),
        sections,
    }
}

fn figures(summary: &Summary<'_>) -> Section {
    let names = summary.contenders.iter().map(|told| told.name);
    let difference = summary.difference.as_ref();
    let mut columns: Vec<&str> = std::iter::once("").chain(names).collect();
    columns.extend(difference.map(|_| "second minus first"));
    let mut table = Table::new(
        format!("Figures of {} texts, with 95% intervals", count(summary.texts as u64)),
        columns,
    );
    let mut row = |name: &str, cell: &dyn Fn(&Told<'_>) -> String, apart: Option<String>| {
        let cells = std::iter::once(name.to_owned()).chain(summary.contenders.iter().map(cell));
        table.row(cells.chain(difference.map(|_| apart.unwrap_or_default())));
    };
    let share =
        |Interval { value, low, high }| format!("{} ({} to {})", percent(value, 2), percent(low, 1), percent(high, 1));
    let plain =
        |Interval { value, low, high }| format!("{} ({} to {})", number(value, 3), number(low, 3), number(high, 3));
    let apart = |Interval { value, low, high }| format!("{} ({} to {})", points(value), points(low), points(high));
    let signed = |figure: Interval| {
        let plus = if figure.value > 0.0 { "+" } else { "" };
        format!("{plus}{}", plain(figure))
    };
    let accuracy = if summary.multi_label { "exact match" } else { "accuracy" };
    row(
        accuracy,
        &|told| share(told.accuracy),
        difference.map(|difference| apart(difference.accuracy)),
    );
    if summary.multi_label {
        row("micro-F1", &|told| plain(told.micro_f1), None);
    }
    row(
        "macro-F1",
        &|told| plain(told.macro_f1),
        difference.map(|difference| signed(difference.macro_f1)),
    );
    row(
        "log loss",
        &|told| plain(told.log_loss),
        difference.map(|difference| signed(difference.log_loss)),
    );
    row("calibration error", &|told| plain(told.calibration_error), None);
    if summary.contenders.iter().any(|told| told.escalated.is_some()) {
        let escalated = |told: &Told<'_>| told.escalated.map_or(String::new(), |share| percent(share, 1));
        row("escalated", &escalated, None);
    }
    row("texts a second", &|told| count(told.texts_per_second as u64), None);
    row("µs a text", &|told| count(told.micros_a_text.round() as u64), None);
    let section = Section::new("How good it is").with(Block::Table(table));
    match difference {
        None => section,
        Some(difference) => section.text(format!(
            "They label {} texts differently: {} the first alone has right, {} the second alone.",
            count(difference.differing as u64),
            count(difference.first_right as u64),
            count(difference.second_right as u64)
        )),
    }
}

fn coverage(summary: &Summary<'_>) -> Section {
    let names: Vec<[String; 2]> = summary
        .contenders
        .iter()
        .map(|told| [format!("{}: covered", told.name), "from".to_owned()])
        .collect();
    let columns = std::iter::once("right answers").chain(names.iter().flatten().map(String::as_str));
    let mut table = Table::new("Texts that the surest answers cover", columns);
    for at in 0..summary.contenders[0].coverages.len() {
        let wanted = percent(summary.contenders[0].coverages[at].wanted, 1);
        let cells = summary.contenders.iter().flat_map(|told| {
            let coverage = told.coverages[at];
            let from = coverage
                .min_confidence
                .map_or_else(|| "–".to_owned(), |from| number(from, 4));
            [percent(coverage.covered, 1), from]
        });
        table.row(std::iter::once(wanted).chain(cells));
    }
    Section::new("If only sure answers are taken")
        .text("The share of texts whose answers are at least as sure as the confidence beside it, where that share of them is right.")
        .with(Block::Table(table))
}

fn disagreement(lists: &Lists<'_>, at: usize) -> Disagreement {
    let place = lists.answered.places[at];
    let answer = lists.answered.answers.last().map(|answers| &answers[at]);
    Disagreement {
        line: lists.dataset.examples[place].line,
        text: lists.dataset.text(place).into_owned(),
        labelled: lists.names(&lists.answered.texts[at].truth),
        said: answer.map_or(String::new(), |answer| lists.names(&answer.given)),
        confidence: answer.map_or(0.0, |answer| answer.confidence),
    }
}
