//! `tandem train`: labelled texts become a fast model that the server serves.
//!
//! In reading order: [`args`] → [`place`] (where the model goes) → this file (the steps) with [`mod@run`] (what an earlier
//! run left) and [`watch`] (progress, signals) → [`figures`] (how good it is) → [`told`], [`folder`] with [`card`], and [`report`] (for people).

pub mod args;
pub mod card;
pub mod figures;
pub mod folder;
pub mod place;
pub mod report;
pub mod run;
pub mod told;
pub mod watch;

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use self::args::{TrainArgs, TrainingArgs};
use self::figures::Figures;
use self::place::Place;
use self::report::Around;
use self::run::{Look, Run, STOPPED_TWICE};
use self::told::{RECIPE, Told};
use super::exit::Exit;
use super::out_place;
use super::outcome::{Outcome, failure};
use super::output::{complain, fail};
use super::signals::Signals;
use crate::model::manifest::{MANIFEST_FILE, Manifest, ProblemType};
use crate::model::repository;
use crate::offline::dataset::places::Places;
use crate::offline::dataset::{Dataset, Example, Target};
use crate::offline::report::files;
use crate::offline::training::recipe::Recipe;
use crate::offline::training::train::{Estimate, Settings, estimate, train};

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
    let read = args.files();
    out_place::check_apart(&read, &[(&report, "--report")]).map_err(usage)?;
    let columns = args.dataset.columns();
    let mut dataset = args.dataset.read(&args.file, &columns, None).map_err(usage)?;
    let held_out = args
        .held_out
        .as_deref()
        .map(|path| args.dataset.read(path, &args.held_out_columns(), Some(&dataset.labels)));
    let held_out = held_out.transpose().map_err(usage)?;
    if let Some(held_out) = &held_out {
        leave_out(&mut dataset, held_out, &args.file).map_err(usage)?;
    }
    let run = Run::open(options, &place, fingerprint(args, &dataset, held_out.as_ref()))?;
    let settings = Settings {
        seed: options.seed,
        metric: args.metric,
        budget: options.budget_of_search(recipe),
        recipe,
        threads: options.threads(),
        known: run.known.clone(),
        held_out: held_out.as_ref(),
        thresholds: Vec::new(),
    };
    let Estimate { time, bytes, cut } = estimate(&dataset, &settings);
    let look = Look {
        file: &args.file,
        columns: &columns,
        time,
        bytes,
        cut,
    };
    look.tell(&dataset, options)?;
    if options.dry_run {
        return Ok(());
    }
    let progress = run.begin(signals)?;
    let trained = train(&dataset, &settings, &progress);
    progress.finish();
    let trained = trained.ok_or_else(|| failure(STOPPED_TWICE))?;
    let judged = held_out.as_ref().unwrap_or(&dataset);
    let told = Told {
        options,
        place: &place,
        dataset: &dataset,
        judged,
        trained: &trained,
        figures: &Figures::of(&trained, judged, options.seed),
        judged_by: judged_by(args),
        quality: if dataset.problem_type == ProblemType::SingleLabel {
            "accuracy"
        } else {
            "exactly right"
        },
        reading: args.dataset.arguments(),
        seconds: progress.elapsed().as_secs_f64(),
        route: None,
    };
    folder::write(&told, &args.file, "train", run.replaces())?;
    let model = repository::verify_in_repository(&place.folder, None).map_err(failure)?;
    let page = report::page(&told, Around::of(&told, &model));
    told.check_whole()?;
    let written = files::write(&page, &report).map_err(failure)?;
    told.print();
    told.print_end(&written);
    run.end(&progress);
    Ok(())
}

/// What the figures come from, in words.
fn judged_by(args: &TrainArgs) -> String {
    match &args.held_out {
        Some(path) => path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        None => "cross-validation".to_owned(),
    }
}

/// Leaves texts that are in the held-out file too out of training, since the figures must be of texts that the model has not
/// learnt. The error is one line.
fn leave_out(dataset: &mut Dataset, held_out: &Dataset, file: &Path) -> Result<(), String> {
    let known: HashSet<u64> = held_out.examples.iter().map(|example| example.group).collect();
    let mut left_out = Places::default();
    let is_known = |example: &&mut Example| known.contains(&example.group);
    for example in dataset.examples.iter_mut().filter(is_known) {
        example.target = Target::Unknown;
        left_out.add(example.line);
    }
    let file = file.display();
    if left_out.count == dataset.len() as u64 {
        return Err(format!(
            "{file}: every text is in --held-out too, so none is left to train on"
        ));
    }
    if left_out.count > 0 {
        complain(&format!(
            "{file}: warning: not trained on, since --held-out has the same texts: {left_out}"
        ));
    }
    Ok(())
}

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
    if options.report.is_some() && !options.dry_run {
        out_place::check(&report, "the report")?;
    } else if report.is_dir() {
        return Err(format!(
            "{} is a folder: the report would be written there; name another place with --report",
            report.display()
        ));
    }
    let recipe = options.like.as_deref().map(recipe_of).transpose()?;
    Ok(Prepared { place, report, recipe })
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

/// What must be the same for a run to go on: what is read, how, and what it is trained for. The budget may differ.
fn fingerprint(args: &TrainArgs, dataset: &Dataset, held_out: Option<&Dataset>) -> String {
    let of_held_out = held_out.map(sum_of);
    let its_columns = [&args.held_out_text_column, &args.held_out_label_column];
    format!(
        "{} {} {:?} {} {:?} {of_held_out:?} {its_columns:?} {:?} {}",
        sum_of(dataset),
        dataset.len(),
        dataset.labels,
        args.training.seed,
        args.dataset.arguments(),
        args.metric,
        env!("CARGO_PKG_VERSION"),
    )
}

/// The SHA-256 of a file, or of what was read from a stream.
fn sum_of(dataset: &Dataset) -> String {
    let of_rows = || {
        let mut sum = Sha256::new();
        for (at, example) in dataset.examples.iter().enumerate() {
            let text = dataset.text(at);
            sum.update((text.len() as u64).to_le_bytes());
            sum.update(text.as_bytes());
            sum.update(format!("{:?} {}", example.target, example.weight));
        }
        crate::model::files::hex(&sum.finalize())
    };
    dataset.facts.sha256.clone().unwrap_or_else(of_rows)
}
