//! The columns that a bulk job adds to each row: the same ones in every kind of file.

use serde::{Deserialize, Serialize};

use crate::api::pb;
use crate::cli::predict::answered::{decision, selected, tier};
use crate::cli::predict::question::Named;

/// What a row has in a column.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    Empty,
    Text(String),
    Number(f32),
}

/// The columns that are added. The answers to the first rows decide them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Added {
    /// What stands before each name.
    prefix: String,
    /// Whether the answers are numbers.
    values: bool,
    /// The labels whose scores are written, in order.
    labels: Vec<String>,
}

impl Added {
    /// The columns for these answers and those after them.
    pub fn of(answers: &[Result<Named, String>], prefix: &str, scores: bool) -> Self {
        let answered = || answers.iter().filter_map(|answer| answer.as_ref().ok());
        let values = answered().any(|(answer, _)| answer.value.is_some());
        let scored = answered().filter(|_| scores && !values);
        let mut labels: Vec<String> = scored
            .flat_map(|(answer, _)| answer.scores.iter().map(|score| score.label.clone()))
            .collect();
        labels.sort();
        labels.dedup();
        Self {
            prefix: prefix.to_owned(),
            values,
            labels,
        }
    }

    /// Their names, in order, and whether they hold numbers.
    pub fn names(&self) -> Vec<(String, bool)> {
        let answer = if self.values {
            &[("value", true)][..]
        } else {
            &[("label", false), ("confidence", true)]
        };
        let facts = [("tier", false), ("decision", false), ("model", false)];
        let named = |&(name, number): &(&str, bool)| (format!("{}{name}", self.prefix), number);
        let mut names: Vec<(String, bool)> = answer.iter().chain(&facts).map(named).collect();
        let scores = self.labels.iter();
        names.extend(scores.map(|label| (format!("{}score:{label}", self.prefix), true)));
        names.push((format!("{}error", self.prefix), false));
        names
    }

    /// What a row has in them.
    pub fn cells(&self, answer: &Result<Named, String>) -> Vec<Cell> {
        let before = if self.values { 4 } else { 5 } + self.labels.len();
        let (answer, model) = match answer {
            Ok(answer) => answer,
            Err(problem) => {
                let mut cells = vec![Cell::Empty; before];
                cells.push(Cell::Text(problem.clone()));
                return cells;
            }
        };
        let mut cells = match (self.values, answer.value) {
            (true, value) => vec![value.map_or(Cell::Empty, Cell::Number)],
            // A server that changed its model: the column that is there takes it.
            (false, Some(value)) => vec![Cell::Text(value.to_string()), Cell::Empty],
            (false, None) => vec![Cell::Text(label(answer)), Cell::Number(answer.confidence)],
        };
        cells.extend([
            Cell::Text(tier(answer.tier()).to_owned()),
            Cell::Text(decision(answer.decision()).to_owned()),
            Cell::Text(model.clone()),
        ]);
        let score = |label: &String| answer.scores.iter().find(|score| score.label == *label);
        let scores = self.labels.iter().map(score);
        cells.extend(scores.map(|score| score.map_or(Cell::Empty, |score| Cell::Number(score.score))));
        cells.push(Cell::Empty);
        cells
    }
}

/// The label; of a model that may give several, all of them between `|`.
fn label(answer: &pb::Prediction) -> String {
    match selected(answer).as_slice() {
        [] => answer.label.clone(),
        labels => labels.join("|"),
    }
}

/// Refuses columns of the input that have the name of one that is added. The error is one line.
pub fn check_apart<'a>(there: impl Iterator<Item = &'a str>, added: &[(String, bool)]) -> Result<(), String> {
    for name in there {
        if added.iter().any(|(own, _)| own == name) {
            return Err(format!(
                "the input has a column `{name}`, and an answer would be written there; --prefix TEXT puts TEXT before the \
                 names of the columns that are added"
            ));
        }
    }
    Ok(())
}
