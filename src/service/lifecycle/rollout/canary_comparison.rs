//! Canary comparison: texts that the canary answered run again on the canary and on the stable version: in the
//! background, at bulk priority, for a part of one instance's time.

use crate::service::catalog::canary::CanaryWatch;
use crate::service::catalog::model_version::ModelVersion;
use crate::service::catalog::store::CatalogStore;
use crate::service::lifecycle::version_comparison::{Failed, compare, counted};

/// Compares for as long as the future is polled.
pub async fn compare_all(watch: &CanaryWatch, canary: &ModelVersion, catalog: &CatalogStore) {
    let Some(canary) = canary.loaded() else { return };
    let mut copies = canary.mirror.open();
    loop {
        let texts = copies.next().await;
        let stable = catalog.load().stable(&watch.model).and_then(|stable| stable.loaded());
        let Some(stable) = stable else { continue };
        let compared = compare(&stable, &canary, texts).await;
        // The request was answered before it was copied, so a failure now does not mean that the labels differ.
        watch.compared(counted(&compared, &watch.bounds().comparison, Failed::Ignored));
    }
}
