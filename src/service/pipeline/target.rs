//! Model target: one version that a request asks, its loaded model, and its part in a canary. How a run went is
//! recorded here, where it ran.

use std::sync::Arc;

use super::answer::{Answers, CascadeCounts, ModelPart, TextAnswer};
use super::run_recorder::RunRecorder;
use crate::error::Error;
use crate::model::loaded::Model;
use crate::model::postprocess::Classification;
use crate::service::catalog::canary::Arm;
use crate::service::catalog::model_version::ModelVersion;
use crate::service::inference::loaded_model::LoadedModel;
use crate::service::inference::outputs::{ModelOutputs, TextOutput, classify};
use crate::service::inference::shared_runs::SharedRuns;
use crate::service::inference::texts::TextSubset;
use crate::service::messages::{Decision, ModelRef, SubmitOptions};

/// One version that a request asks.
#[derive(Clone)]
pub struct ModelTarget {
    pub version: Arc<ModelVersion>,
    /// Its loaded model. The target holds it, so it lasts as long as the request.
    pub loaded: Arc<LoadedModel>,
    /// What makes answers of its outputs: the loaded model, or one of its heads.
    pub head: Arc<Model>,
    pub model: ModelRef,
    /// Its arm in a canary, as the canary or as the stable version; absent without a canary.
    pub arm: Option<Arm>,
    /// What it shares with the other tasks of its request; absent where there is one task.
    pub shared: Option<Arc<SharedRuns>>,
}

/// A model's outputs for texts, with their classifications.
pub struct Classified {
    pub outputs: ModelOutputs,
    /// The classifications, in the same order.
    pub says: Vec<Classification>,
}

impl ModelTarget {
    /// Answers the texts by this model alone.
    pub async fn answer(
        &self,
        texts: TextSubset,
        options: SubmitOptions,
        recorder: &RunRecorder<'_>,
    ) -> Result<Answers, Error> {
        let Classified { outputs, says } = self.classify(texts, options, None, recorder).await?;
        let answers = says.into_iter().zip(&outputs.rows);
        Ok(Answers {
            texts: answers
                .map(|(says, row)| self.text_answer(says, row, Decision::Requested))
                .collect(),
            parts: vec![self.part(&outputs)],
            counts: CascadeCounts::default(),
            read: Vec::new(),
        })
    }

    /// Runs the texts and classifies the outputs; `temperature` replaces the manifest's where given.
    pub async fn classify(
        &self,
        texts: TextSubset,
        options: SubmitOptions,
        temperature: Option<f32>,
        recorder: &RunRecorder<'_>,
    ) -> Result<Classified, Error> {
        let mut stage = recorder.span().open(self.model.tier.name());
        stage.set("tandem.task", || self.head.manifest.task.clone());
        stage.set("tandem.model", || self.model.name.to_string());
        stage.set("tandem.model.version", || self.model.version.to_string());
        stage.set("tandem.texts", || texts.places.len());
        let outputs = self
            .loaded
            .infer(texts, options, self.shared.as_ref(), &stage.within)
            .await;
        let classified = outputs.and_then(|outputs| {
            let says = outputs
                .rows
                .iter()
                .map(|row| classify(&self.head, &row.output.values, temperature));
            Ok(Classified {
                says: says.collect::<Result<_, _>>()?,
                outputs,
            })
        });
        recorder.record(&self.version, self.arm.as_ref(), &classified);
        classified
    }

    /// Whether its rows are shared with other tasks of the request.
    pub fn shares_rows(&self) -> bool {
        let shared = self.shared.as_ref();
        shared.is_some_and(|shared| shared.rows(&self.loaded.model.fingerprint).is_some())
    }

    /// The answer to the text of `row`.
    pub fn text_answer(&self, answer: Classification, row: &TextOutput, decision: Decision) -> TextAnswer {
        TextAnswer {
            model: Arc::clone(&self.head),
            answer,
            decision,
            token_count: row.token_count,
            truncated: row.truncated,
        }
    }

    /// This model's part in a request.
    pub fn part(&self, outputs: &ModelOutputs) -> ModelPart {
        ModelPart {
            model: self.model.clone(),
            preprocess: outputs.preprocess,
            timing: outputs.timing(),
            cache_hits: self.loaded.cache.as_ref().map(|_| outputs.cache_hits),
        }
    }
}
