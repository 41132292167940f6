//! What a model was trained for, by the name of its architecture.

/// What people are told about models of other kinds.
pub(super) const CLASSIFIERS: &str = "Tandem serves classifiers of whole texts (optimum-cli export onnx --task text-classification); serve another model";

/// What an architecture of this name was trained for, if it gives no answer for a whole text.
pub(super) fn other_kind(architecture: &str) -> Option<&'static str> {
    let is = |kind: &str| architecture.contains(kind);
    if is("ForTokenClassification") {
        Some("a token classifier")
    } else if is("ForQuestionAnswering") {
        Some("question answering")
    } else if is("ForMultipleChoice") {
        Some("multiple choice")
    } else if is("ForCausalLM") || is("ForMaskedLM") || is("LMHead") || is("ForConditionalGeneration") {
        Some("a language model")
    } else if architecture.ends_with("Model") {
        Some("an embedding model")
    } else {
        None
    }
}
