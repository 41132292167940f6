//! Examining a model that failed on callers' texts: it runs texts of our own. If it fails those, it is broken; if not, the
//! texts were at fault, and nobody else should go without answers for them.
//!
//! One examination of a version at a time, with a rest after each, and with a time limit. No text of a caller is kept.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Service;
use super::slot::{ModelState, Serving, Slot};
use super::tier::Chosen;
use super::types::{ClientKey, ModelRef, Priority, Terms, Weight};
use crate::error::Reason;
use crate::model::manifest::Truncation;

/// How long an examination may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// What an examination found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// It answered.
    Sound,
    /// It failed.
    Broken,
    /// It had no room or no time, or there is no text that it should answer.
    Unknown,
}

impl Finding {
    /// The name in metrics and logs.
    pub fn name(self) -> &'static str {
        match self {
            Finding::Sound => "sound",
            Finding::Broken => "broken",
            Finding::Unknown => "unknown",
        }
    }
}

impl Service {
    /// Examines a version that had a burst of failures; turns it out if it is broken. Ends by itself.
    pub(super) fn examine(&self, slot: Arc<Slot>) {
        let service = self.clone();
        let examination = async move {
            let texts = match &*slot.state() {
                ModelState::Serving(serving) => serving.model.own_texts().to_vec(),
                ModelState::Loading | ModelState::Failed(_) => Vec::new(),
            };
            let finding = service.examined(&slot, &texts).await;
            // An examination may take longer than the rest after it, or than the pause: both begin when it ends.
            service.found(&slot, finding, Instant::now());
        };
        // Every request comes from within a runtime.
        tokio::spawn(examination);
    }

    /// Asks a version some texts that it should answer.
    pub(super) async fn examined(&self, slot: &Slot, texts: &[String]) -> Finding {
        let finding = match &*slot.state() {
            ModelState::Serving(serving) => {
                let asked = tokio::time::timeout(PATIENCE, ask(serving, texts));
                asked.await.unwrap_or(Finding::Unknown)
            }
            ModelState::Loading | ModelState::Failed(_) => Finding::Unknown,
        };
        let name = &slot.verified.manifest.name;
        self.metrics().versions().examined(name, finding.name());
        finding
    }

    /// Turns a version out for a while that is broken.
    fn found(&self, slot: &Slot, finding: Finding, now: Instant) {
        let turned_out = slot.found(finding, now);
        let ModelRef { name, version, .. } = slot.model_ref();
        match turned_out {
            Some(pause) => {
                tracing::error!(
                    model = name,
                    version,
                    ?pause,
                    "the model fails, on texts of our own too: health says NOT_SERVING"
                );
                self.tell_health();
            }
            None => tracing::warn!(
                model = name,
                version,
                finding = finding.name(),
                "the model failed on callers' texts and was examined on texts of our own: it serves on"
            ),
        }
    }
}

/// Asks all of it once for each instance, one after the other: an idle instance that waited longest takes the next.
async fn ask(serving: &Serving, texts: &[String]) -> Finding {
    if texts.is_empty() {
        return Finding::Unknown;
    }
    for _ in 0..serving.scheduler.instances() {
        let terms = Terms {
            deadline: Instant::now() + PATIENCE,
            priority: Priority::Interactive,
            client: ClientKey::default(),
            weight: Weight::default(),
        };
        let chosen = Chosen::all(texts.to_vec(), Vec::new(), Some(Truncation::End));
        let answered = serving.run_unseen(chosen, terms).await;
        let rows = match answered {
            Ok(answered) => answered.rows,
            Err(error) if error.reason == Reason::InferenceFailed => return Finding::Broken,
            Err(_) => return Finding::Unknown,
        };
        let is_answer = |values: &Vec<f32>| serving.model.postprocess(values, None).is_ok();
        if !rows.iter().all(|row| is_answer(&row.output.values)) {
            return Finding::Broken;
        }
    }
    Finding::Sound
}
