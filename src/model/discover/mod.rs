//! Discovery: finds out what a folder without a manifest is, from the files that exporters write.
//!
//! Reads files, and asks ONNX Runtime only what no file can tell (`sklearn_probe.rs`). Says what it found, what it
//! assumed, and what is wrong, with the command that repairs it. It never makes up what the files can't tell: that
//! becomes a note for people.
//!
//! In reading order: `hints.rs`, `place.rs` and `notes.rs` (a folder, its files, what people are told) → `onnx_file.rs`
//! and [`graph`] (the ONNX file) → `hugging_face.rs` with the `transformer_`, `tokenizer_` and `config_file` modules →
//! `sklearn.rs` with those that begin with `sklearn_`.

mod architectures;
mod config_file;
mod file_names;
pub mod graph;
mod hints;
mod hugging_face;
mod json_file;
mod notes;
mod onnx_file;
mod place;
mod sklearn;
mod sklearn_facts;
mod sklearn_graph;
mod sklearn_probe;
mod sklearn_traps;
mod sklearn_tries;
mod sklearn_words;
mod tokenizer_files;
mod tokenizer_overrides;
mod tokenizer_special;
mod tokenizer_steps;
mod transformer_inputs;
mod transformer_outputs;

use std::cell::RefCell;
use std::io;
use std::path::Path;

use super::manifest::Manifest;
use super::model_error::ModelError;
pub use hints::Hints;
pub(super) use hints::as_name;
pub use notes::{Note, NoteKind, Notes};
use onnx_file::{ChosenOnnx, Precision};
use place::Place;

/// A folder without a manifest that can serve.
#[derive(Clone, Debug)]
pub struct Discovered {
    /// The manifest that it could have; without golden examples.
    pub manifest: Manifest,
    /// What was found and what was assumed.
    pub notes: Vec<Note>,
}

/// What discovery knows about a folder, whether or not it can serve.
#[derive(Clone, Debug)]
pub struct Examined {
    /// The manifest that it could have; `None` if something is wrong.
    pub manifest: Option<Manifest>,
    /// What was found, assumed and wrong.
    pub notes: Vec<Note>,
}

/// Whether somebody seems to have meant the folder to be a model, so that people should be told what is wrong with it.
pub fn looks_like_model(folder: &Path) -> bool {
    const TELLING: [&str; 4] = [
        "config.json",
        "tokenizer.json",
        "model.safetensors",
        "pytorch_model.bin",
    ];
    TELLING.iter().any(|file| folder.join(file).is_file()) || !onnx_file::candidates(folder).is_empty()
}

/// Finds out what a folder without a manifest is. The error is the first thing that is wrong with it, and its remedy.
pub fn discover(folder: &Path, hints: &Hints) -> Result<Discovered, ModelError> {
    let Examined { manifest, notes } = examine(folder, hints);
    if let Some(manifest) = manifest {
        return Ok(Discovered { manifest, notes });
    }
    let wrong = notes.into_iter().find(|note| note.kind == NoteKind::Wrong);
    let problem = wrong.map_or_else(
        || "is no model that Tandem knows".to_owned(),
        |note| match note.remedy {
            Some(remedy) => format!("{}; {remedy}", note.text),
            None => note.text,
        },
    );
    Err(ModelError::new(folder, problem))
}

/// Looks at a folder without a manifest and gives all notes on it.
pub fn examine(folder: &Path, hints: &Hints) -> Examined {
    let mut notes = Notes::default();
    let root = hints.root.as_deref().unwrap_or(folder);
    let place = Place {
        folder,
        root,
        hints,
        sums: RefCell::default(),
    };
    let manifest = examine_place(&place, &mut notes);
    let manifest = manifest.filter(|_| !notes.0.iter().any(|note| note.kind == NoteKind::Wrong));
    let manifest = manifest.and_then(|manifest| match manifest.check() {
        Ok(()) => Some(manifest),
        Err(problem) => {
            notes.wrong(problem, "write a manifest.toml by hand (docs/models.md)");
            None
        }
    });
    Examined {
        manifest,
        notes: notes.0,
    }
}

fn examine_place(place: &Place<'_>, notes: &mut Notes) -> Option<Manifest> {
    match std::fs::read_dir(place.folder) {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            notes.problem(place.unreadable("", error));
            return None;
        }
        Err(_) => {
            notes.wrong("is not a folder", "name the folder that holds the model");
            return None;
        }
    }
    let files = onnx_file::candidates(place.folder);
    let Some((_, best)) = files.first() else {
        onnx_file::no_onnx(place, notes);
        return None;
    };
    // If the best of several files can't serve, another one may; if none can, the notes are about the best.
    let mut of_best = None;
    for (at, (precision, file)) in files.iter().take(MOST_TRIED).enumerate() {
        let mut own = Notes::default();
        let manifest = examine_file(place, file, &mut own);
        let wrong = own.0.iter().find(|note| note.kind == NoteKind::Wrong);
        match (manifest, wrong) {
            (Some(manifest), None) => {
                note_choice(&files, at, *precision, of_best.as_ref(), notes);
                notes.0.extend(own.0);
                notes.0.sort_by_key(|note| !note.leads);
                return Some(manifest);
            }
            _ => drop(of_best.get_or_insert(own)),
        }
    }
    notes.found(format!("{best}: the ONNX file"));
    notes.0.extend(of_best.unwrap_or_default().0);
    None
}

/// The most ONNX files of a folder that discovery tries.
const MOST_TRIED: usize = 8;

/// Adds a note that says which of the ONNX files serves, and why.
fn note_choice(
    files: &[(Precision, String)],
    chosen: usize,
    precision: Precision,
    of_best: Option<&Notes>,
    notes: &mut Notes,
) {
    let file = &files[chosen].1;
    let others: Vec<&str> = files
        .iter()
        .map(|(_, other)| other.as_str())
        .filter(|other| other != file)
        .collect();
    if others.is_empty() {
        notes.found(match precision {
            Precision::Full => format!("{file}: the ONNX file"),
            _ => format!("{file}: the ONNX file; {}", precision.told()),
        });
        return;
    }
    let told = precision.told();
    notes.assumed(
        format!(
            "{file} serves, of several ONNX files: {told} ({} stay unused)",
            others.join(", ")
        ),
        "to serve another, leave it alone in the folder, or name it in a manifest.toml (onnx.file)",
    );
    let wrong = of_best.and_then(|notes| notes.0.iter().find(|note| note.kind == NoteKind::Wrong));
    if let Some(Note { text, remedy, .. }) = wrong {
        let remedy = remedy.clone().unwrap_or_default();
        notes.assumed(format!("{} can't serve: {text}", files[0].1), remedy);
    }
}

fn examine_file(place: &Place<'_>, file: &str, notes: &mut Notes) -> Option<Manifest> {
    let onnx = onnx_file::open(place, file, notes)?;
    match kind_of(&onnx, place) {
        Kind::HuggingFace => hugging_face::examine(place, &onnx, notes),
        Kind::Sklearn => sklearn::examine(place, &onnx, notes),
        Kind::Unknown => {
            let names: Vec<&str> = onnx.graph.inputs.iter().map(|input| input.name.as_str()).collect();
            notes.wrong(
                format!(
                    "{file}: it reads neither ids of tokens nor texts; its inputs are {}",
                    names.join(", ")
                ),
                UNKNOWN,
            );
            None
        }
    }
}

/// The remedy for a graph of unknown kind.
const UNKNOWN: &str = "Tandem serves transformers (input_ids) and scikit-learn pipelines that read the text itself: export the vectorizer together with the classifier";

enum Kind {
    HuggingFace,
    Sklearn,
    Unknown,
}

/// The kind of model, by the graph's inputs: the text itself, or ids of tokens.
fn kind_of(onnx: &ChosenOnnx, place: &Place<'_>) -> Kind {
    if onnx.graph.inputs.iter().any(graph::Port::is_text) {
        Kind::Sklearn
    } else if transformer_inputs::takes_tokens(onnx, place) {
        Kind::HuggingFace
    } else {
        Kind::Unknown
    }
}
