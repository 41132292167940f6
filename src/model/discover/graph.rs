//! What an ONNX file says about itself: inputs, outputs, nodes, and the files that hold its weights.
//!
//! Decodes the few fields that matter, with numbers as in `onnx.proto`; of the weights, only lists that may hold class
//! labels. Checks nothing.

use std::collections::HashMap;

use prost::Message;
use prost::bytes::Bytes;

use crate::model::manifest::MOST_LABELS;
use crate::model::onnx_types::{TypeProto, ValueInfoProto};
use crate::model::scan::Scan;

/// A graph as its file describes it.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    /// Its inputs, without initializers.
    pub inputs: Vec<Port>,
    pub outputs: Vec<Port>,
    /// Its nodes, without those of the graphs inside them.
    pub nodes: Vec<Node>,
    /// The `location` of each file that holds weights, without repeats, in the order of the names.
    pub external: Vec<String>,
    /// Its constant lists of strings and of whole numbers (in decimal form), by name.
    pub lists: HashMap<String, Vec<String>>,
}

/// An input or an output.
#[derive(Clone, Debug, PartialEq)]
pub struct Port {
    pub name: String,
    /// What it holds.
    pub kind: PortKind,
    /// The size of each dimension; `None` where any size will do.
    pub shape: Vec<Option<i64>>,
}

/// What an input or an output holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortKind {
    /// A tensor.
    Tensor(Element),
    /// A list of maps: what scikit-learn exports with ZipMap give for probabilities.
    ListOfMaps,
    /// Anything else.
    Other,
}

/// The type of a tensor's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Element {
    F32,
    F64,
    /// 16-bit floats, IEEE or bfloat.
    F16,
    Bool,
    I32,
    I64,
    Text,
    /// Anything else, by its number in `onnx.proto`.
    Other(i32),
}

impl Port {
    pub fn is_text(&self) -> bool {
        self.kind == PortKind::Tensor(Element::Text)
    }
}

impl Graph {
    /// Decodes what a walk kept of a file. The error is a part of a line.
    pub fn read(scan: Scan) -> Result<Self, String> {
        let model = ModelProto::decode(Bytes::from(scan.kept))
            .map_err(|_| "is not an ONNX file, or a part of it is missing".to_owned())?;
        let graph = model.graph.ok_or("is not an ONNX file: it has no graph")?;
        let fed = graph
            .input
            .iter()
            .filter(|input| graph.initializer.iter().all(|weight| weight.name != input.name));
        let outputs: Vec<Port> = graph.output.iter().map(ValueInfoProto::port).collect();
        for Port { name, shape, .. } in &outputs {
            if let [_, Some(columns)] = shape[..]
                && columns > MOST_LABELS as i64
            {
                return Err(format!(
                    "its output `{name}` has {columns} columns, the most is {MOST_LABELS}"
                ));
            }
        }
        Ok(Self {
            inputs: fed.map(ValueInfoProto::port).collect(),
            outputs,
            external: scan.external,
            lists: graph.initializer.iter().filter_map(TensorProto::list).collect(),
            nodes: graph.node,
        })
    }

    pub fn output(&self, name: &str) -> Option<&Port> {
        self.outputs.iter().find(|output| output.name == name)
    }
}

#[derive(Clone, PartialEq, Message)]
struct ModelProto {
    #[prost(message, optional, tag = "7")]
    graph: Option<GraphProto>,
}

/// A graph as it is in the file; inside a node's attributes, the body of a loop or a branch.
#[derive(Clone, PartialEq, Message)]
pub struct GraphProto {
    #[prost(message, repeated, tag = "1")]
    node: Vec<Node>,
    #[prost(message, repeated, tag = "5")]
    initializer: Vec<TensorProto>,
    #[prost(message, repeated, tag = "11")]
    input: Vec<ValueInfoProto>,
    #[prost(message, repeated, tag = "12")]
    output: Vec<ValueInfoProto>,
}

/// An operation of a graph.
#[derive(Clone, PartialEq, Message)]
pub struct Node {
    /// The names of its inputs.
    #[prost(string, repeated, tag = "1")]
    pub input: Vec<String>,
    /// The names of its outputs.
    #[prost(string, repeated, tag = "2")]
    pub output: Vec<String>,
    /// The name of its operator.
    #[prost(string, tag = "4")]
    pub op_type: String,
    #[prost(message, repeated, tag = "5")]
    pub attribute: Vec<Attribute>,
}

/// An attribute of a node.
#[derive(Clone, PartialEq, Message)]
pub struct Attribute {
    #[prost(string, tag = "1")]
    pub name: String,
    /// Its value, if that is a whole number.
    #[prost(int64, tag = "3")]
    pub i: i64,
    /// Its value, if that is a string.
    #[prost(bytes = "vec", tag = "4")]
    pub s: Vec<u8>,
    /// Its value, if that is a list of whole numbers.
    #[prost(int64, repeated, tag = "8")]
    pub ints: Vec<i64>,
    /// Its value, if that is a list of strings.
    #[prost(bytes = "vec", repeated, tag = "9")]
    pub strings: Vec<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
struct TensorProto {
    #[prost(int64, repeated, tag = "1")]
    dims: Vec<i64>,
    #[prost(int32, tag = "2")]
    data_type: i32,
    #[prost(int32, repeated, tag = "5")]
    int32_data: Vec<i32>,
    #[prost(bytes = "bytes", repeated, tag = "6")]
    string_data: Vec<Bytes>,
    #[prost(int64, repeated, tag = "7")]
    int64_data: Vec<i64>,
    #[prost(string, tag = "8")]
    name: String,
    #[prost(bytes = "bytes", tag = "9")]
    raw_data: Bytes,
}

impl Node {
    pub fn attribute(&self, name: &str) -> Option<&Attribute> {
        self.attribute.iter().find(|attribute| attribute.name == name)
    }
}

impl TensorProto {
    /// Its name and its values, if it is a constant list of strings or of whole numbers.
    fn list(&self) -> Option<(String, Vec<String>)> {
        if self.dims.len() != 1 {
            return None;
        }
        let (wide, _) = self.raw_data.as_chunks::<8>();
        let (narrow, _) = self.raw_data.as_chunks::<4>();
        let values = match element(self.data_type) {
            Element::Text => texts(&self.string_data),
            Element::I64 if self.raw_data.is_empty() => decimal(&self.int64_data),
            Element::I64 => decimal(wide.iter().map(|bytes| i64::from_le_bytes(*bytes))),
            Element::I32 if self.raw_data.is_empty() => decimal(&self.int32_data),
            Element::I32 => decimal(narrow.iter().map(|bytes| i32::from_le_bytes(*bytes))),
            _ => return None,
        };
        Some((self.name.clone(), values))
    }
}

/// Byte strings as texts.
pub(super) fn texts(strings: &[impl AsRef<[u8]>]) -> Vec<String> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    strings.iter().map(|bytes| text(bytes.as_ref())).collect()
}

/// Numbers as texts.
pub(super) fn decimal(numbers: impl IntoIterator<Item = impl ToString>) -> Vec<String> {
    numbers.into_iter().map(|number| number.to_string()).collect()
}

impl ValueInfoProto {
    fn port(&self) -> Port {
        let nothing = TypeProto::default();
        let kind = self.r#type.as_ref().unwrap_or(&nothing);
        let shape = kind.tensor_type.as_ref().and_then(|tensor| tensor.shape.as_ref());
        Port {
            name: self.name.clone(),
            kind: match kind {
                TypeProto {
                    tensor_type: Some(tensor),
                    ..
                } => PortKind::Tensor(element(tensor.elem_type)),
                TypeProto {
                    sequence_type: Some(list),
                    ..
                } if list
                    .elem_type
                    .as_ref()
                    .is_some_and(|element| element.map_type.is_some()) =>
                {
                    PortKind::ListOfMaps
                }
                _ => PortKind::Other,
            },
            shape: shape.map_or_else(Vec::new, |shape| {
                shape
                    .dim
                    .iter()
                    .map(|dim| dim.dim_value.filter(|&size| size > 0))
                    .collect()
            }),
        }
    }
}

fn element(number: i32) -> Element {
    match number {
        1 => Element::F32,
        6 => Element::I32,
        7 => Element::I64,
        8 => Element::Text,
        9 => Element::Bool,
        10 | 16 => Element::F16,
        11 => Element::F64,
        other => Element::Other(other),
    }
}
