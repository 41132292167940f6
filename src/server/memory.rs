//! Gives memory back to the system when a flood has passed: what was freed is kept by the allocator otherwise, in pieces too small
//! for it to let go by itself.

use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::api::body_budget::BodyBudget;
use crate::service::Service;

/// How long after the end of a flood: what belongs to it is freed by then.
const AFTER: Duration = Duration::from_secs(1);

/// The least between two times: each takes the allocator's locks for a moment.
const REST: Duration = Duration::from_secs(3);

/// Waits for ends of floods until the drain: of bodies, which the doors count, or of connections, which `ebb` tells.
pub async fn watch(bodies: BodyBudget, ebb: std::sync::Arc<Notify>, drain: CancellationToken) {
    let forever = async {
        loop {
            tokio::select! {
                () = bodies.until_ebb() => {}
                () = ebb.notified() => {}
            }
            tokio::time::sleep(AFTER).await;
            let given = tokio::task::spawn_blocking(Service::give_memory_back);
            if given.await.is_err() {
                tracing::warn!("memory could not be given back");
            }
            tokio::time::sleep(REST).await;
        }
    };
    tokio::select! {
        () = forever => {}
        () = drain.cancelled() => {}
    }
}
