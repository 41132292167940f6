//! How many times as long a tokenizer may make a text before it splits it into tokens, estimated without a text.
//!
//! A step that writes two letters for one doubles a text; twenty such steps make a gigabyte of a kilobyte.

use std::collections::BTreeMap;

use serde_json::Value;
use serde_json::value::RawValue;

use crate::model::manifest::TokenizerOverrides;

/// The largest factor that is allowed; the steps of known families reach about 30.
const MOST: f64 = 1024.0;
/// The most pieces in the template that puts special tokens around texts.
const MOST_PIECES: usize = 64;

/// Refuses a tokenizer that makes texts too long. The error is a part of a line. Bytes that are no tokenizer are left
/// to its reader.
///
/// The file's own steps count even where others replace them: its added tokens go through them when it is read.
pub(super) fn check(bytes: &[u8], overrides: &TokenizerOverrides) -> Result<(), String> {
    // Of a key that is there twice the last value counts, as to the reader; the vocabulary is skipped.
    let Ok(parts) = serde_json::from_slice::<BTreeMap<String, &RawValue>>(bytes) else {
        return Ok(());
    };
    let own = |step: &str| serde_json::from_str::<Value>(parts.get(step)?.get()).ok();
    let most_of = |step: &str, other: &Option<Value>| {
        let steps = [own(step), other.clone()].into_iter().flatten();
        steps.map(|step| times(&step)).fold(1.0, f64::max)
    };
    let times = most_of("normalizer", &overrides.normalizer) * most_of("pre_tokenizer", &overrides.pre_tokenizer);
    if times > MOST {
        return Err(format!(
            "its normalizers can make a text {times:.0} times as long, the most is {MOST:.0}"
        ));
    }
    let post_processors = [own("post_processor"), overrides.post_processor.clone()];
    match post_processors.iter().flatten().map(pieces).max() {
        Some(found) if found > MOST_PIECES => Err(format!(
            "its post_processor puts {found} pieces around a text, the most is {MOST_PIECES}"
        )),
        _ => Ok(()),
    }
}

/// The factor by which a step may lengthen a text. Its fields count and not its `type` alone, which files of older
/// versions of the library lack.
fn times(step: &Value) -> f64 {
    let length = |value: Option<&Value>| value.and_then(Value::as_str).map_or(0, str::len) as f64;
    let inner = ["normalizers", "pretokenizers"]
        .iter()
        .filter_map(|key| step.get(key)?.as_array());
    let inner: f64 = inner.flatten().map(times).product();
    let replaced = step.get("content").map_or(1.0, |content| {
        let pattern = step.get("pattern").and_then(|pattern| pattern.get("String"));
        match length(pattern) {
            // An expression may match at each byte, and between any two.
            0.0 => length(Some(content)) + 1.0,
            found => (length(Some(content)) / found).max(1.0),
        }
    });
    let prepended = 1.0 + length(step.get("prepend"));
    let by_kind = match step.get("type").and_then(Value::as_str) {
        Some("Precompiled" | "Metaspace") => 4.0,
        Some("ByteLevel") => 2.0,
        _ if step.get("precompiled_charsmap").is_some() => 4.0,
        _ if step.get("trim_offsets").is_some() => 2.0,
        _ => 1.0,
    };
    inner * replaced * prepended * by_kind
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
        // Without its kind, and behind one that does no harm.
        let doubles = json!({"pattern": {"String": "a"}, "content": "aa"});
        let untold = json!({"normalizers": vec![doubles; 20]});
        assert!(checked(&untold, &Value::Null).is_err());
        let twice = format!(r#"{{"normalizer": null, "normalizer": {untold}, "model": {{"vocab": {{}}}}}}"#);
        assert!(check(twice.as_bytes(), &TokenizerOverrides::default()).is_err());
        let replaced = TokenizerOverrides {
            normalizer: Some(json!({"type": "Lowercase"})),
            ..TokenizerOverrides::default()
        };
        assert!(
            check(twice.as_bytes(), &replaced).is_err(),
            "its added tokens go through them"
        );
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
