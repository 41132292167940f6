//! Models that lie elsewhere: fetched, checked, kept, used without the place, and fetched anew. `cargo test --features
//! object-store --test store`.
//!
//! Peers: python's own web server, a server of the tests that can fail in every way, and, where `tools/store-peers.sh fetch`
//! has installed them, a server that speaks S3 and Microsoft's emulator of Azure's storage.

#[expect(
    dead_code,
    unused_imports,
    reason = "the harness of tests/process, of which this needs a part"
)]
#[path = "../process/support/mod.rs"]
mod support;

mod bounds;
mod buckets;
mod cache;
mod hub;
mod reload;
mod web;
mod web_server;

use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest, Sha256};
use tempfile::TempDir;

use support::command::{Finished, finish, tandem};
use support::models::FAST_ONLY;

/// The variables of stores, none of which a test has from whoever runs it.
const VARIABLES: [&str; 7] = ["AWS_", "AZURE_", "GOOGLE_", "HF_", "SSL_CERT", "XDG_", "HUGGING"];

/// A cache, and programs that use it.
pub struct Cache(TempDir);

impl Cache {
    pub fn empty() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// The program with models from a place.
    pub fn command(&self, words: &[&str], models: &str) -> Command {
        let mut command = tandem();
        for (name, _) in std::env::vars_os() {
            if VARIABLES.iter().any(|begin| name.to_string_lossy().starts_with(begin)) {
                command.env_remove(&name);
            }
        }
        command.args(words).args(["--models", models]).args(FAST_ONLY);
        command.arg("--model-cache").arg(self.path());
        command
    }

    /// `serve --check`, to its end.
    pub fn check(&self, models: &str) -> Finished {
        finish(&mut self.checking(models), b"")
    }

    pub fn checking(&self, models: &str) -> Command {
        self.command(&["serve", "--check", "--log-format", "json"], models)
    }

    /// The revisions in the cache.
    pub fn revisions(&self) -> Vec<PathBuf> {
        let folders = |path: &Path| -> Vec<PathBuf> {
            let entries = path.read_dir().into_iter().flatten().flatten();
            entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
        };
        folders(self.path()).iter().flat_map(|place| folders(place)).collect()
    }
}

/// The line of the log with this message.
pub fn logged(finished: &Finished, message: &str) -> serde_json::Value {
    let lines = finished
        .stderr
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let mut lines = lines.filter(|line| line["message"] == message);
    lines
        .next()
        .unwrap_or_else(|| panic!("no line says {message}: {finished:?}"))
}

pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Writes SHA256SUMS into a folder as docs/model-storage.md says, and returns the SHA-256 of that.
pub fn write_sums(folder: &Path) -> String {
    let script = "find . -type f ! -path '*/.*' ! -name SHA256SUMS -printf '%P\\n' | LC_ALL=C sort | xargs -d '\\n' sha256sum >SHA256SUMS";
    let mut shell = Command::new("sh");
    finish(shell.current_dir(folder).args(["-c", script]), b"").success();
    sha256(&std::fs::read(folder.join("SHA256SUMS")).expect("written"))
}
