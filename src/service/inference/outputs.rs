//! Model outputs: the raw outputs for texts, before postprocessing.

use std::time::Duration;

use super::errors::inference_failed;
use crate::batching::RowOutput;
use crate::error::Error;
use crate::model::loaded::Model;
use crate::model::postprocess::Classification;
use crate::service::messages::TierTiming;

/// The classification that a text's raw outputs mean; `temperature` replaces the manifest's where given.
pub fn classify(model: &Model, values: &[f32], temperature: Option<f32>) -> Result<Classification, Error> {
    model.postprocess(values, temperature).map_err(|error| {
        tracing::error!(model = model.manifest.name, %error, "a row was refused");
        inference_failed(model)
    })
}

/// A model's outputs for texts, in their order.
#[derive(Debug)]
pub struct ModelOutputs {
    /// One for each text.
    pub rows: Vec<TextOutput>,
    /// How long preprocessing took.
    pub preprocess: Duration,
    /// How many rows came from the answer cache.
    pub cache_hits: usize,
}

/// A model's output for one text.
#[derive(Debug)]
pub struct TextOutput {
    /// The raw outputs, and the times of their run.
    pub output: RowOutput,
    /// How many tokens or features the model saw.
    pub token_count: usize,
    /// Whether it saw only a part of the text.
    pub truncated: bool,
}

impl ModelOutputs {
    /// The times of the row that was ready last, since the request waited for it. Combining the longest wait of one row
    /// with the longest run of another would give more time than has passed.
    pub fn timing(&self) -> TierTiming {
        let outputs = || self.rows.iter().map(|row| &row.output);
        let last = outputs().max_by_key(|row| row.queued_for + row.ran_for);
        TierTiming {
            queue: last.map(|row| row.queued_for).unwrap_or_default(),
            inference: last.map(|row| row.ran_for).unwrap_or_default(),
            batch_texts: outputs().map(|row| row.batch.rows).max().unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batching::BatchShape;

    #[test]
    fn the_timing_of_a_model_is_that_of_the_row_which_was_ready_last() {
        let row = |queued: u64, ran: u64, rows: usize| TextOutput {
            output: RowOutput {
                values: Vec::new(),
                queued_for: Duration::from_millis(queued),
                ran_for: Duration::from_millis(ran),
                worked_for: Duration::ZERO,
                width: 1,
                batch: BatchShape { rows, width: 1 },
            },
            token_count: 1,
            truncated: false,
        };
        let rows = ModelOutputs {
            rows: vec![row(1, 20, 8), row(21, 4, 2), row(21, 3, 3)],
            preprocess: Duration::ZERO,
            cache_hits: 0,
        };
        let timing = rows.timing();
        assert_eq!(
            (
                timing.queue.as_millis(),
                timing.inference.as_millis(),
                timing.batch_texts
            ),
            (21, 4, 8)
        );
    }
}
