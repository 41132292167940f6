//! How a canary does: what is counted while it gets requests. Requests only count; who decides is told when a count is too high.
//!
//! In reading order: [`split`] (who gets it) → [`CanaryWatch`] → [`verdict`] (whether it stays; pure).

pub mod split;
pub mod verdict;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::service::messages::ClientKey;
use verdict::{Bounds, Compared, Fault, Seen};

/// After so many times the least count, what was seen counts half.
const FORGET_AFTER: u64 = 8;
/// A canary that fails so many callers is at fault, whatever it says to texts of the server's own.
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
    end: CancellationToken,
    /// Told when a count is too high.
    alarm: Notify,
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
    /// The first fault that nobody looked at yet.
    fault: Option<(Fault, String)>,
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
            alarm: Notify::new(),
            counts: Mutex::default(),
        }
    }

    /// How far it may be worse than the stable version.
    pub fn bounds(&self) -> &Bounds {
        &self.bounds
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

    /// Waits until it has ended.
    pub async fn over(&self) {
        self.end.cancelled().await;
    }

    /// What was seen since it began.
    pub fn seen(&self) -> Seen {
        self.counts.lock().total
    }

    /// Takes note of a caller's request: whether it got the canary, and whether the version that it got failed.
    pub fn requested(&self, canary: bool, failed: bool, caller: ClientKey) {
        self.note(|counts| {
            if canary && failed && counts.failed.len() < SEVERAL && !counts.failed.contains(&caller) {
                counts.failed.push(caller);
            }
            for seen in [&mut counts.total, &mut counts.recent] {
                let tally = if canary { &mut seen.canary } else { &mut seen.stable };
                tally.requests += 1;
                tally.failed += u64::from(failed);
            }
        });
    }

    /// Takes note of texts that both versions answered.
    pub fn compared(&self, compared: Compared) {
        self.note(|counts| {
            counts.total.compared.add(compared);
            counts.recent.compared.add(compared);
        });
    }

    fn note(&self, change: impl FnOnce(&mut Counts)) {
        let mut counts = self.counts.lock();
        change(&mut counts);
        if let Some(fault) = counts.recent.fault(&self.bounds) {
            counts.fault.get_or_insert(fault);
            self.alarm.notify_one();
        }
        let most = FORGET_AFTER * self.bounds.least_count.max(1);
        if counts.recent.canary.requests.max(counts.recent.compared.texts) >= most {
            counts.recent = counts.recent.halved();
            if counts.recent.canary.failed == 0 {
                counts.failed.clear();
            }
        }
    }

    /// Waits for a fault. For the one who decides whether the canary stays.
    pub async fn fault(&self) -> (Fault, String) {
        loop {
            self.alarm.notified().await;
            if let Some(fault) = self.counts.lock().fault.take() {
                return fault;
            }
        }
    }

    /// Whether it failed several callers of late.
    pub fn failed_several(&self) -> bool {
        self.counts.lock().failed.len() >= SEVERAL
    }
}
