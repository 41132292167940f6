//! What an ONNX file says about itself: inputs, outputs, nodes, and the files that hold its weights.
//!
//! Decodes the few fields that matter, with numbers as in `onnx.proto`; of the weights, only lists that may hold class
//! labels. Checks nothing.

use std::collections::{HashMap, HashSet};

use prost::Message;
use prost::bytes::Bytes;

use crate::model::manifest::MOST_LABELS;
use crate::model::onnx_types::{TypeProto, ValueInfoProto};
use crate::model::scan::Scan;

/// The most inputs that no weight fills: transformers have up to four, what others have is named in an error.
const MOST_INPUTS: usize = 64;
/// The most outputs: one a label, and some more.
const MOST_OUTPUTS: usize = MOST_LABELS + 64;

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
    /// The index of the first node that makes a value, by the value's name: a search for each step of a way through the
    /// graph would take hours in one of 250,000 nodes.
    makers: HashMap<String, usize>,
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
        let weights: HashSet<&str> = graph.initializer.iter().map(|weight| weight.name.as_str()).collect();
        let fed = graph
            .input
            .iter()
            .filter(|input| !weights.contains(input.name.as_str()));
        let inputs: Vec<Port> = fed.take(MOST_INPUTS + 1).map(ValueInfoProto::port).collect();
        for (count, most, what) in [
            (inputs.len(), MOST_INPUTS, "inputs"),
            (graph.output.len(), MOST_OUTPUTS, "outputs"),
        ] {
            if count > most {
                return Err(format!("its graph has more than {most} {what}"));
            }
        }
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
        let mut makers = HashMap::new();
        for (at, node) in graph.node.iter().enumerate() {
            for value in &node.output {
                makers.entry(value.clone()).or_insert(at);
            }
        }
        Ok(Self {
            inputs,
            outputs,
            makers,
            external: scan.external,
            lists: graph.initializer.iter().filter_map(TensorProto::list).collect(),
            nodes: graph.node,
        })
    }

    pub fn output(&self, name: &str) -> Option<&Port> {
        self.outputs.iter().find(|output| output.name == name)
    }

    /// The node that makes this value.
    pub fn making(&self, value: &str) -> Option<&Node> {
        self.nodes.get(*self.makers.get(value)?)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::onnx_types::{DimensionProto, ShapeProto, TensorTypeProto};

    fn port(name: &str, sizes: &[i64]) -> ValueInfoProto {
        let dim = sizes.iter().map(|&size| DimensionProto {
            dim_value: Some(size),
            dim_param: None,
        });
        let shape = Some(ShapeProto { dim: dim.collect() });
        ValueInfoProto {
            name: name.to_owned(),
            r#type: Some(TypeProto {
                tensor_type: Some(TensorTypeProto { elem_type: 1, shape }),
                ..TypeProto::default()
            }),
        }
    }

    fn ports(count: usize) -> Vec<ValueInfoProto> {
        (0..count).map(|at| port(&at.to_string(), &[])).collect()
    }

    fn read(graph: GraphProto) -> Result<Graph, String> {
        let kept = ModelProto { graph: Some(graph) }.encode_to_vec();
        Graph::read(Scan {
            kept,
            ..Scan::default()
        })
    }

    #[test]
    fn inputs_and_outputs_have_a_bound_weights_do_not_count() {
        let weight = |at: usize| TensorProto {
            name: at.to_string(),
            ..TensorProto::default()
        };
        let with = |inputs, weights, outputs| {
            let graph = read(GraphProto {
                input: ports(inputs),
                initializer: (0..weights).map(weight).collect(),
                output: ports(outputs),
                ..GraphProto::default()
            });
            graph.map(|graph| (graph.inputs.len(), graph.outputs.len()))
        };
        assert_eq!(with(MOST_INPUTS, 0, MOST_OUTPUTS), Ok((MOST_INPUTS, MOST_OUTPUTS)));
        // As many comparisons as both together, not as their product.
        assert_eq!(with(200_000, 200_000 - 3, 1), Ok((3, 1)));
        let refused = |what: &str, most: usize| Err(format!("its graph has more than {most} {what}"));
        assert_eq!(with(MOST_INPUTS + 1, 0, 1), refused("inputs", MOST_INPUTS));
        assert_eq!(with(1, 0, MOST_OUTPUTS + 1), refused("outputs", MOST_OUTPUTS));
    }

    #[test]
    fn what_inputs_and_outputs_say_has_a_bound() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("model.onnx");
        // Two bytes a size.
        for (sizes, fits) in [(1 << 20, true), (3 << 20, false)] {
            let mut sizes = port("a", &vec![0; sizes]);
            let tensor = sizes.r#type.as_mut().and_then(|kind| kind.tensor_type.as_mut());
            let shape = tensor.and_then(|tensor| tensor.shape.as_mut()).expect("a shape");
            shape.dim.iter_mut().for_each(|dim| dim.dim_value = None);
            let graph = GraphProto {
                input: vec![sizes],
                ..GraphProto::default()
            };
            std::fs::write(&path, ModelProto { graph: Some(graph) }.encode_to_vec()).expect("written");
            let refused = crate::model::scan::file(&path, true).err();
            let told = "its inputs and outputs take more than 4 MiB".to_owned();
            assert_eq!(refused, (!fits).then_some(told));
        }
    }

    #[test]
    fn a_way_through_many_nodes_is_as_long_as_they_are_many() {
        const NODES: usize = 200_000;
        let node = |at: usize| Node {
            input: vec![(at + 1).to_string()],
            output: vec![at.to_string()],
            op_type: "Identity".to_owned(),
            attribute: Vec::new(),
        };
        let graph = read(GraphProto {
            node: (0..NODES).map(node).collect(),
            ..GraphProto::default()
        });
        let graph = graph.expect("read");
        assert_eq!(graph.classes_of("0"), None);
        assert!(graph.maker_of("0").is_none());
        assert!(graph.has_path("Identity", &["Identity"]));
        let last = graph.making(&(NODES - 1).to_string()).expect("made");
        assert_eq!(last.input, [NODES.to_string()]);
    }
}
