//! Folders without a manifest that can't serve: what is said of them, and how to put it right; and that nothing leads out.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use tandem::model::discover::{self, Examined, Hints, NoteKind};
use tandem::model::repository;
use tempfile::TempDir;

use crate::support::models::copy_folder;
use crate::support::root;

/// A copy of a family's folder, to be broken.
struct Export {
    whole: TempDir,
    folder: PathBuf,
}

impl Export {
    fn of(family: &str) -> Self {
        let whole = tempfile::tempdir().expect("a temporary folder");
        let folder = whole.path().join(family).join("1");
        copy_folder(&root().join("tests/data/hugging_face").join(family), &folder);
        Self { whole, folder }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn remove(&self, name: &str) {
        fs::remove_file(self.file(name)).expect("it was there");
    }

    fn replace(&self, name: &str, old: &str, new: &str) {
        let text = fs::read_to_string(self.file(name)).expect("text");
        assert!(text.contains(old), "{name} holds {old}");
        fs::write(self.file(name), text.replacen(old, new, 1)).expect("written");
    }

    /// Replaces bytes of a binary file by as many others.
    fn patch(&self, name: &str, old: &[u8], new: &[u8]) {
        assert_eq!(old.len(), new.len());
        let mut bytes = fs::read(self.file(name)).expect("bytes");
        let places: Vec<usize> = (0..bytes.len() - old.len())
            .filter(|&at| bytes[at..].starts_with(old))
            .collect();
        assert!(!places.is_empty());
        for at in places {
            bytes[at..at + new.len()].copy_from_slice(new);
        }
        fs::write(self.file(name), bytes).expect("written");
    }

    fn examined(&self) -> Examined {
        discover::examine(&self.folder, &Hints::of_folder(&self.folder))
    }

    /// Asserts that it can't serve, and that what is wrong and its remedy hold these words.
    fn assert_wrong(&self, wrong: &str, remedy: &str) {
        let Examined { manifest, notes } = self.examined();
        assert!(manifest.is_none());
        let found = notes
            .iter()
            .find(|note| note.kind == NoteKind::Wrong)
            .expect("something is wrong");
        assert!(found.text.contains(wrong), "{wrong} in: {}", found.text);
        let told = found.remedy.as_deref().unwrap_or_default();
        assert!(told.contains(remedy), "{remedy} in: {told}");
        let refused = repository::open(self.whole.path()).expect_err("refused").to_string();
        assert!(refused.contains(wrong) && !refused.contains('\n'), "{refused}");
    }

    fn assert_assumed(&self, words: &str) {
        let Examined { manifest, notes } = self.examined();
        assert!(manifest.is_some(), "{notes:?}");
        let assumed: Vec<&str> = notes
            .iter()
            .filter(|note| note.kind == NoteKind::Assumed)
            .map(|note| note.text.as_str())
            .collect();
        assert!(
            assumed.iter().any(|text| text.contains(words)),
            "{words} in: {assumed:?}"
        );
    }
}

#[test]
fn weights_without_an_onnx_file_are_told_the_command_that_exports_them() {
    let export = Export::of("bert");
    export.remove("model.onnx");
    fs::write(export.file("model.safetensors"), "weights").expect("written");
    export.assert_wrong("no ONNX file, but model.safetensors", "optimum-cli export onnx");
}

#[test]
fn a_pipeline_as_python_keeps_it_is_told_how_to_export_it() {
    for file in ["model.joblib", "pipeline.pkl"] {
        let export = Export::of("bert");
        export.remove("model.onnx");
        fs::write(export.file(file), "pickled").expect("written");
        export.assert_wrong(&format!("no ONNX file, but {file}"), "skl2onnx");
    }
    let export = Export::of("bert");
    export.remove("model.onnx");
    fs::write(export.file("model-00001-of-00002.safetensors"), "weights").expect("written");
    export.assert_wrong(
        "no ONNX file, but model-00001-of-00002.safetensors",
        "optimum-cli export onnx",
    );
}

#[test]
fn an_older_tokenizer_is_told_the_command_that_makes_the_newer_file() {
    let export = Export::of("bert");
    export.remove("tokenizer.json");
    fs::write(export.file("vocab.txt"), "[PAD]\n").expect("written");
    export.assert_wrong("no tokenizer.json, but vocab.txt", "save_pretrained");
}

#[test]
fn labels_that_do_not_fit_the_columns_are_wrong() {
    let export = Export::of("bert");
    export.replace("config.json", "\"2\": \"good\"", "\"2\": \"good\", \"3\": \"best\"");
    export.assert_wrong("3 columns", "config.json");
}

#[test]
fn an_unknown_problem_type_and_broken_json_are_wrong_by_the_files_name() {
    let export = Export::of("bert");
    export.replace("config.json", "single_label_classification", "guessing");
    export.assert_wrong("problem_type", "regression");
    fs::write(export.file("config.json"), "{").expect("written");
    export.assert_wrong("config.json", "copy it again");
    export.remove("config.json");
    export.assert_wrong("no config.json", "copy it");
}

#[test]
fn what_nobody_named_or_said_is_assumed_and_said() {
    Export::of("deberta").assert_assumed("LABEL_0, LABEL_1");
    Export::of("deberta").assert_assumed("softmax");
    Export::of("roberta").assert_assumed("onnx/model.onnx serves, of several");
}

#[test]
fn the_length_is_what_tokenizer_and_positions_allow() {
    for (family, most) in [("bert", 24), ("roberta", 24), ("xlm-roberta", 24)] {
        let manifest = Export::of(family).examined().manifest.expect("it serves");
        assert_eq!(manifest.max_token_count(), most, "{family}");
    }
    let export = Export::of("bert");
    export.replace(
        "tokenizer_config.json",
        "\"model_max_length\": 24",
        "\"model_max_length\": 10",
    );
    assert_eq!(export.examined().manifest.expect("it serves").max_token_count(), 10);
}

#[test]
fn missing_weights_outside_the_onnx_file_are_named() {
    let export = Export::of("xlm-roberta");
    export.remove("model.onnx_data");
    export.assert_wrong("`model.onnx_data`: the file is missing", "the files beside it");
}

#[test]
fn weights_may_not_lie_outside_by_their_name() {
    for name in [b"../../onnx_data", b"/tmp/.onnx_data", b"a/../.onnx_data"] {
        let export = Export::of("xlm-roberta");
        export.patch("model.onnx", b"model.onnx_data", name);
        export.assert_wrong("relative path without `..`", "");
    }
}

#[test]
fn no_file_may_be_a_link_out_of_the_repository() {
    for name in ["model.onnx", "tokenizer.json", "config.json", "model.onnx_data"] {
        let export = Export::of("xlm-roberta");
        let outside = tempfile::tempdir().expect("a folder");
        let secret = outside.path().join("secret");
        fs::rename(export.file(name), &secret).expect("moved");
        symlink(&secret, export.file(name)).expect("a link");
        export.assert_wrong("a link out of", "");
    }
}

#[test]
fn no_file_of_a_manifest_may_be_a_link_out_of_the_repository() {
    let repository = tempfile::tempdir().expect("a folder");
    let folder = repository.path().join("sentiment-fast/1");
    copy_folder(&root().join("models/sentiment-fast/1"), &folder);
    let outside = tempfile::tempdir().expect("a folder");
    fs::rename(folder.join("model.onnx"), outside.path().join("model.onnx")).expect("moved");
    symlink(outside.path().join("model.onnx"), folder.join("model.onnx")).expect("a link");
    let refused = repository::open(repository.path()).expect_err("refused").to_string();
    assert!(refused.contains("a link out of"), "{refused}");
}

#[test]
fn links_within_the_folder_serve_as_kubernetes_mounts_them() {
    let export = Export::of("xlm-roberta");
    let hidden = export.file("..2026_11_23");
    fs::create_dir(&hidden).expect("a folder");
    symlink("..2026_11_23", export.file("..data")).expect("a link");
    for name in [
        "model.onnx",
        "model.onnx_data",
        "tokenizer.json",
        "config.json",
        "tokenizer_config.json",
    ] {
        fs::rename(export.file(name), hidden.join(name)).expect("moved");
        symlink(Path::new("..data").join(name), export.file(name)).expect("a link");
    }
    let models = repository::open(export.whole.path()).expect("it serves");
    let loaded = tandem::model::loading::initialize(
        &models[0],
        tandem::model::loading::InstanceSettings {
            count: 2,
            intra_threads: 1,
            idle_threads: 1,
            max_cells: 256,
            fast_path: tandem::model::loading::FastPath::Native,
        },
    );
    assert!(loaded.is_ok(), "{}", loaded.err().expect("a problem"));
}
