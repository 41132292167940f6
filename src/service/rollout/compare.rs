//! Texts that a canary answered, run on both it and the stable version: in the background, at bulk priority, and as many as a part
//! of one instance's time is enough for.

use std::sync::Arc;

use super::judge::Compared;
use super::watch::CanaryWatch;
use crate::service::Service;
use crate::service::reload::beside::{self, ComparedText};
use crate::service::slot::ModelState;

/// Compares until the canary has ended, or the server drains.
pub async fn compare(service: Service, watch: Arc<CanaryWatch>) {
    let Some(canary) = service.catalog().version(&watch.model, &watch.version) else {
        return;
    };
    let state = canary.state();
    let ModelState::Serving(canary) = &*state else {
        return;
    };
    let mut copies = canary.tap.open();
    let mut health = service.watch_health();
    let comparing = async {
        while let Some(chosen) = copies.recv().await {
            let stable = service.catalog().slot(&watch.model).map(|slot| slot.state());
            let Some(ModelState::Serving(stable)) = stable.as_deref() else {
                continue;
            };
            let texts = beside::compare(stable, canary, chosen).await;
            let compared = Compared::of(&texts, service.settings().canary_max_slowdown);
            if let Some((fault, why)) = watch.note(|seen| seen.compared.add(compared)) {
                service.judge_canary(&watch, fault, why);
            }
            if watch.ended() {
                return;
            }
        }
    };
    tokio::select! {
        () = comparing => {}
        () = watch.over() => {}
        _ = health.wait_for(|draining| *draining) => {}
    }
    canary.tap.close();
}

impl Compared {
    fn of(texts: &[ComparedText], max_slowdown: f64) -> Self {
        let mut compared = Self::default();
        // A request was answered before it was copied: that it fails now is no other label.
        for text in texts.iter().filter(|text| !text.failed) {
            compared.texts += 1;
            compared.differing += u64::from(text.differs);
            compared.slower += u64::from(text.took > text.expected.mul_f64(max_slowdown));
            compared.canary_time += text.took;
            compared.stable_time += text.expected;
        }
        compared
    }

    fn add(&mut self, more: Self) {
        self.texts += more.texts;
        self.differing += more.differing;
        self.slower += more.slower;
        self.canary_time += more.canary_time;
        self.stable_time += more.stable_time;
    }
}
