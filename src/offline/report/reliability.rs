//! The section that shows whether confidences can be believed: of the answers given with 80%, are 80% right?
//!
//! The diagram is that of DeGroot and Fienberg (1983), The comparison and evaluation of forecasters.

use super::chart::{Axis, Chart, Layer};
use super::page::{Block, Section};
use super::palette::Ink;
use super::words::{count, number, percent};
use crate::offline::evaluation::tally::{Bin, Reliability};

/// The fewest answers that a bin needs for its gap to be told.
const LEAST_ANSWERS: f64 = 30.0;

/// The section. `what` is who answered: `the cascade at the chosen point`.
pub fn section(what: &str, reliability: &Reliability) -> Section {
    let all: f64 = reliability.bins.iter().map(|bin| bin.texts).sum();
    let width = 1.0 / reliability.bins.len() as f64;
    let used = || reliability.bins.iter().enumerate().filter(|(_, bin)| bin.texts > 0.0);
    let bar = |(at, bin): (usize, &Bin)| [at as f64 * width, (at + 1) as f64 * width, bin.texts / all];
    let points: Vec<[f64; 2]> = used().map(|(_, bin)| [said(bin), was(bin)]).collect();
    let lowest = used().next().map_or(0.0, |(at, _)| at as f64 * width);
    let layers = vec![
        Layer::Bars {
            name: "share of the answers".to_owned(),
            ink: Ink::Soft,
            bars: used().map(bar).collect(),
        },
        Layer::Line {
            name: "as it should be".to_owned(),
            ink: Ink::Aim,
            points: vec![[lowest, lowest], [1.0, 1.0]],
        },
        Layer::Line {
            name: "as it is".to_owned(),
            ink: Ink::Main,
            points: points.clone(),
        },
        Layer::Dots {
            name: String::new(),
            ink: Ink::Main,
            points,
        },
    ];
    let chart = Chart {
        name: "reliability",
        title: format!("Reliability of {what}"),
        description: description(reliability, all),
        x: Axis::share("confidence"),
        y: Axis::share("share that is right").including([0.0, 1.0]),
        layers,
    };
    Section::new("Can its confidence be believed?").with(Block::Chart(chart))
}

/// The mean confidence of the answers in a bin.
fn said(bin: &Bin) -> f64 {
    bin.confidence / bin.texts
}

/// The share of the answers in a bin that is right.
fn was(bin: &Bin) -> f64 {
    bin.right / bin.texts
}

fn description(reliability: &Reliability, all: f64) -> String {
    let gap = |bin: &&Bin| (said(bin) - was(bin)).abs();
    let many = reliability.bins.iter().filter(|bin| bin.texts >= LEAST_ANSWERS);
    let worst = many.max_by(|a, b| gap(a).total_cmp(&gap(b)));
    let worst = worst.map_or(String::new(), |bin| {
        format!(
            " The largest gap: {} answers say {} on average, {} of them are right.",
            count(bin.texts.round() as u64),
            percent(said(bin), 1),
            percent(was(bin), 1)
        )
    });
    format!(
        "The mean gap between confidence and share of right answers (expected calibration error, {} bins) is {} over {} \
         answers.{worst} Above the dashed line it is right more often than it says, below it less often.",
        reliability.bins.len(),
        number(reliability.expected_error(), 4),
        count(all.round() as u64),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_gap_that_is_no_chance_is_told() {
        let mut reliability = Reliability::default();
        for at in 0..100 {
            reliability.add(0.9, at < 80, 1.0);
            reliability.add(0.6, at < 58, 1.0);
        }
        reliability.add(0.3, true, 1.0);
        let told = description(&reliability, 201.0);
        assert!(
            told.contains("100 answers say 90.0% on average, 80.0% of them are right"),
            "{told}"
        );
        let Block::Chart(chart) = &section("it", &reliability).blocks[0] else {
            panic!("a chart");
        };
        let Layer::Bars { bars, .. } = &chart.layers[0] else {
            panic!("bars");
        };
        assert_eq!(bars.len(), 3, "empty bins are not drawn");
    }
}
