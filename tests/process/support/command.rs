//! Programs that run to their end: the one under test, and clients.

use std::io::Write;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use super::LIMIT;

/// What a program left behind.
#[derive(Debug)]
pub struct Finished {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Finished {
    /// What it wrote, if it ended well.
    pub fn success(self) -> String {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.stdout
    }

    /// What it wrote, as JSON, if it ended well.
    pub fn json(self) -> serde_json::Value {
        let stdout = self.success();
        serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{error}: {stdout}"))
    }

    /// The one line on standard error that says what is wrong, and is no line of the log.
    pub fn complaint(&self) -> String {
        let mut lines = self.stderr.lines().filter_map(complaint_in);
        match (lines.next(), lines.next()) {
            (Some(line), None) => line,
            _ => panic!("expected one line that says what is wrong: {self:?}"),
        }
    }
}

/// What a line complains of, as people read it. A log in JSON has complaints in JSON, by their target.
pub fn complaint_in(line: &str) -> Option<String> {
    if !line.starts_with('{') {
        return Some(line.to_owned());
    }
    let line: serde_json::Value = serde_json::from_str(line).expect("a line of JSON");
    (line["target"] == "tandem").then(|| format!("tandem: {}", line["message"].as_str().expect("a message")))
}

/// The program under test, in a folder without a `tandem.toml`, without settings of whoever runs the tests.
pub fn tandem() -> Command {
    let mut command = clean(env!("CARGO_BIN_EXE_tandem"));
    command.current_dir(env!("CARGO_TARGET_TMPDIR"));
    command
}

/// A program that is not led astray by the environment: no settings, no proxies on the way to this machine.
pub fn clean(program: &str) -> Command {
    let mut command = Command::new(program);
    // A service manager that runs the tests is told nothing of their servers.
    for name in ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"] {
        command.env_remove(name);
    }
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy().to_ascii_lowercase();
        let terminal = ["columns", "lines", "clicolor_force"].contains(&text.as_str());
        if text.starts_with("tandem_") || text.ends_with("_proxy") || terminal {
            command.env_remove(&name);
        }
    }
    command
}

/// Runs a program to its end, with `stdin` as its input.
pub fn finish(command: &mut Command, stdin: &[u8]) -> Finished {
    finish_within(LIMIT, command, stdin)
}

/// The same for one that may take longer than others.
pub fn finish_within(limit: Duration, command: &mut Command, stdin: &[u8]) -> Finished {
    let command = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}", command.get_program().display()));
    let pid = child.id();
    let mut input = child.stdin.take().expect("a pipe");
    let stdin = stdin.to_vec();
    // On threads: a program that writes before it has read all would wait for us, and we for it.
    thread::spawn(move || input.write_all(&stdin));
    let (send, ended) = mpsc::channel();
    thread::spawn(move || send.send(child.wait_with_output()));
    let Ok(output) = ended.recv_timeout(limit) else {
        signal("KILL", pid);
        panic!("{} does not end", command.get_program().display());
    };
    let output = output.expect("the outcome of a child");
    Finished {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Sends a signal to a child of ours.
pub fn signal(name: &str, pid: u32) {
    let status = Command::new("sh")
        .args(["-c", &format!("kill -{name} {pid}")])
        .status()
        .expect("a shell");
    assert!(status.success());
}

/// Posts JSON with curl: the HTTP status, and the body.
pub fn curl(address: SocketAddr, path: &str, headers: &[&str], body: &[u8]) -> (u16, serde_json::Value) {
    let mut command = clean("curl");
    command.args(["--silent", "--show-error", "--write-out", "\n%{http_code}"]);
    command.args(["--header", "content-type: application/json", "--data-binary", "@-"]);
    for header in headers {
        command.args(["--header", header]);
    }
    command.arg(format!("http://{address}{path}"));
    let answer = finish(&mut command, body).success();
    let (body, status) = answer.rsplit_once('\n').expect("a status after the body");
    let body = serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {body}"));
    (status.parse().expect("a status"), body)
}

/// Gets a page with curl.
pub fn curl_get(address: SocketAddr, path: &str) -> String {
    let url = format!("http://{address}{path}");
    finish(clean("curl").args(["--silent", "--show-error", &url]), b"").success()
}
