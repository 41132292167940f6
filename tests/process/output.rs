//! What commands do when nobody reads what they write, or it can't be written, and when foreign strings would split or colour it.

use std::process::{Command, Stdio};

use crate::support::command::{complaint_in, finish, tandem};
use crate::support::models::{FAST_ONLY, FastModelCopy};
use crate::support::root;

/// Commands that write to standard output, in their many ways.
fn commands(models: &FastModelCopy) -> Vec<Vec<String>> {
    let model = models.model().to_string_lossy().into_owned();
    let repository = models.repository().to_string_lossy().into_owned();
    let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
    vec![
        words("--version"),
        words("--help"),
        words("serve --help"),
        words("completions bash"),
        words("completions fish"),
        words("serve --print-config"),
        vec!["check".into(), model.clone()],
        vec!["check".into(), "--json".into(), model],
        [
            words("serve --check --models"),
            vec![repository.clone()],
            FAST_ONLY.map(String::from).to_vec(),
        ]
        .concat(),
        [
            words("predict --route fast --models"),
            vec![repository.clone(), "좋다".into()],
        ]
        .concat(),
        [
            words("predict --format jsonl --route fast --models"),
            vec![repository.clone(), "좋다".into()],
        ]
        .concat(),
        [
            words("predict --format csv --route fast --models"),
            vec![repository.clone(), "좋다".into()],
        ]
        .concat(),
        [
            words("predict --explain --models"),
            vec![repository.clone(), "좋다".into()],
        ]
        .concat(),
        [
            words("predict --explain --format jsonl --models"),
            vec![repository, "좋다".into()],
        ]
        .concat(),
    ]
}

#[test]
fn a_reader_that_has_read_enough_is_no_failure_and_a_full_disk_is_one_line_and_exit_1() {
    let models = FastModelCopy::new();
    for args in commands(&models) {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let closed = tandem().args(&args).stdin(Stdio::null()).stdout(writer).output();
        let closed = closed.expect("it runs");
        let told = String::from_utf8_lossy(&closed.stderr).into_owned();
        assert_eq!(closed.status.code(), Some(0), "{args:?}: {told}");
        assert!(told.lines().all(|line| line.starts_with('{')), "{args:?}: {told}");

        let full = std::fs::File::create("/dev/full").expect("the full device");
        let full = tandem().args(&args).stdin(Stdio::null()).stdout(full).output();
        let full = full.expect("it runs");
        let told = String::from_utf8_lossy(&full.stderr).into_owned();
        assert_eq!(full.status.code(), Some(1), "{args:?}: {told}");
        let told: Vec<String> = told.lines().filter_map(complaint_in).collect();
        assert!(
            matches!(&told[..], [line] if line.starts_with("tandem: standard output: ")),
            "{args:?}: {told:?}"
        );
    }
}

#[test]
fn a_complaint_that_nobody_reads_changes_no_exit_code() {
    for args in [&["serve", "--models", "nowhere"][..], &["no-such-command"], &[]] {
        for full in [true, false] {
            let (reader, writer) = std::io::pipe().expect("a pipe");
            drop(reader);
            let stderr: Stdio = if full {
                std::fs::File::create("/dev/full").expect("the full device").into()
            } else {
                writer.into()
            };
            let status = tandem().args(args).stdin(Stdio::null()).stderr(stderr).status();
            assert_eq!(status.expect("it runs").code(), Some(2), "{args:?}");
        }
    }
}

/// What would end a line, colour it, or clear the screen.
const HOSTILE: &str = "a\ntandem: all is well\u{1b}[31m\u{9b}2J\u{85}\u{2028}\u{202e}b";

fn harmless(text: &str) -> bool {
    !text
        .chars()
        .any(|value| value != '\n' && (value.is_control() || matches!(value, '\u{2028}' | '\u{202e}')))
}

#[test]
fn names_neither_split_nor_colour_what_is_said_of_them() {
    let complain: [&[&str]; 4] = [
        &["serve", "--models", HOSTILE],
        &["serve", "--config", HOSTILE],
        &["check", HOSTILE],
        &["serve", "--tokens-file", HOSTILE],
    ];
    for (args, format) in complain.iter().flat_map(|args| [(args, "json"), (args, "pretty")]) {
        let finished = finish(tandem().args(*args).env("TANDEM_LOG_FORMAT", format), b"");
        assert_ne!(finished.code, Some(0), "{args:?}");
        assert!(harmless(&finished.stderr), "{args:?}: {finished:?}");
        assert_eq!(finished.stderr.lines().count(), 1, "{args:?}: {finished:?}");
    }
    let usage = finish(tandem().args(["serve", "--grpc-addr", HOSTILE]), b"");
    assert!(usage.code == Some(2) && harmless(&usage.stderr), "{usage:?}");
    assert!(!usage.stderr.contains("\ntandem: all is well"), "{usage:?}");

    let models = FastModelCopy::new();
    let folder = tempfile::tempdir().expect("a folder");
    let hostile = folder.path().join(HOSTILE);
    std::os::unix::fs::symlink(models.repository(), &hostile).expect("a link");
    for format in ["pretty", "json"] {
        let mut command: Command = tandem();
        command
            .args(["serve", "--check", "--log-filter", "debug", "--log-format", format])
            .args(FAST_ONLY);
        let finished = finish(command.arg("--models").arg(&hostile), b"");
        assert_eq!(finished.code, Some(0), "{finished:?}");
        assert!(harmless(&finished.stderr) && harmless(&finished.stdout), "{finished:?}");
        assert!(!finished.stderr.contains("\ntandem: all is well"), "{finished:?}");
    }
    let model = models.model();
    let inside = hostile.join(model.strip_prefix(models.repository()).expect("inside"));
    let checked = finish(tandem().arg("check").arg(inside), b"").success();
    assert!(harmless(&checked) && checked.contains("\\u001b[31m"), "{checked}");
    assert!(!checked.contains("\ntandem: all is well"), "{checked}");
}

#[test]
fn texts_neither_split_nor_colour_the_lines_of_their_answers() {
    // Not one of the codes that styles are written with.
    let hostile = HOSTILE.replace("[31m", "[35m");
    let models = FastModelCopy::new();
    for args in [
        &["--route", "fast"][..],
        &["--route", "fast", "--scores"],
        &["--route", "fast", "--format", "jsonl"],
        &["--explain"],
        &["--explain", "--format", "jsonl"],
    ] {
        for colours in ["never", "always"] {
            let mut command = tandem();
            command.args(["predict", "--color", colours]).args(args);
            let output = finish(command.arg("--models").arg(models.repository()).arg(&hostile), b"").success();
            assert!(!output.contains("\ntandem: all is well"), "{args:?}: {output}");
            // Without what styles are written with.
            let ours = ["1", "31", "30;42", "30;41", "0"].map(|code| format!("\u{1b}[{code}m"));
            let plain = ours.iter().fold(output.clone(), |left, code| left.replace(code, ""));
            assert!(harmless(&plain), "{args:?}: {output:?}");
            assert_eq!(
                plain == output,
                colours == "never" || args.contains(&"jsonl"),
                "{args:?}"
            );
        }
    }
}

#[test]
fn what_check_says_of_157_labels_fits_a_screen() {
    let folder = tempfile::tempdir().expect("a folder");
    let export = folder.path().join("export");
    std::fs::create_dir(&export).expect("a folder");
    let made = root().join("tests/data/scikit-learn-matrix/157-classes/model.onnx");
    std::fs::copy(made, export.join("model.onnx")).expect("a copy");
    // As it is, while a manifest is written, and with that.
    for more in [&[][..], &["--write-manifest"], &[]] {
        let mut command = tandem();
        command.current_dir(folder.path()).env("COLUMNS", "80");
        let told = finish(command.args(["check", "export"]).args(more), b"").success();
        assert!(told.contains("category-000") && told.contains("157 in all"), "{told}");
        assert!(!told.contains("category-156"), "the list is folded: {told}");
        assert!(told.lines().count() <= 24, "{told}");
        // A remedy may be a command to copy, which is not broken.
        let broken = told.lines().filter(|line| !line.starts_with("  remedy"));
        assert!(broken.into_iter().all(|line| line.chars().count() <= 80), "{told}");
    }
}

#[test]
fn help_is_coloured_where_it_is_asked_for() {
    for args in [
        &["--color", "always", "--help"][..],
        &["predict", "--help", "--color=always"],
    ] {
        let help = finish(tandem().args(args), b"").success();
        assert!(help.contains("\u{1b}["), "{args:?}: {help:?}");
        let plain = args.iter().map(|arg| arg.replace("always", "never"));
        let help = finish(tandem().args(plain), b"").success();
        assert!(!help.contains('\u{1b}'), "{args:?}: {help:?}");
    }
    // After `--` it is a text.
    let text = finish(
        tandem().args(["check", "/nowhere", "--color", "never", "--", "--color=always"]),
        b"",
    );
    assert!(!text.stderr.contains('\u{1b}'), "{text:?}");
}
