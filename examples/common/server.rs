//! A server in a process of its own, on ports of this machine alone. It ends with its handle.

// Each example uses a part of this.
#![allow(dead_code)]

use std::error::Error;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tandem::api::pb::prediction_service_client::PredictionServiceClient;
use tonic::transport::{Channel, Endpoint};

/// A client of the server.
pub type Client = PredictionServiceClient<Channel>;

/// A server that runs.
pub struct Server {
    child: Child,
    grpc: String,
    http: String,
    /// The file of its settings.
    _settings: tempfile::NamedTempFile,
}

impl Server {
    /// Starts a server of the models in a folder, with further settings, and waits until it is ready.
    pub fn start(program: &Path, models: &Path, settings: &str) -> Result<Self, Box<dyn Error>> {
        let mut file = tempfile::Builder::new().suffix(".toml").tempfile()?;
        let models = toml::Value::from(models.canonicalize()?.display().to_string());
        writeln!(
            file,
            "models = {models}\ngrpc_addr = \"127.0.0.1:0\"\nhttp_addr = \"127.0.0.1:0\"\nlog_format = \"json\"\n\
             log_filter = \"warn,tandem::cli::serve=info\"\n{settings}"
        )?;
        let mut command = Command::new(program);
        command.arg("serve").arg("--config").arg(file.path());
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut child = command
            .spawn()
            .map_err(|error| format!("{}: {error}; `cargo build --release` makes it", program.display()))?;
        let stderr = child.stderr.take().expect("it was asked for as a pipe");
        let mut server = Self {
            child,
            grpc: String::new(),
            http: String::new(),
            _settings: file,
        };
        let mut lines = BufReader::new(stderr).lines();
        let mut last = String::new();
        for line in lines.by_ref() {
            let line = line?;
            let entry: Value = serde_json::from_str(&line).unwrap_or_default();
            match entry["message"].as_str() {
                Some("listening") => {
                    server.grpc = entry["grpc"].as_str().unwrap_or_default().to_owned();
                    server.http = entry["http"].as_str().unwrap_or_default().to_owned();
                }
                Some("ready") => {
                    // A log that nobody reads would stop the server.
                    std::thread::spawn(move || lines.for_each(drop));
                    return Ok(server);
                }
                _ => last = line,
            }
        }
        Err(format!("the server ended before it was ready: {last}").into())
    }

    /// A connection to it.
    pub async fn client(&self) -> Result<Client, Box<dyn Error>> {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.grpc))?.tcp_nodelay(true);
        Ok(Client::new(endpoint.connect().await?))
    }

    /// A metric that has one value for each task, of the only task; 0 if it is not there.
    pub fn metric(&self, name: &str) -> Result<f64, Box<dyn Error>> {
        let mut stream = TcpStream::connect(&self.http)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        write!(
            stream,
            "GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let line = answer.lines().find(|line| line.starts_with(name));
        Ok(line
            .and_then(|line| line.rsplit(' ').next()?.parse().ok())
            .unwrap_or_default())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
