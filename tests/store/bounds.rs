//! The bounds: bytes, files and time.

use axum::body::Body;
use axum::http::Response;
use futures::StreamExt;

use crate::support::command::finish;
use crate::support::models::FastModelCopy;
use crate::web_server::WebServer;
use crate::{Cache, logged, write_sums};

#[test]
fn what_does_not_fit_into_the_cache_is_refused_and_what_nobody_uses_makes_way() {
    let (models, cache) = (FastModelCopy::new(), Cache::empty());
    write_sums(models.repository());
    let server = WebServer::of(models.repository());
    let bytes: u64 = models
        .model()
        .read_dir()
        .expect("a folder")
        .map(|file| file.expect("a file").metadata().expect("a file").len())
        .sum();
    let with = |most: u64, pin: &str| {
        let mut command = cache.checking(&format!("{}{pin}", server.url()));
        finish(command.arg("--model-cache-bytes").arg(most.to_string()), b"")
    };
    let refused = with(bytes - 1, "");
    assert_eq!(refused.code, Some(1));
    assert!(
        refused
            .complaint()
            .ends_with(&format!("model_cache_bytes is {}", bytes - 1)),
        "{refused:?}"
    );
    // The lists and records take some room too.
    let enough = bytes + (64 << 10);
    with(enough, "").success();
    // Others, pinned, that share most files with it, and the file that they do not: there is room for one.
    for text in ["a".repeat(60 << 10), "b".repeat(60 << 10)] {
        std::fs::write(models.file("extra.txt"), text).expect("written");
        let pin = write_sums(models.repository());
        with(enough, &format!("#sha256={pin}")).success();
    }
    assert_eq!(cache.revisions().len(), 1, "{:?}", cache.revisions());
}

#[test]
fn what_was_fetched_last_stays_and_serves_where_there_is_no_room_for_what_is_new() {
    let (models, cache) = (FastModelCopy::new(), Cache::empty());
    let server = WebServer::of(models.repository());
    let with = |most: u64| {
        let mut command = cache.checking(&server.url());
        finish(command.arg("--model-cache-bytes").arg(most.to_string()), b"")
    };
    let extra = 300_000;
    std::fs::write(models.file("extra.txt"), "a".repeat(extra)).expect("written");
    write_sums(models.repository());
    with(100 << 20).success();
    let first = cache.revisions();
    std::fs::write(models.file("extra.txt"), "b".repeat(extra)).expect("written");
    let second = write_sums(models.repository());
    // All else is shared.
    let both = cache.bytes() + extra as u64;
    let short = with(both - 1);
    let warned = logged(
        &short,
        "the models can't be fetched, those that were fetched last are used",
    );
    let problem = warned["problem"].as_str().expect("a text");
    let expected = format!(
        "would take {both} bytes or more in model_cache, model_cache_bytes is {}",
        both - 1
    );
    assert!(problem.ends_with(&expected), "{problem}");
    short.success();
    let stay: Vec<_> = cache
        .revisions()
        .into_iter()
        .filter(|folder| !folder.ends_with(".new"))
        .collect();
    assert_eq!(stay, first);
    let enough = with(both);
    assert_eq!(logged(&enough, "models are here")["revision"], second);
    enough.success();
    assert_eq!(cache.revisions().len(), 2);
}

#[test]
fn a_store_that_gives_without_end_or_nothing_at_all_is_given_up() {
    let (models, cache) = (FastModelCopy::new(), Cache::empty());
    write_sums(models.repository());
    let part = bytes::Bytes::from_static(&[b'x'; 4096]);
    let endless = WebServer::with(models.repository(), move |asked| {
        let part = part.clone();
        let stream = futures::stream::repeat_with(move || Ok::<_, std::io::Error>(part.clone()));
        asked
            .path
            .ends_with("model.onnx")
            .then(|| Response::new(Body::from_stream(stream)))
    });
    let mut command = cache.checking(&endless.url());
    let refused = finish(command.args(["--model-cache-bytes", "4194304"]), b"");
    assert!(
        refused.complaint().ends_with("model_cache_bytes is 4194304"),
        "{refused:?}"
    );
    let endless_list = WebServer::with(models.repository(), |asked| {
        let stream =
            futures::stream::repeat_with(|| Ok::<_, std::io::Error>(bytes::Bytes::from_static(&[b'\n'; 4096])));
        asked
            .path
            .ends_with("SHA256SUMS")
            .then(|| Response::new(Body::from_stream(stream)))
    });
    let refused = cache.check(&endless_list.url());
    assert!(
        refused.complaint().ends_with("SHA256SUMS is larger than 8 MiB"),
        "{refused:?}"
    );
    let silent = WebServer::with(models.repository(), |asked| {
        let stream = futures::stream::pending::<Result<bytes::Bytes, std::io::Error>>().boxed();
        asked
            .path
            .ends_with("model.onnx")
            .then(|| Response::new(Body::from_stream(stream)))
    });
    let mut command = cache.checking(&silent.url());
    let refused = finish(command.args(["--model-fetch-time", "1s"]), b"");
    assert!(
        refused.complaint().ends_with("takes longer than model_fetch_time (1s)"),
        "{refused:?}"
    );
}
