//! A caller's text never makes the server ill: texts without tokens, with tokens that the graph does not know, with characters that
//! the vocabulary lacks, or whose outputs are infinite, are answered or are the caller's error, and those beside them are answered.

use serde_json::{Value, json};
use tandem::api::pb;
use tandem::model::ModelInput;
use tandem::model::discover::Hints;
use tandem::model::input::EncodeError;
use tandem::model::loading::{FastPath, Initialized, InstanceSettings, initialize};
use tandem::model::manifest::TokenizerSettings;
use tandem::model::preprocess::tokenizer::TextTokenizer;
use tandem::model::{ModelError, repository};
use tempfile::TempDir;
use tonic::Code;

use crate::support::models::copy_folder;
use crate::support::{Refusal, TestServer, root};

/// A folder of BERT's kind with a small graph of 320 tokens, and a changed tokenizer that is read as it is.
pub fn folder(graph: &str, change: impl FnOnce(&mut Value)) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    copy_folder(&root().join("tests/data/hugging_face/bert"), folder.path());
    let graph = root().join("tests/data/as_they_come").join(format!("{graph}.onnx"));
    let write = |file: &str, text: String| std::fs::write(folder.path().join(file), text).expect("written");
    std::fs::copy(graph, folder.path().join("model.onnx")).expect("a copy");
    write(
        "tokenizer_config.json",
        json!({"tokenizer_class": "PreTrainedTokenizerFast"}).to_string(),
    );
    std::fs::remove_file(folder.path().join("special_tokens_map.json")).expect("removed");
    let text = std::fs::read_to_string(folder.path().join("tokenizer.json")).expect("the tokenizer");
    let mut tokenizer = serde_json::from_str(&text).expect("JSON");
    change(&mut tokenizer);
    write("tokenizer.json", tokenizer.to_string());
    folder
}

fn load(folder: &TempDir) -> Result<Initialized, ModelError> {
    let verified = repository::read(folder.path(), &Hints::of_folder(folder.path())).expect("a model");
    let instances = InstanceSettings {
        count: 1,
        intra_threads: 1,
        idle_threads: 1,
        max_cells: 256,
        fast_path: FastPath::default(),
    };
    initialize(&verified, instances)
}

async fn server(folder: &TempDir) -> TestServer {
    let path = folder.path().to_owned();
    TestServer::builder()
        .with(move |settings| settings.deep = Some(path))
        .start()
        .await
}

fn asking(texts: &[&str]) -> pb::PredictRequest {
    pb::PredictRequest {
        texts: texts.iter().map(ToString::to_string).collect(),
        top_k: 10,
        ..pb::PredictRequest::default()
    }
}

/// No special tokens around texts.
fn bare(tokenizer: &mut Value) {
    tokenizer["post_processor"] = Value::Null;
}

/// A pair is its two texts, one after the other.
fn bare_pairs(tokenizer: &mut Value) {
    let part = |id: &str, type_id: u32| json!({"Sequence": {"id": id, "type_id": type_id}});
    tokenizer["post_processor"] = json!({
        "type": "TemplateProcessing", "single": [part("A", 0)], "pair": [part("A", 0), part("B", 1)], "special_tokens": {},
    });
}

/// Two tokens that the graph has no row for: one that is added, and one of the vocabulary.
fn two_more(tokenizer: &mut Value) {
    tokenizer["model"]["vocab"]["zebra"] = json!(320);
    let more = json!({
        "id": 321, "content": "<user>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true,
    });
    tokenizer["added_tokens"].as_array_mut().expect("a list").push(more);
}

/// The same without a token for the unknown that the graph knows.
fn two_more_and_no_unknown(tokenizer: &mut Value) {
    two_more(tokenizer);
    tokenizer["model"]["vocab"]
        .as_object_mut()
        .expect("a map")
        .remove("[UNK]");
    tokenizer["added_tokens"].as_array_mut().expect("a list").remove(1);
}

#[tokio::test]
async fn texts_without_tokens_are_answered_beside_others_and_alone() {
    let folder = folder("plain", bare);
    let server = server(&folder).await;
    let mut client = server.client().await;
    let whole = ["", "film", " ", "\u{0}", "\u{ad}\u{7}", "the film"];
    let together = client.predict(asking(&whole)).await.expect("answers").into_inner();
    assert_eq!(together.predictions.len(), whole.len());
    for (text, together) in whole.iter().zip(&together.predictions) {
        let alone = client.predict(asking(&[text])).await.expect("an answer").into_inner();
        assert_eq!(alone.predictions[0], *together, "{text:?}");
    }
    let unknown = client.predict(asking(&["中"])).await.expect("an answer").into_inner();
    assert_eq!(together.predictions[0].scores, unknown.predictions[0].scores);
    assert_eq!(together.predictions[0].token_count, 1);
    let none = client
        .predict(asking(&["", "", " "]))
        .await
        .expect("answers")
        .into_inner();
    assert!(none.predictions.iter().all(|answer| *answer == none.predictions[0]));
    let over_http = server.http().post("/v1/predict", r#"{"texts": ["", "film"]}"#).await;
    assert_eq!(over_http.status.as_u16(), 200);
}

#[tokio::test]
async fn pairs_of_which_one_or_both_have_no_tokens_are_answered() {
    let folder = folder("plain", bare_pairs);
    let server = server(&folder).await;
    let mut client = server.client().await;
    let pairs = [("", ""), ("film", ""), ("", "film"), ("the", "film")];
    let request = pb::PredictRequest {
        text_pairs: pairs.iter().map(|pair| pair.1.to_owned()).collect(),
        ..asking(&pairs.map(|pair| pair.0))
    };
    let answers = client.predict(request).await.expect("answers").into_inner();
    let counts: Vec<_> = answers.predictions.iter().map(|answer| answer.token_count).collect();
    assert_eq!(counts, [1, 1, 1, 2]);
    let long = "film ".repeat(400);
    for (text, pair) in [("", long.as_str()), (long.as_str(), "")] {
        let request = pb::PredictRequest {
            text_pairs: vec![pair.to_owned()],
            ..asking(&[text])
        };
        let answer = client.predict(request).await.expect("an answer").into_inner();
        assert!(answer.predictions[0].truncated);
    }
}

/// A tokenizer of two words and more, by white space, with no token for the unknown but those.
fn tiny(more: &[&str], kind: &str) -> Result<TextTokenizer, String> {
    let mut vocabulary = json!({"good": 0, "bad": 1});
    for (at, token) in more.iter().enumerate() {
        vocabulary[token] = json!(at + 2);
    }
    let model = match kind {
        "BPE" => json!({"type": "BPE", "vocab": vocabulary, "merges": []}),
        "WordPiece" => json!({
            "type": "WordPiece", "vocab": vocabulary, "unk_token": "[UNK]", "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
        }),
        _ => json!({"type": "WordLevel", "vocab": vocabulary, "unk_token": "[UNK]"}),
    };
    let tokenizer = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
        "pre_tokenizer": {"type": "WhitespaceSplit"}, "post_processor": null, "decoder": null, "model": model,
    });
    let settings: TokenizerSettings =
        serde_json::from_value(json!({"file": "tokenizer.json", "max_tokens": 16})).expect("settings");
    TextTokenizer::load(tokenizer.to_string().as_bytes(), settings)
}

fn ids(tokenizer: &TextTokenizer, text: &str) -> Result<Vec<u32>, EncodeError> {
    let encoding = tokenizer.encode(text, None, None)?;
    let ModelInput::Tokens { ids, type_ids } = &encoding.input else {
        panic!("tokens")
    };
    assert_eq!((ids.len(), encoding.token_count), (type_ids.len(), type_ids.len()));
    Ok(ids.clone())
}

#[test]
fn what_stands_for_no_tokens_is_the_unknown_then_the_padding_then_the_end() {
    for (more, kind, expected) in [
        (&["</s>", "[PAD]", "[UNK]"][..], "WordLevel", Ok(vec![4])),
        (&["</s>", "<pad>"], "WordLevel", Ok(vec![3])),
        (&["<|endoftext|>"], "WordLevel", Ok(vec![2])),
        (&[], "WordLevel", Err(EncodeError::NoTokens)),
        (&["</s>", "<unk>", "<pad>"], "BPE", Ok(vec![3])),
    ] {
        let tokenizer = tiny(more, kind).expect("a tokenizer");
        for text in ["", " ", "\t\n"] {
            assert_eq!(ids(&tokenizer, text), expected, "{more:?} {text:?}");
        }
    }
}

#[test]
fn characters_that_the_vocabulary_lacks_are_the_callers_error_where_nothing_stands_for_them() {
    for kind in ["WordLevel", "WordPiece"] {
        let tokenizer = tiny(&["</s>"], kind).expect("a tokenizer");
        assert_eq!(ids(&tokenizer, "good 中国"), Err(EncodeError::Untokenizable), "{kind}");
        assert_eq!(ids(&tokenizer, "good bad"), Ok(vec![0, 1]), "{kind}");
    }
    // BPE drops what it does not know, and nothing is left.
    let tokenizer = tiny(&[], "BPE").expect("a tokenizer");
    assert_eq!(ids(&tokenizer, "中国"), Err(EncodeError::NoTokens));
    let tokenizer = tiny(&["</s>"], "BPE").expect("a tokenizer");
    assert_eq!(ids(&tokenizer, "中国"), Ok(vec![2]));
}

#[test]
fn ids_beyond_the_table_are_mapped_or_refused_and_special_tokens_left() {
    let tokenizer = tiny(&["[UNK]", "far"], "WordLevel").expect("a tokenizer");
    assert_eq!(ids(&tokenizer, "far good"), Ok(vec![3, 0]));
    tokenizer.keep_below(3);
    assert_eq!(ids(&tokenizer, "far good"), Ok(vec![2, 0]));
    // Its token for the unknown is beyond it too.
    let tokenizer = tiny(&["[UNK]", "far"], "WordLevel").expect("a tokenizer");
    tokenizer.keep_below(2);
    assert_eq!(ids(&tokenizer, "far"), Err(EncodeError::BeyondTable { id: 3, rows: 2 }));
    assert_eq!(ids(&tokenizer, ""), Err(EncodeError::NoTokens));
    assert_eq!(ids(&tokenizer, "bad"), Ok(vec![1]));
}

#[tokio::test]
async fn tokens_that_the_graph_does_not_know_are_told_and_read_as_the_unknown() {
    let folder = folder("plain", two_more);
    let loaded = load(&folder).expect("it loads");
    let beyond = loaded.model.tokens_beyond().expect("two");
    assert_eq!(
        (beyond.rows, beyond.tokens.as_slice()),
        (320, &["zebra".to_owned(), "<user>".to_owned()][..])
    );
    let doubt = beyond.doubt();
    for words in ["2 tokens", "320 rows", "`zebra`, `<user>`", "read as `[UNK]`"] {
        assert!(doubt.contains(words), "{words}: {doubt}");
    }
    let server = server(&folder).await;
    let mut client = server.client().await;
    let texts = ["the film", "zebra", "the <user> film", "bad"];
    let together = client.predict(asking(&texts)).await.expect("answers").into_inner();
    let as_unknown = ["the film", "中", "the 中 film", "bad"];
    let expected = client.predict(asking(&as_unknown)).await.expect("answers").into_inner();
    assert_eq!(together.predictions, expected.predictions);
}

#[tokio::test]
async fn without_a_token_for_the_unknown_they_are_the_callers_error_and_neighbours_are_answered() {
    let folder = folder("plain", two_more_and_no_unknown);
    let loaded = load(&folder).expect("it loads");
    let beyond = loaded.model.tokens_beyond().expect("two");
    assert_eq!(beyond.unknown, None);
    assert!(beyond.doubt().contains("is refused"), "{}", beyond.doubt());
    let server = server(&folder).await;
    let client = server.client().await;
    for (texts, at) in [(["the film", "zebra"], 1), (["<user>", "the"], 0), (["the", "中国"], 1)] {
        let refused = client.clone().predict(asking(&texts)).await.expect_err("a bad text");
        let refusal = Refusal::of(&refused);
        assert_eq!(
            (refusal.code, refusal.reason.as_str()),
            (Code::InvalidArgument, "INVALID_FIELD")
        );
        assert_eq!(refusal.fields, [format!("texts[{at}]")]);
    }
    // Others at the same time get their answers.
    let calls = (0..60).map(|at| {
        let mut client = client.clone();
        let text = if at % 3 == 0 { "zebra" } else { "the film" };
        async move { (text, client.predict(asking(&[text])).await) }
    });
    for (text, outcome) in futures::future::join_all(calls).await {
        assert_eq!(outcome.is_ok(), text != "zebra", "{outcome:?}");
    }
    let told = server
        .http()
        .post("/v1/predict", r#"{"texts": ["the", "zebra"]}"#)
        .await;
    assert_eq!(
        (told.status.as_u16(), told.fields()),
        (400, vec!["texts[1]".to_owned()])
    );
}

#[test]
fn a_special_token_beyond_the_table_that_every_text_gets_refuses_the_model_by_name() {
    let folder = folder("plain", |tokenizer| {
        let ids = &mut tokenizer["post_processor"]["special_tokens"]["[SEP]"]["ids"];
        *ids = json!([320]);
    });
    let refused = load(&folder).err().expect("it is refused").to_string();
    for words in ["320 rows", "the id 320", "resize_token_embeddings"] {
        assert!(refused.contains(words), "{words}: {refused}");
    }
}

#[test]
fn a_tokenizer_that_knows_nothing_of_the_words_of_the_warm_up_loads_with_its_own() {
    for change in [
        // Nothing of them is left, and nothing but the padding could stand for it.
        (|tokenizer: &mut Value| {
            bare(tokenizer);
            tokenizer["normalizer"] = Value::Null;
            tokenizer["model"] = json!({"type": "BPE", "vocab": {"[PAD]": 0, "영": 1, "화": 2}, "merges": []});
            tokenizer["added_tokens"] = json!([]);
        }) as fn(&mut Value),
        // They are refused.
        |tokenizer: &mut Value| {
            bare(tokenizer);
            tokenizer["normalizer"] = Value::Null;
            tokenizer["model"] = json!({"type": "WordLevel", "vocab": {"영화": 0, "좋다": 1}, "unk_token": "[UNK]"});
            tokenizer["added_tokens"] = json!([]);
        },
    ] {
        let folder = folder("plain", change);
        let loaded = load(&folder).expect("it loads");
        assert!(loaded.model.preprocess("영화", None).is_ok());
    }
}

#[tokio::test]
async fn infinite_logits_are_answered_where_they_have_a_meaning_and_fail_alone_where_they_have_none() {
    let folder = folder("infinite", |_| {});
    let server = server(&folder).await;
    let client = server.client().await;
    for kind in [pb::ScoreKind::Probability, pb::ScoreKind::Logit] {
        let mut request = asking(&["the film %", "the film"]);
        request.score_kind = kind.into();
        let answers = client.clone().predict(request).await.expect("answers").into_inner();
        let scores = || answers.predictions.iter().flat_map(|answer| &answer.scores);
        assert!(scores().all(|score| score.score.is_finite()), "{answers:?}");
        assert!(answers.predictions.iter().all(|answer| answer.confidence.is_finite()));
        let ruled_out = &answers.predictions[0].scores[2];
        let nothing = if kind == pb::ScoreKind::Logit { f32::MIN } else { 0.0 };
        assert_eq!((ruled_out.label.as_str(), ruled_out.score), ("bad", nothing));
    }
    let alone = client
        .clone()
        .predict(asking(&["the film"]))
        .await
        .expect("an answer")
        .into_inner();
    let calls = (0..80).map(|at| {
        let mut client = client.clone();
        let text = ["the film", "film !", "film '", "film ("][at % 4];
        async move { (text, client.predict(asking(&[text])).await) }
    });
    for (text, outcome) in futures::future::join_all(calls).await {
        match outcome {
            Ok(answer) => {
                assert_eq!(text, "the film");
                let near = answer.into_inner().predictions[0].confidence - alone.predictions[0].confidence;
                assert!(near.abs() < 1e-5);
            }
            Err(status) => {
                assert_ne!(text, "the film", "{status:?}");
                assert_eq!(Refusal::of(&status).reason, "INFERENCE_FAILED");
            }
        }
    }
    let body = r#"{"texts": ["the film %"], "scoreKind": "SCORE_KIND_LOGIT", "topK": 3}"#;
    let told = server.http().post("/v1/predict", body).await;
    assert_eq!(told.status.as_u16(), 200);
    for score in told.json()["predictions"][0]["scores"].as_array().expect("scores") {
        assert!(score["score"].as_f64().is_some_and(f64::is_finite), "{score}");
    }
}
