//! The cells of a row become its target and its weight; labels are numbers of [`Values`] until all rows are read.

use serde_json::Value;

use super::columns::{DatasetColumns, Places};
use super::example::Target;
use super::labels::{Values, listed};
use crate::model::paths::quoted;

/// The largest weight.
pub const MOST_WEIGHT: f32 = 1e6;

/// Why a row can't be used.
pub enum Refused {
    /// This row alone: what is wrong with it.
    Row(String),
    /// The whole file, in one line.
    File(String),
}

/// Reads the further cells of rows.
pub struct Cells<'a> {
    columns: &'a DatasetColumns,
    places: Places,
    /// The values of the labels that have a column of probabilities.
    soft: Vec<u32>,
}

impl<'a> Cells<'a> {
    /// The error is one line.
    pub fn new(columns: &'a DatasetColumns, places: Places, values: &mut Values<'_>) -> Result<Self, String> {
        if let Some((label, column)) = columns.soft.iter().find(|(label, _)| values.is_none(label)) {
            return Err(format!(
                "--soft-column {}: by --map `{label}` means no label, which has no probability",
                quoted(&format!("{label}={column}"))
            ));
        }
        let soft = columns.soft.iter().map(|(label, _)| values.number(label, 0));
        Ok(Self {
            columns,
            places,
            soft: soft.collect::<Result<_, _>>()?,
        })
    }

    /// The weight of a row. The error says what is wrong with it.
    pub fn weight(&self, cells: &[Value]) -> Result<f32, String> {
        let Some(at) = self.places.weight else { return Ok(1.0) };
        let weight = number(&cells[at])?.ok_or("the row has no weight")?;
        if (0.0..=MOST_WEIGHT).contains(&weight) {
            Ok(weight)
        } else {
            Err(format!("the weight {weight} is not from 0 to {MOST_WEIGHT}"))
        }
    }

    /// The target of a row: its probabilities where it has some, else its label. Labels are numbers of `values`.
    pub fn target(&self, cells: &[Value], line: u64, values: &mut Values<'_>) -> Result<Target, Refused> {
        if let Some(soft) = self.by_columns(cells).map_err(Refused::Row)? {
            return Ok(soft);
        }
        if let Some(at) = self.places.probabilities
            && let Some(pairs) = probabilities(&cells[at]).map_err(Refused::Row)?
        {
            let mut soft = Vec::new();
            for (label, probability) in pairs {
                if values.is_none(&label) {
                    continue;
                }
                let number = values.number(&label, line).map_err(Refused::File)?;
                put(&mut soft, number, probability);
            }
            return if soft.iter().sum::<f32>() > 0.0 || self.columns.multi_label {
                Ok(Target::Soft(soft))
            } else {
                Err(Refused::Row("all probabilities are 0".to_owned()))
            };
        }
        let Some(at) = self.places.label else {
            return Ok(Target::Unknown);
        };
        if !self.columns.multi_label {
            let name = name(&cells[at]).map_err(Refused::Row)?;
            let Some(name) = name.filter(|name| !name.trim().is_empty()) else {
                return Ok(Target::Unknown);
            };
            return values.number(&name, line).map(Target::One).map_err(Refused::File);
        }
        let Some(names) = self.names(&cells[at]).map_err(Refused::Row)? else {
            return Ok(Target::Unknown);
        };
        let mut several = Vec::with_capacity(names.len());
        for name in names {
            if values.is_none(&name) {
                continue;
            }
            several.push(values.number(&name, line).map_err(Refused::File)?);
        }
        several.sort_unstable();
        several.dedup();
        Ok(Target::Many(several))
    }

    /// The probabilities in the columns of labels; `None` if none of them has one.
    fn by_columns(&self, cells: &[Value]) -> Result<Option<Target>, String> {
        let cells = cells[self.places.soft..].iter().zip(&self.columns.soft);
        let mut soft = Vec::new();
        let mut empty = None;
        for ((cell, (label, column)), &value) in cells.zip(&self.soft) {
            match number(cell).map_err(|problem| format!("`{column}`: {problem}"))? {
                Some(probability) => put(&mut soft, value, checked(label, probability)?),
                None => empty = Some(column),
            }
        }
        match empty {
            Some(_) if soft.is_empty() => Ok(None),
            Some(column) => Err(format!("there is no number in `{column}`")),
            None => Ok((!soft.is_empty()).then_some(Target::Soft(soft))),
        }
    }

    /// The labels of a row; `None` if it says nothing of them. An empty text says that no label is right.
    fn names(&self, cell: &Value) -> Result<Option<Vec<String>>, String> {
        let names: Vec<String> = match cell {
            Value::Array(names) => {
                let names = names
                    .iter()
                    .map(|value| name(value)?.ok_or("a label is null".to_owned()));
                names.collect::<Result<_, String>>()?
            }
            cell => match name(cell)? {
                None => return Ok(None),
                Some(text) => text.split(&self.columns.label_separator).map(str::to_owned).collect(),
            },
        };
        Ok(Some(names.into_iter().filter(|name| !name.trim().is_empty()).collect()))
    }

    /// Gives every target of probabilities a value for each label, and if one label is right the sum 1. The error is one
    /// line: labels have no column of probabilities.
    pub fn complete(&self, target: &mut Target, line: u64, labels: &[String], settled: &[u32]) -> Result<(), String> {
        match target {
            Target::Unknown => {}
            Target::One(label) => *label = settled[*label as usize],
            Target::Many(several) => {
                for label in several.iter_mut() {
                    *label = settled[*label as usize];
                }
                several.sort_unstable();
                several.dedup();
            }
            Target::Soft(probabilities) => {
                let mut all = vec![0.0; labels.len()];
                for (&probability, &label) in probabilities.iter().zip(settled) {
                    all[label as usize] += probability;
                }
                if !self.columns.multi_label {
                    self.add_rest(&mut all, labels, settled)?;
                    let sum: f32 = all.iter().sum();
                    if sum <= 0.0 {
                        return Err(format!("line {line}: all probabilities are 0"));
                    }
                    for probability in &mut all {
                        *probability /= sum;
                    }
                }
                *probabilities = all;
            }
        }
        Ok(())
    }

    /// If all labels but one have a column of probabilities, that one gets what the others leave.
    fn add_rest(&self, all: &mut [f32], labels: &[String], settled: &[u32]) -> Result<(), String> {
        if self.soft.is_empty() {
            return Ok(());
        }
        let mut lacks = vec![true; labels.len()];
        self.soft
            .iter()
            .for_each(|&value| lacks[settled[value as usize] as usize] = false);
        let lacking: Vec<usize> = (0..labels.len()).filter(|&label| lacks[label]).collect();
        match lacking[..] {
            [] => Ok(()),
            [one] => {
                all[one] = (1.0 - all.iter().sum::<f32>()).max(0.0);
                Ok(())
            }
            _ => Err(format!(
                "the labels {} have no column of probabilities: --soft-column names one for each label, or for all but one",
                listed(lacking.iter().map(|&label| labels[label].as_str()))
            )),
        }
    }
}

fn put(soft: &mut Vec<f32>, value: u32, probability: f32) {
    let at = value as usize;
    if soft.len() <= at {
        soft.resize(at + 1, 0.0);
    }
    soft[at] = probability;
}

/// Counts of votes are as good as probabilities, since they are divided by their sum.
fn checked(label: &str, probability: f32) -> Result<f32, String> {
    if probability.is_finite() && probability >= 0.0 {
        Ok(probability)
    } else {
        Err(format!("the probability of `{label}` is {probability}"))
    }
}

/// A cell as a name; `None` if there is nothing in it.
fn name(cell: &Value) -> Result<Option<String>, String> {
    match cell {
        Value::Null => Ok(None),
        Value::String(name) => Ok(Some(name.clone())),
        Value::Number(_) | Value::Bool(_) => Ok(Some(cell.to_string())),
        Value::Array(_) => Err("the label is a list; --multi-label reads lists".to_owned()),
        Value::Object(_) => Err("the label is an object, neither a string nor a number".to_owned()),
    }
}

/// A cell as a number; `None` if there is nothing in it.
fn number(cell: &Value) -> Result<Option<f32>, String> {
    match cell {
        Value::Null => Ok(None),
        Value::String(text) if text.trim().is_empty() => Ok(None),
        Value::String(text) => {
            let number = text.trim().parse().map(Some);
            number.map_err(|_| format!("`{}` is no number", super::places::short(text)))
        }
        Value::Number(number) => Ok(number.as_f64().map(|number| number as f32)),
        _ => Err("a value is no number".to_owned()),
    }
}

/// Labels with their probabilities: a JSON object of numbers, a list of what `tandem predict --scores` writes, or either
/// as text. `None` if there is nothing in the cell.
fn probabilities(cell: &Value) -> Result<Option<Vec<(String, f32)>>, String> {
    let wrong = || "the probabilities are no JSON object like {\"label\": 0.9, …}".to_owned();
    let pair = |label: &str, value: &Value| {
        let probability = value
            .as_f64()
            .ok_or_else(|| format!("the probability of `{label}` is no number"))?;
        Ok((label.to_owned(), checked(label, probability as f32)?))
    };
    match cell {
        Value::Null => Ok(None),
        Value::String(text) if text.trim().is_empty() => Ok(None),
        Value::String(text) => match serde_json::from_str(text) {
            Ok(read @ (Value::Object(_) | Value::Array(_))) => probabilities(&read),
            _ => Err(wrong()),
        },
        Value::Object(pairs) => pairs
            .iter()
            .map(|(label, value)| pair(label, value))
            .collect::<Result<_, _>>()
            .map(Some),
        Value::Array(scores) => {
            let scores = scores.iter().map(|score| {
                let label = score["label"].as_str().ok_or_else(wrong)?;
                pair(label, &score["score"])
            });
            scores.collect::<Result<_, _>>().map(Some)
        }
        _ => Err(wrong()),
    }
}
