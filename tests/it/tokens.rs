//! The tokens of Hugging Face folders: those that transformers makes, whatever the files beside tokenizer.json say.
//!
//! The folders come from tools/hugging_face/tokens.py: a few are kept here, all of them are asked with `TANDEM_TOKENS=FOLDER`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use tandem::model::discover::{self, Examined, Hints, Note, NoteKind};
use tandem::model::preprocess::Preprocessor;
use tandem::model::{Manifest, ModelInput};

use crate::support::root;

/// What transformers makes of each text.
#[derive(Deserialize)]
struct Expected {
    class: String,
    ids: Vec<Vec<u32>>,
    types: Vec<Vec<u32>>,
}

type Texts = Vec<(String, Option<String>)>;

fn read<T: for<'a> Deserialize<'a>>(path: &Path) -> T {
    serde_json::from_slice(&fs::read(path).expect("a file")).expect("JSON")
}

fn folders(all: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(all).expect("the folders");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let mut found: Vec<PathBuf> = paths.filter(|path| path.join("expected.json").is_file()).collect();
    found.sort();
    found
}

/// What Tandem makes of the folder: by way of a manifest that was written and read again.
fn preprocessor(source: &Path) -> Result<(Preprocessor, Vec<Note>), String> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for entry in fs::read_dir(source).expect("the folder") {
        let path = entry.expect("an entry").path();
        fs::copy(&path, folder.path().join(path.file_name().expect("a name"))).expect("a copy");
    }
    let graph = root().join("tests/data/tokens/model.onnx");
    fs::copy(graph, folder.path().join("model.onnx")).expect("a copy");
    let Examined { manifest, notes } = discover::examine(folder.path(), &Hints::of_folder(folder.path()));
    let manifest = manifest.ok_or_else(|| format!("{notes:?}"))?;
    let manifest = Manifest::parse(&toml::to_string(&manifest).map_err(|error| error.to_string())?)?;
    let loaded = Preprocessor::load(&manifest, folder.path()).map_err(|error| error.to_string())?;
    Ok((loaded, notes))
}

/// How many texts have other tokens than in transformers, with the first of them.
fn differing(source: &Path, texts: &Texts) -> Result<(usize, String, Vec<Note>), String> {
    let expected: Expected = read(&source.join("expected.json"));
    let (preprocessor, notes) = preprocessor(source)?;
    let (mut count, mut first) = (0, String::new());
    for (at, (text, pair)) in texts.iter().enumerate() {
        // A folder that has no template for pairs takes none.
        if pair.is_some() && !preprocessor.takes_pairs() {
            continue;
        }
        let encoding = preprocessor
            .encode(text, pair.as_deref(), None)
            .map_err(|error| error.to_string())?;
        let ModelInput::Tokens { ids, type_ids } = encoding.input else {
            return Err("no tokens".to_owned());
        };
        if ids != expected.ids[at] || type_ids != expected.types[at] {
            count += 1;
            if first.is_empty() {
                first = format!(
                    "{} {text:?} {pair:?}:\n  {ids:?} {type_ids:?} here,\n  {:?} {:?} there",
                    expected.class, expected.ids[at], expected.types[at]
                );
            }
        }
    }
    Ok((count, first, notes))
}

#[test]
fn tokens_are_those_that_transformers_makes() {
    let kept = root().join("tests/data/tokens/folders");
    let all = std::env::var_os("TANDEM_TOKENS").map_or(kept, PathBuf::from);
    let texts: Texts = read(&all.join("texts.json"));
    let mut families: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    let mut wrong = Vec::new();
    for source in folders(&all) {
        let name = source.file_name().expect("a name").to_string_lossy().into_owned();
        let parts: Vec<&str> = name.split('.').collect();
        let row = families.entry(format!("{} {}", parts[0], parts[2])).or_default();
        row.0 += 1;
        match differing(&source, &texts) {
            Ok((0, ..)) => row.1 += 1,
            Ok((count, first, _)) => wrong.push(format!("{name}: {count} texts differ: {first}")),
            Err(problem) => wrong.push(format!("{name}: {problem}")),
        }
    }
    for (family, (folders, equal)) in &families {
        println!("{family}: {equal} of {folders} folders equal on {} texts", texts.len());
    }
    assert!(wrong.is_empty(), "{} folders: {}", wrong.len(), wrong.join("\n"));
    assert!(families.len() > 10);
}

/// The notes on a kept folder after `change` of one of its files.
fn notes_on(name: &str, file: &str, change: impl Fn(&mut serde_json::Value)) -> Vec<Note> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let source = root().join("tests/data/tokens/folders").join(name);
    for entry in fs::read_dir(source).expect("the folder") {
        let path = entry.expect("an entry").path();
        fs::copy(&path, folder.path().join(path.file_name().expect("a name"))).expect("a copy");
    }
    let changed = folder.path().join(file);
    let mut value: serde_json::Value = read(&changed);
    change(&mut value);
    fs::write(&changed, value.to_string()).expect("written");
    preprocessor(folder.path()).expect("it serves").1
}

fn has(notes: &[Note], kind: NoteKind, words: &[&str]) -> bool {
    let holds = |note: &Note| note.kind == kind && words.iter().all(|word| note.text.contains(word));
    notes.iter().any(holds)
}

#[test]
fn what_is_followed_is_said() {
    let as_it_is = |_: &mut serde_json::Value| {};
    let notes = notes_on("bert.case-True-False.4", "config.json", as_it_is);
    let words = [
        "tokenizer_config.json overrules",
        "transformers 4",
        "strip_accents is false, not by the case",
    ];
    assert!(has(&notes, NoteKind::Found, &words), "{notes:#?}");
    // No file says it: the class does.
    let notes = notes_on("bert.own-False.4", "config.json", as_it_is);
    let words = [
        "class overrules",
        "lowercase is true, not false",
        "handle_chinese_chars is true, not false",
    ];
    assert!(has(&notes, NoteKind::Assumed, &words), "{notes:#?}");
    let notes = notes_on("roberta.space-False-True.4", "config.json", as_it_is);
    assert!(
        has(&notes, NoteKind::Found, &["add_prefix_space is true, not false"]),
        "{notes:#?}"
    );
    let notes = notes_on("qwen2.split.4", "config.json", as_it_is);
    assert!(has(&notes, NoteKind::Found, &["split_special_tokens"]), "{notes:#?}");
    let notes = notes_on("electra.no-types.4", "config.json", as_it_is);
    assert!(
        has(&notes, NoteKind::Found, &["zeros", "model_input_names"]),
        "{notes:#?}"
    );
    let notes = notes_on("bert.added.4", "config.json", as_it_is);
    assert!(
        has(&notes, NoteKind::Found, &["add 2 tokens to tokenizer.json"]),
        "{notes:#?}"
    );
}

#[test]
fn classes_whose_steps_are_not_known_are_named() {
    let notes = notes_on("bert.own-False.4", "config.json", |config| {
        config["model_type"] = "herbert".into();
        config["tokenizer_class"] = "HerbertTokenizer".into();
        config["transformers_version"] = "5.24.0".into();
    });
    let words = ["HerbertTokenizer", "transformers 5", "steps of its own"];
    assert!(
        !has(&notes, NoteKind::Assumed, &words),
        "the other file names the class: {notes:#?}"
    );
    let notes = notes_on("bert.no-config.4", "config.json", |config| {
        config["tokenizer_class"] = "HerbertTokenizer".into();
        config["transformers_version"] = "5.24.0".into();
    });
    assert!(has(&notes, NoteKind::Assumed, &words), "{notes:#?}");
}

#[test]
fn a_model_of_one_token_type_is_given_zeros() {
    let notes = notes_on("bert.added.4", "config.json", |config| {
        config["type_vocab_size"] = 1.into();
    });
    assert!(
        has(&notes, NoteKind::Found, &["zeros", "type_vocab_size is 1"]),
        "{notes:#?}"
    );
}

#[test]
fn where_versions_differ_and_where_no_class_is_known_is_said() {
    let notes = notes_on("llama.ends-False-True.4", "config.json", |_| {});
    let words = ["read as transformers 4", "version 5", "post_processor"];
    assert!(has(&notes, NoteKind::Assumed, &words), "{notes:#?}");
    let class = |name: &'static str| move |config: &mut serde_json::Value| config["tokenizer_class"] = name.into();
    let notes = notes_on(
        "bert.case-True-False.4",
        "tokenizer_config.json",
        class("PhobertTokenizer"),
    );
    assert!(
        has(&notes, NoteKind::Doubtful, &["PhobertTokenizer", "Python"]),
        "{notes:#?}"
    );
    let notes = notes_on(
        "bert.case-True-False.4",
        "tokenizer_config.json",
        class("KoBERTTokenizer"),
    );
    let words = ["version 4 has no tokenizer class KoBERTTokenizer"];
    assert!(has(&notes, NoteKind::Assumed, &words), "{notes:#?}");
}

#[test]
fn settings_of_other_kinds_than_expected_are_passed_over() {
    let odd = [
        serde_json::Value::Null,
        serde_json::json!("true"),
        serde_json::json!(7),
        serde_json::json!([{}, null, "x", {"content": 1}]),
        serde_json::json!({"a": {}, "1": {"content": "<y>"}, "2": 3}),
    ];
    // Of do_lower_case, truncation_side and model_max_length it is told.
    let keys = [
        "strip_accents",
        "tokenize_chinese_chars",
        "add_prefix_space",
        "split_special_tokens",
        "model_input_names",
        "added_tokens_decoder",
        "additional_special_tokens",
        "extra_special_tokens",
        "padding_side",
        "tokenizer_class",
        "cls_token",
        "pad_token",
        "add_bos_token",
    ];
    for key in keys {
        for value in &odd {
            for name in ["bert.case-True-False.4", "roberta.space-True-None.5"] {
                notes_on(name, "tokenizer_config.json", |config| config[key] = value.clone());
            }
        }
    }
}
