//! Models that could read thousands of tokens read a moderate number unless a manifest asks for more.

use tandem::model::discover::Hints;
use tandem::model::manifest::Preprocess;
use tandem::model::repository;

use crate::support::models::copy_folder;
use crate::support::root;

/// The most tokens of a folder whose files name a family and so many positions, and what is noted.
fn read(family: &str, positions: usize) -> (usize, String) {
    let folder = tempfile::tempdir().expect("a folder");
    copy_folder(&root().join("tests/data/hugging_face/minilm"), folder.path());
    std::fs::remove_file(folder.path().join("tokenizer_config.json")).expect("removed");
    let path = folder.path().join("config.json");
    let config = std::fs::read_to_string(&path).expect("a config");
    let config = config
        .replace(
            "\"max_position_embeddings\": 24",
            &format!("\"max_position_embeddings\": {positions}"),
        )
        .replace("\"model_type\": \"bert\"", &format!("\"model_type\": \"{family}\""));
    std::fs::write(path, config).expect("written");
    let model = repository::read(folder.path(), &Hints::of_folder(folder.path())).expect("a model");
    let Preprocess::Tokenizer(settings) = &model.manifest.preprocess else {
        panic!("a tokenizer");
    };
    let notes: Vec<&str> = model.notes.iter().map(|note| note.text.as_str()).collect();
    (settings.max_tokens, notes.join("\n"))
}

#[test]
fn a_long_model_reads_a_moderate_number_of_tokens_and_says_so() {
    let (most, notes) = read("bert", 8192);
    assert_eq!(most, 512);
    assert!(notes.contains("it reads 512 tokens of the 8192"), "{notes}");
    assert_eq!(read("bert", 512).0, 512);
}

#[test]
fn families_whose_positions_begin_after_the_padding_have_fewer() {
    // The padding's id is 0 here, so one position is left unused.
    for family in ["roberta", "ibert", "xmod", "luke", "lilt", "esm", "markuplm"] {
        assert_eq!(read(family, 24).0, 23, "{family}");
    }
    assert_eq!(read("bert", 24).0, 24);
}
