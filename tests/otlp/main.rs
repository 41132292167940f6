//! Spans and lines of the log that a server sends: what a collector gets, and that nobody waits for one. `cargo test --features otlp
//! --test otlp`.

#[expect(
    dead_code,
    unused_imports,
    reason = "the harness of tests/process, of which this needs a part"
)]
#[path = "../process/support/mod.rs"]
mod support;

mod calls;
mod collector;
mod log_lines;
mod sending;

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use tandem::api::pb;

use support::RunningServer;
use support::command::tandem;
use support::server::free_ports;

/// Stands for what people write.
pub const CANARY: &str = "kanarienvogel";
pub const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
pub const PARENT: &str = "00f067aa0ba902b7";

/// A sampled caller.
pub fn traceparent() -> String {
    format!("00-{TRACE}-{PARENT}-01")
}

/// A server of the shipped fast model with variables of OpenTelemetry, none of which it has from whoever runs the tests.
pub fn server(variables: &[(&str, &str)]) -> RunningServer {
    start(variables, |command| {
        command
            .arg("--fast")
            .arg(support::root().join("models/sentiment-fast/1"));
        // By batches, as any other model.
        command.args(["--default-route", "fast", "--fast-path", "onnx"]);
    })
}

/// The same with both models.
pub fn server_of_both(variables: &[(&str, &str)]) -> RunningServer {
    start(variables, |command| {
        command.arg("--models").arg(support::root().join("models"));
        command.args(["--deep-instances", "1", "--idle-threads", "1"]);
    })
}

/// The same with a configuration file.
pub fn server_by(file: &Path, variables: &[(&str, &str)]) -> RunningServer {
    start(variables, |command| {
        command
            .arg("--fast")
            .arg(support::root().join("models/sentiment-fast/1"));
        command.args(["--default-route", "fast"]).arg("--config").arg(file);
    })
}

fn start(variables: &[(&str, &str)], with: impl FnOnce(&mut Command)) -> RunningServer {
    let mut command = tandem();
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("OTEL_") {
            command.env_remove(&name);
        }
    }
    command.envs(variables.iter().copied());
    command.arg("serve").args(free_ports());
    with(&mut command);
    let server = RunningServer::spawn(command);
    server.wait_ready();
    server
}

/// The URL of an address.
pub fn url(address: SocketAddr) -> String {
    format!("http://{address}")
}

/// A request by that route.
pub fn request(route: pb::Route, texts: usize) -> pb::PredictRequest {
    pb::PredictRequest {
        texts: (0..texts).map(|at| format!("{CANARY} 영화 {at}")).collect(),
        route: route.into(),
        ..pb::PredictRequest::default()
    }
}

/// A call with that header of a caller's trace.
pub fn traced<T>(message: T, traceparent: &str) -> tonic::Request<T> {
    let mut call = tonic::Request::new(message);
    let value = traceparent.parse().expect("a value");
    call.metadata_mut().insert("traceparent", value);
    call
}
