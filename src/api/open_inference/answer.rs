//! Answers to tensors: the outputs that a request asked for, in its order.

use super::names::Named;
use super::parameters::Options;
use super::tensors::{Output, Wanted};
use crate::api::scores::LabelOrder;
use crate::api::target_name::TargetName;
use crate::error::Error;
use crate::service::messages::{PredictOutput, Prediction};

/// The answer to a request.
#[derive(Debug, PartialEq)]
pub struct Answer {
    /// The name that was asked.
    pub model_name: String,
    /// The version that answered; empty for a task.
    pub model_version: String,
    pub id: String,
    /// The models that took part, such as `sentiment-fast@1,sentiment-deep@1`.
    pub models: String,
    pub outputs: Vec<OutputTensor>,
    /// How many texts were answered from the cache; absent where it is off.
    pub cache_hits: Option<usize>,
}

/// A tensor of an answer.
#[derive(Debug, PartialEq)]
pub struct OutputTensor {
    pub output: Output,
    pub shape: Vec<usize>,
    pub data: Data,
    /// The labels of its columns, as a JSON list, if it has columns.
    pub labels: Option<String>,
    /// Whether it is sent in binary over REST.
    pub binary: bool,
}

/// The elements of a tensor.
#[derive(Debug, PartialEq)]
pub enum Data {
    Texts(Vec<String>),
    Numbers(Vec<f32>),
}

/// The tensors of an answer.
pub fn of(
    named: &Named,
    wanted: &[Wanted],
    options: Options,
    id: String,
    mut output: PredictOutput,
) -> Result<Answer, Error> {
    let models = output.models.iter();
    let models: Vec<String> = models
        .map(|model| format!("{}@{}", model.name, model.version))
        .collect();
    let version = match (&named.target, &output.models[..]) {
        (TargetName::Model(_), [model]) => model.version.to_string(),
        _ => String::new(),
    };
    let tensors = wanted.iter().map(|wanted| {
        let binary = wanted.binary.unwrap_or(options.binary_outputs);
        tensor(wanted.output, binary, &named.labels, &mut output.predictions)
    });
    Ok(Answer {
        model_name: named.name.clone(),
        model_version: version,
        id,
        models: models.join(","),
        outputs: tensors.collect::<Result<_, _>>()?,
        cache_hits: output.cache_hits,
    })
}

fn tensor(
    output: Output,
    binary: bool,
    labels: &[String],
    predictions: &mut [Prediction],
) -> Result<OutputTensor, Error> {
    let numbers = |number: fn(&Prediction) -> f32| Data::Numbers(predictions.iter().map(number).collect());
    let rows = predictions.len();
    let (shape, data, labels) = match output {
        Output::Score => (vec![rows], numbers(|prediction| prediction.confidence), None),
        Output::Value => (
            vec![rows],
            numbers(|prediction| prediction.value.unwrap_or(f32::NAN)),
            None,
        ),
        Output::Label => {
            let labels = predictions.iter_mut();
            let labels = labels.map(|prediction| std::mem::take(&mut prediction.label));
            (vec![rows], Data::Texts(labels.collect()), None)
        }
        Output::Probabilities => {
            let order = LabelOrder::new(labels);
            let mut numbers = Vec::with_capacity(rows * labels.len());
            for prediction in predictions.iter() {
                numbers.extend(order.sort(&prediction.scores)?);
            }
            let list = serde_json::to_string(labels).map_err(|_| Error::internal())?;
            (vec![rows, labels.len()], Data::Numbers(numbers), Some(list))
        }
    };
    Ok(OutputTensor {
        output,
        shape,
        data,
        labels,
        binary,
    })
}
