//! The section that shows what quality each cost buys: the curve of a cascade, with its certificate and the point that
//! was chosen.

use super::chart::{Axis, Chart, Layer};
use super::page::{Block, Section, Table};
use super::palette::Ink;
use super::words::{number, percent};
use crate::offline::calibration::curve::Point;
use crate::offline::evaluation::interval::Interval;

/// A cascade at its thresholds.
pub struct QualityCurve<'a> {
    /// The task, for the chart's title.
    pub task: &'a str,
    /// What is measured, a share: `accuracy`, `macro-F1`, `agreement with the deep model`.
    pub quality: &'a str,
    /// The curve, cheapest first; it begins with fast alone and ends with everything escalated.
    pub curve: Vec<At>,
    /// The deep model alone.
    pub deep: Option<At>,
    /// The point that was chosen.
    pub chosen: Option<At>,
    /// What was asked for, if it was a quality: its name and its level.
    pub target: Option<(String, f64)>,
    /// What is certified of the chosen point, and what could not be, in a sentence each.
    pub certificates: Vec<String>,
}

/// One threshold with what it costs and brings.
#[derive(Clone, Copy, Debug)]
pub struct At {
    /// Fast answers below this confidence are escalated; `None` for the deep model alone.
    pub threshold: Option<f32>,
    /// The share of texts that the deep model answers.
    pub escalated: f64,
    /// The cost of a text, where the deep model alone costs 1.
    pub cost: f64,
    /// The quality with its 95% interval.
    pub quality: Interval,
}

impl At {
    /// A point of a calibration, by its accuracy.
    pub fn accuracy(point: &Point) -> Self {
        Self::of(point, point.accuracy)
    }

    /// A point of a calibration, by any of its figures.
    pub fn of(point: &Point, quality: Interval) -> Self {
        Self {
            threshold: point.min_confidence,
            escalated: point.escalated,
            cost: point.cost.value,
            quality,
        }
    }
}

/// The chart alone.
pub fn chart(data: &QualityCurve<'_>) -> Chart {
    let band = |at: &At| [at.cost, at.quality.low, at.quality.high];
    let line = |at: &At| [at.cost, at.quality.value];
    let mark = |name: &str, ink: Ink, at: &At| Layer::Mark {
        name: name.to_owned(),
        ink,
        x: at.cost,
        y: at.quality,
    };
    let mut layers = vec![
        Layer::Band {
            ink: Ink::Main,
            points: data.curve.iter().map(band).collect(),
        },
        Layer::Line {
            name: "cascade".to_owned(),
            ink: Ink::Main,
            points: data.curve.iter().map(line).collect(),
        },
    ];
    layers.extend(data.target.iter().map(|(name, at)| Layer::Level {
        name: name.clone(),
        ink: Ink::Aim,
        at: *at,
    }));
    layers.extend(data.deep.iter().map(|at| mark("deep alone", Ink::Other, at)));
    layers.extend(data.curve.first().map(|at| mark("fast alone", Ink::Main, at)));
    layers.extend(data.chosen.iter().map(|at| {
        let name = at
            .threshold
            .map_or("chosen".to_owned(), |at| format!("chosen: {at:.4}"));
        mark(&name, Ink::Chosen, at)
    }));
    Chart {
        name: "",
        title: format!("{}: {} over cost", data.task, data.quality),
        description: description(data),
        x: Axis::number("cost (the deep model for every text: 1)").including([1.0]),
        y: Axis::share(data.quality),
        layers,
    }
}

/// The section: how to read the curve, the curve, its certificate, its figures.
pub fn section(data: &QualityCurve<'_>) -> Section {
    let mut section = Section::new("Quality over cost").with(Block::Chart(chart(data)));
    for certificate in &data.certificates {
        section = section.text(certificate.clone());
    }
    section.with(Block::Table(table(data)))
}

fn description(data: &QualityCurve<'_>) -> String {
    let said = |name: &str, at: &At| {
        format!(
            "{name}: {} at cost {} ({} escalated)",
            percent(at.quality.value, 2),
            number(at.cost, 2),
            percent(at.escalated, 0)
        )
    };
    let named = [
        ("Fast alone", data.curve.first()),
        ("chosen", data.chosen.as_ref()),
        ("deep alone", data.deep.as_ref()),
    ];
    let known = named.iter().filter_map(|(name, at)| Some(said(name, (*at)?)));
    format!(
        "{}. The band and the upright lines are 95% intervals.",
        known.collect::<Vec<_>>().join("; ")
    )
}

fn table(data: &QualityCurve<'_>) -> Table {
    let columns = ["", data.quality, "95% interval", "cost", "escalated", "threshold"];
    let mut table = Table::new("The curve in figures", columns);
    let last = data.curve.len().saturating_sub(1);
    let curve = data.curve.iter().enumerate().map(|(at, point)| match at {
        0 => ("fast alone", point),
        at if at == last => ("all escalated", point),
        _ => ("", point),
    });
    let others = [("deep alone", data.deep.as_ref()), ("chosen", data.chosen.as_ref())];
    let others = others.iter().filter_map(|(name, at)| Some((*name, (*at)?)));
    for (name, at) in curve.chain(others) {
        let Interval { value, low, high } = at.quality;
        let cells = [
            name.to_owned(),
            percent(value, 2),
            format!("{} to {}", number(low * 100.0, 1), percent(high, 1)),
            number(at.cost, 3),
            percent(at.escalated, 1),
            at.threshold.map_or(String::new(), |at| format!("{at:.4}")),
        ];
        if name == "chosen" {
            table.strong_row(cells);
        } else {
            table.row(cells);
        }
    }
    table
}
