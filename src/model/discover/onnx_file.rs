//! Which of a folder's ONNX files may serve, the best first, and whether one is complete.

use std::path::{Path, PathBuf};

use super::architectures::{CLASSIFIERS, other_kind};
use super::file_names::CONFIG_FILE;
use super::graph::Graph;
use super::notes::Notes;
use super::place::{Place, Problem};
use crate::model::listed_files::beside;
use crate::model::{files, paths};

/// An ONNX file that may serve.
pub(super) struct ChosenOnnx {
    /// Its path in the folder.
    pub file: String,
    pub graph: Graph,
    /// The ONNX file and the files that hold its weights, by their paths in the folder.
    pub files: Vec<String>,
}

/// The most entries of a folder that are looked at.
const MOST_ENTRIES: usize = 10_000;

/// The precision of a model's numbers, as its file name says; the best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Precision {
    /// As trained: 32-bit floats.
    Full,
    /// As trained, with an optimised graph.
    Optimised,
    /// Quantised to 8-bit integers.
    EightBits,
    /// 16-bit floats, which are slow on processors.
    SixteenBits,
    /// Quantised to 4 bits or fewer, for graphics cards and browsers.
    FourBits,
}

impl Precision {
    /// The precision by the words that optimum, sentence-transformers and transformers.js put into file names.
    fn of(file: &str) -> Self {
        let stem = file.rsplit('/').next().unwrap_or(file).trim_end_matches(".onnx");
        let stem = stem.to_ascii_lowercase();
        let words = || stem.split(['_', '-', '.']);
        let any = |known: &[&str]| words().any(|word| known.contains(&word));
        if any(&[
            "q4", "q4f16", "bnb4", "nf4", "fp4", "int4", "uint4", "qint4", "q2", "q1",
        ]) {
            Self::FourBits
        } else if any(&["fp16", "f16", "float16", "half", "bf16", "bfloat16", "o4"]) {
            Self::SixteenBits
        } else if any(&[
            "int8",
            "uint8",
            "qint8",
            "quint8",
            "q8",
            "quantized",
            "quantised",
            "quant",
        ]) {
            Self::EightBits
        } else if any(&["optimized", "optimised", "o1", "o2", "o3"]) {
            Self::Optimised
        } else {
            Self::Full
        }
    }

    /// What people are told about it.
    pub fn told(self) -> &'static str {
        match self {
            Self::Full => "by its name it has full precision, which gives the answers of training",
            Self::Optimised => "by its name it has full precision, optimised",
            Self::EightBits => "by its name it is quantised to 8 bits, so answers differ a little from training's",
            Self::SixteenBits => {
                "by its name it has 16 bits, slow on a processor; answers differ a little from training's"
            }
            Self::FourBits => "by its name it is quantised to 4 bits, so answers differ from training's",
        }
    }
}

/// The names in a folder, at most [`MOST_ENTRIES`]; none if it can't be read.
fn names(folder: &Path) -> impl Iterator<Item = String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .take(MOST_ENTRIES)
        .filter_map(|entry| entry.file_name().into_string().ok())
}

/// The folder's ONNX files, the one to serve first.
pub(super) fn candidates(folder: &Path) -> Vec<(Precision, String)> {
    let mut found: Vec<(Precision, String)> = Vec::new();
    for below in ["", "onnx/"] {
        found.extend(
            names(&folder.join(below))
                // Systems write files of their own whose names begin with a point.
                .filter(|name| {
                    !name.starts_with('.') && Path::new(name).extension().is_some_and(|ending| ending == "onnx")
                })
                .map(|name| (Precision::of(&name), format!("{below}{name}"))),
        );
    }
    // The file name that exporters use comes first, and a file in the folder itself comes before one in `onnx/`.
    found.sort_by_cached_key(|(precision, file)| {
        let name = file.rsplit('/').next().unwrap_or(file);
        (*precision, !name.starts_with("model"), file.contains('/'), file.clone())
    });
    found
}

/// Reads one of the ONNX files; what is wrong goes into the notes.
pub(super) fn open(place: &Place<'_>, file: &str, notes: &mut Notes) -> Option<ChosenOnnx> {
    let read = |scan| {
        let again = "export it again, or copy it again from where it was exported";
        Graph::read(scan).map_err(|problem| Problem::new(format!("{file}: {problem}"), again))
    };
    let graph = match place.scan(file).and_then(read) {
        Ok(graph) => graph,
        Err(problem) => {
            notes.problem(problem);
            return None;
        }
    };
    let mut all = vec![file.to_owned()];
    for location in &graph.external {
        match external(place, file, location) {
            Ok(path) => {
                notes.found(format!("{path}: weights of {file}"));
                all.push(path);
            }
            Err(problem) => notes.problem(problem),
        }
    }
    Some(ChosenOnnx {
        file: file.to_owned(),
        graph,
        files: all,
    })
}

/// The path in the folder of a file with weights: it must be beside the ONNX file or below it.
fn external(place: &Place<'_>, onnx: &str, location: &str) -> Result<String, Problem> {
    let told = |problem: &str, remedy: &str| {
        let text = format!("{onnx} has weights in `{location}`: {problem}");
        Problem::new(text, remedy)
    };
    if !paths::goes_down(location) {
        let remedy = "export it again into an empty folder: exporters name the files beside the ONNX file";
        return Err(told("it must be a relative path without `..`", remedy));
    }
    let file = beside(onnx, location);
    let whole = "copy the whole export: the ONNX file and the files beside it";
    if !place.has(&file) {
        return Err(told("the file is missing", whole));
    }
    place
        .check_is_itself(&file)
        .map_err(|problem| told(&problem.text, &problem.remedy))?;
    Ok(file)
}

/// The endings of files that hold a pipeline as Python objects.
const PICKLED: [&str; 4] = [".joblib", ".pkl", ".pickle", ".skops"];
/// The endings of files that hold a transformer's weights.
const WEIGHTS: [&str; 8] = [
    ".safetensors",
    ".safetensors.index.json",
    ".bin",
    ".bin.index.json",
    ".h5",
    ".msgpack",
    ".pt",
    ".pth",
];

/// Adds the note for a folder without an ONNX file.
pub(super) fn no_onnx(place: &Place<'_>, notes: &mut Notes) {
    let ending = |endings: &[&str]| {
        names(place.folder)
            .filter(|name| endings.iter().any(|ending| name.ends_with(ending)))
            .min()
    };
    if let Some(file) = ending(&PICKLED) {
        notes.wrong(
            format!("there is no ONNX file, but {file}, which only Python can load"),
            "export the pipeline that is in it, the vectorizer together with the classifier: pip install skl2onnx, and the lines of \
             docs/models-sklearn.md",
        );
    } else if let Some(file) = ending(&WEIGHTS) {
        let text = format!("there is no ONNX file, but {file}");
        match other_kind(&architecture(place)) {
            Some(kind) => notes.wrong(
                format!("{text}, of {kind} by {CONFIG_FILE} (architectures)"),
                CLASSIFIERS,
            ),
            None => notes.wrong(text, export(place)),
        }
    } else {
        notes.wrong("there is no ONNX file", "put model.onnx into the folder");
    }
}

/// The command that exports the folder's weights.
fn export(place: &Place<'_>) -> String {
    let folder: PathBuf = place.folder.components().collect();
    let to = match folder.file_name() {
        Some(name) => folder.with_file_name(format!("{}-onnx", name.display())),
        None => folder.join("onnx"),
    };
    format!(
        "export it: pip install 'optimum[onnx]' && optimum-cli export onnx --model {} --task text-classification {}",
        place.quoted(""),
        paths::quoted(&to.display().to_string())
    )
}

/// The name of the architecture; empty if no file has it.
fn architecture(place: &Place<'_>) -> String {
    let config = place.read(CONFIG_FILE, files::MOST_OF_JSON).ok();
    let config: Option<serde_json::Value> = config.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let named = config.as_ref().and_then(|config| config["architectures"][0].as_str());
    named.unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_what_serves_best() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("onnx")).expect("a folder");
        let best_first = [
            "model.onnx",
            "onnx/model.onnx",
            "classifier.onnx",
            "model_optimized.onnx",
            "onnx/model_O2.onnx",
            "model_quantized.onnx",
            "onnx/model_int8.onnx",
            "onnx/model_qint8_avx512_vnni.onnx",
            "onnx/model_uint8.onnx",
            "onnx/model_O4.onnx",
            "onnx/model_fp16.onnx",
            "onnx/model_bnb4.onnx",
            "onnx/model_q4.onnx",
            "onnx/model_q4f16.onnx",
        ];
        for name in best_first.iter().rev().chain(&["._model.onnx", "onnx/model.onnx_data"]) {
            std::fs::write(folder.path().join(name), "").expect("written");
        }
        let found: Vec<String> = candidates(folder.path()).into_iter().map(|(_, file)| file).collect();
        assert_eq!(found, best_first);
    }
}
