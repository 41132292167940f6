//! What is printed of scikit-learn exports was carried out: the same pipeline after the remedy serves, the note is gone (but for what
//! the file does not tell), and labels are scikit-learn's.
//!
//! The table and the exports come from training/fixtures/scikit_learn_remedies.py.

use std::fs;
use std::path::PathBuf;

use serde::Deserialize;
use tandem::api::pb;
use tandem::model::discover::{self, Hints, Note, NoteKind};

use crate::sklearn::{Expected, ask};
use crate::support::{TestServer, root};

/// A pair of exports.
#[derive(Deserialize)]
struct Remedy {
    in_need: String,
    /// Words of what is said of it.
    note: String,
    /// Words of what is to be done.
    remedy: String,
    /// The export after that was done.
    mended: String,
    /// Whether the note is there afterwards too, since the file does not tell.
    stays: bool,
}

/// The folder, or the file of labels, of an export.
fn path(name: &str) -> PathBuf {
    let data = root().join("tests/data");
    let own = data.join("scikit-learn-remedies").join(name);
    if own.exists() {
        own
    } else {
        data.join("scikit-learn-matrix").join(name)
    }
}

/// What is said of it with these words, but for what the files themselves say; and whether it serves.
fn told(name: &str, words: &str) -> (Vec<Note>, bool) {
    let folder = path(name);
    let examined = discover::examine(&folder, &Hints::of_folder(&folder));
    let said = |note: &Note| note.kind != NoteKind::Found && note.text.contains(words);
    let notes = examined.notes.into_iter().filter(said).collect();
    (notes, examined.manifest.is_some())
}

fn lines<T: for<'a> Deserialize<'a>>(path: PathBuf) -> Vec<T> {
    let text = fs::read_to_string(path).expect("a file");
    text.lines()
        .map(|line| serde_json::from_str(line).expect("one object a line"))
        .collect()
}

#[tokio::test]
async fn every_remedy_for_an_export_of_scikit_learn_helps() {
    let table: Vec<Remedy> = lines(path("remedies.jsonl"));
    assert!(table.len() > 25, "{}", table.len());
    let repository = tempfile::tempdir().expect("a temporary folder");
    for row in &table {
        let (notes, _) = told(&row.in_need, &row.note);
        let printed = notes
            .iter()
            .any(|note| note.remedy.as_ref().is_some_and(|remedy| remedy.contains(&row.remedy)));
        assert!(printed, "{}: {}: {notes:#?}", row.in_need, row.remedy);
        let (left, serves) = told(&row.mended, &row.note);
        assert!(serves && left.is_empty() != row.stays, "{}: {left:#?}", row.mended);
        let version = repository.path().join(&row.mended).join("1");
        fs::create_dir_all(&version).expect("a folder");
        fs::copy(path(&row.mended).join("model.onnx"), version.join("model.onnx")).expect("a copy");
    }
    let server = TestServer::builder().models(repository.path().to_owned()).start().await;
    let mut client = server.client().await;
    for row in &table {
        let rows: Vec<Expected> = lines(path(&format!("{}.jsonl", row.mended)));
        for together in rows.chunks(16) {
            let answers = ask(&mut client, &row.mended, together).await;
            for (expected, answer) in together.iter().zip(&answers) {
                let Some(selected) = &expected.selected else {
                    assert_eq!(answer.label, expected.label, "{}: {:?}", row.mended, expected.text);
                    continue;
                };
                let found = answer.scores.iter().filter(|score| score.selected);
                let mut found: Vec<&String> = found.map(|score| &score.label).collect();
                found.sort();
                let right: Vec<&String> = selected.iter().collect();
                assert_eq!(found, right, "{}: {:?}", row.mended, expected.text);
            }
        }
    }
}

#[tokio::test]
async fn a_text_that_is_a_stop_word_leaves_its_neighbours_their_answers() {
    // ONNX Runtime takes the row out of the batch.
    let folder = path("listed-stop-words-2");
    let server = TestServer::builder()
        .with(|settings| settings.fast = Some(folder))
        .start()
        .await;
    let mut client = server.client().await;
    let mut answers = async |texts: &[&str]| {
        let request = pb::PredictRequest {
            texts: texts.iter().map(ToString::to_string).collect(),
            top_k: 2,
            ..pb::PredictRequest::default()
        };
        client.predict(request).await.expect("answers").into_inner().predictions
    };
    let texts = ["영화 좋다", "영화", "awful boring", "great story"];
    let together = answers(&texts).await;
    for (text, together) in texts.iter().zip(&together) {
        let alone = answers(&[text]).await;
        assert_eq!(
            (&alone[0].label, &alone[0].scores),
            (&together.label, &together.scores),
            "{text}"
        );
    }
    assert_ne!(together[0].scores, together[2].scores);
}
