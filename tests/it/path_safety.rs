//! No file of a model lies outside the repository, or outside a folder that stands alone: by no name, no link, and no place
//! that an ONNX file names for its weights. Links that stay inside are fine.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use tandem::model::ModelError;
use tandem::model::discover::Hints;
use tandem::model::repository::{self, VerifiedModel};
use tempfile::TempDir;

use crate::support::models::{ModelCopy, copy_folder};
use crate::support::root;

/// A repository with one export, `moods/1`, and a place beside it that is not part of it.
struct Place {
    all: TempDir,
}

impl Place {
    fn new() -> Self {
        let all = tempfile::tempdir().expect("a temporary folder");
        copy_folder(
            &root().join("tests/data/hugging_face/bert"),
            &all.path().join("models/moods/1"),
        );
        fs::create_dir(all.path().join("outside")).expect("a folder");
        Self { all }
    }

    fn repository(&self) -> PathBuf {
        self.all.path().join("models")
    }

    fn outside(&self) -> PathBuf {
        self.all.path().join("outside")
    }

    fn folder(&self) -> PathBuf {
        self.repository().join("moods/1")
    }

    fn open(&self) -> Result<Vec<VerifiedModel>, ModelError> {
        repository::open(&self.repository())
    }

    fn refusal(&self) -> String {
        self.open().expect_err("it is refused").to_string()
    }
}

/// Moves a file or a folder away and leaves a link to it.
fn link_away(path: &Path, to: &Path) {
    fs::rename(path, to).expect("moved");
    symlink(to, path).expect("a link");
}

/// A field of a Protobuf message that holds bytes or a message.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2];
    let mut length = content.len();
    while length > 127 {
        out.push((length & 127) as u8 | 128);
        length >>= 7;
    }
    out.push(length as u8);
    out.extend(content);
    out
}

/// A tensor of an ONNX file whose content lies at `location`.
fn tensor_at(location: &str) -> Vec<u8> {
    let entry = [field(1, b"location"), field(2, location.as_bytes())].concat();
    // Its name, where it lies, and that it does not lie in the file (field 14).
    [field(8, b"elsewhere"), field(13, &entry), vec![14 << 3, 1]].concat()
}

/// Adds a weight to an ONNX file: messages that follow each other are read as one.
fn add_weight(path: &Path, location: &str) {
    add_to_graph(path, &field(5, &tensor_at(location)));
}

fn add_to_graph(path: &Path, part: &[u8]) {
    let mut model = fs::read(path).expect("the model");
    model.extend(field(7, part));
    fs::write(path, model).expect("written");
}

#[test]
fn every_file_of_an_export_must_lie_in_the_repository() {
    for file in ["model.onnx", "config.json", "tokenizer.json", "tokenizer_config.json"] {
        let place = Place::new();
        assert!(place.open().is_ok());
        link_away(&place.folder().join(file), &place.outside().join(file));
        let refusal = place.refusal();
        assert!(
            refusal.contains(file) && refusal.contains("a link out of"),
            "{file}: {refusal}"
        );
        assert!(!refusal.contains('\n'), "one line: {refusal}");
    }
}

#[test]
fn the_folder_of_a_version_or_of_a_name_must_not_be_a_link_out() {
    for folder in ["moods/1", "moods"] {
        let place = Place::new();
        link_away(&place.repository().join(folder), &place.outside().join("model"));
        assert!(place.refusal().contains("a link out of"), "{folder}");
    }
}

#[test]
fn a_folder_that_stands_alone_is_its_own_root() {
    let place = Place::new();
    let read = || repository::read(&place.folder(), &Hints::of_folder(&place.folder()));
    assert!(read().is_ok());
    // What is in the repository is as far out as anything else.
    link_away(
        &place.folder().join("config.json"),
        &place.repository().join("config.json"),
    );
    assert!(
        read()
            .expect_err("out of the folder")
            .to_string()
            .contains("a link out of")
    );
    assert!(place.open().is_ok(), "it is in the repository");
}

#[test]
fn links_within_the_root_are_fine_as_kubernetes_mounts_files() {
    let place = Place::new();
    let mounted = place.folder();
    let data = mounted.join("..2026_11_23");
    fs::create_dir(&data).expect("a folder");
    for entry in fs::read_dir(&mounted).expect("the folder") {
        let path = entry.expect("an entry").path();
        if path.is_file() {
            let name = path.file_name().expect("a name").to_owned();
            fs::rename(&path, data.join(&name)).expect("moved");
            symlink(Path::new("..data").join(&name), &path).expect("a link");
        }
    }
    symlink("..2026_11_23", mounted.join("..data")).expect("a link");
    assert!(place.open().is_ok());
    assert!(repository::read(&mounted, &Hints::of_folder(&mounted)).is_ok());
    // A repository that is reached by a link is the folder that the link leads to.
    let link = place.all.path().join("current");
    symlink(place.repository(), &link).expect("a link");
    assert!(repository::open(&link).is_ok());
}

#[test]
fn weights_must_lie_beside_the_graph_wherever_it_names_them() {
    for location in ["../secret", "/etc/passwd", "a/../../secret", "..", ""] {
        let place = Place::new();
        fs::write(place.outside().join("secret"), "x").expect("written");
        fs::write(place.repository().join("moods/secret"), "x").expect("written");
        add_weight(&place.folder().join("model.onnx"), location);
        let refusal = place.refusal();
        assert!(
            refusal.contains("without `..`") && refusal.contains("model.onnx"),
            "{location}: {refusal}"
        );
    }
    let place = Place::new();
    add_weight(&place.folder().join("model.onnx"), "weights.bin");
    assert!(place.refusal().contains("the file is missing"));
    fs::write(place.outside().join("weights.bin"), "x").expect("written");
    symlink(place.outside().join("weights.bin"), place.folder().join("weights.bin")).expect("a link");
    assert!(place.refusal().contains("a link out of"));
    fs::remove_file(place.folder().join("weights.bin")).expect("removed");
    fs::write(place.folder().join("weights.bin"), "x").expect("written");
    let files = &place.open().expect("beside the graph")[0].manifest.files;
    assert!(files.contains_key("weights.bin"), "it counts for the fingerprint");
}

#[test]
fn weights_in_the_attribute_of_a_node_are_no_way_out_either() {
    // A node, its attribute, and in that a tensor, or a graph with a weight.
    for hidden in [
        field(5, &tensor_at("../secret")),
        field(6, &field(5, &tensor_at("../secret"))),
    ] {
        let place = Place::new();
        let node = field(1, &field(5, &hidden));
        add_to_graph(&place.folder().join("model.onnx"), &node);
        assert!(place.refusal().contains("../secret"));
    }
}

#[test]
fn a_manifest_lists_the_weights_that_lie_beside_the_graph() {
    for location in ["../secret", "/etc/passwd", "golden.jsonl/../../secret", "weights.bin"] {
        let copy = ModelCopy::of("sentiment-fast", "1");
        add_weight(&copy.folder().join("model.onnx"), location);
        copy.rehash("model.onnx");
        let refusal = copy.refusal();
        assert!(refusal.contains(&format!("has weights in `{location}`")), "{refusal}");
    }
    // What is listed is checked like every file.
    let copy = ModelCopy::of("sentiment-fast", "1");
    add_weight(&copy.folder().join("model.onnx"), "weights.bin");
    copy.rehash("model.onnx");
    let none = "0".repeat(64);
    copy.replace(
        "manifest.toml",
        "[files]\n",
        &format!("[files]\n\"weights.bin\" = \"{none}\"\n"),
    );
    assert!(copy.refusal().contains("weights.bin"));
    fs::write(copy.folder().join("weights.bin"), "x").expect("written");
    assert!(copy.refusal().contains("its SHA-256 is not the one"));
    copy.rehash("weights.bin");
    assert!(repository::open(copy.repository()).is_ok());
}

#[test]
fn a_manifest_names_no_file_outside() {
    for name in ["../golden.jsonl", "/etc/passwd", "a/../../b"] {
        let copy = ModelCopy::of("sentiment-fast", "1");
        let none = "0".repeat(64);
        copy.replace(
            "manifest.toml",
            "[files]\n",
            &format!("[files]\n\"{name}\" = \"{none}\"\n"),
        );
        assert!(copy.refusal().contains(name), "{name}");
    }
    for file in ["manifest.toml", "model.onnx", "golden.jsonl"] {
        let copy = ModelCopy::of("sentiment-fast", "1");
        let outside = tempfile::tempdir().expect("a temporary folder");
        link_away(&copy.folder().join(file), &outside.path().join(file));
        assert!(copy.refusal().contains("a link out of"), "{file}");
    }
}

#[test]
fn folders_whose_names_are_no_names_are_no_models() {
    for (name, version) in [("Bad Name", "1"), ("moods", "v1.0"), ("-moods", "1")] {
        let place = Place::new();
        fs::rename(place.repository().join("moods"), place.outside().join("moods")).expect("moved");
        copy_folder(
            &place.outside().join("moods/1"),
            &place.repository().join(name).join(version),
        );
        let refusal = place.refusal();
        assert!(refusal.contains("([a-z0-9]"), "{name}/{version}: {refusal}");
    }
    let place = Place::new();
    // Hidden folders are somebody else's.
    copy_folder(&place.folder(), &place.repository().join(".moods/1"));
    assert_eq!(place.open().expect("one model").len(), 1);
}
