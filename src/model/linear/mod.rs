//! The linear model that `tandem train` makes, as numbers: [`weights`]; as an ONNX file, written and recognised: [`graph`];
//! and run without ONNX Runtime, to the same answers: [`native`].

pub mod graph;
pub mod native;
pub mod weights;

pub use native::NativeRunner;
pub use weights::{Link, Quantised};
