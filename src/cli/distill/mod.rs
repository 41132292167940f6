//! `tandem distill`: a deep model and texts without labels become a fast model and a calibrated cascade of both.
//!
//! In reading order: [`args`] → [`deep`] (where the deep model is) → this file (the steps) with [`progress`] → [`cascade`]
//! (what both models together do) → [`report`].

pub mod args;
pub mod cascade;
pub mod deep;
pub mod progress;
pub mod report;

use std::collections::HashSet;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use self::args::DistillArgs;
use self::cascade::{Cascade, Subject};
use self::progress::TeacherProgress;
use self::report::round_lines;
use super::exit::Exit;
use super::out_place;
use super::outcome::{Outcome, failure};
use super::output::{complain, fail, outln};
use super::signals::Signals;
use super::train::figures::Figures;
use super::train::place::Place;
use super::train::run::{Look, Run, STOPPED_TWICE};
use super::train::told::Told;
use super::train::{Prepared, folder, prepare};
use crate::model::manifest::{ProblemType, Tier};
use crate::model::repository::{self, VerifiedModel};
use crate::offline::calibration::target::Target;
use crate::offline::dataset::{self, Dataset, DatasetColumns, Unlabelled};
use crate::offline::distillation::student::{Goal, Round, learn, set_targets};
use crate::offline::distillation::teacher::{self, Answers, Head};
use crate::offline::report::files;
use crate::offline::timing;
use crate::offline::training::package;
use crate::offline::training::recipe::Recipe;
use crate::offline::training::train::{Estimate, Metric, Settings, Trained, estimate};
use crate::service::catalog::cascade_calibration::file_of;

/// The fewest texts that anything can be learnt and certified from.
const LEAST_TEXTS: usize = 200;
/// The fewest of them that a student learns from: those that are not held out, and not among the labelled ones.
const LEAST_LEARNT: usize = 100;
/// The share of answers of the deep model alone that is aimed at where the target is neither agreement nor cost.
const USUAL_AGREEMENT: f64 = 0.99;

/// Distils, and writes the student and the cascade.
pub fn run(args: &DistillArgs, signals: &Signals) -> Exit {
    match steps(args, signals) {
        Ok(()) => Exit::Success,
        Err((problem, exit)) => fail(&problem, exit),
    }
}

fn usage<E: ToString>(error: E) -> (String, Exit) {
    (error.to_string(), Exit::Usage)
}

/// What is there before the work begins.
struct Opened {
    place: Place,
    report: PathBuf,
    recipe: Option<Recipe>,
    target: Target,
    deep: VerifiedModel,
    texts: Dataset,
    gold: Option<Dataset>,
    run: Run,
    /// What the deep model is asked, as its answers' file names it.
    head: Head,
}

fn steps(args: &DistillArgs, signals: &Signals) -> Outcome<()> {
    let options = &args.training;
    let mut opened = open(args)?;
    if options.dry_run {
        return Ok(());
    }
    let progress = opened.run.begin(signals)?;
    let path = package::beside(&opened.place.folder, "deep-answers");
    let answers = ask(&opened, &path, options.threads(), signals)?;
    tell_missing(&answers, &opened.texts);
    let groups: HashSet<u64> = opened
        .gold
        .iter()
        .flat_map(|gold| &gold.examples)
        .map(|example| example.group)
        .collect();
    let temperature = opened.deep.manifest.calibration.temperature;
    set_targets(&mut opened.texts, &answers, temperature, options.seed, |group| {
        groups.contains(&group)
    });
    check_left(&opened.texts)?;
    let settings = settings(args, &opened.deep, opened.recipe, &opened.run);
    let learnt = learn(
        &mut opened.texts,
        settings,
        goal(&opened.target),
        args.rounds.into(),
        &progress,
    );
    progress.finish();
    let (trained, rounds) = learnt.ok_or_else(|| failure(STOPPED_TWICE))?;
    finish(
        args,
        &opened,
        &Learnt {
            answers,
            trained,
            rounds,
        },
        progress.elapsed().as_secs_f64(),
    )?;
    if !progress.was_stopped() {
        // What the deep model said is of no more use.
        let _ = std::fs::remove_file(&path);
    }
    opened.run.end(&progress);
    Ok(())
}

/// Reads everything, and says what the texts are like.
fn open(args: &DistillArgs) -> Outcome<Opened> {
    let options = &args.training;
    let Prepared {
        mut place,
        report,
        recipe,
    } = prepare(options).map_err(usage)?;
    let read: Vec<&Path> = [Some(args.texts.as_path()), args.labelled.as_deref()]
        .into_iter()
        .flatten()
        .collect();
    out_place::check_apart(&read, &[(&report, "--report")]).map_err(usage)?;
    let target: Target = args
        .target
        .parse()
        .map_err(|problem| usage(format!("--target: {problem}")))?;
    if target.needs_labels() {
        let remedy = "labels are needed, since it is about right answers: ask `tandem calibrate` for it";
        return Err(usage(format!("--target {target}: {remedy}")));
    }
    let deep = deep::find(&args.deep, &place).and_then(|deep| of_task(deep, options.task.as_deref()));
    let deep = deep.map_err(usage)?;
    check_deep(&deep, options.task.as_deref()).map_err(usage)?;
    place.task.clone_from(&deep.manifest.task);
    let cascade = file_of(&place.repository, &place.task);
    if !options.dry_run && place.repository.is_dir() {
        out_place::check(&cascade, "the calibration").map_err(usage)?;
    }
    let labels = &deep.manifest.labels;
    target
        .check(labels)
        .map_err(|problem| usage(format!("--target: {problem}")))?;
    let (texts, columns) = read_texts(args, &deep)?;
    let gold = args.labelled.as_deref().map(|path| {
        let columns = args.dataset.columns_for(&deep.manifest)?;
        args.dataset.read(path, &columns, Some(labels))
    });
    let gold = gold.transpose().map_err(usage)?;
    let of = format!(
        "{} {}",
        deep.fingerprint,
        texts.facts.sha256.as_deref().unwrap_or("a stream")
    );
    let run = Run::open(options, &place, format!("{of} {}", options.seed))?;
    let Estimate { time, bytes, cut } = estimate(&texts, &settings(args, &deep, recipe, &run));
    let look = Look {
        file: &args.texts,
        columns: &columns,
        time: time * u32::from(args.rounds) + timing::guess(&deep, &texts),
        bytes,
        cut,
    };
    look.tell(&texts, options)?;
    let head = Head {
        model: deep.fingerprint.clone(),
        texts: of,
        rows: texts.len(),
        classes: labels.len(),
    };
    Ok(Opened {
        place,
        report,
        recipe,
        target,
        deep,
        texts,
        gold,
        run,
        head,
    })
}

fn settings<'a>(args: &DistillArgs, deep: &VerifiedModel, recipe: Option<Recipe>, run: &Run) -> Settings<'a> {
    let options = &args.training;
    Settings {
        seed: options.seed,
        metric: Metric::Accuracy,
        budget: options.budget_of_search(recipe),
        recipe,
        threads: options.threads(),
        known: run.known.clone(),
        held_out: None,
        // The student gives a label where the deep model does.
        thresholds: deep.manifest.calibration.thresholds.clone(),
    }
}

fn ask(opened: &Opened, path: &Path, threads: NonZeroUsize, signals: &Signals) -> Outcome<Answers> {
    let bar = TeacherProgress::open(signals);
    let answers = teacher::ask(&opened.deep, &opened.texts, &opened.head, path, threads, &bar).map_err(failure)?;
    bar.finish();
    answers.ok_or_else(|| {
        failure(format!(
            "stopped: what the deep model said so far is kept in {}; the same command goes on from there",
            path.display()
        ))
    })
}

/// What the student learnt, and from what.
struct Learnt {
    answers: Answers,
    trained: Trained,
    rounds: Vec<Round>,
}

/// Writes the student, then measures and writes the cascade of both.
fn finish(args: &DistillArgs, opened: &Opened, learnt: &Learnt, seconds: f64) -> Outcome<()> {
    let Opened { place, deep, texts, .. } = opened;
    let Learnt {
        answers,
        trained,
        rounds,
    } = learnt;
    let told = Told {
        options: &args.training,
        place,
        dataset: texts,
        judged: texts,
        trained,
        figures: &Figures::of(trained, texts, args.training.seed),
        judged_by: "cross-validation".to_owned(),
        quality: "agreement with the deep model",
        reading: args.dataset.arguments(),
        seconds,
        route: Some("ROUTE_CASCADE"),
    };
    folder::write(&told, &args.texts, "distill", opened.run.replaces())?;
    let fast = repository::verify_in_repository(&place.folder, None).map_err(failure)?;
    let subject = Subject {
        task: &place.task,
        fast: &fast,
        deep,
        trained,
        texts,
        answers,
        gold: opened.gold.as_ref(),
    };
    told.print();
    for line in round_lines(rounds) {
        outln!("{line}");
    }
    outln!("");
    let cascade = Cascade::measure(&subject, opened.target.clone(), args);
    told.check_whole()?;
    let cascade = match cascade {
        Ok(cascade) => cascade,
        Err((why, exit)) => {
            let page = report::page_of_student(&told, &subject, &why, rounds);
            files::write(&page, &opened.report).map_err(failure)?;
            let (folder, report) = (place.folder.display(), opened.report.display());
            return Err((
                format!("{why} (the fast model alone is in {folder}, a report of it in {report})"),
                exit,
            ));
        }
    };
    opened
        .gold
        .as_ref()
        .map_or(Ok(()), Dataset::check_whole)
        .map_err(failure)?;
    cascade.print();
    let out = file_of(&place.repository, &place.task);
    cascade.report.write(&out, [&fast, deep]).map_err(failure)?;
    let written = files::write(&report::page(&told, &subject, &cascade, rounds), &opened.report).map_err(failure)?;
    told.print_end(&written);
    Ok(())
}

/// The texts; a file of lines has no columns.
fn read_texts(args: &DistillArgs, deep: &VerifiedModel) -> Outcome<(Dataset, DatasetColumns)> {
    let columns = DatasetColumns {
        text: args.dataset.reading.text_column.clone(),
        unlabelled: Unlabelled::Keep,
        multi_label: deep.manifest.problem_type == ProblemType::MultiLabel,
        ..DatasetColumns::default()
    };
    let texts = args
        .dataset
        .read(&args.texts, &columns, Some(&deep.manifest.labels))
        .map_err(usage)?;
    if texts.len() < LEAST_TEXTS {
        return Err(usage(format!(
            "{}: has {} texts; at least {LEAST_TEXTS} are needed, and thousands are better",
            args.texts.display(),
            texts.len()
        )));
    }
    Ok((texts, columns))
}

/// The deep model as the task sees it, which must be named where the model has several heads.
fn of_task(deep: VerifiedModel, task: Option<&str>) -> Result<VerifiedModel, String> {
    if deep.manifest.heads.is_empty() {
        return Ok(deep);
    }
    task.and_then(|task| deep.of_task(task)).ok_or_else(|| {
        let tasks: Vec<&str> = deep.manifest.tasks().collect();
        let (folder, tasks) = (deep.folder.display(), tasks.join(", "));
        format!("--task: {folder} has a head for each of {tasks}: name one of them")
    })
}

/// Fails if no cascade can have this model as its deep one.
fn check_deep(deep: &VerifiedModel, task: Option<&str>) -> Result<(), String> {
    let manifest = &deep.manifest;
    let of = |problem: String| Err(format!("--deep: {} {problem}", deep.folder.display()));
    if manifest.problem_type == ProblemType::Regression {
        return of("gives a number: a cascade needs labels".to_owned());
    }
    if manifest.tier != Tier::Deep {
        return of("is a fast model by its manifest (tier)".to_owned());
    }
    match task {
        Some(task) if task != manifest.task => of(format!("serves the task `{}`, not `{task}`", manifest.task)),
        _ => Ok(()),
    }
}

/// Fails if too few texts are left to learn from.
fn check_left(texts: &Dataset) -> Outcome<()> {
    let left = texts
        .examples
        .iter()
        .filter(|example| example.target != dataset::Target::Unknown)
        .count();
    if left >= LEAST_LEARNT {
        return Ok(());
    }
    Err(failure(format!(
        "{left} of {} texts are left to learn from, at least {LEAST_LEARNT} are needed: those that --labelled has too, those \
         that are held out, and those that the deep model does not answer are not trained on",
        texts.len()
    )))
}

/// What the rounds are compared by.
fn goal(target: &Target) -> Goal {
    match target {
        Target::Agreement(share) => Goal::Agreement(*share),
        Target::Cost(cost) => Goal::Escalated(cost.min(1.0)),
        Target::AtLeast(..) | Target::Risk(_) | Target::Precision(..) => Goal::Agreement(USUAL_AGREEMENT),
    }
}

fn tell_missing(answers: &Answers, texts: &Dataset) {
    let missing = answers.missing();
    if missing > 0 {
        complain(&format!(
            "warning: {missing} of {} texts are left out: the deep model does not answer them",
            texts.len()
        ));
    }
}
