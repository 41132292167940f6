//! One copy of a model's weights for all its sessions.
//!
//! By default each session of ONNX Runtime reads a copy of its own. A weight that a session is given as an initializer
//! is used where it lies, and what kernels make of such weights (packed matrices) is shared through a container. So the
//! large weights are read here, once, from the same bytes. The sessions keep them alive: nothing is borrowed.

use std::sync::Arc;

use ort::session::builder::{PrepackedWeights, SessionBuilder};
use ort::value::{DynValue, PrimitiveTensorElementType, Tensor};
use prost::Message;
use prost::bytes::Bytes;

use super::bytes::OnnxBytes;

/// Smaller weights, in bytes, are not worth sharing.
const SMALLEST: usize = 4096;
/// The value of a tensor's `data_location` if its values are in another file.
const EXTERNAL: i32 = 1;

/// The large weights of a model, and what kernels made of them; cheap to clone.
#[derive(Clone)]
pub struct SharedWeights {
    weights: Arc<Vec<(String, Arc<DynValue>)>>,
    packed: PrepackedWeights,
}

impl SharedWeights {
    /// Takes the large weights out of an ONNX file and the files with its weights. `None` if there are none, or if the
    /// file can't be decoded: ONNX Runtime has the better error message.
    pub fn read(bytes: &OnnxBytes) -> Option<Self> {
        let graph = ModelProto::decode(bytes.model.clone()).ok()?.graph?;
        let lend = |tensor: TensorProto| tensor.lend(bytes);
        let weights: Vec<_> = graph.initializer.into_iter().filter_map(lend).collect();
        (!weights.is_empty()).then(|| Self {
            weights: Arc::new(weights),
            packed: PrepackedWeights::new(),
        })
    }

    /// Makes a session use these weights and not its own.
    pub(super) fn lend_to(&self, mut builder: SessionBuilder) -> Result<SessionBuilder, ort::Error> {
        for (name, value) in self.weights.iter() {
            builder = builder.with_initializer(name, Arc::clone(value))?;
        }
        Ok(builder.with_prepacked_weights(&self.packed)?)
    }
}

/// The fields of an ONNX file that matter here, with numbers as in `onnx.proto`. Byte strings are slices of the file's
/// bytes.
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
    #[prost(message, repeated, tag = "13")]
    external_data: Vec<Place>,
    #[prost(int32, tag = "14")]
    data_location: i32,
}

/// One fact, by name, about the place of a tensor's values.
#[derive(Clone, PartialEq, Message)]
struct Place {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(string, tag = "2")]
    value: String,
}

impl TensorProto {
    /// The weight as a value that sessions can use; `None` for small weights and for types that few models have.
    fn lend(self, bytes: &OnnxBytes) -> Option<(String, Arc<DynValue>)> {
        let raw = self.raw(bytes)?;
        if raw.len() < SMALLEST {
            return None;
        }
        let value = match self.data_type {
            1 => tensor(&self.dims, raw, f32::from_le_bytes),
            2 => tensor(&self.dims, raw, u8::from_le_bytes),
            3 => tensor(&self.dims, raw, i8::from_le_bytes),
            _ => None,
        }?;
        Some((self.name, Arc::new(value)))
    }
}

impl TensorProto {
    /// The weight's values as they are in the file, or in the file with weights; `None` if it holds them in another
    /// form.
    fn raw<'a>(&'a self, bytes: &'a OnnxBytes) -> Option<&'a [u8]> {
        if self.data_location != EXTERNAL {
            return Some(&self.raw_data);
        }
        let value = |key: &str| {
            self.external_data
                .iter()
                .rfind(|place| place.key == key)
                .map(|place| place.value.as_str())
        };
        let file = bytes.beside(value("location")?)?;
        let number = |key: &str| value(key).map_or(Some(0), |number| number.parse::<usize>().ok());
        let (from, length) = (number("offset")?, number("length")?);
        file.get(from..from.checked_add(length)?)
    }
}

fn tensor<const N: usize, T>(dims: &[i64], raw: &[u8], read: impl Fn([u8; N]) -> T) -> Option<DynValue>
where
    T: PrimitiveTensorElementType + Clone + std::fmt::Debug + 'static,
{
    let (elements, rest) = raw.as_chunks::<N>();
    if !rest.is_empty() {
        return None;
    }
    // A shape that promises more values than there are, ONNX Runtime refuses.
    let promised = dims
        .iter()
        .try_fold(1_usize, |all, &dim| all.checked_mul(usize::try_from(dim).ok()?));
    if promised != Some(elements.len()) {
        return None;
    }
    let values: Vec<T> = elements.iter().map(|&element| read(element)).collect();
    Tensor::from_array((dims.to_vec(), values)).ok().map(Tensor::into_dyn)
}
