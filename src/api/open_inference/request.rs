//! A request of the Open Inference Protocol, whatever it came by. Nothing of it is checked yet, but that it is bounded.

use bytes::Bytes;

use crate::api::convert::held_bytes;

/// The most tensors in a list that are read: more than there are names for.
pub const MAX_TENSORS: usize = 16;
/// The most dimensions of a tensor that are read.
pub const MAX_DIMENSIONS: usize = 16;
/// The most parameters in one place that are read.
pub const MAX_PARAMETERS: usize = 64;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct InferRequest {
    pub model_name: String,
    /// The version; empty for the one that serves.
    pub model_version: String,
    pub id: String,
    pub parameters: Vec<(String, Parameter)>,
    pub inputs: Vec<InputTensor>,
    /// The outputs that are asked for; none for all.
    pub outputs: Vec<RequestedOutput>,
}

/// A tensor of a request.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct InputTensor {
    pub name: String,
    pub datatype: String,
    pub shape: Vec<i64>,
    pub parameters: Vec<(String, Parameter)>,
    pub elements: Elements,
}

/// The elements of a tensor.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Elements {
    /// There are none.
    #[default]
    Missing,
    /// One by one.
    Typed(Vec<Vec<u8>>),
    /// In one piece, each after its length.
    Raw(Bytes),
    /// In the field for another datatype, which this names.
    Other(&'static str),
}

/// An output that a request asks for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RequestedOutput {
    pub name: String,
    pub parameters: Vec<(String, Parameter)>,
}

/// The value of a parameter.
#[derive(Clone, Debug, PartialEq)]
pub enum Parameter {
    /// Not given.
    Missing,
    Truth(bool),
    Whole(i64),
    /// A whole number past the largest of `Whole`.
    Large,
    Number(f64),
    Text(String),
}

/// A name from the network as an error quotes it: cut, and in one line.
pub fn quoted(name: &str) -> String {
    const MOST: usize = 80;
    let cut = &name[..name.floor_char_boundary(MOST)];
    format!("`{}`", cut.replace(char::is_control, "\u{fffd}"))
}

/// The RAM that elements take besides the message that they came in, once they are texts.
pub fn held_by(inputs: &[InputTensor]) -> usize {
    inputs.iter().map(InputTensor::held).sum()
}

impl InputTensor {
    fn held(&self) -> usize {
        match &self.elements {
            Elements::Missing | Elements::Other(_) => 0,
            Elements::Typed(items) => items.iter().map(|item| held_bytes(1, item.capacity())).sum(),
            // Both forms at once; as many texts as the shape says, each after a length of four bytes.
            Elements::Raw(bytes) => {
                let said = self.shape.first().and_then(|&count| usize::try_from(count).ok());
                let texts = said.unwrap_or_default().min(bytes.len() / 4);
                bytes.len() + held_bytes(texts, bytes.len())
            }
        }
    }
}
