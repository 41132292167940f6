//! Report of `tandem calibrate`: a table for people. Its files are in [`super::calibration_files`].

use serde::Serialize;

use super::output::{self, complain, outln};
use super::terminal::{Cell, Painted, Style, Table, fit, folded, width, wrap};
use crate::offline::calibration::ROUNDS;
use crate::offline::calibration::cascade::{Calibrated, in_all};
use crate::offline::calibration::curve::{self, Point};
use crate::offline::evaluation::interval::Interval;
use crate::offline::report::quality_curve::{At, QualityCurve};
use crate::service::catalog::cascade_calibration::BlendWeights;

/// How many labels have their recall printed, and how many columns a label takes.
const MOST_LABELS: usize = 10;
const LABEL_COLUMNS: usize = 24;
/// If the interval of the accuracy is wider than this, end to end, a warning says so.
const WIDE: f64 = 0.02;

/// Everything that was found. Its fields are also those of the JSON.
#[derive(Serialize)]
pub struct Report<'a> {
    pub task: &'a str,
    /// The labelled file's name, without its folder.
    pub file: String,
    /// When it was measured, in UTC.
    pub measured_at: String,
    /// The seed of the split into halves and of the intervals.
    pub seed: u64,
    /// The time of one text in the fast and in the deep model, on one core of this machine, in microseconds, by the
    /// rounds.
    pub micros_a_text: [Interval; 2],
    /// The labels, in the order of each point's `recall`.
    pub labels: &'a [String],
    /// How an escalated answer is blended of both models' answers.
    pub blend: BlendWeights,
    /// A warning about figures that should not be trusted blindly.
    pub warning: Option<String>,
    /// The temperatures of the fast and the deep model.
    pub temperatures: [f64; 2],
    /// Whether the deep model's answers stand for labels: accuracy is then agreement with it.
    pub against_deep: bool,
    /// Whether the models give each label by itself: accuracy is then the share of texts of which all labels are right.
    pub each_label: bool,
    /// What was fitted, chosen, measured and certified.
    #[serde(flatten)]
    pub calibrated: Calibrated,
}

impl Report<'_> {
    /// Prints the report for people.
    pub fn print(&self) {
        let [fast, deep] = self.micros_a_text;
        let [fast_temperature, deep_temperature] = self.temperatures;
        for paragraph in [
            format!(
                "task {}: fitted on {} texts of {}, measured on {} others (seed {})",
                self.task, self.calibrated.fitted_on, self.file, self.calibrated.measured_on, self.seed
            ),
            format!(
                "a text takes {} µs (fast) and {} µs (deep) here; cost = (fast for all + deep for the escalated) / deep for all; \
                 what was timed is the middle of {ROUNDS} rounds (the least to the most)",
                with_interval(fast, 1.0, 1),
                with_interval(deep, 1.0, 1)
            ),
            format!("temperatures: fast {fast_temperature:.4}, deep {deep_temperature:.4}"),
            self.escalated(),
        ] {
            for line in wrap(&paragraph, width()) {
                output::line(&line);
            }
        }
        let mut table = Painted::default();
        table.end_line();
        table.append(&self.table().painted());
        table.end_line();
        output::painted(&table);
        let Point {
            accuracy,
            above_deep,
            macro_f1,
            ece,
            cost,
            ..
        } = self.calibrated.chosen;
        for line in [
            format!(
                "chosen: {} {}, minus deep's {}",
                self.quality(),
                with_interval(accuracy, 100.0, 2),
                with_interval(above_deep, 100.0, 2)
            ),
            format!(
                "        macro-F1 {}, ECE {}",
                with_interval(macro_f1, 1.0, 4),
                with_interval(ece, 1.0, 4)
            ),
            format!("        cost {}", with_interval(cost, 1.0, 3)),
        ] {
            outln!("{line}");
        }
        for sentence in self.calibrated.certified() {
            for line in wrap(&sentence, width()) {
                output::line(&line);
            }
        }
        if self.calibrated.abstention.is_some() {
            output::line("");
            output::painted(&self.answered().painted());
        }
        output::line("");
        output::painted(&self.recalls());
        for finding in &self.calibrated.findings {
            output::listed(finding);
        }
        if let Some(warning) = &self.warning {
            complain(&format!("warning: {warning}"));
        }
    }

    /// What becomes of an escalated text.
    fn escalated(&self) -> String {
        let BlendWeights { fast, deep, bias } = &self.blend;
        if self.each_label {
            return "each label is given by itself: a text is as sure as its least sure label, and an escalated one gets the deep \
                    model's own answer"
                .to_owned();
        }
        let bias: Vec<String> = (bias.iter())
            .map(|(label, bias)| format!("{label} {bias:+.4}"))
            .collect();
        let bias = folded(bias.iter().map(String::as_str), width());
        format!("escalated: softmax({fast:.4} × ln p_fast + {deep:.4} × ln p_deep + bias); bias: {bias}")
    }

    /// What the share of right answers is called.
    fn quality(&self) -> &'static str {
        match (self.against_deep, self.each_label) {
            (true, _) => "agreement",
            (false, true) => "exact match",
            (false, false) => "accuracy",
        }
    }

    /// The curve, in the columns that fit a line of 80. The report as JSON has every interval.
    fn table(&self) -> Table {
        let header = ["", "threshold", "escalated", "cost", self.quality(), "95%", "macro-F1"];
        let mut table = Table::new(header).right(1..header.len());
        let last = self.calibrated.curve.len().saturating_sub(1);
        let curve = self.calibrated.curve.iter().enumerate().map(|(at, point)| {
            let name = match at {
                0 => "fast alone",
                at if at == last => "all escalated",
                _ => "",
            };
            (name, point)
        });
        for (name, point) in curve.chain([
            ("deep alone", &self.calibrated.deep_alone),
            ("chosen", &self.calibrated.chosen),
        ]) {
            let Interval { value, low, high } = point.accuracy;
            let threshold = point.min_confidence.map(|value| format!("{value:.4}"));
            let style = if name == "chosen" { Style::Bold } else { Style::Plain };
            let cells = [
                name.to_owned(),
                threshold.unwrap_or_default(),
                format!("{:.1}%", point.escalated * 100.0),
                format!("{:.3}", point.cost.value),
                format!("{:.2}", value * 100.0),
                format!("{:.1} to {:.1}", low * 100.0, high * 100.0),
                format!("{:.4}", point.macro_f1.value),
            ];
            table.row(cells.map(|cell| Cell::styled(cell, style)));
        }
        table
    }

    /// What is answered, and how rightly, if less sure answers are withheld.
    fn answered(&self) -> Table {
        let in_force = self.calibrated.abstention.as_ref().map(|rule| rule.min_confidence);
        let header = ["answers from", "answered", "precision", "at least", ""];
        let mut table = Table::new(header).right(0..4);
        for point in &self.calibrated.answered {
            let here = in_force == Some(point.min_confidence);
            let style = if here { Style::Bold } else { Style::Plain };
            let cells = [
                format!("{:.4}", point.min_confidence),
                format!("{:.1}%", point.coverage * 100.0),
                format!("{:.2}", point.precision * 100.0),
                format!("{:.2}", down(point.precision_low) * 100.0),
                if here { "in force".to_owned() } else { String::new() },
            ];
            table.row(cells.map(|cell| Cell::styled(cell, style)));
        }
        table
    }

    /// The recall of each label, the lowest first. Long lists are cut.
    fn recalls(&self) -> Painted {
        let header = ["recall of", "texts", "chosen", "95%", "fast alone", "deep alone"];
        let mut table = Table::new(header).right(1..header.len());
        let fast_alone = self.calibrated.curve.first().unwrap_or(&self.calibrated.chosen);
        let chosen = |label: usize| self.calibrated.chosen.recall.get(label).copied().flatten();
        let mut labels: Vec<usize> = (0..self.labels.len())
            .filter(|&label| chosen(label).is_some())
            .collect();
        let all = labels.len();
        if all > MOST_LABELS {
            let value = |label: usize| chosen(label).map_or(0.0, |recall| recall.value);
            labels.sort_by(|&a, &b| value(a).total_cmp(&value(b)));
            labels.truncate(MOST_LABELS);
        }
        for label in labels {
            let Some(Interval { value, low, high }) = chosen(label) else {
                continue;
            };
            let of = |point: &Point| {
                let recall = point.recall.get(label).copied().flatten();
                recall.map_or(String::new(), |recall| format!("{:.3}", recall.value))
            };
            table.row([
                fit(&self.labels[label], LABEL_COLUMNS),
                self.calibrated.texts_of_labels[label].to_string(),
                format!("{value:.3}"),
                format!("{low:.3} to {high:.3}"),
                of(fast_alone),
                of(&self.calibrated.deep_alone),
            ]);
        }
        let mut painted = table.painted();
        if all > MOST_LABELS {
            painted.push_line(&format!("the lowest of {all}; all of them are in the .json"));
        }
        painted.end_line();
        painted
    }

    /// The curve with its points, by the accuracy.
    pub fn quality_curve(&self) -> QualityCurve<'_> {
        QualityCurve {
            task: self.task,
            quality: self.quality(),
            curve: self.calibrated.curve.iter().map(At::accuracy).collect(),
            deep: Some(At::accuracy(&self.calibrated.deep_alone)),
            chosen: Some(At::accuracy(&self.calibrated.chosen)),
            target: None,
            certificates: self.calibrated.certified(),
        }
    }
}

/// A figure with its interval, for a cell of a table.
fn with_interval(figure: Interval, scale: f64, digits: usize) -> String {
    let Interval { value, low, high } = figure;
    format!(
        "{:.digits$} ({:.digits$} to {:.digits$})",
        value * scale,
        low * scale,
        high * scale
    )
}

/// No more than was certified, in as many digits as other figures.
pub fn down(share: f64) -> f64 {
    (share * 1e5 + 1e-6).floor() / 1e5
}

/// A warning about figures that should not be trusted blindly; `None` if there is nothing to warn of.
/// `quality` is what the share of right answers is called; `share` is the part of all texts that figures are measured on.
pub fn warning(calibrated: &Calibrated, labels: &[String], quality: &str, share: f64) -> Option<String> {
    let (chosen, deep, texts) = (
        &calibrated.chosen,
        &calibrated.deep_alone,
        calibrated.texts_of_labels.as_slice(),
    );
    let Interval { low, high, .. } = chosen.accuracy;
    let measured_on = calibrated.measured_on;
    let few = (high - low > WIDE).then(|| {
        let wanted = in_all(measured_on as f64 * ((high - low) / WIDE).powi(2), share);
        format!(
            "few texts to measure on: the {quality} at the chosen point is between {low:.3} and {high:.3}, and the point may be \
             chosen by chance; about {wanted} texts in all make that two points"
        )
    });
    let lost = curve::loser(chosen, deep, texts).map(|(label, here, alone)| {
        format!(
            "the recall of {} is {here:.3} at the chosen point, {alone:.3} with the deep model alone: if that label matters, take \
             a point with a higher one (`tandem calibrate --min-confidence`)",
            labels[label]
        )
    });
    let all: Vec<String> = [few, lost].into_iter().flatten().collect();
    (!all.is_empty()).then(|| all.join("; "))
}
