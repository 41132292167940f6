//! Ends work of ONNX Runtime that takes too long: runs past their limit, and runs and loads that were called off.
//!
//! One thread does it for the whole process. It counts ticks, and not the time of day: on a machine that was suspended
//! for a minute no run took that minute. It waits without ticks while nothing runs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use ort::session::RunOptions;
use ort::session::builder::LoadCanceler;
use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::model::limited::CallOff;

/// How often the thread checks what is running.
const TICK: Duration = Duration::from_millis(50);

/// How long the runs of a model may take; all its sessions share one limit.
#[derive(Clone, Debug)]
pub struct RunLimit(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    ticks: AtomicU64,
    hit: AtomicBool,
    serves: AtomicBool,
    off: CallOff,
}

impl RunLimit {
    /// A limit for a model that loads, and the flag that calls its runs off. The first run that takes longer ends the
    /// load: no other run begins.
    pub fn new(limit: Duration, off: CallOff) -> Self {
        let shared = Shared {
            ticks: AtomicU64::new(0),
            hit: AtomicBool::new(false),
            serves: AtomicBool::new(false),
            off,
        };
        let new = Self(Arc::new(shared));
        new.set(limit);
        new
    }

    /// A second limit, which is called off together with this one.
    pub fn beside(&self, limit: Duration) -> Self {
        Self::new(limit, self.0.off.clone())
    }

    /// Changes the limit, for runs under way too, and forgets that it was hit.
    pub fn set(&self, limit: Duration) {
        self.0.hit.store(false, Ordering::Release);
        let ticks = limit.as_millis().div_ceil(TICK.as_millis());
        self.0
            .ticks
            .store(u64::try_from(ticks).unwrap_or(u64::MAX), Ordering::Release);
    }

    /// Changes the limit for a model that serves from now on: a run that takes longer no longer prevents the next one.
    pub fn serve(&self, limit: Duration) {
        self.0.serves.store(true, Ordering::Release);
        self.set(limit);
    }

    /// Whether no more runs may begin.
    pub(super) fn is_spent(&self) -> bool {
        self.is_off() || self.was_hit() && !self.0.serves.load(Ordering::Acquire)
    }

    pub fn get(&self) -> Duration {
        TICK.saturating_mul(u32::try_from(self.0.ticks.load(Ordering::Acquire)).unwrap_or(u32::MAX))
    }

    /// The flag that calls all runs off.
    pub fn off(&self) -> CallOff {
        self.0.off.clone()
    }

    /// Whether all runs are called off.
    pub fn is_off(&self) -> bool {
        self.0.off.is_off()
    }

    /// Whether a run was ended by the limit since it was set.
    pub fn was_hit(&self) -> bool {
        self.0.hit.load(Ordering::Acquire)
    }

    /// Ends all runs, now and from now on.
    pub fn call_off(&self) {
        self.0.off.call_off();
    }
}

/// Work that can be ended.
pub(super) enum Stoppable {
    /// A run.
    Run(Arc<RunOptions>),
    /// Making a session, which has no time limit of its own.
    Load(LoadCanceler),
}

/// Work that is being watched, until its owner calls [`Watched::over`].
pub(super) struct Watched {
    number: u64,
}

impl Watched {
    /// Begins to watch.
    pub(super) fn new(what: Stoppable, limit: &RunLimit) -> Self {
        let mut state = STATE.lock();
        let number = state.next;
        state.next += 1;
        let limit = limit.clone();
        let watch = Watch {
            what,
            limit,
            ticks: 0,
            ended: false,
        };
        state.watched.insert(number, watch);
        if !state.started {
            // The thread ends with the process.
            let thread = std::thread::Builder::new().name("run-watch".into()).spawn(tick);
            state.started = thread.is_ok();
        } else if state.idle {
            CHANGED.notify_one();
        }
        Self { number }
    }

    /// Stops watching. Gives whether the work was ended.
    pub(super) fn over(self) -> bool {
        let ended = STATE
            .lock()
            .watched
            .remove(&self.number)
            .is_some_and(|watch| watch.ended);
        std::mem::forget(self);
        ended
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        STATE.lock().watched.remove(&self.number);
    }
}

struct Watch {
    what: Stoppable,
    limit: RunLimit,
    ticks: u64,
    ended: bool,
}

struct State {
    watched: BTreeMap<u64, Watch>,
    next: u64,
    started: bool,
    idle: bool,
}

static STATE: Mutex<State> = Mutex::new(State {
    watched: BTreeMap::new(),
    next: 0,
    started: false,
    idle: false,
});
static CHANGED: Condvar = Condvar::new();

fn tick() {
    let mut state = STATE.lock();
    loop {
        state.idle = state.watched.is_empty();
        if state.idle {
            CHANGED.wait(&mut state);
        } else {
            MutexGuard::unlocked(&mut state, || std::thread::sleep(TICK));
        }
        for watch in state.watched.values_mut() {
            watch.look();
        }
    }
}

impl Watch {
    fn look(&mut self) {
        self.ticks += 1;
        let limit = &self.limit.0;
        let run = matches!(self.what, Stoppable::Run(_));
        let late = run && self.ticks > limit.ticks.load(Ordering::Acquire);
        if self.ended || !(late || limit.off.is_off()) {
            return;
        }
        if late {
            limit.hit.store(true, Ordering::Release);
        }
        let told = match &self.what {
            Stoppable::Run(options) => options.terminate(),
            Stoppable::Load(canceler) => canceler.cancel(),
        };
        self.ended = told.is_ok();
    }
}
