//! Kept texts: those of live traffic that are worth labelling, in memory, and where the operator names a file, on their way
//! there. Off unless the settings say how many.
//!
//! Each reason has a ring of its own with an equal part of the room, whose oldest go, so that none pushes out the texts of
//! another. Equal texts of a task are kept once; one may be in several rings, and goes when it has left the last.
//!
//! In reading order: [`text`] (one of them) → the store, here → [`page`] (how it is read) → [`mod@line`] (a text in a file) →
//! [`file_queue`] (the way there).

pub mod file_queue;
pub mod line;
pub mod page;
pub mod text;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::config::settings::Settings;
use crate::telemetry::kept::{Cause, KeptMetrics};
use file_queue::FileQueue;
use text::{KeepReason, KeptAnswer, KeptText, Reasons, SeenText};

const REASONS: usize = KeepReason::ALL.len();

/// The texts that a server keeps.
pub struct KeptTexts {
    rings: Mutex<Rings>,
    room: Room,
    /// The share of texts that are kept at random.
    share: f64,
    hasher: RandomState,
    /// Tells this store from that of another start, whose tokens of pages mean nothing here.
    run: u64,
    file: Option<FileQueue>,
    metrics: KeptMetrics,
}

/// What each ring may hold.
#[derive(Clone, Copy, Debug)]
struct Room {
    texts: [usize; REASONS],
    bytes: usize,
}

impl KeptTexts {
    /// As the settings say; `None` if nothing is to be kept. What is kept goes to `file` too.
    pub fn new(settings: &Settings, metrics: KeptMetrics, file: Option<FileQueue>) -> Option<Self> {
        if settings.keep_texts == 0 {
            return None;
        }
        let (equal, over) = (settings.keep_texts / REASONS, settings.keep_texts % REASONS);
        Some(Self {
            rings: Mutex::default(),
            room: Room {
                texts: std::array::from_fn(|at| equal + usize::from(at < over)),
                bytes: settings.keep_bytes / REASONS,
            },
            share: settings.keep_share,
            hasher: RandomState::new(),
            run: fastrand::u64(..),
            file,
            metrics,
        })
    }

    /// Whether the next text is one of those that are kept at random.
    pub fn draws(&self) -> bool {
        fastrand::f64() < self.share
    }

    /// Keeps a text for some reasons. What was said of it is made only if it is not kept for all of these already.
    pub fn keep(&self, seen: SeenText<'_>, reasons: Reasons, told: impl FnOnce() -> (KeptAnswer, Option<Vec<String>>)) {
        let key = self.hasher.hash_one(seen);
        let new = reasons.without(self.rings.lock().reasons(key));
        if new.is_empty() {
            return;
        }
        if seen.text.len() + seen.pair.map_or(0, str::len) > self.room.bytes {
            self.metrics.dropped(Cause::TooLarge);
            return;
        }
        // Copied before the lock, and what leaves is freed after it.
        let (answer, deep) = told();
        let kept = KeptText::new(seen, answer, deep);
        if kept.bytes() > self.room.bytes {
            self.metrics.dropped(Cause::TooLarge);
            return;
        }
        let Added {
            kept,
            reasons,
            is_new,
            gone,
        } = self.rings.lock().add(key, kept, new, self.room);
        drop(gone);
        for reason in reasons.iter() {
            self.metrics.kept(&kept.task, reason.name());
        }
        if let Some(file) = self.file.as_ref().filter(|_| is_new)
            && !file.offer(kept, reasons)
        {
            self.metrics.dropped(Cause::FileBusy);
        }
    }

    /// Has what waits for the file written, and waits for that a moment. Nothing is written after it. Blocks.
    pub fn close(&self) {
        if let Some(file) = &self.file {
            file.close();
        }
    }
}

/// The texts, by the order in which they came, and the rings that hold them.
#[derive(Default)]
struct Rings {
    texts: BTreeMap<u64, Entry>,
    /// The number of each text, by its hash.
    numbers: HashMap<u64, u64>,
    rings: [Ring; REASONS],
    /// The number of the last text.
    last: u64,
}

struct Entry {
    kept: Arc<KeptText>,
    key: u64,
    /// The rings that hold it.
    reasons: Reasons,
    bytes: usize,
}

#[derive(Default)]
struct Ring {
    /// The numbers of its texts, the oldest first.
    numbers: VecDeque<u64>,
    bytes: usize,
}

/// What became of a text.
struct Added {
    kept: Arc<KeptText>,
    /// Those for which it was not kept before.
    reasons: Reasons,
    /// Whether it was not kept before at all.
    is_new: bool,
    /// The texts that made room.
    gone: Vec<Arc<KeptText>>,
}

impl Rings {
    /// Why a text is kept already.
    fn reasons(&self, key: u64) -> Reasons {
        let entry = self.numbers.get(&key).and_then(|number| self.texts.get(number));
        entry.map_or_else(Reasons::default, |entry| entry.reasons)
    }

    fn add(&mut self, key: u64, kept: KeptText, reasons: Reasons, room: Room) -> Added {
        let known = self.numbers.get(&key).copied();
        let number = known.unwrap_or(self.last + 1);
        let kept = match known.and_then(|number| self.texts.get_mut(&number)) {
            Some(entry) => {
                let kept = Arc::new(merged(&entry.kept, kept, reasons));
                let bytes = kept.bytes();
                for reason in entry.reasons.iter() {
                    let ring = &mut self.rings[reason as usize];
                    ring.bytes = ring.bytes - entry.bytes + bytes;
                }
                entry.bytes = bytes;
                entry.kept = Arc::clone(&kept);
                kept
            }
            None => {
                self.last = number;
                self.numbers.insert(key, number);
                let kept = Arc::new(kept);
                let entry = Entry {
                    kept: Arc::clone(&kept),
                    key,
                    reasons: Reasons::default(),
                    bytes: kept.bytes(),
                };
                self.texts.insert(number, entry);
                kept
            }
        };
        let mut added = Added {
            kept,
            reasons: Reasons::default(),
            is_new: known.is_none(),
            gone: Vec::new(),
        };
        if let Some(entry) = self.texts.get_mut(&number) {
            added.reasons = reasons.without(entry.reasons);
            for reason in added.reasons.iter() {
                entry.reasons.add(reason);
                self.rings[reason as usize].numbers.push_back(number);
                self.rings[reason as usize].bytes += entry.bytes;
            }
        }
        for reason in KeepReason::ALL {
            self.make_room(reason, room, &mut added.gone);
        }
        added
    }

    /// Takes the oldest out of a ring until it fits into its room.
    fn make_room(&mut self, reason: KeepReason, room: Room, gone: &mut Vec<Arc<KeptText>>) {
        let ring = &mut self.rings[reason as usize];
        while ring.numbers.len() > room.texts[reason as usize] || ring.bytes > room.bytes {
            let Some(number) = ring.numbers.pop_front() else { return };
            let Some(entry) = self.texts.get_mut(&number) else {
                continue;
            };
            ring.bytes -= entry.bytes;
            entry.reasons.remove(reason);
            if entry.reasons.is_empty()
                && let Some(entry) = self.texts.remove(&number)
            {
                self.numbers.remove(&entry.key);
                gone.push(entry.kept);
            }
        }
    }
}

/// A text that is kept for more reasons from now on. An answer and what the deep model says otherwise belong together: those
/// of the request that brought the reason. An answer that was withheld stays so if the audit saw the same one.
fn merged(old: &KeptText, new: KeptText, reasons: Reasons) -> KeptText {
    let (answer, deep) = if reasons.has(KeepReason::Differed) {
        let is_same = old.answer.withheld && old.answer.predicted == new.answer.predicted;
        (if is_same { old.answer.clone() } else { new.answer }, new.deep)
    } else if reasons.has(KeepReason::Abstained) {
        let deep = old.deep.clone().filter(|deep| *deep != new.answer.predicted);
        (new.answer, deep)
    } else {
        (old.answer.clone(), old.deep.clone())
    };
    KeptText {
        answer,
        deep,
        at: old.at,
        ..new
    }
}

#[cfg(test)]
mod tests;
