//! Which of a folder's ONNX files serves, and whether all of it is there.

use std::path::Path;

use super::graph::Graph;
use super::{Notes, Place};
use crate::model::paths;
use crate::model::repository::beside;

/// The ONNX file that serves.
pub(super) struct ChosenOnnx {
    /// Its path in the folder.
    pub file: String,
    /// What it says of itself.
    pub graph: Graph,
    /// The file and those that its weights lie in, by their paths in the folder.
    pub files: Vec<String>,
}

/// The most files of a folder that are looked at.
const MOST_ENTRIES: usize = 10_000;

/// The names that exporters use, the best first: full precision gives the training framework's answers.
const USUAL: [&str; 6] = [
    "model.onnx",
    "onnx/model.onnx",
    "model_optimized.onnx",
    "model_quantized.onnx",
    "onnx/model_quantized.onnx",
    "onnx/model_optimized.onnx",
];

/// The folder's ONNX files, the one to serve first.
pub(super) fn candidates(folder: &Path) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for below in ["", "onnx/"] {
        let entries = std::fs::read_dir(folder.join(below)).into_iter().flatten().flatten();
        let entries = entries.take(MOST_ENTRIES);
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        found.extend(
            names
                .filter(|name| name.ends_with(".onnx"))
                .map(|name| format!("{below}{name}")),
        );
    }
    found.sort_by_key(|file| {
        let rank = USUAL.iter().position(|usual| usual == file).unwrap_or(USUAL.len());
        (rank, file.clone())
    });
    found
}

/// Chooses the file and reads it.
pub(super) fn choose(place: &Place<'_>, notes: &mut Notes) -> Option<ChosenOnnx> {
    let mut files = candidates(place.folder).into_iter();
    let Some(file) = files.next() else {
        no_onnx(place, notes);
        return None;
    };
    let others: Vec<String> = files.collect();
    if others.is_empty() {
        notes.found(format!("{file}: the ONNX file"));
    } else {
        notes.assumed(
            format!(
                "{file} serves, of several ONNX files: full precision gives the answers of training ({} stay unused)",
                others.join(", ")
            ),
            "to serve another, leave it alone in the folder, or name it in a manifest.toml (onnx.file)",
        );
    }
    let read = |scan| Graph::read(scan).map_err(|problem| format!("{file}: {problem}"));
    let graph = match place.scan(&file).and_then(read) {
        Ok(graph) => graph,
        Err(problem) => {
            notes.wrong(problem, "export or copy it again");
            return None;
        }
    };
    let mut all = vec![file.clone()];
    for location in &graph.external {
        match external(place, &file, location) {
            Ok(path) => {
                notes.found(format!("{path}: weights of {file}"));
                all.push(path);
            }
            Err(problem) => notes.wrong(problem, "copy the whole export: the ONNX file and the files beside it"),
        }
    }
    Some(ChosenOnnx {
        file,
        graph,
        files: all,
    })
}

/// The path in the folder of weights that an ONNX file has elsewhere: they must lie beside or below it.
fn external(place: &Place<'_>, onnx: &str, location: &str) -> Result<String, String> {
    let told = |problem: String| format!("{onnx} has weights in `{location}`: {problem}");
    if !paths::goes_down(location) {
        return Err(told("it must be a relative path without `..`".to_owned()));
    }
    let file = beside(onnx, location);
    if !place.has(&file) {
        return Err(told("the file is missing".to_owned()));
    }
    place.path(&file).map_err(told)?;
    Ok(file)
}

fn no_onnx(place: &Place<'_>, notes: &mut Notes) {
    let weights = [
        "model.safetensors",
        "pytorch_model.bin",
        "tf_model.h5",
        "model.safetensors.index.json",
    ];
    let folder = place.folder.display();
    match weights.iter().find(|file| place.has(file)) {
        Some(file) => notes.wrong(
            format!("there is no ONNX file, but {file}"),
            format!(
                "export it: pip install 'optimum[onnx]' && optimum-cli export onnx --model {folder} --task text-classification {folder}-onnx"
            ),
        ),
        None => notes.wrong("there is no ONNX file", "put model.onnx into the folder"),
    }
}
