//! ONNX Runtime's messages in words for people: without the places in its own source, and with a remedy if the cause is
//! known.

/// The reason that a model can't be loaded, in one line.
pub(super) fn load_problem(message: &str) -> String {
    let message = plain(message);
    let told = missing_locale(&message)
        .map(locale_problem)
        .or_else(|| newer_format(&message))
        .or_else(|| newer_operators(&message))
        .or_else(|| foreign_operator(&message));
    told.unwrap_or_else(|| format!("ONNX Runtime can't load the model: {message}"))
}

/// The locale that is missing, if that is why a graph can't be loaded.
pub(super) fn missing_locale(message: &str) -> Option<&str> {
    let (_, rest) = message.split_once("locale with name:")?;
    rest.split(':').next()
}

fn locale_problem(locale: &str) -> String {
    format!(
        "the graph changes the case of texts by the locale `{locale}`, which this machine lacks: export the pipeline with the \
         vectorizer's option locale=\"C.UTF-8\", or install that locale"
    )
}

/// The message for a file whose format is newer than the library.
fn newer_format(message: &str) -> Option<String> {
    let (_, rest) = message.split_once("Unsupported model IR version: ")?;
    let (found, most) = rest.split_once(", max supported IR version: ")?;
    Some(format!(
        "its IR version is {found}, and ONNX Runtime reads up to {most}: write it anew in Python: m = onnx.load(FILE); \
         m.ir_version = {most}; onnx.save(m, FILE)"
    ))
}

/// The message for operators of a version that is newer than the library.
fn newer_operators(message: &str) -> Option<String> {
    let (_, rest) = message.split_once("onnx opset versions. Opset ")?;
    let (found, rest) = rest.split_once(' ')?;
    let (_, rest) = rest.split_once("Current official support for domain ")?;
    let (domain, most) = rest.split_once(" is till opset ")?;
    let most = most.trim_end_matches('.');
    Some(format!(
        "it is written in opset {found} of {domain}, and ONNX Runtime knows up to {most}: export it in a lower one (optimum-cli: \
         --opset; skl2onnx: target_opset; torch.onnx.export: opset_version)"
    ))
}

/// The message for an operator that is not part of ONNX.
fn foreign_operator(message: &str) -> Option<String> {
    let (operator, _) = message.split_once(" is not a registered function/op")?;
    let operator = operator.rsplit(' ').next()?;
    let operator = operator.split('(').next()?;
    Some(format!(
        "it has an operator `{operator}` that is not one of ONNX Runtime's: export it with those of ONNX alone"
    ))
}

/// The message in one line, without the places in the library's source that come before the cause.
pub(super) fn plain(message: &str) -> String {
    let mut words: Vec<&str> = message.split_whitespace().collect();
    while let Some(at) = words.iter().position(|word| is_place(word)) {
        let after = after_signature(&words[at + 1..]);
        words.drain(at..at + 1 + after);
    }
    words.join(" ")
}

/// Whether a word is a place in source, such as `/core/graph/model.cc:192`.
fn is_place(word: &str) -> bool {
    let Some((file, line)) = word.rsplit_once(':') else {
        return false;
    };
    [".cc", ".h", ".cpp"].iter().any(|end| file.ends_with(end)) && line.parse::<u32>().is_ok()
}

/// The number of words in the signature of a function that the message begins with; zero if it does not begin with one.
fn after_signature(words: &[&str]) -> usize {
    let mut open = 0_usize;
    for (at, word) in words.iter().enumerate() {
        open += word.matches('(').count();
        let closed = word.matches(')').count();
        if closed > 0 && closed >= open {
            let is_const = words.get(at + 1) == Some(&"const");
            return at + 1 + usize::from(is_const);
        }
        open -= closed.min(open);
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_told_without_the_places_in_the_librarys_source() {
        for (message, told) in [
            (
                "/onnxruntime_src/core/graph/model.cc:192 onnxruntime::Model::Model(onnx::ModelProto&&, const std::map<int, \
                 std::string (*)()>&) Unsupported model IR version: 99, max supported IR version: 13\n",
                "its IR version is 99, and ONNX Runtime reads up to 13: write it anew in Python: m = onnx.load(FILE); \
                 m.ir_version = 13; onnx.save(m, FILE)",
            ),
            (
                "/a/model_load_utils.h:46 void a::Validate(const std::string&, int) ONNX Runtime only *guarantees* support for models \
                 stamped with official released onnx opset versions. Opset 99 is under development. Current official support for \
                 domain ai.onnx is till opset 26.",
                "it is written in opset 99 of ai.onnx, and ONNX Runtime knows up to 26: export it in a lower one (optimum-cli: --opset; \
                 skl2onnx: target_opset; torch.onnx.export: opset_version)",
            ),
            (
                "Fatal error: my.ops:Reshape(-1) is not a registered function/op",
                "it has an operator `my.ops:Reshape` that is not one of ONNX Runtime's: export it with those of ONNX alone",
            ),
            (
                "Exception during initialization: /a/linear.cc:78 a::Linear::Linear(const a::Info&) classes >= count was false. 2 and 4",
                "ONNX Runtime can't load the model: Exception during initialization: classes >= count was false. 2 and 4",
            ),
            (
                "Failed: /a/b.cc:1 no signature here",
                "ONNX Runtime can't load the model: Failed: no signature here",
            ),
            ("", "ONNX Runtime can't load the model: "),
        ] {
            assert_eq!(load_problem(message), told);
        }
        assert_eq!(plain("/a.cc:1 f() const it /b.h:2 g(int) fails"), "it fails");
    }
}
