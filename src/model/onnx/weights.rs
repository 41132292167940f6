//! One copy of a model's weights for all its sessions.
//!
//! ONNX Runtime reads a copy of its own for each session. What is given to a session as an initializer is used where it
//! lies; what the kernels make of it (packed matrices) is shared only for such weights, by way of a container. So the
//! large weights are read here, once, from the same file. The sessions keep them alive: nothing is borrowed.

use std::path::Path;
use std::sync::Arc;

use ort::session::builder::{PrepackedWeights, SessionBuilder};
use ort::value::{DynValue, PrimitiveTensorElementType, Tensor};
use prost::Message;
use prost::bytes::Bytes;

/// Smaller weights are not worth sharing.
const SMALLEST: usize = 4096;

/// The large weights of a model, and what kernels packed of them; cheap to clone.
#[derive(Clone)]
pub struct SharedWeights {
    weights: Arc<Vec<(String, Arc<DynValue>)>>,
    packed: PrepackedWeights,
}

impl SharedWeights {
    /// Reads the large weights that lie inside an ONNX file; those in files of their own are mapped by ONNX Runtime.
    /// Nothing if there are none, or if the file can't be read: what is wrong with it, ONNX Runtime says better.
    pub fn read(path: &Path) -> Option<Self> {
        let file = Bytes::from(std::fs::read(path).ok()?);
        let graph = ModelProto::decode(file).ok()?.graph?;
        let weights: Vec<_> = graph.initializer.into_iter().filter_map(TensorProto::lend).collect();
        (!weights.is_empty()).then(|| Self {
            weights: Arc::new(weights),
            packed: PrepackedWeights::new(),
        })
    }

    /// Lets a session use them instead of its own.
    pub(super) fn lend_to(&self, mut builder: SessionBuilder) -> Result<SessionBuilder, ort::Error> {
        for (name, value) in self.weights.iter() {
            builder = builder.with_initializer(name, Arc::clone(value))?;
        }
        Ok(builder.with_prepacked_weights(&self.packed)?)
    }
}

/// The fields of an ONNX file that matter here; numbers as in `onnx.proto`. Byte strings are parts of the file's bytes.
#[derive(Clone, PartialEq, Message)]
struct ModelProto {
    #[prost(message, optional, tag = "7")]
    graph: Option<GraphProto>,
}

#[derive(Clone, PartialEq, Message)]
struct GraphProto {
    #[prost(message, repeated, tag = "5")]
    initializer: Vec<TensorProto>,
}

#[derive(Clone, PartialEq, Message)]
struct TensorProto {
    #[prost(int64, repeated, tag = "1")]
    dims: Vec<i64>,
    #[prost(int32, tag = "2")]
    data_type: i32,
    #[prost(string, tag = "8")]
    name: String,
    #[prost(bytes = "bytes", tag = "9")]
    raw_data: Bytes,
}

impl TensorProto {
    /// The weight as a value that sessions can use; nothing for small ones and for types that few models have.
    fn lend(self) -> Option<(String, Arc<DynValue>)> {
        if self.raw_data.len() < SMALLEST {
            return None;
        }
        let raw = &self.raw_data;
        let value = match self.data_type {
            1 => tensor(self.dims, raw, f32::from_le_bytes),
            2 => tensor(self.dims, raw, u8::from_le_bytes),
            3 => tensor(self.dims, raw, i8::from_le_bytes),
            _ => None,
        }?;
        Some((self.name, Arc::new(value)))
    }
}

fn tensor<const N: usize, T>(dims: Vec<i64>, raw: &[u8], read: impl Fn([u8; N]) -> T) -> Option<DynValue>
where
    T: PrimitiveTensorElementType + Clone + std::fmt::Debug + 'static,
{
    let (elements, rest) = raw.as_chunks::<N>();
    if !rest.is_empty() {
        return None;
    }
    let values: Vec<T> = elements.iter().map(|&element| read(element)).collect();
    Tensor::from_array((dims, values)).ok().map(Tensor::into_dyn)
}
