//! A gRPC client for the commands that talk to a server.

use std::time::Duration;

use tonic::transport::{Channel, Endpoint};

/// How long to wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Connects to `address`, `host:port` or a URL. The error is one line.
pub async fn connect(address: &str) -> Result<Channel, String> {
    let url = if address.contains("://") {
        address.to_owned()
    } else {
        format!("http://{address}")
    };
    let endpoint = Endpoint::from_shared(url).map_err(|error| format!("{address}: {error}"))?;
    endpoint
        .connect_timeout(CONNECT_TIMEOUT)
        .connect()
        .await
        .map_err(|error| format!("{address}: {}", innermost(&error)))
}

/// A failed call, in one line.
pub fn describe(status: &tonic::Status) -> String {
    format!("{:?}: {}", status.code(), status.message())
}

fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}
