//! Every oddity of Unicode gets one answer: over gRPC, over HTTP, on a stream, alone or in a batch.

use tandem::api::pb::predict_stream_response::Outcome;
use tandem::api::{json, pb};

use crate::support::{Client, TestServer, by_route};

/// The most that probabilities may differ: a batch moves the last digits of a float.
const TOLERANCE: f64 = 1e-4;

fn oddities() -> Vec<String> {
    let mut texts: Vec<String> = [
        "",
        " ",
        "\0",
        "a\0b",
        "\t\n\r\u{b}\u{c}",
        "\u{85}\u{2028}\u{2029}",
        "\u{feff}좋다",
        "좋다\u{feff}",
        "\u{200b}\u{200c}\u{200d}\u{2060}",
        "\u{1112}\u{1161}\u{11ab}\u{1100}\u{1173}\u{11af}",
        "한글",
        "\u{1100}\u{1100}\u{1161}",
        "ㅎㅏㄴㄱㅡㄹ",
        "ﾡﾢ",
        "e\u{301}\u{323}",
        "é\u{323}",
        "\u{344}\u{345}",
        "👨\u{200d}👩\u{200d}👧\u{200d}👦",
        "👍🏽",
        "🇰🇷🇰",
        "☺\u{fe0f}☺\u{fe0e}",
        "\u{fe0f}",
        "\u{1f3fd}",
        "İıßẞΣςſ",
        "ﬁﬂ½Ⅷ①",
        "\u{202e}abc\u{202c}",
        "שלום مرحبا",
        "\u{2066}a\u{2069}",
        "中文𠀀𪛖",
        "\u{e000}\u{f8ff}\u{10ffff}",
        "\u{fffd}\u{fffe}\u{ffff}",
        "\u{1}\u{7f}\u{9f}",
        "1²٣४",
        "a\u{ad}b",
        "\"\\/\u{8}\u{c}{}[]",
        "</script>&amp;%00",
        "ㅋㅋㅋㅋㅋㅋㅋㅋㅋㅋ",
        "좋 다\u{a0}영\u{3000}화",
    ]
    .map(String::from)
    .to_vec();
    // One base letter with very many marks, and texts that end within the models' limits and beyond.
    texts.push(format!("a{}", "\u{301}\u{316}".repeat(2000)));
    texts.push("👨\u{200d}👩\u{200d}👧 ".repeat(400));
    texts.push("\u{1112}\u{1161}\u{11ab}".repeat(1000));
    texts.push(" ".repeat(16 * 1024));
    texts
}

/// The probability of each label, by the label's name.
type Answer = Vec<(String, f64)>;

fn answers(response: &pb::PredictResponse) -> Vec<Answer> {
    let answer = |prediction: &pb::Prediction| {
        let mut scores: Answer = prediction
            .scores
            .iter()
            .map(|one| (one.label.clone(), one.score.into()))
            .collect();
        scores.sort_by(|a, b| a.0.cmp(&b.0));
        scores
    };
    response.predictions.iter().map(answer).collect()
}

fn request(route: pb::Route, texts: &[&str]) -> pb::PredictRequest {
    pb::PredictRequest {
        top_k: 2,
        ..by_route(route, texts)
    }
}

async fn alone(client: &mut Client, route: pb::Route, text: &str) -> Answer {
    let response = client.predict(request(route, &[text])).await.expect("an answer");
    answers(response.get_ref()).remove(0)
}

async fn over_http(server: &TestServer, route: pb::Route, texts: &[&str]) -> Vec<Answer> {
    let answer = server
        .http()
        .post("/v1/predict", json::encode(&request(route, texts)))
        .await;
    assert_eq!(answer.status, http::StatusCode::OK, "{}", answer.text());
    answers(&json::decode(&answer.body).expect("a response"))
}

async fn on_a_stream(client: &mut Client, route: pb::Route, texts: &[&str]) -> Vec<Answer> {
    let requests = texts.iter().enumerate().map(|(at, text)| pb::PredictStreamRequest {
        id: at.to_string(),
        request: Some(request(route, &[text])),
        timeout_duration: None,
    });
    let requests: Vec<_> = requests.collect();
    let mut stream = client
        .predict_stream(futures::stream::iter(requests))
        .await
        .expect("a stream")
        .into_inner();
    let mut found = vec![Answer::new(); texts.len()];
    while let Some(answer) = stream.message().await.expect("no error") {
        let Some(Outcome::Response(response)) = &answer.outcome else {
            panic!("refused: {answer:?}")
        };
        found[answer.id.parse::<usize>().expect("our id")] = answers(response).remove(0);
    }
    found
}

fn assert_equal(way: &str, text: &str, found: &Answer, expected: &Answer) {
    let start: String = text.chars().take(40).collect();
    assert_eq!(found.len(), expected.len(), "{way}: {start:?}");
    for (found, expected) in found.iter().zip(expected) {
        let equal = found.0 == expected.0 && (found.1 - expected.1).abs() <= TOLERANCE;
        assert!(equal, "{way}: {start:?}: {found:?}, alone {expected:?}");
    }
}

#[tokio::test]
async fn every_oddity_gets_one_answer_whichever_way_it_comes() {
    let server = TestServer::shared().await;
    let mut client = server.client().await;
    let texts = oddities();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    for route in [pb::Route::Fast, pb::Route::Deep] {
        let together = client.predict(request(route, &texts)).await.expect("an answer");
        let together = answers(together.get_ref());
        let posted = over_http(server, route, &texts).await;
        let streamed = on_a_stream(&mut client, route, &texts).await;
        for (at, text) in texts.iter().enumerate() {
            let expected = alone(&mut client, route, text).await;
            assert_equal("in a batch over gRPC", text, &together[at], &expected);
            assert_equal("in a batch over HTTP", text, &posted[at], &expected);
            assert_equal("on a stream", text, &streamed[at], &expected);
            assert_equal(
                "alone over HTTP",
                text,
                &over_http(server, route, &[text]).await[0],
                &expected,
            );
        }
    }
}
