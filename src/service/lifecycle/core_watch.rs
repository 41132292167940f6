//! Follows the cores while the server serves: its control group's quota or its affinity may change at any time.
//!
//! Tells the models that serve how many there are; those decide what of them runs at once, and open their session for quiet
//! moments when they hear of it first. A version that is loaded
//! later opens its instances by the cores of that moment.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::load::SharedWorkers;
use super::owner::Handles;
use crate::cores;
use crate::service::catalog::model_version::ModelState;

/// How often the cores are counted. That takes some 50 µs, and reads files of the kernel that make nobody wait.
const INTERVAL: Duration = Duration::from_secs(2);

/// Tells all models how many cores there are, again and again, until `end`.
pub async fn follow(handles: Handles, workers: SharedWorkers, end: CancellationToken) {
    let mut before = cores::usable();
    loop {
        let cores = cores::usable();
        tell(&handles, &workers, cores);
        if cores != before {
            tracing::info!(cores, before, "the cores changed");
            before = cores;
        }
        tokio::select! {
            () = tokio::time::sleep(INTERVAL) => {}
            () = end.cancelled() => return,
        }
    }
}

/// Also where nothing changed, for the sake of versions that came since the last time.
fn tell(handles: &Handles, workers: &SharedWorkers, cores: usize) {
    let catalog = handles.catalog.load();
    // A session for quiet moments is opened when there are some: not while other models are still loaded and measured.
    let all_loaded = catalog
        .versions()
        .all(|version| !matches!(&*version.state(), ModelState::Loading));
    for loaded in catalog.versions().filter_map(|version| version.loaded()) {
        loaded.follow_cores(cores);
        if all_loaded {
            loaded.open_wide();
        }
    }
    workers.follow_cores(cores);
    handles.metrics.set_cores(cores);
}
