//! Tensors of a request: the texts in its inputs, and the outputs that it asks for. Each fault is told by the name of
//! its tensor. What a text may be, `service/pipeline/validate.rs` checks.

use super::binary;
use super::request::{Elements, InputTensor, MAX_TENSORS, Parameter, RequestedOutput, quoted};
use crate::error::Error;
use crate::service::pipeline::validate::too_many_texts;

/// The tensor of texts.
pub const TEXT: &str = "text";
/// The tensor of the second texts of pairs.
pub const TEXT_PAIR: &str = "text_pair";
/// The datatype of texts.
pub const BYTES: &str = "BYTES";
/// The datatype of numbers.
pub const FP32: &str = "FP32";

/// The texts of a request, and their pairs if there are any.
pub type Texts = (Vec<String>, Vec<String>);

/// Reads the inputs of a request of at most `max_texts` texts.
pub fn texts(inputs: Vec<InputTensor>, max_texts: usize) -> Result<Texts, Error> {
    check_count("inputs", inputs.len())?;
    let (mut texts, mut pairs) = (None, None);
    for (at, input) in inputs.into_iter().enumerate() {
        let (name, place) = match input.name.as_str() {
            TEXT => (TEXT, &mut texts),
            TEXT_PAIR => (TEXT_PAIR, &mut pairs),
            other => {
                let problem = format!("{} is no input; there are {TEXT} and {TEXT_PAIR}", quoted(other));
                return Err(Error::invalid_field(format!("inputs[{at}].name"), problem));
            }
        };
        if place.is_some() {
            return Err(Error::invalid_field(
                format!("inputs[{at}].name"),
                format!("`{name}` is given twice"),
            ));
        }
        *place = Some(texts_of(input, name, max_texts)?);
    }
    let texts = texts.ok_or_else(|| Error::invalid_field("inputs", format!("`{TEXT}` is missing")))?;
    Ok((texts, pairs.unwrap_or_default()))
}

fn check_count(list: &str, count: usize) -> Result<(), Error> {
    if count <= MAX_TENSORS {
        return Ok(());
    }
    let problem = format!("holds more than {MAX_TENSORS} tensors, the limit is {MAX_TENSORS}");
    Err(Error::invalid_field(list, problem))
}

fn texts_of(input: InputTensor, name: &str, max_texts: usize) -> Result<Vec<String>, Error> {
    check_parameters(&input, name)?;
    if input.datatype != BYTES {
        let problem = format!("is {}, it must be {BYTES}", quoted(&input.datatype));
        return Err(Error::invalid_field(format!("{name}.datatype"), problem));
    }
    let count = count_of(&input.shape, name)?;
    if count > max_texts {
        return Err(Error::invalid_field(name, too_many_texts(max_texts)));
    }
    match input.elements {
        Elements::Raw(bytes) => binary::read_texts(&bytes, count, name),
        Elements::Typed(items) if items.len() == count => {
            let texts = items.into_iter().enumerate();
            texts.map(|(at, item)| binary::text_of(item, name, at)).collect()
        }
        // It does not say how many there are: reading stops soon after the limit.
        Elements::Typed(items) => {
            let found = if items.len() > count { "more" } else { "fewer" };
            let problem = format!("its shape says {count} texts, its contents hold {found}");
            Err(Error::invalid_field(name, problem))
        }
        Elements::Missing if count == 0 => Ok(Vec::new()),
        Elements::Missing => {
            let problem = format!("its shape says {count} texts, there are none");
            Err(Error::invalid_field(name, problem))
        }
        Elements::Other(field) => {
            let problem = format!("its elements are in {field}, those of {BYTES} must be in bytes_contents");
            Err(Error::invalid_field(name, problem))
        }
    }
}

/// An input has no parameters, but for the size of its piece of bytes, which KServe's client says over gRPC too.
fn check_parameters(input: &InputTensor, name: &str) -> Result<(), Error> {
    for (parameter, value) in &input.parameters {
        let (field, problem) = match (parameter.as_str(), &input.elements) {
            ("binary_data_size", Elements::Raw(bytes)) => {
                if matches!(value, Parameter::Whole(size) if usize::try_from(*size) == Ok(bytes.len())) {
                    continue;
                }
                let problem = format!("must be the size of its piece, which has {} bytes", bytes.len());
                (format!("{name}.parameters.binary_data_size"), problem)
            }
            _ => {
                let problem = format!("{} is not known; an input has no parameters", quoted(parameter));
                (format!("{name}.parameters"), problem)
            }
        };
        return Err(Error::invalid_field(field, problem));
    }
    Ok(())
}

/// The number of texts that a shape says.
fn count_of(shape: &[i64], name: &str) -> Result<usize, Error> {
    let at_fault = |problem: String| Err(Error::invalid_field(format!("{name}.shape"), problem));
    if let Some(negative) = shape.iter().find(|&&size| size < 0) {
        return at_fault(format!("holds {negative}, a dimension must not be negative"));
    }
    match *shape {
        [count] | [count, 1] => Ok(usize::try_from(count).unwrap_or(usize::MAX)),
        [_, columns] => at_fault(format!("has {columns} columns, it must be [N] or [N, 1] for N texts")),
        [] => at_fault("is missing, it must be [N] or [N, 1] for N texts".to_owned()),
        _ => at_fault("has more than 2 dimensions, it must be [N] or [N, 1] for N texts".to_owned()),
    }
}

/// An output that a model can give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// The winning label of each text.
    Label,
    /// Its probability.
    Score,
    /// The probability of each label, for each text.
    Probabilities,
    /// The value that a regression model gives for each text.
    Value,
}

impl Output {
    /// What a classifier gives.
    pub const OF_CLASSIFIERS: [Self; 3] = [Self::Label, Self::Score, Self::Probabilities];
    /// What a regression model gives.
    pub const OF_REGRESSIONS: [Self; 1] = [Self::Value];

    pub fn name(self) -> &'static str {
        match self {
            Self::Label => "label",
            Self::Score => "score",
            Self::Probabilities => "probabilities",
            Self::Value => "value",
        }
    }

    pub fn datatype(self) -> &'static str {
        match self {
            Self::Label => BYTES,
            Self::Score | Self::Probabilities | Self::Value => FP32,
        }
    }
}

/// An output to be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    pub output: Output,
    /// Whether it should be in binary, if the request says so.
    pub binary: Option<bool>,
}

/// The outputs that a request asks for, of those that its model has; all of them if it names none.
pub fn wanted(requested: &[RequestedOutput], has: &[Output]) -> Result<Vec<Wanted>, Error> {
    if requested.is_empty() {
        let all = has.iter().map(|&output| Wanted { output, binary: None });
        return Ok(all.collect());
    }
    check_count("outputs", requested.len())?;
    let mut wanted: Vec<Wanted> = Vec::with_capacity(requested.len());
    for (at, asked) in requested.iter().enumerate() {
        let place = || format!("outputs[{at}].name");
        let Some(&output) = has.iter().find(|output| output.name() == asked.name) else {
            let known: Vec<&str> = has.iter().map(|output| output.name()).collect();
            let problem = format!(
                "{} is no output of this model; there are {}",
                quoted(&asked.name),
                known.join(", ")
            );
            return Err(Error::invalid_field(place(), problem));
        };
        if wanted.iter().any(|known| known.output == output) {
            return Err(Error::invalid_field(
                place(),
                format!("`{}` is asked for twice", output.name()),
            ));
        }
        let binary = binary_of(asked)?;
        wanted.push(Wanted { output, binary });
    }
    Ok(wanted)
}

/// Reads the parameters of an output. Clients of Triton may say `classification` 0, which asks for nothing.
fn binary_of(asked: &RequestedOutput) -> Result<Option<bool>, Error> {
    let mut binary = None;
    for (name, value) in &asked.parameters {
        match (name.as_str(), value) {
            ("binary_data", Parameter::Truth(truth)) => binary = Some(*truth),
            ("classification", Parameter::Whole(0)) => {}
            _ => {
                let problem = format!(
                    "{} is not offered with this value; an output takes binary_data, true or false",
                    quoted(name)
                );
                let field = format!("{}.parameters", asked.name);
                return Err(Error::invalid_field(field, problem));
            }
        }
    }
    Ok(binary)
}
