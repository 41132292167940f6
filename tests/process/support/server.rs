//! A server in a process of its own: its log, its addresses, its end.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

use serde_json::Value;
use tokio::runtime::Runtime;
use tonic::transport::{Channel, Endpoint};

use super::command::{signal, tandem};
use super::{LIMIT, root, wait};

/// A server that is killed when this is dropped.
pub struct RunningServer {
    child: Child,
    log: Log,
    /// 0.0.0.0:0 where it is no address of the network.
    pub grpc: SocketAddr,
    pub http: Option<SocketAddr>,
    pub metrics: Option<SocketAddr>,
    pub admin: Option<SocketAddr>,
}

impl RunningServer {
    /// Starts a server with the models of the repository and waits until it is ready.
    pub fn start(args: &[&str]) -> Self {
        let server = Self::start_unready(args);
        server.wait_ready();
        server
    }

    /// The same, and waits for its ports only.
    pub fn start_unready(args: &[&str]) -> Self {
        let mut command = tandem();
        command.arg("serve").args(free_ports());
        command.arg("--models").arg(root().join("models")).args(args);
        Self::spawn(command)
    }

    /// Starts a server with other models, named among `args`, and waits until it is ready.
    pub fn start_with(args: &[&str]) -> Self {
        let mut command = tandem();
        command.arg("serve").args(free_ports()).args(args);
        let server = Self::spawn(command);
        server.wait_ready();
        server
    }

    /// Starts `command` and waits for its ports.
    pub fn spawn(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program under test");
        let log = Log::read(child.stderr.take().expect("a pipe"));
        let Some(listening) = log.wait_for("listening") else {
            let _ = child.kill();
            panic!("opens no port: {:#?}", log.lines());
        };
        let address = |key: &str| listening[key].as_str().and_then(|address| address.parse().ok());
        Self {
            child,
            log,
            grpc: address("grpc").unwrap_or(SocketAddr::from(([0, 0, 0, 0], 0))),
            http: address("http"),
            metrics: address("metrics"),
            admin: address("admin"),
        }
    }

    /// Waits until every model serves.
    pub fn wait_ready(&self) {
        let ready = self.log.wait_for("ready");
        assert!(ready.is_some(), "does not get ready: {:#?}", self.log.lines());
    }

    /// The names of its threads, cut at 15 bytes as Linux keeps them.
    #[cfg(target_os = "linux")]
    pub fn threads(&self) -> Vec<String> {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).expect("it runs");
        let names = tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
        names.map(|name| name.trim_end().to_owned()).collect()
    }

    /// The names of the threads that run models: those of instances, and any that ONNX Runtime started, which have no
    /// name of ours.
    #[cfg(target_os = "linux")]
    pub fn model_threads(&self) -> Vec<String> {
        let ours = [
            "tokio-",
            "tandem",
            "log",
            "signals",
            "preprocess-",
            "run-watch",
            "lifecycle",
            "model-load",
            "connections-",
        ];
        let mut threads = self.threads();
        threads.retain(|name| !ours.iter().any(|ours| name.starts_with(ours)));
        threads.sort();
        threads
    }

    /// The address of the HTTP gateway.
    pub fn http(&self) -> SocketAddr {
        self.http.expect("the gateway is on")
    }

    /// A connection to gRPC.
    pub fn channel(&self, runtime: &Runtime) -> Channel {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.grpc)).expect("a URL");
        wait(runtime, endpoint.connect()).expect("a connection")
    }

    /// Sends it a signal.
    pub fn signal(&self, name: &str) {
        signal(name, self.child.id());
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for its end: its exit code and all that it wrote.
    pub fn wait_exit(mut self) -> (Option<i32>, Vec<String>) {
        assert!(self.log.wait_closed(), "does not end: {:#?}", self.log.lines());
        let status = self.child.wait().expect("the outcome of a child");
        (status.code(), self.log.lines())
    }

    /// The first line of the log with that message, from now or before.
    pub fn logged(&self, message: &str) -> Value {
        self.logged_where(message, |_| true)
    }

    /// The first such line that `is_it` picks.
    pub fn logged_where(&self, message: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        self.log
            .wait_where(|line| line["message"] == message && is_it(line))
            .unwrap_or_else(|| panic!("no such line says {message}: {:#?}", self.log.lines()))
    }
}

impl Drop for RunningServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The flags of a server whose ports the system chooses.
pub fn free_ports() -> [&'static str; 6] {
    [
        "--grpc-addr",
        "127.0.0.1:0",
        "--http-addr",
        "127.0.0.1:0",
        "--log-format",
        "json",
    ]
}

#[derive(Default)]
struct Lines {
    lines: Vec<String>,
    closed: bool,
}

/// What a program writes on standard error, line by line, as it comes.
#[derive(Clone, Default)]
struct Log(Arc<(Mutex<Lines>, Condvar)>);

impl Log {
    fn read(stderr: impl std::io::Read + Send + 'static) -> Self {
        let log = Self::default();
        let writer = log.clone();
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                writer.change(|state| state.lines.push(line));
            }
            writer.change(|state| state.closed = true);
        });
        log
    }

    fn change(&self, change: impl FnOnce(&mut Lines)) {
        change(&mut self.0.0.lock().expect("nothing panics with this lock"));
        self.0.1.notify_all();
    }

    fn lines(&self) -> Vec<String> {
        self.0.0.lock().expect("nothing panics with this lock").lines.clone()
    }

    fn wait_until(&self, mut done: impl FnMut(&Lines) -> bool) {
        let state = self.0.0.lock().expect("nothing panics with this lock");
        let waited = self
            .0
            .1
            .wait_timeout_while(state, LIMIT, |state| !done(state) && !state.closed);
        drop(waited.expect("nothing panics with this lock"));
    }

    /// The first line with that message; nothing if the program ends without one.
    fn wait_for(&self, message: &str) -> Option<Value> {
        self.wait_where(|line| line["message"] == message)
    }

    fn wait_where(&self, is_it: impl Fn(&Value) -> bool) -> Option<Value> {
        let mut found = None;
        self.wait_until(|state| {
            let mut lines = state.lines.iter().filter_map(|line| serde_json::from_str(line).ok());
            found = lines.find(|line: &Value| is_it(line));
            found.is_some()
        });
        found
    }

    fn wait_closed(&self) -> bool {
        self.wait_until(|state| state.closed);
        self.0.0.lock().expect("nothing panics with this lock").closed
    }
}
