//! The rules of the sources that a machine can check: who imports whom, how a file looks, and how the recipes run cargo.

use std::fs;
use std::path::{Path, PathBuf};

/// A source file.
struct Source {
    /// Its path under `src/`, with forward slashes.
    path: String,
    /// Its lines.
    lines: Vec<String>,
}

impl Source {
    /// The lines that are code: no comments, and nothing from `#[cfg(test)] mod` on, which closes a file.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        self.lines
            .iter()
            .map(String::as_str)
            .enumerate()
            .take_while(|(_, line)| line.trim() != "#[cfg(test)]")
            .filter(|(_, line)| !line.trim_start().starts_with("//"))
    }

    fn is_under(&self, folder: &str) -> bool {
        self.path.starts_with(&format!("{folder}/"))
    }
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut sources = Vec::new();
    collect(&root, &root, &mut sources);
    assert!(sources.len() > 40, "the sources were found");
    sources
}

fn collect(root: &Path, folder: &Path, sources: &mut Vec<Source>) {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            collect(root, &path, sources);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("text");
            let relative = path.strip_prefix(root).expect("it is under the root");
            sources.push(Source {
                path: relative.to_string_lossy().replace('\\', "/"),
                lines: text.lines().map(str::to_owned).collect(),
            });
        }
    }
}

/// Fails with every place at fault.
fn assert_none(rule: &str, faults: &[String]) {
    assert!(faults.is_empty(), "{rule}:\n{}", faults.join("\n"));
}

/// Whether a line holds `word` where no longer name ends in it.
fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|before| before.is_alphanumeric() || before == '_') || word.starts_with('.')
    })
}

/// The places where the code of files that `applies` picks mentions one of `words`.
fn mentions(applies: impl Fn(&Source) -> bool, words: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for source in sources().iter().filter(|source| applies(source)) {
        for (at, line) in source.code() {
            if words.iter().any(|word| has_word(line, word)) {
                found.push(format!("src/{}:{}: {}", source.path, at + 1, line.trim()));
            }
        }
    }
    found
}

#[test]
fn imports_go_from_the_doors_to_the_models() {
    // Each layer, and what it must not know: whatever stands above it.
    let layers: [(&str, &[&str]); 4] = [
        ("api", &["crate::server", "crate::cli"]),
        ("service", &["crate::api", "crate::server", "crate::cli"]),
        (
            "batching",
            &["crate::service", "crate::api", "crate::server", "crate::cli"],
        ),
        (
            "model",
            &[
                "crate::batching",
                "crate::service",
                "crate::api",
                "crate::server",
                "crate::cli",
            ],
        ),
    ];
    for (layer, above) in layers {
        let faults = mentions(|source| source.is_under(layer), above);
        assert_none(&format!("src/{layer}/ must not import what stands above it"), &faults);
    }
}

#[test]
fn the_doors_share_what_knows_none_of_them() {
    let shared = |source: &Source| {
        let file = source.path.strip_prefix("api/");
        file.is_some_and(|file| !file.contains('/') && file != "mod.rs")
    };
    let faults = mentions(
        shared,
        &["super::grpc", "super::http", "crate::api::grpc", "crate::api::http"],
    );
    assert_none("what the doors share must not import a door", &faults);
    let faults = mentions(|source| source.is_under("api/grpc"), &["crate::api::http"]);
    assert_none("the gRPC door must not import the HTTP one", &faults);
}

#[test]
fn imports_from_the_crate_are_written_out() {
    let faults = mentions(|_| true, &["use crate::{", "super::super::"]);
    assert_none(
        "one `use crate::module` a line, so that the direction can be read",
        &faults,
    );
}

#[test]
fn only_one_folder_knows_onnx_runtime() {
    let faults = mentions(|source| !source.is_under("model/onnx"), &["ort::"]);
    assert_none("only src/model/onnx/ uses ort", &faults);
}

#[test]
fn protocols_stay_at_the_doors() {
    let door = |source: &Source| ["api", "server", "cli"].iter().any(|folder| source.is_under(folder));
    let faults = mentions(
        |source| !door(source),
        &["tonic::", "axum::", "tonic_types::", "hyper_util::"],
    );
    assert_none(
        "tonic, axum and hyper stay in src/api/, src/server/ and src/cli/",
        &faults,
    );
}

#[test]
fn no_code_outside_tests_unwraps() {
    let faults = mentions(|_| true, &[".unwrap()", "todo!(", "unimplemented!(", "dbg!("]);
    assert_none("`expect` says why it can't happen; unwrap says nothing", &faults);
}

#[test]
fn every_file_opens_with_its_job() {
    let opens = |source: &&Source| source.lines.first().is_some_and(|line| line.starts_with("//! "));
    let faults: Vec<String> = sources()
        .iter()
        .filter(|source| !opens(source))
        .map(|source| source.path.clone())
        .collect();
    assert_none("every file opens with `//!`: its job, and what it must not do", &faults);
}

#[test]
fn no_file_is_longer_than_a_reader_can_hold() {
    let faults: Vec<String> = sources()
        .iter()
        .filter(|source| source.lines.len() > 400)
        .map(|source| format!("src/{}: {} lines", source.path, source.lines.len()))
        .collect();
    assert_none("a file has at most 400 lines", &faults);
}

#[test]
fn every_recipe_is_phony_and_builds_what_is_locked() {
    let read = |file: &str| fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).expect("text");
    let (makefile, ci) = (read("Makefile"), read(".ci/run"));
    let recipe = |line: &str| {
        let (name, _) = line.split_once(':')?;
        let is_name = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
        is_name.then(|| name.to_owned())
    };
    let mut recipes: Vec<String> = makefile.lines().filter_map(recipe).collect();
    recipes.sort();
    let mut phony: Vec<&str> = makefile
        .lines()
        .find_map(|line| line.strip_prefix(".PHONY:"))
        .expect("there is a list")
        .split_whitespace()
        .collect();
    phony.sort_unstable();
    assert_eq!(phony, recipes, "the recipes of the Makefile, and its .PHONY");
    // README's test command is run as it stands there.
    let may_change_the_lock = |line: &&str| {
        let runs_cargo = line.contains("cargo ") && !line.trim_start().starts_with('#') && !line.contains("cargo fmt");
        runs_cargo && !line.contains("--locked") && *line != "step cargo test"
    };
    let faults: Vec<String> = makefile
        .lines()
        .chain(ci.lines())
        .filter(may_change_the_lock)
        .map(str::to_owned)
        .collect();
    assert_none("cargo is run with --locked", &faults);
}
