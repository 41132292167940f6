//! Texts that are longer than their models read, in windows: what is read, what each window says, what is made of them, and
//! the bounds.

use tandem::api::pb;
use tandem::config::settings::{TaskSettings, WindowSettings};
use tandem::model::manifest::Truncation;
use tandem::model::pooling::Pooling;
use tonic::Code;

use crate::support::{Client, HttpClient, Refusal, TestServer, by_route, fast, reviews, root};

const ROUTES: [pb::Route; 2] = [pb::Route::Fast, pb::Route::Deep];

/// A text of many windows, with sentences.
fn long(reviews: usize) -> String {
    let texts = reviews::texts(reviews);
    texts
        .iter()
        .map(|text| format!("{}. ", text.trim_end_matches(['.', ' '])))
        .collect()
}

fn windows(request: pb::PredictRequest) -> pb::PredictRequest {
    pb::PredictRequest {
        truncation: pb::Truncation::Windows.into(),
        include_windows: true,
        top_k: 2,
        ..request
    }
}

async fn ask(client: &mut Client, request: pb::PredictRequest) -> pb::PredictResponse {
    client.predict(request).await.expect("an answer").into_inner()
}

async fn refused(client: &mut Client, request: pb::PredictRequest) -> Refusal {
    Refusal::of(&client.predict(request).await.expect_err("refused"))
}

fn bytes(window: &pb::Window) -> std::ops::Range<usize> {
    let byte = |at: i32| usize::try_from(at).expect("not negative");
    byte(window.start_byte)..byte(window.end_byte)
}

fn positive(scores: &[pb::LabelScore]) -> f32 {
    let found = scores.iter().find(|score| score.label == "positive");
    found.expect("both are listed").score
}

/// Each begins within the one before it, and they end where the text does.
fn assert_covered(text: &str, windows: &[pb::Window], overlapping: bool) {
    assert_eq!(bytes(&windows[0]).start, 0);
    for pair in windows.windows(2) {
        let (before, after) = (bytes(&pair[0]), bytes(&pair[1]));
        assert!(
            before.start < after.start && before.end < after.end,
            "{before:?} {after:?}"
        );
        assert!(
            after.start <= before.end - usize::from(overlapping),
            "{before:?} {after:?}"
        );
    }
    assert!(
        windows.iter().all(|window| text.get(bytes(window)).is_some()),
        "at characters"
    );
    assert_eq!(bytes(&windows[windows.len() - 1]).end, text.len());
}

#[tokio::test]
async fn a_long_text_is_read_whole_and_each_window_says_what_its_part_says_alone() {
    let server = TestServer::shared().await;
    let mut client = server.client().await;
    let text = long(40);
    for route in ROUTES {
        let answer = ask(&mut client, windows(by_route(route, &["짧다", &text]))).await;
        let whole = &answer.predictions[1];
        assert_eq!(usize::try_from(whole.read_size_bytes).expect("a size"), text.len());
        assert!(!whole.truncated && whole.windows.len() > 3, "{}", whole.windows.len());
        assert_covered(&text, &whole.windows, true);
        let tokens: i32 = whole.windows.iter().map(|window| window.token_count).sum();
        assert_eq!(whole.token_count, tokens);
        let parts: Vec<&str> = whole.windows.iter().map(|window| &text[bytes(window)]).collect();
        for (part, window) in parts.iter().zip(&whole.windows) {
            let alone = ask(
                &mut client,
                pb::PredictRequest {
                    top_k: 2,
                    ..by_route(route, &[part])
                },
            )
            .await;
            let alone = &alone.predictions[0];
            assert!(!alone.truncated, "{part}");
            assert_eq!((&alone.label, alone.token_count), (&window.label, window.token_count));
            assert!((alone.confidence - window.confidence).abs() < 1e-4, "{part}");
            assert_eq!((alone.tier, alone.scores.len()), (window.tier, window.scores.len()));
        }
        let surest = whole
            .windows
            .iter()
            .max_by(|a, b| a.confidence.total_cmp(&b.confidence));
        let surest = surest.expect("several");
        assert_eq!((&whole.label, &whole.scores), (&surest.label, &surest.scores));
        // They begin with words; how sentences are found is tried beside the code.
        for part in &parts {
            assert!(!part.starts_with(char::is_whitespace), "{part}");
        }
    }
}

#[tokio::test]
async fn a_text_that_fits_is_one_window_and_its_answer_the_same_to_the_last_bit() {
    let mut client = TestServer::shared().await.client().await;
    for route in [pb::Route::Fast, pb::Route::Deep, pb::Route::Cascade] {
        for text in ["", " ", "좋다", "정말 정말 좋은 영화였다. 그런데 조금 길다!"] {
            let plain = pb::PredictRequest {
                top_k: 2,
                ..by_route(route, &[text])
            };
            let plain = ask(&mut client, plain).await.predictions.remove(0);
            let mut windowed = ask(&mut client, windows(by_route(route, &[text])))
                .await
                .predictions
                .remove(0);
            let length = i32::try_from(text.len()).expect("short");
            assert_eq!((windowed.windows.len(), windowed.read_size_bytes), (1, length));
            let window = windowed.windows.remove(0);
            assert_eq!((window.start_byte, window.end_byte), (0, length));
            assert_eq!((&window.label, &window.scores), (&plain.label, &plain.scores));
            windowed.read_size_bytes = 0;
            assert_eq!(windowed, plain, "{text:?}");
            assert_eq!(windowed.confidence.to_bits(), plain.confidence.to_bits());
        }
    }
}

#[tokio::test]
async fn windows_are_listed_only_where_they_are_asked_for_and_never_without_windows() {
    let mut client = TestServer::shared().await.client().await;
    let text = long(20);
    let unlisted = pb::PredictRequest {
        include_windows: false,
        ..windows(fast(&[&text]))
    };
    let unlisted = ask(&mut client, unlisted).await;
    assert!(unlisted.predictions[0].windows.is_empty() && unlisted.predictions[0].read_size_bytes > 0);
    let plain = pb::PredictRequest {
        truncation: pb::Truncation::End.into(),
        ..windows(fast(&[&text]))
    };
    let plain = ask(&mut client, plain).await;
    assert!(plain.predictions[0].windows.is_empty() && plain.predictions[0].truncated);
    assert_eq!(plain.predictions[0].read_size_bytes, 0);
}

#[tokio::test]
async fn over_http_the_answer_is_the_same() {
    let server = TestServer::shared().await;
    let request = windows(fast(&[&long(20)]));
    let over_http = server
        .http()
        .post("/v1/predict", tandem::api::json::encode(&request))
        .await
        .json();
    let over_grpc = ask(&mut server.client().await, request).await;
    let (json, prediction) = (&over_http["predictions"][0], &over_grpc.predictions[0]);
    assert_eq!(json["readSizeBytes"], prediction.read_size_bytes);
    let listed = json["windows"].as_array().expect("a list");
    assert_eq!(listed.len(), prediction.windows.len());
    for (json, window) in listed.iter().zip(&prediction.windows) {
        assert_eq!(json["endByte"], window.end_byte);
        assert_eq!(json["label"], window.label.as_str());
        assert_eq!(json["scores"].as_array().map(Vec::len), Some(2));
    }
}

#[tokio::test]
async fn past_max_windows_the_answer_says_how_much_was_read() {
    let server = TestServer::builder()
        .with(|settings| settings.max_windows = 2)
        .start()
        .await;
    let mut client = server.client().await;
    let text = long(40);
    for route in ROUTES {
        let answer = ask(&mut client, windows(by_route(route, &[&text]))).await;
        let prediction = &answer.predictions[0];
        assert_eq!((prediction.windows.len(), prediction.truncated), (2, true));
        let read = bytes(&prediction.windows[1]).end;
        assert!(read < text.len());
        assert_eq!(usize::try_from(prediction.read_size_bytes).expect("a size"), read);
        // What is behind it changes nothing.
        let mut changed = text[..read].to_owned();
        changed.push_str(&long(5));
        let other = ask(&mut client, windows(by_route(route, &[&changed]))).await;
        assert_eq!(other.predictions[0].windows[0], prediction.windows[0]);
    }
}

#[tokio::test]
async fn in_a_cascade_both_tiers_see_the_same_windows_and_the_deep_one_only_the_doubtful() {
    let mut client = TestServer::shared().await.client().await;
    let text = long(60);
    let by = |min_confidence: f32| pb::PredictRequest {
        min_confidence: Some(min_confidence),
        ..windows(by_route(pb::Route::Cascade, &[&text]))
    };
    let fast = ask(&mut client, by(0.0)).await;
    let deep = ask(&mut client, by(1.0)).await;
    let fast = &fast.predictions[0];
    let deep = &deep.predictions[0];
    let mut sure: Vec<f32> = fast.windows.iter().map(|window| window.confidence).collect();
    sure.sort_by(f32::total_cmp);
    let threshold = f32::midpoint(sure[sure.len() / 2 - 1], sure[sure.len() / 2]);
    let mixed = ask(&mut client, by(threshold)).await;
    let mixed = &mixed.predictions[0];
    assert_covered(&text, &mixed.windows, true);
    let (mut by_fast, mut by_deep) = (0, 0);
    for (at, window) in mixed.windows.iter().enumerate() {
        assert_eq!(bytes(window), bytes(&fast.windows[at]));
        assert_eq!(bytes(window), bytes(&deep.windows[at]));
        let expected = if fast.windows[at].confidence >= threshold {
            by_fast += 1;
            &fast.windows[at]
        } else {
            by_deep += 1;
            &deep.windows[at]
        };
        assert_eq!((window.tier, &window.label), (expected.tier, &expected.label));
        assert!((window.confidence - expected.confidence).abs() < 1e-4);
    }
    assert!(by_fast > 0 && by_deep > 0, "{by_fast} {by_deep}");
    let surest = mixed
        .windows
        .iter()
        .max_by(|a, b| a.confidence.total_cmp(&b.confidence));
    assert_eq!(mixed.tier, surest.expect("several").tier);
    assert_eq!(fast.decision(), pb::Decision::Confident);
}

#[tokio::test]
async fn a_task_says_what_happens_to_long_texts_and_how_windows_are_pooled() {
    let text = long(40);
    for pooling in [Pooling::Max, Pooling::Mean, Pooling::FirstConfident] {
        let task = TaskSettings {
            truncation: Some(Truncation::Windows),
            windows: WindowSettings {
                width: Some(64),
                stride: 1.0,
                pooling: Some(pooling),
                min_confidence: 0.7,
            },
            ..TaskSettings::default()
        };
        let server = TestServer::builder().task("sentiment", task).start().await;
        let mut client = server.client().await;
        let own = pb::PredictRequest {
            truncation: pb::Truncation::Unspecified.into(),
            ..windows(by_route(pb::Route::Deep, &[&text]))
        };
        let by_name = pb::PredictRequest {
            route: 0,
            model: "sentiment-deep".into(),
            ..own.clone()
        };
        let answer = ask(&mut client, own.clone()).await.predictions.remove(0);
        let named = ask(&mut client, by_name).await.predictions.remove(0);
        assert_eq!(named.windows.len(), answer.windows.len());
        assert_covered(&text, &answer.windows, false);
        assert!(answer.windows.iter().all(|window| window.token_count <= 64));
        if pooling == Pooling::Mean {
            let of_window = |window: &pb::Window| positive(&window.scores) * bytes(window).len() as f32;
            let mean = answer.windows.iter().map(of_window).sum::<f32>() / text.len() as f32;
            assert!((positive(&answer.scores) - mean).abs() < 1e-5);
        } else {
            let chosen = match pooling {
                Pooling::Max => answer
                    .windows
                    .iter()
                    .max_by(|a, b| a.confidence.total_cmp(&b.confidence)),
                _ => answer.windows.iter().find(|window| window.confidence >= 0.7),
            };
            let chosen = chosen.expect("one");
            assert_eq!((&answer.label, &answer.scores), (&chosen.label, &chosen.scores));
        }
        let cut = pb::PredictRequest {
            truncation: pb::Truncation::End.into(),
            ..own
        };
        assert!(
            ask(&mut client, cut).await.predictions[0].truncated,
            "the request has the last word"
        );
    }
}

#[tokio::test]
async fn more_windows_than_a_queue_holds_are_refused_by_name_and_limit_and_as_many_are_answered() {
    let server = TestServer::builder().max_texts(4).max_queue_texts(8).start().await;
    let mut client = server.client().await;
    let text = long(200).chars().take(5000).collect::<String>();
    let full = ask(&mut client, windows(fast(&[&text]))).await;
    assert_eq!(full.predictions[0].windows.len(), 8);
    let refusal = refused(&mut client, windows(fast(&[&text, "a"]))).await;
    assert_eq!(
        (refusal.code, refusal.fields),
        (Code::InvalidArgument, vec!["texts".to_owned()])
    );
    assert!(
        refusal
            .message
            .contains("are 9 windows together, the limit is 8 (max_queue_texts)"),
        "{}",
        refusal.message
    );
}

#[tokio::test]
async fn what_is_said_past_the_first_window_counts() {
    let mut client = TestServer::shared().await.client().await;
    let nothing = "이 영화는 두 시간 동안 상영된다. 감독은 서울에서 태어났다. 촬영은 여름에 했다. ".repeat(10);
    for route in ROUTES {
        let with = |opinion: &str| format!("{nothing}{}{nothing}", opinion.repeat(8));
        let texts = [
            with("최고의 영화, 정말 감동적이다. "),
            with("최악의 쓰레기, 시간이 아깝다. "),
        ];
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let cut = pb::PredictRequest {
            truncation: pb::Truncation::End.into(),
            ..by_route(route, &texts)
        };
        let cut = ask(&mut client, cut).await.predictions;
        assert_eq!(
            (&cut[0].label, cut[0].confidence),
            (&cut[1].label, cut[1].confidence),
            "it sees neither"
        );
        let read = ask(&mut client, windows(by_route(route, &texts))).await.predictions;
        let [first, second] = [positive(&read[0].scores), positive(&read[1].scores)];
        assert!(first > second + 0.1, "{first} {second}");
    }
}

#[tokio::test]
async fn of_a_pair_the_first_text_is_cut_and_the_second_stands_in_each_window() {
    let family = root().join("tests/data/hugging_face/xlm-roberta");
    let server = TestServer::builder()
        .with(move |settings| settings.deep = Some(family))
        .start()
        .await;
    let mut client = server.client().await;
    let pair = |text: &str, second: &str| pb::PredictRequest {
        text_pairs: vec![second.to_owned()],
        ..windows(by_route(pb::Route::Deep, &[text]))
    };
    let (text, second) = ("The story was good. A bad film! 좋아요 정말. ".repeat(4), "a bad film");
    let answer = ask(&mut client, pair(&text, second)).await.predictions.remove(0);
    assert!(answer.windows.len() > 2 && !answer.truncated, "{answer:?}");
    assert_covered(&text, &answer.windows, true);
    for window in &answer.windows {
        let alone = ask(&mut client, pair(&text[bytes(window)], second))
            .await
            .predictions
            .remove(0);
        assert_eq!((alone.windows.len(), alone.token_count), (1, window.token_count));
        assert!((alone.confidence - window.confidence).abs() < 1e-4);
        let whole = pb::PredictRequest {
            truncation: pb::Truncation::Reject.into(),
            ..pair(&text[bytes(window)], second)
        };
        ask(&mut client, whole).await;
    }
    let refusal = refused(&mut client, pair(&text, &"a bad film ".repeat(60))).await;
    assert_eq!(
        (refusal.code, refusal.fields),
        (Code::InvalidArgument, vec!["text_pairs[0]".to_owned()])
    );
    assert!(refusal.message.contains("the limit is"), "{}", refusal.message);
}

#[tokio::test]
async fn the_cache_keeps_windows_and_answers_the_same_from_them() {
    let server = TestServer::builder().cache_bytes(1 << 20).start().await;
    let mut client = server.client().await;
    let text = long(20);
    let plain = pb::PredictRequest {
        top_k: 2,
        ..fast(&[&text])
    };
    let before = ask(&mut client, plain.clone()).await.predictions;
    let first = ask(&mut client, windows(fast(&[&text]))).await.predictions;
    let again = ask(&mut client, windows(fast(&[&text]))).await.predictions;
    assert_eq!(first, again);
    assert!(first[0].windows.len() > 1 && before[0].truncated);
    assert_eq!(
        ask(&mut client, plain).await.predictions,
        before,
        "a plain answer stays one"
    );
}

#[tokio::test]
async fn bytes_of_windows_are_bounded_as_those_of_a_queue_and_their_number_is_told() {
    let server = TestServer::builder()
        .with(|settings| {
            (settings.max_texts, settings.max_text_bytes, settings.max_queue_bytes) = (2, 10_000, 20_000);
        })
        .metrics_port()
        .start()
        .await;
    let mut client = server.client().await;
    let text = "좋다 그리고 ".repeat(500);
    assert!(text.len() < 10_000);
    let answer = ask(&mut client, windows(fast(&[&text]))).await;
    let refusal = refused(&mut client, windows(fast(&[&text, &text]))).await;
    assert_eq!(
        (refusal.code, refusal.fields),
        (Code::InvalidArgument, vec!["texts".to_owned()])
    );
    assert!(
        refusal.message.contains("the limit is 20000 (max_queue_bytes)"),
        "{}",
        refusal.message
    );
    let metrics = HttpClient::new(server.metrics_addr()).get("/metrics").await;
    let count = answer.predictions[0].windows.len();
    let line = format!("tandem_text_windows_sum{{model=\"sentiment-fast\",tier=\"fast\"}} {count}");
    assert!(metrics.text().contains(&line), "{line}");
}

#[tokio::test]
async fn explanations_are_not_in_windows() {
    let mut client = TestServer::shared().await.client().await;
    let request = pb::ExplainRequest {
        texts: vec!["a".into()],
        truncation: pb::Truncation::Windows.into(),
        ..pb::ExplainRequest::default()
    };
    let refusal = Refusal::of(&client.explain(request).await.expect_err("refused"));
    assert_eq!(
        (refusal.code, refusal.fields),
        (Code::InvalidArgument, vec!["truncation".to_owned()])
    );
}
