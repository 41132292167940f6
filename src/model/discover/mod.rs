//! Discovery: what a folder without a manifest is, read from the files that exporters leave in it.
//!
//! Reads files; ONNX Runtime is asked only where nothing else can tell (`sklearn_probe.rs`). Says what was found, what was assumed, and what is wrong with the
//! command that puts it right. What can't be known from the files is never made up: it is a note that people read.

mod config_file;
pub mod graph;
mod hugging_face;
mod json;
mod onnx_file;
mod place;
mod sklearn;
mod sklearn_graph;
mod sklearn_probe;
mod sklearn_traps;
mod sklearn_words;
mod tokenizer_files;
mod tokenizer_overrides;
mod tokenizer_special;
mod tokenizer_steps;
mod transformer_inputs;
mod transformer_outputs;

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use super::manifest::{Manifest, Tier, is_name};
use super::{ModelError, paths};
use onnx_file::{ChosenOnnx, Precision};
use place::{Place, Problem};

/// What the folder itself does not say.
#[derive(Clone, Debug)]
pub struct Hints {
    /// The model's name.
    pub name: String,
    /// The model's version.
    pub version: String,
    /// The task that it decides; its own name if absent.
    pub task: Option<String>,
    /// The tier that it serves; if absent, deep for a transformer and fast for a graph that reads strings.
    pub tier: Option<Tier>,
    /// The most tokens that it may read of a text, where somebody said it: overrules the usual bound.
    pub max_tokens: Option<usize>,
    /// The folder that no file may leave, by link or by name: the model's own if absent.
    pub root: Option<PathBuf>,
}

impl Hints {
    /// The hints of a folder that stands alone: `…/<name>/<version>` where the last part is a number, else `…/<name>`; a
    /// snapshot in the cache of Hugging Face is called as its model.
    pub fn of_folder(folder: &Path) -> Self {
        let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_path_buf());
        let part = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned());
        let last = part(&folder).unwrap_or_default();
        let above = folder.parent().and_then(part).unwrap_or_default();
        let numbered = last.parse::<u64>().is_ok() && !above.is_empty();
        let cached = paths::cached(&folder).and_then(part);
        let (name, version) = if let Some(model) = cached {
            (model.rsplit("--").next().unwrap_or_default().to_owned(), "1".to_owned())
        } else if numbered {
            (above, last)
        } else {
            (last, "1".to_owned())
        };
        Self {
            name: as_name(&name),
            version,
            task: None,
            tier: None,
            max_tokens: None,
            root: None,
        }
    }
}

/// A name made of what a folder is called.
pub(super) fn as_name(text: &str) -> String {
    let plain = |value: char| {
        let value = value.to_ascii_lowercase();
        if value.is_ascii_alphanumeric() || value == '_' {
            value
        } else {
            '-'
        }
    };
    let name: String = text.chars().map(plain).collect();
    let name: String = name.trim_matches(['-', '_']).chars().take(63).collect();
    if is_name(&name) { name } else { "model".to_owned() }
}

/// How a note is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoteKind {
    /// The files say so.
    Found,
    /// The files do not say; this is the usual case.
    Assumed,
    /// It serves, and answers some texts otherwise than the model that was trained.
    Doubtful,
    /// It can't serve like this.
    Wrong,
}

/// Something that people should know of a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// How it is meant.
    pub kind: NoteKind,
    /// One line.
    pub text: String,
    /// How to put it right, or how to say it otherwise: one line, a command where there is one.
    pub remedy: Option<String>,
    /// Whether it is to be said before anything else: the meaning of every answer rests on it.
    pub leads: bool,
}

/// The notes on one folder, in the order in which they were taken.
#[derive(Clone, Debug, Default)]
pub struct Notes(Vec<Note>);

impl Notes {
    /// The files say so.
    pub fn found(&mut self, text: impl Into<String>) {
        self.add(NoteKind::Found, text.into(), None);
    }

    /// The files do not say; this is the usual case.
    pub fn assumed(&mut self, text: impl Into<String>, remedy: impl Into<String>) {
        self.add(NoteKind::Assumed, text.into(), Some(remedy.into()));
    }

    /// The files do not say what the answers mean; this is the usual case. Comes before all other notes.
    fn assumed_meaning(&mut self, text: impl Into<String>, remedy: impl Into<String>) {
        let at = self.0.iter().take_while(|note| note.leads).count();
        let note = Note {
            kind: NoteKind::Assumed,
            text: text.into(),
            remedy: Some(remedy.into()),
            leads: true,
        };
        self.0.insert(at, note);
    }

    /// It serves, and answers some texts otherwise than the model that was trained.
    pub fn doubtful(&mut self, text: impl Into<String>, remedy: impl Into<String>) {
        self.add(NoteKind::Doubtful, text.into(), Some(remedy.into()));
    }

    /// It can't serve like this.
    pub fn wrong(&mut self, text: impl Into<String>, remedy: impl Into<String>) {
        self.add(NoteKind::Wrong, text.into(), Some(remedy.into()));
    }

    /// It can't serve because of a problem.
    fn problem(&mut self, problem: Problem) {
        self.wrong(problem.text, problem.remedy);
    }

    fn add(&mut self, kind: NoteKind, text: String, remedy: Option<String>) {
        let leads = false;
        self.0.push(Note {
            kind,
            text,
            remedy,
            leads,
        });
    }
}

/// A folder that can serve.
#[derive(Clone, Debug)]
pub struct Discovered {
    /// What its manifest would say; it has no golden examples.
    pub manifest: Manifest,
    /// What was found and what was assumed.
    pub notes: Vec<Note>,
}

/// What was seen of a folder, whether or not it can serve.
#[derive(Clone, Debug)]
pub struct Examined {
    /// What its manifest would say; nothing if something is wrong.
    pub manifest: Option<Manifest>,
    /// What was found, assumed and wrong.
    pub notes: Vec<Note>,
}

/// Whether a folder looks like somebody meant it to be a model, so that what is wrong with it is worth telling.
pub fn looks_like_model(folder: &Path) -> bool {
    const TELLING: [&str; 4] = [
        "config.json",
        "tokenizer.json",
        "model.safetensors",
        "pytorch_model.bin",
    ];
    TELLING.iter().any(|file| folder.join(file).is_file()) || !onnx_file::candidates(folder).is_empty()
}

/// What a folder without a manifest is. The error is the first thing that is wrong with it, and how to put it right.
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

/// Looks at a folder without a manifest and tells everything that is to be told.
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
    if !place.folder.is_dir() {
        notes.wrong("is not a folder", "name the folder that holds the model");
        return None;
    }
    let files = onnx_file::candidates(place.folder);
    let Some((_, best)) = files.first() else {
        onnx_file::no_onnx(place, notes);
        return None;
    };
    // Where the best of several can't serve, another may; if none can, the best is what is told of.
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

/// The most ONNX files of a folder that are tried.
const MOST_TRIED: usize = 8;

/// Says which of the ONNX files serves, and why.
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

/// What may be done with a graph of unknown kind.
const UNKNOWN: &str = "Tandem serves transformers (input_ids) and scikit-learn pipelines that read the text itself: export the vectorizer together with the classifier";

enum Kind {
    HuggingFace,
    Sklearn,
    Unknown,
}

/// By the graph's inputs: the text itself, or ids of tokens.
fn kind_of(onnx: &ChosenOnnx, place: &Place<'_>) -> Kind {
    if onnx.graph.inputs.iter().any(graph::Port::is_text) {
        Kind::Sklearn
    } else if transformer_inputs::takes_tokens(onnx, place) {
        Kind::HuggingFace
    } else {
        Kind::Unknown
    }
}
