//! Load watch: measures the load again and again, for load reports. There is none where they are off.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use crate::api::orca::reports::LoadReports;
use crate::cores;
use crate::model::memory;
use crate::telemetry::load::{Bounds, LoadWindow};
use crate::telemetry::metrics::Metrics;

/// How often. It takes some 100 µs, most of them for files of the kernel that make nobody wait.
const INTERVAL: Duration = Duration::from_millis(500);

/// Publishes the load until `end`.
pub async fn watch(reports: Arc<LoadReports>, metrics: Metrics, queue_target: Duration, end: CancellationToken) {
    let mut window = LoadWindow::new(metrics.totals(Instant::now()));
    loop {
        tokio::select! {
            () = tokio::time::sleep(INTERVAL) => {}
            () = end.cancelled() => return,
        }
        let bounds = Bounds {
            cores: cores::usable(),
            memory: memory::of_cgroup().map(|usage| usage.used as f64 / usage.limit.max(1) as f64),
            queue_target,
        };
        reports.publish(&window.add(metrics.totals(Instant::now()), bounds));
    }
}
