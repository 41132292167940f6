//! Texts of the server's own, which a model is asked when callers' texts fail: if it answers these, the texts are at
//! fault and not the model.

use super::input::ModelInput;
use super::manifest::Truncation;
use super::postprocess::Postprocessor;
use super::preprocess::Preprocessor;
use super::preprocess::tokenizer::TextTokenizer;
use super::runner::Runner;

/// A short text in each of two scripts, and a longer one.
const TEXTS: [&str; 3] = [
    "good",
    "재미있게 봤어요.",
    "A text of some length, as people write them: it speaks of the weather, of a train that came late, of a meal that was fine, and \
     of a film that nobody liked.",
];

/// The rows of these texts.
pub fn rows(preprocessor: &Preprocessor) -> impl Iterator<Item = ModelInput> {
    let row = |text: &str| preprocessor.encode(text, None, Some(Truncation::End)).ok();
    TEXTS.into_iter().filter_map(row).map(|encoding| encoding.input)
}

/// The texts that the model answers when it is loaded. If it answers none, one of the tokenizer's own tokens, if the
/// model answers that.
pub fn answered(runner: &mut dyn Runner, preprocessor: &Preprocessor, postprocessor: &Postprocessor) -> Vec<String> {
    let mut is_answered = |text: &String| {
        let encoding = preprocessor.encode(text, None, Some(Truncation::End)).ok()?;
        let rows = runner.run(&[&encoding.input]).ok()?;
        postprocessor.classify(&rows.row(0).to_vec()).ok()
    };
    let own_token = || preprocessor.tokenizer().and_then(TextTokenizer::own_token);
    let mut found: Vec<String> = TEXTS.map(str::to_owned).into();
    found.retain(|text| is_answered(text).is_some());
    if found.is_empty() {
        found.extend(own_token().filter(|text| is_answered(text).is_some()));
    }
    found
}
