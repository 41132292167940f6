//! Texts that are kept to be labelled: off unless switched on, each for its reason, within bounds, and got by operators alone.

use std::path::Path;

use tandem::api::pb::{self, KeepReason};
use tandem::config::TaskSettings;
use tandem::config::settings::{AbstainSettings, CascadeSettings};
use tandem::service::catalog::cascade_calibration::{BlendWeights, Calibration};
use tonic::{Code, Request, Status};

use crate::support::server::Builder;
use crate::support::{AdminClient, Refusal, TestServer, by_route, fast, reviews, root, shipped_models};

const TASK: &str = "sentiment";

/// A server of the fast model that keeps texts: none at random.
fn fast_server() -> Builder {
    TestServer::builder().fast_only().admin_port().with(|settings| {
        settings.keep_texts = 300;
        settings.keep_share = 0.0;
    })
}

/// Withholds what is less sure than this.
fn withholding(min_confidence: f32) -> TaskSettings {
    TaskSettings {
        abstain: AbstainSettings {
            min_confidence: Some(min_confidence),
            ..AbstainSettings::default()
        },
        ..TaskSettings::default()
    }
}

/// A task whose cascade goes by this calibration and is audited as a whole.
fn audited(file: &Path, change: impl FnOnce(Calibration) -> Calibration) -> TaskSettings {
    let shipped = Calibration::read(&shipped_models().join("sentiment.cascade.toml")).expect("the shipped calibration");
    std::fs::write(file, change(shipped).to_toml()).expect("written");
    TaskSettings {
        cascade: CascadeSettings {
            calibration: Some(file.to_owned()),
            audit_share: Some(1.0),
            ..CascadeSettings::default()
        },
        ..TaskSettings::default()
    }
}

async fn ask(server: &TestServer, request: pb::PredictRequest) -> pb::PredictResponse {
    let answer = server.client().await.predict(request).await;
    answer.expect("an answer").into_inner()
}

async fn page(admin: &mut AdminClient, request: pb::ExportTextsRequest) -> Result<pb::ExportTextsResponse, Status> {
    admin.export_texts(request).await.map(tonic::Response::into_inner)
}

/// Every text that is kept for one of these reasons, from all pages.
async fn exported(server: &TestServer, reasons: &[KeepReason]) -> Vec<pb::KeptText> {
    let mut admin = server.admin().await;
    let (mut all, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = pb::ExportTextsRequest {
            reasons: reasons.iter().map(|reason| (*reason).into()).collect(),
            page_size: 7,
            page_token,
            ..pb::ExportTextsRequest::default()
        };
        let answer = page(&mut admin, request).await.expect("a page");
        all.extend(answer.texts);
        page_token = answer.next_page_token;
        if page_token.is_empty() {
            return all;
        }
    }
}

fn texts(kept: &[pb::KeptText]) -> Vec<&str> {
    kept.iter().map(|kept| kept.text.as_str()).collect()
}

#[tokio::test]
async fn nothing_is_kept_unless_it_is_switched_on() {
    let server = TestServer::builder()
        .fast_only()
        .admin_port()
        .task(TASK, withholding(1.0))
        .start()
        .await;
    let answer = ask(&server, fast(&reviews::texts(8))).await;
    assert!(
        answer
            .predictions
            .iter()
            .any(|found| found.decision() == pb::Decision::Abstained)
    );
    let mut admin = server.admin().await;
    let refusal = page(&mut admin, pb::ExportTextsRequest::default())
        .await
        .expect_err("off");
    let refusal = Refusal::of(&refusal);
    assert_eq!(
        (refusal.code, refusal.reason.as_str()),
        (Code::FailedPrecondition, "TEXTS_NOT_KEPT")
    );
    assert!(refusal.message.contains("keep_texts"), "{}", refusal.message);
    assert!(
        !server
            .http()
            .get("/metrics")
            .await
            .text()
            .contains("tandem_kept_texts_total{")
    );
}

#[tokio::test]
async fn texts_whose_answer_was_withheld_are_kept_once() {
    let server = fast_server().task(TASK, withholding(0.9)).start().await;
    let reviews = reviews::texts(48);
    let answer = ask(&server, fast(&reviews)).await;
    // The same again, by another door.
    ask(&server, fast(&reviews)).await;
    let body = serde_json::json!({"text": reviews, "do_fast": true}).to_string();
    server.http().post("/predict", body).await.json();
    let withheld: Vec<(&str, &pb::Prediction)> = reviews
        .iter()
        .copied()
        .zip(&answer.predictions)
        .filter(|(_, found)| found.decision() == pb::Decision::Abstained)
        .collect();
    assert!((1..48).contains(&withheld.len()));
    let kept = exported(&server, &[]).await;
    assert_eq!(texts(&kept), withheld.iter().map(|(text, _)| *text).collect::<Vec<_>>());
    for (kept, (_, answer)) in kept.iter().zip(&withheld) {
        assert_eq!(kept.reasons().collect::<Vec<_>>(), [KeepReason::Abstained]);
        assert!(kept.withheld && kept.label.is_empty() && kept.text_pair.is_none() && kept.deep_answer.is_none());
        assert_eq!(kept.predicted_labels, [answer.scores[0].label.clone()]);
        assert!((kept.confidence - answer.confidence).abs() < 1e-4);
        assert_eq!((kept.task.as_str(), kept.tier()), (TASK, pb::Tier::Fast));
        assert!(
            kept.model.starts_with("sentiment-fast@") && kept.kept_at.ends_with('Z'),
            "{kept:?}"
        );
    }
    let metrics = server.http().get("/metrics").await;
    let counted = format!(
        "tandem_kept_texts_total{{task=\"sentiment\",reason=\"abstained\"}} {}\n",
        withheld.len()
    );
    assert!(metrics.text().contains(&counted), "{}", metrics.text());
    // Nothing else was kept, and no other reason has it.
    assert!(
        exported(&server, &[KeepReason::Random, KeepReason::Differed])
            .await
            .is_empty()
    );
}

#[tokio::test]
async fn a_random_share_is_kept_whatever_answered() {
    let server = TestServer::builder()
        .admin_port()
        .with(|settings| {
            settings.keep_texts = 300;
            settings.keep_share = 1.0;
        })
        .start()
        .await;
    let reviews = reviews::texts(40);
    let answered = [
        (by_route(pb::Route::Fast, &reviews[..10]), 10),
        (by_route(pb::Route::Deep, &reviews[10..20]), 10),
        (by_route(pb::Route::Cascade, &reviews[20..30]), 10),
        (
            pb::PredictRequest {
                model: "sentiment-deep".into(),
                ..by_route(pb::Route::Unspecified, &reviews[30..38])
            },
            8,
        ),
        (
            pb::PredictRequest {
                truncation: pb::Truncation::Windows.into(),
                ..by_route(pb::Route::Deep, &reviews[38..])
            },
            2,
        ),
    ];
    let mut given = Vec::new();
    for (request, count) in answered {
        let answer = ask(&server, request).await;
        assert_eq!(answer.predictions.len(), count);
        given.extend(answer.predictions);
    }
    let kept = exported(&server, &[]).await;
    assert_eq!(texts(&kept), reviews);
    for (kept, given) in kept.iter().zip(&given) {
        assert_eq!(kept.reasons().collect::<Vec<_>>(), [KeepReason::Random]);
        assert_eq!(
            (&kept.label, kept.tier(), kept.withheld),
            (&given.label, given.tier(), false)
        );
        assert_eq!(
            (kept.predicted_labels.as_slice(), kept.task.as_str()),
            (&[given.label.clone()][..], TASK)
        );
    }
    // None, where no text was asked for at random.
    let none = fast_server().start().await;
    ask(&none, fast(&reviews)).await;
    assert!(exported(&none, &[]).await.is_empty());
}

#[tokio::test]
async fn each_task_of_a_request_keeps_its_own_answer() {
    let server = TestServer::builder()
        .models(root().join("tests/data/heads"))
        .admin_port()
        .with(|settings| {
            settings.keep_texts = 300;
            settings.keep_share = 1.0;
        })
        .start()
        .await;
    let asked = ["the film was very bad", "what a terrible day"];
    let request = pb::PredictRequest {
        tasks: vec![TASK.into(), "toxicity".into()],
        ..by_route(pb::Route::Deep, &asked)
    };
    ask(&server, request).await;
    let kept = exported(&server, &[]).await;
    let of = |task: &str| {
        kept.iter()
            .filter(|kept| kept.task == task)
            .cloned()
            .collect::<Vec<_>>()
    };
    let (sentiment, toxicity) = (of(TASK), of("toxicity"));
    assert_eq!((texts(&sentiment), texts(&toxicity)), (asked.to_vec(), asked.to_vec()));
    for (kept, labels) in [
        (&sentiment, &["negative", "positive"][..]),
        (&toxicity, &["clean", "toxic", "unsure"]),
    ] {
        for kept in kept {
            assert!(labels.contains(&kept.label.as_str()), "{kept:?}");
            assert_eq!(
                (&kept.predicted_labels, kept.model.as_str()),
                (&vec![kept.label.clone()], "two-heads@1")
            );
        }
    }
    let only = pb::ExportTextsRequest {
        task: "toxicity".into(),
        ..pb::ExportTextsRequest::default()
    };
    assert_eq!(
        page(&mut server.admin().await, only).await.expect("a page").texts,
        toxicity
    );
}

#[tokio::test]
async fn what_the_audit_finds_otherwise_is_kept_with_what_the_deep_model_says() {
    let folder = tempfile::tempdir().expect("a folder");
    // At a threshold of 0 every fast answer stands, and about one in ten differs.
    let task = audited(&folder.path().join("a.cascade.toml"), |shipped| Calibration {
        min_confidence: 0.0,
        ..shipped
    });
    let server = TestServer::builder()
        .admin_port()
        .task(TASK, task)
        .with(|settings| {
            settings.keep_texts = 300;
            settings.keep_share = 0.0;
        })
        .start()
        .await;
    let reviews = reviews::texts(96);
    let fast = ask(&server, by_route(pb::Route::Cascade, &reviews)).await;
    let deep = ask(&server, by_route(pb::Route::Deep, &reviews)).await;
    let both = fast.predictions.iter().zip(&deep.predictions).zip(&reviews);
    let differ: Vec<&str> = both
        .filter(|((fast, deep), _)| fast.label != deep.label)
        .map(|(_, text)| *text)
        .collect();
    assert!(!differ.is_empty());
    // The audit comes after the answer.
    let kept = loop {
        let kept = exported(&server, &[KeepReason::Differed]).await;
        if kept.len() >= differ.len() {
            break kept;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(texts(&kept), differ);
    for kept in &kept {
        let at = reviews
            .iter()
            .position(|text| *text == kept.text)
            .expect("it was asked");
        assert_eq!(kept.label, fast.predictions[at].label);
        let deep_says = kept.deep_answer.clone().expect("the deep model's").labels;
        assert_eq!(deep_says, [deep.predictions[at].label.clone()]);
        assert_eq!((kept.tier(), kept.withheld), (pb::Tier::Fast, false));
    }
}

#[tokio::test]
async fn a_blend_that_the_deep_model_does_not_share_is_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    // Every text is escalated, and the blend says what the fast model does.
    let task = audited(&folder.path().join("a.cascade.toml"), |shipped| Calibration {
        min_confidence: 1.0,
        blend: BlendWeights {
            fast: 2.0,
            deep: 0.01,
            ..shipped.blend.clone()
        },
        ..shipped
    });
    let server = TestServer::builder()
        .admin_port()
        .task(TASK, task)
        .with(|settings| {
            settings.keep_texts = 300;
            settings.keep_share = 0.0;
        })
        .start()
        .await;
    let reviews = reviews::texts(96);
    let blended = ask(&server, by_route(pb::Route::Cascade, &reviews)).await;
    let deep = ask(&server, by_route(pb::Route::Deep, &reviews)).await;
    let both = blended.predictions.iter().zip(&deep.predictions).zip(&reviews);
    let differ: Vec<(&str, &str)> = both
        .filter(|((blended, deep), _)| blended.label != deep.label && blended.decision() == pb::Decision::Escalated)
        .map(|((_, deep), text)| (*text, deep.label.as_str()))
        .collect();
    assert!(!differ.is_empty());
    let kept = exported(&server, &[KeepReason::Differed]).await;
    let found = kept.iter().filter(|kept| kept.tier() == pb::Tier::Deep);
    let found: Vec<(&str, &str)> = found
        .map(|kept| {
            let deep = kept.deep_answer.as_ref().expect("the deep model's");
            (kept.text.as_str(), deep.labels[0].as_str())
        })
        .collect();
    assert_eq!(found, differ);
}

#[tokio::test]
async fn a_ring_has_a_third_of_the_room_and_its_oldest_go() {
    let server = fast_server()
        .task(TASK, withholding(1.0))
        .with(|settings| settings.keep_texts = 9)
        .start()
        .await;
    for text in reviews::texts(20) {
        ask(&server, fast(&[text])).await;
    }
    let kept = exported(&server, &[]).await;
    assert_eq!(texts(&kept), reviews::texts(20)[17..]);
    // By bytes: of long texts fewer fit, and one that never does is counted.
    let server = fast_server()
        .task(TASK, withholding(1.0))
        .max_text_bytes(32 << 10)
        .with(|settings| settings.keep_bytes = 64 << 10)
        .start()
        .await;
    let long: Vec<String> = (0..5).map(|number| format!("{number} ").repeat(4_500)).collect();
    for text in &long {
        ask(&server, fast(&[text])).await;
    }
    ask(&server, fast(&["좋다 ".repeat(4_000).as_str()])).await;
    let kept = exported(&server, &[]).await;
    assert_eq!(texts(&kept), long[3..]);
    let metrics = server.http().get("/metrics").await;
    let dropped = "tandem_kept_dropped_texts_total{cause=\"too_large\"} 1\n";
    assert!(metrics.text().contains(dropped), "{}", metrics.text());
}

#[tokio::test]
async fn texts_are_written_to_the_file_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("kept.jsonl");
    let server = fast_server()
        .with(|settings| {
            settings.keep_share = 1.0;
            settings.keep_file = Some(file.clone());
        })
        .start()
        .await;
    let reviews = reviews::texts(20);
    let answer = ask(&server, fast(&reviews)).await;
    let service = server.service.clone();
    // What waits is written before the end.
    tokio::task::spawn_blocking(move || service.stop_models())
        .await
        .expect("no panic");
    let written = std::fs::read_to_string(&file).expect("the file");
    let lines: Vec<serde_json::Value> = written
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(lines.len(), 20);
    for ((line, text), given) in lines.iter().zip(&reviews).zip(&answer.predictions) {
        assert_eq!(line["text"], **text);
        assert_eq!(line["label"], serde_json::Value::Null);
        assert_eq!(
            (&line["predicted"], &line["task"]),
            (&given.label.clone().into(), &TASK.into())
        );
        assert_eq!(line["reasons"], serde_json::json!(["random"]));
    }
}

#[tokio::test]
async fn only_operators_get_them() {
    let server = fast_server()
        .tokens("caller:0123456789abcdef")
        .admin_tokens("operator:fedcba9876543210")
        .start()
        .await;
    let with = |token: &str| {
        let mut request = Request::new(pb::ExportTextsRequest::default());
        let value = format!("Bearer {token}").parse().expect("a value");
        request.metadata_mut().insert("authorization", value);
        request
    };
    let mut admin = server.admin().await;
    admin.export_texts(with("fedcba9876543210")).await.expect("an operator");
    let caller = admin
        .export_texts(with("0123456789abcdef"))
        .await
        .expect_err("a caller");
    let nobody = admin
        .export_texts(pb::ExportTextsRequest::default())
        .await
        .expect_err("nobody");
    assert_eq!(
        (caller.code(), nobody.code()),
        (Code::Unauthenticated, Code::Unauthenticated)
    );
    let mut public = AdminClient::new(server.channel().await);
    let status = public
        .export_texts(with("0123456789abcdef"))
        .await
        .expect_err("not here");
    assert_eq!(status.code(), Code::Unimplemented);
}

#[tokio::test]
async fn bad_requests_name_their_field() {
    let server = fast_server().start().await;
    let mut admin = server.admin().await;
    let good = pb::ExportTextsRequest::default;
    let cases = [
        (
            "page_token",
            pb::ExportTextsRequest {
                page_token: "1".into(),
                ..good()
            },
        ),
        (
            "page_token",
            pb::ExportTextsRequest {
                page_token: "좋다".into(),
                ..good()
            },
        ),
        (
            "page_size",
            pb::ExportTextsRequest {
                page_size: -1,
                ..good()
            },
        ),
        (
            "reasons",
            pb::ExportTextsRequest {
                reasons: vec![0],
                ..good()
            },
        ),
        (
            "reasons",
            pb::ExportTextsRequest {
                reasons: vec![1, 9],
                ..good()
            },
        ),
        (
            "task",
            pb::ExportTextsRequest {
                task: "No Task".into(),
                ..good()
            },
        ),
    ];
    for (field, request) in cases {
        let refusal = Refusal::of(&page(&mut admin, request).await.expect_err(field));
        assert_eq!(
            (refusal.code, refusal.fields),
            (Code::InvalidArgument, vec![field.to_owned()])
        );
    }
    let other = pb::ExportTextsRequest {
        task: "other".into(),
        ..good()
    };
    let refusal = Refusal::of(&page(&mut admin, other).await.expect_err("no such task"));
    assert_eq!(
        (refusal.code, refusal.reason.as_str()),
        (Code::NotFound, "TASK_NOT_FOUND")
    );
    // A token of the page before is good, also when its text is gone.
    let known = pb::ExportTextsRequest {
        task: TASK.into(),
        ..good()
    };
    assert_eq!(
        page(&mut admin, known).await.expect("a page"),
        pb::ExportTextsResponse::default()
    );
}
