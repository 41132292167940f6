//! A log that can't be written, or that nobody reads: the server serves on, counts what is lost, and ends when it is told to.

use std::io::{BufRead, BufReader, PipeReader, Read};
use std::net::SocketAddr;
use std::process::{Child, Stdio};
use std::sync::mpsc;
use std::thread;

use serde_json::Value;
use tandem::api::pb;
use tandem::api::pb::prediction_service_client::PredictionServiceClient;
use tonic::transport::Endpoint;

use crate::support::command::{curl_get, signal, tandem};
use crate::support::models::{FAST_ONLY, FastModelCopy};
use crate::support::{LIMIT, runtime, wait};

/// A server whose log is the test's affair; killed when this is dropped.
struct Server {
    child: Child,
    grpc: SocketAddr,
    http: SocketAddr,
    _models: FastModelCopy,
}

impl Server {
    /// One that writes all it can: libraries' lines too.
    fn start(stderr: impl Into<Stdio>, grpc: &str, http: &str) -> Self {
        let models = FastModelCopy::new();
        let mut command = tandem();
        command.args(["serve", "--log-format", "json", "--log-filter", "trace"]);
        command.args(["--grpc-addr", grpc, "--http-addr", http]);
        command.arg("--models").arg(models.repository()).args(FAST_ONLY);
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(stderr)
            .spawn();
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        Self {
            child: child.expect("the program under test"),
            grpc: grpc.parse().unwrap_or(nowhere),
            http: http.parse().unwrap_or(nowhere),
            _models: models,
        }
    }

    /// One whose log is read until it is ready, and no further.
    fn start_read() -> (Self, BufReader<PipeReader>) {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        let mut server = Self::start(writer, "127.0.0.1:0", "127.0.0.1:0");
        let mut reader = BufReader::new(reader);
        for line in reader.by_ref().lines() {
            let line: Value = serde_json::from_str(&line.expect("text")).expect("JSON");
            let address = |key: &str| line[key].as_str().and_then(|address| address.parse().ok());
            match line["message"].as_str() {
                Some("listening") => {
                    server.grpc = address("grpc").expect("an address");
                    server.http = address("http").expect("an address");
                }
                Some("ready") => return (server, reader),
                _ => {}
            }
        }
        panic!("it ends before it is ready");
    }

    /// Bad calls, each of which is worth many lines, then a good one.
    fn call(&self) {
        let runtime = runtime();
        let endpoint = Endpoint::from_shared(format!("http://{}", self.grpc)).expect("a URL");
        let mut client = PredictionServiceClient::new(wait(&runtime, endpoint.connect()).expect("a connection"));
        wait(&runtime, async {
            for _ in 0..2_000 {
                client
                    .predict(pb::PredictRequest::default())
                    .await
                    .expect_err("no texts");
            }
            let texts = vec!["영화".to_owned()];
            let good = pb::PredictRequest {
                texts,
                ..pb::PredictRequest::default()
            };
            client.predict(good).await.expect("an answer");
        });
        assert!(curl_get(self.http, "/readyz").contains("SERVING") || !curl_get(self.http, "/healthz").is_empty());
    }

    fn lost(&self) -> u64 {
        let metrics = curl_get(self.http, "/metrics");
        let value = metrics
            .lines()
            .find_map(|line| line.strip_prefix("tandem_log_lines_lost_total "));
        value
            .and_then(|value| value.parse().ok())
            .unwrap_or_else(|| panic!("no counter: {metrics}"))
    }

    /// Tells it to stop: its exit code.
    fn stop(mut self) -> Option<i32> {
        signal("TERM", self.child.id());
        self.exit()
    }

    fn exit(&mut self) -> Option<i32> {
        let (send, ended) = mpsc::channel();
        let pid = self.child.id();
        thread::scope(|scope| {
            scope.spawn(|| send.send(self.child.wait()));
            let status = ended.recv_timeout(LIMIT);
            if status.is_err() {
                signal("KILL", pid);
            }
            status.expect("it ends").expect("the outcome of a child").code()
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_pipe_that_nobody_reads_holds_up_no_call_no_metrics_and_no_end() {
    let (server, _unread) = Server::start_read();
    server.call();
    assert!(server.lost() > 0);
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn once_a_pipe_is_read_again_a_line_says_how_many_are_missing() {
    let (server, reader) = Server::start_read();
    server.call();
    let missing = reader.lines().find_map(|line| {
        let line: Value = serde_json::from_str(&line.expect("text")).expect("whole lines of JSON");
        line["message"]
            .as_str()?
            .starts_with("lines of the log are missing")
            .then(|| line["lines"].as_u64())
    });
    assert!(missing.flatten().is_some_and(|lines| lines > 0), "{missing:?}");
    // Nobody reads any more, and the pipe is closed.
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn a_pipe_whose_reader_has_gone_holds_up_nothing() {
    let (server, reader) = Server::start_read();
    drop(reader);
    server.call();
    assert!(server.lost() > 0);
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn a_full_disk_holds_up_nothing() {
    let full = std::fs::File::create("/dev/full").expect("the full device");
    // Nothing tells the ports that the system would choose.
    let free = || std::net::TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
    let (grpc, http) = (free().expect("a port").to_string(), free().expect("a port").to_string());
    let server = Server::start(full, &grpc, &http);
    let mut ready = std::process::Command::new("curl");
    ready.args([
        "--silent",
        "--fail",
        "--noproxy",
        "*",
        "--retry",
        "100",
        "--retry-all-errors",
        "--retry-delay",
        "1",
    ]);
    let ready = ready.arg(format!("http://{http}/readyz")).output().expect("curl");
    assert!(ready.status.success(), "{ready:?}");
    server.call();
    assert!(server.lost() > 0);
    assert_eq!(server.stop(), Some(0));
}
