//! Clients that others wrote, pinned by `tools/test-tools.sh`, which installs them at their first use.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use super::command::{clean, finish};
use super::root;

/// The path of a tool.
pub fn tool(name: &str) -> String {
    // Not `clean`: pip may need the proxies.
    let mut script = Command::new(root().join("tools/test-tools.sh"));
    let path = finish(script.current_dir(root()).arg(name), b"").success();
    path.trim_end().to_owned()
}

/// The folder of packages that `package-lock.json` in a folder of the repository pins, installed at its first use.
pub fn npm_packages(folder: &str) -> PathBuf {
    // Not `clean`: npm may need the proxies.
    let mut script = Command::new(root().join("tools/test-tools.sh"));
    let path = finish(script.current_dir(root()).args(["npm", folder]), b"").success();
    PathBuf::from(path.trim_end())
}

/// `node` on the first of these scripts, with a browser and what drives it.
pub fn browser(scripts: &[&str]) -> Command {
    // Node.js looks for packages beside the script. A folder each, so that tests do not change each other's.
    let folder = scratch().join("browser").join(scripts[0]);
    std::fs::create_dir_all(&folder).expect("a folder");
    let packages = npm_packages("tests/process/browser");
    let link = folder.join("node_modules");
    let _ = std::fs::remove_file(&link);
    std::os::unix::fs::symlink(packages, link).expect("a link");
    for script in scripts {
        std::fs::copy(root().join("tests/process/browser").join(script), folder.join(script)).expect("copied");
    }
    let mut node = clean(&format!("{}/node", tool("node")));
    // The browser unpacks itself into the folder of temporary files, once.
    node.env("TMPDIR", &folder)
        .env("HOME", &folder)
        .arg(folder.join(scripts[0]));
    node
}

/// `python3` with grpcio and with stubs that its compiler made of our protocol files, on a script of ours.
pub fn python(script: &str) -> Command {
    static PATH: OnceLock<String> = OnceLock::new();
    let path = PATH.get_or_init(|| {
        let grpcio = tool("grpc");
        let stubs = scratch().join("grpcio-stubs");
        std::fs::create_dir_all(&stubs).expect("a folder");
        let out = stubs.display();
        let mut compiler = clean("python3");
        compiler.current_dir(root()).env("PYTHONPATH", &grpcio);
        compiler.args(["-m", "grpc_tools.protoc", "-Iproto"]);
        compiler.args([format!("--python_out={out}"), format!("--grpc_python_out={out}")]);
        compiler.args([
            "tandem/v1/prediction.proto",
            "google/rpc/status.proto",
            "tei/v1/tei.proto",
        ]);
        finish(&mut compiler, b"").success();
        format!("{grpcio}:{out}")
    });
    let mut command = clean("python3");
    command.env("PYTHONPATH", path).env("PYTHONDONTWRITEBYTECODE", "1");
    command.arg(root().join("tests/process/clients").join(script));
    command
}

/// `python3` with Hugging Face's client, on a script of ours.
pub fn python_with_hugging_face(script: &str) -> Command {
    let mut command = clean("python3");
    command
        .env("PYTHONPATH", tool("huggingface"))
        .env("PYTHONDONTWRITEBYTECODE", "1");
    // Nothing of the one who runs the tests: neither their key nor their cache.
    command
        .env("HF_HOME", scratch().join("huggingface"))
        .env("HF_HUB_DISABLE_TELEMETRY", "1");
    command.env_remove("HF_TOKEN");
    command.arg(root().join("tests/process/clients").join(script));
    command
}

/// Where a tool may keep what it likes.
pub fn scratch() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
}
