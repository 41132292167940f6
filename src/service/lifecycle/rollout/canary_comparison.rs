//! Texts that a canary answered, run on both it and the stable version: in the background, at bulk priority, and as many as a part
//! of one instance's time is enough for.

use crate::service::catalog::canary::CanaryWatch;
use crate::service::catalog::model_version::ModelVersion;
use crate::service::catalog::store::CatalogStore;
use crate::service::lifecycle::version_comparison::{Failed, compare, counted};

/// Compares for as long as it is awaited.
pub async fn compare_all(watch: &CanaryWatch, canary: &ModelVersion, catalog: &CatalogStore) {
    let Some(canary) = canary.serving() else { return };
    let mut copies = canary.mirror.open();
    while let Some(texts) = copies.recv().await {
        let stable = catalog.load().stable(&watch.model).and_then(|stable| stable.serving());
        let Some(stable) = stable else { continue };
        let compared = compare(&stable, &canary, texts).await;
        // A request was answered before it was copied: that it fails now is no other label.
        watch.compared(counted(&compared, &watch.bounds().comparison, Failed::Ignored));
    }
}
