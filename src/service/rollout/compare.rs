//! Texts that a canary answered, answered by the stable version too: in the background, at bulk priority, and as many as a part of
//! one instance's time is enough for. Callers wait for nothing. Texts are kept only until they have run; none is logged.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::judge::Compared;
use super::watch::CanaryWatch;
use crate::batching::{ClientKey, Priority, Terms, Weight};
use crate::service::Service;
use crate::service::reload::shadow::{Copied, Tap, seen};
use crate::service::slot::{ModelState, Serving};

/// The most requests that wait; more are left out.
const COPIES: usize = 16;
/// How much longer than it ran the comparison rests after each request.
const REST: u32 = 3;
/// How long a request may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Compares until the canary has ended, or the server drains.
pub async fn compare(service: Service, watch: Arc<CanaryWatch>) {
    let Some((tap, labels)) = tapped(&service, &watch) else {
        return;
    };
    let mut copies = tap.open(COPIES);
    let mut health = service.watch_health();
    let comparing = async {
        while let Some(copied) = copies.recv().await {
            let started = Instant::now();
            if let Some(compared) = answer_too(&service, &watch.model, &labels, copied).await {
                let fault = watch.note(|seen| seen.compared.add(compared));
                if let Some((fault, why)) = fault {
                    service.roll_back_canary(&watch, fault, why);
                    return;
                }
            }
            tokio::time::sleep(started.elapsed() * REST).await;
        }
    };
    tokio::select! {
        () = comparing => {}
        () = watch.over() => {}
        _ = health.wait_for(|draining| *draining) => {}
    }
    tap.close();
}

/// Where copies of the canary's requests come from, and its labels; nothing if it is gone already.
fn tapped(service: &Service, watch: &CanaryWatch) -> Option<(Tap, Vec<String>)> {
    let slot = service.catalog().version(&watch.model, &watch.version)?;
    match &*slot.state() {
        ModelState::Serving(serving) => Some((serving.tap.clone(), labels_of(serving).to_vec())),
        _ => None,
    }
}

/// Runs what the canary answered on the stable version; nothing where that has no room or no time.
async fn answer_too(service: &Service, model: &str, canary_labels: &[String], copied: Copied) -> Option<Compared> {
    let slot = service.catalog().slot(model)?;
    let state = slot.state();
    let ModelState::Serving(stable) = &*state else {
        return None;
    };
    let terms = Terms {
        deadline: Instant::now() + PATIENCE,
        priority: Priority::Bulk,
        client: ClientKey::default(),
        weight: Weight::default(),
    };
    let max_slowdown = service.settings().canary_max_slowdown;
    let rows = stable.run(copied.chosen, terms).await.ok()?;
    let mut compared = Compared::default();
    for (&(place, took), row) in copied.answers.iter().zip(&rows.rows) {
        let (other, stable_took) = seen(&row.output);
        let differs = canary_labels.get(place) != labels_of(stable).get(other);
        compared.add(Compared {
            texts: 1,
            differing: u64::from(differs),
            slower: u64::from(took.as_secs_f64() > max_slowdown * stable_took.as_secs_f64()),
            canary_time: took,
            stable_time: stable_took,
        });
    }
    Some(compared)
}

fn labels_of(serving: &Serving) -> &[String] {
    &serving.model.manifest.labels
}

impl Compared {
    fn add(&mut self, more: Self) {
        self.texts += more.texts;
        self.differing += more.differing;
        self.slower += more.slower;
        self.canary_time += more.canary_time;
        self.stable_time += more.stable_time;
    }
}
