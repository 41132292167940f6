//! Explain: exact parts of a linear model's logits, with their places in the text as it was sent.

use tandem::api::pb;
use tonic::Code;

use crate::support::models::ModelCopy;
use crate::support::{Refusal, TestServer, fast, reviews};

fn request(texts: &[&str], most: i32) -> pb::ExplainRequest {
    pb::ExplainRequest {
        texts: texts.iter().map(|&text| text.to_owned()).collect(),
        max_contribution_count: most,
        ..pb::ExplainRequest::default()
    }
}

async fn explain(request: pb::ExplainRequest) -> pb::ExplainResponse {
    let mut client = TestServer::shared().await.client().await;
    client.explain(request).await.expect("an explanation").into_inner()
}

async fn refused(request: pb::ExplainRequest) -> Refusal {
    let mut client = TestServer::shared().await.client().await;
    Refusal::of(&client.explain(request).await.expect_err("refused"))
}

#[tokio::test]
async fn the_parts_add_up_to_the_logits_that_predict_gives() {
    let long = format!("최고의 영화 {} 최악의 영화", "그리고 그래서 ".repeat(300));
    let mut texts = reviews::texts(30);
    texts.extend([
        "",
        " \t",
        "a\0b",
        "👨‍👩‍👧",
        "e\u{301}\u{323}x ÉCOLE",
        "ㅋㅋㅋㅋㅋㅋㅋㅋㅋㅋㅋㅋㅋㅋㅋㅋㅋㅋㅋㅋㅋㅋ",
        &long,
    ]);
    let mut client = TestServer::shared().await.client().await;
    for texts in texts.chunks(8) {
        let logits = pb::PredictRequest {
            top_k: 2,
            score_kind: pb::ScoreKind::Logit.into(),
            ..fast(texts)
        };
        let predicted = client.predict(logits).await.expect("an answer").into_inner();
        for most in [1, 100] {
            let explained = explain(request(texts, most)).await;
            assert_eq!(explained.model.as_ref(), predicted.models.first());
            for (found, prediction) in explained.explanations.iter().zip(&predicted.predictions) {
                assert_eq!(found.label, prediction.label);
                assert_eq!(found.feature_count, prediction.token_count);
                assert_eq!(found.truncated, prediction.truncated);
                assert!((found.confidence - prediction.confidence).abs() < 1e-5);
                for score in &prediction.scores {
                    let label = found
                        .labels
                        .iter()
                        .find(|label| label.label == score.label)
                        .expect("each label");
                    assert!((label.logit - score.score).abs() < 1e-4);
                    let listed = label.supporting.iter().chain(&label.opposing);
                    let listed: f32 = listed.map(|part| part.contribution).sum();
                    let sum = label.bias + listed + label.other_contribution;
                    assert!((sum - score.score).abs() < 1e-4, "{sum} for {}", score.score);
                    assert!(label.supporting.len() <= most as usize && label.opposing.len() <= most as usize);
                    assert!(label.supporting.is_sorted_by(|a, b| a.contribution >= b.contribution));
                    assert!(label.opposing.is_sorted_by(|a, b| a.contribution <= b.contribution));
                }
            }
        }
    }
}

#[tokio::test]
async fn a_part_is_what_goes_when_its_ngrams_go() {
    let text = "재미";
    let answer = explain(request(&[text], 100)).await;
    let label = &answer.explanations[0].labels[1];
    let all: Vec<(&str, f32)> = label
        .supporting
        .iter()
        .chain(&label.opposing)
        .flat_map(|part| part.spans.iter().map(|span| (cut(text, span), part.contribution)))
        .collect();
    // A space before and after, one to four code points of four: ten places, and a space twice.
    assert_eq!(answer.explanations[0].feature_count, 9);
    for ngram in ["재", "미", "재미"] {
        assert!(all.iter().any(|(found, _)| *found == ngram), "{ngram} in {all:?}");
    }
}

fn cut<'a>(text: &'a str, span: &pb::TextSpan) -> &'a str {
    let range = usize::try_from(span.start_byte).expect("a place")..usize::try_from(span.end_byte).expect("a place");
    text.get(range).expect("a place between characters")
}

#[tokio::test]
async fn places_are_bytes_of_the_text_as_it_was_sent() {
    // Decomposed, in capitals, with white space that the model folds away.
    let text = "  \u{1112}\u{1161}\u{11AB}\t\t GOOD";
    let composed = "한 good";
    let answer = explain(request(&[text, composed], 100)).await;
    let ngrams = |at: usize, text: &'static str| {
        let label = &answer.explanations[at].labels[0];
        let parts = label.supporting.iter().chain(&label.opposing);
        let mut found: Vec<(String, String)> = parts
            .flat_map(|part| {
                let contribution = format!("{:.6}", part.contribution);
                part.spans
                    .iter()
                    .map(move |span| (contribution.clone(), cut(text, span).to_owned()))
            })
            .collect();
        found.sort();
        found
    };
    let (original, plain) = (ngrams(0, text), ngrams(1, composed));
    assert_eq!(original.len(), plain.len());
    assert!(
        original
            .iter()
            .any(|(_, ngram)| ngram == "\u{1112}\u{1161}\u{11AB}\t\t G")
    );
    assert!(original.iter().any(|(_, ngram)| ngram == "GOOD"));
    assert!(plain.iter().any(|(_, ngram)| ngram == "한 g"));
}

#[tokio::test]
async fn the_deep_model_is_not_explained_and_says_why() {
    for request in [
        pb::ExplainRequest {
            route: pb::Route::Deep.into(),
            ..request(&["좋다"], 0)
        },
        pb::ExplainRequest {
            model: "sentiment-deep".into(),
            ..request(&["좋다"], 0)
        },
    ] {
        let refusal = refused(request).await;
        assert_eq!(
            (refusal.code, refusal.reason.as_str()),
            (Code::Unimplemented, "NOT_EXPLAINABLE")
        );
        assert!(refusal.message.contains("not a sum"), "{}", refusal.message);
    }
}

#[tokio::test]
async fn bounds_are_told_by_field() {
    let fields = |request| async { refused(request).await.fields };
    assert_eq!(fields(request(&["a"; 9], 0)).await, ["texts"]);
    assert_eq!(fields(request(&[], 0)).await, ["texts"]);
    for most in [-1, 101] {
        assert_eq!(fields(request(&["a"], most)).await, ["max_contribution_count"]);
    }
    let cascade = pb::ExplainRequest {
        route: pb::Route::Cascade.into(),
        ..request(&["a"], 0)
    };
    assert_eq!(fields(cascade).await, ["route"]);
    let reject = pb::ExplainRequest {
        truncation: pb::Truncation::Reject.into(),
        ..request(&["a", &"가나다 ".repeat(100)], 0)
    };
    assert_eq!(fields(reject).await, ["texts[1]"]);
    assert_eq!(explain(request(&["a"; 8], 100)).await.explanations.len(), 8);
    let ten = explain(request(&reviews::texts(1), 0)).await;
    assert!(ten.explanations[0].labels[0].supporting.len() <= 10);
}

#[tokio::test]
async fn over_http_it_is_the_same_in_json() {
    let server = TestServer::shared().await;
    let answer = server
        .http()
        .post("/v1/explain", r#"{"texts": ["좋다"], "maxContributionCount": 2}"#)
        .await;
    let json = answer.json();
    let over_grpc = explain(request(&["좋다"], 2)).await;
    let label = &json["explanations"][0]["labels"][1];
    assert_eq!(label["label"], "positive");
    let expected = &over_grpc.explanations[0].labels[1];
    assert_eq!(
        label["supporting"].as_array().expect("parts").len(),
        expected.supporting.len()
    );
    let deep = server
        .http()
        .post("/v1/explain", r#"{"texts": ["좋다"], "route": "ROUTE_DEEP"}"#)
        .await;
    assert_eq!((deep.status.as_u16(), deep.reason().as_str()), (501, "NOT_EXPLAINABLE"));
}

#[tokio::test]
async fn a_model_whose_parts_do_not_add_up_is_not_explained() {
    // Read as probabilities, the same graph's outputs have logarithms that are no sum.
    let copy = ModelCopy::of("sentiment-fast", "1");
    copy.replace(
        "manifest.toml",
        "output_kind = \"logits\"",
        "output_kind = \"probabilities\"",
    );
    copy.replace(
        "manifest.toml",
        "\nlogit_tolerance = 0.0001",
        "\nlogit_tolerance = 1000",
    );
    copy.replace(
        "manifest.toml",
        "batched_logit_tolerance = 0.0001",
        "batched_logit_tolerance = 1000",
    );
    let server = TestServer::builder().models(copy.repository().to_owned()).start().await;
    let mut client = server.client().await;
    let status = client.explain(request(&["좋다"], 0)).await.expect_err("no sum");
    assert_eq!(Refusal::of(&status).reason, "NOT_EXPLAINABLE");
    client.predict(fast(&["좋다"])).await.expect("it serves all the same");
}
