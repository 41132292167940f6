//! Hugging Face: its paths and its API, as far as Tandem asks, by a server of the tests (`HF_ENDPOINT`). Nothing here reaches
//! the real one.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use serde_json::json;
use sha1::{Digest, Sha1};

use crate::support::command::{Finished, finish};
use crate::support::models::FastModelCopy;
use crate::web_server::{WebServer, json, redirect};
use crate::{Cache, logged, sha256, write_sums};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
const LATER: &str = "89abcdef0123456789abcdef0123456789abcdef";
const TOKEN: &str = "hf_kanarienvogel";

/// A hub with one repository, `owner/name`, and the host that it sends on to for large files.
struct Hub {
    server: WebServer,
    large: WebServer,
    main: Arc<Mutex<&'static str>>,
}

impl Hub {
    fn of(folder: &Path) -> Self {
        let main = Arc::new(Mutex::new(COMMIT));
        let large = WebServer::of(folder);
        let (own, branch, large_url) = (folder.to_owned(), Arc::clone(&main), large.url());
        let server = WebServer::with(Path::new("/nowhere"), move |asked| {
            let path = asked.path.as_str();
            if path == "/api/models/owner/name/revision/main" {
                return Some(json(&json!({ "sha": *branch.lock().expect("no panic") })));
            }
            if let Some(rest) = path.strip_prefix("/api/models/owner/name/tree/") {
                let folder = rest
                    .split('?')
                    .next()
                    .expect("a path")
                    .split_once('/')
                    .map_or("", |(_, folder)| folder);
                return Some(json(&tree(&own, folder)));
            }
            let (_, file) = path.strip_prefix("/owner/name/resolve/")?.split_once('/')?;
            Some(redirect(&format!("{large_url}/{file}?signature=secret")))
        });
        Self { server, large, main }
    }

    fn check(&self, cache: &Cache, models: &str) -> Finished {
        let mut command = cache.checking(models);
        command.env("HF_ENDPOINT", self.server.url()).env("HF_TOKEN", TOKEN);
        finish(&mut command, b"")
    }
}

/// What the API lists of a folder: ONNX files by their SHA-256, as those that git does not hold itself, others as git does.
fn tree(root: &Path, below: &str) -> serde_json::Value {
    let mut items = Vec::new();
    let mut open = vec![root.join(below)];
    while let Some(folder) = open.pop() {
        for entry in folder.read_dir().into_iter().flatten().flatten() {
            let path = entry.path();
            let name = path.strip_prefix(root).expect("below").to_string_lossy().into_owned();
            if path.is_dir() {
                items.push(json!({ "type": "directory", "oid": COMMIT, "size": 0, "path": name }));
                open.push(path);
                continue;
            }
            let bytes = std::fs::read(&path).expect("a file");
            let mut git = Sha1::new();
            git.update(format!("blob {}\0", bytes.len()));
            git.update(&bytes);
            let oid: String = git.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
            let mut item = json!({ "type": "file", "oid": oid, "size": bytes.len(), "path": name });
            if path.extension() == Some("onnx".as_ref()) {
                item["lfs"] = json!({ "oid": sha256(&bytes), "size": bytes.len(), "pointerSize": 134 });
            }
            items.push(item);
        }
    }
    serde_json::Value::Array(items)
}

/// An export as people have it there: one model, with the weights of other frameworks beside it.
fn export() -> (FastModelCopy, PathBuf) {
    let models = FastModelCopy::new();
    let folder = models.model();
    for other in ["model.safetensors", "pytorch_model.bin", ".gitattributes"] {
        std::fs::write(folder.join(other), "x").expect("written");
    }
    (models, folder)
}

#[test]
fn a_commit_is_fetched_whole_without_what_is_never_read_and_then_needs_no_hub() {
    let (_models, folder) = export();
    let (hub, cache) = (Hub::of(&folder), Cache::empty());
    let place = format!("hf://owner/name@{COMMIT}");
    let first = hub.check(&cache, &place);
    let facts = logged(&first, "models are here");
    assert_eq!((&facts["revision"], &facts["left_out"]), (&COMMIT.into(), &3.into()));
    assert!(first.stdout.contains("ok: 1 model loaded and verified"), "{first:?}");
    assert_eq!(hub.server.count("/revision/main"), 0);
    let with_token = |server: &WebServer| {
        server
            .asked()
            .iter()
            .filter(|asked| asked.authorization.is_some())
            .count()
    };
    assert_eq!(with_token(&hub.server), hub.server.asked().len());
    assert_eq!(with_token(&hub.large), 0, "the token is for the hub alone");
    assert!(!first.stderr.contains(TOKEN) && !first.stdout.contains(TOKEN));
    // The model's own name and version, by its manifest.
    assert!(
        cache.revisions()[0]
            .join("models/sentiment-fast/1/model.onnx")
            .is_file()
    );
    let away = hub.server.url();
    drop(hub);
    let mut command = cache.checking(&place);
    finish(command.env("HF_ENDPOINT", away), b"").success();
    // What one hub gave is not what another has.
    let mut command = cache.checking("hf://owner/name");
    let refused = finish(command.env("HF_ENDPOINT", "http://127.0.0.1:1"), b"");
    assert_eq!(refused.code, Some(1), "{refused:?}");
}

#[test]
fn what_is_listed_as_too_much_is_not_fetched_and_nothing_makes_way_for_it() {
    let (models, folder) = export();
    let (hub, cache) = (Hub::of(&folder), Cache::empty());
    write_sums(models.repository());
    let web = WebServer::of(models.repository());
    cache.check(&web.url()).success();
    let before = cache.revisions();
    let fetched: u64 = ["model.onnx", "golden.jsonl", "manifest.toml", "README.md"]
        .map(|name| models.file(name).metadata().expect("a file").len())
        .iter()
        .sum();
    let mut command = cache.checking(&format!("hf://owner/name@{COMMIT}"));
    command.env("HF_ENDPOINT", hub.server.url());
    let refused = finish(command.arg("--model-cache-bytes").arg((fetched - 1).to_string()), b"");
    let expected = format!(
        "would take {fetched} bytes or more in model_cache, model_cache_bytes is {}",
        fetched - 1
    );
    assert!(
        refused.code == Some(1) && refused.complaint().ends_with(&expected),
        "{refused:?}"
    );
    assert_eq!(hub.large.asked(), []);
    assert!(before.iter().all(|revision| revision.is_dir()));
}

#[test]
fn a_branch_is_looked_up_and_told_as_not_pinned() {
    let (_models, folder) = export();
    // Without a manifest it has no name and no version of its own.
    let cache = Cache::empty();
    let hub = Hub::of(&folder);
    let first = hub.check(&cache, "hf://owner/name@main");
    let warned = logged(
        &first,
        "models is not pinned: each start and each reload takes what the place has then; the pinned address always gives what is here now",
    );
    assert_eq!(warned["pinned"], format!("hf://owner/name@{COMMIT}"));
    first.success();
    std::fs::write(folder.join("README.txt"), "later").expect("written");
    *hub.main.lock().expect("no panic") = LATER;
    let second = hub.check(&cache, "hf://owner/name");
    let facts = logged(&second, "models are here");
    assert_eq!(facts["revision"], LATER);
    second.success();
    let third = hub.check(&cache, "hf://owner/name@main");
    assert_eq!(
        logged(&third, "models are here")["fetched_files"],
        1,
        "the others are the same files: {third:?}"
    );
}

#[test]
fn what_is_not_the_commits_content_is_refused() {
    let (_models, folder) = export();
    let cache = Cache::empty();
    let hub = Hub::of(&folder);
    // The listing is made anew at each call, so the large files' host gives what the listing does not have.
    let other = tempfile::tempdir().expect("a folder");
    for entry in folder.read_dir().expect("a folder").flatten() {
        std::fs::copy(entry.path(), other.path().join(entry.file_name())).expect("copied");
    }
    let manifest = other.path().join("manifest.toml");
    let mut bytes = std::fs::read(&manifest).expect("a file");
    bytes[0] ^= 1;
    std::fs::write(&manifest, bytes).expect("written");
    let large = WebServer::of(other.path());
    let (own, large_url) = (folder.clone(), large.url());
    let lying = WebServer::with(Path::new("/nowhere"), move |asked| {
        if asked.path.contains("/tree/") {
            return Some(json(&tree(&own, "")));
        }
        let (_, file) = asked.path.strip_prefix("/owner/name/resolve/")?.split_once('/')?;
        Some(redirect(&format!("{large_url}/{file}")))
    });
    let mut command = cache.checking(&format!("hf://owner/name@{COMMIT}"));
    let refused = finish(command.env("HF_ENDPOINT", lying.url()), b"");
    assert_eq!(refused.code, Some(1));
    assert!(
        refused
            .complaint()
            .ends_with("manifest.toml: its content is not the one of the commit (3 tries)"),
        "{refused:?}"
    );
    drop(hub);
}

#[test]
fn a_folder_of_a_repository_is_one_model_and_check_says_where_it_is_from() {
    let models = FastModelCopy::new();
    let (hub, cache) = (Hub::of(models.repository()), Cache::empty());
    let place = format!("hf://owner/name@{COMMIT}/sentiment-fast/1");
    let mut command = cache.command(&["check", &place], "models");
    let said = finish(command.env("HF_ENDPOINT", hub.server.url()), b"").success();
    assert!(said.contains("fetched") && said.contains(COMMIT), "{said}");
    // The whole of it is a repository.
    hub.check(&cache, &format!("hf://owner/name@{COMMIT}")).success();
    let mut command = cache.command(&["check", "--write-manifest", "--force", &place], "models");
    let refused = finish(command.env("HF_ENDPOINT", hub.server.url()), b"");
    assert!(
        refused.code == Some(2) && refused.complaint().contains("nothing is written into model_cache"),
        "{refused:?}"
    );
    // What was fetched before is not used in place of a place that is named wrongly.
    let mut command = cache.checking("hf://owner/name");
    let refused = finish(command.env("HF_ENDPOINT", "http://example.com"), b"");
    assert!(
        refused.complaint().contains("HF_ENDPOINT must begin with https://"),
        "{refused:?}"
    );
}
