//! What is told of a training: what is printed, and what files say of it.

use std::path::PathBuf;

use super::args::TrainingArgs;
use super::figures::Figures;
use super::place::Place;
use crate::cli::outcome::{Outcome, failure};
use crate::cli::output::outln;
use crate::cli::terminal::{width, wrap};
use crate::model::manifest::ProblemType;
use crate::model::paths::quoted;
use crate::offline::dataset::Dataset;
use crate::offline::evaluation::findings::{self, Kind, Standing};
use crate::offline::training::search::Ended;
use crate::offline::training::train::Trained;

/// The key in the manifest's `[training]` under which the recipe stands.
pub const RECIPE: &str = "recipe";

/// What is told of a training.
pub struct Told<'a> {
    pub options: &'a TrainingArgs,
    pub place: &'a Place,
    pub dataset: &'a Dataset,
    /// What the figures are of.
    pub judged: &'a Dataset,
    pub trained: &'a Trained,
    pub figures: &'a Figures,
    /// How the figures were made: a file's name, or cross-validation.
    pub judged_by: String,
    /// What the share of right answers is called.
    pub quality: &'static str,
    /// How the file's columns were named, as flags for the next command.
    pub reading: Vec<String>,
    /// How long everything took.
    pub seconds: f64,
    /// The route that the call asks for, if it is not the task's usual one.
    pub route: Option<&'static str>,
}

impl Told<'_> {
    /// Whether one label of a text is right.
    pub fn is_single_label(&self) -> bool {
        self.dataset.problem_type == ProblemType::SingleLabel
    }

    /// Fails if a text was lost on the way, so that nothing that was made of others is written.
    pub fn check_whole(&self) -> Outcome<()> {
        let mut all = [self.dataset, self.judged].into_iter();
        all.try_for_each(Dataset::check_whole).map_err(failure)
    }

    /// What the figures say, in plain words.
    pub fn findings(&self) -> Vec<String> {
        let standing = Standing {
            name: "the fast model",
            kind: Kind::Fast,
            evaluation: &self.figures.evaluation,
        };
        findings::of_one(&standing, &self.judged.labels)
    }

    /// How many labels there are, in words.
    pub fn labels(&self) -> String {
        match self.dataset.labels.len() {
            1 => "1 label".to_owned(),
            many => format!("{many} labels"),
        }
    }

    /// Prints what was found.
    pub fn print(&self) {
        let Place {
            name, version, task, ..
        } = self.place;
        outln!(
            "trained {name} {version} for the task {task}: {}, {} texts, {:.0} s",
            self.labels(),
            self.trained.trained_on,
            self.seconds
        );
        let mut lines = vec![format!("recipe: {}{}", self.trained.recipe.words(), self.search())];
        lines.extend(self.figures.lines(self.quality, &self.judged_by, self.dataset));
        lines.extend(self.findings());
        for line in lines.iter().flat_map(|line| wrap(line, width())) {
            outln!("{line}");
        }
    }

    /// Prints what was written, and what to do next.
    pub fn print_end(&self, written: &[PathBuf]) {
        outln!("wrote {}", self.place.folder.display());
        for path in written {
            outln!("wrote {}", path.display());
        }
        outln!("");
        outln!("serve it:  {}", self.serve());
        outln!("ask it:    {}", self.ask());
    }

    fn search(&self) -> String {
        let Some(found) = &self.trained.found else {
            return String::new();
        };
        let ended = match found.ended {
            Ended::Settled => "no change makes it better",
            Ended::Budget => "the budget was used",
            Ended::Clock => {
                "the clock ended the search: another run may find another recipe, --like FOLDER repeats this one"
            }
            Ended::Stopped => "stopped",
        };
        format!(" (the best of {}; {ended})", found.trials.len())
    }

    /// The command that serves the model.
    pub fn serve(&self) -> String {
        format!("tandem serve --models {}", self.place.repository.display())
    }

    /// A call for this very task, as grpcurl makes it.
    pub fn ask(&self) -> String {
        let text = if self.options.without_texts {
            "a text".to_owned()
        } else {
            short_text(self.dataset)
        };
        let mut body = serde_json::json!({"task": self.place.task, "texts": [text]});
        if let Some(route) = self.route {
            body["route"] = route.into();
        }
        let body = quoted(&body.to_string());
        format!("grpcurl -plaintext -d {body} localhost:50051 tandem.v1.PredictionService/Predict")
    }
}

/// A short text of the data, to ask with.
fn short_text(dataset: &Dataset) -> String {
    let is_fine = |text: &str| {
        (8..=60).contains(&text.chars().count()) && !text.contains(['\'', '\\']) && !text.chars().any(char::is_control)
    };
    let texts = (0..dataset.len().min(1000)).map(|at| dataset.text(at).into_owned());
    texts
        .into_iter()
        .find(|text| is_fine(text))
        .unwrap_or_else(|| "a text".to_owned())
}
