//! A folder of a web server: what `python3 -m http.server` serves, and what goes wrong on the way.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::http::StatusCode;

use crate::support::models::FastModelCopy;
use crate::web_server::{WebServer, redirect, status};
use crate::{Cache, logged, write_sums};

/// python's own web server on a folder. It ends when it is dropped.
pub struct Python {
    child: Child,
    pub url: String,
}

impl Python {
    /// On a free port.
    fn of(folder: &Path) -> Self {
        Self::on(folder, 0)
    }

    /// On this port. Listens when this returns.
    pub fn on(folder: &Path, port: u16) -> Self {
        let mut python = Command::new("python3");
        python
            .args(["-u", "-m", "http.server", &port.to_string(), "--bind", "127.0.0.1"])
            .current_dir(folder);
        let child = python.stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        // From here on it ends with this, whatever panics.
        let mut server = Self {
            child: child.expect("python3"),
            url: String::new(),
        };
        let mut line = String::new();
        BufReader::new(server.child.stdout.take().expect("a pipe"))
            .read_line(&mut line)
            .expect("a line");
        let port: String = line
            .split("port ")
            .nth(1)
            .expect("a port")
            .chars()
            .take_while(char::is_ascii_digit)
            .collect();
        server.url = format!("http://127.0.0.1:{port}");
        server
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn what_pythons_web_server_serves_is_used_and_then_needs_no_server() {
    let (models, cache) = (FastModelCopy::new(), Cache::empty());
    let pin = write_sums(models.repository());
    let python = Python::of(models.repository());
    let pinned = format!("{}#sha256={pin}", python.url);
    let first = cache.check(&pinned);
    let facts = logged(&first, "models are here");
    assert_eq!(
        (&facts["revision"], facts["fetched_files"].as_u64()),
        (&pin.as_str().into(), facts["files"].as_u64())
    );
    let said = first.success();
    assert!(
        said.starts_with(&format!("fetched: {} at {pin}: ", python.url)),
        "{said}"
    );
    assert!(said.contains("\nok: 1 model loaded and verified"), "{said}");
    drop(python);
    let second = cache.check(&pinned);
    assert_eq!(logged(&second, "models are here")["fetched_files"], 0);
    assert!(second.success().contains("all from the cache"));
}

#[test]
fn what_is_not_pinned_is_asked_for_each_time_and_the_last_is_used_while_it_is_away() {
    let (models, cache) = (FastModelCopy::new(), Cache::empty());
    let pin = write_sums(models.repository());
    let server = WebServer::of(models.repository());
    let url = server.url();
    let first = cache.check(&url);
    let warned = logged(
        &first,
        "models is not pinned: each start and each reload takes what the place has then; the pinned address always gives what is here now",
    );
    assert_eq!(warned["pinned"], format!("{url}#sha256={pin}"));
    first.success();
    let files = server.asked().len();
    cache.check(&url).success();
    assert_eq!(server.asked().len(), files + 1, "the list alone is asked for");
    // A new version: of it alone the files are fetched.
    models.add_version("2");
    write_sums(models.repository());
    let third = cache.check(&url);
    assert_eq!(
        logged(&third, "models are here")["fetched_files"],
        1,
        "the others are the same files: {third:?}"
    );
    drop(server);
    let away = cache.check(&url);
    logged(
        &away,
        "the models can't be fetched, those that were fetched last are used",
    );
    away.success();
    assert_eq!(cache.revisions().len(), 2);
}

#[test]
fn without_the_server_and_without_a_cache_the_start_fails_in_one_line() {
    let (models, cache) = (FastModelCopy::new(), Cache::empty());
    let server = WebServer::of(models.repository());
    let url = server.url();
    let none = cache.check(&url);
    let expected = format!("models: {url}: {url}/SHA256SUMS answers 404 Not Found");
    assert_eq!((none.code, none.complaint()), (Some(1), format!("tandem: {expected}")));
    drop(server);
    let away = cache.check(&url);
    assert_eq!(away.code, Some(1));
    assert!(
        away.complaint()
            .starts_with(&format!("tandem: models: {url}: {url}/SHA256SUMS can't be read: ")),
        "{away:?}"
    );
}

#[test]
fn a_list_that_leads_elsewhere_or_lies_is_refused() {
    let (models, cache) = (FastModelCopy::new(), Cache::empty());
    let (repository, sums) = (models.repository(), models.repository().join("SHA256SUMS"));
    let server = WebServer::of(repository);
    let digest = "0".repeat(64);
    for path in ["../stolen", "/etc/stolen", "a/../../stolen", ".stolen", "a//stolen"] {
        std::fs::write(&sums, format!("{digest}  {path}\n")).expect("written");
        let refused = cache.check(&server.url());
        assert_eq!(refused.code, Some(1));
        assert!(refused.complaint().contains("SHA256SUMS: line 1: `"), "{refused:?}");
    }
    let pin = write_sums(repository);
    // Another file than the list says.
    models.flip_a_bit("model.onnx");
    let refused = cache.check(&server.url());
    let expected = "sentiment-fast/1/model.onnx: its SHA-256 is not the one that is listed (3 tries)";
    assert!(
        refused.code == Some(1) && refused.complaint().ends_with(expected),
        "{refused:?}"
    );
    assert_eq!(server.count("model.onnx"), 3);
    // Another list than is pinned.
    write_sums(repository);
    let refused = cache.check(&format!("{}#sha256={pin}", server.url()));
    assert!(refused.complaint().ends_with("it is not what is pinned"), "{refused:?}");
    assert!(
        cache.revisions().iter().all(|folder| folder.ends_with(".new")),
        "nothing became a revision"
    );
}

#[test]
fn what_passes_is_tried_again_and_what_redirects_for_ever_is_given_up() {
    let (models, cache) = (FastModelCopy::new(), Cache::empty());
    write_sums(models.repository());
    let tries = AtomicUsize::new(0);
    let flaky = WebServer::with(models.repository(), move |asked| {
        let fails = asked.path.ends_with("model.onnx") && tries.fetch_add(1, Ordering::Relaxed) < 2;
        fails.then(|| status(StatusCode::SERVICE_UNAVAILABLE))
    });
    cache.check(&flaky.url()).success();
    assert_eq!(flaky.count("model.onnx"), 3);
    let target = flaky.url();
    let sends_on = WebServer::with(models.repository(), move |asked| {
        Some(redirect(&format!("{target}{}", asked.path)))
    });
    Cache::empty().check(&sends_on.url()).success();
    let round = WebServer::with(models.repository(), |asked| Some(redirect(&asked.path)));
    let given_up = cache.check(&round.url());
    assert!(
        given_up.code == Some(1) && given_up.complaint().contains("redirect"),
        "{given_up:?}"
    );
    assert_eq!(round.asked().len(), 6, "five redirects, and no second try");
}

#[test]
fn an_address_with_secrets_is_refused_and_not_repeated() {
    let cache = Cache::empty();
    for models in [
        "https://me:hunter2@host/m",
        "https://host/m?sig=hunter2",
        "s3://me:hunter2@bucket/m",
    ] {
        let refused = cache.check(models);
        assert_eq!(refused.code, Some(2));
        assert!(
            !refused.stderr.contains("hunter2") && refused.complaint().contains("environment"),
            "{refused:?}"
        );
    }
    let refused = cache.check("http://example.com/models");
    assert!(
        refused.code == Some(2) && refused.complaint().contains("use https://"),
        "{refused:?}"
    );
}
