//! The processes that `tandem bench` starts and ends: a server, and references. Each is this very program.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::cli::config_args::ConfigArgs;
use crate::config::{Address, Options, Settings};

/// How long a child may take until it is ready.
const START_LIMIT: Duration = Duration::from_mins(2);

/// Start-up is told at this level; the rest of a server's log is for those who ask for it.
const ANNOUNCEMENTS: &str = "tandem::cli::serve=info";

/// A server in a process of its own, killed when this is dropped.
pub struct ServerChild {
    child: Child,
    /// Where it listens.
    pub grpc: SocketAddr,
    /// Holds what it keeps in a file, if the settings have one: a load is no traffic.
    _kept: Option<TempDir>,
}

impl ServerChild {
    /// Starts a server with the settings of `config` on ports that the system chooses; waits until its models serve.
    pub async fn start(config: &ConfigArgs, cpus: Option<&str>) -> Result<Self, String> {
        // What can't be resolved the child tells.
        let resolved = config.resolve().ok();
        let keeps = resolved.as_ref().is_some_and(|settings| settings.keep_file.is_some());
        let kept = keeps.then(tempfile::tempdir).transpose();
        let kept = kept.map_err(|error| format!("no folder for kept texts: {error}"))?;
        let mut command = program(cpus)?;
        command
            .arg("serve")
            .args(settings(config, resolved.as_ref(), kept.as_ref().map(TempDir::path)));
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut child = command
            .spawn()
            .map_err(|error| format!("can't start a server: {error}"))?;
        let stderr = child.stderr.take().expect("it was asked for as a pipe");
        let mut lines = BufReader::new(stderr).lines();
        let ready = tokio::time::timeout(START_LIMIT, until_ready(&mut lines)).await;
        let grpc = ready.map_err(|_| format!("the server was not ready within {START_LIMIT:?}"))??;
        // Ends with the server's last line. A log that nobody reads would stop the server.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Ok(Self {
            child,
            grpc,
            _kept: kept,
        })
    }

    /// Its process.
    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }
}

async fn until_ready<R: tokio::io::AsyncBufRead + Unpin>(lines: &mut Lines<R>) -> Result<SocketAddr, String> {
    let mut address = None;
    let mut last = String::new();
    while let Ok(Some(line)) = lines.next_line().await {
        let Ok(entry) = serde_json::from_str::<Value>(&line) else {
            // What it says of its arguments comes before its log, and is no JSON.
            last = line;
            continue;
        };
        match (entry["message"].as_str(), address) {
            // What it complains of on its way out.
            (Some(message), _) if entry["target"] == "tandem" => last = message.to_owned(),
            (Some("listening"), _) => address = entry["grpc"].as_str().and_then(|grpc| grpc.parse().ok()),
            (Some("ready"), Some(address)) => return Ok(address),
            _ => {}
        }
    }
    Err(format!(
        "the server ended before it was ready: {}",
        last.trim_start_matches("tandem: ")
    ))
}

/// The flags that give a server these settings, but for its ports, its log, and the folder of the file of kept texts.
fn settings(config: &ConfigArgs, resolved: Option<&Settings>, kept: Option<&Path>) -> Vec<String> {
    let filter = match &config.options.log_filter {
        Some(asked) => format!("{asked},{ANNOUNCEMENTS}"),
        None => format!("warn,{ANNOUNCEMENTS}"),
    };
    let shared = resolved.and_then(|settings| settings.shared_addr.clone());
    let any_port = Some(Address::Ip(([127, 0, 0, 1], 0).into()).into());
    let options = Options {
        // In place of the one for both, if the settings have it.
        shared_addr: shared.and(any_port.clone()),
        grpc_addr: any_port.clone(),
        http_addr: any_port,
        log_format: Some(crate::telemetry::logs::LogFormat::Json),
        log_filter: Some(filter),
        keep_file: kept.map(|folder| folder.join("kept.jsonl")),
        ..config.options.clone()
    };
    flags(config.config.as_deref(), &options)
}

/// The options as flags.
pub fn flags(file: Option<&Path>, options: &Options) -> Vec<String> {
    let table = toml::Table::try_from(options).expect("options are plain values with names");
    let mut flags: Vec<String> = file.iter().map(|file| format!("--config={}", file.display())).collect();
    flags.extend(table.iter().map(|(key, value)| {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        format!("--{}={value}", key.replace('_', "-"))
    }));
    flags
}

/// A reference in a process of its own: takes lines, answers with lines of JSON, ends with its input.
pub struct ReferenceChild {
    child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl ReferenceChild {
    /// Starts this program with `arguments`.
    pub fn start(arguments: &[String], cpus: Option<&str>) -> Result<Self, String> {
        let mut command = program(cpus)?;
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command
            .spawn()
            .map_err(|error| format!("can't start the reference: {error}"))?;
        let input = child.stdin.take().expect("it was asked for as a pipe");
        let output = child.stdout.take().expect("it was asked for as a pipe");
        Ok(Self {
            child,
            input,
            output: BufReader::new(output).lines(),
        })
    }

    /// Sends a line and waits for one.
    pub async fn ask(&mut self, line: &str) -> Result<Value, String> {
        let problem = |error: std::io::Error| format!("the reference ended: {error}");
        self.input.write_all(line.as_bytes()).await.map_err(problem)?;
        self.input.write_all(b"\n").await.map_err(problem)?;
        self.input.flush().await.map_err(problem)?;
        match self.output.next_line().await.map_err(problem)? {
            Some(answer) => serde_json::from_str(&answer).map_err(|error| format!("the reference said: {error}")),
            None => Err("the reference ended".into()),
        }
    }

    /// Its process.
    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }
}

/// This program, on some cores only if that is asked for. It is killed with its handle.
fn program(cpus: Option<&str>) -> Result<Command, String> {
    let path = std::env::current_exe().map_err(|error| format!("can't tell where this program is: {error}"))?;
    let mut command = match cpus {
        None => Command::new(path),
        Some(cpus) => {
            let mut command = Command::new("taskset");
            command.args(["--cpu-list", cpus]).arg(path);
            command
        }
    };
    command.kill_on_drop(true);
    Ok(command)
}
