//! Questions beside the load: does the server still answer health checks, and is anything left in its queues?

use std::time::{Duration, Instant};

use serde::Serialize;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use super::load::Client;
use super::recorder::{Latencies, LatencySummary};
use crate::api::pb;
use crate::cli::client::{Server, describe};

/// How often health is asked.
const INTERVAL: Duration = Duration::from_millis(10);
/// How long queues may take to run dry when no more is asked.
const DRY_LIMIT: Duration = Duration::from_secs(10);

/// Texts that the server still holds after the load.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Leftover {
    pub queued_texts: i64,
}

/// Runs `load` and asks for health all the while, on a connection of its own: the latencies, and what the load gave.
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

/// Waits until no text is queued, for a while, and tells how many still are.
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
