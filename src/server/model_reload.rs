//! Model reload: when to look for new versions: at SIGHUP, and, if the settings say so, at intervals.

use std::time::Instant;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::reloads::next_hang_up;
use crate::service::Service;
use crate::timer::sleep_until;

/// Has the service look for new versions until `end`. The service logs what became of them; `heeded` is told of each SIGHUP
/// that was heeded.
pub async fn watch(
    service: Service,
    mut hang_up: watch::Receiver<u64>,
    heeded: watch::Sender<u64>,
    end: CancellationToken,
) {
    let interval = service.settings().models_poll_interval.0;
    loop {
        let by_time = (!interval.is_zero()).then(|| Instant::now() + interval);
        tokio::select! {
            () = sleep_until(by_time) => {
                tokio::select! {
                    () = service.look_for_versions() => {}
                    () = end.cancelled() => return,
                }
            }
            count = next_hang_up(&mut hang_up) => {
                tracing::info!("told to look for new versions of models");
                tokio::select! {
                    _ = service.reload() => drop(heeded.send_replace(count)),
                    () = end.cancelled() => return,
                }
            }
            () = end.cancelled() => return,
        }
    }
}
