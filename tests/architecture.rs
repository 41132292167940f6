//! The rules of the sources that a machine can check: who imports whom, how a file looks, and how the recipes run cargo.

use std::collections::{BTreeMap, BTreeSet};
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
    let layers: [(&str, &[&str]); 8] = [
        ("api", &["crate::server", "crate::cli"]),
        ("service", &["crate::api", "crate::server", "crate::cli"]),
        (
            "service/pipeline",
            &["crate::service::lifecycle", "crate::service::status"],
        ),
        (
            "service/lifecycle",
            &["crate::service::pipeline", "crate::service::status"],
        ),
        (
            "service/catalog",
            &[
                "crate::service::pipeline",
                "crate::service::lifecycle",
                "crate::service::status",
            ],
        ),
        (
            "service/inference",
            &[
                "crate::service::pipeline",
                "crate::service::lifecycle",
                "crate::service::status",
                "crate::service::catalog",
            ],
        ),
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
fn only_one_folder_fetches_models() {
    let faults = mentions(
        |source| !source.is_under("model/store"),
        &["object_store::", "reqwest::"],
    );
    assert_none("only src/model/store/ uses object_store and reqwest", &faults);
}

#[test]
fn only_one_file_counts_cores() {
    let faults = mentions(|source| source.path != "cores.rs", &["available_parallelism"]);
    assert_none("only src/cores.rs counts cores", &faults);
}

#[test]
fn protocols_stay_at_the_doors() {
    // The last is a client of other servers: of collectors of spans.
    let speaks = ["api", "server", "cli", "telemetry/otlp"];
    let door = |source: &Source| speaks.iter().any(|folder| source.is_under(folder));
    let faults = mentions(
        |source| !door(source),
        &["tonic::", "axum::", "tonic_types::", "hyper_util::"],
    );
    assert_none(
        "tonic, axum and hyper stay in src/api/, src/server/, src/cli/ and src/telemetry/otlp/",
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

/// The module that a file is, by its path under `src/`.
fn module_of(path: &str) -> Vec<String> {
    let path = path.strip_suffix(".rs").unwrap_or(path);
    let path = path.strip_suffix("/mod").unwrap_or(path);
    path.split('/')
        .filter(|part| *part != "lib")
        .map(str::to_owned)
        .collect()
}

/// The paths that the `use` declarations of a file name, braces written out, and those that its other code spells from `crate`, `super` or
/// `self` on.
fn paths_named(source: &Source) -> Vec<String> {
    let mut paths = Vec::new();
    let mut declaration = String::new();
    for (_, line) in source.code() {
        let line = line.trim();
        let begins = ["use ", "pub use ", "pub(super) use ", "pub(crate) use "];
        let begun = begins.iter().find_map(|begin| line.strip_prefix(begin));
        if !declaration.is_empty() || begun.is_some() {
            declaration.push_str(begun.unwrap_or(line));
            declaration.push(' ');
            if let Some((tree, _)) = declaration.split_once(';') {
                spread("", tree, &mut paths);
                declaration.clear();
            }
            continue;
        }
        for start in ["crate::", "super::", "self::"] {
            for (at, _) in line.match_indices(start) {
                let part = |value: char| value.is_alphanumeric() || value == '_' || value == ':';
                let path = line[at..].split(|value| !part(value)).next().unwrap_or_default();
                paths.push(path.trim_end_matches(':').to_owned());
            }
        }
    }
    paths
}

/// Writes out the braces of a tree of imports.
fn spread(before: &str, tree: &str, paths: &mut Vec<String>) {
    let Some((stem, inner)) = tree.split_once('{') else {
        let path = tree.split(" as ").next().unwrap_or_default();
        paths.push(format!("{before}{}", path.trim()));
        return;
    };
    let stem = format!("{before}{}", stem.trim());
    let inner = inner.rsplit_once('}').map_or(inner, |(inner, _)| inner);
    let (mut depth, mut from) = (0, 0);
    for (at, value) in inner.char_indices() {
        match value {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                spread(&stem, inner[from..at].trim(), paths);
                from = at + 1;
            }
            _ => {}
        }
    }
    if !inner[from..].trim().is_empty() {
        spread(&stem, inner[from..].trim(), paths);
    }
}

/// The file that a path leads to, seen from a module: the longest part of it that is a module.
fn leads_to(
    from: &[String],
    path: &str,
    modules: &BTreeMap<Vec<String>, BTreeSet<Vec<String>>>,
) -> Option<Vec<String>> {
    let mut parts: Vec<&str> = path.split("::").filter(|part| !part.is_empty()).collect();
    let mut base = from.to_vec();
    match *parts.first()? {
        "crate" => {
            base.clear();
            parts.remove(0);
        }
        "super" => {
            while parts.first() == Some(&"super") {
                base.pop();
                parts.remove(0);
            }
        }
        "self" => drop(parts.remove(0)),
        first => {
            let child = [&base[..], &[first.to_owned()]].concat();
            modules.get(&child)?;
        }
    }
    let parts: Vec<String> = parts.into_iter().map(str::to_owned).collect();
    (0..=parts.len())
        .rev()
        .map(|length| [&base[..], &parts[..length]].concat())
        .find(|module| modules.contains_key(module))
}

#[test]
fn no_two_files_import_each_other_by_any_way_round() {
    let sources = sources();
    let mut imports: BTreeMap<Vec<String>, BTreeSet<Vec<String>>> = BTreeMap::new();
    for source in &sources {
        imports.insert(module_of(&source.path), BTreeSet::new());
    }
    for source in &sources {
        let module = module_of(&source.path);
        let named = paths_named(source);
        let targets = named.iter().filter_map(|path| leads_to(&module, path, &imports));
        let targets: BTreeSet<_> = targets.filter(|target| *target != module).collect();
        imports.insert(module, targets);
    }
    assert!(
        imports.values().map(BTreeSet::len).sum::<usize>() > 500,
        "imports were found"
    );
    // What imports nothing that is left is in no circle.
    while let Some(free) = imports
        .iter()
        .find(|(_, targets)| targets.is_empty())
        .map(|(module, _)| module.clone())
    {
        imports.remove(&free);
        for targets in imports.values_mut() {
            targets.remove(&free);
        }
    }
    // Nor what nothing imports that is left.
    loop {
        let imported: BTreeSet<_> = imports.values().flatten().cloned().collect();
        let before = imports.len();
        imports.retain(|module, _| imported.contains(module));
        if imports.len() == before {
            break;
        }
    }
    let told = |(module, targets): (&Vec<String>, &BTreeSet<Vec<String>>)| {
        let targets: Vec<String> = targets.iter().map(|target| target.join("::")).collect();
        format!("{} imports {}", module.join("::"), targets.join(", "))
    };
    let faults: Vec<String> = imports.iter().map(told).collect();
    assert_none(
        "these files are in a circle of imports, or between two circles",
        &faults,
    );
}
