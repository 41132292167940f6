//! The section that shows whether confidences can be believed: of the answers given with 80%, are 80% right?
//!
//! The diagram is that of DeGroot and Fienberg (1983), The comparison and evaluation of forecasters.

use super::chart::{Axis, Chart, Layer};
use super::page::{Block, Section};
use super::palette::Ink;
use super::words::{counted, number, percent};

/// The fewest answers that a bin needs for its gap to be told.
const LEAST_ANSWERS: u64 = 30;

/// Answers whose confidence lies between two bounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bin {
    /// The bounds of the confidence, as shares.
    pub from: f64,
    pub to: f64,
    /// The mean confidence of the answers in it.
    pub confidence: f64,
    /// The share of them that is right.
    pub accuracy: f64,
    /// How many there are.
    pub count: u64,
}

/// Puts answers into bins of equal width. Each answer is its confidence, and whether it is right.
pub fn bins(answers: impl Iterator<Item = (f64, bool)>, number: usize) -> Vec<Bin> {
    let mut sums = vec![(0_u64, 0.0, 0_u64); number];
    for (confidence, right) in answers {
        let place = ((confidence * number as f64) as usize).min(number - 1);
        let sum = &mut sums[place];
        *sum = (sum.0 + 1, sum.1 + confidence, sum.2 + u64::from(right));
    }
    let bin = |(at, (count, confidence, right)): (usize, (u64, f64, u64))| Bin {
        from: at as f64 / number as f64,
        to: (at + 1) as f64 / number as f64,
        confidence: confidence / count as f64,
        accuracy: right as f64 / count as f64,
        count,
    };
    sums.into_iter()
        .enumerate()
        .map(bin)
        .filter(|bin| bin.count > 0)
        .collect()
}

/// The expected calibration error: the mean gap between confidence and accuracy.
pub fn error(bins: &[Bin]) -> f64 {
    let all: u64 = bins.iter().map(|bin| bin.count).sum();
    let gap = |bin: &Bin| (bin.confidence - bin.accuracy).abs() * bin.count as f64;
    bins.iter().map(gap).sum::<f64>() / all.max(1) as f64
}

/// The section. `what` is who answered: `the cascade at the chosen point`.
pub fn section(what: &str, bins: &[Bin]) -> Section {
    let all: u64 = bins.iter().map(|bin| bin.count).sum();
    let share = |bin: &Bin| [bin.from, bin.to, bin.count as f64 / all.max(1) as f64];
    let lowest = bins.iter().map(|bin| bin.from).fold(1.0, f64::min);
    let layers = vec![
        Layer::Bars {
            name: "share of the answers".to_owned(),
            ink: Ink::Soft,
            bars: bins.iter().map(share).collect(),
        },
        Layer::Line {
            name: "as it should be".to_owned(),
            ink: Ink::Aim,
            points: vec![[lowest, lowest], [1.0, 1.0]],
        },
        Layer::Line {
            name: "as it is".to_owned(),
            ink: Ink::Main,
            points: bins.iter().map(|bin| [bin.confidence, bin.accuracy]).collect(),
        },
        Layer::Dots {
            name: String::new(),
            ink: Ink::Main,
            points: bins.iter().map(|bin| [bin.confidence, bin.accuracy]).collect(),
        },
    ];
    let chart = Chart {
        name: "reliability",
        title: format!("Reliability of {what}"),
        description: description(bins, all),
        x: Axis::share("confidence"),
        y: Axis::share("share that is right").including([0.0, 1.0]),
        layers,
    };
    Section::new("Can its confidence be believed?").with(Block::Chart(chart))
}

fn description(bins: &[Bin], all: u64) -> String {
    let gap = |bin: &Bin| bin.confidence - bin.accuracy;
    let worst = bins
        .iter()
        .filter(|bin| bin.count >= LEAST_ANSWERS)
        .max_by(|a, b| gap(a).abs().total_cmp(&gap(b).abs()));
    let worst = worst.map_or(String::new(), |bin| {
        format!(
            " The largest gap: {} say {} on average, {} of them are right.",
            counted(bin.count, "answer"),
            percent(bin.confidence, 1),
            percent(bin.accuracy, 1)
        )
    });
    format!(
        "The mean gap (expected calibration error, {} of equal width) over {} is {}.{worst} Above the dashed \
         line it is right more often than it says, below it less often.",
        counted(bins.len() as u64, "bin"),
        counted(all, "answer"),
        number(error(bins), 4)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_fall_into_bins_by_their_confidence() {
        let answers = [(0.95, true), (0.91, false), (0.5, true), (1.0, true), (0.55, true)];
        let found = bins(answers.into_iter(), 10);
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].from, found[0].to, found[0].count), (0.5, 0.6, 2));
        assert_eq!((found[1].count, found[1].accuracy), (3, 2.0 / 3.0));
        let expected = ((0.525_f64 - 1.0).abs() * 2.0 + (2.86_f64 / 3.0 - 2.0 / 3.0).abs() * 3.0) / 5.0;
        assert!((error(&found) - expected).abs() < 1e-12);
        assert_eq!(error(&[]), 0.0);
    }
}
