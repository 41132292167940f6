//! A long input of a model, from which warm-up and measuring cut rows of any width.

use std::sync::Arc;
use std::time::Duration;

use super::input::{EncodeError, ModelInput};
use super::limited;
use super::manifest::{Preprocess, Truncation};
use super::model_error::ModelError;
use super::onnx::RunLimit;
use super::preprocess::Preprocessor;
use super::preprocess::tokenizer::TextTokenizer;
use super::repository::VerifiedModel;

/// The time that a tokenizer may take for a text of 400 words.
const PATIENCE: Duration = Duration::from_secs(20);

/// A long input, from which rows of any width are cut.
#[derive(Clone, Debug)]
pub struct Sample {
    row: ModelInput,
    before: usize,
    after: usize,
}

impl Sample {
    /// A long row; the tokenizer puts `before` tokens before every text, and `after` tokens after it.
    pub fn new(row: ModelInput, before: usize, after: usize) -> Self {
        Self { row, before, after }
    }

    /// The ids of its tokens or features; none for a text.
    pub fn ids(&self) -> &[u32] {
        self.row.ids()
    }

    /// How many tokens the tokenizer puts before every text.
    pub fn before(&self) -> usize {
        self.before
    }

    /// How many tokens the tokenizer puts before and after every text, together.
    pub fn around(&self) -> usize {
        self.before + self.after
    }

    /// The row, cut or repeated to a width. A text is one cell and stays as it is. The tokens around every text stay at
    /// the ends, and those after it are never cut, however narrow the row: some heads look for them, and can't run
    /// without.
    pub fn of_width(&self, width: usize) -> ModelInput {
        self.with_body(width, 0)
    }

    /// Like [`Sample::of_width`], with another part of the sample in the middle: the one that begins `skipped` tokens
    /// later.
    pub fn with_body(&self, width: usize, skipped: usize) -> ModelInput {
        let framed = |ids: &[u32]| -> Vec<u32> {
            let before = self.before.min(width.saturating_sub(self.after));
            let (head, rest) = ids.split_at(self.before.min(ids.len()));
            let (body, tail) = rest.split_at(rest.len().saturating_sub(self.after));
            let body = if body.is_empty() { ids } else { body };
            let inner = width.saturating_sub(before + tail.len());
            let inner = body.iter().copied().cycle().skip(skipped).take(inner);
            let head = head.iter().copied().take(before);
            head.chain(inner).chain(tail.iter().copied()).collect()
        };
        match &self.row {
            ModelInput::Tokens { ids, type_ids } => ModelInput::Tokens {
                ids: framed(ids),
                type_ids: framed(type_ids),
            },
            ModelInput::Features(ids) => ModelInput::Features(framed(ids)),
            ModelInput::Text(text) => ModelInput::Text(text.clone()),
        }
    }
}

/// The sample of a model. A tokenizer that takes too long is given up.
pub fn of(verified: &VerifiedModel, preprocessor: &Arc<Preprocessor>, limit: &RunLimit) -> Result<Sample, ModelError> {
    let file = match &verified.manifest.preprocess {
        Preprocess::Tokenizer(settings) => &settings.file,
        Preprocess::HashedNgrams(_) | Preprocess::String { .. } => &verified.manifest.onnx.file,
    };
    let failed = |problem: String| {
        let problem = format!("a text of 400 words can't be preprocessed: {problem}");
        ModelError::new(&verified.folder.join(file), problem)
    };
    let own = Arc::clone(preprocessor);
    limited::run("model-sample", PATIENCE, &|| limit.is_off(), move |_| of_words(&own))
        .map_err(|stopped| failed(stopped.to_string()))?
        .map_err(|error| failed(error.to_string()))
}

/// A long input. Its ids are spread over the vocabulary or table as widely as a text's can be, since the weights for a
/// few ids would stay in the processor's caches. If the tokenizer knows none of the words, it is one of the tokenizer's
/// own tokens.
pub fn of_words(preprocessor: &Preprocessor) -> Result<Sample, EncodeError> {
    let words: Vec<String> = (0..400_u32)
        .map(|at| format!("{:x}", at.wrapping_mul(0x9E37_79B1)))
        .collect();
    let encode = |text: &str| preprocessor.encode(text, None, Some(Truncation::End));
    let encoded = encode(&words.join(" ")).or_else(|error| {
        let own = preprocessor.tokenizer().and_then(TextTokenizer::own_token);
        own.map_or(Err(error), |own| encode(&own))
    });
    let row = encoded?.input;
    if !matches!(row, ModelInput::Tokens { .. }) {
        return Ok(Sample::new(row, 0, 0));
    }
    // If the text has no words, only the tokens around every text are left.
    let empty = encode("").map(|encoding| encoding.input);
    let around = empty.as_ref().map(ModelInput::ids).unwrap_or_default();
    let alike = |pairs: &mut dyn Iterator<Item = (&u32, &u32)>| pairs.take_while(|(one, other)| one == other).count();
    let after = alike(&mut around.iter().rev().zip(row.ids().iter().rev()));
    let before = alike(&mut around[..around.len() - after].iter().zip(row.ids()));
    Ok(Sample::new(row, before, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_cut_and_repeated_to_the_width_between_what_stands_around_every_text() {
        let sample = |before, after| {
            let row = ModelInput::Tokens {
                ids: vec![1, 2, 3, 4],
                type_ids: vec![0, 0, 0, 1],
            };
            Sample::new(row, before, after)
        };
        for (before, after, width, expected) in [
            (1, 1, 6, &[1, 2, 3, 2, 3, 4][..]),
            (1, 1, 3, &[1, 2, 4]),
            (1, 1, 2, &[1, 4]),
            (1, 1, 1, &[4]),
            (0, 2, 5, &[1, 2, 1, 3, 4]),
            (0, 2, 1, &[3, 4]),
            (2, 2, 5, &[1, 2, 1, 3, 4]),
            (0, 0, 6, &[1, 2, 3, 4, 1, 2]),
            (1, 0, 3, &[1, 2, 3]),
        ] {
            let row = sample(before, after).of_width(width);
            assert_eq!(row.ids(), expected, "{before} {after} {width}");
        }
        assert_eq!(sample(1, 1).with_body(4, 1).ids(), [1, 3, 2, 4]);
        let text = Sample::new(ModelInput::Text("a".into()), 0, 0);
        assert_eq!(text.of_width(1).width(), 1);
    }
}
