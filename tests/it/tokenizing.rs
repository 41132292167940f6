//! Bounded tokenizing gives the ids of unbounded tokenizing, cut afterwards: for every family of tokenizers, kind of text
//! and way to cut.

use std::path::PathBuf;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::json;
use tandem::model::manifest::{TokenizerOverrides, TokenizerSettings, Truncation};
use tandem::model::preprocess::tokenizer::TextTokenizer;
use tokenizers::utils::truncation::{TruncationStrategy, truncate_encodings};
use tokenizers::{PostProcessor, Tokenizer, TruncationDirection, TruncationParams};

use crate::support::root;

const FAMILIES: [&str; 8] = [
    "models/sentiment-deep/1",
    "tests/data/hugging_face/bert",
    "tests/data/hugging_face/roberta",
    "tests/data/hugging_face/distilbert",
    "tests/data/hugging_face/electra",
    "tests/data/hugging_face/deberta",
    "tests/data/hugging_face/xlm-roberta",
    "tests/data/hugging_face/minilm",
];
const MAX_BYTES: usize = 400;

fn file(family: &str) -> PathBuf {
    root().join(family).join("tokenizer.json")
}

fn bounded(family: &str, max_tokens: usize) -> TextTokenizer {
    let settings = TokenizerSettings {
        file: "tokenizer.json".into(),
        max_tokens,
        max_bytes: MAX_BYTES,
        truncation: Truncation::End,
        text_pairs: true,
        pad_id: None,
        overrides: TokenizerOverrides::default(),
        token_types: true,
    };
    let bytes = std::fs::read(file(family)).expect("a file");
    TextTokenizer::load(&bytes, settings).expect("a tokenizer")
}

/// The tokenizer as the crate reads it, without padding and truncation.
fn plain(family: &str) -> Tokenizer {
    let mut tokenizer = Tokenizer::from_file(file(family)).expect("a tokenizer");
    tokenizer.with_padding(None);
    tokenizer.with_truncation(None).expect("cleared");
    tokenizer
}

fn cut(text: &str, truncation: Truncation) -> &str {
    match truncation {
        Truncation::Start => &text[text.ceil_char_boundary(text.len().saturating_sub(MAX_BYTES))..],
        _ => &text[..text.floor_char_boundary(MAX_BYTES)],
    }
}

/// Encodes the whole text, then cuts; nothing for a text that must not be cut. Ids, and whether tokens were cut off.
fn whole(
    tokenizer: &Tokenizer,
    (text, pair): (&str, Option<&str>),
    max_tokens: usize,
    truncation: Truncation,
) -> Option<(Vec<u32>, bool)> {
    let too_large = |text: &str| text.len() > MAX_BYTES;
    let cut_off = too_large(text) || pair.is_some_and(too_large);
    if cut_off && truncation == Truncation::Reject {
        return None;
    }
    let encode = |text: &str| tokenizer.encode_fast(cut(text, truncation), false).expect("tokens");
    let (encoded, second) = (encode(text), pair.map(encode));
    let special = |pair| {
        tokenizer
            .get_post_processor()
            .map_or(0, |processor| processor.added_tokens(pair))
    };
    let most = max_tokens - special(pair.is_some());
    let too_long = encoded.len() + second.as_ref().map_or(0, |second| second.len()) > most;
    if too_long && truncation == Truncation::Reject {
        return None;
    }
    let params = TruncationParams {
        direction: match truncation {
            Truncation::Start => TruncationDirection::Left,
            _ => TruncationDirection::Right,
        },
        max_length: most,
        strategy: TruncationStrategy::LongestFirst,
        stride: 0,
    };
    let (encoded, second) = truncate_encodings(encoded, second, &params).expect("cut");
    let encoded = tokenizer.post_process(encoded, second, true).expect("special tokens");
    Some((encoded.get_ids().to_vec(), cut_off || too_long))
}

/// Texts of the kinds that are slow, or that cross the borders of words, characters and special tokens.
fn texts() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "q{1,120}",
        "[a-zA-Z]{1,12}",
        "[가-힣]{1,8}",
        "\u{1112}\u{1161}\u{11AB}",
        "[漢字語中文]{1,5}",
        "(😀|👨\u{200D}👩\u{200D}👧|\u{12000}|\u{FDFA}|\u{AD}|\u{0}){1,3}",
        "[a-e][\u{301}\u{323}\u{345}]{1,6}",
        "[.,!?_#'-]{1,6}",
        "[0-9]{1,8}",
        "[ \t\n\u{3000}]{1,5}",
        "(<mask>|</s>|\\[SEP\\]|\\[MASK\\]|<s|ing)",
        "(ㅋ|ㅠ|o){1,40}",
        any::<char>().prop_map(String::from),
    ];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

#[test]
fn the_ids_are_those_of_the_whole_text_cut_afterwards() {
    for family in FAMILIES {
        let plain = plain(family);
        let tokenizers = [8, 9, 40, 300].map(|max_tokens| (max_tokens, bounded(family, max_tokens)));
        let ways = prop::sample::select(vec![Truncation::End, Truncation::Start, Truncation::Reject]);
        let asked = (texts(), prop::option::weighted(0.3, texts()), ways);
        let mut runner = TestRunner::new(Config::with_cases(48));
        let checked = runner.run(&asked, |(text, pair, truncation)| {
            for (max_tokens, bounded) in &tokenizers {
                let expected = whole(&plain, (&text, pair.as_deref()), *max_tokens, truncation);
                let found = bounded.encode(&text, pair.as_deref(), Some(truncation)).ok();
                let found = found.map(|encoding| (encoding.input.ids().to_vec(), encoding.truncated));
                prop_assert_eq!(found, expected, "{} {}", family, max_tokens);
            }
            Ok(())
        });
        if let Err(problem) = checked {
            panic!("{family}: {problem}");
        }
    }
}

/// The crate panics where a template names a token that is not there. Fuzzing found that it did so with each request.
#[test]
fn a_template_whose_token_is_not_there_is_refused_when_it_is_read() {
    let first =
        |token: &str| json!([{"SpecialToken": {"id": token, "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}]);
    let load = |single: &str, pair: &str, text_pairs: bool| {
        let mut both = first(pair);
        both.as_array_mut()
            .expect("a list")
            .push(json!({"Sequence": {"id": "B", "type_id": 1}}));
        let tokenizer = json!({
            "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
            "pre_tokenizer": {"type": "Whitespace"}, "decoder": null,
            "post_processor": {
                "type": "TemplateProcessing", "single": first(single), "pair": both,
                "special_tokens": {"[CLS]": {"id": "[CLS]", "ids": [1], "tokens": ["[CLS]"]}},
            },
            "model": {"type": "WordLevel", "vocab": {"[UNK]": 0, "[CLS]": 1, "a": 2}, "unk_token": "[UNK]"},
        });
        let settings = json!({"file": "tokenizer.json", "max_tokens": 16, "text_pairs": text_pairs});
        let settings = serde_json::from_value(settings).expect("settings");
        TextTokenizer::load(tokenizer.to_string().as_bytes(), settings).err()
    };
    let refused = Some("not a usable tokenizer: its parts do not fit each other".to_owned());
    assert_eq!(load("[CLS]", "[CLS]", true), None);
    assert_eq!(load("[<LS]", "[CLS]", false), refused);
    assert_eq!(load("[CLS]", "[<LS]", true), refused);
    assert_eq!(load("[CLS]", "[<LS]", false), None, "nobody asks for pairs");
}
