//! `tandem evaluate`: how good a model or a route is on labelled texts, or two side by side, in this process or by a server.

mod answering;
pub mod args;
mod contender;
mod lists;
mod next;
mod print;
mod report;
mod summary;

use std::path::Path;

use answering::{Answered, Setting};
use args::EvaluateArgs;
use contender::{Contender, Looked};
use lists::Lists;
use report::Beside;
use summary::Summary;

use super::exit::Exit;
use super::models_here::here;
use super::out_place;
use super::outcome::{Outcome, failure};
use super::output::{self, complain, fail};
use crate::config::Settings;
use crate::model::manifest::ProblemType;
use crate::offline::dataset::preflight::{self, Preflight, Work};
use crate::offline::dataset::{Dataset, DatasetColumns};
use crate::offline::evaluation::contest::{self, Contest, Measured};
use crate::offline::evaluation::quality::Floor;
use crate::offline::report::files;

/// The shares of right answers whose coverage is told.
const PRECISIONS: [f64; 3] = [0.95, 0.98, 0.99];
/// How many texts are asked about to estimate the time of all.
const TIMED: usize = 32;
/// The most texts on which contenders differ, and whose label is doubted, in the files of these, unless --most says
/// otherwise.
const MOST_DIFFERENCES: usize = 10_000;
const MOST_DOUBTS: usize = 50;

fn usage<E: ToString>(error: E) -> (String, Exit) {
    (error.to_string(), Exit::Usage)
}

/// Evaluates.
pub fn run(args: &EvaluateArgs) -> Exit {
    let settings = match args.config.resolve() {
        // An answer that was remembered says nothing of the time that it takes.
        Ok(settings) => Settings {
            cache_bytes: 0,
            ..settings
        },
        Err(error) => return fail(&error, Exit::Usage),
    };
    // A server has its own.
    let settings = match args.addr {
        Some(_) => settings,
        None => match here(settings) {
            Ok((settings, _)) => settings,
            Err((problem, exit)) => return fail(&problem, exit),
        },
    };
    let tokio = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(tokio) => tokio,
        Err(error) => return fail(&error, Exit::Failure),
    };
    match tokio.block_on(evaluate(args, &settings)) {
        Ok(exit) => exit,
        Err((problem, exit)) => fail(&problem, exit),
    }
}

async fn evaluate(args: &EvaluateArgs, settings: &Settings) -> Outcome<Exit> {
    check_places(args)?;
    contender::check_count(args)?;
    let Some((mut contenders, labels, dataset)) = before(args, settings).await? else {
        return Ok(Exit::Success);
    };
    let setting = setting(args, settings, &dataset);
    let answered = answering::ask(&mut contenders, &dataset, &labels, setting, dataset.len()).await?;
    tell_unanswered(&answered)?;
    let one_by_one = match &args.report {
        Some(_) => answering::one_by_one(&mut contenders, &dataset).await?,
        None => Vec::new(),
    };
    let mut precisions = PRECISIONS.to_vec();
    precisions.extend(&args.precision);
    precisions.sort_by(f64::total_cmp);
    precisions.dedup();
    let contenders_answers: Vec<&[_]> = answered.answers.iter().map(Vec::as_slice).collect();
    let measured = Measured {
        labels: labels.len(),
        precisions: &precisions,
        seed: args.seed,
    };
    let contest = contest::hold(&answered.texts, &contenders_answers, &measured);
    let summary = Summary::new(&contenders, &answered, &contest, &labels, &dataset.facts, setting);
    let lists = Lists {
        dataset: &dataset,
        labels: &labels,
        answered: &answered,
        without_texts: args.without_texts,
    };
    let beside = Beside {
        most: args.most.unwrap_or(MOST_DOUBTS),
        one_by_one,
        next: next::steps(args, settings, &summary),
    };
    let listed = listed(args, &lists, &summary);
    let page = (args.report.as_deref()).map(|path| (path, report::page(&summary, &contest, &lists, &beside)));
    // Nothing reads a text from here on.
    dataset.check_whole().map_err(failure)?;
    tell(args, &summary)?;
    for (path, content) in listed {
        write(path, &content)?;
    }
    if let Some((path, page)) = page {
        files::write(&page, path).map_err(failure)?;
    }
    Ok(held_to(&args.min, &contest, &answered, &labels, &contenders))
}

/// Everything that is to be evaluated, all labels, and the texts.
type Before = (Vec<Contender>, Vec<String>, Dataset);

/// Reads the texts and says what they are like; only then loads the models. `None` for a dry run.
async fn before(args: &EvaluateArgs, settings: &Settings) -> Outcome<Option<Before>> {
    if args.addr.is_some() {
        let mut contenders = contender::open(args, settings).await?;
        let labels = labels(contenders.iter().map(|one| (&*one.name, &*one.labels)));
        let (dataset, columns) = read(args, &labels, false)?;
        let mut work = Work::default();
        if args.dry_run {
            let setting = setting(args, settings, &dataset);
            let part = answering::ask(&mut contenders, &dataset, &labels, setting, TIMED).await?;
            let took = part.costs.iter().map(|cost| cost.time).sum();
            let all = dataset.len() as u64;
            work.estimate = Some(preflight::estimate(took, all.min(TIMED as u64), all));
        }
        tell_before(args, &preflight::look(&dataset, &columns, &work).map_err(usage)?);
        return Ok((!args.dry_run).then_some((contenders, labels, dataset)));
    }
    let looked = contender::look(args, settings)?;
    let labels = labels(looked.iter().map(|one| (&*one.name, &*one.labels)));
    let (dataset, columns) = read(args, &labels, looked.iter().any(Looked::is_multi_label))?;
    let work = Work {
        estimate: Some(looked.iter().map(|one| contender::guess(one, &dataset)).sum()),
        ..Work::default()
    };
    tell_before(args, &preflight::look(&dataset, &columns, &work).map_err(usage)?);
    if args.dry_run {
        return Ok(None);
    }
    let mut contenders = contender::open(args, settings).await?;
    for (contender, looked) in contenders.iter_mut().zip(&looked) {
        contender.thresholds = looked.thresholds(&labels);
    }
    Ok(Some((contenders, labels, dataset)))
}

/// Reads the texts: with several labels a row, or none, if the arguments or the models say so.
fn read(args: &EvaluateArgs, labels: &[String], by_models: bool) -> Outcome<(Dataset, DatasetColumns)> {
    args.min
        .iter()
        .try_for_each(|floor| floor.quality.check(labels))
        .map_err(usage)?;
    let mut columns = args.labelled.columns();
    columns.multi_label |= by_models;
    let dataset = args.labelled.read(&args.file, &columns, Some(labels)).map_err(usage)?;
    Ok((dataset, columns))
}

fn setting(args: &EvaluateArgs, settings: &Settings, dataset: &Dataset) -> Setting {
    Setting {
        multi_label: dataset.problem_type == ProblemType::MultiLabel,
        by_server: args.addr.is_some(),
        texts_a_request: settings.max_texts,
        seed: args.seed,
    }
}

fn tell_unanswered(answered: &Answered) -> Outcome<()> {
    if answered.unanswered == 0 {
        return Ok(());
    }
    let all = answered.unanswered + answered.texts.len();
    let first = &answered.first_problem;
    let told = format!(
        "{} of {all} texts are left out: they have no answer; the first, {first}",
        answered.unanswered
    );
    if answered.texts.is_empty() {
        return Err(failure(told));
    }
    complain(&format!("warning: {told}"));
    Ok(())
}

/// All labels of the contenders: those of the first, in its order, then what the second has besides.
fn labels<'a>(contenders: impl Iterator<Item = (&'a str, &'a [String])>) -> Vec<String> {
    let mut labels: Vec<String> = Vec::new();
    let mut first = "";
    for (name, of_contender) in contenders {
        let more = of_contender.iter().filter(|label| !labels.contains(label));
        let more: Vec<String> = more.cloned().collect();
        if labels.is_empty() {
            first = name;
        } else if !more.is_empty() || of_contender.len() < labels.len() {
            complain(&format!("warning: {first} and {name} have different labels"));
        }
        labels.extend(more);
    }
    labels
}

/// The files that are asked for, each with what it is.
fn files_of(args: &EvaluateArgs) -> impl Iterator<Item = (&Path, &'static str)> {
    let json = args.json.as_deref().filter(|json| *json != Path::new("-"));
    [
        (json, "the figures"),
        (args.differences.as_deref(), "the differences"),
        (args.doubts.as_deref(), "the doubts"),
        (args.report.as_deref(), "the report"),
    ]
    .into_iter()
    .filter_map(|(path, what)| Some((path?, what)))
}

/// Fails now if a file could not be written after all the work.
fn check_places(args: &EvaluateArgs) -> Outcome<()> {
    if args.differences.is_some() && args.route.len() + args.model.len() < 2 {
        return Err(usage("--differences: name two contenders, by --route or --model"));
    }
    if let Some(path) = &args.report {
        files::Kind::of(path).map_err(|problem| usage(format!("--report: {problem}")))?;
    }
    let written: Vec<_> = files_of(args).collect();
    out_place::check_apart(&[&args.file], &written).map_err(usage)?;
    let mut each = written.into_iter();
    each.try_for_each(|(path, what)| out_place::check(path, what))
        .map_err(usage)
}

/// Whether the JSON takes the place of the tables on standard output.
fn writes_json(args: &EvaluateArgs) -> bool {
    args.json.as_deref() == Some(Path::new("-"))
}

/// Says what the texts are like, before the work.
fn tell_before(args: &EvaluateArgs, found: &Preflight) {
    let file = args.file.display().to_string();
    if writes_json(args) {
        super::preflight::warn(found, &file);
    } else {
        super::preflight::tell(found, &file);
        output::line("");
    }
}

fn tell(args: &EvaluateArgs, summary: &Summary<'_>) -> Outcome<()> {
    let json = || serde_json::to_string_pretty(summary).expect("numbers and names") + "\n";
    match args.json.as_deref() {
        Some(_) if writes_json(args) => output::raw(json().as_bytes()),
        Some(path) => {
            print::print(summary);
            write(path, &json())?;
        }
        None => print::print(summary),
    }
    Ok(())
}

/// The lists that are asked for, each with its place.
fn listed<'a>(args: &'a EvaluateArgs, lists: &Lists<'_>, summary: &Summary<'_>) -> Vec<(&'a Path, String)> {
    let most = |usual: usize| args.most.unwrap_or(usual);
    let differences =
        (args.differences.as_deref()).map(|path| (path, lists.differences(summary, most(MOST_DIFFERENCES))));
    let doubts = (args.doubts.as_deref()).map(|path| (path, lists.doubts(most(MOST_DOUBTS))));
    differences.into_iter().chain(doubts).collect()
}

fn write(path: &Path, content: &str) -> Outcome<()> {
    out_place::write(path, content.as_bytes()).map_err(failure)
}

/// Whether the last contender keeps what is asked of it. Says where it does not, and by how much.
fn held_to(
    floors: &[Floor],
    contest: &Contest,
    answered: &Answered,
    labels: &[String],
    contenders: &[Contender],
) -> Exit {
    let (Some(evaluation), Some(contender)) = (contest.evaluations.last(), contenders.last()) else {
        return Exit::Success;
    };
    let mut exit = Exit::Success;
    for Floor { quality, least } in floors {
        let problem = match quality.of(&evaluation.tally, labels) {
            // A small tolerance for rounding errors.
            Some(value) if value >= least - 1e-9 => continue,
            Some(value) => format!("{value:.4}, {:.4} below {least}", least - value),
            None => format!("not known: {}", quality.undefined()),
        };
        let texts = answered.texts.len();
        complain(&format!(
            "--min: {quality} of {} is {problem}, on {texts} texts",
            contender.name
        ));
        exit = Exit::Failure;
    }
    exit
}
