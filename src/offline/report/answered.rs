//! The section that shows what withholding unsure answers buys: how many texts are answered, and how rightly.

use super::chart::{Axis, Chart, Layer};
use super::page::{Block, Section, Table};
use super::palette::Ink;
use super::words::percent;
use crate::offline::calibration::abstention::{Abstention, Answered};
use crate::offline::evaluation::interval::Interval;

/// The section.
pub fn section(points: &[Answered], in_force: Option<&Abstention>) -> Section {
    let mut section = Section::new("Answered and withheld").text(
        "An answer that is less sure than a threshold can be withheld: fewer texts are answered, and more of the answers are \
         right. \"At least\" is a certified bound for each line by itself.",
    );
    section = match in_force {
        Some(rule) => section.text(format!(
            "In force: answers less than {} sure are withheld; {} of the held-out texts are answered.",
            rule.min_confidence,
            percent(rule.coverage, 1)
        )),
        None => section.text("None is in force: no precision was asked for, and every text is answered."),
    };
    let from = in_force.map(|rule| rule.min_confidence);
    section
        .with(Block::Chart(chart(points, from)))
        .with(Block::Table(table(points, from)))
}

fn chart(points: &[Answered], from: Option<f32>) -> Chart {
    let band = |point: &Answered| [point.coverage, point.precision_low, point.precision];
    let line = |point: &Answered| [point.coverage, point.precision];
    let mut layers = vec![
        Layer::Band {
            ink: Ink::Main,
            points: points.iter().map(band).collect(),
        },
        Layer::Line {
            name: "right".to_owned(),
            ink: Ink::Main,
            points: points.iter().map(line).collect(),
        },
    ];
    let in_force = points.iter().filter(|point| from == Some(point.min_confidence));
    layers.extend(in_force.map(|point| Layer::Mark {
        name: format!("in force: {}", point.min_confidence),
        ink: Ink::Chosen,
        x: point.coverage,
        y: Interval {
            value: point.precision,
            low: point.precision_low,
            high: point.precision,
        },
    }));
    let told = |point: &Answered| {
        format!(
            "{} right with {} answered",
            percent(point.precision, 2),
            percent(point.coverage, 0)
        )
    };
    let ends: Vec<String> = points.first().into_iter().chain(points.last()).map(told).collect();
    Chart {
        name: "answered",
        title: "Right answers over texts answered".to_owned(),
        description: format!("{}. The band reaches down to the certified bound.", ends.join("; ")),
        x: Axis::share("texts answered"),
        y: Axis::share("right answers"),
        layers,
    }
}

fn table(points: &[Answered], from: Option<f32>) -> Table {
    let columns = ["answers from", "texts answered", "right", "at least", ""];
    let mut table = Table::new("Answered and withheld in figures", columns);
    for point in points {
        let here = from == Some(point.min_confidence);
        let cells = [
            format!("{:.4}", point.min_confidence),
            percent(point.coverage, 1),
            percent(point.precision, 2),
            // Down: no more than was certified.
            percent((point.precision_low * 1e4).floor() / 1e4, 2),
            if here { "in force".to_owned() } else { String::new() },
        ];
        if here {
            table.strong_row(cells);
        } else {
            table.row(cells);
        }
    }
    table
}
