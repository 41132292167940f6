//! Special tokens that a caller spells out in a text are what the framework's own tokenizer makes of them: the token itself where
//! the folder's tokenizer knows it by that name, and text elsewhere. The ids are those of transformers 4.57.6.

use std::fs;

use tandem::model::ModelInput;
use tandem::model::discover::Hints;
use tandem::model::loading::{FastPath, InstanceSettings, initialize};
use tandem::model::repository;

use crate::support::models::copy_folder;
use crate::support::root;

/// The ids of each text, by the folder of a family; its special tokens are text in texts where `split` says so.
fn ids(family: &str, split: bool, texts: &[&str]) -> Vec<Vec<u32>> {
    let folder = tempfile::tempdir().expect("a folder");
    copy_folder(&root().join("tests/data/hugging_face").join(family), folder.path());
    if split {
        let path = folder.path().join("tokenizer_config.json");
        let config = fs::read_to_string(&path).expect("a config");
        let config = config.replacen('{', "{\"split_special_tokens\": true,", 1);
        fs::write(path, config).expect("written");
    }
    let model = repository::read(folder.path(), &Hints::of_folder(folder.path())).expect("a model");
    let instances = InstanceSettings {
        count: 1,
        intra_threads: 1,
        idle_threads: 1,
        max_cells: 256,
        fast_path: FastPath::default(),
    };
    let model = initialize(&model, instances).expect("it loads").model;
    let ids = |text: &&str| match model.preprocess(text, None).expect("tokens").input {
        ModelInput::Tokens { ids, .. } => ids,
        ModelInput::Features(_) | ModelInput::Text(_) => panic!("tokens"),
    };
    texts.iter().map(ids).collect()
}

const TEXTS: [&str; 5] = ["a [SEP] b", "a </s> b", "a [MASK] b", "a <mask> b", "a [sep] b"];

#[test]
fn what_a_family_knows_by_that_name_is_the_token_and_the_rest_is_text() {
    let bert = ids("bert", false, &TEXTS);
    assert_eq!(bert[0], [2, 32, 3, 33, 3], "its own end token");
    assert_eq!(bert[1], [2, 32, 1, 15, 48, 27, 33, 3], "another family's is text");
    assert_eq!(bert[2], [2, 32, 4, 33, 3]);
    assert_eq!(bert[4], [2, 32, 1, 1, 1, 33, 3], "in another case it is text");
    let roberta = ids("roberta", false, &TEXTS);
    assert_eq!(roberta[0], [0, 69, 225, 63, 55, 41, 52, 65, 225, 70, 2]);
    assert_eq!(roberta[1], [0, 69, 225, 2, 225, 70, 2]);
    assert_eq!(roberta[3], [0, 69, 4, 225, 70, 2], "its mask takes the space before it");
    let xlm_roberta = ids("xlm-roberta", false, &TEXTS);
    assert_eq!(xlm_roberta[0], [0, 5, 20, 5, 3, 67, 2]);
    assert_eq!(xlm_roberta[1], [0, 5, 20, 5, 2, 67, 2]);
}

#[test]
fn where_the_folder_says_so_they_are_text_as_far_as_the_vocabulary_goes() {
    let bert = ids("bert", true, &TEXTS);
    assert_eq!(bert[0], [2, 32, 1, 1, 1, 33, 3]);
    let roberta = ids("roberta", true, &TEXTS);
    assert_eq!(roberta[1], [0, 69, 225, 32, 19, 87, 34, 225, 70, 2]);
    // A Unigram model has the token among its pieces, and finds it again.
    let xlm_roberta = ids("xlm-roberta", true, &TEXTS);
    assert_eq!(xlm_roberta[1], [0, 5, 20, 5, 2, 67, 2]);
}
