//! Probes of the server: does it still answer health checks under load, and is anything left in its queues afterwards?

use std::time::{Duration, Instant};

use serde::Serialize;

use super::load::Client;
use super::recorder::{Latencies, LatencySummary};
use crate::api::grpc::health::pb::HealthCheckRequest;
use crate::api::grpc::health::pb::health_client::HealthClient;
use crate::api::pb;
use crate::cli::client::{Server, describe};

/// The time between two health checks.
const INTERVAL: Duration = Duration::from_millis(10);
/// How long the queues may take to empty after the load.
const DRY_LIMIT: Duration = Duration::from_secs(10);

/// The texts that the server still holds after the load.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Leftover {
    pub queued_texts: i64,
}

/// Runs `load` and asks for health all the while, on a connection of its own. Returns the load's result and the
/// latencies of the checks.
pub async fn beside<T>(server: &Server, load: impl Future<Output = T>) -> Result<(T, Option<LatencySummary>), String> {
    let mut client = HealthClient::new(server.connect().await?);
    let mut latencies = Latencies::default();
    let mut tick = tokio::time::interval(INTERVAL);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let ask = async {
        loop {
            tick.tick().await;
            let asked = Instant::now();
            if let Err(status) = client.check(HealthCheckRequest::default()).await {
                return describe(&status);
            }
            latencies.record(asked.elapsed());
        }
    };
    let outcome = tokio::select! {
        outcome = load => Ok(outcome),
        problem = ask => Err(format!("health: {problem}")),
    };
    outcome.map(|outcome| (outcome, latencies.summary()))
}

/// Waits a while until no text is queued; returns how many still are.
pub async fn leftover(client: &Client) -> Result<Leftover, String> {
    let asked = Instant::now();
    loop {
        let health = client.clone().health(pb::HealthRequest {}).await;
        let health = health.map_err(|status| describe(&status))?.into_inner();
        let queued_texts = health
            .models
            .iter()
            .map(|model| i64::from(model.queued_text_count))
            .sum();
        if queued_texts == 0 || asked.elapsed() > DRY_LIMIT {
            return Ok(Leftover { queued_texts });
        }
        tokio::time::sleep(INTERVAL).await;
    }
}
