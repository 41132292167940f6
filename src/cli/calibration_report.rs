//! What `tandem calibrate` found: a table for people, and the files: the calibration, the report as JSON, the plot.

use std::path::Path;

use serde::Serialize;

use super::complain;
use super::output::{self, outln};
use super::terminal::{Cell, Painted, Style, Table, folded, width, wrap};
use crate::calibration::curve::{Interval, Point};
use crate::calibration::plot::{self, Plot};
use crate::model::repository::VerifiedModel;
use crate::service::calibration::{
    BlendWeights, CalibratedModel, Calibration, CurvePoint, DataFacts, EscalationRange, SCHEMA_VERSION,
};

/// All that was found; also the JSON.
#[derive(Serialize)]
pub struct Report<'a> {
    /// The task.
    pub task: &'a str,
    /// The labelled file's name.
    pub file: String,
    /// What halves and intervals were drawn with.
    pub seed: u64,
    /// How many texts were fitted on.
    pub fitted_on: usize,
    /// How many others were measured on.
    pub measured_on: usize,
    /// What fast and deep take for a text on this machine, on one core.
    pub micros_a_text: [f64; 2],
    /// The temperatures of fast and deep.
    pub temperatures: [f64; 2],
    /// How an escalated answer is made of both.
    pub blend: BlendWeights,
    /// What should be known before the figures are believed.
    pub warning: Option<String>,
    /// The chosen point.
    pub chosen: Point,
    /// The deep model alone.
    pub deep_alone: Point,
    /// The curve, from fast alone on.
    pub curve: Vec<Point>,
}

impl Report<'_> {
    /// Prints it for people.
    pub fn print(&self) {
        let [fast, deep] = self.micros_a_text;
        let [fast_temperature, deep_temperature] = self.temperatures;
        let bias = self.blend.bias.iter();
        let bias: Vec<String> = bias.map(|(label, bias)| format!("{label} {bias:+.4}")).collect();
        for paragraph in [
            format!(
                "task {}: fitted on {} texts of {}, measured on {} others (seed {})",
                self.task, self.fitted_on, self.file, self.measured_on, self.seed
            ),
            format!(
                "a text takes {fast:.1} µs (fast) and {deep:.1} µs (deep) here; cost = (fast for all + deep for the escalated) / deep for all"
            ),
            format!("temperatures: fast {fast_temperature:.4}, deep {deep_temperature:.4}"),
            format!(
                "escalated: softmax({:.4} × ln p_fast + {:.4} × ln p_deep + bias); bias: {}",
                self.blend.fast,
                self.blend.deep,
                folded(bias.iter().map(String::as_str), width())
            ),
        ] {
            wrap(&paragraph, width()).iter().for_each(|line| output::line(line));
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
            ..
        } = self.chosen;
        for line in [
            format!(
                "chosen: accuracy {}, minus deep's {}",
                with_interval(accuracy, 100.0, 2),
                with_interval(above_deep, 100.0, 2)
            ),
            format!(
                "        macro-F1 {}, ECE {}",
                with_interval(macro_f1, 1.0, 4),
                with_interval(ece, 1.0, 4)
            ),
        ] {
            outln!("{line}");
        }
        if let Some(warning) = &self.warning {
            complain(&format!("warning: {warning}"));
        }
    }

    /// The curve, with what fits a line of 80; the report as JSON has every interval.
    fn table(&self) -> Table {
        let header = ["", "threshold", "escalated", "cost", "accuracy", "95%", "macro-F1"];
        let mut table = Table::new(header).right(1..header.len());
        let last = self.curve.len().saturating_sub(1);
        let curve = self.curve.iter().enumerate().map(|(at, point)| {
            let name = match at {
                0 => "fast alone",
                at if at == last => "all escalated",
                _ => "",
            };
            (name, point)
        });
        for (name, point) in curve.chain([("deep alone", &self.deep_alone), ("chosen", &self.chosen)]) {
            let Interval { value, low, high } = point.accuracy;
            let threshold = point.min_confidence.map(|value| format!("{value:.4}"));
            let style = if name == "chosen" { Style::Bold } else { Style::Plain };
            let cells = [
                name.to_owned(),
                threshold.unwrap_or_default(),
                format!("{:.1}%", point.escalated * 100.0),
                format!("{:.3}", point.cost),
                format!("{:.2}", value * 100.0),
                format!("{:.1} to {:.1}", low * 100.0, high * 100.0),
                format!("{:.4}", point.macro_f1.value),
            ];
            table.row(cells.map(|cell| Cell::styled(cell, style)));
        }
        table
    }

    fn calibration(&self, models: [&VerifiedModel; 2]) -> Calibration {
        let model = |tier: usize| CalibratedModel {
            model: models[tier].manifest.name.clone(),
            version: models[tier].manifest.version.clone(),
            fingerprint: models[tier].fingerprint.clone(),
            temperature: self.temperatures[tier] as f32,
        };
        let point = |point: &Point| CurvePoint {
            min_confidence: point.min_confidence.unwrap_or(1.0),
            escalated: point.escalated,
            cost: rounded(point.cost),
            accuracy: rounded(point.accuracy.value),
            accuracy_low: rounded(point.accuracy.low),
            accuracy_high: rounded(point.accuracy.high),
            macro_f1: rounded(point.macro_f1.value),
            ece: rounded(point.ece.value),
        };
        Calibration {
            schema_version: SCHEMA_VERSION,
            task: self.task.to_owned(),
            min_confidence: self.chosen.min_confidence.unwrap_or(1.0),
            escalation: EscalationRange::around(self.chosen.escalated),
            fast: model(0),
            deep: model(1),
            blend: self.blend.clone(),
            data: DataFacts {
                file: self.file.clone(),
                fitted_on: self.fitted_on,
                measured_on: self.measured_on,
                seed: self.seed,
            },
            curve: self.curve.iter().map(point).collect(),
        }
    }

    /// Writes the calibration, and the report and the plot beside it. The error is one line that names the file.
    pub fn write(&self, path: &Path, models: [&VerifiedModel; 2]) -> Result<(), String> {
        let plot = Plot {
            title: self.task,
            curve: &self.curve,
            deep: &self.deep_alone,
            chosen: &self.chosen,
        };
        let json = serde_json::to_string_pretty(self).expect("numbers and names") + "\n";
        for (path, content) in [
            (path.to_path_buf(), self.calibration(models).to_toml()),
            (path.with_extension("json"), json),
            (path.with_extension("svg"), plot::svg(&plot)),
        ] {
            std::fs::write(&path, content).map_err(|error| format!("{}: {error}", path.display()))?;
            outln!("wrote {}", path.display());
        }
        Ok(())
    }
}

/// A figure with its interval, in a cell of the table.
fn with_interval(figure: Interval, scale: f64, digits: usize) -> String {
    let Interval { value, low, high } = figure;
    format!(
        "{:.digits$} ({:.digits$} to {:.digits$})",
        value * scale,
        low * scale,
        high * scale
    )
}

fn rounded(value: f64) -> f64 {
    (value * 1e5).round() / 1e5
}
