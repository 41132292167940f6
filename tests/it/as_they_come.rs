//! Folders as exporters and people leave them: transformers reads them, so they serve; or they are told as what they are, with a
//! remedy that was carried out here.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use tandem::api::pb;
use tandem::config::Settings;
use tandem::model::ModelInput;
use tandem::model::discover::{self, Examined, Hints, Note, NoteKind};
use tandem::model::loading::{FastPath, Initialized, InstanceSettings, initialize};
use tandem::model::{Manifest, files, repository};
use tandem::service::lifecycle::start::open_catalog;
use tempfile::TempDir;

use crate::support::models::copy_folder;
use crate::support::{TestServer, root};

const ONE: InstanceSettings = InstanceSettings {
    count: 1,
    intra_threads: 1,
    idle_threads: 1,
    max_cells: 256,
    fast_path: FastPath::Native,
};

const TEXTS: [&str; 3] = ["good", "The story was bad.", "bad film"];

/// A folder of BERT's kind with one of the small graphs in it.
struct Folder {
    whole: TempDir,
    path: PathBuf,
}

fn graph(name: &str) -> PathBuf {
    root().join("tests/data/as_they_come").join(format!("{name}.onnx"))
}

impl Folder {
    fn of(name: &str) -> Self {
        let whole = tempfile::tempdir().expect("a temporary folder");
        let path = whole.path().join("reviews/1");
        copy_folder(&root().join("tests/data/hugging_face/bert"), &path);
        let folder = Self { whole, path };
        folder.put("model.onnx", &graph(name));
        folder
    }

    fn put(&self, file: &str, from: &Path) {
        let to = self.path.join(file);
        fs::create_dir_all(to.parent().expect("a parent")).expect("a folder");
        fs::copy(from, to).expect("a copy");
    }

    fn write(&self, file: &str, text: impl AsRef<[u8]>) {
        fs::write(self.path.join(file), text).expect("written");
    }

    /// Replaces `config.json`: the usual one, with a key of another value; no value takes it out.
    fn config(&self, key: &str, value: Option<&str>) {
        let text = fs::read_to_string(root().join("tests/data/hugging_face/bert/config.json")).expect("text");
        let mut keys: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&text).expect("JSON");
        keys.remove(key);
        let rest = serde_json::to_string(&keys).expect("JSON");
        match value {
            Some(value) => self.write("config.json", format!("{{\"{key}\": {value}, {}", &rest[1..])),
            None => self.write("config.json", rest),
        }
    }

    /// Runs a command in the folder.
    fn run(&self, command: &str) {
        let done = Command::new("sh")
            .args(["-c", command])
            .current_dir(&self.path)
            .status()
            .expect("a shell");
        assert!(done.success(), "{command}");
    }

    fn examined(&self) -> Examined {
        discover::examine(&self.path, &Hints::of_folder(&self.path))
    }

    fn load(&self) -> Initialized {
        let models = repository::open(self.whole.path()).expect("a model");
        initialize(&models[0], ONE).expect("it loads")
    }

    /// The raw outputs for some texts, run as one batch where it takes as many, else one by one.
    fn answers(&self) -> Vec<Vec<f32>> {
        let mut loaded = self.load();
        let inputs: Vec<ModelInput> = TEXTS
            .iter()
            .map(|text| loaded.model.preprocess(text, None).expect("tokens").input)
            .collect();
        let most = loaded.model.manifest.limits.most_texts();
        let mut rows = Vec::new();
        for batch in inputs.chunks(most) {
            let batch: Vec<&ModelInput> = batch.iter().collect();
            let values = loaded.runners[0].run(&batch).expect("answers");
            rows.extend(values.rows().into_iter().map(|row| row.to_vec()));
        }
        rows
    }

    /// The first thing that is wrong.
    fn wrong(&self) -> Note {
        let Examined { manifest, notes } = self.examined();
        assert!(manifest.is_none(), "it serves: {notes:?}");
        notes
            .into_iter()
            .find(|note| note.kind == NoteKind::Wrong)
            .expect("something is wrong")
    }

    fn assert_wrong(&self, case: &str, words: &str, remedy: &str) {
        let wrong = self.wrong();
        assert!(wrong.text.contains(words), "{case}: {words} in: {}", wrong.text);
        let told = wrong.remedy.unwrap_or_default();
        assert!(told.contains(remedy), "{case}: {remedy} in: {told}");
    }

    fn assert_serves(&self, case: &str) -> Vec<Note> {
        let Examined { manifest, notes } = self.examined();
        assert!(manifest.is_some(), "{case}: {notes:?}");
        notes
    }

    fn labels(&self, case: &str) -> Vec<String> {
        self.assert_serves(case);
        self.examined().manifest.expect("it serves").labels
    }
}

fn assert_close(found: &[Vec<f32>], expected: &[Vec<f32>], tolerance: f32, case: &str) {
    assert_eq!(found.len(), expected.len(), "{case}");
    for (found, expected) in found.iter().flatten().zip(expected.iter().flatten()) {
        assert!(
            (found - expected).abs() <= tolerance,
            "{case}: {found} is not {expected}"
        );
    }
}

fn has(notes: &[Note], kind: NoteKind, words: &str) -> bool {
    notes.iter().any(|note| note.kind == kind && note.text.contains(words))
}

#[test]
fn a_classifier_gives_the_same_answers_however_it_is_fed_and_whatever_it_gives() {
    let expected = Folder::of("plain").answers();
    assert!(expected[0] != expected[1] && expected[1] != expected[2]);
    for (name, tolerance) in [
        ("int32", 1e-6),
        ("mask-float", 1e-6),
        ("mask-half", 1e-6),
        ("mask-bool", 1e-6),
        ("gives-double", 1e-6),
        ("gives-half", 2e-3),
        ("gives-bfloat", 2e-2),
        ("rows-1", 1e-6),
        ("rows-4", 1e-6),
        ("width-16", 1e-6),
        ("rows-2-width-16", 1e-6),
        ("names-torch", 1e-6),
        ("names-tensorflow", 1e-6),
        ("output-odd", 1e-6),
    ] {
        assert_close(&Folder::of(name).answers(), &expected, tolerance, name);
    }
}

#[test]
fn what_a_graph_is_fixed_to_and_its_odd_names_are_told() {
    for (name, kind, words) in [
        ("rows-1", NoteKind::Assumed, "one text at a time"),
        ("rows-4", NoteKind::Assumed, "exactly 4 texts"),
        ("width-16", NoteKind::Assumed, "exactly 16 tokens"),
        (
            "names-torch",
            NoteKind::Found,
            "input_ids as `input.1`, attention_mask as `mask`",
        ),
        ("names-torch", NoteKind::Assumed, "names of another exporter"),
        ("gives-half", NoteKind::Found, "16-bit floats"),
    ] {
        let notes = Folder::of(name).assert_serves(name);
        assert!(has(&notes, kind, words), "{name}: {words} in {notes:?}");
    }
    let fixed = Folder::of("rows-2-width-16").examined().manifest.expect("it serves");
    assert_eq!((fixed.limits.most_texts(), fixed.max_token_count()), (2, 16));
}

#[test]
fn graphs_that_are_no_classifiers_of_texts_are_named_as_what_they_are() {
    for (name, words, remedy) in [
        (
            "embedding",
            "an embedding model by its output `sentence_embedding`",
            "serve a classifier",
        ),
        (
            "embedding-pooler",
            "an embedding model by its output `pooler_output`",
            "serve a classifier",
        ),
        (
            "embedding-tokens",
            "an embedding model, not a classifier",
            "serves classifiers",
        ),
        (
            "tokens",
            "a token classifier, not a classifier of texts",
            "serves classifiers",
        ),
        ("language", "a language model, not a classifier", "serves classifiers"),
        ("answers", "question answering, not a classifier", "serves classifiers"),
        ("heads", "several heads (intent, topic)", "onnx.output"),
        (
            "pixels",
            "reads neither ids of tokens nor texts",
            "export the vectorizer",
        ),
        (
            "features",
            "reads neither ids of tokens nor texts",
            "export the vectorizer",
        ),
        (
            "names-twice",
            "both `input_ids` and `tokens` take input_ids",
            "[onnx.inputs]",
        ),
        ("names-odd", "an input `left`", "[onnx.inputs]"),
        ("rows-5000", "exactly 5000 texts, the most is 1024", "open sizes"),
        ("gives-integers", "should hold floats", "fp32"),
    ] {
        let folder = Folder::of(name);
        // An embedding model's configuration names no labels.
        folder.config("id2label", None);
        let text = fs::read_to_string(folder.path.join("config.json")).expect("text");
        folder.write(
            "config.json",
            text.replace("BertForSequenceClassification", "BertModel"),
        );
        folder.assert_wrong(name, words, remedy);
    }
    let folder = Folder::of("tokens");
    folder.config("architectures", Some("[\"BertForMaskedLM\"]"));
    folder.assert_wrong("masked", "a language model", "serves classifiers");
}

#[test]
fn config_json_is_read_in_all_the_forms_that_transformers_reads() {
    let named = ["bad", "fair", "good"];
    for (key, value, labels) in [
        ("label2id", r#"{"bad": "0", "fair": 1.0, "good": null}"#, named),
        ("label2id", "null", named),
        ("id2label", r#"{"0": 0, "1": 1, "2": 2}"#, ["0", "1", "2"]),
        (
            "id2label",
            r#"{"0": true, "1": false, "2": null}"#,
            ["True", "False", "None"],
        ),
        ("id2label", r#"{"0": 0.5, "1": 1.0, "2": "x"}"#, ["0.5", "1.0", "x"]),
        ("id2label", r#"{" 0": "a", "01": "b", "2": "c"}"#, ["a", "b", "c"]),
        ("id2label", "null", ["LABEL_0", "LABEL_1", "LABEL_2"]),
        ("id2label", "{}", ["LABEL_0", "LABEL_1", "LABEL_2"]),
        (
            "id2label",
            r#"{"0": "x"}, "id2label": {"0": "a", "1": "b", "2": "c"}"#,
            ["a", "b", "c"],
        ),
        ("pad_token_id", "-1", named),
        ("pad_token_id", "[0]", named),
        ("pad_token_id", "0.0", named),
        ("max_position_embeddings", "\"24\"", named),
        ("max_position_embeddings", "24.0", named),
        ("max_position_embeddings", "Infinity", named),
        ("num_labels", "\"3\"", named),
        ("initializer_range", "NaN", named),
        ("initializer_range", "[Infinity, {\"a\": -Infinity}]", named),
        ("problem_type", "\"\"", named),
        ("problem_type", "null", named),
    ] {
        let folder = Folder::of("plain");
        folder.config(key, Some(value));
        let case = format!("{key}: {value}");
        assert_eq!(folder.labels(&case), labels, "{case}");
        assert!(
            folder.examined().manifest.expect("it serves").max_token_count() >= 24,
            "{case}"
        );
    }
    for (key, value, most) in [
        ("model_max_length", "\"16\"", 16),
        ("model_max_length", "Infinity", 24),
        ("model_max_length", "16.0", 16),
        ("do_lower_case", "\"true\"", 24),
        ("truncation_side", "null", 24),
    ] {
        let folder = Folder::of("plain");
        folder.write("tokenizer_config.json", format!("\u{feff}{{\"{key}\": {value}}}"));
        folder.assert_serves(value);
        assert_eq!(
            folder.examined().manifest.expect("it serves").max_token_count(),
            most,
            "{key}: {value}"
        );
        folder.load();
    }
    for file in [
        "config.json",
        "tokenizer_config.json",
        "special_tokens_map.json",
        "tokenizer.json",
    ] {
        let folder = Folder::of("plain");
        let text = fs::read_to_string(folder.path.join(file)).expect("text");
        folder.write(file, format!("\u{feff}{text}"));
        folder.load();
    }
}

#[test]
fn what_can_not_be_read_names_the_key_and_the_remedy_helps() {
    for (key, value, words, better) in [
        (
            "id2label",
            "[\"a\", \"b\", \"c\"]",
            "id2label: should be an object",
            r#"{"0": "a", "1": "b", "2": "c"}"#,
        ),
        (
            "id2label",
            r#"{"0": ["a"], "1": "b", "2": "c"}"#,
            "id2label: should be an object",
            r#"{"0": "a", "1": "b", "2": "c"}"#,
        ),
        (
            "id2label",
            r#"{"0": "a", "2": "b", "3": "c"}"#,
            "ids of id2label",
            r#"{"0": "a", "1": "b", "2": "c"}"#,
        ),
        (
            "id2label",
            r#"{"0": "a", "1": "b"}"#,
            "3 columns",
            r#"{"0": "a", "1": "b", "2": "c"}"#,
        ),
        (
            "pad_token_id",
            "\"none\"",
            "pad_token_id: should be a whole number",
            "0",
        ),
        (
            "max_position_embeddings",
            "{}",
            "max_position_embeddings: should be a whole number",
            "24",
        ),
        (
            "problem_type",
            "7",
            "problem_type: should be a text",
            "\"multi_label_classification\"",
        ),
        (
            "problem_type",
            "\"guess\"",
            "problem_type is not one",
            "\"single_label_classification\"",
        ),
        (
            "problem_type",
            "\"regression\"",
            "there are 3 labels",
            "\"multi_label_classification\"",
        ),
    ] {
        let folder = Folder::of("plain");
        folder.config(key, Some(value));
        folder.assert_wrong(
            value,
            words,
            key.split('_').next().unwrap_or(key).trim_start_matches("problem"),
        );
        let told = folder.wrong().text;
        assert!(
            !told.contains("none\"") && told.contains("config.json") || told.contains("columns"),
            "{told}"
        );
        // Carried out: written so, or left out.
        folder.config(key, Some(better));
        folder.assert_serves(better);
        folder.config(key, None);
        folder.assert_serves(key);
    }
}

#[test]
fn what_is_assumed_of_the_meaning_is_said_before_anything_else() {
    let folder = Folder::of("plain");
    let text = fs::read_to_string(folder.path.join("config.json")).expect("text");
    let mut config: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&text).expect("JSON");
    for key in ["id2label", "label2id", "problem_type"] {
        config.remove(key);
    }
    config.insert("architectures".to_owned(), serde_json::json!(["BertModel"]));
    folder.write("config.json", serde_json::to_string(&config).expect("JSON"));
    let notes = folder.assert_serves("headless");
    let first: Vec<(bool, &str)> = notes
        .iter()
        .take(3)
        .map(|note| (note.leads, note.text.as_str()))
        .collect();
    assert!(
        matches!(&first[..], [(true, a), (true, b), (false, _)] if a.contains("LABEL_0, LABEL_1, LABEL_2") && b.contains("softmax")),
        "{first:?}"
    );
    assert!(has(&notes, NoteKind::Doubtful, "without a head"), "{notes:?}");
    let models = repository::open(folder.whole.path()).expect("a model");
    assert!(
        models[0].assumed().starts_with("assumed: the labels are LABEL_0"),
        "{}",
        models[0].assumed()
    );
    // Its remedies, carried out.
    config.insert("id2label".to_owned(), serde_json::json!({"0": "a", "1": "b", "2": "c"}));
    config.insert(
        "problem_type".to_owned(),
        serde_json::json!("multi_label_classification"),
    );
    folder.write("config.json", serde_json::to_string(&config).expect("JSON"));
    let notes = folder.assert_serves("named");
    assert!(
        notes.iter().all(|note| !note.leads && note.kind != NoteKind::Doubtful),
        "{notes:?}"
    );
}

#[test]
fn of_several_files_the_best_that_can_serve_does() {
    let folder = Folder::of("plain");
    fs::remove_file(folder.path.join("model.onnx")).expect("it was there");
    folder.put("onnx/model_fp16.onnx", &graph("gives-half"));
    folder.put("onnx/model_int8.onnx", &graph("plain"));
    folder.put("onnx/model_uint8.onnx", &graph("plain"));
    folder.put("onnx/model_bnb4.onnx", &graph("plain"));
    let serving = || folder.examined().manifest.expect("it serves").onnx.file;
    assert_eq!(serving(), "onnx/model_int8.onnx");
    assert!(has(
        &folder.assert_serves("8 bits"),
        NoteKind::Assumed,
        "quantised to 8 bits"
    ));
    // One that can't serve is passed over, and told of.
    folder.put("onnx/model.onnx", &graph("embedding"));
    folder.put("onnx/model_int8.onnx", &graph("tokens"));
    assert_eq!(serving(), "onnx/model_uint8.onnx");
    assert!(has(
        &folder.assert_serves("passed over"),
        NoteKind::Assumed,
        "onnx/model.onnx can't serve"
    ));
    // The remedy: another one alone.
    for file in ["model.onnx", "model_int8.onnx", "model_uint8.onnx", "model_fp16.onnx"] {
        fs::remove_file(folder.path.join("onnx").join(file)).expect("it was there");
    }
    assert_eq!(serving(), "onnx/model_bnb4.onnx");
    let notes = folder.assert_serves("4 bits");
    assert!(
        has(&notes, NoteKind::Found, "4 bits") && !notes.iter().any(|note| note.text.contains("full precision")),
        "{notes:?}"
    );
}

#[test]
fn files_that_stand_for_others_are_named() {
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n";
    for file in ["model.onnx", "tokenizer.json", "config.json", "tokenizer_config.json"] {
        for (text, words, remedy) in [
            (pointer.as_bytes(), "is a pointer of Git LFS", "git lfs pull"),
            (b"<!DOCTYPE html><html>".as_slice(), "is a web page", "hf download"),
            (b"\xff\xfe{\0}\0".as_slice(), "is UTF-16", "iconv -f UTF-16 -t UTF-8"),
        ] {
            let folder = Folder::of("plain");
            folder.write(file, text);
            folder.assert_wrong(file, &format!("{file} {words}"), remedy);
        }
    }
    let folder = Folder::of("plain");
    copy_folder(&root().join("tests/data/hugging_face/xlm-roberta"), &folder.path);
    folder.write("model.onnx_data", pointer);
    folder.assert_wrong("weights", "is a pointer of Git LFS", "git lfs pull");
}

/// The folder with the manifest that it would have, changed by hand.
fn write_manifest(folder: &Folder, like: &str, change: impl FnOnce(&mut Manifest)) {
    let mut manifest = Folder::of(like).examined().manifest.expect("it serves");
    let sum = files::sha256_of(&folder.path.join("model.onnx")).expect("hashed");
    manifest.files.insert("model.onnx".to_owned(), sum);
    manifest.name = "reviews".to_owned();
    change(&mut manifest);
    folder.write("manifest.toml", toml::to_string(&manifest).expect("TOML"));
}

#[test]
fn a_manifest_says_what_names_do_not() {
    let expected = Folder::of("plain").answers();
    let folder = Folder::of("names-odd");
    write_manifest(&folder, "plain", |manifest| {
        let names = [("input_ids", "left"), ("attention_mask", "right")];
        manifest.onnx.inputs = names.map(|(role, name)| (role.to_owned(), name.to_owned())).into();
    });
    assert_close(&folder.answers(), &expected, 1e-6, "inputs");
    let folder = Folder::of("heads");
    write_manifest(&folder, "plain", |manifest| manifest.onnx.output = "topic".to_owned());
    assert_close(&folder.answers(), &expected, 1e-6, "output");
    for (role, name, words) in [
        ("ids", "left", "`ids` is none of input_ids"),
        ("attention_mask", "left", "must name an input once"),
    ] {
        let folder = Folder::of("names-odd");
        write_manifest(&folder, "plain", |manifest| {
            manifest.onnx.inputs = [
                ("input_ids".to_owned(), "left".to_owned()),
                (role.to_owned(), name.to_owned()),
            ]
            .into();
        });
        let refused = repository::open(folder.whole.path()).expect_err("refused").to_string();
        assert!(refused.contains(words), "{words} in {refused}");
    }
}

#[test]
fn a_snapshot_of_the_hugging_face_cache_serves_as_it_is() {
    let cache = tempfile::tempdir().expect("a folder");
    let model = cache.path().join("models--acme--Film-Reviews");
    let snapshot = model.join("snapshots/0123abcd");
    let export = root().join("tests/data/hugging_face/roberta");
    copy_folder(&export, &snapshot);
    fs::create_dir(model.join("blobs")).expect("a folder");
    for (at, file) in ["config.json", "tokenizer.json", "onnx/model.onnx"].iter().enumerate() {
        let blob = model.join("blobs").join(at.to_string());
        fs::rename(snapshot.join(file), &blob).expect("moved");
        let up = if file.contains('/') {
            "../../../blobs"
        } else {
            "../../blobs"
        };
        symlink(Path::new(up).join(at.to_string()), snapshot.join(file)).expect("a link");
    }
    let read = repository::read(&snapshot, &Hints::of_folder(&snapshot)).expect("it serves");
    assert_eq!(read.manifest.name, "film-reviews");
    initialize(&read, ONE).expect("it loads");
    // Outside of the model's own cache nothing is its own.
    fs::rename(model.join("blobs/0"), cache.path().join("config.json")).expect("moved");
    fs::remove_file(snapshot.join("config.json")).expect("it was there");
    symlink("../../../config.json", snapshot.join("config.json")).expect("a link");
    let refused = repository::read(&snapshot, &Hints::of_folder(&snapshot))
        .expect_err("refused")
        .to_string();
    assert!(refused.contains("a link out of"), "{refused}");
}

/// Carries out the command that a remedy holds.
fn carry_out(remedy: &str) {
    let command = remedy.split_once("rename it: ").expect("a command").1;
    let done = Command::new("sh").args(["-c", command]).status().expect("a shell");
    assert!(done.success(), "{command}");
}

#[test]
fn folders_with_names_that_none_can_have_are_passed_over_and_their_remedy_helps() {
    for (odd, name, version) in [
        ("KcELECTRA/1", "kcelectra", "1"),
        ("kcbert.base/1", "kcbert-base", "1"),
        ("한국어/1", "model", "1"),
        ("film reviews/1", "film-reviews", "1"),
        ("reviews/1.0.1", "reviews", "1-0-1"),
        ("reviews/V2", "reviews", "v2"),
    ] {
        let repository = tempfile::tempdir().expect("a folder");
        copy_folder(
            &root().join("tests/data/hugging_face/bert"),
            &repository.path().join(odd),
        );
        // Alone it is what is told of.
        let alone = repository::open(repository.path()).expect_err(odd).to_string();
        assert!(
            alone.contains("its name is none that") && !alone.contains('\n'),
            "{alone}"
        );
        // Beside others it stops nobody.
        copy_folder(
            &root().join("tests/data/hugging_face/bert"),
            &repository.path().join("other/1"),
        );
        assert_eq!(repository::open(repository.path()).expect("the other").len(), 1);
        carry_out(&alone);
        let models = repository::open(repository.path()).expect("both");
        let found = models
            .iter()
            .any(|model| (model.manifest.name.as_str(), model.manifest.version.as_str()) == (name, version));
        assert!(found && models.len() == 2, "{odd} is {name}@{version}");
    }
}

#[test]
fn what_lies_beside_versions_is_not_taken_for_the_newest() {
    let folder = Folder::of("plain");
    let name = folder.path.parent().expect("a name");
    for beside in ["1.bak", "old", "copy of 1", "2_old", "backup-3", ".git", "lost+found"] {
        copy_folder(&folder.path, &name.join(beside));
        copy_folder(&folder.path, &folder.whole.path().join(beside).join("x"));
    }
    for empty in ["lost+found", "@eaDir", "notes"] {
        fs::create_dir_all(folder.whole.path().join("other").join(empty)).expect("a folder");
    }
    let models = repository::newest(folder.whole.path()).expect("models");
    assert!(models.contains(&folder.path), "{models:?}");
    assert!(
        !models
            .iter()
            .any(|model| model.parent() == Some(name) && *model != folder.path),
        "{models:?}"
    );
    // Where there is nothing else, a folder with a version's name serves whatever it means.
    fs::rename(&folder.path, folder.whole.path().join("gone")).expect("moved");
    fs::remove_dir_all(name.join("2_old")).expect("removed");
    fs::remove_dir_all(name.join("backup-3")).expect("removed");
    assert!(
        repository::newest(folder.whole.path())
            .expect("models")
            .contains(&name.join("old"))
    );
}

/// A repository with version 3 of a small model, good, and something newer that is not.
fn with_newer(newer: impl FnOnce(&Path)) -> Folder {
    let folder = Folder::of("plain");
    fs::rename(&folder.path, folder.path.with_file_name("3")).expect("moved");
    let newest = folder.path.with_file_name("4");
    copy_folder(&folder.path.with_file_name("3"), &newest);
    newer(&newest);
    folder
}

#[tokio::test]
async fn where_the_newest_version_is_broken_the_one_before_it_serves_from_the_start() {
    let junk = |newest: &Path| fs::write(newest.join("model.onnx"), "junk").expect("written");
    // Whole by its looks, and ONNX Runtime can't load it.
    let unloadable = |newest: &Path| {
        let graph = fs::read(newest.join("model.onnx")).expect("a graph");
        let at = graph
            .windows(9)
            .position(|part| part == b"ReduceSum")
            .expect("an operator");
        let broken = [&graph[..at], b"ReduceSun", &graph[at + 9..]].concat();
        fs::write(newest.join("model.onnx"), broken).expect("written");
    };
    for (case, folder, stage) in [
        ("junk", with_newer(junk), "not_ready"),
        ("unloadable", with_newer(unloadable), "load"),
    ] {
        let server = TestServer::builder()
            .models(folder.whole.path().to_owned())
            .start()
            .await;
        let health = server
            .client()
            .await
            .health(pb::HealthRequest {})
            .await
            .expect("health")
            .into_inner();
        assert_eq!(health.state(), pb::ServingState::Serving, "{case}");
        let model = &health.models[0];
        assert_eq!(model.model.as_ref().expect("a name").version, "3", "{case}");
        let told = format!("version `4` was refused ({stage})");
        assert!(model.message.contains(&told), "{case}: {}", model.message);
        assert!(!model.message.contains("/tmp"), "no paths: {}", model.message);
        let metrics = server.service.metrics().text();
        assert!(
            metrics.contains("tandem_model_version_refused{model=\"reviews\"} 1"),
            "{metrics}"
        );
    }
    // Where none is good, nothing serves.
    let folder = with_newer(junk);
    junk(&folder.path.with_file_name("3"));
    let settings = Settings {
        models: folder.whole.path().to_owned(),
        ..Settings::default()
    };
    assert!(open_catalog(&settings).is_err());
}

/// Each kind of folder that is wrong or in doubt, and its remedy carried out: it serves afterwards, and the note is gone. Those that
/// need optimum, transformers, git or the network are not here: they are in the tests of what they say.
#[test]
fn every_remedy_that_can_be_carried_out_here_helps() {
    type Step = fn(&Folder);
    let cases: [(&str, &str, Step, &str, Step); 16] = [
        (
            "plain",
            "labels are LABEL_0",
            |folder| folder.config("id2label", None),
            "name them in config.json: \"id2label\": {\"0\": \"NAME\", \"1\": \"NAME\", \"2\": \"NAME\"}",
            |folder| folder.config("id2label", Some(r#"{"0": "a", "1": "b", "2": "c"}"#)),
        ),
        (
            "plain",
            "one of the labels is right (softmax): no file says",
            |folder| folder.config("problem_type", None),
            "\"problem_type\": \"single_label_classification\"; if several can be right: \"multi_label_classification\"",
            |folder| folder.config("problem_type", Some("\"multi_label_classification\"")),
        ),
        (
            "plain",
            "label2id and id2label do not agree",
            |folder| folder.config("label2id", Some(r#"{"bad": 2, "fair": 1, "good": 0}"#)),
            "make them agree in config.json",
            |folder| folder.config("label2id", Some(r#"{"bad": 0, "fair": 1, "good": 2}"#)),
        ),
        (
            "plain",
            "num_labels is 20000",
            |folder| {
                folder.config("id2label", None);
                let text = fs::read_to_string(folder.path.join("config.json")).expect("text");
                folder.write("config.json", format!("{{\"num_labels\": 20000, {}", &text[1..]));
            },
            "take the config.json of this very model",
            |folder| folder.config("label2id", None),
        ),
        (
            "plain",
            "the output has 3 columns, config.json names 2 labels",
            |folder| folder.config("id2label", Some(r#"{"0": "a", "1": "b"}"#)),
            "name them in config.json: \"id2label\"",
            |folder| folder.config("id2label", Some(r#"{"0": "a", "1": "b", "2": "c"}"#)),
        ),
        (
            "plain",
            "there is no config.json",
            |folder| fs::remove_file(folder.path.join("config.json")).expect("it was there"),
            "copy it from the folder that the model was exported from",
            |folder| folder.config("label2id", None),
        ),
        (
            "plain",
            "not JSON, or cut off",
            |folder| folder.write("config.json", "{\"id2label\": {"),
            "copy it again",
            |folder| folder.config("label2id", None),
        ),
        (
            "plain",
            "tokenizer_config.json: model_max_length: should be a number",
            |folder| folder.write("tokenizer_config.json", r#"{"model_max_length": "long"}"#),
            "write model_max_length so in tokenizer_config.json, or leave it out",
            |folder| folder.write("tokenizer_config.json", "{}"),
        ),
        (
            "plain",
            "config.json is UTF-16",
            |folder| {
                let text = fs::read_to_string(folder.path.join("config.json")).expect("text");
                let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
                folder.write("config.json", [b"\xff\xfe".as_slice(), &wide].concat());
            },
            "convert it: iconv -f UTF-16 -t UTF-8 config.json > NEW && mv NEW config.json",
            |folder| folder.run("iconv -f UTF-16 -t UTF-8 config.json > NEW && mv NEW config.json"),
        ),
        (
            "output-odd",
            "an embedding model by its output `output`",
            |folder| {
                folder.config("id2label", None);
                let text = fs::read_to_string(folder.path.join("config.json")).expect("text");
                folder.write(
                    "config.json",
                    text.replace("BertForSequenceClassification", "BertModel"),
                );
            },
            "name its labels in config.json (id2label)",
            |folder| folder.config("id2label", Some(r#"{"0": "a", "1": "b", "2": "c"}"#)),
        ),
        (
            "heads",
            "several heads (intent, topic)",
            |_| (),
            "say in a manifest.toml which one is meant (onnx.output)",
            |folder| write_manifest(folder, "plain", |manifest| manifest.onnx.output = "topic".to_owned()),
        ),
        (
            "names-odd",
            "an input `left`, which a tokenizer does not give by that name",
            |_| (),
            "say in a manifest.toml which input is which ([onnx.inputs]",
            |folder| {
                write_manifest(folder, "plain", |manifest| {
                    let names = [("input_ids", "left"), ("attention_mask", "right")];
                    manifest.onnx.inputs = names.map(|(role, name)| (role.to_owned(), name.to_owned())).into();
                });
            },
        ),
        (
            "rows-5000",
            "exactly 5000 texts",
            |_| (),
            "export it with open sizes",
            |folder| folder.put("model.onnx", &graph("plain")),
        ),
        (
            "plain",
            "there is no ONNX file",
            |folder| fs::remove_file(folder.path.join("model.onnx")).expect("it was there"),
            "put model.onnx into the folder",
            |folder| folder.put("model.onnx", &graph("plain")),
        ),
        (
            "plain",
            "is not an ONNX file, or a part of it is missing",
            |folder| {
                let whole = fs::read(folder.path.join("model.onnx")).expect("a graph");
                folder.write("model.onnx", &whole[..whole.len() / 2]);
            },
            "copy it again from",
            |folder| folder.put("model.onnx", &graph("plain")),
        ),
        (
            "plain",
            "a link out of",
            |folder| {
                let outside = folder
                    .whole
                    .path()
                    .parent()
                    .expect("a parent")
                    .join(format!("{}.json", std::process::id()));
                fs::rename(folder.path.join("config.json"), &outside).expect("moved");
                symlink(&outside, folder.path.join("config.json")).expect("a link");
            },
            "copy the file itself (cp -rL follows links)",
            |folder| {
                let outside = fs::read_link(folder.path.join("config.json")).expect("a link");
                folder.run("cp -rL . ../copy && rm config.json && mv ../copy/config.json . && rm -r ../copy");
                fs::remove_file(outside).expect("removed");
            },
        ),
    ];
    for (graph, words, spoil, remedy, mend) in cases {
        let folder = Folder::of(graph);
        spoil(&folder);
        let of = |notes: &[Note]| {
            notes
                .iter()
                .find(|note| note.kind != NoteKind::Found && note.text.contains(words))
                .cloned()
        };
        let told = of(&folder.examined().notes).unwrap_or_else(|| panic!("{words} in {:?}", folder.examined().notes));
        let said = format!("{}; {}", told.text, told.remedy.unwrap_or_default());
        assert!(said.contains(remedy), "{words}: {remedy} in: {said}");
        mend(&folder);
        let models = repository::open(folder.whole.path()).unwrap_or_else(|error| panic!("{words}: {error}"));
        assert!(of(&models[0].notes).is_none(), "{words} is still told");
    }
}

/// Where a graph says the version of the operators of ONNX: at its end, with an empty domain.
const OPSET: [u8; 5] = [0x42, 4, 0x0a, 0, 0x10];

#[test]
fn graphs_of_a_newer_onnx_are_told_what_is_read_here_and_that_is_read() {
    let folder = Folder::of("plain");
    let graph = fs::read(folder.path.join("model.onnx")).expect("a graph");
    let opset = graph.windows(5).position(|part| part == OPSET).expect("a version") + 5;
    let failure = |at: usize, version: u8| {
        let mut changed = graph.clone();
        changed[at] = version;
        folder.write("model.onnx", &changed);
        let models = repository::open(folder.whole.path()).expect("a model");
        initialize(&models[0], ONE).err().map(|error| error.problem)
    };
    for (at, words, remedy) in [
        (
            1,
            "its IR version is 99, and ONNX Runtime reads up to ",
            "m.ir_version = ",
        ),
        (
            opset,
            "it is written in opset 99 of ai.onnx, and ONNX Runtime knows up to ",
            "optimum-cli: --opset",
        ),
    ] {
        let told = failure(at, 99).expect("refused");
        assert!(
            told.contains(remedy) && !told.contains(".cc:") && !told.contains("::"),
            "{told}"
        );
        let (_, rest) = told.split_once(words).expect(words);
        let (most, _) = rest.split_once(':').expect("a remedy");
        assert_eq!(failure(at, most.parse().expect("a number")), None, "{told}");
    }
}

#[test]
fn weights_that_were_never_exported_are_told_as_what_they_are() {
    let folder = Folder::of("plain");
    fs::remove_file(folder.path.join("model.onnx")).expect("it was there");
    folder.write("pytorch_model.bin", "");
    for (architecture, kind) in [
        ("BertForTokenClassification", "a token classifier"),
        ("BertForQuestionAnswering", "question answering"),
        ("BertForMultipleChoice", "multiple choice"),
        ("GPT2LMHeadModel", "a language model"),
        ("BertModel", "an embedding model"),
    ] {
        folder.config("architectures", Some(&format!("[\"{architecture}\"]")));
        folder.assert_wrong(
            architecture,
            &format!("but pytorch_model.bin, of {kind}"),
            "serve another model",
        );
    }
    folder.config("architectures", Some("[\"BertForSequenceClassification\"]"));
    folder.assert_wrong("a classifier", "but pytorch_model.bin", "--task text-classification");

    fs::remove_file(folder.path.join("pytorch_model.bin")).expect("it was there");
    folder.write("classifier.joblib", "");
    folder.assert_wrong("a pickle", "but classifier.joblib", "pip install skl2onnx");
}

#[test]
fn commands_of_remedies_are_quoted_for_a_shell() {
    let whole = tempfile::tempdir().expect("a temporary folder");
    let path = whole.path().join("my 'new' $model");
    fs::create_dir(&path).expect("a folder");
    fs::write(path.join("model.safetensors"), "").expect("written");
    // What the shell makes of the command, by programs that write what they are given.
    let words = |path: &Path, after: &str| {
        let notes = discover::examine(path, &Hints::of_folder(path)).notes;
        let wrong = notes
            .into_iter()
            .find(|note| note.kind == NoteKind::Wrong)
            .expect("wrong");
        let remedy = wrong.remedy.expect("a remedy");
        let command = remedy.split_once(after).expect("a command").1.to_owned();
        let script = format!("printf '%s\\n' {command}");
        let output = Command::new("sh").args(["-c", &script]).output().expect("a shell");
        let text = String::from_utf8(output.stdout).expect("text");
        text.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let name = path.display().to_string();
    for given in [path.clone(), path.join(""), path.join(".")] {
        let shown = words(&given, "optimum-cli export onnx --model ");
        assert_eq!(
            shown,
            [&name, "--task", "text-classification", &format!("{name}-onnx")],
            "{given:?}"
        );
    }
    fs::copy(graph("plain"), path.join("model.onnx")).expect("a copy");
    let config = root().join("tests/data/hugging_face/bert/config.json");
    fs::copy(config, path.join("config.json")).expect("a copy");
    fs::write(path.join("vocab.txt"), "").expect("written");
    let shown = words(&path, "make it: ");
    assert_eq!(shown.last(), Some(&name), "{shown:?}");
}
