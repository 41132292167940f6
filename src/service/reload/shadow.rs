//! Trying a version beside the one that serves: copies of live requests are run on it too, and compared. Callers get the
//! answers of the version that serves, and wait for nothing.

use tokio::sync::mpsc;

use super::beside::{ComparedText, compare};
use super::fit::Candidate;
use super::outcome::{Refusal, Stage};
use crate::config::Settings;
use crate::service::Service;
use crate::service::slot::{ModelState, Serving};
use crate::service::tier::Chosen;

/// What was seen of both versions.
#[derive(Clone, Debug, Default)]
struct Comparison {
    texts: usize,
    differ: usize,
    /// By text: how many times as long as the old version the new one took.
    slowdowns: Vec<f64>,
}

impl Comparison {
    fn add(&mut self, text: ComparedText) {
        self.texts += 1;
        self.differ += usize::from(text.differs);
        if !text.expected.is_zero() {
            self.slowdowns.push(text.took.div_duration_f64(text.expected));
        }
    }

    fn disagreement(&self) -> f64 {
        self.differ as f64 / self.texts.max(1) as f64
    }

    /// How many times as long the middle text takes.
    fn slowdown(&self) -> f64 {
        let mut slowdowns = self.slowdowns.clone();
        slowdowns.sort_by(f64::total_cmp);
        slowdowns.get(slowdowns.len() / 2).copied().unwrap_or(1.0)
    }

    fn judge(&self, settings: &Settings) -> Result<(), Refusal> {
        let refuse = |problem| Err(Refusal::new(Stage::Shadow, problem));
        let (texts, disagreement, slowdown) = (self.texts, self.disagreement(), self.slowdown());
        let most = settings.shadow_max_disagreement;
        if disagreement > most {
            let share = 100.0 * disagreement;
            let most = 100.0 * most;
            return refuse(format!(
                "{share:.1}% of {texts} texts got another label, the most is {most:.1}%"
            ));
        }
        let most = settings.shadow_max_slowdown;
        if slowdown > most {
            return refuse(format!(
                "a text takes {slowdown:.2} times as long, by {texts} of them, the most is {most:.2}"
            ));
        }
        Ok(())
    }
}

impl Service {
    /// Runs copies of requests on a candidate until enough texts were compared, or the time is over; then judges. Nothing to
    /// do where it is off, or where no version serves yet. Blocks.
    pub(super) fn try_beside(
        &self,
        candidate: &Candidate,
        settings: &Settings,
        runtime: &tokio::runtime::Handle,
    ) -> Result<(), Refusal> {
        let old = candidate.replaces.as_ref().map(|slot| slot.state());
        let (Some(ModelState::Serving(old)), ModelState::Serving(new)) = (old.as_deref(), &*candidate.slot.state())
        else {
            return Ok(());
        };
        if settings.shadow_texts == 0 {
            return Ok(());
        }
        let copies = old.tap.open();
        let until = tokio::time::Instant::now() + settings.shadow_time.0;
        let compared = runtime.block_on(async {
            let mut compared = Comparison::default();
            let comparing = compare_all(&mut compared, old, new, copies, settings.shadow_texts);
            let mut health = self.watch_health();
            tokio::select! {
                () = comparing => {}
                () = tokio::time::sleep_until(until) => {}
                _ = health.wait_for(|draining| *draining) => {}
            }
            compared
        });
        old.tap.close();
        tracing::info!(
            model = candidate.name,
            version = candidate.slot.version(),
            texts = compared.texts,
            disagreement = compared.disagreement(),
            slowdown = compared.slowdown(),
            "a version was tried beside the one that serves"
        );
        compared.judge(settings)
    }
}

/// Runs copies until `wanted` texts were compared.
async fn compare_all(
    compared: &mut Comparison,
    old: &Serving,
    new: &Serving,
    mut copies: mpsc::Receiver<Chosen>,
    wanted: usize,
) {
    while compared.texts < wanted {
        let Some(chosen) = copies.recv().await else {
            return;
        };
        for text in compare(old, new, chosen).await {
            compared.add(text);
        }
    }
}
