//! Shadow: a candidate also runs copies of live requests, and its answers are compared. Callers get the serving
//! version's answers, and never wait for the comparison.

use std::sync::Arc;

use crate::service::catalog::canary::verdict::{Compared, ComparisonBounds};
use crate::service::catalog::model_version::ModelVersion;
use crate::service::catalog::refusal::{Refusal, Stage};
use crate::service::inference::loaded_model::LoadedModel;
use crate::service::inference::mirror::Copies;
use crate::service::lifecycle::candidate::Candidate;
use crate::service::lifecycle::owner::Owner;
use crate::service::lifecycle::version_comparison::{Failed, compare, counted};

/// Runs copies of requests on a candidate until enough texts are compared, or the time is over; then judges it. Does
/// nothing where shadows are off, or where the candidate replaces no version. Blocks.
pub fn try_beside(owner: &mut Owner, candidate: &Candidate) -> Result<(), Refusal> {
    let old = candidate.replaces.as_deref().and_then(ModelVersion::loaded);
    let (Some(old), Some(new)) = (old, candidate.version.loaded()) else {
        return Ok(());
    };
    let settings = &owner.settings;
    if settings.shadow_texts == 0 {
        return Ok(());
    }
    let bounds = ComparisonBounds {
        max_disagreement: settings.shadow_max_disagreement,
        max_slowdown: settings.shadow_max_slowdown,
    };
    let copies = old.mirror.open();
    let runtime = Arc::clone(&owner.runtime);
    let compared = runtime.block_on(async {
        let mut compared = Compared::default();
        let until = tokio::time::Instant::now() + settings.shadow_time.0;
        let comparing = compare_all(&mut compared, &old, &new, copies, settings.shadow_texts, &bounds);
        tokio::select! {
            () = comparing => {}
            () = tokio::time::sleep_until(until) => {}
            () = owner.loader.until_stopping() => {}
        }
        compared
    });
    tracing::info!(
        model = candidate.name,
        version = candidate.version.version(),
        texts = compared.texts,
        disagreement = compared.disagreement(),
        slowdown = compared.time_ratio(),
        "a version was tried beside the one that serves"
    );
    match compared.fault(&bounds, 1) {
        None => Ok(()),
        Some((_, why)) => Err(Refusal::new(Stage::Shadow, why)),
    }
}

/// Compares until `wanted` texts were compared.
async fn compare_all(
    compared: &mut Compared,
    old: &LoadedModel,
    new: &LoadedModel,
    mut copies: Copies,
    wanted: usize,
    bounds: &ComparisonBounds,
) {
    while compared.texts < wanted as u64 {
        let texts = copies.next().await;
        compared.add(counted(&compare(old, new, texts).await, bounds, Failed::Differs));
    }
}
