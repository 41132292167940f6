//! What is told of a name: its versions, the tensors that it takes and gives, and its labels.

use super::names;
use super::tensors::{BYTES, Output, TEXT, TEXT_PAIR};
use crate::api::door::Door;
use crate::error::Error;

/// What is told of a name.
pub struct Description {
    pub name: String,
    /// The loaded versions of a model; none of a task.
    pub versions: Vec<String>,
    pub inputs: Vec<Tensor>,
    pub outputs: Vec<Tensor>,
    /// The labels of the columns of probabilities, as a JSON list.
    pub labels: String,
    /// The most texts of a request.
    pub max_texts: usize,
}

/// A tensor that a model takes or gives: a row for each text.
pub struct Tensor {
    pub name: &'static str,
    pub datatype: &'static str,
    /// How many numbers there are in a row, if it is more than the one element.
    pub columns: Option<i64>,
    /// Whether a request may leave it out.
    pub optional: bool,
}

impl Tensor {
    /// Its dimensions, with -1 for the number of texts.
    pub fn shape(&self) -> Vec<i64> {
        std::iter::once(-1).chain(self.columns).collect()
    }
}

/// Describes what a name stands for.
pub fn describe(door: &Door, name: &str, version: &str) -> Result<Description, Error> {
    let named = names::find(&door.service, name, version)?;
    let input = |name, optional| Tensor {
        name,
        datatype: BYTES,
        columns: None,
        optional,
    };
    let labels = &named.labels;
    let output = |output: &Output| Tensor {
        name: output.name(),
        datatype: output.datatype(),
        columns: (*output == Output::Probabilities).then(|| i64::try_from(labels.len()).unwrap_or(i64::MAX)),
        optional: false,
    };
    let pairs = named.takes_pairs().then(|| input(TEXT_PAIR, true));
    Ok(Description {
        versions: named.version_names(&door.service),
        inputs: std::iter::once(input(TEXT, false)).chain(pairs).collect(),
        outputs: named.outputs().iter().map(output).collect(),
        labels: serde_json::to_string(labels).map_err(|_| Error::internal())?,
        max_texts: door.context.limits.max_texts,
        name: named.name,
    })
}
