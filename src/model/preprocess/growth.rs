//! How many times as long a tokenizer may make a text before it splits it into tokens, estimated without a text.
//!
//! A step that writes two letters for one doubles a text; twenty such steps make a gigabyte of a kilobyte.

use serde::Deserialize;
use serde_json::Value;

use crate::model::manifest::TokenizerOverrides;

/// The largest factor that is allowed; the steps of known families reach about 30.
const MOST: f64 = 1024.0;
/// The most pieces in the template that puts special tokens around texts.
const MOST_PIECES: usize = 64;

/// The steps of a tokenizer; its vocabulary is skipped.
#[derive(Deserialize)]
struct Steps {
    normalizer: Option<Value>,
    pre_tokenizer: Option<Value>,
    post_processor: Option<Value>,
}

/// Refuses a tokenizer that makes texts too long. The error is a part of a line. Bytes that are no tokenizer are left
/// to its reader.
pub(super) fn check(bytes: &[u8], overrides: &TokenizerOverrides) -> Result<(), String> {
    let Ok(steps) = serde_json::from_slice::<Steps>(bytes) else {
        return Ok(());
    };
    let normalizer = overrides.normalizer.as_ref().or(steps.normalizer.as_ref());
    let pre_tokenizer = overrides.pre_tokenizer.as_ref().or(steps.pre_tokenizer.as_ref());
    let post_processor = overrides.post_processor.as_ref().or(steps.post_processor.as_ref());
    let times: f64 = [normalizer, pre_tokenizer].into_iter().flatten().map(times).product();
    if times.is_nan() || times > MOST {
        return Err(format!(
            "its normalizers can make a text {times:.0} times as long, the most is {MOST:.0}"
        ));
    }
    match post_processor.map_or(0, pieces) {
        found if found > MOST_PIECES => Err(format!(
            "its post_processor puts {found} pieces around a text, the most is {MOST_PIECES}"
        )),
        _ => Ok(()),
    }
}

/// The factor by which a step may lengthen a text.
fn times(step: &Value) -> f64 {
    let length = |value: Option<&Value>| value.and_then(Value::as_str).map_or(0, str::len) as f64;
    match step.get("type").and_then(Value::as_str) {
        Some("Sequence") => {
            let steps = ["normalizers", "pretokenizers"]
                .iter()
                .filter_map(|key| step.get(key)?.as_array());
            steps.flatten().map(times).product()
        }
        Some("Replace") => {
            let pattern = step.get("pattern");
            let content = length(step.get("content"));
            match length(pattern.and_then(|pattern| pattern.get("String"))) {
                // An expression may match at each byte, and between any two.
                0.0 => content + 1.0,
                found => (content / found).max(1.0),
            }
        }
        Some("Prepend") => 1.0 + length(step.get("prepend")),
        Some("Precompiled") => 4.0,
        Some("Metaspace") => 4.0,
        Some("ByteLevel") => 2.0,
        _ => 1.0,
    }
}

/// The number of pieces that a post-processor puts together, for one text or for two, whichever is more.
fn pieces(step: &Value) -> usize {
    let length = |key: &str| step.get(key).and_then(Value::as_array).map_or(0, Vec::len);
    match step.get("processors").and_then(Value::as_array) {
        Some(steps) => steps
            .iter()
            .map(|step| pieces(step).max(1))
            .fold(1, usize::saturating_mul),
        None => length("single").max(length("pair")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn checked(normalizer: &Value, post_processor: &Value) -> Result<(), String> {
        let tokenizer = json!({"normalizer": normalizer, "post_processor": post_processor, "model": {"vocab": {}}});
        check(tokenizer.to_string().as_bytes(), &TokenizerOverrides::default())
    }

    #[test]
    fn steps_that_double_texts_again_and_again_are_refused() {
        let replace =
            |pattern: Value, content: &str| json!({"type": "Replace", "pattern": pattern, "content": content});
        let times = |step: Value, times: usize| json!({"type": "Sequence", "normalizers": vec![step; times]});
        for step in [
            replace(json!({"String": "a"}), "aa"),
            replace(json!({"Regex": "a*"}), "aa"),
            json!({"type": "Prepend", "prepend": "aaa"}),
            times(replace(json!({"String": "a"}), "aa"), 1),
        ] {
            assert_eq!(checked(&times(step.clone(), 2), &Value::Null), Ok(()), "{step}");
            let refused = checked(&times(step.clone(), 20), &Value::Null).expect_err("refused");
            assert!(refused.contains("times as long"), "{step}: {refused}");
        }
        let shrinks = replace(json!({"String": "``"}), "\"");
        assert_eq!(checked(&times(shrinks, 100), &Value::Null), Ok(()));
    }

    #[test]
    fn a_template_of_many_pieces_is_refused() {
        let template = |pieces: usize| json!({"type": "TemplateProcessing", "single": vec!["$A"; pieces], "pair": []});
        assert_eq!(checked(&Value::Null, &template(3)), Ok(()));
        assert!(checked(&Value::Null, &template(65)).is_err());
        let overrides = TokenizerOverrides {
            post_processor: Some(template(65)),
            ..TokenizerOverrides::default()
        };
        assert!(check(b"{}", &overrides).is_err());
        let chained = json!({"type": "Sequence", "processors": vec![template(3); 4]});
        assert!(checked(&Value::Null, &chained).is_err());
    }
}
