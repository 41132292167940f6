//! Tests of the book of pins: what is written, followed and bounded, by one server and by several.

use std::collections::BTreeMap;
use std::path::Path;

use super::*;
use crate::config::HumanDuration;
use crate::service::catalog::pins::{CanaryPin, LABELS_FILE, RolledBack};

fn settings(folder: &Path) -> Settings {
    Settings {
        models: folder.to_owned(),
        ..Settings::default()
    }
}

fn read(settings: &Settings) -> Pins {
    let seen = PinFile::of(settings).read().expect("read");
    seen.map(|seen| seen.pins).unwrap_or_default()
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
    let read = read(&settings);
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
    assert_eq!(read(&settings).models, expected);
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
    assert_eq!(read(&settings).models.len(), 1);
    // A file that is gone unpins nothing, and comes back whole.
    std::fs::remove_file(folder.path().join(LABELS_FILE)).expect("removed");
    assert!(one.told_elsewhere().is_err_and(|problem| problem.contains("is gone")));
    promote(&one, "c", "1");
    one.write().expect("written");
    let models = read(&settings).models;
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
        ..Pins::default()
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
    let file = read(&settings).of("a");
    assert_eq!(file.stable.as_deref(), Some("3"));
    assert_eq!(file.rolled_back.as_ref().map(|back| &*back.version), Some("2"));
    assert_eq!(two.told_elsewhere().expect("read"), [("a".to_owned(), file)]);
    // What is so here already is written too, since the file says otherwise.
    assert!(two.change("a", |pins| pins.stable = Some("1".into())));
    two.write().expect("written");
    assert_eq!(read(&settings).of("a").stable.as_deref(), Some("1"));
}

#[test]
fn what_was_put_though_nobody_said_so_is_not_changed_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut settings = settings(folder.path());
    settings.labels_poll_interval = HumanDuration(Duration::from_secs(1));
    let book = PinBook::new(&settings, Pins::default());
    let promote = |book: &PinBook, version: &'static str| {
        book.change("a", move |pins| {
            pins.previous = pins.stable.replace(version.into());
        });
    };
    promote(&book, "1");
    book.write().expect("written");
    promote(&book, "2");
    let unwritten = book.state.lock().unwritten.clone();
    // As an object after a put whose answer was lost, and of which another server made a change since.
    let mut put = changed(&read(&settings), &unwritten);
    put.writes = words(&unwritten).chain(["of-another".to_owned()]).collect();
    put.set(
        "a",
        ModelPins {
            stable: Some("3".into()),
            previous: Some("2".into()),
            ..ModelPins::default()
        },
    );
    PinFile::of(&settings).write(&put, None).expect("put");
    book.write().expect("written");
    let pins = read(&settings).of("a");
    assert_eq!(
        (pins.previous.as_deref(), pins.stable.as_deref()),
        (Some("2"), Some("3")),
        "what the other server was told later holds"
    );
    assert!(book.state.lock().unwritten.is_empty());
    // What is told now is made of it.
    promote(&book, "4");
    book.write().expect("written");
    let pins = read(&settings).of("a");
    assert_eq!(
        (pins.previous.as_deref(), pins.stable.as_deref()),
        (Some("3"), Some("4"))
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
    assert_eq!(read(&settings).of("a").stable, Some(last));
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
    assert_eq!(read(&settings).of("a").stable.as_deref(), Some("2"));
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
        let error = PinFile::of(&settings).read().err().expect(text);
        assert!(error.contains("labels.toml: ") && error.contains(expected), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
}
