//! Trying a version beside the one that serves: copies of live requests are run on it too, and compared. Callers get the
//! answers of the version that serves, and wait for nothing.
//!
//! Texts are kept only until they have run; none is logged.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use tokio::sync::mpsc;

use super::fit::Candidate;
use super::outcome::{Refusal, Stage};
use crate::batching::{ClientKey, Priority, RowOutput, Terms, Weight};
use crate::config::Settings;
use crate::error::Reason;
use crate::service::Service;
use crate::service::slot::{ModelState, Serving};
use crate::service::tier::Chosen;
use crate::telemetry::logs::millis;

/// The most copies that wait; more are dropped.
const COPIES: usize = 16;
/// How much longer than it worked the new version rests after each copy, since it shares the processors with what serves.
const REST: u32 = 3;
/// How long a copy may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where copies of a model's requests go while another version is tried beside it; most of the time nowhere.
#[derive(Clone, Default)]
pub struct Tap {
    to: Arc<ArcSwapOption<mpsc::Sender<Copied>>>,
}

/// A request, with what the version that serves made of it.
pub struct Copied {
    /// Its texts.
    pub(in crate::service) chosen: Chosen,
    /// By text: the place of the label, and the time that it took.
    pub(in crate::service) answers: Vec<(usize, Duration)>,
}

impl Tap {
    /// Has copies of requests sent, as long as no more than `most` of them wait.
    pub(in crate::service) fn open(&self, most: usize) -> mpsc::Receiver<Copied> {
        let (to, copies) = mpsc::channel(most);
        self.to.store(Some(Arc::new(to)));
        copies
    }

    /// No more copies are sent.
    pub(in crate::service) fn close(&self) {
        self.to.store(None);
    }

    /// Keeps the texts of a request for a copy, if copies are wanted.
    pub fn keep(&self, chosen: &Chosen) -> Option<Chosen> {
        self.to.load().is_some().then(|| chosen.clone())
    }

    /// Sends a copy on, with the outputs for its texts; drops it where too many wait.
    pub fn copy(&self, kept: Option<Chosen>, outputs: &[RowOutput]) {
        if let (Some(chosen), Some(to)) = (kept, &*self.to.load()) {
            let answers = outputs.iter().map(seen).collect();
            let _ = to.try_send(Copied { chosen, answers });
        }
    }
}

/// The place of the largest output, and the time that it took: the run's, by its rows.
pub(in crate::service) fn seen(output: &RowOutput) -> (usize, Duration) {
    let values = output.values.iter().enumerate();
    let largest = values.max_by(|a, b| a.1.total_cmp(b.1));
    let rows = u32::try_from(output.batch_rows.max(1)).unwrap_or(u32::MAX);
    (largest.map_or(0, |(place, _)| place), output.ran_for / rows)
}

/// What was seen of both versions.
#[derive(Clone, Debug, Default)]
struct Comparison {
    texts: usize,
    differ: usize,
    old: Vec<Duration>,
    new: Vec<Duration>,
}

impl Comparison {
    fn add(&mut self, differs: bool, old: Duration, new: Duration) {
        self.texts += 1;
        self.differ += usize::from(differs);
        self.old.push(old);
        self.new.push(new);
    }

    fn disagreement(&self) -> f64 {
        self.differ as f64 / self.texts.max(1) as f64
    }

    /// By how much the middle text takes longer.
    fn slowdown(&self) -> f64 {
        let middle = |times: &[Duration]| {
            let mut times = times.to_vec();
            times.sort();
            times.get(times.len() / 2).map_or(0.0, Duration::as_secs_f64)
        };
        let old = middle(&self.old);
        if old > 0.0 { middle(&self.new) / old } else { 1.0 }
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
        let (to, copies) = mpsc::channel(COPIES);
        old.tap.to.store(Some(Arc::new(to)));
        let until = tokio::time::Instant::now() + settings.shadow_time.0;
        let compared = runtime.block_on(async {
            let mut compared = Comparison::default();
            let comparing = compare(&mut compared, old, new, copies, settings.shadow_texts);
            let mut health = self.watch_health();
            tokio::select! {
                () = comparing => {}
                () = tokio::time::sleep_until(until) => {}
                _ = health.wait_for(|draining| *draining) => {}
            }
            compared
        });
        old.tap.to.store(None);
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
async fn compare(
    compared: &mut Comparison,
    old: &Serving,
    new: &Serving,
    mut copies: mpsc::Receiver<Copied>,
    wanted: usize,
) {
    while compared.texts < wanted {
        let Some(Copied { chosen, answers }) = copies.recv().await else {
            return;
        };
        let started = Instant::now();
        let terms = Terms {
            deadline: started + PATIENCE,
            priority: Priority::Bulk,
            client: ClientKey::default(),
            weight: Weight::default(),
        };
        match new.run(chosen, terms).await {
            Ok(rows) => {
                for (&(place, took), row) in answers.iter().zip(&rows.rows) {
                    let (other, took_by_new) = seen(&row.output);
                    let differs = old.model.manifest.labels[place] != new.model.manifest.labels[other];
                    compared.add(differs, took, took_by_new);
                }
            }
            Err(error) if error.reason == Reason::InferenceFailed => {
                for (_, took) in answers {
                    compared.add(true, took, took);
                }
            }
            // No room or no time: it says nothing of the version.
            Err(_) => {}
        }
        tracing::debug!(
            texts = compared.texts,
            took_ms = millis(started.elapsed()),
            "a copy ran"
        );
        tokio::time::sleep(started.elapsed() * REST).await;
    }
}
