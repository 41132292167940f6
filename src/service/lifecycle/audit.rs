//! Runs the texts that a cascade's audit drew on its deep model: one request's after the other, as bulk work, which makes
//! way for all else.

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use crate::model::agreement;
use crate::service::catalog::audit_queue::{AuditQueue, Audited};
use crate::service::messages::{ClientKey, Priority, SubmitOptions, Weight};
use crate::telemetry::cascade::CascadeMetrics;

/// How long the texts of one request may take, the wait for the deep model included. After that they are dropped.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Runs what comes out of the queue, until `end`.
pub async fn follow(queue: AuditQueue, metrics: CascadeMetrics, end: CancellationToken) {
    let Some(mut waiting) = queue.take() else { return };
    loop {
        let next = tokio::select! {
            next = waiting.recv() => next,
            () = end.cancelled() => return,
        };
        // Never: the queue is held here.
        let Some(next) = next else { return };
        tokio::select! {
            () = run(&next.audited, &metrics) => {}
            () = end.cancelled() => return,
        }
    }
}

async fn run(audited: &Audited, metrics: &CascadeMetrics) {
    let (task, setup) = (audited.task.as_str(), &audited.setup);
    let drawn = audited.says.len() + audited.escalated.iter().sum::<usize>();
    let [mut differ, mut agree] = audited.escalated;
    if !audited.says.is_empty() {
        let options = SubmitOptions {
            deadline: Instant::now() + TIMEOUT,
            priority: Priority::Bulk,
            client: ClientKey::default(),
            weight: Weight::default(),
        };
        let outputs = audited.deep.run_unseen(audited.texts.clone(), options).await;
        let rows = outputs
            .as_ref()
            .map(|outputs| outputs.rows.as_slice())
            .unwrap_or_default();
        let deep: Result<Vec<_>, _> = rows
            .iter()
            .map(|row| audited.deep.classify(&row.output.values, Some(setup.temperatures[1])))
            .collect();
        match deep {
            Ok(deep) if deep.len() == audited.says.len() => {
                for (deep, fast) in deep.iter().zip(&audited.says) {
                    if agreement::is_same(deep, fast, &setup.fast_of_deep) {
                        agree += 1;
                    } else {
                        differ += 1;
                    }
                }
            }
            // All of them are dropped: those that were escalated alone would be no fair draw.
            _ => return metrics.audit_dropped(task, drawn),
        }
    }
    let (found, raised) = audited.watch.audit.add(setup, differ, agree);
    metrics.audited(task, [differ, agree], found.evidence, found.alarm);
    if let Some(remark) = found.remark(task).filter(|_| raised) {
        tracing::warn!(task, texts = found.texts, differ = found.differ, "{remark}");
    }
}
