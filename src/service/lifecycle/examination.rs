//! Examination of a version that failed on callers' texts: it runs the server's own texts. If it fails those, it is
//! broken. If not, the callers' texts were at fault, and nobody else should go without answers because of them.
//!
//! One examination of a version at a time, with a time limit, and a rest after each. No caller's text is kept.

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

/// The longest that an examination may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Examines a version that had a burst of failures, and takes it out for a while if it is broken. The examination was
/// begun with the version's circuit breaker.
pub async fn examine_after_failures(version: &ModelVersion, health: &Health, metrics: &Metrics) {
    let texts = version
        .model()
        .map(|model| model.own_texts().to_vec())
        .unwrap_or_default();
    let finding = examine(version, &texts, metrics).await;
    // The rest and the pause begin when the examination ends, since it may take longer than either.
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

/// Runs texts on a version that it should answer; says what it found.
pub async fn examine(version: &ModelVersion, texts: &[String], metrics: &Metrics) -> Finding {
    let finding = match version.loaded() {
        Some(loaded) => {
            let finding = tokio::time::timeout(PATIENCE, ask(&loaded, texts));
            finding.await.unwrap_or(Finding::Unknown)
        }
        None => Finding::Unknown,
    };
    metrics.versions().examined(version.name(), finding.name());
    finding
}

/// Runs the texts once for each instance, one round after the other: the instance that has been idle longest takes the
/// next batch.
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
