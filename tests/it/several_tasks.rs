//! One request, several tasks: each answers as if it were asked alone, has a result of its own, and what the tasks have in
//! common runs once.

use tandem::api::pb;
use tandem::api::pb::task_result::Outcome;
use tandem::config::settings::RouteSetting;
use tandem::config::{Settings, TaskSettings};
use tandem::service::lifecycle::start::open_catalog;
use tonic::Code;

use crate::support::models::copy_folder;
use crate::support::{Refusal, TestServer, reviews, root, shipped_models};

const SENTENCES: [&str; 4] = [
    "the film was very bad",
    "this book seems really wonderful, thank you",
    "the film is good",
    "what a terrible day",
];

/// The shipped models, and a model with a head for `mood`, which has no other, and one for `toxicity`.
async fn server() -> (TestServer, tempfile::TempDir) {
    let repository = tempfile::tempdir().expect("a folder");
    copy_folder(&shipped_models(), repository.path());
    copy_folder(&root().join("tests/data/heads"), repository.path());
    let manifest = repository.path().join("two-heads/1/manifest.toml");
    let text = std::fs::read_to_string(&manifest).expect("the manifest");
    std::fs::write(&manifest, text.replace("task = \"sentiment\"", "task = \"mood\"")).expect("written");
    let server = TestServer::builder()
        .models(repository.path().to_owned())
        .with(|settings| settings.default_task = Some("sentiment".to_owned()))
        .start()
        .await;
    (server, repository)
}

fn request(tasks: &[&str], texts: &[&str]) -> pb::PredictRequest {
    pb::PredictRequest {
        texts: texts.iter().map(|&text| text.to_owned()).collect(),
        tasks: tasks.iter().map(|&task| task.to_owned()).collect(),
        top_k: 5,
        ..pb::PredictRequest::default()
    }
}

/// The results by task: the predictions, or the failure.
fn results(response: pb::PredictResponse) -> Vec<(String, Result<pb::PredictResponse, tonic::Code>)> {
    assert!(
        response.predictions.is_empty() && response.models.is_empty(),
        "{response:?}"
    );
    let result = |result: pb::TaskResult| {
        let outcome = match result.outcome.expect("one of them") {
            Outcome::Response(answer) => Ok(answer),
            Outcome::Status(status) => Err(Code::from_i32(status.code)),
        };
        (result.task, outcome)
    };
    response.task_results.into_iter().map(result).collect()
}

/// The rows that a model has run.
async fn runs(server: &TestServer, model: &str) -> f64 {
    let metrics = server.http().get("/metrics").await;
    let name = format!("tandem_batch_texts_sum{{model=\"{model}\"");
    let found = metrics.text();
    let line = found.lines().find(|line| line.starts_with(&name));
    line.and_then(|line| line.rsplit(' ').next()?.parse().ok())
        .unwrap_or(0.0)
}

#[tokio::test]
async fn each_task_answers_as_if_it_were_asked_alone_and_heads_run_once() {
    let (server, _repository) = server().await;
    let mut client = server.client().await;
    let before = runs(&server, "two-heads").await;
    let asked = client
        .predict(request(&["toxicity", "sentiment", "mood"], &SENTENCES))
        .await;
    let together = results(asked.expect("an answer").into_inner());
    // Two heads, four texts: four rows.
    assert_eq!(runs(&server, "two-heads").await - before, 4.0);
    let order: Vec<&str> = together.iter().map(|(task, _)| task.as_str()).collect();
    assert_eq!(order, ["toxicity", "sentiment", "mood"]);
    for (task, outcome) in together {
        let outcome = outcome.expect("an answer");
        let alone = pb::PredictRequest {
            task: task.clone(),
            ..request(&[], &SENTENCES)
        };
        let alone = client.predict(alone).await.expect("an answer").into_inner();
        assert_eq!(outcome.predictions, alone.predictions, "{task}");
        assert_eq!(outcome.models, alone.models, "{task}");
    }
    assert_eq!(runs(&server, "two-heads").await - before, 12.0);
}

#[tokio::test]
async fn a_head_answers_with_its_own_labels_and_temperature() {
    let (server, _repository) = server().await;
    let asked = server
        .client()
        .await
        .predict(request(&["mood", "toxicity"], &["the film is good"]))
        .await;
    let answers = results(asked.expect("an answer").into_inner());
    // What PyTorch said of it: a line of golden.jsonl.
    let expected = [
        ("positive", 0.868_745, vec!["positive", "negative"]),
        ("clean", 0.907_305, vec!["clean", "toxic", "unsure"]),
    ];
    for ((task, answer), (label, confidence, labels)) in answers.into_iter().zip(expected) {
        let prediction = answer.expect("an answer").predictions.remove(0);
        assert_eq!(prediction.label, label, "{task}");
        assert!((prediction.confidence - confidence).abs() < 1e-3, "{prediction:?}");
        let listed: Vec<&str> = prediction.scores.iter().map(|score| score.label.as_str()).collect();
        assert_eq!(listed, labels);
    }
}

#[tokio::test]
async fn a_task_that_fails_leaves_the_others_as_they_are_and_all_can_be_asked_for() {
    let (server, _repository) = server().await;
    let mut client = server.client().await;
    let fast = |tasks: &[&str]| pb::PredictRequest {
        route: pb::Route::Fast.into(),
        ..request(tasks, &reviews::texts(2))
    };
    let asked = client.predict(fast(&["sentiment", "mood", "weather"])).await;
    let found = results(asked.expect("an answer").into_inner());
    let codes: Vec<_> = found
        .iter()
        .map(|(_, outcome)| outcome.as_ref().err().copied())
        .collect();
    assert_eq!(codes, [None, Some(Code::FailedPrecondition), Some(Code::NotFound)]);
    let all = client.predict(request(&["*"], &reviews::texts(2))).await;
    let all = results(all.expect("an answer").into_inner());
    let names: Vec<&str> = all.iter().map(|(task, _)| task.as_str()).collect();
    assert_eq!(names, ["mood", "sentiment", "toxicity"]);
    assert!(all.iter().all(|(_, outcome)| outcome.is_ok()));
}

#[tokio::test]
async fn texts_are_cut_into_windows_once_and_one_task_holds_room_meanwhile() {
    let (server, _repository) = server().await;
    let long: Vec<String> = (0..100)
        .map(|at| format!("{at} {}", SENTENCES.join(". ").repeat(6)))
        .collect();
    let long: Vec<&str> = long.iter().map(String::as_str).collect();
    let asked = pb::PredictRequest {
        truncation: pb::Truncation::Windows.into(),
        include_windows: true,
        ..request(&["mood", "toxicity"], &long[..40])
    };
    let answer = server
        .client()
        .await
        .predict(asked)
        .await
        .expect("an answer")
        .into_inner();
    let mut windows = 0;
    for (task, outcome) in results(answer) {
        let predictions = outcome.expect("an answer").predictions;
        windows = predictions.iter().map(|prediction| prediction.windows.len()).sum();
        assert!(windows > 80, "{task}: {windows}");
    }
    let metrics = server.http().get("/metrics").await;
    let cut = "tandem_text_windows_count{model=\"two-heads\",tier=\"deep\"} 40";
    assert!(metrics.text().contains(cut), "cut once: {}", metrics.text());
    assert!(runs(&server, "two-heads").await <= windows as f64);
}

#[tokio::test]
async fn what_is_shared_is_shared_with_the_answer_cache_on_too() {
    let repository = tempfile::tempdir().expect("a folder");
    copy_folder(&root().join("tests/data/heads"), repository.path());
    let server = TestServer::builder()
        .models(repository.path().to_owned())
        .cache_bytes(1 << 20)
        .start()
        .await;
    let mut client = server.client().await;
    for hits in [0, 2] {
        let before = runs(&server, "two-heads").await;
        let asked = client
            .predict(request(&["*"], &SENTENCES[..2]))
            .await
            .expect("an answer");
        assert!(results(asked.into_inner()).iter().all(|(_, outcome)| outcome.is_ok()));
        assert_eq!(runs(&server, "two-heads").await - before, f64::from(2 - hits));
    }
}

#[tokio::test]
async fn each_task_is_counted_with_its_outcome() {
    let server = TestServer::builder().fast_only().start().await;
    let asked = request(&["sentiment", "weather"], &["a"]);
    server.client().await.predict(asked).await.expect("an answer");
    let metrics = server.http().get("/metrics").await;
    for line in [
        "method=\"Predict.task\",code=\"OK\",reason=\"\"} 1",
        "method=\"Predict.task\",code=\"NOT_FOUND\",reason=\"TASK_NOT_FOUND\"} 1",
    ] {
        assert!(metrics.text().contains(line), "{line} in {}", metrics.text());
    }
}

#[tokio::test]
async fn what_does_not_fit_names_its_field() {
    let server = TestServer::shared().await;
    let mut client = server.client().await;
    let many: Vec<String> = (0..33).map(|at| format!("t{at}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let plain = |tasks: &[&str]| request(tasks, &["a"]);
    for (request, field) in [
        (
            pb::PredictRequest {
                task: "sentiment".into(),
                ..plain(&["sentiment"])
            },
            "task",
        ),
        (
            pb::PredictRequest {
                model: "sentiment-fast".into(),
                ..plain(&["sentiment"])
            },
            "model",
        ),
        (plain(&["sentiment", "sentiment"]), "tasks[1]"),
        (plain(&["sentiment", "*"]), "tasks[1]"),
        (plain(&["Bad Name"]), "tasks[0]"),
        (plain(&many), "tasks"),
        (request(&["sentiment"], &[]), "texts"),
    ] {
        let refused = Refusal::of(&client.predict(request).await.expect_err(field));
        assert_eq!(
            (refused.code, refused.fields),
            (Code::InvalidArgument, vec![field.to_owned()])
        );
    }
    // As many as may be are no fault of the request.
    let answer = client
        .predict(plain(&many[..32]))
        .await
        .expect("an answer")
        .into_inner();
    assert_eq!(answer.task_results.len(), 32);
}

#[tokio::test]
async fn the_names_of_tasks_are_bounded_apart_from_texts() {
    let server = TestServer::builder().fast_only().max_texts(1).start().await;
    let asked = request(&["sentiment", "a", "b", "c"], &["a"]);
    let answer = server
        .client()
        .await
        .predict(asked.clone())
        .await
        .expect("an answer")
        .into_inner();
    assert_eq!(answer.task_results.len(), 4);
    let json = serde_json::json!({"texts": ["a"], "tasks": asked.tasks});
    let answer = server.http().post("/v1/predict", json.to_string()).await;
    assert_eq!(answer.json()["taskResults"].as_array().expect("a list").len(), 4);
}

#[tokio::test]
async fn http_and_streams_have_the_same_results() {
    let (server, _repository) = server().await;
    let asked = request(&["mood", "weather"], &["the film is good"]);
    let json = serde_json::json!({"texts": asked.texts, "tasks": asked.tasks});
    let answer = server.http().post("/v1/predict", json.to_string()).await;
    assert_eq!(answer.status, 200);
    let answer = answer.json();
    assert_eq!(
        answer["taskResults"][0]["response"]["predictions"][0]["label"],
        "positive"
    );
    assert_eq!(answer["taskResults"][1]["status"]["code"], 5);
    let details = answer["taskResults"][1]["status"]["details"]
        .as_array()
        .expect("details");
    assert!(
        details.iter().any(|detail| detail["reason"] == "TASK_NOT_FOUND"),
        "{details:?}"
    );

    let one = pb::PredictStreamRequest {
        id: "one".into(),
        request: Some(asked),
        timeout_duration: None,
    };
    let stream = server.client().await.predict_stream(tokio_stream::iter([one])).await;
    let answer = stream
        .expect("a stream")
        .into_inner()
        .message()
        .await
        .expect("an answer")
        .expect("one");
    let Some(pb::predict_stream_response::Outcome::Response(answer)) = answer.outcome else {
        panic!("{answer:?}");
    };
    assert_eq!(answer.task_results.len(), 2);
}

#[tokio::test]
async fn a_text_counts_once_for_each_task_in_the_rate_of_a_key() {
    let server = TestServer::builder()
        .fast_only()
        .tokens("a:a-long-enough-secret texts_per_second=1 burst=4")
        .start()
        .await;
    let mut client = server.client().await;
    let mut ask = async |tasks: &[&str]| {
        let mut request = tonic::Request::new(request(tasks, &["a", "b"]));
        let key = "Bearer a-long-enough-secret".parse().expect("a header");
        request.metadata_mut().insert("authorization", key);
        client.predict(request).await
    };
    let refused = ask(&["sentiment", "mood", "toxicity"])
        .await
        .expect_err("six texts, four may be had");
    assert_eq!(refused.code(), Code::ResourceExhausted);
    ask(&["sentiment", "mood"]).await.expect("four texts");
}

#[tokio::test]
async fn a_model_with_heads_that_is_asked_by_name_needs_a_task() {
    let (server, _repository) = server().await;
    let mut client = server.client().await;
    let named = |task: &str| pb::PredictRequest {
        model: "two-heads".into(),
        task: task.into(),
        ..request(&[], &["the film is good"])
    };
    let refused = Refusal::of(&client.predict(named("")).await.expect_err("which head?"));
    assert_eq!(refused.fields, ["task"]);
    let answer = client.predict(named("toxicity")).await.expect("an answer").into_inner();
    assert_eq!(answer.predictions[0].label, "clean");
    let refused = client
        .predict(named("sentiment"))
        .await
        .expect_err("it has no such head");
    assert_eq!(refused.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn a_task_that_names_a_model_without_its_head_is_refused_at_the_start() {
    let repository = tempfile::tempdir().expect("a folder");
    copy_folder(&root().join("tests/data/heads"), repository.path());
    let task = TaskSettings {
        deep: Some("two-heads".to_owned()),
        default_route: Some(RouteSetting::Deep),
        ..TaskSettings::default()
    };
    let mut settings = Settings {
        models: repository.path().to_owned(),
        ..Settings::default()
    };
    settings.tasks.insert("weather".to_owned(), task);
    let problem = open_catalog(&settings).err().expect("refused").to_string();
    assert!(
        problem.contains("tasks.weather.deep: `two-heads` has heads for sentiment, toxicity, and none for `weather`"),
        "{problem}"
    );
}
