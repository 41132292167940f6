//! The matrix of scikit-learn exports: each answers with scikit-learn's labels, or says why not.

use std::fs;
use std::path::PathBuf;

use tandem::model::discover::{self, Examined, Hints, NoteKind};
use tandem::model::manifest::LabelOutput;

use crate::sklearn::{Expected, ask, open};
use crate::support::{TestServer, root};

/// What becomes of an export of the matrix (`training/fixtures/scikit_learn_matrix.py`).
enum Fate {
    /// Its labels are scikit-learn's; a doubtful note has these words, if there are any.
    Equal(&'static str),
    /// It serves, and a doubtful note has these words; none: the file does not tell, and that is said.
    Doubtful(&'static str),
    /// It does not serve, and the reason has these words.
    Refused(&'static str),
}

const MATRIX: [(&str, Fate); 56] = [
    ("svc-2-text-tensor", Fate::Equal("")),
    ("svc-2-text-map", Fate::Equal("")),
    ("svc-2-integers-map", Fate::Equal("")),
    ("svc-2-text-columns", Fate::Equal("")),
    ("svc-3-text-tensor", Fate::Equal("")),
    ("svc-ovo-3-text-tensor", Fate::Equal("names itself")),
    ("svc-probability-2-text-map", Fate::Equal("names itself")),
    ("nu-svc-2-text-tensor", Fate::Equal("")),
    ("voting-soft-2-text-tensor", Fate::Equal("")),
    ("gradient-boosting-2-text-map", Fate::Equal("")),
    ("one-letter-logistic-2", Fate::Equal("")),
    ("usual-locale-logistic-2", Fate::Equal("")),
    ("bigrams-one-letter-logistic-2", Fate::Doubtful("of one letter")),
    ("bigrams-three-letters-logistic-2", Fate::Doubtful("of 2 letters")),
    ("bigrams-three-letters-said-logistic-2", Fate::Equal("")),
    ("bigrams-alone-three-letters-logistic-2", Fate::Doubtful("of 2 letters")),
    ("calibrated-isotonic-2-text-tensor", Fate::Doubtful("isotonic")),
    ("tuned-threshold-2-text-tensor", Fate::Doubtful("threshold")),
    ("knn-distance-2-text-tensor", Fate::Doubtful("weights")),
    ("union-sublinear-logistic-2", Fate::Doubtful("sublinear_tf")),
    ("stop-words-bigrams-logistic-2", Fate::Doubtful("")),
    (
        "one-vs-rest-svc-2-text-tensor",
        Fate::Refused("support vector machines inside"),
    ),
    ("one-vs-rest-svc-2-text-raw", Fate::Refused("")),
    (
        "one-vs-rest-linear-svc-2-text-tensor",
        Fate::Refused("a score above 0.5"),
    ),
    ("one-vs-rest-nb-2-text-raw", Fate::Refused("a probability above 0")),
    ("voting-hard-2-text-tensor", Fate::Refused("a score above 0.5")),
    ("bagging-linear-svc-2-text-tensor", Fate::Refused("shape")),
    ("k-means-2-text-map", Fate::Refused("names itself")),
    ("one-class-svm-2-text-map", Fate::Refused("names a class that is none")),
    ("multi-output-2-text-tensor", Fate::Refused("several answers")),
    (
        "labels-svc-2-text-map",
        Fate::Refused("one a label, are exported with their scores"),
    ),
    (
        "labels-svc-probability-2-text-tensor",
        Fate::Refused("with probability=True, one a label"),
    ),
    ("labels-svc-2-text-raw", Fate::Equal("gives scores")),
    ("labels-linear-svc-2-text-map", Fate::Equal("gives scores")),
    ("labels-nb-2-text-tensor", Fate::Equal("")),
    ("labels-contradicted", Fate::Refused("above one half")),
    ("labels-complement-nb-2-text-map", Fate::Equal("")),
    ("labels-no-intercept-2-text-tensor", Fate::Equal("")),
    ("labels-linear-svc-no-intercept-2-text-map", Fate::Equal("gives scores")),
    ("labels-knn-2-text-tensor", Fate::Equal("")),
    ("labels-mlp-3-text-map", Fate::Equal("")),
    ("labels-mlp-3-text-tensor", Fate::Equal("")),
    ("labels-mlp-2-text-tensor", Fate::Refused("on two labels a text")),
    ("labels-mlp-inside-2-text-tensor", Fate::Equal("")),
    ("labels-ridge-3-text-tensor", Fate::Equal("gives scores")),
    (
        "labels-ridge-3-text-raw",
        Fate::Doubtful("RidgeClassifier on several labels"),
    ),
    ("labels-ridge-2-text-tensor", Fate::Refused("on two labels a text")),
    ("labels-ridge-inside-2-text-raw", Fate::Equal("gives scores")),
    ("labels-neighbours-2-text-tensor", Fate::Refused("several answers")),
    ("labels-tree-2-text-map", Fate::Refused("several answers")),
    ("spaces-ascii-logistic-2", Fate::Doubtful("spaces of ASCII")),
    (
        "two-values",
        Fate::Refused("several numbers for each text and no classes"),
    ),
    (
        "no-classifier",
        Fate::Refused("several numbers for each text and no classes"),
    ),
    ("union-lost-logistic-2", Fate::Refused("its vectorizer")),
    ("union-words-lost-logistic-2", Fate::Refused("its vectorizer")),
    ("one-letter-lost-logistic-2", Fate::Refused("are lost")),
];

fn matrix_folder(name: &str) -> PathBuf {
    root().join("tests/data/scikit-learn-matrix").join(name)
}

#[tokio::test]
async fn labels_are_scikit_learns_or_it_is_said_why_not() {
    let repository = tempfile::tempdir().expect("a temporary folder");
    let mut equal = Vec::new();
    for (name, fate) in &MATRIX {
        let folder = matrix_folder(name);
        let Examined { manifest, notes } = discover::examine(&folder, &Hints::of_folder(&folder));
        let said = |kind, words: &str| notes.iter().any(|note| note.kind == kind && note.text.contains(words));
        let (serves, told) = match fate {
            Fate::Equal("") => (true, true),
            Fate::Equal(words) => (true, said(NoteKind::Doubtful, words)),
            Fate::Doubtful("") => (true, said(NoteKind::Found, "stop words")),
            Fate::Doubtful(words) => (true, said(NoteKind::Doubtful, words)),
            Fate::Refused(words) => (false, said(NoteKind::Wrong, words)),
        };
        assert!(told && manifest.is_some() == serves, "{name}: {notes:#?}");
        if matches!(fate, Fate::Equal(_)) {
            let version = repository.path().join(name).join("1");
            fs::create_dir_all(&version).expect("a folder");
            fs::copy(folder.join("model.onnx"), version.join("model.onnx")).expect("a copy");
            equal.push(*name);
        }
    }
    let server = TestServer::builder().models(repository.path().to_owned()).start().await;
    let mut client = server.client().await;
    for name in equal {
        let text = fs::read_to_string(matrix_folder(&format!("{name}.jsonl"))).expect("the labels");
        let rows: Vec<Expected> = text
            .lines()
            .map(|line| serde_json::from_str(line).expect("one object a line"))
            .collect();
        for (size, most) in [(16, rows.len()), (1, 8)] {
            for together in rows[..most].chunks(size) {
                let answers = ask(&mut client, name, together).await;
                for (row, answer) in together.iter().zip(&answers) {
                    if let Some(selected) = &row.selected {
                        let mut found: Vec<&String> = answer
                            .scores
                            .iter()
                            .filter(|score| score.selected)
                            .map(|score| &score.label)
                            .collect();
                        found.sort();
                        assert_eq!(found, selected.iter().collect::<Vec<_>>(), "{name}: {:?}", row.text);
                        continue;
                    }
                    assert_eq!(answer.label, row.label, "{name}: {:?}", row.text);
                    // With the label comes its score, first.
                    assert_eq!(answer.scores[0].label, row.label, "{name}: {:?}", row.text);
                }
            }
        }
    }
}

#[test]
fn the_label_of_the_graph_is_in_the_manifest() {
    let folder = matrix_folder("svc-2-integers-map");
    let manifest = discover::examine(&folder, &Hints::of_folder(&folder))
        .manifest
        .expect("it can serve");
    // The first column is the score of the second class.
    assert_eq!(
        (&manifest.labels[..], &manifest.onnx.keys[..]),
        (&["1", "0"].map(String::from)[..], &["0", "1"].map(String::from)[..])
    );
    let label = manifest.onnx.label.clone().expect("the label's output");
    assert_eq!(
        (label.output.as_str(), &label.classes[..]),
        ("output_label", &["1", "0"].map(String::from)[..])
    );
    let mut renamed = manifest.clone();
    renamed.labels = ["good", "bad"].map(String::from).to_vec();
    assert!(open(&folder.join("model.onnx"), &renamed).is_ok());
    renamed.onnx.label = Some(LabelOutput {
        output: "nowhere".into(),
        ..label
    });
    assert!(
        open(&folder.join("model.onnx"), &renamed)
            .err()
            .is_some_and(|problem| problem.contains("`nowhere`"))
    );
}

#[test]
fn two_classes_by_softmax_may_have_other_probabilities() {
    let folder = matrix_folder("linear-discriminant-2-text-tensor");
    let Examined { notes, .. } = discover::examine(&folder, &Hints::of_folder(&folder));
    let assumed =
        |note: &discover::Note| note.kind == NoteKind::Assumed && note.text.contains("LinearDiscriminantAnalysis");
    assert!(notes.iter().any(assumed), "{notes:#?}");
}

#[test]
fn a_final_sigma_is_no_proof_that_a_locale_folds_ascii_alone() {
    let folder = matrix_folder("final-sigma");
    let Examined { notes, .. } = discover::examine(&folder, &Hints::of_folder(&folder));
    assert!(notes.iter().all(|note| note.kind == NoteKind::Found), "{notes:#?}");
}

#[test]
fn an_english_model_whose_pattern_finds_every_script_is_not_told_otherwise() {
    let folder = matrix_folder("english");
    let Examined { notes, .. } = discover::examine(&folder, &Hints::of_folder(&folder));
    assert!(notes.iter().all(|note| note.kind == NoteKind::Found), "{notes:#?}");
}
