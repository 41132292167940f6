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
mod labels;
mod reload;
mod shared_labels;
mod web;
mod web_server;
mod whereabouts;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest, Sha256};
use tempfile::TempDir;

use support::RunningServer;
use support::command::{Finished, finish, tandem};
use support::models::FAST_ONLY;
use support::server::free_ports;

/// The variables of stores, none of which a test has from whoever runs it.
const VARIABLES: [&str; 7] = ["AWS_", "AZURE_", "GOOGLE_", "HF_", "SSL_CERT", "XDG_", "HUGGING"];

const TOKEN: &str = "operator-0123456789";

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

    /// The bytes of the files in the cache, where none is there under two names.
    pub fn bytes(&self) -> u64 {
        let (mut open, mut bytes) = (vec![self.path().to_owned()], 0);
        while let Some(folder) = open.pop() {
            for entry in folder.read_dir().expect("a folder").flatten() {
                match entry.metadata().expect("it is there") {
                    metadata if metadata.is_dir() => open.push(entry.path()),
                    metadata => bytes += metadata.len(),
                }
            }
        }
        bytes
    }

    /// The folders of places in the cache.
    pub fn places(&self) -> BTreeSet<PathBuf> {
        folders(self.path()).into_iter().collect()
    }

    /// The revisions in the cache.
    pub fn revisions(&self) -> Vec<PathBuf> {
        self.places().iter().flat_map(|place| folders(place)).collect()
    }
}

fn folders(path: &Path) -> Vec<PathBuf> {
    let entries = path.read_dir().into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
}

/// A server with models from a place, and an operator of it.
pub struct Operated {
    pub server: RunningServer,
    address: String,
}

impl Operated {
    /// Waits until it is ready.
    pub fn start(cache: &Cache, models: &str, more: &[&str]) -> Self {
        Self::spawn(cache.command(&["serve"], models), more)
    }

    /// The same, by a command that was made before.
    pub fn spawn(mut command: Command, more: &[&str]) -> Self {
        command
            .args(free_ports())
            .args(["--admin-addr", "127.0.0.1:0"])
            .args(more);
        command.env("TANDEM_ADMIN_TOKENS", format!("operator:{TOKEN}"));
        let server = RunningServer::spawn(command);
        server.wait_ready();
        let address = server.admin.expect("the admin port is open").to_string();
        Self { server, address }
    }

    /// `tandem models`, to its end.
    pub fn models(&self, words: &[&str]) -> Finished {
        let mut command = tandem();
        command.arg("models").args(words).args(["--addr", &self.address]);
        finish(command.env("TANDEM_ADMIN_TOKEN", TOKEN), b"")
    }

    /// Ends it as it should end; what it wrote.
    pub fn end(self) -> Vec<String> {
        self.server.signal("TERM");
        let (code, log) = self.server.wait_exit();
        assert_eq!(code, Some(0), "{log:#?}");
        log
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
