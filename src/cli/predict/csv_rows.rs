//! Answers as rows of comma-separated values.

use super::answered::{Answered, decision, selected, tier};

/// The columns of CSV. The first answers decide them.
pub struct Header {
    pairs: bool,
    tasks: bool,
    lines: bool,
    values: bool,
    /// The labels in the order of their columns.
    labels: Vec<String>,
}

impl Header {
    /// The columns for these answers and those after them, which may be of several tasks.
    pub fn of(answers: &[Answered], scores: bool, tasks: bool) -> Self {
        let answered = || answers.iter().filter_map(|answer| answer.outcome.as_ref().ok());
        let values = !tasks && answered().any(|answer| answer.value.is_some());
        let scored = answered().filter(|_| scores && !values);
        let mut labels: Vec<String> = scored
            .flat_map(|answer| answer.scores.iter().map(|score| score.label.clone()))
            .collect();
        labels.sort();
        labels.dedup();
        Self {
            pairs: answers.iter().any(|answer| answer.fields.pair.is_some()),
            tasks,
            lines: answers.iter().any(|answer| answer.line.is_some()),
            values,
            labels,
        }
    }

    /// Their names.
    pub fn names(&self) -> Vec<String> {
        let mut names = vec!["text"];
        if self.pairs {
            names.push("text_pair");
        }
        if self.tasks {
            names.push("task");
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

    /// What an answer has in them.
    pub fn cells(&self, answer: &Answered) -> Vec<String> {
        let mut cells = vec![answer.fields.text.clone()];
        if self.pairs {
            cells.push(answer.fields.pair.clone().unwrap_or_default());
        }
        if self.tasks {
            cells.push(answer.task.clone().unwrap_or_default());
        }
        match &answer.outcome {
            Ok(prediction) => {
                let value = prediction.value.map(|value| value.to_string());
                if self.values {
                    cells.push(value.unwrap_or_default());
                } else if let Some(value) = value {
                    cells.extend([value, String::new()]);
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

/// Records as CSV.
pub fn csv_lines(records: &[Vec<String>]) -> Vec<u8> {
    let mut csv = csv::Writer::from_writer(Vec::new());
    for record in records {
        csv.write_record(record).expect("memory takes records of one length");
    }
    csv.into_inner().expect("memory takes them")
}
