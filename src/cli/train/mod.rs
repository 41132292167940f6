//! `tandem train`: labelled texts become a fast model that the server serves.
//!
//! In reading order: [`args`] → [`place`] (where the model goes) → this file (the steps) with [`watch`] (progress, signals) →
//! [`figures`] (how good it is) → [`card`] and [`report`] (for people).

pub mod args;
pub mod card;
pub mod figures;
pub mod place;
pub mod report;
pub mod watch;

use std::fs;
use std::path::{Path, PathBuf};

use self::args::{TrainArgs, TrainingArgs};
use self::figures::Figures;
use self::place::Place;
use self::watch::Progress;
use super::exit::Exit;
use super::outcome::{Outcome, failure};
use super::output::{complain, fail, outln};
use super::signals::Signals;
use super::terminal::{width, wrap};
use crate::model::manifest::{MANIFEST_FILE, Manifest, ProblemType};
use crate::model::preprocess::ngrams::NgramExtractor;
use crate::offline::dataset::Dataset;
use crate::offline::report::files;
use crate::offline::training::checkpoint::Checkpoint;
use crate::offline::training::golden;
use crate::offline::training::package::{self, About};
use crate::offline::training::recipe::Recipe;
use crate::offline::training::search::{Ended, Trial};
use crate::offline::training::train::{Settings, Trained, train};

/// How many of the user's texts are golden examples, and the longest, in bytes.
const OWN_EXAMPLES: usize = 32;
const LONGEST_EXAMPLE: usize = 2_000;
/// The key in the manifest's `[training]` under which the recipe stands.
const RECIPE: &str = "recipe";

/// Trains, and writes the model.
pub fn run(args: &TrainArgs, signals: &Signals) -> Exit {
    match steps(args, signals) {
        Ok(()) => Exit::Success,
        Err((problem, exit)) => fail(&problem, exit),
    }
}

fn usage<E: ToString>(error: E) -> (String, Exit) {
    (error.to_string(), Exit::Usage)
}

fn steps(args: &TrainArgs, signals: &Signals) -> Outcome<()> {
    let options = &args.training;
    let Prepared { place, report, recipe } = prepare(options).map_err(usage)?;
    let columns = args.dataset.columns();
    let dataset = args.dataset.read(&args.file, &columns, None).map_err(usage)?;
    if dataset.labels.len() < 2 {
        let only = dataset
            .labels
            .first()
            .map_or("none at all".to_owned(), |label| format!("only `{label}`"));
        return Err(usage(format!(
            "{}: has {only} in the label column: a classifier needs two",
            args.file.display()
        )));
    }
    let held_out = args
        .held_out
        .as_deref()
        .map(|path| args.dataset.read(path, &columns, Some(&dataset.labels)));
    let held_out = held_out.transpose().map_err(usage)?;
    let run = Run::open(options, &place, fingerprint(args, &dataset))?;
    if options.dry_run {
        return Ok(());
    }
    let progress = run.begin(signals)?;
    let settings = Settings {
        seed: options.seed,
        metric: args.metric,
        budget: (recipe.is_none() && !options.budget.is_zero()).then_some(options.budget),
        recipe,
        threads: options.threads(),
        known: run.known.clone(),
        held_out: held_out.as_ref(),
    };
    let trained = train(&dataset, &settings, &progress);
    progress.finish();
    let trained = trained.ok_or_else(|| failure(STOPPED_TWICE))?;
    let judged = held_out.as_ref().unwrap_or(&dataset);
    let judged_by = match &args.held_out {
        Some(path) => path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        None => "cross-validation".to_owned(),
    };
    let told = Told {
        options,
        place: &place,
        dataset: &dataset,
        judged,
        trained: &trained,
        figures: &Figures::of(&trained, judged, options.seed),
        judged_by,
        quality: if is_single_label(&dataset) {
            "accuracy"
        } else {
            "exactly right"
        },
        seconds: progress.elapsed().as_secs_f64(),
    };
    told.write(&args.file, "train", run.replaces())?;
    let written = files::write(&report::page(&told), &report).map_err(failure)?;
    told.print();
    told.print_end(&written);
    run.end(&progress);
    Ok(())
}

/// What a second signal to stop leaves.
pub const STOPPED_TWICE: &str = "told to stop twice: nothing was written";

/// What is known before any text is read.
pub struct Prepared {
    pub place: Place,
    pub report: PathBuf,
    pub recipe: Option<Recipe>,
}

/// Checks the arguments. The error is one line.
pub fn prepare(options: &TrainingArgs) -> Result<Prepared, String> {
    let place = Place::of(&options.out, options.task.as_deref())?;
    let report = options.report.clone().unwrap_or_else(|| report_beside(&place.folder));
    files::Kind::of(&report)?;
    let recipe = options.like.as_deref().map(recipe_of).transpose()?;
    Ok(Prepared { place, report, recipe })
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
            return Err(usage(format!(
                "--out: {} is there already; --force replaces it",
                place.folder.display()
            )));
        }
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
        let parent = package::parent_of(&self.folder);
        fs::create_dir_all(&parent).map_err(|error| failure(format!("{}: {error}", parent.display())))?;
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
    /// How long everything took.
    pub seconds: f64,
}

impl Told<'_> {
    /// Writes the model's folder.
    pub fn write(&self, file: &Path, command: &str, replace: bool) -> Outcome<()> {
        let about = about(self, file, command);
        let manifest = package::manifest(self.trained, &self.dataset.labels, self.dataset.problem_type, &about);
        let card = card::card(self, &about);
        package::write(
            &self.place.folder,
            self.trained,
            manifest,
            &examples(self),
            &card,
            replace,
        )
        .map_err(failure)
    }

    /// Prints what was found.
    pub fn print(&self) {
        let Place {
            name, version, task, ..
        } = self.place;
        outln!(
            "trained {name} {version} for the task {task}: {} labels, {} texts, {:.0} s",
            self.dataset.labels.len(),
            self.trained.trained_on,
            self.seconds
        );
        let mut lines = vec![format!("recipe: {}{}", self.trained.recipe.words(), self.search())];
        lines.extend(self.figures.lines(self.quality, &self.judged_by, self.dataset));
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
        let body = serde_json::json!({"task": self.place.task, "texts": [text]}).to_string();
        let body = crate::model::paths::quoted(&body);
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

fn report_beside(folder: &Path) -> PathBuf {
    let version = folder.file_name().unwrap_or_default().to_string_lossy();
    folder.with_file_name(format!("{version}.report.html"))
}

/// The recipe of a model that was trained before.
fn recipe_of(folder: &Path) -> Result<Recipe, String> {
    let path = folder.join(MANIFEST_FILE);
    let told = |problem: &dyn std::fmt::Display| format!("--like: {}: {problem}", path.display());
    let text = fs::read_to_string(&path).map_err(|error| told(&error))?;
    let manifest = Manifest::parse(&text).map_err(|problem| told(&problem))?;
    let recipe = manifest
        .training
        .get(RECIPE)
        .ok_or_else(|| told(&"has no recipe: `tandem train` did not write it"))?;
    let recipe: Recipe = recipe.clone().try_into().map_err(|error| told(&error))?;
    recipe.check().map_err(|problem| told(&problem))?;
    Ok(recipe)
}

/// What must be the same for a run to go on.
fn fingerprint(args: &TrainArgs, dataset: &Dataset) -> String {
    format!(
        "{} {} {:?} {} {} {:?} {:?} {:?} {}",
        dataset.facts.sha256.as_deref().unwrap_or("a stream"),
        dataset.len(),
        dataset.labels,
        args.training.seed,
        args.dataset.multi_label,
        args.dataset.weight_column,
        args.dataset.soft_column,
        args.dataset.probabilities_column,
        env!("CARGO_PKG_VERSION"),
    )
}

fn about(told: &Told<'_>, file: &Path, command: &str) -> About {
    let Told {
        options,
        place,
        trained,
        ..
    } = told;
    let file = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut training = toml::Table::new();
    let mut say = |key: &str, value: toml::Value| training.insert(key.to_owned(), value);
    say(
        "command",
        format!("tandem {command} {file} --seed {}", options.seed).into(),
    );
    say("program", concat!("tandem ", env!("CARGO_PKG_VERSION")).into());
    say("data", options.data.clone().unwrap_or(file).into());
    say("data_license", options.data_license.clone().into());
    say("seed", toml::Value::Integer(options.seed.cast_signed()));
    if let Ok(recipe) = toml::Value::try_from(trained.recipe) {
        say(RECIPE, recipe);
    }
    let description = if options.description.is_empty() {
        format!(
            "Linear model over hashed n-grams for {} labels, made by `tandem {command}`.",
            trained.labels()
        )
    } else {
        options.description.clone()
    };
    About {
        name: place.name.clone(),
        version: place.version.clone(),
        task: place.task.clone(),
        description,
        license: options.license.clone(),
        training,
        metrics: told.figures.metrics(),
    }
}

fn examples(told: &Told<'_>) -> Vec<crate::model::loading::golden::Example> {
    let Told { dataset, trained, .. } = told;
    let step = (dataset.len() / OWN_EXAMPLES).max(1);
    let own = (0..dataset.len()).step_by(step).map(|at| dataset.text(at));
    let own = own
        .filter(|text| text.len() <= LONGEST_EXAMPLE && !told.options.without_texts)
        .take(OWN_EXAMPLES);
    let extractor = NgramExtractor::new(trained.recipe.features());
    golden::examples(
        &trained.model,
        trained.link,
        dataset.problem_type,
        trained.temperature as f32,
        &extractor,
        trained.recipe.max_code_points,
        own,
    )
}

/// Whether a problem has one right label a text.
pub fn is_single_label(dataset: &Dataset) -> bool {
    dataset.problem_type == ProblemType::SingleLabel
}
