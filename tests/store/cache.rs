//! The cache: what is damaged is fetched again, a killed start leaves nothing half, and processes share it.

use std::process::Stdio;

use axum::body::Body;
use axum::http::Response;
use futures::StreamExt;

use crate::support::command::{finish, signal};
use crate::support::models::FastModelCopy;
use crate::web::Python;
use crate::web_server::WebServer;
use crate::{Cache, logged, write_sums};

#[test]
fn a_damaged_file_is_fetched_again_and_it_alone() {
    let (models, cache) = (FastModelCopy::new(), Cache::empty());
    let pin = write_sums(models.repository());
    let server = WebServer::of(models.repository());
    let pinned = format!("{}#sha256={pin}", server.url());
    cache.check(&pinned).success();
    let file = cache.revisions()[0].join("models/sentiment-fast/1/model.onnx");
    let sound = std::fs::read(&file).expect("a file");
    std::fs::write(&file, &sound[1..]).expect("written");
    let again = cache.check(&pinned);
    let warned = logged(
        &again,
        "files in model_cache are not as they were fetched, they are fetched again",
    );
    assert_eq!(
        (&warned["file"], &warned["count"]),
        (&"sentiment-fast/1/model.onnx".into(), &1.into())
    );
    assert_eq!(logged(&again, "models are here")["fetched_files"], 1);
    assert_eq!(std::fs::read(&file).expect("a file"), sound);
    again.success();
    // Without the place, a pinned revision that is damaged stops the start: nothing else is what is pinned.
    std::fs::write(&file, &sound[1..]).expect("written");
    drop(server);
    assert_eq!(cache.check(&pinned).code, Some(1));
}

#[test]
fn a_killed_start_leaves_nothing_half_done() {
    let (models, cache) = (FastModelCopy::new(), Cache::empty());
    write_sums(models.repository());
    let graph = std::fs::read(models.file("model.onnx")).expect("a file");
    let mut stalls = WebServer::with(models.repository(), move |asked| {
        // Half of the file, and then nothing for ever.
        let half = bytes::Bytes::copy_from_slice(&graph[..graph.len() / 2]);
        let stream = futures::stream::iter([Ok::<_, std::io::Error>(half)]).chain(futures::stream::pending());
        asked
            .path
            .ends_with("model.onnx")
            .then(|| Response::new(Body::from_stream(stream)))
    });
    let mut command = cache.checking(&stalls.url());
    let mut child = command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program");
    stalls.wait_for("model.onnx");
    signal("KILL", child.id());
    child.wait().expect("it ended");
    assert!(
        cache.revisions().iter().all(|folder| folder.ends_with(".new")),
        "{:?}",
        cache.revisions()
    );
    // The same place, by another server: the cache is that of its address.
    let address = stalls.address;
    drop(stalls);
    let python = Python::on(models.repository(), address.port());
    cache.check(&python.url).success();
    let names: Vec<_> = cache.revisions();
    assert_eq!(names.len(), 1, "{names:?}");
}

#[test]
fn two_programs_with_one_cache_fetch_once_and_both_serve() {
    let (models, cache) = (FastModelCopy::new(), Cache::empty());
    write_sums(models.repository());
    let server = WebServer::of(models.repository());
    let url = server.url();
    std::thread::scope(|scope| {
        let start = || scope.spawn(|| finish(&mut cache.checking(&url), b"").success());
        let both = [start(), start(), start()];
        for one in both {
            assert!(one.join().expect("no panic").contains("ok: 1 model loaded"));
        }
    });
    assert_eq!(server.count("model.onnx"), 1);
    assert_eq!(cache.revisions().len(), 1);
}

#[test]
fn a_cache_that_can_not_be_written_is_named() {
    let models = FastModelCopy::new();
    write_sums(models.repository());
    let server = WebServer::of(models.repository());
    let file = tempfile::NamedTempFile::new().expect("a file");
    let mut bare = crate::support::command::tandem();
    bare.args([
        "serve",
        "--check",
        "--log-format",
        "json",
        "--models",
        &server.url(),
        "--model-cache",
    ]);
    let refused = finish(bare.arg(file.path()), b"");
    assert_eq!(refused.code, Some(1));
    assert!(
        refused.complaint().contains("model_cache (") && refused.complaint().contains("can't be written"),
        "{refused:?}"
    );
}
