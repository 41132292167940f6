//! Fields that are not allowed: one table, over both doors.

use tandem::api::{json, pb};
use tonic::Code;

use crate::support::{Refusal, TestServer, by_route, fast};

/// A request and how it is refused.
struct Row {
    case: &'static str,
    request: pb::PredictRequest,
    code: Code,
    http: u16,
    reason: &'static str,
    fields: &'static [&'static str],
    /// What the message must tell.
    tells: &'static str,
}

fn invalid(
    case: &'static str,
    request: pb::PredictRequest,
    fields: &'static [&'static str],
    tells: &'static str,
) -> Row {
    Row {
        case,
        request,
        code: Code::InvalidArgument,
        http: 400,
        reason: "INVALID_FIELD",
        fields,
        tells,
    }
}

fn not_found(case: &'static str, request: pb::PredictRequest, reason: &'static str) -> Row {
    Row {
        case,
        request,
        code: Code::NotFound,
        http: 404,
        reason,
        fields: &[],
        tells: "there is no",
    }
}

fn table() -> Vec<Row> {
    let one = || by_route(pb::Route::Unspecified, &["좋다"]);
    let many = vec!["a"; 129];
    let long = "a".repeat(16 * 1024 + 1);
    let with = |change: &dyn Fn(&mut pb::PredictRequest)| {
        let mut request = one();
        change(&mut request);
        request
    };
    vec![
        invalid("no texts", fast(&[]), &["texts"], "from 1 to 128"),
        invalid("129 texts", fast(&many), &["texts"], "the limit is 128"),
        invalid(
            "a text over 16 KiB",
            fast(&["a", &long]),
            &["texts[1]"],
            "the limit is 16384",
        ),
        invalid("negative top_k", with(&|it| it.top_k = -1), &["top_k"], "at least 0"),
        invalid("unknown route", with(&|it| it.route = 99), &["route"], "99"),
        invalid("negative enum number", with(&|it| it.route = -1), &["route"], "-1"),
        invalid(
            "unknown score kind",
            with(&|it| it.score_kind = 9),
            &["score_kind"],
            "9",
        ),
        invalid(
            "unknown truncation",
            with(&|it| it.truncation = 9),
            &["truncation"],
            "9",
        ),
        invalid("unknown priority", with(&|it| it.priority = 9), &["priority"], "9"),
        invalid(
            "min_confidence without a cascade",
            with(&|it| it.min_confidence = Some(0.5)),
            &["min_confidence"],
            "ROUTE_CASCADE",
        ),
        invalid(
            "min_confidence above one",
            with(&|it| it.min_confidence = Some(1.5)),
            &["min_confidence"],
            "from 0 to 1",
        ),
        invalid(
            "text pairs",
            with(&|it| it.text_pairs = vec!["b".into()]),
            &["text_pairs"],
            "pairs",
        ),
        invalid(
            "min_confidence where the default route is no cascade",
            with(&|it| {
                it.route = pb::Route::Unspecified.into();
                it.min_confidence = Some(0.5);
            }),
            &["min_confidence"],
            "ROUTE_CASCADE",
        ),
        invalid(
            "fallback from a model that was asked for by name",
            with(&|it| {
                it.route = pb::Route::Unspecified.into();
                it.model = "sentiment-deep".into();
                it.allow_fallback = Some(true);
            }),
            &["allow_fallback"],
            "model",
        ),
        invalid(
            "model and route",
            pb::PredictRequest {
                model: "sentiment-fast".into(),
                ..fast(&["a"])
            },
            &["model"],
            "excludes route",
        ),
        invalid(
            "no model's name",
            with(&|it| it.model = "Not A Name".into()),
            &["model"],
            "must be",
        ),
        invalid(
            "an empty version",
            with(&|it| it.model = "sentiment-fast@".into()),
            &["model"],
            "must be",
        ),
        invalid(
            "no task's name",
            with(&|it| it.task = "../etc".into()),
            &["task"],
            "must match",
        ),
        not_found("unknown task", with(&|it| it.task = "topic".into()), "TASK_NOT_FOUND"),
        not_found(
            "unknown model",
            with(&|it| it.model = "no-such".into()),
            "MODEL_NOT_FOUND",
        ),
        invalid(
            "several at once",
            with(&|it| {
                it.texts.clear();
                it.top_k = -2;
            }),
            &["texts", "top_k"],
            "; ",
        ),
    ]
}

#[tokio::test]
async fn every_bad_field_is_named_over_grpc() {
    let mut client = TestServer::shared().await.client().await;
    for row in table() {
        let refusal = Refusal::of(&client.predict(row.request).await.expect_err(row.case));
        assert_eq!(refusal.code, row.code, "{}", row.case);
        assert_eq!(refusal.reason, row.reason, "{}", row.case);
        assert_eq!(refusal.fields, row.fields, "{}", row.case);
        assert!(refusal.message.contains(row.tells), "{}: {}", row.case, refusal.message);
    }
}

#[tokio::test]
async fn every_bad_field_is_named_over_http() {
    let http = TestServer::shared().await.http();
    for row in table() {
        let answer = http.post("/v1/predict", json::encode(&row.request)).await;
        assert_eq!(answer.status.as_u16(), row.http, "{}: {}", row.case, answer.text());
        assert_eq!(answer.reason(), row.reason, "{}", row.case);
        assert_eq!(answer.fields(), row.fields, "{}", row.case);
        let message = answer.json()["error"]["message"]
            .as_str()
            .expect("a message")
            .to_owned();
        assert!(message.contains(row.tells), "{}: {message}", row.case);
    }
}

#[tokio::test]
async fn fallback_that_is_not_wanted_is_no_fault() {
    let mut client = TestServer::shared().await.client().await;
    let request = pb::PredictRequest {
        allow_fallback: Some(false),
        ..fast(&["좋다"])
    };
    client.predict(request).await.expect("an answer");
}

#[tokio::test]
async fn a_task_without_a_model_of_the_tier_says_so() {
    let server = TestServer::builder().fast_only().start().await;
    let mut client = server.client().await;
    let status = client
        .predict(by_route(pb::Route::Deep, &["좋다"]))
        .await
        .expect_err("there is no deep model");
    let refusal = Refusal::of(&status);
    assert_eq!(
        (refusal.code, refusal.reason.as_str()),
        (Code::FailedPrecondition, "TIER_NOT_CONFIGURED")
    );
}
