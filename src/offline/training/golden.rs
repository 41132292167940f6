//! The golden examples of a trained model: texts with their ids and logits, computed from its codes without ONNX Runtime,
//! which is held to them at every start.

use crate::model::linear::{Link, Quantised};
use crate::model::loading::golden::Example;
use crate::model::manifest::{ProblemType, Truncation};
use crate::model::preprocess::ngrams::NgramExtractor;

/// What the manifest names as their source.
pub const SOURCE: &str = "tandem train";
/// The largest difference of a logit that is allowed: whole numbers are added exactly, so this is rounding of the last steps.
pub const TOLERANCE: f32 = 1e-4;

/// Texts that preprocessing is most likely to get wrong: white space, case, composition, scripts, signs, length.
const TRICKY: [&str; 30] = [
    "",
    " ",
    "\t\n\r ",
    "\u{3000}\u{a0}\u{2003}",
    "  two  spaces  ",
    "a\u{1c}b\u{1f}",
    "\0",
    "a",
    "?!",
    "A B a b",
    "UPPER CASE, digits 0123456789 and\ttabs",
    "don't-stop_me (now): e-mail a@b.co #tag",
    "ΟΔΟΣ ΣΊΣΥΦΟΣ Σ",
    "İstanbul ISPARTA ıI STRASSE Straße ẞ",
    "ǅ Ǆ ǆ ﬁ ﬀ Ⅷ Ⓐ",
    "A\u{30a}ngstrom e\u{301}\u{323} q\u{307}\u{323} và Việt Nam",
    "재미있게 봤어요. ㅋㅋㅋ ㅠㅠ",
    "\u{110c}\u{1162}\u{1106}\u{1175}\u{110b}\u{1165}\u{11b9}\u{1103}\u{1161}",
    "반각 ﾡﾢﾣ ＡＢＣ １２３！",
    "日本語の文です。「かぎ」、句読点。",
    "这是一句话，没有空格。",
    "Это лучший ФИЛЬМ года…",
    "أفضل فيلم שלום",
    "क्षत्रिय ไทยภาษา ខ្មែរ ᏣᎳᎩ ꭰꮃ",
    "👍🏽 😀😂 👨\u{200d}👩\u{200d}👧 🇰🇷 1️⃣",
    "zero\u{200b}width\u{200d}joiner\u{2060}\u{feff}",
    "“quotes” ‘single’ — dash … «guillemets»",
    "\u{202e}turned\u{202c} \u{2067}x\u{2069}",
    "<b>bold</b> &amp; {\"a\": 1} \\ \u{7f}\u{80}\u{9f}",
    "\u{10ffff}\u{e0001}\u{fffd}",
];

/// Examples of the tricky texts, one that is too long, and these of the user.
pub fn examples<'a>(
    model: &Quantised,
    link: Link,
    problem: ProblemType,
    temperature: f32,
    extractor: &NgramExtractor,
    most_code_points: usize,
    own: impl Iterator<Item = std::borrow::Cow<'a, str>>,
) -> Vec<Example> {
    let long = "a long text ".repeat(most_code_points / 12 + 2);
    let tricky = TRICKY.into_iter().map(str::to_owned).chain([long]);
    let mut seen = std::collections::HashSet::new();
    let texts = tricky.chain(own.map(std::borrow::Cow::into_owned));
    let example = |text: String| {
        let encoding = extractor
            .encode(&text, Truncation::End)
            .expect("a text that is cut is not refused");
        let ids = encoding.input.golden_ids();
        let logits = link.logits(&model.columns_of(&ids));
        Example {
            probabilities: probabilities(&logits, problem, temperature),
            text,
            text_pair: None,
            ids,
            truncated: encoding.truncated,
            logits,
        }
    };
    texts.filter(|text| seen.insert(text.clone())).map(example).collect()
}

/// Probabilities of logits, by other arithmetic than the server's: in 64 bits.
pub fn probabilities(logits: &[f32], problem: ProblemType, temperature: f32) -> Vec<f32> {
    let scaled: Vec<f64> = logits
        .iter()
        .map(|&logit| f64::from(logit) / f64::from(temperature))
        .collect();
    if problem == ProblemType::MultiLabel {
        return scaled
            .iter()
            .map(|value| (1.0 / (1.0 + (-value).exp())) as f32)
            .collect();
    }
    let top = scaled.iter().copied().fold(f64::MIN, f64::max);
    let sum: f64 = scaled.iter().map(|value| (value - top).exp()).sum();
    scaled.iter().map(|value| ((value - top).exp() / sum) as f32).collect()
}
