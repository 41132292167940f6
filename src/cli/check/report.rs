//! What `tandem check` says: lines for people as it goes, one JSON object for programs at the end.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::cli::output;
use crate::cli::terminal::{Style, breaking_width, folded, width, wrap};
use crate::model::discover::{Note, NoteKind};
use crate::model::loading::golden;
use crate::model::manifest::{Batch, Golden, OWN_GOLDEN, OutputKind};
use crate::model::neighbours::Neighbours;
use crate::model::repository::{MANIFEST_FILE, VerifiedModel};

/// How wide the first column is.
const MARGIN: usize = 13;

/// All that is said of a model; also the JSON.
#[derive(Default, Serialize)]
pub struct Report {
    /// The model's folder.
    pub folder: PathBuf,
    /// Absent where something is wrong.
    pub model: Option<ModelFacts>,
    /// What was found, assumed, doubtful and wrong.
    pub notes: Vec<NoteFacts>,
    /// Which texts share a batch, and how far their answers move; absent where nothing was loaded.
    pub neighbours: Option<NeighbourFacts>,
    /// What came of the golden examples, if there are some.
    pub golden: Option<GoldenFacts>,
    /// The files that were written.
    pub written: Vec<&'static str>,
    /// What ended the check early.
    pub problem: Option<String>,
    /// How long loading took.
    pub seconds: Option<f64>,
    /// ok, doubtful, wrong or failed.
    pub outcome: &'static str,
}

/// What a model is.
#[derive(Serialize)]
pub struct ModelFacts {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The fingerprint of what decides its answers.
    pub fingerprint: String,
    /// The task that it decides.
    pub task: String,
    /// fast or deep.
    pub tier: &'static str,
    /// All of its labels, in the order of its output.
    pub labels: Vec<String>,
    /// How many files it is made of.
    pub files: usize,
    /// Whether a manifest holds each file to its SHA-256.
    pub checksums: bool,
    /// Whether its answers are not meant for use.
    pub stand_in: bool,
}

/// A note of discovery.
#[derive(Serialize)]
pub struct NoteFacts {
    /// found, assumed, doubtful or wrong.
    pub kind: &'static str,
    /// One line.
    pub text: String,
    /// How to put it right.
    pub remedy: Option<String>,
}

/// Which texts share a batch, and why.
#[derive(Serialize)]
pub struct NeighbourFacts {
    /// any, same-length or alone.
    pub batch: Batch,
    /// Whether the manifest says so.
    pub told: bool,
    /// How far an output moved at most among texts of any length; absent where they can't run together.
    pub moved: Option<f32>,
    /// The same among texts of one length.
    pub moved_at_one_length: Option<f32>,
}

impl NeighbourFacts {
    /// The facts.
    pub fn of(neighbours: Neighbours) -> Self {
        let number = |moved: f32| moved.is_finite().then_some(moved);
        Self {
            batch: neighbours.batch,
            told: neighbours.told,
            moved: number(neighbours.mixed),
            moved_at_one_length: number(neighbours.same_length),
        }
    }
}

/// How far answers are from the golden examples.
#[derive(Serialize)]
pub struct GoldenFacts {
    /// How many there are.
    pub examples: usize,
    /// What was compared: logit or probability.
    pub of: &'static str,
    /// How far a text's answer is, alone.
    pub largest_difference: f32,
    /// How far it may be.
    pub tolerance: f32,
    /// How far it is in a batch.
    pub largest_batched_difference: f32,
    /// How far it may be there.
    pub batched_tolerance: f32,
    /// Whether they are by Tandem itself: they detect later change, not a wrong export.
    pub own: bool,
}

impl Report {
    /// How many notes of a kind.
    pub fn count(&self, kind: &str) -> usize {
        self.notes.iter().filter(|note| note.kind == kind).count()
    }
}

impl NoteFacts {
    /// Something that no file says.
    pub fn of_kind(kind: &'static str, text: String) -> Self {
        let remedy = None;
        Self { kind, text, remedy }
    }

    /// The facts.
    pub fn of(note: &Note) -> Self {
        let kind = match note.kind {
            NoteKind::Found => "found",
            NoteKind::Assumed => "assumed",
            NoteKind::Doubtful => "doubtful",
            NoteKind::Wrong => "wrong",
        };
        Self {
            kind,
            text: note.text.clone(),
            remedy: note.remedy.clone(),
        }
    }
}

impl ModelFacts {
    /// The facts.
    pub fn of(verified: &VerifiedModel, checksums: bool) -> Self {
        let manifest = &verified.manifest;
        Self {
            name: manifest.name.clone(),
            version: manifest.version.clone(),
            fingerprint: verified.fingerprint.clone(),
            task: manifest.task.clone(),
            tier: manifest.tier.name(),
            labels: manifest.labels.clone(),
            files: manifest.files.len(),
            checksums,
            stand_in: manifest.stand_in,
        }
    }
}

impl GoldenFacts {
    /// The facts.
    pub fn of(report: golden::Report, golden: &Golden, output_kind: OutputKind) -> Self {
        Self {
            examples: report.examples,
            of: match output_kind {
                OutputKind::Logits => "logit",
                OutputKind::Probabilities => "probability",
            },
            largest_difference: report.largest_difference,
            tolerance: golden.logit_tolerance,
            largest_batched_difference: report.largest_batched_difference,
            batched_tolerance: golden.batched_logit_tolerance,
            own: golden.source == OWN_GOLDEN,
        }
    }
}

/// Writes for people, as it comes; nothing where JSON comes at the end.
pub struct Printer {
    /// Whether JSON comes.
    pub json: bool,
}

impl Printer {
    /// A heading, and what is said under it, in as many lines as it takes.
    pub fn line(&self, heading: &str, text: &str, style: Style) {
        if self.json {
            return;
        }
        // A remedy may be a command: the terminal folds it, so that it is copied whole.
        let columns = match heading.trim_start() {
            "remedy" => usize::MAX,
            _ => breaking_width().saturating_sub(MARGIN),
        };
        for (at, part) in wrap(text, columns).iter().enumerate() {
            let heading = if at == 0 { heading } else { "" };
            let mut line = style.paint(heading);
            line.push(Style::Plain, &" ".repeat(MARGIN.saturating_sub(heading.len())));
            line.push_line(part);
            output::painted(&line);
        }
    }

    /// What the model is.
    pub fn model(&self, facts: &ModelFacts, folder: &Path) {
        let ModelFacts { name, version, .. } = facts;
        self.line(
            "model",
            &format!("{name}@{version} ({})", folder.display()),
            Style::Bold,
        );
        self.line("task", &format!("{}, tier {}", facts.task, facts.tier), Style::Plain);
        let room = 2 * (width().saturating_sub(MARGIN)) - 20;
        let labels = folded(facts.labels.iter().map(String::as_str), room);
        self.line("labels", &labels, Style::Plain);
        self.line("fingerprint", &facts.fingerprint, Style::Plain);
        match (facts.checksums, facts.files) {
            (true, files) => self.line("files", &format!("{files} with the right SHA-256"), Style::Plain),
            (false, files) => {
                let text = format!("{files}, without a SHA-256 to hold them to: there is no {MANIFEST_FILE}");
                self.line("files", &text, Style::Plain);
            }
        }
        if facts.stand_in {
            self.line("stand-in", "its answers are not meant for use", Style::Doubtful);
        }
    }

    /// What matters most comes first.
    pub fn notes(&self, notes: &[NoteFacts]) {
        for (kind, style) in [
            ("wrong", Style::Bad),
            ("doubtful", Style::Doubtful),
            ("assumed", Style::Bold),
            ("found", Style::Plain),
        ] {
            for note in notes.iter().filter(|note| note.kind == kind) {
                self.line(kind, &note.text, style);
                if let Some(remedy) = &note.remedy {
                    self.line("  remedy", remedy, Style::Plain);
                }
            }
        }
    }

    /// What came of the golden examples.
    pub fn golden(&self, golden: &GoldenFacts) {
        self.line(
            "golden",
            &format!("{} examples, ids identical", golden.examples),
            Style::Plain,
        );
        let of = golden.of;
        for (heading, difference, tolerance) in [
            ("  alone", golden.largest_difference, golden.tolerance),
            ("  batched", golden.largest_batched_difference, golden.batched_tolerance),
        ] {
            let text = format!("largest {of} difference {difference:.2e}, tolerance {tolerance:.2e}");
            self.line(heading, &text, Style::Plain);
        }
        if golden.own {
            self.line(
                "  source",
                "Tandem itself: they detect later change, not a wrong export",
                Style::Plain,
            );
        }
    }

    /// How it ended.
    pub fn verdict(&self, doubtful: usize, taken: &str) {
        match doubtful {
            0 => self.line("ok", &format!("in {taken}"), Style::Good),
            1 => self.line(
                "doubtful",
                &format!("it serves, with 1 doubt, see above; in {taken}"),
                Style::Doubtful,
            ),
            many => self.line(
                "doubtful",
                &format!("it serves, with {many} doubts, see above; in {taken}"),
                Style::Doubtful,
            ),
        }
    }
}
