//! Output of `tandem predict`: a table for people, JSON lines or CSV for programs. A text without an answer has its row
//! too, with the reason.

use clap::ValueEnum;
use serde::Serialize;

use crate::api::pb;
use crate::cli::output;
use crate::cli::terminal::{Cell, Painted, Style, Table, fit, width};
use crate::offline::reader::Fields;

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

/// One text with its answer.
pub struct Answered {
    /// The line on which it began, for texts from a file or a stream.
    pub line: Option<u64>,
    /// The text; empty if the row could not be read.
    pub fields: Fields,
    /// The answer, or why there is none.
    pub outcome: Result<pb::Prediction, String>,
}

#[derive(Serialize)]
struct Row<'a> {
    text: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    text_pair: Option<&'a str>,
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
    error: &'a str,
}

/// Writes answers as they come.
pub struct Writer {
    format: Format,
    /// Whether to write the score of each label.
    scores: bool,
    header: Option<Header>,
}

/// The columns of CSV. The first answers decide them.
struct Header {
    pairs: bool,
    lines: bool,
    values: bool,
    /// The labels in the order of their columns.
    labels: Vec<String>,
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
    pub fn new(format: Format, scores: bool) -> Self {
        Self {
            format,
            scores,
            header: None,
        }
    }

    /// Writes the answers to some texts.
    pub fn write(&mut self, answers: &[Answered]) {
        match self.format {
            Format::Csv => output::raw(&self.csv(answers)),
            Format::Jsonl => answers.iter().for_each(|answer| output::line(&self.json_line(answer))),
            Format::Table => output::painted(&self.table(answers).painted()),
        }
    }

    fn json_line(&self, answer: &Answered) -> String {
        let line = match &answer.outcome {
            Ok(prediction) => serde_json::to_string(&self.json(&answer.fields, prediction)),
            Err(error) => serde_json::to_string(&Unanswered {
                line: answer.line,
                text: &answer.fields.text,
                text_pair: answer.fields.pair.as_deref(),
                error,
            }),
        };
        line.expect("strings and numbers")
    }

    fn json<'a>(&self, fields: &'a Fields, prediction: &'a pb::Prediction) -> Row<'a> {
        let classifies = prediction.value.is_none();
        let scores = prediction.scores.iter().map(|score| Score {
            label: &score.label,
            score: score.score,
            selected: score.selected,
        });
        Row {
            text: &fields.text,
            text_pair: fields.pair.as_deref(),
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
            let header = Header::of(answers, self.scores);
            records.push(header.names());
            header
        });
        records.extend(answers.iter().map(|answer| header.cells(answer)));
        csv_lines(&records)
    }

    fn table(&self, answers: &[Answered]) -> Table {
        let values = answers
            .iter()
            .any(|answer| matches!(&answer.outcome, Ok(answer) if answer.value.is_some()));
        let names: &[&str] = if values {
            &["value", "tier", "decision", "text"]
        } else {
            &["label", "confidence", "tier", "decision", "text"]
        };
        let mut table = Table::new(names).right([usize::from(!values)]);
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
                    cells.resize(names.len() - 1, Cell::default());
                    cells.push(Cell::styled(format!("{line}{error}"), Style::Bad));
                    table.row(cells);
                }
                Ok(prediction) => {
                    let (tier, decision) = (tier(prediction.tier()), decision(prediction.decision()));
                    match prediction.value {
                        Some(value) => table.row([&*format!("{value:.4}"), tier, decision, &text]),
                        None => {
                            let confidence = format!("{:.4}", prediction.confidence);
                            let label = fit(&label(prediction), 40);
                            table.row([&*label, &confidence, tier, decision, &text]);
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

/// Records as CSV.
pub fn csv_lines(records: &[Vec<String>]) -> Vec<u8> {
    let mut csv = csv::Writer::from_writer(Vec::new());
    for record in records {
        csv.write_record(record).expect("memory takes records of one length");
    }
    csv.into_inner().expect("memory takes them")
}

fn width_of(text: &str) -> usize {
    unicode_width::UnicodeWidthStr::width(text)
}

/// The labels that are part of the answer.
fn selected(prediction: &pb::Prediction) -> Vec<&str> {
    let selected = prediction.scores.iter().filter(|score| score.selected);
    selected.map(|score| score.label.as_str()).collect()
}

/// These labels on one line.
fn label(prediction: &pb::Prediction) -> String {
    match selected(prediction).as_slice() {
        [] if prediction.label.is_empty() => "(none)".to_owned(),
        [] => prediction.label.clone(),
        labels => labels.join(", "),
    }
}

impl Header {
    fn of(answers: &[Answered], scores: bool) -> Self {
        let answered = || answers.iter().filter_map(|answer| answer.outcome.as_ref().ok());
        let values = answered().any(|answer| answer.value.is_some());
        let first = answered().next().filter(|_| scores && !values);
        let mut labels: Vec<String> = first
            .map(|first| first.scores.iter().map(|score| score.label.clone()).collect())
            .unwrap_or_default();
        labels.sort();
        Self {
            pairs: answers.iter().any(|answer| answer.fields.pair.is_some()),
            lines: answers.iter().any(|answer| answer.line.is_some()),
            values,
            labels,
        }
    }

    fn names(&self) -> Vec<String> {
        let mut names = vec!["text"];
        if self.pairs {
            names.push("text_pair");
        }
        names.extend(if self.values {
            &["value"][..]
        } else {
            &["label", "confidence"]
        });
        names.extend(["tier", "decision", "token_count", "truncated"]);
        let scores = self.labels.iter().map(|label| format!("score:{label}"));
        let mut names: Vec<String> = names.into_iter().map(str::to_owned).chain(scores).collect();
        if self.lines {
            names.extend(["line", "error"].map(str::to_owned));
        }
        names
    }

    fn cells(&self, answer: &Answered) -> Vec<String> {
        let mut cells = vec![answer.fields.text.clone()];
        if self.pairs {
            cells.push(answer.fields.pair.clone().unwrap_or_default());
        }
        match &answer.outcome {
            Ok(prediction) => {
                if self.values {
                    cells.extend([prediction.value.map(|value| value.to_string()).unwrap_or_default()]);
                } else {
                    let labels = selected(prediction);
                    let label = if labels.is_empty() {
                        prediction.label.clone()
                    } else {
                        labels.join("|")
                    };
                    cells.extend([label, prediction.confidence.to_string()]);
                }
                cells.extend([
                    tier(prediction.tier()).to_owned(),
                    decision(prediction.decision()).to_owned(),
                    prediction.token_count.to_string(),
                    prediction.truncated.to_string(),
                ]);
                let score = |label: &String| prediction.scores.iter().find(|score| score.label == *label);
                let scores = self.labels.iter().map(score);
                cells.extend(scores.map(|score| score.map(|score| score.score.to_string()).unwrap_or_default()));
            }
            Err(_) => cells.resize(
                cells.len() + if self.values { 5 } else { 6 } + self.labels.len(),
                String::new(),
            ),
        }
        if self.lines {
            cells.push(answer.line.map(|line| line.to_string()).unwrap_or_default());
            cells.push(answer.outcome.as_ref().err().cloned().unwrap_or_default());
        }
        cells
    }
}

fn tier(tier: pb::Tier) -> &'static str {
    match tier {
        pb::Tier::Fast => "fast",
        pb::Tier::Deep => "deep",
        pb::Tier::Unspecified => "",
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
        pb::Decision::Abstained => "abstained",
    }
}
