//! A loaded model: what a request asks of it before and after inference.

use std::sync::Arc;

use super::discover::Note;
use super::input::{EncodeError, Encoding};
use super::manifest::{Manifest, Tier, Truncation};
use super::neighbours::Neighbours;
use super::onnx::RunLimit;
use super::postprocess::{Classification, NotFinite, Postprocessor};
use super::preprocess::Preprocessor;
use super::preprocess::ngrams::NgramSpan;
use super::preprocess::tokenizer::Beyond;
use super::text_cost::TextCost;

/// A loaded model: the handler's steps, but for inference, whose place is the scheduler.
pub struct Model {
    /// Its manifest as it is in force: `limits` say which texts may share a batch, as measured where the file does not say, and it
    /// reads as many tokens as the graph takes.
    pub manifest: Manifest,
    /// Its fingerprint.
    pub fingerprint: String,
    pub(super) preprocessor: Arc<Preprocessor>,
    pub(super) postprocessor: Postprocessor,
    pub(super) text_cost: TextCost,
    pub(super) own_texts: Vec<String>,
    pub(super) limit: RunLimit,
    /// Whether a text's outputs depend on the texts that it runs with.
    pub neighbours: Neighbours,
    /// Where it takes fewer tokens than its folder says: that, and what to do.
    pub fewer: Option<Note>,
}

impl Model {
    /// What the load found that whoever asks for the model should know; empty if there is nothing.
    pub fn remarks(&self) -> String {
        let fewer = self.fewer.as_ref().map(|note| note.text.clone());
        let remarks: Vec<String> = self.neighbours.remark().into_iter().chain(fewer).collect();
        remarks.join("; ")
    }

    /// The tier that it serves.
    pub fn tier(&self) -> Tier {
        self.manifest.tier
    }

    /// Turns a text into the model's input. `truncation` overrides the model's own setting.
    pub fn preprocess(&self, text: &str, truncation: Option<Truncation>) -> Result<Encoding, EncodeError> {
        self.preprocess_pair(text, None, truncation)
    }

    /// The same for a text and the second text of its pair, if it has one.
    pub fn preprocess_pair(
        &self,
        text: &str,
        pair: Option<&str>,
        truncation: Option<Truncation>,
    ) -> Result<Encoding, EncodeError> {
        #[cfg(feature = "fault-injection")]
        super::runtime::faults::before_preprocessing(text);
        self.preprocessor.encode(text, pair, truncation)
    }

    /// Texts of our own that it answered when it was loaded: while it is sound, it answers them.
    pub fn own_texts(&self) -> &[String] {
        &self.own_texts
    }

    /// The tokens of its tokenizer that its graph does not know, if there are any.
    pub fn tokens_beyond(&self) -> Option<Beyond> {
        self.preprocessor.tokenizer()?.beyond()
    }

    /// Ends the runs of its instances, and those that come.
    pub fn end_runs(&self) {
        self.limit.call_off();
    }

    /// Whether it takes pairs of texts.
    pub fn takes_pairs(&self) -> bool {
        self.preprocessor.takes_pairs()
    }

    /// What preprocessing costs, as it was measured when the model was loaded.
    pub fn text_cost(&self) -> TextCost {
        self.text_cost
    }

    /// Whether what preprocessing costs is known for any text: a tokenizer.json may hold patterns and replacements that
    /// some text makes slow which nobody thought of.
    pub fn preprocesses_predictably(&self) -> bool {
        match *self.preprocessor {
            Preprocessor::Tokenizer(_) => false,
            Preprocessor::Ngrams(_) | Preprocessor::Text { .. } => true,
        }
    }

    /// Every n-gram of the text that the model reads, with its bucket and its place, and whether that is only a part of the
    /// text; nothing for a model that does not read n-grams.
    pub fn spans(
        &self,
        text: &str,
        truncation: Option<Truncation>,
    ) -> Option<Result<(Vec<NgramSpan>, bool), EncodeError>> {
        match &*self.preprocessor {
            Preprocessor::Ngrams(extractor) => Some(extractor.spans(text, truncation.unwrap_or_default())),
            Preprocessor::Tokenizer(_) | Preprocessor::Text { .. } => None,
        }
    }

    /// The id that fills a padded row, and stands for nothing.
    pub fn pad_id(&self) -> u32 {
        self.preprocessor.pad_id()
    }

    /// Turns a row of raw outputs into an answer. `temperature` overrides the manifest's.
    pub fn postprocess(&self, row: &[f32], temperature: Option<f32>) -> Result<Classification, NotFinite> {
        let temperature = temperature.unwrap_or(self.postprocessor.temperature);
        self.postprocessor.classify_at(row, temperature)
    }
}
