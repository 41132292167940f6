//! Whatever comes in: arbitrary and mutated bytes for everything that reads what others wrote. Nothing panics, every refusal
//! is a documented one in one line, and what is accepted keeps its promises.
//!
//! The short form runs some hundred cases, the same ones each time. `FUZZ_SECONDS=600 cargo test --release --test it -- fuzz`
//! (`make fuzz`) goes on for so many seconds each, with others each time.

use std::fmt::Debug;
use std::time::{Duration, Instant};

use bytes::Bytes;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use prost::Message;
use tandem::api::classify::request::{PipelineRequest, VllmRequest};
use tandem::api::http::body::build;
use tandem::api::http::error::malformed;
use tandem::api::json::Refused;
use tandem::api::open_inference::grpc_messages::request_of;
use tandem::api::open_inference::pb::model_infer_request::InferInputTensor;
use tandem::api::open_inference::pb::{InferTensorContents, ModelInferRequest};
use tandem::api::open_inference::{rest_request, tensors};
use tandem::api::tei::request::TeiRequest;
use tandem::api::{convert, json, pb};
use tandem::config::{Options, resolve};
use tandem::error::Reason;
use tandem::model::input::EncodeError;
use tandem::model::manifest::{Manifest, Truncation};
use tandem::model::preprocess::Preprocessor;
use tandem::model::repository;
use tandem::service::limits::RequestLimits;
use tandem::service::pipeline::validate::validate;

use crate::support::frames::{RawCall, frame};
use crate::support::http::gzip;
use crate::support::{Refusal, TestServer, fast, root, shipped_models};

/// Runs a property: so many cases, or for as long as `FUZZ_SECONDS` says.
fn check<S: Strategy>(cases: u32, strategy: S, property: impl Fn(S::Value) -> Result<(), TestCaseError>)
where
    S::Value: Debug,
{
    let seconds = std::env::var("FUZZ_SECONDS").ok();
    let seconds = seconds.map(|text| Duration::from_secs(text.parse().expect("FUZZ_SECONDS is a number")));
    let config = Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    };
    // A runner counts to its cases once.
    let runner = || match seconds {
        None => TestRunner::new_with_rng(config.clone(), TestRng::deterministic_rng(RngAlgorithm::ChaCha)),
        Some(_) => TestRunner::new(config.clone()),
    };
    let started = Instant::now();
    let mut rounds = 0_u64;
    while rounds == 0 || seconds.is_some_and(|limit| started.elapsed() < limit) {
        runner()
            .run(&strategy, &property)
            .unwrap_or_else(|failure| panic!("{failure}"));
        rounds += 1;
    }
    println!("{} cases in {:.0?}", rounds * u64::from(cases), started.elapsed());
}

/// A change of a byte sequence.
#[derive(Clone, Debug)]
enum Edit {
    Flip(Index, u8),
    Insert(Index, Vec<u8>),
    Remove(Index, usize),
    Repeat(Index, usize),
    Cut(Index),
}

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let edit = prop_oneof![
        (any::<Index>(), 0..8_u8).prop_map(|(at, bit)| Edit::Flip(at, bit)),
        (any::<Index>(), prop::collection::vec(any::<u8>(), 1..8)).prop_map(|(at, new)| Edit::Insert(at, new)),
        (any::<Index>(), 1..40_usize).prop_map(|(at, count)| Edit::Remove(at, count)),
        (any::<Index>(), 1..80_usize).prop_map(|(at, count)| Edit::Repeat(at, count)),
        any::<Index>().prop_map(Edit::Cut),
    ];
    prop::collection::vec(edit, 0..6)
}

fn edited(whole: &[u8], edits: Vec<Edit>) -> Vec<u8> {
    let mut bytes = whole.to_vec();
    for edit in edits {
        let place = |at: Index| at.index(bytes.len() + 1);
        match edit {
            Edit::Flip(..) if bytes.is_empty() => {}
            Edit::Flip(at, bit) => {
                let at = at.index(bytes.len());
                bytes[at] ^= 1 << bit;
            }
            Edit::Insert(at, new) => {
                let at = place(at);
                bytes.splice(at..at, new);
            }
            Edit::Remove(at, count) => {
                let at = place(at);
                bytes.drain(at..(at + count).min(bytes.len()));
            }
            Edit::Repeat(at, count) => {
                let at = place(at);
                let again = bytes[at..(at + count).min(bytes.len())].to_vec();
                bytes.splice(at..at, again);
            }
            Edit::Cut(at) => bytes.truncate(place(at)),
        }
    }
    bytes
}

/// Rubbish, or a good sequence with some changes.
fn near(good: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        1 => prop::collection::vec(any::<u8>(), 0..400),
        4 => (prop::sample::select(good), edits()).prop_map(|(good, edits)| edited(&good, edits)),
    ]
}

fn good_requests() -> Vec<pb::PredictRequest> {
    let full = pb::PredictRequest {
        texts: vec!["좋다".into(), "a\0b".into(), String::new()],
        text_pairs: vec!["b".into()],
        task: "sentiment".into(),
        model: "sentiment-fast@1".into(),
        top_k: 2,
        score_kind: 2,
        truncation: 4,
        min_confidence: Some(0.75),
        allow_fallback: Some(true),
        priority: 3,
        include_windows: true,
        route: 3,
        min_precision: Some(0.9),
        tasks: vec!["sentiment".into(), "*".into()],
    };
    vec![fast(&["좋다"]), full]
}

/// Any text, with a liking for the odd ones.
fn texts() -> impl Strategy<Value = String> {
    prop_oneof![
        "\\PC{0,300}",
        any::<String>(),
        "([ \\t\\n\u{85}\u{3000}\u{200b}-\u{200f}\u{feff}\0]|[\u{1100}-\u{11ff}]|[\u{300}-\u{36f}\u{345}]|[가-힣]|[👨👩👧\u{200d}\u{fe0f}\u{1f3fb}-\u{1f3ff}]|[א-ת؀-ۿ]|[一-龥]|[İıßẞΣςﬁ½Ⅷ]|[a-zA-Z0-9!?]){0,600}",
        ("\\PC{1,6}", 1..3000_usize).prop_map(|(part, times)| part.repeat(times)),
    ]
}

fn one_line(problem: &str) -> Result<(), TestCaseError> {
    prop_assert!(!problem.is_empty() && !problem.contains('\n'), "one line: {problem:?}");
    Ok(())
}

#[test]
fn protobuf_requests_are_read_or_refused() {
    let limits = RequestLimits {
        max_texts: 4,
        max_text_bytes: 64,
    };
    let good = good_requests().iter().map(Message::encode_to_vec).collect();
    check(1000, near(good), |bytes| {
        if let Ok(request) = pb::PredictRequest::decode(&bytes[..]) {
            let again = pb::PredictRequest::decode(&request.encode_to_vec()[..]).expect("what we wrote");
            // NaN is not itself: the bytes are.
            prop_assert_eq!(again.encode_to_vec(), request.encode_to_vec());
            if let Ok(valid) = convert::predict_input(request).and_then(|input| validate(input, limits)) {
                prop_assert!((1..=limits.max_texts).contains(&valid.texts.texts.len()));
                prop_assert!(valid.texts.texts.iter().all(|text| text.len() <= limits.max_text_bytes));
            }
        }
        // Streams and explanations read other messages.
        let _ = pb::PredictStreamRequest::decode(&bytes[..]);
        if let Ok(request) = pb::ExplainRequest::decode(&bytes[..]) {
            let _ = convert::explain_input(request);
        }
        Ok(())
    });
}

#[test]
fn json_bodies_are_read_or_refused() {
    let good = good_requests().iter().map(json::encode).collect();
    check(1000, near(good), |bytes| {
        match json::decode::<pb::PredictRequest>(&bytes) {
            Ok(request) => {
                let written = json::encode(&request);
                let again: pb::PredictRequest = json::decode(&written).expect("what we wrote");
                prop_assert_eq!(json::encode(&again), written);
            }
            Err(error) => one_line(&malformed(error, &bytes).message)?,
        }
        Ok(())
    });
}

/// Measures a document of another protocol and builds it, as the door does.
fn read<T: serde::de::DeserializeOwned>(bytes: &[u8], fields: &'static [&'static str]) -> Result<(T, usize), Refused> {
    let bounds = json::Bounds { items: 4, bytes: 4096 };
    let size = json::measure(bytes, json::Fields::Nested(fields), bounds)?;
    build(bytes).map(|built| (built, size.items))
}

#[test]
fn bodies_of_other_protocols_are_read_or_refused_and_measured_rightly() {
    let good = [
        r#"{"inputs": [["좋다", "a"], ["b", "c"]], "truncate": true, "truncation_direction": "Left", "raw_scores": null}"#,
        r#"{"inputs": ["a", "b"], "parameters": {"top_k": 1, "function_to_apply": "none"}}"#,
        r#"{"inputs": [["a"], ["b"], ["c"], ["d"]]}"#,
        r#"{"model": "a", "input": ["a", "b"], "user": "u", "truncate_prompt_tokens": -1, "use_activation": false}"#,
        r#"{"inputs": "a", "model": null}"#,
    ];
    let good = good.iter().map(|document| document.as_bytes().to_vec()).collect();
    check(3000, near(good), |bytes| {
        match read::<TeiRequest>(&bytes, TeiRequest::FIELDS) {
            Ok((request, items)) => {
                let single = usize::from(request.is_single());
                if let Ok(input) = request.ask() {
                    let built = input.texts.len() + input.text_pairs.len();
                    // A text that is no list's is counted by its bytes alone.
                    prop_assert!(built <= items + single && built <= 8, "{built} of {items}");
                }
            }
            Err(error) => one_line(&malformed(error, &bytes).message)?,
        }
        for refused in [
            read::<VllmRequest>(&bytes, VllmRequest::FIELDS).err(),
            read::<PipelineRequest>(&bytes, PipelineRequest::FIELDS).err(),
        ] {
            refused.map_or(Ok(()), |error| one_line(&malformed(error, &bytes).message))?;
        }
        Ok(())
    });
}

#[test]
fn tensors_are_read_or_refused_in_one_line() {
    const MAX_TEXTS: usize = 4;
    let piece = b"\x06\0\0\0\xec\xa2\x8b\xeb\x8b\xa4\x01\0\0\0b";
    let tensor = InferInputTensor {
        name: "text".into(),
        datatype: "BYTES".into(),
        shape: vec![2, 1],
        ..InferInputTensor::default()
    };
    let raw = ModelInferRequest {
        model_name: "sentiment:fast".into(),
        inputs: vec![tensor.clone()],
        raw_input_contents: vec![piece[..].into()],
        ..ModelInferRequest::default()
    };
    let typed = ModelInferRequest {
        inputs: vec![InferInputTensor {
            contents: Some(InferTensorContents {
                bytes_contents: vec!["좋다".into(), "b".into()],
                ..InferTensorContents::default()
            }),
            ..tensor
        }],
        raw_input_contents: Vec::new(),
        ..raw.clone()
    };
    let fields = br#"{"name": "text", "datatype": "BYTES", "shape": [2, 1]"#;
    let json = [br#"{"inputs": ["#, &fields[..], br#", "data": [["a"], "\u00e9"]}]}"#].concat();
    let head = [
        br#"{"inputs": ["#,
        &fields[..],
        br#", "parameters": {"binary_data_size": 15}}]}"#,
    ]
    .concat();
    let header_length = head.len();
    let good = vec![
        raw.encode_to_vec(),
        typed.encode_to_vec(),
        json,
        [&head[..], piece].concat(),
    ];
    check(1000, near(good), |bytes| {
        let over_grpc = ModelInferRequest::decode(&bytes[..]).ok().map(request_of);
        let body = Bytes::from(bytes);
        let over_rest = [None, Some(header_length)].map(|length| rest_request::read(&body, length, MAX_TEXTS));
        for request in over_grpc.into_iter().chain(over_rest) {
            match request.and_then(|request| tensors::texts(request.inputs, MAX_TEXTS)) {
                Ok((texts, pairs)) => prop_assert!(texts.len() <= MAX_TEXTS && pairs.len() <= MAX_TEXTS),
                Err(error) => one_line(&error.message)?,
            }
        }
        Ok(())
    });
}

#[test]
fn configuration_files_are_read_or_refused_in_one_line() {
    let example = std::fs::read(root().join("tandem.example.toml")).expect("the example");
    // Its settings stand in comments.
    let all = String::from_utf8(example.clone())
        .expect("text")
        .replace("\n# ", "\n")
        .replace("\n#", "\n");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("tandem.toml");
    let good = vec![
        example,
        all.into_bytes(),
        b"max_texts = 5\nprofile = \"hardened\"\ndrain_grace = \"7s\"\n[tasks.sentiment]\nfast = \"a\"\ncascade.min_confidence = 0.5\n"
            .to_vec(),
    ];
    check(300, near(good), |bytes| {
        std::fs::write(&file, &bytes).expect("written");
        match resolve(&Options::default(), Some(&file)) {
            Ok(settings) => {
                prop_assert!(settings.check().is_ok());
                std::fs::write(&file, toml::to_string(&settings).expect("settings are TOML")).expect("written");
                let again = resolve(&Options::default(), Some(&file));
                prop_assert_eq!(again.as_ref(), Ok(&settings));
            }
            Err(problem) => one_line(&problem.to_string())?,
        }
        Ok(())
    });
}

#[test]
fn manifests_are_read_or_refused_in_one_line() {
    let models = ["sentiment-fast", "sentiment-deep"].map(|name| shipped_models().join(name).join("1"));
    let tutorial = root().join("tests/data/models/tutorial-nb/1");
    let good = models.iter().chain([&tutorial]);
    let good = good.map(|folder| std::fs::read(folder.join("manifest.toml")).expect("a manifest"));
    check(500, near(good.collect()), |bytes| {
        let text = String::from_utf8_lossy(&bytes);
        match Manifest::parse(&text) {
            Ok(manifest) => {
                prop_assert!(manifest.labels.len() >= 2 && manifest.max_token_count() >= 1);
                prop_assert!(manifest.files.contains_key(&manifest.onnx.file));
                prop_assert!(
                    manifest
                        .files
                        .keys()
                        .all(|file| !file.contains("..") && !file.starts_with('/'))
                );
            }
            Err(problem) => one_line(&problem)?,
        }
        Ok(())
    });
}

#[test]
fn every_text_is_preprocessed_within_the_models_bounds() {
    let mut repositories = repository::open(&shipped_models()).expect("the shipped models");
    repositories.extend(repository::open(&root().join("tests/data/models")).expect("the tutorial's model"));
    let load =
        |model: &repository::VerifiedModel| Preprocessor::load(&model.manifest, &model.folder).expect("it loads");
    let models: Vec<_> = repositories
        .iter()
        .map(|model| (load(model), &model.manifest))
        .collect();
    check(150, (texts(), 0..models.len()), |(text, which)| {
        let (preprocessor, manifest) = &models[which];
        for truncation in [
            None,
            Some(Truncation::End),
            Some(Truncation::Start),
            Some(Truncation::Reject),
        ] {
            match preprocessor.encode(&text, None, truncation) {
                Ok(encoding) => {
                    prop_assert!(encoding.token_count <= manifest.max_token_count());
                    prop_assert!(encoding.input.width() <= manifest.max_token_count().max(1));
                    prop_assert!(truncation != Some(Truncation::Reject) || !encoding.truncated);
                    let ids = encoding.input.ids();
                    if let Preprocessor::Ngrams(extractor) = preprocessor {
                        let distinct: std::collections::HashSet<u32> = ids.iter().copied().collect();
                        prop_assert!(distinct.len() == ids.len() && ids.iter().all(|&id| id < extractor.buckets()));
                    }
                }
                Err(error) => {
                    prop_assert!(matches!(error, EncodeError::TooLong { .. }), "{error}");
                    prop_assert_eq!(truncation, Some(Truncation::Reject));
                }
            }
        }
        if let Preprocessor::Ngrams(extractor) = preprocessor {
            let (spans, _) = extractor.spans(&text, Truncation::End).expect("cut, not refused");
            prop_assert!(spans.iter().all(|span| text.get(span.bytes.clone()).is_some()));
        }
        Ok(())
    });
}

/// The whole way in, over both doors: a documented answer to everything, and never a failure of ours.
#[test]
fn the_doors_answer_everything_with_a_documented_reason() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let server = runtime.block_on(TestServer::shared());
    let client = crate::support::frames::client();
    let http = server.http();
    let ours = [Reason::Internal.name(), Reason::InferenceFailed.name()];
    let frames = good_requests()
        .into_iter()
        .map(|request| frame(false, &request.encode_to_vec()).to_vec());
    let packed = good_requests()
        .into_iter()
        .map(|request| frame(true, &gzip(&request.encode_to_vec())).to_vec());
    let mut bodies: Vec<_> = good_requests().iter().map(json::encode).collect();
    bodies.push(r#"{"text": ["좋다", "a"], "do_fast": true}"#.into());
    let frames = near(frames.chain(packed).collect());
    check(
        100,
        (frames, near(bodies), any::<bool>()),
        |(frames, body, tutorial)| {
            runtime.block_on(async {
                let call = RawCall {
                    body: Bytes::from(frames),
                    ..RawCall::predict(b"").header("grpc-encoding", "gzip")
                };
                let status = call.send_by(&client, server.grpc_addr()).await.status;
                if status.code() != tonic::Code::Ok {
                    let reason = Refusal::of(&status).reason;
                    prop_assert!(Reason::ALL.iter().any(|known| known.name() == reason), "{status:?}");
                    prop_assert!(!ours.contains(&reason.as_str()), "{status:?}");
                }
                let path = if tutorial { "/predict" } else { "/v1/predict" };
                let answer = http.post(path, body).await;
                if answer.status != http::StatusCode::OK {
                    prop_assert!(answer.status.is_client_error(), "{}", answer.text());
                    let reason = answer.reason();
                    prop_assert!(
                        Reason::ALL.iter().any(|known| known.name() == reason),
                        "{}",
                        answer.text()
                    );
                }
                Ok(())
            })
        },
    );
}
