//! Examining a model that failed on callers' texts: it runs texts of the server's own. If it fails those, it is broken; if not, the
//! texts were at fault, and nobody else should go without answers for them.
//!
//! One examination of a version at a time, with a rest after each, and with a time limit. No text of a caller is kept.

use std::time::{Duration, Instant};

use crate::error::Reason;
use crate::model::manifest::Truncation;
use crate::service::catalog::circuit_breaker::Finding;
use crate::service::catalog::health::Health;
use crate::service::catalog::model_version::ModelVersion;
use crate::service::inference::loaded_model::LoadedModel;
use crate::service::inference::texts::TextSubset;
use crate::service::messages::{ClientKey, Priority, SubmitOptions, Weight};
use crate::telemetry::metrics::Metrics;

/// How long an examination may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Examines a version that had a burst of failures, and turns it out for a while if it is broken. The examination was begun with its
/// circuit breaker.
pub async fn examine_after_failures(version: &ModelVersion, health: &Health, metrics: &Metrics) {
    let texts = version
        .model()
        .map(|model| model.own_texts().to_vec())
        .unwrap_or_default();
    let finding = examine(version, &texts, metrics).await;
    // An examination may take longer than the rest after it, or than the pause: both begin when it ends.
    let turned_out = version.breaker.found(finding, Instant::now());
    let (model, version) = (version.name(), version.version());
    if let Some(pause) = turned_out {
        tracing::error!(
            model,
            version,
            ?pause,
            "the model fails, on texts of our own too: health says NOT_SERVING"
        );
        health.tell();
    } else {
        let finding = finding.name();
        tracing::warn!(
            model,
            version,
            finding,
            "the model failed on callers' texts and was examined on texts of our own: it serves on"
        );
    }
}

/// Asks a version some texts that it should answer.
pub async fn examine(version: &ModelVersion, texts: &[String], metrics: &Metrics) -> Finding {
    let finding = match version.serving() {
        Some(loaded) => {
            let asked = tokio::time::timeout(PATIENCE, ask(&loaded, texts));
            asked.await.unwrap_or(Finding::Unknown)
        }
        None => Finding::Unknown,
    };
    metrics.versions().examined(version.name(), finding.name());
    finding
}

/// Asks all of it once for each instance, one after the other: an idle instance that waited longest takes the next.
async fn ask(loaded: &LoadedModel, texts: &[String]) -> Finding {
    if texts.is_empty() {
        return Finding::Unknown;
    }
    for _ in 0..loaded.scheduler.instances() {
        let options = SubmitOptions {
            deadline: Instant::now() + PATIENCE,
            priority: Priority::Interactive,
            client: ClientKey::default(),
            weight: Weight::default(),
        };
        let subset = TextSubset::all(texts.to_vec(), Vec::new(), Some(Truncation::End));
        let rows = match loaded.run_unseen(subset, options).await {
            Ok(outputs) => outputs.rows,
            Err(error) if error.reason == Reason::InferenceFailed => return Finding::Broken,
            Err(_) => return Finding::Unknown,
        };
        let is_answer = |values: &Vec<f32>| loaded.model.postprocess(values, None).is_ok();
        if !rows.iter().all(|row| is_answer(&row.output.values)) {
            return Finding::Broken;
        }
    }
    Finding::Sound
}
