//! ModelService: what is told of models, the same at both doors.

use tandem::api::pb;
use tandem::api::pb::model_service_client::ModelServiceClient;
use tandem::config::TaskSettings;
use tandem::config::settings::CascadeSettings;
use tandem::service::catalog::cascade_calibration::{Calibration, CurvePoint};
use tonic::transport::Channel;
use tonic::{Code, Request};

use crate::support::{Refusal, TestServer, shipped_models};

async fn client(server: &TestServer) -> ModelServiceClient<Channel> {
    ModelServiceClient::new(server.channel().await)
}

fn page(page_size: i32, page_token: &str) -> pb::ListModelsRequest {
    pb::ListModelsRequest {
        page_size,
        page_token: page_token.into(),
    }
}

fn named(name: &str) -> pb::GetModelRequest {
    pb::GetModelRequest { name: name.into() }
}

fn names(answer: &pb::ListModelsResponse) -> Vec<String> {
    let refs = answer.models.iter().map(|model| model.model.as_ref().expect("named"));
    refs.map(|model| format!("{}@{}", model.name, model.version)).collect()
}

#[tokio::test]
async fn models_are_listed_in_order_page_by_page() {
    let mut client = client(TestServer::shared().await).await;
    let all = client.list_models(page(0, "")).await.expect("an answer").into_inner();
    assert_eq!(names(&all).len(), 2);
    assert!(names(&all)[0].starts_with("sentiment-deep@") && names(&all)[1].starts_with("sentiment-fast@"));
    assert_eq!(all.next_page_token, "");
    // More than the cap is taken for the cap, and what fits one page has no next.
    let many = client.list_models(page(i32::MAX, "")).await.expect("an answer");
    assert_eq!(many.into_inner(), all);
    let first = client.list_models(page(1, "")).await.expect("an answer").into_inner();
    assert_eq!(names(&first), names(&all)[..1]);
    let rest = page(1, &first.next_page_token);
    let second = client.list_models(rest).await.expect("an answer").into_inner();
    assert_eq!(names(&second), names(&all)[1..]);
    assert_eq!(second.next_page_token, "");
}

#[tokio::test]
async fn tasks_are_told_on_the_first_page_with_the_curve_of_their_cascade() {
    let mut client = client(TestServer::shared().await).await;
    let first = client.list_models(page(1, "")).await.expect("an answer").into_inner();
    let rest = client.list_models(page(1, &first.next_page_token)).await;
    assert_eq!(rest.expect("an answer").get_ref().tasks, []);
    let [task] = &first.tasks[..] else {
        panic!("one task: {:?}", first.tasks);
    };
    assert_eq!((task.name.as_str(), task.is_default), ("sentiment", true));
    assert_eq!(task.default_route(), pb::Route::Deep);
    let name = |model: &Option<pb::ModelRef>| model.as_ref().map(|model| model.name.clone());
    assert_eq!(name(&task.fast_model).as_deref(), Some("sentiment-fast"));
    assert_eq!(name(&task.deep_model).as_deref(), Some("sentiment-deep"));
    // What the shipped file says.
    let file = shipped_models().join("sentiment.cascade.toml");
    let file = Calibration::read(&file).expect("it is whole");
    let cascade = task.cascade.as_ref().expect("both tiers");
    assert!(cascade.calibrated && cascade.message.is_empty() && !cascade.against_deep);
    assert_eq!(cascade.min_confidence, Some(file.min_confidence));
    assert_eq!(cascade.escalated_share, Some(file.escalation.share));
    assert_eq!(cascade.measured_text_count, file.data.measured_on as i64);
    let told = |point: &pb::CascadePoint| (point.min_confidence, point.escalated_share, point.cost, point.accuracy);
    let known = |point: &CurvePoint| (point.min_confidence, point.escalated, point.cost, point.accuracy);
    let curve: Vec<_> = cascade.curve.iter().map(told).collect();
    assert!(!curve.is_empty());
    assert_eq!(curve, file.curve.iter().map(known).collect::<Vec<_>>());
    let certified: Vec<_> = cascade
        .certificates
        .iter()
        .map(|certified| (certified.measure.clone(), certified.at_least))
        .collect();
    let known = file
        .certificates
        .iter()
        .map(|certified| (certified.of.clone(), certified.at_least));
    assert_eq!(certified, known.collect::<Vec<_>>());
}

#[tokio::test]
async fn a_task_without_a_cascade_tells_none() {
    let server = TestServer::builder().fast_only().start().await;
    let answer = client(&server).await.list_models(page(0, "")).await;
    let task = answer.expect("an answer").into_inner().tasks.remove(0);
    assert_eq!((task.deep_model, task.cascade), (None, None));
}

#[tokio::test]
async fn a_token_stays_good_when_its_version_is_gone() {
    let mut client = client(TestServer::shared().await).await;
    let rest = client
        .list_models(page(0, "sentiment-deep@999"))
        .await
        .expect("an answer");
    assert!(names(rest.get_ref())[0].starts_with("sentiment-fast@"));
    let none = client
        .list_models(page(0, "zzz@1"))
        .await
        .expect("an answer")
        .into_inner();
    assert!(names(&none).is_empty());
}

#[tokio::test]
async fn bad_pages_and_names_are_refused_by_field() {
    let mut client = client(TestServer::shared().await).await;
    for (request, field) in [
        (page(-1, ""), "page_size"),
        (page(1, "sentiment-fast"), "page_token"),
        (page(1, "../etc@1"), "page_token"),
        (page(1, "a@"), "page_token"),
    ] {
        let refusal = Refusal::of(&client.list_models(request).await.expect_err("refused"));
        assert_eq!(
            (refusal.code, refusal.fields),
            (Code::InvalidArgument, vec![field.to_owned()])
        );
    }
    for name in ["", "UPPER", "a@b@c", "../models", "sentiment-fast@"] {
        let refusal = Refusal::of(&client.get_model(named(name)).await.expect_err("refused"));
        assert_eq!(
            (refusal.code, refusal.fields),
            (Code::InvalidArgument, vec!["name".to_owned()])
        );
    }
    for name in ["no-such", "sentiment-fast@999"] {
        let refusal = Refusal::of(&client.get_model(named(name)).await.expect_err("refused"));
        assert_eq!(
            (refusal.code, refusal.reason.as_str()),
            (Code::NotFound, "MODEL_NOT_FOUND")
        );
    }
}

#[tokio::test]
async fn a_model_is_told_as_its_manifest_and_its_state_have_it() {
    let mut client = client(TestServer::shared().await).await;
    let answer = client
        .get_model(named("sentiment-deep"))
        .await
        .expect("an answer")
        .into_inner();
    let model = answer.model.expect("a model");
    let which = model.model.clone().expect("named");
    assert_eq!((which.name.as_str(), which.tier()), ("sentiment-deep", pb::Tier::Deep));
    assert_eq!(which.fingerprint.len(), 16);
    assert_eq!(
        (model.role(), model.state()),
        (pb::VersionRole::Stable, pb::ServingState::Serving)
    );
    assert_eq!(
        (model.task.as_str(), model.tasks.as_slice()),
        ("sentiment", &["sentiment".to_owned()][..])
    );
    assert!(model.labels.len() >= 2 && model.verified);
    let limits = model.limits.expect("limits");
    assert!(limits.max_batch_size > 0 && limits.max_token_count > 0 && limits.max_text_size_bytes > 0);
    let Some(pb::preprocessing::Kind::Tokenizer(tokenizer)) = model.preprocessing.expect("said").kind else {
        panic!("a tokenizer");
    };
    assert_eq!(tokenizer.max_token_count, limits.max_token_count);
    assert!(model.calibration.expect("said").temperature > 0.0);
    assert!(
        !model.metrics.expect("said").fields.is_empty(),
        "the manifest has metrics"
    );
    let versions = answer.versions.expect("versions");
    assert_eq!((versions.name.as_str(), versions.versions.len()), ("sentiment-deep", 1));
    assert_eq!(versions.versions[0].version, which.version);

    let pinned = format!("sentiment-deep@{}", which.version);
    let again = client.get_model(named(&pinned)).await.expect("an answer").into_inner();
    assert_eq!(again.model.expect("a model").model, Some(which));
    let fast = client
        .get_model(named("sentiment-fast"))
        .await
        .expect("an answer")
        .into_inner();
    let preprocessing = fast.model.expect("a model").preprocessing.expect("said");
    assert!(matches!(preprocessing.kind, Some(pb::preprocessing::Kind::HashedNgrams(facts)) if facts.bucket_count > 0));
}

#[tokio::test]
async fn a_model_that_is_being_loaded_is_listed_as_such() {
    let server = TestServer::builder().fast_only().without_loading().start().await;
    let answer = client(&server)
        .await
        .list_models(page(0, ""))
        .await
        .expect("an answer")
        .into_inner();
    assert_eq!(answer.models[0].state(), pb::ServingState::Loading);
}

#[tokio::test]
async fn the_gateway_tells_the_same() {
    let server = TestServer::shared().await;
    let http = server.http();
    let first = http.get("/v1/models?pageSize=1").await;
    assert_eq!(first.status.as_u16(), 200);
    assert_eq!(first.header("content-type"), "application/json");
    let first = first.json();
    assert_eq!(first["models"][0]["model"]["name"], "sentiment-deep");
    let token = first["nextPageToken"].as_str().expect("a token").replace('@', "%40");
    let second = http.get(&format!("/v1/models?page_token={token}")).await.json();
    assert_eq!(second["models"][0]["model"]["name"], "sentiment-fast");
    assert_eq!(second["nextPageToken"], "");

    let model = http.get("/v1/models/sentiment-fast").await.json();
    assert_eq!(model["model"]["state"], "SERVING_STATE_SERVING");
    assert_eq!(model["versions"]["versions"][0]["role"], "VERSION_ROLE_STABLE");
    assert!(model["model"]["metrics"].is_object());
    let version = model["model"]["model"]["version"].as_str().expect("a version");
    assert_eq!(
        http.get(&format!("/v1/models/sentiment-fast@{version}")).await.json(),
        model
    );

    for (path, status, reason) in [
        ("/v1/models/no-such", 404, "MODEL_NOT_FOUND"),
        ("/v1/models/UPPER", 400, "INVALID_FIELD"),
        ("/v1/models/%ff", 400, "INVALID_FIELD"),
        ("/v1/models?pageSize=-1", 400, "INVALID_FIELD"),
        ("/v1/models?pageSize=x", 400, "INVALID_FIELD"),
        ("/v1/models?pageToken=x", 400, "INVALID_FIELD"),
        ("/v1/models?pages=1", 400, "INVALID_FIELD"),
        ("/v1/models?pageSize=1&page_size=1", 400, "INVALID_FIELD"),
    ] {
        let answer = http.get(path).await;
        assert_eq!(
            (answer.status.as_u16(), answer.reason().as_str()),
            (status, reason),
            "{path}"
        );
    }
    assert_eq!(http.post("/v1/models", "{}").await.status.as_u16(), 405);
}

#[tokio::test]
async fn what_is_certified_of_a_cascade_is_told_with_the_models_and_in_health() {
    let server = TestServer::shared().await;
    let health = server.client().await.health(pb::HealthRequest {}).await;
    let told = health.expect("an answer").into_inner().certificates;
    let measures: Vec<&str> = told.iter().map(|one| one.measure.as_str()).collect();
    assert_eq!(measures, ["agreement", "accuracy"]);
    for one in &told {
        assert_eq!(one.task, "sentiment");
        let models: Vec<&str> = one.models.iter().map(|model| model.name.as_str()).collect();
        assert_eq!(models, ["sentiment-fast", "sentiment-deep"]);
        assert!(one.in_force && !one.alarm && one.text_count > 1000, "{one:?}");
        assert!(
            one.at_least > 0.8 && one.confidence > 0.9 && !one.measured_at.is_empty(),
            "{one:?}"
        );
    }
    let model = client(server).await.get_model(named("sentiment-fast")).await;
    let tasks = model.expect("an answer").into_inner().tasks;
    assert_eq!(tasks.len(), 1);
    let cascade = tasks[0].cascade.as_ref().expect("a cascade");
    assert_eq!(cascade.certificates.len(), told.len());
    // A threshold that was set leaves the certificates behind.
    let cascade = CascadeSettings {
        min_confidence: Some(0.6),
        ..CascadeSettings::default()
    };
    let task = TaskSettings {
        cascade,
        ..TaskSettings::default()
    };
    let other = TestServer::builder()
        .task("sentiment", task)
        .without_loading()
        .start()
        .await;
    let health = other.client().await.health(pb::HealthRequest {}).await;
    let told = health.expect("an answer").into_inner().certificates;
    assert!(told.len() == 2 && told.iter().all(|one| !one.in_force), "{told:?}");
}

#[tokio::test]
async fn it_wants_a_key_where_there_are_keys() {
    let tokens = "first:0123456789abcdef";
    let server = TestServer::builder().fast_only().tokens(tokens).start().await;
    let mut client = client(&server).await;
    let without = client.list_models(page(0, "")).await.expect_err("no key");
    assert_eq!(without.code(), Code::Unauthenticated);
    let mut request = Request::new(named("sentiment-fast"));
    let value = "Bearer 0123456789abcdef".parse().expect("a value");
    request.metadata_mut().insert("authorization", value);
    client.get_model(request).await.expect("an answer");
    assert_eq!(server.http().get("/v1/models").await.status.as_u16(), 401);
}
