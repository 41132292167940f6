//! How a canary does: what is counted while it gets requests, and its end when it does badly.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio_util::sync::CancellationToken;

use super::compare;
use super::judge::{Bounds, Fault, Seen, Tally};
use super::labels::RolledBack;
use crate::error::{Error, MODEL_FACT, Reason};
use crate::service::Service;
use crate::service::examine::Finding;
use crate::service::failures::REST;
use crate::service::slot::ModelState;
use crate::service::tier::Answers;
use crate::service::types::ClientKey;

/// After so many times the least count, what was seen counts half.
const FORGET_AFTER: u64 = 8;
/// A canary that fails so many callers is at fault, whatever it says to texts of our own.
const SEVERAL: usize = 3;

/// What is kept of a canary.
pub struct CanaryWatch {
    /// The model.
    pub model: String,
    /// The canary's version.
    pub version: String,
    bounds: Bounds,
    /// From then on nobody gets it but who names it.
    ended: AtomicBool,
    /// Ends the comparison.
    end: CancellationToken,
    compares: AtomicBool,
    counts: Mutex<Counts>,
}

#[derive(Default)]
struct Counts {
    /// Since the canary began.
    total: Seen,
    /// Of late.
    recent: Seen,
    /// Some of those whom it failed of late, up to [`SEVERAL`].
    failed: Vec<ClientKey>,
    /// Whether it is examined just now.
    examined: bool,
    rests_until: Option<Instant>,
}

/// Which version of a model with a canary a request got.
#[derive(Clone)]
pub struct Arm {
    /// What is kept of the canary.
    pub watch: Arc<CanaryWatch>,
    /// Whether it got the canary.
    pub canary: bool,
}

impl CanaryWatch {
    /// A watch over a canary that begins now.
    pub fn new(model: &str, version: &str, bounds: Bounds) -> Self {
        Self {
            model: model.to_owned(),
            version: version.to_owned(),
            bounds,
            ended: AtomicBool::new(false),
            end: CancellationToken::new(),
            compares: AtomicBool::new(false),
            counts: Mutex::default(),
        }
    }

    /// Whether the canary has ended.
    pub fn ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }

    /// Ends it; says whether this call did.
    pub fn end(&self) -> bool {
        self.end.cancel();
        !self.ended.swap(true, Ordering::Relaxed)
    }

    /// Resolves when it has ended.
    pub(super) async fn over(&self) {
        self.end.cancelled().await;
    }

    /// What was seen since it began.
    pub fn seen(&self) -> Seen {
        self.counts().total
    }

    /// Takes note of something; the fault, if the canary does not stay.
    pub(super) fn note(&self, change: impl Fn(&mut Seen)) -> Option<(Fault, String)> {
        let mut counts = self.counts();
        change(&mut counts.total);
        change(&mut counts.recent);
        let fault = counts.recent.fault(&self.bounds);
        let most = FORGET_AFTER * self.bounds.least_count.max(1);
        if counts.recent.canary.requests.max(counts.recent.compared.texts) >= most {
            counts.recent = counts.recent.halved();
            if counts.recent.canary.failed == 0 {
                counts.failed.clear();
            }
        }
        fault
    }

    /// Takes note of a caller whom it failed.
    fn failed(&self, caller: ClientKey) {
        let failed = &mut self.counts().failed;
        if failed.len() < SEVERAL && !failed.contains(&caller) {
            failed.push(caller);
        }
    }

    /// Whether it failed several callers of late.
    fn failed_several(&self) -> bool {
        self.counts().failed.len() >= SEVERAL
    }

    /// Whether it is to be examined at `now`. Then [`CanaryWatch::examined`] must be told.
    fn examine(&self, now: Instant) -> bool {
        let mut counts = self.counts();
        let rests = counts.examined || counts.rests_until.is_some_and(|until| now < until);
        counts.examined |= !rests;
        !rests
    }

    /// It was examined.
    fn examined(&self, now: Instant) {
        let mut counts = self.counts();
        counts.examined = false;
        counts.rests_until = Some(now + REST);
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        // Counters are whole after every step.
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Service {
    /// Takes note of how a caller's request went on the version that it got.
    pub(in crate::service) fn note_arm(&self, arm: &Arm, outcome: Result<&Answers, &Error>, caller: ClientKey) {
        let watch = &arm.watch;
        if watch.ended() {
            return;
        }
        let failed = match outcome {
            // The cascade may have left the model out.
            Ok(answers) if answers.parts.iter().any(|part| part.model.name == watch.model) => false,
            Err(error) if error.reason == Reason::InferenceFailed && error.fact(MODEL_FACT) == Some(&watch.model) => {
                true
            }
            _ => return,
        };
        if arm.canary && !watch.compares.swap(true, Ordering::Relaxed) {
            // It ends with the canary, or when the server drains.
            tokio::spawn(compare::compare(self.clone(), Arc::clone(watch)));
        }
        self.metrics()
            .versions()
            .canary_request(&watch.model, arm.canary, failed);
        if failed && arm.canary {
            watch.failed(caller);
        }
        let fault = watch.note(|seen| {
            let tally = if arm.canary { &mut seen.canary } else { &mut seen.stable };
            tally.requests += 1;
            tally.failed += u64::from(failed);
        });
        if let Some((fault, why)) = fault {
            self.judge_canary(watch, fault, why);
        }
    }

    /// Ends a canary that did badly. Where it failed few callers, their texts may be at fault: then it is first examined on texts
    /// that the stable version answers.
    pub(super) fn judge_canary(&self, watch: &Arc<CanaryWatch>, fault: Fault, why: String) {
        if fault != Fault::Failures || watch.failed_several() {
            self.roll_back_canary(watch, fault, why);
            return;
        }
        if !watch.examine(Instant::now()) {
            return;
        }
        let (service, watch) = (self.clone(), Arc::clone(watch));
        // It ends with the examination, which has a limit.
        tokio::spawn(async move {
            let catalog = service.catalog();
            let stable = catalog.slot(&watch.model).map(|slot| slot.state());
            let canary = catalog.version(&watch.model, &watch.version);
            let (Some(ModelState::Serving(stable)), Some(canary)) = (stable.as_deref(), canary) else {
                watch.examined(Instant::now());
                return;
            };
            let finding = service.examined(&canary, stable.model.own_texts()).await;
            watch.examined(Instant::now());
            if finding == Finding::Broken {
                let why = format!("{why}, and it fails on texts of the server's own");
                service.roll_back_canary(&watch, fault, why);
                return;
            }
            let CanaryWatch { model, version, .. } = &*watch;
            let finding = finding.name();
            tracing::warn!(
                model,
                version,
                why,
                finding,
                "the canary failed few callers, and was examined: it stays"
            );
        });
    }

    /// Ends a canary that did badly: from this moment nobody gets it but who names it. It is not made canary again until told.
    pub(super) fn roll_back_canary(&self, watch: &CanaryWatch, fault: Fault, why: String) {
        if !watch.end() {
            return;
        }
        let CanaryWatch { model, version, .. } = watch;
        let Seen { canary, stable, .. } = watch.seen();
        let (Tally { requests, failed }, fault_name) = (canary, fault.name());
        tracing::error!(
            model,
            version,
            fault = fault_name,
            why,
            requests,
            failed,
            stable_requests = stable.requests,
            stable_failed = stable.failed,
            "the canary was rolled back"
        );
        self.metrics().versions().canary_rolled_back(model, fault_name);
        self.tell_health();
        let (service, model) = (self.clone(), model.clone());
        let rolled_back = RolledBack {
            version: version.clone(),
            reason: why,
        };
        let note = move || {
            let labels = &service.inner.rollouts.labels;
            // A file that can't be written is in the log.
            let _ = labels.change(&model, |labels| {
                labels.canary = None;
                labels.rolled_back = Some(rolled_back);
            });
            service.tell_health();
        };
        // Files may be slow, and this may be an async thread; it ends when the file is written.
        let spawned = std::thread::Builder::new().name("labels".into()).spawn(note);
        if let Err(error) = spawned {
            tracing::error!(%error, "no thread could be started to write the labels");
        }
    }
}
