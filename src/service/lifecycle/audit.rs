//! Runs the texts that a cascade's audit drew on its deep model: one request's after the other, as bulk work, which makes
//! way for all else.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use crate::model::agreement;
use crate::model::loaded::Model;
use crate::model::postprocess::Classification;
use crate::service::catalog::audit_queue::{AuditQueue, Audited};
use crate::service::catalog::kept::KeptTexts;
use crate::service::catalog::kept::text::{KeepReason, KeptAnswer, SeenText, says};
use crate::service::inference::outputs::classify;
use crate::service::messages::{ClientKey, Priority, SubmitOptions, Weight};
use crate::telemetry::cascade::CascadeMetrics;

/// How long the texts of one request may take, the wait for the deep model included. After that they are dropped.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Runs what comes out of the queue, until `end`.
pub async fn follow(queue: AuditQueue, kept: Option<Arc<KeptTexts>>, metrics: CascadeMetrics, end: CancellationToken) {
    let Some(mut waiting) = queue.take() else { return };
    loop {
        let next = tokio::select! {
            next = waiting.recv() => next,
            () = end.cancelled() => return,
        };
        // Never: the queue is held here.
        let Some(next) = next else { return };
        tokio::select! {
            () = run(&next.audited, kept.as_deref(), &metrics) => {}
            () = end.cancelled() => return,
        }
    }
}

async fn run(audited: &Audited, kept: Option<&KeptTexts>, metrics: &CascadeMetrics) {
    let (task, setup) = (audited.task.as_str(), &audited.setup);
    let Some(mut ran) = answered_otherwise(audited, kept).await else {
        // All of them are dropped: those that were escalated alone would be no fair draw.
        return metrics.audit_dropped(task, audited.differs.len());
    };
    let differs = audited.differs.iter().map(|known| known.or_else(|| ran.next()));
    let differs: Vec<bool> = differs.flatten().collect();
    let count = differs.iter().filter(|differs| **differs).count();
    let agree = differs.len() - count;
    let (found, raised) = audited.watch.audit.add(setup, differs);
    metrics.audited(task, [count, agree], found.evidence, found.alarm);
    if let Some(remark) = found.remark(task).filter(|_| raised) {
        tracing::warn!(task, texts = found.texts, differ = found.differ, "{remark}");
    }
}

/// Runs the texts that the fast model answered, and gives for each whether the deep model says something else; keeps those
/// where it does. `None` if it can't answer them.
async fn answered_otherwise(audited: &Audited, kept: Option<&KeptTexts>) -> Option<std::vec::IntoIter<bool>> {
    let (setup, deep) = (&audited.setup, &audited.deep);
    if audited.says.is_empty() {
        return Some(Vec::new().into_iter());
    }
    let options = SubmitOptions {
        deadline: Instant::now() + TIMEOUT,
        priority: Priority::Bulk,
        client: ClientKey::default(),
        weight: Weight::default(),
    };
    let head = deep.of_task(&audited.task)?;
    let outputs = deep.run_unseen(audited.texts.clone(), options).await.ok()?;
    let pairs = outputs.rows.iter().zip(&audited.says).enumerate();
    let differs = pairs.map(|(at, (row, fast))| {
        let says = classify(head, &row.output.values, Some(setup.temperatures[1])).ok()?;
        let differs = !agreement::is_same(&says, fast, &setup.fast_of_deep);
        if let Some(kept) = kept.filter(|_| differs) {
            keep(kept, audited, at, (head, &says));
        }
        Some(differs)
    });
    let differs: Option<Vec<bool>> = differs.collect();
    differs.map(Vec::into_iter)
}

/// Keeps a text of which the deep model says something else.
fn keep(kept: &KeptTexts, audited: &Audited, at: usize, (deep, deep_says): (&Model, &Classification)) {
    let seen = SeenText {
        task: &audited.task,
        text: &audited.texts.texts[at],
        pair: audited.texts.pair(at),
    };
    let told = || {
        let answer = KeptAnswer::of(&audited.fast, &audited.says[at], false);
        (answer, Some(says(&deep.manifest.labels, deep_says)))
    };
    kept.keep(seen, KeepReason::Differed.into(), told);
}
