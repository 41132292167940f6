//! Reads a graph's outputs for a batch as rows of numbers: from a tensor, from one map for each row (`ZipMap`), or from
//! one output for each label; and the winner of each row, if the graph names it.
//!
//! Which of these the manifest's output is, is decided when the model loads; a batch that gives anything else fails.

use std::collections::HashMap;

use half::{bf16, f16};
use ndarray::{Array2, Axis};
use ort::session::SessionOutputs;
use ort::value::{DynMapValueType, DynValue, Outlet, TensorElementType, ValueType};

use crate::model::manifest::{Head, Manifest, OutputKind};
use crate::model::runner::RunError;

/// Reads the outputs of a model.
#[derive(Clone)]
pub(super) struct OutputReader {
    labels: usize,
    kind: OutputKind,
    form: Form,
    /// The output that names each row's winner, and the index of each name.
    winner: Option<(String, Places)>,
}

#[derive(Clone)]
enum Form {
    /// A tensor `[rows, labels]`; or `[rows, 1]` or `[rows]`, if a single number decides between two labels.
    Tensor { name: String },
    /// A sequence of maps, one for each row, from a label's key to its number.
    Maps { name: String, places: Places },
    /// For each label a tensor `[rows]` or `[rows, 1]`.
    Columns { names: Vec<String> },
    /// For each head a tensor `[rows, labels]`, with the number of its labels.
    Heads { outputs: Vec<(String, usize)> },
}

/// The index of the column of each key.
#[derive(Clone)]
enum Places {
    Texts(HashMap<String, usize>),
    Integers(HashMap<i64, usize>),
}

impl Places {
    fn of_texts(keys: &[String]) -> Self {
        Self::Texts(keys.iter().enumerate().map(|(at, key)| (key.clone(), at)).collect())
    }

    /// The error is the first key that is not a whole number.
    fn of_integers(keys: &[String]) -> Result<Self, &String> {
        let keys = keys.iter().enumerate();
        let places = keys.map(|(at, key)| key.parse().map(|key| (key, at)).map_err(|_| key));
        Ok(Self::Integers(places.collect::<Result<_, _>>()?))
    }
}

impl OutputReader {
    /// Checks that the session has the outputs that the manifest names.
    pub(super) fn new(outputs: &[Outlet], manifest: &Manifest) -> Result<Self, String> {
        let form = if !manifest.heads.is_empty() {
            heads(outputs, manifest)?
        } else if manifest.onnx.columns.is_empty() {
            let output = find(outputs, &manifest.onnx.output)?;
            match output.dtype() {
                ValueType::Sequence(element) => maps(output.name(), element, manifest)?,
                _ => tensor(output, manifest)?,
            }
        } else {
            for name in &manifest.onnx.columns {
                check_numbers(find(outputs, name)?)?;
            }
            let names = manifest.onnx.columns.clone();
            Form::Columns { names }
        };
        Ok(Self {
            labels: manifest.labels.len(),
            kind: manifest.onnx.output_kind,
            form,
            winner: winner(outputs, manifest)?,
        })
    }

    /// The batch's rows, `[rows, labels]`. If the graph names the winner, each row ends with one more number, the
    /// winner's index.
    pub(super) fn read(&self, outputs: &SessionOutputs<'_>, rows: usize) -> Result<Array2<f32>, RunError> {
        let get = |name: &str| {
            let found = outputs.get(name);
            found.ok_or_else(|| RunError(format!("the output `{name}` is missing")))
        };
        let values = match &self.form {
            Form::Tensor { name } => self.rows_of(get(name)?, rows)?,
            Form::Maps { name, places } => self.mapped(get(name)?, places, rows)?,
            Form::Columns { names } => {
                let mut values = vec![0.0; rows * self.labels];
                for (at, name) in names.iter().enumerate() {
                    let (_, column) = numbers(get(name)?, |values| values == rows)?;
                    for (row, value) in column.into_iter().enumerate() {
                        values[row * self.labels + at] = value;
                    }
                }
                values
            }
            Form::Heads { outputs } => {
                let mut values = vec![0.0; rows * self.labels];
                let mut start = 0;
                for (name, labels) in outputs {
                    let (shape, of_head) = numbers(get(name)?, |values| values == rows * labels)?;
                    if shape != [rows as i64, *labels as i64] {
                        return Err(RunError(format!("the output `{name}` has the shape {shape:?}")));
                    }
                    for (row, of_row) in of_head.chunks_exact(*labels).enumerate() {
                        let at = row * self.labels + start;
                        values[at..at + labels].copy_from_slice(of_row);
                    }
                    start += labels;
                }
                values
            }
        };
        let wrong = |_| RunError(format!("the output is not one of {rows} rows"));
        let values = Array2::from_shape_vec((rows, self.labels), values).map_err(wrong)?;
        let Some((name, places)) = &self.winner else {
            return Ok(values);
        };
        let winners = Array2::from_shape_vec((rows, 1), winners(name, get(name)?, places, rows)?).map_err(wrong)?;
        ndarray::concatenate(Axis(1), &[values.view(), winners.view()]).map_err(|error| RunError(error.to_string()))
    }

    fn rows_of(&self, output: &DynValue, rows: usize) -> Result<Vec<f32>, RunError> {
        let whole = rows * self.labels;
        let (shape, values) = numbers(output, |values| values == whole || (self.labels == 2 && values == rows))?;
        let expected = [rows as i64, self.labels as i64];
        if shape == expected || (self.labels == 1 && shape == expected[..1]) {
            return Ok(values);
        }
        if self.labels == 2 && values.len() == rows && shape.first() == Some(&expected[0]) {
            return Ok(values.into_iter().flat_map(|value| self.both(value)).collect());
        }
        Err(RunError(format!(
            "the output has the shape {shape:?}, not {expected:?}"
        )))
    }

    /// Two numbers, for two labels, that say the same as one number for the second label.
    fn both(&self, value: f32) -> [f32; 2] {
        match self.kind {
            OutputKind::Probabilities => [1.0 - value, value],
            // The softmax of these two is the logistic function of the one; for an infinite one it is 0 or 1.
            OutputKind::Logits => {
                let half = value.clamp(f32::MIN, f32::MAX) / 2.0;
                [-half, half]
            }
        }
    }

    fn mapped(&self, output: &DynValue, places: &Places, expected: usize) -> Result<Vec<f32>, RunError> {
        let rows = output.try_extract_sequence::<DynMapValueType>().map_err(fail)?;
        if rows.len() != expected {
            return Err(RunError(format!("the output is not one of {expected} rows")));
        }
        let mut values = Vec::with_capacity(rows.len() * self.labels);
        for row in rows {
            let start = values.len();
            values.resize(start + self.labels, f32::NAN);
            let place = &mut values[start..];
            match places {
                Places::Texts(places) => {
                    let pairs = row.try_extract_key_values::<String, f32>().map_err(fail)?;
                    put(place, pairs.iter().map(|(key, value)| (places.get(key), *value)))?;
                }
                Places::Integers(places) => {
                    let pairs = row.try_extract_key_values::<i64, f32>().map_err(fail)?;
                    put(place, pairs.iter().map(|(key, value)| (places.get(key), *value)))?;
                }
            }
        }
        Ok(values)
    }
}

fn fail(error: ort::Error) -> RunError {
    RunError(super::words::plain(&error.to_string()))
}

fn put<'a>(row: &mut [f32], pairs: impl Iterator<Item = (Option<&'a usize>, f32)>) -> Result<(), RunError> {
    for (place, value) in pairs {
        let place = place.ok_or_else(|| RunError("the output maps a class that is none of the labels".into()))?;
        row[*place] = value;
    }
    Ok(())
}

/// The index of the label that each row's output names.
fn winners(name: &str, output: &DynValue, places: &Places, rows: usize) -> Result<Vec<f32>, RunError> {
    let shape = output.dtype().tensor_shape();
    if shape.is_none_or(|shape| shape.num_elements() != rows) {
        return Err(RunError(format!("the output `{name}` does not name one class a row")));
    }
    let place = |place: Option<&usize>| {
        let place =
            place.ok_or_else(|| RunError(format!("the output `{name}` names a class that is none of the labels")))?;
        Ok(*place as f32)
    };
    match places {
        Places::Texts(places) => {
            let (_, names) = output.try_extract_strings().map_err(fail)?;
            names.iter().map(|name| place(places.get(name))).collect()
        }
        Places::Integers(places) => {
            if let Ok((_, names)) = output.try_extract_tensor::<i32>() {
                return names.iter().map(|name| place(places.get(&i64::from(*name)))).collect();
            }
            let (_, names) = output.try_extract_tensor::<i64>().map_err(fail)?;
            names.iter().map(|name| place(places.get(name))).collect()
        }
    }
}

/// A tensor's shape and its numbers in single precision, if `fits` accepts how many there are. Other tensors are not
/// copied.
fn numbers(output: &DynValue, fits: impl Fn(usize) -> bool) -> Result<(Vec<i64>, Vec<f32>), RunError> {
    let check = |shape: &[i64], values: usize| {
        if fits(values) {
            Ok(shape.to_vec())
        } else {
            Err(RunError(format!(
                "an output has the shape {shape:?}, which is not that of the batch"
            )))
        }
    };
    if let Ok((shape, values)) = output.try_extract_tensor::<f64>() {
        let shape = check(shape, values.len())?;
        return Ok((shape, values.iter().map(|&value| value as f32).collect()));
    }
    if let Ok((shape, values)) = output.try_extract_tensor::<f16>() {
        let shape = check(shape, values.len())?;
        return Ok((shape, values.iter().map(|value| value.to_f32()).collect()));
    }
    if let Ok((shape, values)) = output.try_extract_tensor::<bf16>() {
        let shape = check(shape, values.len())?;
        return Ok((shape, values.iter().map(|value| value.to_f32()).collect()));
    }
    let (shape, values) = output.try_extract_tensor::<f32>().map_err(fail)?;
    Ok((check(shape, values.len())?, values.to_vec()))
}

fn find<'a>(outputs: &'a [Outlet], name: &str) -> Result<&'a Outlet, String> {
    outputs.iter().find(|output| output.name() == name).ok_or_else(|| {
        let found: Vec<&str> = outputs.iter().map(|output| output.name()).collect();
        format!("the model has no output `{name}`; it has {}", found.join(", "))
    })
}

fn check_numbers(output: &Outlet) -> Result<(), String> {
    match output.dtype().tensor_type() {
        Some(
            TensorElementType::Float32
            | TensorElementType::Float64
            | TensorElementType::Float16
            | TensorElementType::Bfloat16,
        ) => Ok(()),
        _ => Err(format!(
            "the output `{}` should be a tensor of f32, it is {}",
            output.name(),
            output.dtype()
        )),
    }
}

fn tensor(output: &Outlet, manifest: &Manifest) -> Result<Form, String> {
    check_numbers(output)?;
    let name = output.name();
    let labels = manifest.labels.len() as i64;
    let shape = output
        .dtype()
        .tensor_shape()
        .map(|shape| shape.to_vec())
        .unwrap_or_default();
    let fits = match shape[..] {
        [_] => labels == 2,
        [_, columns] => columns == labels || columns < 0 || (columns == 1 && labels == 2),
        _ => false,
    };
    if !fits {
        return Err(format!(
            "the output `{name}` has the shape {shape:?}, the manifest has {labels} labels"
        ));
    }
    Ok(Form::Tensor { name: name.to_owned() })
}

/// The outputs of all heads.
fn heads(outputs: &[Outlet], manifest: &Manifest) -> Result<Form, String> {
    let of_head = |head: &Head| {
        let output = find(outputs, &head.output)?;
        check_numbers(output)?;
        let (name, labels) = (output.name(), head.labels.len());
        let shape = output.dtype().tensor_shape();
        let shape = shape.map(|shape| shape.to_vec()).unwrap_or_default();
        match shape[..] {
            [_, columns] if columns == labels as i64 || columns < 0 => Ok((name.to_owned(), labels)),
            _ => Err(format!(
                "the output `{name}` has the shape {shape:?}, the head of `{}` has {labels} labels",
                head.task
            )),
        }
    };
    let outputs = manifest.heads.iter().map(of_head).collect::<Result<_, String>>()?;
    Ok(Form::Heads { outputs })
}

fn maps(name: &str, element: &ValueType, manifest: &Manifest) -> Result<Form, String> {
    let keys = if manifest.onnx.keys.is_empty() {
        &manifest.labels
    } else {
        &manifest.onnx.keys
    };
    let places = match element {
        ValueType::Map {
            key: TensorElementType::String,
            value: TensorElementType::Float32,
        } => Places::of_texts(keys),
        ValueType::Map {
            key: TensorElementType::Int64,
            value: TensorElementType::Float32,
        } => Places::of_integers(keys).map_err(|key| {
            format!("the output `{name}` maps integers, and `{key}` is none: name the classes in onnx.keys")
        })?,
        other => {
            return Err(format!(
                "the output `{name}` should map texts or integers to f32, it is a sequence of {other}"
            ));
        }
    };
    let name = name.to_owned();
    Ok(Form::Maps { name, places })
}

fn winner(outputs: &[Outlet], manifest: &Manifest) -> Result<Option<(String, Places)>, String> {
    let Some(label) = &manifest.onnx.label else {
        return Ok(None);
    };
    let name = &label.output;
    let output = find(outputs, name)?;
    let places = match output.dtype().tensor_type() {
        Some(TensorElementType::String) => Places::of_texts(&label.classes),
        Some(TensorElementType::Int64 | TensorElementType::Int32) => Places::of_integers(&label.classes)
            .map_err(|class| format!("the output `{name}` gives integers, and onnx.label.classes has `{class}`"))?,
        _ => {
            return Err(format!(
                "the output `{name}` should be a tensor of strings or integers, it is {}",
                output.dtype()
            ));
        }
    };
    Ok(Some((name.clone(), places)))
}
