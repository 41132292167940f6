//! Reloading: new versions are found, checked, loaded, tried beside those that serve, and put in their place, in one step.
//!
//! One reload at a time, on a thread that is there while there is work; who asks meanwhile gets the next one, together with
//! all others who did. Whatever goes wrong, what serves goes on. In reading order: [`outcome`] → [`memory`] (what was seen
//! before) → [`fit`] (what belongs together) → [`exchange`] (the steps of one reload) → [`background`] → [`shadow`] →
//! `retire`.

pub mod background;
pub mod beside;
pub mod exchange;
pub mod fit;
pub mod memory;
pub mod outcome;
mod retire;
pub mod shadow;

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::Service;
use memory::Memory;
use outcome::{Refusal, ReloadReport};

/// What is kept for reloads.
pub struct Reloads {
    work: Mutex<Work>,
    idle: Condvar,
    /// Counts the reloads that are done.
    done: watch::Sender<u64>,
    /// Held by whoever loads models or exchanges them.
    loader: Mutex<Memory>,
    /// The newest versions that do not serve, by model, and why.
    refused: Mutex<BTreeMap<String, RefusedVersion>>,
    /// What all models that are loaded are expected to take, in bytes.
    expected_bytes: Arc<AtomicU64>,
    /// Threads that wait for the end of versions that were replaced.
    retiring: Mutex<Vec<JoinHandle<()>>>,
}

/// What the loader's thread has to do.
#[derive(Default)]
struct Work {
    running: bool,
    /// The reload that was asked for last.
    wanted: u64,
    /// The last one that somebody asked for; the others only look whether there is something to do.
    asked: u64,
    stopped: bool,
    /// What became of the last reloads, by number, for those who asked for them.
    reports: VecDeque<(u64, Arc<ReloadReport>)>,
}

/// The most reports that are kept: a caller who asked for one takes it soon.
const REPORTS: usize = 8;

/// A version that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedVersion {
    /// The version.
    pub version: String,
    /// Why.
    pub refusal: Refusal,
}

impl Default for Reloads {
    fn default() -> Self {
        Self {
            work: Mutex::default(),
            idle: Condvar::new(),
            done: watch::Sender::default(),
            loader: Mutex::default(),
            refused: Mutex::default(),
            expected_bytes: Arc::default(),
            retiring: Mutex::default(),
        }
    }
}

impl Reloads {
    /// Nothing was reloaded yet; the start left out some versions.
    pub(super) fn new(refused: BTreeMap<String, RefusedVersion>) -> Self {
        Self {
            refused: Mutex::new(refused),
            ..Self::default()
        }
    }

    /// Takes note of a version that a start left out.
    pub(super) fn refuse_at_start(&self, name: &str, version: &str, refusal: Refusal) {
        let version = version.to_owned();
        locked(&self.refused).insert(name.to_owned(), RefusedVersion { version, refusal });
    }

    /// Waits until nobody else loads models or exchanges them, and keeps it so.
    pub(super) fn loader(&self) -> MutexGuard<'_, Memory> {
        locked(&self.loader)
    }

    /// What all models that are loaded are expected to take, in bytes.
    pub(super) fn expected_bytes(&self) -> u64 {
        self.expected_bytes.load(Ordering::Relaxed)
    }

    /// Counts a loaded model until what it gives is dropped.
    pub(super) fn count(&self, bytes: u64) -> LoadedBytes {
        self.expected_bytes.fetch_add(bytes, Ordering::Relaxed);
        LoadedBytes {
            bytes,
            of: Arc::clone(&self.expected_bytes),
        }
    }

    /// Waits up to `limit` until nobody else loads models or exchanges them; whether that is so.
    pub(super) fn wait_for_loader(&self, limit: Duration) -> bool {
        within(limit, || {
            !matches!(self.loader.try_lock(), Err(TryLockError::WouldBlock))
        })
    }

    /// Waits up to `limit` for the end of a reload that is under way, and of the versions that were replaced; none comes after.
    /// Blocks.
    pub(super) fn stop(&self, limit: Duration) {
        let mut work = locked(&self.work);
        work.stopped = true;
        let ended = self.idle.wait_timeout_while(work, limit, |work| work.running);
        drop(ended.unwrap_or_else(PoisonError::into_inner));
        within(limit, || {
            let mut retiring = locked(&self.retiring);
            retiring.retain(|thread| !thread.is_finished());
            retiring.is_empty()
        });
    }
}

/// Looks again and again, up to `limit`, whether something is done; whether it is.
fn within(limit: Duration, mut done: impl FnMut() -> bool) -> bool {
    const LOOK: Duration = Duration::from_millis(5);
    let started = Instant::now();
    loop {
        match done() {
            true => return true,
            false if started.elapsed() >= limit => return false,
            false => std::thread::sleep(LOOK),
        }
    }
}

/// Keeps a loaded model counted.
pub struct LoadedBytes {
    bytes: u64,
    of: Arc<AtomicU64>,
}

impl Drop for LoadedBytes {
    fn drop(&mut self) {
        self.of.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl Service {
    /// Looks for new versions and puts those that pass every check in the place of the old ones; what became of each.
    /// Ends when versions that were replaced are gone, or after some seconds.
    pub async fn reload(&self) -> Arc<ReloadReport> {
        let mut done = self.inner.reloads.done.subscribe();
        let Some(wanted) = self.start_reload(true) else {
            return stopped();
        };
        let _ = done.wait_for(|done| *done >= wanted).await;
        let work = locked(&self.inner.reloads.work);
        let report = work.reports.iter().find(|(number, _)| *number >= wanted);
        report.map_or_else(stopped, |(_, report)| Arc::clone(report))
    }

    /// Reloads if files changed and have been quiet since the last look; does not wait. Within tokio's runtime, as `reload`.
    pub fn look_for_versions(&self) {
        self.start_reload(false);
    }

    /// The newest versions that do not serve, by model, and why.
    pub fn refused_versions(&self) -> BTreeMap<String, RefusedVersion> {
        locked(&self.inner.reloads.refused).clone()
    }

    /// Has the loader's thread do a reload that begins after this moment; its number. Nothing while the server stops.
    fn start_reload(&self, asked: bool) -> Option<u64> {
        let reloads = &self.inner.reloads;
        let mut work = locked(&reloads.work);
        if work.stopped || self.is_draining() {
            return None;
        }
        if work.running {
            if asked {
                work.wanted = *reloads.done.borrow() + 2;
                work.asked = work.wanted;
            }
            return Some(work.wanted);
        }
        work.wanted = *reloads.done.borrow() + 1;
        if asked {
            work.asked = work.wanted;
        }
        let (service, runtime) = (self.clone(), tokio::runtime::Handle::current());
        // It ends when there is nothing more to do; `Reloads::stop` waits for that, but not for long.
        let thread = std::thread::Builder::new()
            .name("model-loader".into())
            .spawn(move || service.reload_all(&runtime));
        match thread {
            Ok(_) => work.running = true,
            Err(error) => {
                tracing::error!(%error, "no thread could be started to load models");
                return None;
            }
        }
        Some(work.wanted)
    }

    /// Does reloads until none is wanted any more.
    fn reload_all(&self, runtime: &tokio::runtime::Handle) {
        let reloads = &self.inner.reloads;
        let mut work = locked(&reloads.work);
        while work.wanted > *reloads.done.borrow() {
            let asked = work.asked > *reloads.done.borrow();
            drop(work);
            let one = || self.reload_once(asked, runtime);
            let report = std::panic::catch_unwind(std::panic::AssertUnwindSafe(one)).unwrap_or_else(|_| ReloadReport {
                problem: Some("the reload panicked".into()),
                ..ReloadReport::default()
            });
            work = locked(&reloads.work);
            let number = *reloads.done.borrow() + 1;
            work.reports.push_back((number, Arc::new(report)));
            while work.reports.len() > REPORTS {
                work.reports.pop_front();
            }
            reloads.done.send_replace(number);
        }
        work.running = false;
        reloads.idle.notify_all();
    }
}

fn stopped() -> Arc<ReloadReport> {
    Arc::new(ReloadReport {
        problem: Some("the server is stopping".into()),
        ..ReloadReport::default()
    })
}

/// Nothing behind these locks is left half changed by a panic.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
