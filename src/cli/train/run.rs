//! One run of a training: what an earlier one left, what is told before the work, and the end.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::args::TrainingArgs;
use super::place::Place;
use super::watch::Progress;
use crate::cli::exit::Exit;
use crate::cli::out_place;
use crate::cli::outcome::{Outcome, failure};
use crate::cli::output::complain;
use crate::cli::signals::Signals;
use crate::model::manifest::LONGEST_LABEL;
use crate::model::paths::folder_of;
use crate::offline::dataset::preflight::{self, Work};
use crate::offline::dataset::{Dataset, DatasetColumns};
use crate::offline::training::checkpoint::Checkpoint;
use crate::offline::training::package;
use crate::offline::training::search::Trial;

/// What a second signal to stop leaves.
pub const STOPPED_TWICE: &str = "told to stop twice: nothing was written";

/// What is written beside a model's table: examples, card, report; and the table once more while a model is replaced.
const BESIDE_THE_TABLE: u64 = 16 << 20;

/// What is told before the work begins.
pub struct Look<'a> {
    pub file: &'a Path,
    pub columns: &'a DatasetColumns,
    /// About how long the work takes, and how many bytes it leaves.
    pub time: Duration,
    pub bytes: u64,
    /// The share of texts of which only the beginning is read, and the characters that are read; absent if it is nearly none.
    pub cut: Option<(f64, usize)>,
}

impl Look<'_> {
    /// Says what the texts are like. An error if the work can't begin.
    pub fn tell(&self, dataset: &Dataset, options: &TrainingArgs) -> Outcome<()> {
        let usage = |problem: String| (problem, Exit::Usage);
        if !options.dry_run {
            out_place::check_folder(&options.out, "the model").map_err(failure)?;
        }
        let work = Work {
            out: Some(&options.out),
            free: out_place::free(&options.out),
            needs: Some(self.bytes + BESIDE_THE_TABLE),
            estimate: Some(self.time),
        };
        if let Some(long) = dataset.labels.iter().find(|label| label.len() > LONGEST_LABEL) {
            let (bytes, begins) = (long.len(), long.chars().take(20).collect::<String>());
            return Err(usage(format!(
                "{}: the label that begins with `{begins}` has {bytes} bytes, the most is {LONGEST_LABEL}; is it the right column?",
                self.file.display()
            )));
        }
        let found = preflight::look(dataset, self.columns, &work).map_err(usage)?;
        crate::cli::preflight::tell(&found, &self.file.display().to_string());
        if let Some((share, most)) = self.cut {
            let (file, percent) = (self.file.display(), (share * 100.0).ceil());
            complain(&format!(
                "{file}: warning: about {percent}% of the texts are longer than the {most} characters that the model reads; the rest \
                 of them is not read"
            ));
        }
        Ok(())
    }
}

/// One run of a training, which may go on from an earlier one.
pub struct Run {
    checkpoint: Checkpoint,
    path: PathBuf,
    force: bool,
    folder: PathBuf,
    /// What an earlier run tried.
    pub known: Vec<Trial>,
}

impl Run {
    /// Looks for what an earlier run of the same left. A model that is there is an error, unless it may be replaced.
    pub fn open(options: &TrainingArgs, place: &Place, of: String) -> Outcome<Self> {
        let path = package::beside(&place.folder, "training.json");
        let known = Checkpoint::read(&path, &of);
        if place.folder.exists() && !options.force && known.is_empty() {
            let problem = format!(
                "--out: {} is there already; --force replaces it",
                place.folder.display()
            );
            return Err((problem, Exit::Usage));
        }
        package::check_replaced(&place.folder).map_err(|problem| (format!("--out: {problem}"), Exit::Usage))?;
        let trials = known.clone();
        Ok(Self {
            checkpoint: Checkpoint { of, trials },
            path,
            force: options.force,
            folder: place.folder.clone(),
            known,
        })
    }

    /// Makes the folder that the model's folder will be in, and shows the progress from now on.
    pub fn begin(&self, signals: &Signals) -> Outcome<Progress> {
        let parent = folder_of(&self.folder);
        fs::create_dir_all(parent).map_err(|error| failure(format!("{}: {error}", parent.display())))?;
        if !self.known.is_empty() {
            let (trials, path) = (self.known.len(), self.path.display());
            complain(&format!("goes on from {trials} trials of an earlier run ({path})"));
        }
        Ok(Progress::open(signals, self.checkpoint.clone(), self.path.clone()))
    }

    /// Whether a model that is there is replaced.
    pub fn replaces(&self) -> bool {
        self.force || !self.known.is_empty()
    }

    /// The end: what it kept goes, unless it was stopped.
    pub fn end(&self, progress: &Progress) {
        if progress.was_stopped() {
            complain(&"stopped: this is the best so far; the same command goes on from here");
        } else {
            let _ = fs::remove_file(&self.path);
        }
    }
}
