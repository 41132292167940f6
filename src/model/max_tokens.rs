//! How many tokens of a text a model with a manifest reads where people ask for a number; of a folder without one, discovery tells.

use super::manifest::Preprocess;
use super::repository::fingerprint::of_tokens;
use super::repository::{MANIFEST_FILE, VerifiedModel};

impl VerifiedModel {
    /// The same model, reading fewer tokens of a text than its manifest says, where so few are asked for. It answers long texts otherwise
    /// then, so it has another fingerprint.
    pub fn reading_at_most(mut self, asked: Option<usize>) -> Self {
        if let (Preprocess::Tokenizer(settings), Some(asked)) = (&mut self.manifest.preprocess, asked)
            && asked < settings.max_tokens
        {
            settings.max_tokens = asked;
            self.fingerprint = of_tokens(&self.fingerprint, asked);
        }
        self
    }

    /// What is told where more tokens are asked for than its manifest allows; of folders without one, their notes tell it.
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
