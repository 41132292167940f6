//! The pins in use, and their file. Several servers may share the file, on a volume: each then looks at it now and again
//! (`labels_poll_interval`), does what the others were told, and makes what it was told itself of what the file says at that
//! moment, while it holds a lock. So a server that has not looked for a while undoes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::pin_lock::lock;
use super::pins::{ModelPins, Pins, file_of, write};
use crate::config::Settings;

/// How long another server may hold the lock of a shared file. A write takes milliseconds.
const LOCK_PATIENCE: Duration = Duration::from_secs(1);
/// The most changes of a model that wait to be written one by one; with more, what they come to is written.
const MOST_CHANGES: usize = 16;

/// A change of a model's pins, which can be made of any state of them.
type Change = Arc<dyn Fn(&mut ModelPins) + Send + Sync>;

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
    /// What this server was told and is not in the file yet, by model, in order.
    unwritten: BTreeMap<String, Vec<Change>>,
}

impl PinBook {
    /// The pins that were read, and the file that changes are written to.
    pub fn new(settings: &Settings, pins: Pins) -> Self {
        let unwritten = BTreeMap::new();
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
            *changes = vec![Arc::new(move |other: &mut ModelPins| *other = pins.clone())];
        } else {
            changes.push(Arc::new(change));
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
        let named = |error: io::Error| format!("{}: {error}", self.file.display());
        if !self.state.lock().unwritten.is_empty() {
            self.write_until(Instant::now()).map_err(named)?;
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
            .filter(|model| !state.unwritten.contains_key(*model) && theirs.of(model) != state.pins.of(model));
        Ok(differ.map(|model| (model.clone(), theirs.of(model))).collect())
    }

    /// Writes the pins of this moment. The error is for the operator: the pins hold, but a restart would lose them. Blocks,
    /// with no lock of this process held, so that readers don't wait for a slow disk. For one thread only, so that an older
    /// state never takes the place of a newer one.
    pub fn write(&self) -> Result<(), String> {
        self.write_until(Instant::now() + LOCK_PATIENCE).map_err(|error| {
            tracing::warn!(file = %self.file.display(), %error, "labels could not be written, a restart will not know them");
            format!("the labels could not be written ({error}): a restart will not know of this; see labels_file")
        })
    }

    /// Writes the pins of this moment; those of a shared file once it has its lock, which it waits for until then.
    fn write_until(&self, until: Instant) -> io::Result<()> {
        let _lock = self.is_shared.then(|| lock(&self.file, until)).transpose()?;
        let (ours, unwritten) = {
            let state = self.state.lock();
            (state.pins.clone(), state.unwritten.clone())
        };
        let mut all = ours;
        // A file that is gone comes back whole.
        if self.is_shared
            && let Some(theirs) = Pins::in_file(&self.file).map_err(io::Error::other)?
        {
            all = theirs;
            for (model, changes) in &unwritten {
                let mut pins = all.of(model);
                for change in changes {
                    change(&mut pins);
                }
                all.set(model, pins);
            }
        }
        write(&self.file, &all)?;
        let mut state = self.state.lock();
        state.unwritten.retain(|model, changes| {
            let written = unwritten.get(model).map_or(&[][..], Vec::as_slice);
            // What was told while it was written is not in the file.
            changes.retain(|change| !written.iter().any(|written| Arc::ptr_eq(written, change)));
            !changes.is_empty()
        });
        Ok(())
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
        let given = canary.clone();
        book.change("a", move |pins| {
            pins.stable = Some("2".into());
            pins.canary = Some(given.clone());
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
        let promote = |book: &PinBook, model: &str, version: &'static str| {
            book.change(model, move |pins| pins.stable = Some(version.into()));
        };
        promote(&one, "a", "2");
        one.write().expect("written");
        // It has not looked at the file since.
        promote(&two, "b", "7");
        two.write().expect("written");
        let expected = BTreeMap::from([("a".to_owned(), stable("2")), ("b".to_owned(), stable("7"))]);
        assert_eq!(Pins::read(&settings).expect("read").models, expected);
        assert_eq!(two.told_elsewhere().expect("read"), [("a".to_owned(), stable("2"))]);
        two.adopt("a", stable("2"));
        assert_eq!(two.told_elsewhere().expect("read"), []);
        // What is adopted is not written: the first server may have been told something else meanwhile.
        promote(&one, "a", "3");
        one.write().expect("written");
        two.change("b", |pins| *pins = ModelPins::default());
        two.write().expect("written");
        assert_eq!(two.told_elsewhere().expect("read"), [("a".to_owned(), stable("3"))]);
        assert_eq!(one.told_elsewhere().expect("read"), []);
        assert_eq!(Pins::read(&settings).expect("read").models.len(), 1);
        // A file that is gone unpins nothing, and comes back whole.
        std::fs::remove_file(folder.path().join(LABELS_FILE)).expect("removed");
        assert!(one.told_elsewhere().is_err_and(|problem| problem.contains("is gone")));
        promote(&one, "c", "1");
        one.write().expect("written");
        let models = Pins::read(&settings).expect("read").models;
        assert!(models.keys().eq(["a", "c"]), "{models:?}");
    }

    #[test]
    fn a_server_that_has_not_looked_makes_its_change_of_what_the_file_says() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut settings = settings(folder.path());
        settings.labels_poll_interval = HumanDuration(Duration::from_secs(1));
        let canary = CanaryPin {
            version: "2".into(),
            share: 0.5,
        };
        let before = ModelPins {
            stable: Some("1".into()),
            canary: Some(canary),
            ..ModelPins::default()
        };
        let pins = Pins {
            models: [("a".to_owned(), before.clone())].into(),
        };
        let (one, two) = (PinBook::new(&settings, pins.clone()), PinBook::new(&settings, pins));
        // An operator promotes a version at one, and the other rolls its canary back before it hears of that.
        one.change("a", |pins| {
            pins.canary = None;
            pins.stable = Some("3".into());
        });
        one.write().expect("written");
        two.change("a", |pins| {
            pins.roll_back(RolledBack {
                version: "2".into(),
                reason: "it failed".into(),
            });
        });
        two.adopt("a", before);
        assert_eq!(two.of("a").canary, None, "what was told meanwhile is not overwritten");
        two.write().expect("written");
        let file = Pins::read(&settings).expect("read").of("a");
        assert_eq!(file.stable.as_deref(), Some("3"));
        assert_eq!(file.rolled_back.as_ref().map(|back| &*back.version), Some("2"));
        assert_eq!(two.told_elsewhere().expect("read"), [("a".to_owned(), file)]);
        // What is so here already is written too, since the file says otherwise.
        assert!(two.change("a", |pins| pins.stable = Some("1".into())));
        two.write().expect("written");
        assert_eq!(
            Pins::read(&settings).expect("read").of("a").stable.as_deref(),
            Some("1")
        );
    }

    #[test]
    fn what_waits_to_be_written_is_bounded() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut settings = settings(&folder.path().join("later"));
        settings.labels_poll_interval = HumanDuration(Duration::from_secs(1));
        let book = PinBook::new(&settings, Pins::default());
        for version in 0..5 * MOST_CHANGES {
            book.change("a", move |pins| pins.stable = Some(version.to_string()));
            assert!(book.state.lock().unwritten["a"].len() <= MOST_CHANGES);
        }
        std::fs::create_dir(&settings.models).expect("a folder");
        book.write().expect("written");
        let last = (5 * MOST_CHANGES - 1).to_string();
        assert_eq!(Pins::read(&settings).expect("read").of("a").stable, Some(last));
        assert!(book.state.lock().unwritten.is_empty());
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
            ("[models.\"a\\nb\"]", "models.a\u{fffd}b: `a\u{fffd}b` is no name"),
        ] {
            std::fs::write(folder.path().join(LABELS_FILE), text).expect("written");
            let error = Pins::read(&settings).expect_err(text);
            assert!(error.contains("labels.toml: ") && error.contains(expected), "{error}");
            assert_eq!(error.lines().count(), 1, "{error}");
        }
    }
}
