//! Buckets, by servers that others wrote: s3s-fs, which checks signatures as S3 does, and Azurite, Microsoft's own emulator of
//! Azure's storage. `tools/store-peers.sh fetch` installs them; without them these tests say so and do nothing.
//!
//! Google's storage has no emulator of Google's own, so nothing here reads a bucket of it.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::command::{Finished, finish};
use crate::support::models::FastModelCopy;
use crate::support::tools::tool;
use crate::support::{LIMIT, root};
use crate::{Cache, logged, write_sums};

pub const KEY: &str = "kanarienvogel-key";
pub const SECRET: &str = "kanarienvogel-secret";

/// The path of a peer; `None`, with a line, where it was not fetched.
pub fn peer(name: &str) -> Option<PathBuf> {
    let mut script = Command::new(root().join("tools/store-peers.sh"));
    let found = finish(script.current_dir(root()).arg(name), b"");
    if found.code != Some(0) {
        eprintln!("skipped: {name} is not here; tools/store-peers.sh fetch installs it");
        return None;
    }
    Some(PathBuf::from(found.stdout.trim_end()))
}

/// A peer that runs, and ends with this.
pub struct Running(Child, pub SocketAddr);

impl Running {
    /// Starts it on a free port, which it is told, and waits until it listens.
    fn start(command: impl FnOnce(u16) -> Command) -> Self {
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|socket| socket.local_addr())
            .expect("a port")
            .port();
        let mut command = command(port);
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the peer");
        let running = Self(child, ([127, 0, 0, 1], port).into());
        let until = Instant::now() + LIMIT;
        while TcpStream::connect(running.1).is_err() {
            assert!(Instant::now() < until, "the peer does not listen");
            // It is another program, which tells nobody when it listens.
            std::thread::sleep(Duration::from_millis(20));
        }
        running
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// s3s-fs over a folder whose folders are buckets.
pub fn s3(program: &Path, folder: &Path) -> Running {
    Running::start(|port| {
        let mut command = Command::new(program);
        command.args(["--host", "127.0.0.1", "--port", &port.to_string()]);
        command.args(["--access-key", KEY, "--secret-key", SECRET]).arg(folder);
        command
    })
}

/// The path of Node.
pub fn node() -> String {
    format!("{}/node", tool("node"))
}

/// Azurite with its files in a folder.
pub fn azurite(program: &Path, folder: &Path) -> Running {
    Running::start(|port| {
        let mut command = Command::new(node());
        command.arg(program).args([
            "--blobHost",
            "127.0.0.1",
            "--blobPort",
            &port.to_string(),
            "--silent",
            "--skipApiVersionCheck",
        ]);
        command.arg("--location").arg(folder);
        command
    })
}

fn check_s3(cache: &Cache, server: SocketAddr, secret: &str, models: &str) -> Finished {
    let mut command = cache.checking(models);
    command.env("AWS_ENDPOINT_URL", format!("http://{server}"));
    command
        .env("AWS_ACCESS_KEY_ID", KEY)
        .env("AWS_SECRET_ACCESS_KEY", secret)
        .env("AWS_REGION", "us-east-1");
    finish(&mut command, b"")
}

/// A folder of buckets with the models at `bucket/some/models`.
fn buckets() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let models = folder.path().join("bucket/some/models");
    std::fs::create_dir_all(&models).expect("a folder");
    let copy = FastModelCopy::new();
    let mut cp = Command::new("cp");
    finish(
        cp.arg("-r").arg(copy.repository().join("sentiment-fast")).arg(&models),
        b"",
    )
    .success();
    (folder, models)
}

#[test]
fn a_bucket_of_s3_is_fetched_pinned_and_used_without_it() {
    let Some(program) = peer("s3s-fs") else { return };
    let (folder, models) = buckets();
    let (server, cache) = (s3(&program, folder.path()), Cache::empty());
    let place = "s3://bucket/some/models";
    let first = check_s3(&cache, server.1, SECRET, place);
    let revision = logged(&first, "models are here")["revision"]
        .as_str()
        .expect("a revision")
        .to_owned();
    first.success();
    // The revision is the SHA-256 of the list that the documentation's command makes.
    assert_eq!(write_sums(&models), revision);
    std::fs::remove_file(models.join("SHA256SUMS")).expect("removed");
    let pinned = format!("{place}#sha256={revision}");
    let second = check_s3(&cache, server.1, SECRET, &pinned);
    assert_eq!(logged(&second, "models are here")["fetched_files"], 0);
    // What changes there is no longer what is pinned, and an empty cache says so.
    std::fs::write(models.join("sentiment-fast/1/extra.txt"), "x").expect("written");
    let other = Cache::empty();
    let refused = check_s3(&other, server.1, SECRET, &pinned);
    assert!(
        refused.code == Some(1) && refused.complaint().ends_with("it is not what is pinned"),
        "{refused:?}"
    );
    // With a list, what it names is fetched and nothing else, and each file is checked by it.
    std::fs::remove_file(models.join("sentiment-fast/1/extra.txt")).expect("removed");
    write_sums(&models);
    std::fs::write(models.join("sentiment-fast/1/extra.txt"), "x").expect("written");
    let listed = check_s3(&other, server.1, SECRET, &pinned);
    assert_eq!(logged(&listed, "models are here")["left_out"], 1);
    listed.success();
    let address = server.1;
    drop(server);
    assert_eq!(check_s3(&cache, address, SECRET, &pinned).code, Some(0));
    // What one endpoint gave is not what another has.
    let nowhere = SocketAddr::from(([127, 0, 0, 1], 1));
    assert_eq!(check_s3(&cache, nowhere, SECRET, place).code, Some(1));
}

#[test]
fn wrong_credentials_and_an_empty_prefix_are_told_without_secrets() {
    let Some(program) = peer("s3s-fs") else { return };
    let (folder, _models) = buckets();
    let (server, cache) = (s3(&program, folder.path()), Cache::empty());
    let wrong = "wrong-kanarienvogel";
    let refused = check_s3(&cache, server.1, wrong, "s3://bucket/some/models");
    assert_eq!(refused.code, Some(1));
    let told = refused.complaint();
    assert!(
        told.starts_with("tandem: models: s3://bucket/some/models: ") && told.contains("403"),
        "{told}"
    );
    assert!(!refused.stderr.contains("kanarienvogel"), "{refused:?}");
    let none = check_s3(&cache, server.1, SECRET, "s3://bucket/nothing");
    assert!(none.complaint().ends_with("holds no files"), "{none:?}");
}

#[test]
fn a_container_of_azure_is_fetched() {
    let Some(program) = peer("azurite") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let server = azurite(&program, folder.path());
    let azure = |command: &mut Command| {
        // Azurite's own well-known account, with its well-known key.
        command.env("AZURE_STORAGE_USE_EMULATOR", "true");
        command.env("AZURITE_BLOB_STORAGE_URL", format!("http://{}", server.1));
    };
    let models = FastModelCopy::new();
    let mut upload = Command::new(node());
    // Its client lies beside it.
    upload.env("NODE_PATH", program.ancestors().nth(5).expect("a folder of packages"));
    upload
        .arg(root().join("tests/store/azure_upload.js"))
        .arg(server.1.to_string())
        .arg(models.repository());
    finish(&mut upload, b"").success();
    let cache = Cache::empty();
    let mut command = cache.checking("az://container/some/models");
    azure(&mut command);
    let first = finish(&mut command, b"");
    logged(&first, "models are here");
    first.success();
}
