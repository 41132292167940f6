//! Tokenizers whose cost is known for every text: all of their steps cost in proportion to its length.
//!
//! A tokenizer.json may also hold patterns and replacements that are slow on some text which nobody thought of. What it
//! costs to tokenize such a text is not known before.

use tokenizers::{NormalizerWrapper, PreTokenizerWrapper, Tokenizer};

/// Whether every step before the model costs in proportion to a text's length. The model itself is left to the caller.
pub(super) fn are_steps(tokenizer: &Tokenizer) -> bool {
    tokenizer.get_normalizer().is_none_or(is_normalizer) && tokenizer.get_pre_tokenizer().is_none_or(is_pre_tokenizer)
}

fn is_normalizer(step: &NormalizerWrapper) -> bool {
    match step {
        NormalizerWrapper::Sequence(steps) => steps.as_ref().iter().all(is_normalizer),
        NormalizerWrapper::BertNormalizer(_)
        | NormalizerWrapper::StripNormalizer(_)
        | NormalizerWrapper::StripAccents(_)
        | NormalizerWrapper::NFC(_)
        | NormalizerWrapper::NFD(_)
        | NormalizerWrapper::NFKC(_)
        | NormalizerWrapper::NFKD(_)
        | NormalizerWrapper::Lowercase(_) => true,
        NormalizerWrapper::Nmt(_)
        | NormalizerWrapper::Precompiled(_)
        | NormalizerWrapper::Replace(_)
        | NormalizerWrapper::Prepend(_)
        | NormalizerWrapper::ByteLevel(_) => false,
    }
}

fn is_pre_tokenizer(step: &PreTokenizerWrapper) -> bool {
    match step {
        PreTokenizerWrapper::Sequence(steps) => steps.as_ref().iter().all(is_pre_tokenizer),
        PreTokenizerWrapper::BertPreTokenizer(_)
        | PreTokenizerWrapper::Punctuation(_)
        | PreTokenizerWrapper::WhitespaceSplit(_)
        | PreTokenizerWrapper::Digits(_) => true,
        PreTokenizerWrapper::ByteLevel(_)
        | PreTokenizerWrapper::Delimiter(_)
        | PreTokenizerWrapper::Metaspace(_)
        | PreTokenizerWrapper::Whitespace(_)
        | PreTokenizerWrapper::Split(_)
        | PreTokenizerWrapper::UnicodeScripts(_)
        | PreTokenizerWrapper::FixedLength(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn tokenizer(normalizer: &Value, pre_tokenizer: &Value) -> Tokenizer {
        let model = json!({"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "a"});
        let all = json!({"version": "1.0", "added_tokens": [], "normalizer": normalizer, "pre_tokenizer": pre_tokenizer,
            "post_processor": null, "decoder": null, "model": model});
        Tokenizer::from_bytes(all.to_string()).expect("a tokenizer")
    }

    #[test]
    fn steps_without_patterns_are_predictable_also_within_others() {
        let bert = json!({"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
            "strip_accents": null, "lowercase": true});
        let several = json!({"type": "Sequence", "normalizers": [{"type": "NFC"}, bert]});
        let words = json!({"type": "BertPreTokenizer"});
        assert!(are_steps(&tokenizer(&several, &words)));
        assert!(are_steps(&tokenizer(&Value::Null, &Value::Null)));
    }

    #[test]
    fn one_pattern_anywhere_makes_it_unpredictable() {
        let replace = json!({"type": "Replace", "pattern": {"Regex": "a+"}, "content": "b"});
        let within = json!({"type": "Sequence", "normalizers": [{"type": "NFC"}, replace]});
        assert!(!are_steps(&tokenizer(&within, &Value::Null)));
        let split = json!({"type": "Split", "pattern": {"Regex": "a+"}, "behavior": "Isolated", "invert": false});
        let within = json!({"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, split]});
        assert!(!are_steps(&tokenizer(&Value::Null, &within)));
    }
}
