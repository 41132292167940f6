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

/// How long a tokenizer may take for a text of 400 words.
const PATIENCE: Duration = Duration::from_secs(20);

/// The sample of a model. A tokenizer that does not come to an end is given up.
pub fn of(
    verified: &VerifiedModel,
    preprocessor: &Arc<Preprocessor>,
    limit: &RunLimit,
) -> Result<ModelInput, ModelError> {
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

/// A long input. Its ids are spread over the whole vocabulary or table as far as a text's can be, since rows of few ids would
/// find the weights in the processor's caches. A tokenizer that knows nothing of such words gives one of its own tokens.
pub fn of_words(preprocessor: &Preprocessor) -> Result<ModelInput, EncodeError> {
    let words: Vec<String> = (0..400_u32)
        .map(|at| format!("{:x}", at.wrapping_mul(0x9E37_79B1)))
        .collect();
    let encode = |text: &str| preprocessor.encode(text, None, Some(Truncation::End));
    let encoded = encode(&words.join(" ")).or_else(|error| {
        let own = preprocessor.tokenizer().and_then(TextTokenizer::own_token);
        own.map_or(Err(error), |own| encode(&own))
    });
    Ok(encoded?.input)
}
