//! Returns RAM to the system after a flood. Otherwise the allocator keeps what was freed, in pieces too small for it to
//! return by itself.

use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::api::body_budget::BodyBudget;
use crate::service::Service;

/// How long after the end of a flood: by then, what it took is freed.
const AFTER: Duration = Duration::from_secs(1);

/// The shortest time between two returns: each holds the allocator's locks for a moment.
const REST: Duration = Duration::from_secs(3);

/// Waits for the ends of floods until the drain: of bodies, which the doors count, and of connections, which `flood_ended`
/// reports.
pub async fn watch(bodies: BodyBudget, flood_ended: std::sync::Arc<Notify>, drain: CancellationToken) {
    let forever = async {
        loop {
            tokio::select! {
                () = bodies.until_flood_ends() => {}
                () = flood_ended.notified() => {}
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
