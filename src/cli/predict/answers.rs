//! Output of `tandem predict`: a table for people, JSON lines or CSV for programs. A text without an answer has its row
//! too, with the reason.

use clap::ValueEnum;
use serde::Serialize;

use super::answered::{Answered, decision, has_value, label, selected, tier};
use super::csv_rows::{Header, csv_lines};
use crate::api::pb;
use crate::cli::output;
use crate::cli::terminal::{Cell, Painted, Style, Table, fit, width};

/// How answers are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Table,
    /// One JSON object a line.
    Jsonl,
    /// Comma-separated values, with a header.
    Csv,
    /// Values between tabs, with a header; for --out.
    Tsv,
    /// A folder of Parquet files; for --out.
    Parquet,
    /// A folder of Arrow files; for --out.
    Arrow,
}

#[derive(Serialize)]
struct Row<'a> {
    text: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    text_pair: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    task: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    confidence: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    labels: Option<Vec<&'a str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scores: Option<Vec<Score<'a>>>,
    tier: &'static str,
    decision: &'static str,
    token_count: i32,
    truncated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    read_size_bytes: Option<i32>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    windows: Vec<Part<'a>>,
}

/// A window of a text.
#[derive(Serialize)]
struct Part<'a> {
    start_byte: i32,
    end_byte: i32,
    label: &'a str,
    confidence: f32,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<f32>,
    tier: &'static str,
    token_count: i32,
}

#[derive(Serialize)]
struct Score<'a> {
    label: &'a str,
    score: f32,
    selected: bool,
}

#[derive(Serialize)]
struct Unanswered<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u64>,
    text: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    text_pair: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    task: Option<&'a str>,
    error: &'a str,
}

/// Writes answers as they come.
pub struct Writer {
    format: Format,
    /// Whether to write the score of each label.
    scores: bool,
    /// Whether they are of several tasks.
    tasks: bool,
    header: Option<Header>,
}

fn part(window: &pb::Window) -> Part<'_> {
    Part {
        start_byte: window.start_byte,
        end_byte: window.end_byte,
        label: &window.label,
        confidence: window.confidence,
        value: window.value,
        tier: tier(window.tier()),
        token_count: window.token_count,
    }
}

impl Writer {
    /// A writer to standard output.
    pub fn new(format: Format, scores: bool, tasks: bool) -> Self {
        Self {
            format,
            scores,
            tasks,
            header: None,
        }
    }

    /// Writes the answers to some texts.
    pub fn write(&mut self, answers: &[Answered]) {
        match self.format {
            Format::Csv | Format::Tsv | Format::Parquet | Format::Arrow => output::raw(&self.csv(answers)),
            Format::Jsonl => answers.iter().for_each(|answer| output::line(&self.json_line(answer))),
            Format::Table => output::painted(&self.table(answers).painted()),
        }
    }

    fn json_line(&self, answer: &Answered) -> String {
        let line = match &answer.outcome {
            Ok(prediction) => serde_json::to_string(&self.json(answer, prediction)),
            Err(error) => serde_json::to_string(&Unanswered {
                line: answer.line,
                text: &answer.fields.text,
                text_pair: answer.fields.pair.as_deref(),
                task: answer.task.as_deref(),
                error,
            }),
        };
        line.expect("strings and numbers")
    }

    fn json<'a>(&self, answer: &'a Answered, prediction: &'a pb::Prediction) -> Row<'a> {
        let fields = &answer.fields;
        let classifies = prediction.value.is_none();
        let scores = prediction.scores.iter().map(|score| Score {
            label: &score.label,
            score: score.score,
            selected: score.selected,
        });
        Row {
            text: &fields.text,
            text_pair: fields.pair.as_deref(),
            task: answer.task.as_deref(),
            label: classifies.then_some(&prediction.label),
            confidence: classifies.then_some(prediction.confidence),
            labels: classifies.then(|| selected(prediction)),
            value: prediction.value,
            scores: (self.scores && classifies).then(|| scores.collect()),
            tier: tier(prediction.tier()),
            decision: decision(prediction.decision()),
            token_count: prediction.token_count,
            truncated: prediction.truncated,
            read_size_bytes: (prediction.read_size_bytes > 0).then_some(prediction.read_size_bytes),
            windows: prediction.windows.iter().map(part).collect(),
        }
    }

    fn csv(&mut self, answers: &[Answered]) -> Vec<u8> {
        let mut records = Vec::with_capacity(answers.len() + 1);
        let header = self.header.get_or_insert_with(|| {
            let header = Header::of(answers, self.scores, self.tasks);
            records.push(header.names());
            header
        });
        records.extend(answers.iter().map(|answer| header.cells(answer)));
        csv_lines(&records)
    }

    fn table(&self, answers: &[Answered]) -> Table {
        let tasks = self.tasks;
        let values = !tasks && answers.iter().any(has_value);
        let names: &[&str] = match (tasks, values) {
            (true, _) => &["task", "label", "confidence", "tier", "decision", "text"],
            (_, true) => &["value", "tier", "decision", "text"],
            _ => &["label", "confidence", "tier", "decision", "text"],
        };
        let mut table = Table::new(names).right([usize::from(!values) + usize::from(tasks)]);
        // The text gets the rest of the line, since labels may be long.
        let label_width = |answer: &Answered| answer.outcome.as_ref().map_or(5, |answer| width_of(&label(answer)));
        let widest = answers.iter().map(label_width).max().unwrap_or(0).clamp(8, 40);
        let left = width().saturating_sub(widest + 32).max(20);
        for answer in answers {
            let text = match &answer.fields.pair {
                Some(pair) => format!("{} | {pair}", fit(&answer.fields.text, left / 2)),
                None => answer.fields.text.clone(),
            };
            let text = fit(&text, left);
            match &answer.outcome {
                Err(error) => {
                    let line = answer.line.map(|line| format!("line {line}: ")).unwrap_or_default();
                    // Without the remedy, which the last line gives once.
                    let error = error.split("; ").next().unwrap_or_default();
                    let mut cells = vec![Cell::styled("error", Style::Bad)];
                    if let (true, Some(task)) = (tasks, &answer.task) {
                        cells.insert(0, Cell::styled(task.clone(), Style::Plain));
                    }
                    cells.resize(names.len() - 1, Cell::default());
                    cells.push(Cell::styled(format!("{line}{error}"), Style::Bad));
                    table.row(cells);
                }
                Ok(prediction) => {
                    let (tier, decision) = (tier(prediction.tier()), decision(prediction.decision()));
                    let of_task = answer.task.as_deref();
                    let row = |cells: &[&str]| {
                        of_task
                            .iter()
                            .chain(cells)
                            .copied()
                            .map(str::to_owned)
                            .collect::<Vec<_>>()
                    };
                    match prediction.value {
                        Some(value) if tasks => {
                            table.row(row(&[&*format!("{value:.4}"), "", tier, decision, &text]));
                        }
                        Some(value) => table.row(row(&[&*format!("{value:.4}"), tier, decision, &text])),
                        None => {
                            let confidence = format!("{:.4}", prediction.confidence);
                            let label = fit(&label(prediction), 40);
                            table.row(row(&[&*label, &confidence, tier, decision, &text]));
                            if self.scores {
                                prediction
                                    .scores
                                    .iter()
                                    .for_each(|score| table.below(score_line(score)));
                            }
                        }
                    }
                }
            }
        }
        table
    }
}

fn score_line(score: &pb::LabelScore) -> Painted {
    let style = if score.selected { Style::Bold } else { Style::Plain };
    style.paint(&format!("{:.4}  {}", score.score, score.label))
}

fn width_of(text: &str) -> usize {
    unicode_width::UnicodeWidthStr::width(text)
}
