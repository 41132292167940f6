//! The pins in use, and their file. Several servers may share the file, on a volume: each then looks at it now and again
//! (`labels_poll_interval`), does what the others were told, and writes only those models of which it was told something
//! itself, while it holds a lock. So no server undoes what another was told meanwhile, but by a command about the same
//! model.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rustix::fs::FlockOperation;
use rustix::io::Errno;

use super::pins::{ModelPins, Pins, beside, file_of, write};
use crate::config::Settings;

/// How long another server may hold the lock of a shared file, and how often it is tried.
const LOCK_PATIENCE: Duration = Duration::from_secs(5);
const LOCK_TRY: Duration = Duration::from_millis(20);

/// The pins in use, and their file; cheap to clone.
#[derive(Clone)]
pub struct PinBook {
    file: Arc<Path>,
    /// Whether other servers write the file too.
    is_shared: bool,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    pins: Pins,
    /// The models about which this server was told something that is not in the file yet.
    unwritten: BTreeSet<String>,
}

impl PinBook {
    /// The pins that were read, and the file that changes are written to.
    pub fn new(settings: &Settings, pins: Pins) -> Self {
        let unwritten = BTreeSet::new();
        Self {
            file: file_of(settings).into(),
            is_shared: !settings.labels_poll_interval.0.is_zero(),
            state: Arc::new(Mutex::new(State { pins, unwritten })),
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

    /// Changes a model's pins, for all who read them from now on; whether they are to be written. Does not write the file.
    pub fn change(&self, model: &str, change: impl FnOnce(&mut ModelPins)) -> bool {
        let mut state = self.state.lock();
        let before = state.pins.of(model);
        let mut pins = before.clone();
        change(&mut pins);
        // With a shared file, what is so here already may be otherwise there.
        let changed = pins != before || self.is_shared;
        if changed {
            state.pins.set(model, pins);
            state.unwritten.insert(model.to_owned());
        }
        changed
    }

    /// Takes over what another server wrote of a model, unless this one was told something of it meanwhile.
    pub fn adopt(&self, model: &str, pins: ModelPins) {
        let mut state = self.state.lock();
        if !state.unwritten.contains(model) {
            state.pins.set(model, pins);
        }
    }

    /// What the file says of models of which this server has something else in use. What it was told itself is written
    /// first. The error is one line. Blocks, as [`PinBook::write`] does.
    pub fn told_elsewhere(&self) -> Result<Vec<(String, ModelPins)>, String> {
        if !self.state.lock().unwritten.is_empty() {
            self.write()?;
        }
        let theirs = Pins::in_file(&self.file)?;
        let state = self.state.lock();
        let theirs = match theirs {
            Some(theirs) => theirs,
            None if state.pins.models.is_empty() => return Ok(Vec::new()),
            // A volume that is not there says nothing of what was told.
            None => return Err(format!("{}: is gone; what it said holds", self.file.display())),
        };
        let models: BTreeSet<&String> = theirs.models.keys().chain(state.pins.models.keys()).collect();
        let differ = models
            .into_iter()
            // Told meanwhile, as a canary's roll-back is: it is written next.
            .filter(|model| !state.unwritten.contains(*model) && theirs.of(model) != state.pins.of(model));
        Ok(differ.map(|model| (model.clone(), theirs.of(model))).collect())
    }

    /// Writes the pins of this moment. The error is for the operator: the pins hold, but a restart would lose them. Blocks,
    /// with no lock of this process held, so that readers don't wait for a slow disk. For one thread only, so that an older
    /// state never takes the place of a newer one.
    pub fn write(&self) -> Result<(), String> {
        let written = if self.is_shared {
            self.write_shared()
        } else {
            self.write_own()
        };
        written.map_err(|error| {
            tracing::warn!(file = %self.file.display(), %error, "labels could not be written, a restart will not know them");
            format!("the labels could not be written ({error}): a restart will not know of this; see labels_file")
        })
    }

    fn write_own(&self) -> io::Result<()> {
        let (pins, told) = self.told_here();
        write(&self.file, &pins)?;
        self.is_written(&pins, &told);
        Ok(())
    }

    /// Puts what this server was told into what the file says now.
    fn write_shared(&self) -> io::Result<()> {
        let _lock = lock(&self.file, Instant::now() + LOCK_PATIENCE)?;
        let (ours, told) = self.told_here();
        let found = Pins::in_file(&self.file).map_err(io::Error::other)?;
        let mut all = found.unwrap_or_else(|| ours.clone());
        for model in &told {
            all.set(model, ours.of(model));
        }
        write(&self.file, &all)?;
        self.is_written(&ours, &told);
        Ok(())
    }

    fn told_here(&self) -> (Pins, BTreeSet<String>) {
        let state = self.state.lock();
        (state.pins.clone(), state.unwritten.clone())
    }

    /// Notes what is in the file now; what was changed while it was written is not.
    fn is_written(&self, written: &Pins, told: &BTreeSet<String>) {
        let mut state = self.state.lock();
        let State { pins, unwritten } = &mut *state;
        unwritten.retain(|model| !told.contains(model) || pins.of(model) != written.of(model));
    }
}

/// Takes the lock of a file that servers share; it ends with what this gives, or with the process.
fn lock(file: &Path, until: Instant) -> io::Result<File> {
    let lock = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(beside(file, ".lock"))?;
    loop {
        match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(lock),
            Err(Errno::WOULDBLOCK) if Instant::now() < until => std::thread::sleep(LOCK_TRY),
            Err(Errno::WOULDBLOCK) => return Err(io::Error::other("another server holds the lock of labels_file")),
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::config::HumanDuration;
    use crate::service::catalog::pins::{CanaryPin, LABELS_FILE, RolledBack};

    fn settings(folder: &Path) -> Settings {
        Settings {
            models: folder.to_owned(),
            ..Settings::default()
        }
    }

    #[test]
    fn what_was_said_is_there_after_a_restart() {
        let folder = tempfile::tempdir().expect("a folder");
        let settings = settings(folder.path());
        let book = PinBook::new(&settings, Pins::default());
        let canary = CanaryPin {
            version: "3".into(),
            share: 0.25,
        };
        book.change("a", |pins| {
            pins.stable = Some("2".into());
            pins.canary = Some(canary.clone());
        });
        book.write().expect("written");
        let read = Pins::read(&settings).expect("read");
        let again = PinBook::new(&settings, read).of("a");
        assert_eq!((again.stable.as_deref(), again.canary), (Some("2"), Some(canary)));
    }

    #[test]
    fn servers_that_share_a_file_undo_nothing_of_each_other() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut settings = settings(folder.path());
        settings.labels_poll_interval = HumanDuration(Duration::from_secs(1));
        let (one, two) = (
            PinBook::new(&settings, Pins::default()),
            PinBook::new(&settings, Pins::default()),
        );
        let stable = |version: &str| ModelPins {
            stable: Some(version.into()),
            ..ModelPins::default()
        };
        one.change("a", |pins| *pins = stable("2"));
        one.write().expect("written");
        // It has not looked at the file since.
        two.change("b", |pins| *pins = stable("7"));
        two.write().expect("written");
        let expected = BTreeMap::from([("a".to_owned(), stable("2")), ("b".to_owned(), stable("7"))]);
        assert_eq!(Pins::read(&settings).expect("read").models, expected);
        assert_eq!(two.told_elsewhere().expect("read"), [("a".to_owned(), stable("2"))]);
        two.adopt("a", stable("2"));
        assert_eq!(two.told_elsewhere().expect("read"), []);
        // What is adopted is not written: the first server may have been told something else meanwhile.
        one.change("a", |pins| *pins = stable("3"));
        one.write().expect("written");
        two.change("b", |pins| *pins = ModelPins::default());
        two.write().expect("written");
        assert_eq!(two.told_elsewhere().expect("read"), [("a".to_owned(), stable("3"))]);
        assert_eq!(one.told_elsewhere().expect("read"), []);
        assert_eq!(Pins::read(&settings).expect("read").models.len(), 1);
        // A file that is gone unpins nothing, and comes back whole.
        std::fs::remove_file(folder.path().join(LABELS_FILE)).expect("removed");
        assert!(one.told_elsewhere().is_err_and(|problem| problem.contains("is gone")));
        one.change("c", |pins| *pins = stable("1"));
        one.write().expect("written");
        let models = Pins::read(&settings).expect("read").models;
        assert!(models.keys().eq(["a", "c"]), "{models:?}");
    }

    #[test]
    fn what_could_not_be_written_is_written_before_the_file_is_followed() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut settings = settings(&folder.path().join("later"));
        settings.labels_poll_interval = HumanDuration(Duration::from_secs(1));
        let book = PinBook::new(&settings, Pins::default());
        book.change("a", |pins| pins.stable = Some("2".into()));
        assert!(book.write().is_err());
        assert!(
            book.told_elsewhere().is_err(),
            "else it would follow what the file said before"
        );
        std::fs::create_dir(&settings.models).expect("a folder");
        assert_eq!(book.told_elsewhere().expect("written and read"), []);
        assert_eq!(
            Pins::read(&settings).expect("read").of("a").stable.as_deref(),
            Some("2")
        );
    }

    #[test]
    fn a_lock_that_another_server_holds_is_waited_for_within_a_bound() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join(LABELS_FILE);
        let held = lock(&file, Instant::now()).expect("the lock");
        let refused = lock(&file, Instant::now()).expect_err("it is held");
        assert!(refused.to_string().contains("another server"), "{refused}");
        drop(held);
        lock(&file, Instant::now()).expect("it is free again");
    }

    #[test]
    fn a_file_that_can_not_be_written_is_a_warning_and_what_was_said_holds() {
        let folder = tempfile::tempdir().expect("a folder");
        let book = PinBook::new(&settings(&folder.path().join("no-such-folder")), Pins::default());
        assert!(book.change("a", |pins| pins.stable = Some("2".into())));
        assert!(
            !book.change("a", |pins| pins.stable = Some("2".into())),
            "it is so already"
        );
        let warning = book.write();
        assert!(warning.expect_err("not written").contains("labels_file"));
        assert_eq!(book.of("a").stable.as_deref(), Some("2"));
    }

    #[test]
    fn a_late_roll_back_leaves_the_next_canary_alone() {
        let canary = |version: &str| {
            Some(CanaryPin {
                version: version.into(),
                share: 0.5,
            })
        };
        let rolled_back = RolledBack {
            version: "2".into(),
            reason: "it failed".into(),
        };
        for (before, after) in [(canary("2"), None), (canary("3"), canary("3")), (None, None)] {
            let mut pins = ModelPins {
                canary: before,
                ..ModelPins::default()
            };
            pins.roll_back(rolled_back.clone());
            assert_eq!((pins.canary, pins.rolled_back.as_ref()), (after, Some(&rolled_back)));
        }
    }

    #[test]
    fn a_broken_file_is_refused_by_name() {
        let folder = tempfile::tempdir().expect("a folder");
        let settings = settings(folder.path());
        for (text, expected) in [
            ("[models.a]\nstabel = \"1\"", "unknown field `stabel`"),
            ("[models.a]\nstable = \"../1\"", "`../1` is no name"),
            (
                "[models.a]\ncanary = { version = \"1\", share = 1.5 }",
                "canary.share must be",
            ),
            (
                "[models.a]\ncanary = { version = \"1\", share = nan }",
                "canary.share must be",
            ),
        ] {
            std::fs::write(folder.path().join(LABELS_FILE), text).expect("written");
            let error = Pins::read(&settings).expect_err(text);
            assert!(error.contains("labels.toml: ") && error.contains(expected), "{error}");
        }
    }
}
