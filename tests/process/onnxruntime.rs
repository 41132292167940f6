//! The pinned ONNX Runtime carries no telemetry: the script that looks for it finds none in the library that the build uses, and
//! finds it in a file that has some.

use std::path::Path;

use crate::support::command::{Finished, clean, finish};
use crate::support::root;

fn look(library: &Path) -> Finished {
    let mut command = clean("python3");
    command.arg(root().join("tools/onnxruntime-telemetry.py"));
    finish(command.arg("--library").arg(library), b"")
}

#[test]
fn the_pinned_library_has_no_way_to_send_anything() {
    let library = env!("TANDEM_ORT_BUILD_PATH");
    if library.is_empty() {
        // Whoever builds with a library of their own answers for it.
        return;
    }
    let found = look(Path::new(library)).success();
    assert!(
        found.contains("imports: nothing") && found.contains("strings: nothing"),
        "{found}"
    );
}

#[test]
fn a_library_that_could_send_something_is_told() {
    // A program of our own: it serves, so it imports what opens sockets.
    let found = look(Path::new(env!("CARGO_BIN_EXE_tandem")));
    assert_eq!(found.code, Some(1), "{found:?}");
    assert!(found.stdout.contains("socket"), "{found:?}");
    let nothing = look(Path::new("no-such-file"));
    assert_eq!(nothing.code, Some(2), "{nothing:?}");
}
