//! A loaded model: what a request needs of it before and after inference.

use std::sync::Arc;

use super::device_memory::DeviceMemory;
use super::discover::Note;
use super::input::{EncodeError, Encoding, ModelInput};
use super::manifest::{Manifest, OutputKind, Tier, Truncation};
use super::neighbours::Neighbours;
use super::onnx::RunLimit;
use super::postprocess::{Classification, NotFinite, Postprocessor};
use super::preprocess::Preprocessor;
use super::preprocess::ngrams::NgramSpan;
use super::preprocess::tokenizer::Beyond;
use super::preprocess::windows::{self, WindowSize, Windows};
use super::providers::Assigned;
use super::text_cost::TextCost;

/// A loaded model: all of its steps but inference, which the scheduler runs.
#[derive(Clone)]
pub struct Model {
    /// The manifest as it holds on this machine: `limits` say which texts may share a batch (measured, if the file does
    /// not say), and `max_tokens` is no more than the graph takes.
    pub manifest: Manifest,
    pub fingerprint: String,
    pub(super) preprocessor: Arc<Preprocessor>,
    pub(super) postprocessor: Postprocessor,
    pub(super) text_cost: TextCost,
    /// Which features it knows, a bit each; absent where that can't be told.
    pub(super) known: Option<Arc<Vec<u64>>>,
    pub(super) own_texts: Vec<String>,
    pub(super) limit: RunLimit,
    /// Whether the outputs of a text depend on the texts in its batch.
    pub neighbours: Neighbours,
    /// A note for people if the model takes fewer tokens than its folder says, and what to do about it.
    pub fewer: Option<Note>,
    /// What runs it.
    pub assigned: Vec<Assigned>,
    /// What its sessions hold of each device's memory.
    pub device_memory: DeviceMemory,
}

impl Model {
    /// What the load found and people should know about the model; empty if there is nothing.
    pub fn remarks(&self) -> String {
        let fewer = self.fewer.as_ref().map(|note| note.text.clone());
        let remarks: Vec<String> = self.neighbours.remark().into_iter().chain(fewer).collect();
        remarks.join("; ")
    }

    /// Each head as a model of its own that reads the same rows; none for a model with one output.
    pub fn heads(&self) -> Vec<Arc<Self>> {
        let heads = self.postprocessor.heads.iter().enumerate();
        let head = |(at, postprocessor): (usize, &Postprocessor)| {
            Arc::new(Self {
                manifest: self.manifest.of_head(at),
                postprocessor: postprocessor.clone(),
                ..self.clone()
            })
        };
        heads.map(head).collect()
    }

    pub fn tier(&self) -> Tier {
        self.manifest.tier
    }

    /// Turns a text into the model's input. `truncation` overrides the manifest's setting.
    pub fn preprocess(&self, text: &str, truncation: Option<Truncation>) -> Result<Encoding, EncodeError> {
        self.preprocess_pair(text, None, truncation)
    }

    /// Like [`Model::preprocess`], for a text that may be the first one of a pair.
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

    /// Texts that the model answered when it was loaded. A sound model answers them again.
    pub fn own_texts(&self) -> &[String] {
        &self.own_texts
    }

    /// The tokens of the tokenizer that the graph does not know; `None` if it knows all.
    pub fn tokens_beyond(&self) -> Option<Beyond> {
        self.preprocessor.tokenizer()?.beyond()
    }

    /// How many of a text's tokens or features the model does not know: the unknown token, or buckets without a weight; 0 where
    /// that can't be told.
    pub fn unknown(&self, input: &ModelInput) -> usize {
        let ids = input.ids().iter();
        if let Some(tokenizer) = self.preprocessor.tokenizer() {
            let unknown = tokenizer.unknown_id();
            return ids.filter(|&&id| Some(id) == unknown).count();
        }
        let Some(known) = &self.known else { return 0 };
        let is_known = |id: u32| {
            known
                .get(id as usize / 64)
                .is_some_and(|bits| bits >> (id % 64) & 1 == 1)
        };
        ids.filter(|&&id| !is_known(id)).count()
    }

    /// Ends the runs of its instances, now and from now on.
    pub fn end_runs(&self) {
        self.limit.call_off();
    }

    pub fn takes_pairs(&self) -> bool {
        self.preprocessor.takes_pairs()
    }

    /// The cost of preprocessing, as measured when the model was loaded.
    pub fn text_cost(&self) -> TextCost {
        self.text_cost
    }

    /// Whether the cost of preprocessing is known for every text.
    pub fn preprocesses_predictably(&self) -> bool {
        match &*self.preprocessor {
            Preprocessor::Tokenizer(tokenizer) => tokenizer.is_predictable(),
            Preprocessor::Ngrams(_) | Preprocessor::Text { .. } => true,
        }
    }

    /// Cuts a text, or the first of a pair, into windows that this model and another read whole.
    pub fn windows(
        &self,
        other: Option<&Model>,
        text: &str,
        pair: Option<&str>,
        size: &WindowSize,
    ) -> Result<Windows, EncodeError> {
        #[cfg(feature = "fault-injection")]
        super::runtime::faults::before_preprocessing(text);
        let mut readers = vec![&*self.preprocessor];
        readers.extend(other.map(|other| &*other.preprocessor));
        windows::cut(&readers, text, pair, size)
    }

    /// Every n-gram of the text that the model reads, with its bucket and its place, and whether they come from only a
    /// part of the text. `None` for a model that does not read n-grams.
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

    /// The id that fills padded rows.
    pub fn pad_id(&self) -> u32 {
        self.preprocessor.pad_id()
    }

    /// The probability from which on each label is part of an answer, where each is by itself; 0.5 where none are listed.
    pub fn thresholds(&self) -> &[f32] {
        &self.postprocessor.thresholds
    }

    /// The answer by probabilities that come from several texts, in the order of the labels; for a regression, by its
    /// value.
    pub fn of_probabilities(&self, probabilities: &[f32]) -> Result<Classification, NotFinite> {
        let post = Postprocessor {
            output_kind: OutputKind::Probabilities,
            names_winner: false,
            columns: None,
            ..self.postprocessor.clone()
        };
        post.classify_at(probabilities, 1.0)
    }

    /// Turns a row of raw outputs into an answer. `temperature` overrides the manifest's.
    pub fn postprocess(&self, row: &[f32], temperature: Option<f32>) -> Result<Classification, NotFinite> {
        let temperature = temperature.unwrap_or(self.postprocessor.temperature);
        self.postprocessor.classify_at(row, temperature)
    }
}
