//! When the model repository is looked at again: at SIGHUP, and by time where that is asked for.

use std::time::Instant;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::security::told;
use crate::service::Service;
use crate::timer::sleep_until;

/// Has new versions looked for until `end`. What becomes of them is the service's to tell.
pub async fn watch(service: Service, mut hang_up: watch::Receiver<u64>, end: CancellationToken) {
    let interval = service.settings().models_poll_interval.0;
    loop {
        let by_time = (!interval.is_zero()).then(|| Instant::now() + interval);
        tokio::select! {
            () = sleep_until(by_time) => service.look_for_versions(),
            () = told(&mut hang_up) => {
                tracing::info!("told to look for new versions of models");
                tokio::select! {
                    _ = service.reload() => {}
                    () = end.cancelled() => return,
                }
            }
            () = end.cancelled() => return,
        }
    }
}
