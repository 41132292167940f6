//! The pins in use, and their file. Several servers may share the file, on a volume or as an object in a bucket: each then
//! looks at it now and again (`labels_poll_interval`), does what the others were told, and makes what it was told itself of what
//! the file says at that moment, while it holds a lock, or only as long as no other server wrote. So a server that has not
//! looked for a while undoes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::config::Settings;
use crate::service::catalog::pin_file::PinFile;
use crate::service::catalog::pins::{MOST_WRITES, ModelPins, Pins};

/// How long other servers may hold the lock of a shared file, or be faster. A write takes milliseconds.
const LOCK_PATIENCE: Duration = Duration::from_secs(1);
/// The most changes of a model that wait to be written one by one; with more, what they come to is written.
const MOST_CHANGES: usize = 16;

/// A change of a model's pins, which can be made of any state of them.
#[derive(Clone)]
struct Change {
    /// A word that no other change has, by which it is known in an object.
    word: String,
    make: Arc<dyn Fn(&mut ModelPins) + Send + Sync>,
}

impl Change {
    fn new(make: impl Fn(&mut ModelPins) + Send + Sync + 'static) -> Self {
        Self {
            word: format!("{:016x}", fastrand::u64(..)),
            make: Arc::new(make),
        }
    }
}

/// Changes that are not in the file, by model, in order.
type Unwritten = BTreeMap<String, Vec<Change>>;

/// The pins in use, and their file; cheap to clone.
#[derive(Clone)]
pub struct PinBook {
    file: PinFile,
    /// Whether other servers write the file too.
    is_shared: bool,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    pins: Pins,
    /// What this server was told and is not in the file yet, by model, in order.
    unwritten: Unwritten,
}

impl PinBook {
    /// The pins that were read, and the file that changes are written to.
    pub fn new(settings: &Settings, pins: Pins) -> Self {
        let file = PinFile::of(settings);
        let state = State {
            pins,
            ..State::default()
        };
        Self {
            is_shared: file.is_object() || !settings.labels_poll_interval.0.is_zero(),
            file,
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// All pins of this moment.
    pub fn all(&self) -> Pins {
        self.state.lock().pins.clone()
    }

    /// The pins of one model, at this moment.
    pub fn of(&self, model: &str) -> ModelPins {
        self.state.lock().pins.of(model)
    }

    /// Changes a model's pins, for all who read them from now on; whether that is to be written. Does not write the file.
    pub fn change(&self, model: &str, change: impl Fn(&mut ModelPins) + Send + Sync + 'static) -> bool {
        let mut state = self.state.lock();
        let before = state.pins.of(model);
        let mut pins = before.clone();
        change(&mut pins);
        // In a shared file it may be otherwise.
        if pins == before && !self.is_shared {
            return false;
        }
        state.pins.set(model, pins.clone());
        let changes = state.unwritten.entry(model.to_owned()).or_default();
        if changes.len() == MOST_CHANGES {
            *changes = vec![Change::new(move |other: &mut ModelPins| *other = pins.clone())];
        } else {
            changes.push(Change::new(change));
        }
        true
    }

    /// Takes over what another server wrote of a model, unless this one was told something of it meanwhile.
    pub fn adopt(&self, model: &str, pins: ModelPins) {
        let mut state = self.state.lock();
        if !state.unwritten.contains_key(model) {
            state.pins.set(model, pins);
        }
    }

    /// What the file says of models of which this server has something else in use. What it was told itself is written
    /// first. The error is one line. Blocks, as [`PinBook::write`] does, but waits for no lock.
    pub fn told_elsewhere(&self) -> Result<Vec<(String, ModelPins)>, String> {
        if !self.state.lock().unwritten.is_empty() {
            // An object has no lock that a server could hold, and may want another try.
            let patience = if self.file.is_object() {
                LOCK_PATIENCE
            } else {
                Duration::ZERO
            };
            let written = self.write_until(Instant::now() + patience);
            written.map_err(|error| self.file.named(&error.to_string()))?;
        }
        let theirs = self.file.read()?;
        let state = self.state.lock();
        let theirs = match theirs {
            Some(seen) => seen.pins,
            None if state.pins.models.is_empty() => return Ok(Vec::new()),
            // A volume that is not there says nothing of what was told.
            None => return Err(format!("{}: is gone; what it said holds", self.file)),
        };
        let models: BTreeSet<&String> = theirs.models.keys().chain(state.pins.models.keys()).collect();
        let differ = models
            .into_iter()
            // Told meanwhile, as a canary's roll-back is: it is written next.
            .filter(|model| !state.unwritten.contains_key(*model) && theirs.of(model) != state.pins.of(model));
        Ok(differ.map(|model| (model.clone(), theirs.of(model))).collect())
    }

    /// Writes the pins of this moment. The error is for the operator: the pins hold, but a restart would lose them. Blocks,
    /// with no lock of this process held, so that readers don't wait for a slow disk. For one thread only, so that an older
    /// state never takes the place of a newer one.
    pub fn write(&self) -> Result<(), String> {
        self.write_until(Instant::now() + LOCK_PATIENCE).map_err(|error| {
            tracing::warn!(file = %self.file, %error, "labels could not be written, a restart will not know them");
            format!("the labels could not be written ({error}): a restart will not know of this; see labels_file")
        })
    }

    /// Writes the pins of this moment; those of a shared file once it has its lock, or is faster than others, which it tries
    /// until then.
    fn write_until(&self, until: Instant) -> io::Result<()> {
        let _lock = if self.is_shared { self.file.lock(until)? } else { None };
        while !self.try_to_write()? {
            if Instant::now() >= until {
                let problem = "other servers write it all the time, or its store refuses its own tags";
                return Err(io::Error::other(problem));
            }
        }
        Ok(())
    }

    /// Whether all that was to be written when this began is in the file.
    fn try_to_write(&self) -> io::Result<bool> {
        let seen = if self.is_shared {
            self.file.look().map_err(io::Error::other)?
        } else {
            None
        };
        let (ours, unwritten) = {
            let mut state = self.state.lock();
            // What was put though nobody said so must not be changed again: an answer may be lost.
            let writes = seen.as_ref().map_or(&[][..], |seen| &seen.pins.writes);
            state.written(|change| writes.contains(&change.word));
            (state.pins.clone(), state.unwritten.clone())
        };
        if seen.is_some() && unwritten.is_empty() {
            return Ok(true);
        }
        // A file that is gone comes back whole.
        let mut all = seen.as_ref().map_or(ours, |seen| changed(&seen.pins, &unwritten));
        if self.file.is_object() {
            all.writes.extend(words(&unwritten));
            let most = all.writes.len().saturating_sub(MOST_WRITES);
            all.writes.drain(..most);
        }
        if !self.file.write(&all, seen.as_ref())? {
            return Ok(false);
        }
        let written: Vec<String> = words(&unwritten).collect();
        self.state.lock().written(|change| written.contains(&change.word));
        Ok(true)
    }
}

fn words(unwritten: &Unwritten) -> impl Iterator<Item = String> {
    unwritten.values().flatten().map(|change| change.word.clone())
}

impl State {
    /// Changes that are in the file. What was told while it was written is not.
    fn written(&mut self, is_written: impl Fn(&Change) -> bool) {
        self.unwritten.retain(|_, changes| {
            changes.retain(|change| !is_written(change));
            !changes.is_empty()
        });
    }
}

/// What a file says, with changes made of it.
fn changed(theirs: &Pins, unwritten: &Unwritten) -> Pins {
    let mut all = theirs.clone();
    for (model, changes) in unwritten {
        let mut pins = all.of(model);
        for change in changes {
            (change.make)(&mut pins);
        }
        all.set(model, pins);
    }
    all
}

#[cfg(test)]
mod tests;
