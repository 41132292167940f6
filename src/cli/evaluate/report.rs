//! What was found, as a page: HTML or Markdown.

use super::lists::Lists;
use super::summary::{Summary, Told};
use crate::cli::command_line;
use crate::cli::train::report::data_fact;
use crate::cores;
use crate::offline::evaluation::contest::{self, Contest};
use crate::offline::evaluation::interval::Interval;
use crate::offline::report::cost::Way;
use crate::offline::report::disagreements::{self, Disagreement, LabelledBy};
use crate::offline::report::page::{Block, Page, Section, Table};
use crate::offline::report::words::{count, counted, number, percent, points};
use crate::offline::report::{classes, confusion, cost, data_card, origin, reliability};
use crate::offline::timing::OneByOne;

/// What the page tells besides what was found.
pub struct Beside {
    /// Bounds the list of probably wrong labels.
    pub most: usize,
    /// The times of single texts, by contender.
    pub one_by_one: Vec<OneByOne>,
    /// What to do next: reasons, each with its command.
    pub next: Vec<(String, String)>,
}

/// The page.
pub fn page(summary: &Summary<'_>, contest: &Contest, lists: &Lists<'_>, beside: &Beside) -> Page {
    let names: Vec<&str> = summary.contenders.iter().map(|told| told.name).collect();
    let mut sections = vec![figures(summary), coverage(summary), costs(summary, &beside.one_by_one)];
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
        let doubted = contest::doubted(&lists.answered.texts, answers, beside.most);
        sections.push(disagreements::section(
            doubted.into_iter().map(|at| disagreement(lists, at)).collect(),
            LabelledBy::People,
        ));
    }
    sections.push(data_card::section(data_card::DataCard {
        facts: summary.data,
        labels: &lists.dataset.labels,
        parts: &[],
        notes: &lists.dataset.notes,
    }));
    sections.push(origin::next(&beside.next));
    sections.push(origin::section(&origin::Origin {
        command: command_line::told(),
        seed: Some(summary.seed),
        facts: facts(summary),
    }));
    Page {
        title: format!("evaluate: {} on {}", names.join(" and "), summary.data.file),
        summary: summary.findings.clone(),
        sections,
    }
}

/// The models that took part, and the file, with their fingerprints.
fn facts(summary: &Summary<'_>) -> Vec<(String, String)> {
    let of = |told: &Told<'_>| -> Vec<(String, String)> {
        let pairs = told.models.iter().zip(&told.fingerprints);
        pairs
            .map(|(model, sum)| (format!("fingerprint of {model}"), sum.clone()))
            .collect()
    };
    let mut facts: Vec<(String, String)> = Vec::new();
    for fact in summary.contenders.iter().flat_map(of).chain(data_fact(summary.data)) {
        if !facts.contains(&fact) {
            facts.push(fact);
        }
    }
    facts
}

/// What the answers cost.
fn costs(summary: &Summary<'_>, one_by_one: &[OneByOne]) -> Section {
    let way = |(told, times): (&Told<'_>, &OneByOne)| Way {
        name: told.name.to_owned(),
        core_seconds: told.core_micros_a_text.map(|micros| micros / 1e6),
        texts_a_second: Some(told.texts_per_second),
        p99: times.p99(),
        chosen: false,
    };
    let ways: Vec<Way> = summary.contenders.iter().zip(one_by_one).map(way).collect();
    let machine = if summary.by_server {
        "a server, the way there and back included".to_owned()
    } else {
        format!("this machine with its {}", counted(cores::usable() as u64, "core"))
    };
    let requests = format!(
        "{machine}, by requests of up to {}, one after the other; p99 by requests of one text",
        counted(summary.texts_a_request as u64, "text")
    );
    cost::section(&requests, &ways)
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
        text: lists.text(place),
        labelled: lists.answered.texts[at].truth.names(lists.dataset),
        said: answer.map_or(String::new(), |answer| answer.given.names(lists.dataset)),
        confidence: answer.map_or(0.0, |answer| answer.confidence),
    }
}
