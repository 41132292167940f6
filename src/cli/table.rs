//! How `tandem predict` writes its answers: a table for people, JSON lines or CSV for programs.

use std::io::{self, Write};

use clap::ValueEnum;
use comfy_table::{Table, presets};
use serde::Serialize;

use crate::api::pb;
use crate::telemetry::visible::visible;

/// How answers are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Table,
    /// One JSON object a line.
    Jsonl,
    /// Comma-separated values, with a header.
    Csv,
}

#[derive(Serialize)]
struct Row<'a> {
    text: &'a str,
    label: &'a str,
    confidence: f32,
    tier: &'static str,
    decision: &'static str,
    token_count: i32,
    truncated: bool,
}

/// Writes answers as they come.
pub struct Writer<W: Write> {
    format: Format,
    out: W,
    header_written: bool,
}

impl<W: Write> Writer<W> {
    /// A writer to `out`.
    pub fn new(format: Format, out: W) -> Self {
        Self {
            format,
            out,
            header_written: false,
        }
    }

    /// Writes the answers to `texts`.
    pub fn write(&mut self, texts: &[String], predictions: &[pb::Prediction]) -> io::Result<()> {
        let rows = texts.iter().zip(predictions).map(|(text, prediction)| Row {
            text,
            label: &prediction.label,
            confidence: prediction.confidence,
            tier: match prediction.tier() {
                pb::Tier::Fast => "fast",
                pb::Tier::Deep => "deep",
                pb::Tier::Unspecified => "",
            },
            decision: decision(prediction.decision()),
            token_count: prediction.token_count,
            truncated: prediction.truncated,
        });
        match self.format {
            Format::Csv => {
                let mut csv = csv::WriterBuilder::new()
                    .has_headers(!self.header_written)
                    .from_writer(&mut self.out);
                for row in rows {
                    csv.serialize(row).map_err(io::Error::other)?;
                }
                csv.flush()?;
                drop(csv);
                self.header_written = true;
            }
            Format::Jsonl => {
                for row in rows {
                    let line = serde_json::to_string(&row).map_err(io::Error::other)?;
                    writeln!(self.out, "{line}")?;
                }
            }
            Format::Table => {
                for line in table(rows).lines() {
                    writeln!(self.out, "{}", visible(&line))?;
                }
            }
        }
        self.out.flush()
    }
}

/// The name in the API, in lower case and without its prefix.
fn decision(decision: pb::Decision) -> &'static str {
    match decision {
        pb::Decision::Unspecified => "",
        pb::Decision::Requested => "requested",
        pb::Decision::Confident => "confident",
        pb::Decision::Escalated => "escalated",
        pb::Decision::FallbackDeadline => "fallback_deadline",
        pb::Decision::FallbackOverload => "fallback_overload",
    }
}

fn table<'a>(rows: impl Iterator<Item = Row<'a>>) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY);
    table.set_header(["label", "confidence", "tier", "decision", "text"]);
    for row in rows {
        let confidence = format!("{:.4}", row.confidence);
        table.add_row([row.label, &confidence, row.tier, row.decision, &printable(row.text)]);
    }
    table
}

/// A text on one line of a terminal, without what would move its cursor, cut where a line ends.
pub fn printable(text: &str) -> String {
    const MOST: usize = 60;
    let mut shown: String = text
        .chars()
        .take(MOST)
        .map(|value| if value.is_control() { ' ' } else { value })
        .collect();
    if text.chars().nth(MOST).is_some() {
        shown.push('…');
    }
    shown
}
