//! A session that shows the values of nodes inside a graph, to look at exports before they serve.

use std::sync::Arc;

use ort::session::{RunOptions, Session};
use ort::value::Tensor;

use super::bytes::OnnxBytes;
use super::environment::Runtime;
use super::opener::{Opener, SessionSettings, run_within};
use super::providers::Providers;
use super::watch::RunLimit;
use super::words::load_problem;
use crate::model::runner::RunError;

/// One value of a graph, for one text.
#[derive(Clone, Debug, PartialEq)]
pub enum Seen {
    /// A tensor of numbers (floats or whole ones), flattened.
    Numbers(Vec<f32>),
    /// A tensor of strings, flattened.
    Texts(Vec<String>),
    /// Anything else.
    Other,
}

/// A graph that reads one text, opened for a look inside.
pub struct Probe {
    session: Session,
    options: Arc<RunOptions>,
    limit: RunLimit,
    values: Vec<String>,
}

impl Probe {
    /// Opens a file so that these values of its graph can be seen. Each look at a text is a run within `limit`.
    pub fn open(
        runtime: &'static Runtime,
        bytes: &OnnxBytes,
        values: &[&str],
        limit: &RunLimit,
    ) -> Result<Self, String> {
        let opener = Opener {
            environment: &runtime.environment,
            origin: bytes.origin(),
            weights: None,
            providers: Providers::default(),
            settings: SessionSettings::beside_others(1),
            limit: limit.clone(),
        };
        let session = opener
            .session(&bytes.with_outputs(values))
            .map_err(|error| load_problem(&error.to_string()))?;
        let options = RunOptions::new().map_err(|error| error.to_string())?;
        Ok(Self {
            session,
            options: Arc::new(options),
            limit: limit.clone(),
            values: values.iter().map(ToString::to_string).collect(),
        })
    }

    /// The values for this text, in the order in which they were named.
    pub fn see(&mut self, text: &str) -> Result<Vec<Seen>, RunError> {
        let fail = |error: ort::Error| RunError(error.to_string());
        let columns = self.session.inputs().first();
        let columns = columns.and_then(|input| input.dtype().tensor_shape().map(|shape| shape.len()));
        let text = [text.to_owned()];
        let input = match columns {
            Some(1) => Tensor::from_string_array(([1], text.as_slice())),
            _ => Tensor::from_string_array(([1, 1], text.as_slice())),
        };
        let input = ort::inputs![input.map_err(fail)?];
        let outputs = run_within(&mut self.session, &self.options, &self.limit, input)?;
        let seen = self.values.iter().map(|name| {
            let value = outputs.get(name);
            let numbers = value.and_then(|value| value.try_extract_tensor::<f32>().ok());
            let whole = || value.and_then(|value| value.try_extract_tensor::<i64>().ok());
            let texts = || value.and_then(|value| value.try_extract_strings().ok());
            if let Some((_, numbers)) = numbers {
                Seen::Numbers(numbers.to_vec())
            } else if let Some((_, numbers)) = whole() {
                Seen::Numbers(numbers.iter().map(|&number| number as f32).collect())
            } else {
                texts().map_or(Seen::Other, |(_, texts)| Seen::Texts(texts))
            }
        });
        Ok(seen.collect())
    }
}
