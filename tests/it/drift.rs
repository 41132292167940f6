//! What tells that texts have changed: confidences beside those of the calibration, sizes, and tokens that models don't know.

use tandem::api::pb;

use crate::support::{TestServer, by_route, fast, reviews};

/// The value of a metric's line that begins like this; none if there is no such line.
async fn metric(server: &TestServer, line: &str) -> Option<f64> {
    let metrics = server.http().get("/metrics").await;
    let mut lines = metrics.text().lines();
    lines.find_map(|found| found.strip_prefix(line)?.trim().parse().ok())
}

/// Texts that are like none of the training.
fn odd(count: usize) -> Vec<String> {
    let odd = |at: usize| format!("Xq{at}zv jwk{at} qqq");
    (0..count).map(odd).collect()
}

#[tokio::test]
async fn confidences_are_told_beside_those_of_the_calibration() {
    let server = TestServer::builder().start().await;
    let mut client = server.client().await;
    let distance = "tandem_cascade_confidence_distance{task=\"sentiment\"}";
    let all = reviews::texts(600);
    for (at, texts) in all.chunks(100).enumerate() {
        let known = metric(&server, distance).await;
        assert_eq!(known.is_some(), at >= 5, "500 texts are needed");
        client
            .predict(by_route(pb::Route::Cascade, texts))
            .await
            .expect("an answer");
    }
    let usual = metric(&server, distance).await.expect("enough texts");
    // By chance it is below 0.07 for so many texts nineteen times of twenty.
    assert!(usual < 0.12, "{usual}");
    let odd = odd(600);
    for texts in odd.chunks(100) {
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        client
            .predict(by_route(pb::Route::Cascade, &texts))
            .await
            .expect("an answer");
    }
    let changed = metric(&server, distance).await.expect("enough texts");
    assert!(changed > usual + 0.15, "{usual} {changed}");
}

#[tokio::test]
async fn sizes_and_unknown_tokens_are_counted_of_a_sample_of_requests() {
    let share = async |texts: &[&str], route: pb::Route, model: &str| {
        let server = TestServer::builder().start().await;
        let mut client = server.client().await;
        // The first request is looked at, and the seventeenth.
        for _ in 0..17 {
            client.predict(by_route(route, texts)).await.expect("an answer");
        }
        let of = |name: &str| format!("tandem_sampled_{name}{{{model}}}");
        let sizes = metric(&server, &of("text_size_bytes_count")).await;
        assert_eq!(sizes, Some(2.0 * texts.len() as f64));
        let bytes = metric(&server, &of("text_size_bytes_sum")).await;
        let expected: usize = texts.iter().map(|text| 2 * text.len()).sum();
        assert_eq!(bytes, Some(expected as f64));
        let unknown = metric(&server, &of("unknown_tokens_total")).await.expect("counted");
        unknown / metric(&server, &of("tokens_total")).await.expect("counted")
    };
    let fast_model = "model=\"sentiment-fast\",tier=\"fast\"";
    // The table of the shipped model is full, so that other texts have no more unknown features than reviews.
    let features = share(&reviews::texts(20), pb::Route::Fast, fast_model).await;
    assert!(features > 0.0 && features < 0.5, "{features}");
    let deep_model = "model=\"sentiment-deep\",tier=\"deep\"";
    let usual = share(&["좋은 영화"], pb::Route::Deep, deep_model).await;
    let changed = share(&["좋은 \u{13000}\u{13001} 영화"], pb::Route::Deep, deep_model).await;
    assert!(usual < 1e-9 && changed > 0.1, "tokens: {usual} {changed}");
    // A request that no model answers counts nothing.
    let server = TestServer::builder().fast_only().start().await;
    server.client().await.predict(fast(&[])).await.expect_err("no texts");
    let counted = metric(&server, &format!("tandem_sampled_tokens_total{{{fast_model}}}")).await;
    assert_eq!(counted, Some(0.0));
}
