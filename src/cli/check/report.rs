//! Report of `tandem check`: lines for people as it goes, one JSON object for programs at the end.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::cli::output;
use crate::cli::terminal::{Style, breaking_width, folded, width, wrap};
use crate::model::discover::{Note, NoteKind};
use crate::model::loading::golden;
use crate::model::manifest::{Batch, Golden, OWN_GOLDEN, OutputKind};
use crate::model::neighbours::Neighbours;
use crate::model::providers::Assigned;
use crate::model::repository::{MANIFEST_FILE, VerifiedModel};

/// The width of the first column.
const MARGIN: usize = 13;

/// Everything that is reported of a model. Its fields are also those of the JSON.
#[derive(Default, Serialize)]
pub struct Report {
    pub folder: PathBuf,
    /// Where the model was fetched from, and how much; absent if it is in a folder of this machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fetched: Option<String>,
    /// Absent if the model can't be read.
    pub model: Option<ModelFacts>,
    /// What was found, assumed, doubtful and wrong.
    pub notes: Vec<NoteFacts>,
    /// Which texts may share a batch; absent if nothing was loaded.
    pub neighbours: Option<NeighbourFacts>,
    /// The result of the golden examples; absent if there are none.
    pub golden: Option<GoldenFacts>,
    /// The files that were written.
    pub written: Vec<&'static str>,
    /// What runs it.
    pub execution_providers: Vec<ProviderFacts>,
    /// Why the check ended early; absent if it did not.
    pub problem: Option<String>,
    /// How long loading took.
    pub seconds: Option<f64>,
    /// ok, doubtful, wrong or failed.
    pub outcome: &'static str,
}

#[derive(Serialize)]
pub struct ModelFacts {
    pub name: String,
    pub version: String,
    /// The fingerprint of the files and settings that its answers depend on.
    pub fingerprint: String,
    /// The task that its labels belong to.
    pub task: String,
    /// `fast` or `deep`.
    pub tier: &'static str,
    /// Its labels, in the order of its outputs.
    pub labels: Vec<String>,
    /// The number of its files.
    pub files: usize,
    /// Whether a manifest lists the SHA-256 of each file.
    pub checksums: bool,
    /// Whether it is a stand-in, whose answers are not meant for use.
    pub stand_in: bool,
}

/// What runs the model, or a part of it.
#[derive(Serialize)]
pub struct ProviderFacts {
    /// An execution provider, or `native`.
    pub name: String,
    /// How many nodes of the graph it runs; absent where it runs all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nodes: Option<usize>,
}

impl ProviderFacts {
    pub fn of(assigned: &Assigned) -> Self {
        Self {
            name: assigned.provider.clone(),
            nodes: assigned.nodes,
        }
    }
}

/// A note of discovery.
#[derive(Serialize)]
pub struct NoteFacts {
    /// `found`, `assumed`, `doubtful` or `wrong`.
    pub kind: &'static str,
    /// One line.
    pub text: String,
    /// How to fix it.
    pub remedy: Option<String>,
}

/// Which texts share a batch, and why.
#[derive(Serialize)]
pub struct NeighbourFacts {
    /// `any`, `same-length` or `alone`.
    pub batch: Batch,
    /// Whether the manifest says it.
    pub told: bool,
    /// How far an output moved, at most, in a batch with texts of any length; absent if such texts can't share a batch.
    pub moved: Option<f32>,
    /// The same in a batch with texts of the same length.
    pub moved_at_one_length: Option<f32>,
}

impl NeighbourFacts {
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

/// How far the answers are from the golden examples.
#[derive(Serialize)]
pub struct GoldenFacts {
    /// The number of examples.
    pub examples: usize,
    /// What was compared: `logit` or `probability`.
    pub of: &'static str,
    /// The largest difference when each text runs alone.
    pub largest_difference: f32,
    /// The largest that is allowed.
    pub tolerance: f32,
    /// The largest difference in a batch.
    pub largest_batched_difference: f32,
    /// The largest that is allowed there.
    pub batched_tolerance: f32,
    /// Whether Tandem itself wrote the examples. Such examples detect later change, but not a wrong export.
    pub own: bool,
}

impl Report {
    /// The number of notes of a kind.
    pub fn count(&self, kind: &str) -> usize {
        self.notes.iter().filter(|note| note.kind == kind).count()
    }
}

impl NoteFacts {
    /// A note about something that no file says.
    pub fn of_kind(kind: &'static str, text: String) -> Self {
        let remedy = None;
        Self { kind, text, remedy }
    }

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

/// Prints for people as the check goes on; nothing if JSON is printed at the end.
pub struct Printer {
    /// Whether JSON is printed at the end.
    pub json: bool,
}

impl Printer {
    /// A heading, with a text next to it on as many lines as it takes.
    pub fn line(&self, heading: &str, text: &str, style: Style) {
        if self.json {
            return;
        }
        // A remedy may be a command. The terminal folds it, so that it can be copied whole.
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

    /// Prints what the model is.
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

    /// Prints the notes, the most important first.
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

    /// Prints what runs the model, where that is not the processor alone.
    pub fn providers(&self, providers: &[ProviderFacts]) {
        let all: Vec<String> = providers
            .iter()
            .filter_map(|one| Some(format!("{} {} nodes", one.name, one.nodes?)))
            .collect();
        if !all.is_empty() {
            self.line("runs on", &all.join(", "), Style::Plain);
        }
    }

    /// Prints the result of the golden examples.
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

    /// Prints how the check ended.
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
