//! The operator's bound on the tokens of a text, applied to a model with a manifest. For a folder without one,
//! discovery applies it.

use super::manifest::Preprocess;
use super::repository::fingerprint::of_tokens;
use super::repository::{MANIFEST_FILE, VerifiedModel};

impl VerifiedModel {
    /// The same model, reading at most as many tokens of a text as were asked for. If that is less than its manifest
    /// says, it answers long texts otherwise, so it gets another fingerprint.
    pub fn reading_at_most(mut self, asked: Option<usize>) -> Self {
        if let (Preprocess::Tokenizer(settings), Some(asked)) = (&mut self.manifest.preprocess, asked)
            && asked < settings.max_tokens
        {
            settings.max_tokens = asked;
            self.fingerprint = of_tokens(&self.fingerprint, asked);
        }
        self
    }

    /// The message for an operator who asked for more tokens than the manifest allows. For folders without a manifest,
    /// their notes say it.
    pub fn asked_too_many(&self, asked: Option<usize>) -> Option<String> {
        let (Preprocess::Tokenizer(settings), Some(asked)) = (&self.manifest.preprocess, asked) else {
            return None;
        };
        let reads = settings.max_tokens;
        (self.has_manifest() && asked > reads).then(|| {
            format!("it reads {reads} tokens, though max_tokens is {asked}: preprocess.max_tokens in its {MANIFEST_FILE} is the most")
        })
    }
}
