//! A model that a request asks: one version, what runs it, and the canary's count if it has a part in one. How a run went is recorded
//! here, where it ran, and nowhere else.

use std::sync::Arc;
use std::time::Instant;

use super::answer::{Answers, ModelPart, Observed, TextAnswer};
use crate::error::{Error, Reason};
use crate::model::postprocess::Classification;
use crate::service::catalog::canary::Arm;
use crate::service::catalog::health::Health;
use crate::service::catalog::model_version::ModelVersion;
use crate::service::inference::loaded_model::LoadedModel;
use crate::service::inference::outputs::{ModelOutputs, TextOutput};
use crate::service::inference::texts::TextSubset;
use crate::service::messages::{ClientKey, Decision, ModelRef, SubmitOptions};
use crate::telemetry::metrics::Metrics;

/// A model that is asked.
#[derive(Clone)]
pub struct ModelTarget {
    /// Its version.
    pub version: Arc<ModelVersion>,
    /// What runs it.
    pub loaded: Arc<LoadedModel>,
    /// Its name, version and fingerprint.
    pub model: ModelRef,
    /// The canary that it is compared in, as the canary or as the stable version.
    pub arm: Option<Arm>,
}

/// What a model made of texts, and what that says of each.
pub struct Classified {
    /// The raw outputs.
    pub outputs: ModelOutputs,
    /// What they say, in the same order.
    pub says: Vec<Classification>,
}

/// Takes note of how runs go, for the health of their models and for canaries.
pub struct Recorder<'a> {
    health: &'a Health,
    metrics: &'a Metrics,
    caller: ClientKey,
}

impl<'a> Recorder<'a> {
    /// A recorder of a caller's requests.
    pub fn new(health: &'a Health, metrics: &'a Metrics, caller: ClientKey) -> Self {
        Self {
            health,
            metrics,
            caller,
        }
    }

    /// The metrics.
    pub fn metrics(&self) -> &Metrics {
        self.metrics
    }

    /// Takes note of how a run on a model went. What is the caller's fault, or a matter of time or room, says nothing of it.
    pub fn record<T>(&self, target: &ModelTarget, outcome: &Result<T, Error>) {
        let failed = match outcome {
            Ok(_) => false,
            Err(error) if error.reason == Reason::InferenceFailed => true,
            Err(_) => return,
        };
        let now = Instant::now();
        if failed {
            self.health.failed(&target.version, now);
        } else {
            target.version.breaker.answered(now);
        }
        if let Some(Arm { watch, canary }) = target.arm.as_ref().filter(|arm| !arm.watch.ended()) {
            self.metrics.versions().canary_request(&watch.model, *canary, failed);
            watch.requested(*canary, failed, self.caller);
        }
    }
}

impl ModelTarget {
    /// Runs the texts, and takes what the model says for the answer.
    pub async fn answer(
        &self,
        texts: TextSubset,
        options: SubmitOptions,
        recorder: &Recorder<'_>,
    ) -> Result<Answers, Error> {
        let Classified { outputs, says } = self.classify(texts, options, None, recorder).await?;
        let answers = says.into_iter().zip(&outputs.rows);
        Ok(Answers {
            texts: answers
                .map(|(says, row)| self.text_answer(says, row, Decision::Requested))
                .collect(),
            parts: vec![self.part(&outputs)],
            observed: Observed::default(),
        })
    }

    /// Runs the texts; with a temperature in place of the manifest's, if one is given.
    pub async fn classify(
        &self,
        texts: TextSubset,
        options: SubmitOptions,
        temperature: Option<f32>,
        recorder: &Recorder<'_>,
    ) -> Result<Classified, Error> {
        let classified = self.loaded.infer(texts, options).await.and_then(|outputs| {
            let says = outputs
                .rows
                .iter()
                .map(|row| self.loaded.classify(&row.output.values, temperature));
            Ok(Classified {
                says: says.collect::<Result<_, _>>()?,
                outputs,
            })
        });
        recorder.record(self, &classified);
        classified
    }

    /// What the model says of the text of `row`.
    pub fn text_answer(&self, answer: Classification, row: &TextOutput, decision: Decision) -> TextAnswer {
        TextAnswer {
            model: Arc::clone(&self.loaded.model),
            answer,
            decision,
            token_count: row.token_count,
            truncated: row.truncated,
        }
    }

    /// The model's part in a request.
    pub fn part(&self, outputs: &ModelOutputs) -> ModelPart {
        ModelPart {
            model: self.model.clone(),
            preprocess: outputs.preprocess,
            timing: outputs.timing(),
            cache_hits: self.loaded.cache.as_ref().map(|_| outputs.cache_hits),
        }
    }
}
