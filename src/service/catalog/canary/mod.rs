//! Canary: what is counted while a version gets a share of the requests. Requests only count; the task that decides
//! wakes when a count is too high.
//!
//! In reading order: [`split`] (which clients get it) → [`CanaryWatch`] (the counts) → [`verdict`] (whether it stays;
//! pure).

pub mod split;
pub mod verdict;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::service::messages::ClientKey;
use verdict::{Bounds, Compared, Fault, Seen};

/// At this many times the least count, the recent counts are halved, so that old ones fade.
const FORGET_AFTER: u64 = 8;
/// A canary that failed this many different callers is at fault, even if it answers the server's own texts.
const SEVERAL: usize = 3;

/// The counts of a canary, and whether it has ended.
pub struct CanaryWatch {
    pub model: String,
    pub version: String,
    bounds: Bounds,
    /// Once set, only requests that name the version get it.
    ended: AtomicBool,
    end: CancellationToken,
    /// Wakes the task that decides, when a count is too high.
    alarm: Notify,
    counts: Mutex<Counts>,
}

#[derive(Default)]
struct Counts {
    /// Since the canary began.
    total: Seen,
    /// The same, in which older counts weigh less.
    recent: Seen,
    /// Different callers whom it failed recently, up to [`SEVERAL`].
    failed: Vec<ClientKey>,
    /// The first fault that nobody has taken yet.
    fault: Option<(Fault, String)>,
}

/// Which of the two versions a request got, in a model with a canary.
#[derive(Clone)]
pub struct Arm {
    pub watch: Arc<CanaryWatch>,
    /// Whether it got the canary.
    pub canary: bool,
}

impl CanaryWatch {
    /// The counts of a canary that begins now.
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

    /// How far the canary may be worse than the stable version.
    pub fn bounds(&self) -> &Bounds {
        &self.bounds
    }

    pub fn ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }

    /// Ends the canary; returns whether this call was the one that did.
    pub fn end(&self) -> bool {
        self.end.cancel();
        !self.ended.swap(true, Ordering::Relaxed)
    }

    /// Waits until the canary has ended.
    pub async fn over(&self) {
        self.end.cancelled().await;
    }

    /// What was counted since the canary began.
    pub fn seen(&self) -> Seen {
        self.counts.lock().total
    }

    /// Counts a caller's request: whether it got the canary, and whether the version that it got failed.
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

    /// Counts texts that both versions answered.
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

    /// Waits for a fault and takes it. Only for the one task that decides whether the canary stays.
    pub async fn fault(&self) -> (Fault, String) {
        loop {
            self.alarm.notified().await;
            if let Some(fault) = self.counts.lock().fault.take() {
                return fault;
            }
        }
    }

    /// Whether the canary recently failed as many different callers as can't be the fault of their texts.
    pub fn failed_several(&self) -> bool {
        self.counts.lock().failed.len() >= SEVERAL
    }
}
