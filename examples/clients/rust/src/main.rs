//! Asks for the labels of texts: `cargo run -- localhost:50051 TEXT…`
//!
//! What tonic leaves to its callers is here: the deadline, retries that keep the server's pause, turns between all addresses
//! of the name, and the details of an error.

use std::time::{Duration, Instant};

use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};
use tonic_types::StatusExt;

#[allow(dead_code, clippy::all, clippy::pedantic, reason = "generated: build.rs")]
pub mod pb {
    include!(concat!(env!("OUT_DIR"), "/client/tandem.v1.rs"));
}
use pb::prediction_service_client::PredictionServiceClient;
use pb::{PredictRequest, PredictResponse, Route};

const DEADLINE: Duration = Duration::from_secs(10);
const ATTEMPTS: u32 = 4;

/// A channel that gives every address of the name its turn. It resolves the name once: where addresses change, put new ones
/// in by `Channel::balance_channel`.
pub async fn connect(address: &str) -> Result<Channel, Box<dyn std::error::Error>> {
    let mut endpoints = Vec::new();
    for found in tokio::net::lookup_host(address).await? {
        let endpoint = Endpoint::from_shared(format!("http://{found}"))?
            .connect_timeout(Duration::from_secs(2))
            // Notices a connection that died under a call; the server allows these pings.
            .http2_keep_alive_interval(Duration::from_mins(1));
        endpoints.push(endpoint);
    }
    Ok(Channel::balance_list(endpoints.into_iter()))
}

/// How long to wait before the next try; nothing where there is no use in one.
fn pause_after(status: &Status, attempt: u32) -> Option<Duration> {
    let told = status.get_details_retry_info().and_then(|info| info.retry_delay);
    match status.code() {
        // Without a pause the message is too large, and will be again.
        Code::ResourceExhausted => told,
        Code::Unavailable => Some(told.unwrap_or(Duration::from_millis(100) * 2_u32.pow(attempt))),
        _ => None,
    }
}

pub async fn predict(channel: &Channel, asked: &PredictRequest) -> Result<PredictResponse, Status> {
    let end = Instant::now() + DEADLINE;
    let mut client = PredictionServiceClient::new(channel.clone());
    for attempt in 0.. {
        let mut request = Request::new(asked.clone());
        // What is left of it travels to the server, which stops its work when it has passed.
        request.set_timeout(end.saturating_duration_since(Instant::now()));
        let status = match client.predict(request).await {
            Ok(answer) => return Ok(answer.into_inner()),
            Err(status) => status,
        };
        match pause_after(&status, attempt) {
            Some(pause) if attempt + 1 < ATTEMPTS && Instant::now() + pause < end => tokio::time::sleep(pause).await,
            _ => return Err(status),
        }
    }
    unreachable!("the last attempt returns")
}

/// Code, reason and fields, each on a line: programs branch on the reason.
pub fn explain(status: &Status) -> String {
    let mut lines = vec![format!("{:?}: {}", status.code(), status.message())];
    if let Some(info) = status.get_details_error_info() {
        lines.push(format!("reason: {}", info.reason));
    }
    if let Some(request) = status.get_details_bad_request() {
        for violation in request.field_violations {
            lines.push(format!("field {}: {}", violation.field, violation.description));
        }
    }
    lines.join("\n")
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().ok_or("usage: tandem-client-example HOST:PORT TEXT…")?;
    let request = PredictRequest {
        texts: arguments.collect(),
        route: Route::Fast.into(),
        ..PredictRequest::default()
    };
    let channel = connect(&address).await?;
    match predict(&channel, &request).await {
        Ok(answer) => {
            for (prediction, text) in answer.predictions.iter().zip(&request.texts) {
                println!("{}\t{:.3}\t{text}", prediction.label, prediction.confidence);
            }
            Ok(())
        }
        Err(status) => {
            eprintln!("{}", explain(&status));
            std::process::exit(1);
        }
    }
}
