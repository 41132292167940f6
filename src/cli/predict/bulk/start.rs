//! Start and end of a bulk job: what its arguments mean, where it goes on, and the exit code.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use clap::ValueEnum;
use tokio::sync::Semaphore;

use super::asking::Asker;
use super::blocks::{self, Plan};
use super::inputs::{self, Input};
use super::job::Running;
use super::journal::{Job, Journal};
use super::place::{Form, Found, Place, Sink};
use super::progress::Progress;
use super::text_rows::Layout;
use crate::cli::exit::Exit;
use crate::cli::out_place::check_apart;
use crate::cli::outcome::{Outcome, failure};
use crate::cli::output::complain;
use crate::cli::predict::answers::Format;
use crate::cli::predict::args::PredictArgs;
use crate::cli::predict::backend::Backend;
use crate::cli::predict::fleet::pace::MOST_OPEN;
use crate::cli::predict::question::Question;
use crate::config::Settings;
use crate::offline::reader::Columns;

/// A job whose arguments are in order.
pub struct Prepared {
    out: PathBuf,
    layout: Layout,
    inputs: Vec<Input>,
}

/// Checks the arguments, before any model is loaded.
pub fn prepare(args: &PredictArgs, out: &Path) -> Outcome<Prepared> {
    let usage = |problem: String| (problem, Exit::Usage);
    if args.task.len() > 1 || args.task == ["*"] {
        return Err(usage("--out takes one --task; run it once for each task".to_owned()));
    }
    let standard_input = args.texts == ["-"];
    if !standard_input && args.file.is_empty() {
        return Err(usage("--out needs --file, or - for standard input".to_owned()));
    }
    if args.bulk.resume && (standard_input || is_standard(out)) {
        return Err(usage(
            "--resume goes with files alone: standard input and output can't be taken up again".to_owned(),
        ));
    }
    let layout = layout(args, out).map_err(usage)?;
    let inputs = inputs::find(&args.file).map_err(failure)?;
    if !is_standard(out) {
        let read: Vec<&Path> = inputs.iter().map(|input| input.path.as_path()).collect();
        check_apart(&read, &[(out, "--out")]).map_err(usage)?;
    }
    Ok(Prepared {
        out: out.to_owned(),
        layout,
        inputs,
    })
}

fn is_standard(out: &Path) -> bool {
    out == Path::new("-")
}

fn layout(args: &PredictArgs, out: &Path) -> Result<Layout, String> {
    let said = args.format.or(args.json.then_some(Format::Jsonl));
    let ending = out
        .extension()
        .map(|ending| ending.to_string_lossy().to_ascii_lowercase());
    match (said, ending.as_deref()) {
        (Some(Format::Jsonl), _) => Ok(Layout::Jsonl),
        (Some(Format::Csv), _) => Ok(Layout::Csv),
        (Some(Format::Tsv), _) => Ok(Layout::Tsv),
        (Some(Format::Table), _) => {
            Err("--format table is for people; --out takes jsonl, csv, tsv, parquet, arrow".to_owned())
        }
        (Some(Format::Parquet | Format::Arrow), _) if is_standard(out) => {
            Err("--out -: standard output takes text; name a folder for Parquet and Arrow".to_owned())
        }
        (Some(Format::Parquet), _) => parts(Layout::Parquet),
        (Some(Format::Arrow), _) => parts(Layout::Arrow),
        (None, _) if is_standard(out) => Ok(Layout::Jsonl),
        (None, Some("jsonl" | "ndjson" | "json")) => Ok(Layout::Jsonl),
        (None, Some("csv")) => Ok(Layout::Csv),
        (None, Some("tsv" | "tab")) => Ok(Layout::Tsv),
        (None, Some("parquet" | "pq")) => parts(Layout::Parquet),
        (None, Some("arrow" | "feather" | "ipc")) => parts(Layout::Arrow),
        (None, _) => Err(format!(
            "--out: the ending of {} says no format; end it in .jsonl, .csv, .tsv, .parquet or .arrow, or say --format",
            out.display()
        )),
    }
}

fn parts(layout: Layout) -> Result<Layout, String> {
    if cfg!(feature = "parquet") {
        return Ok(layout);
    }
    Err(
        "--out: this build writes no Parquet and no Arrow: build with --features parquet, or write JSON Lines"
            .to_owned(),
    )
}

/// Runs a job to its end.
pub async fn run(
    args: &PredictArgs,
    settings: &Settings,
    prepared: Prepared,
    question: Question,
    mut backend: Backend,
) -> Outcome<Exit> {
    let models = backend
        .fingerprints()
        .await
        .map_err(|refusal| failure(refusal.message))?;
    let job = Job {
        options: options(args, prepared.layout),
        inputs: prepared.inputs,
        models,
    };
    let files: Vec<PathBuf> = job.inputs.iter().map(|input| input.path.clone()).collect();
    let size = job.inputs.iter().map(|input| input.bytes).sum();
    let size = (!files.is_empty()).then_some(size);
    let (sink, journal) = if is_standard(&prepared.out) {
        (Sink::Standard, Journal::new(job))
    } else {
        let lasting = !files.is_empty();
        let form = Form {
            layout: prepared.layout,
            rows_a_part: args.bulk.part_rows.max(1),
        };
        let found = Place::open(&prepared.out, job, form, args.bulk.resume, lasting);
        match found.map_err(|problem| (problem, Exit::Usage))? {
            Found::Done(journal) => {
                complain(&format!("{} is complete already", prepared.out.display()));
                return Ok(told(&journal));
            }
            Found::Open(place, journal) => (Sink::File(place), *journal),
        }
    };
    let plan = Plan {
        files,
        options: args.reading.options(),
        columns: Columns {
            text: args.reading.text_column.clone(),
            pair: args.pair_column.clone(),
            others: Vec::new(),
            keep: true,
        },
        layout: prepared.layout,
        from: journal.end,
    };
    let asker = asker(settings, question, backend);
    let progress = Progress::begin(
        Instant::now(),
        args.bulk.progress,
        size,
        journal.rows,
        is_standard(&prepared.out),
    );
    let mut running = Running::new(prepared.layout, &args.bulk.prefix, sink, journal, progress);
    running.scores = args.scores;
    running.ahead = ahead(&asker.backend);
    running.max_errors = args.bulk.max_errors.unwrap_or(u64::MAX);
    if !running.journal.done {
        let blocks = blocks::read(plan).map_err(failure)?;
        let outcome = running.run(&asker, blocks).await;
        if let Err((problem, exit)) = outcome {
            return Err((with_rest(problem, running), exit));
        }
    }
    finish(running, args.bulk.resume)
}

/// The blocks that are answered at a time in this process.
const AHEAD: usize = 4;
/// The most blocks that are answered at a time by servers.
const MOST_AHEAD: usize = 32;

/// How many blocks are answered at a time: more servers have more to do.
fn ahead(backend: &Backend) -> usize {
    match backend {
        Backend::Fleet(fleet) => (AHEAD * fleet.count()).min(MOST_AHEAD),
        _ => AHEAD,
    }
}

/// Who asks, with as many requests at a time as the queue of this process takes, or as servers of a fleet may ever get.
fn asker(settings: &Settings, question: Question, backend: Backend) -> Asker {
    let texts_a_request = settings.max_texts;
    let open = match &backend {
        Backend::Fleet(fleet) => fleet.count() * MOST_OPEN as usize,
        _ => (settings.max_queue_texts / texts_a_request.max(1)).saturating_sub(1),
    };
    Asker {
        question: Arc::new(question),
        backend,
        texts_a_request,
        open: Arc::new(Semaphore::new(open.max(1))),
    }
}

/// The problem that ended a job, and what is left of the work.
fn with_rest(problem: String, running: Running) -> String {
    let rest = match running.sink {
        Sink::File(place) => place.give_up(&running.journal),
        Sink::Standard => None,
    };
    rest.map_or_else(|| problem.clone(), |rest| format!("{problem}; {rest}"))
}

fn finish(mut running: Running, keep: bool) -> Outcome<Exit> {
    running.end().map_err(failure)?;
    if let Sink::File(place) = running.sink {
        place.finish(&mut running.journal, keep).map_err(failure)?;
    }
    Ok(told(&running.journal))
}

/// Tells how many rows have no answer, if any; the exit code.
fn told(journal: &Journal) -> Exit {
    let Journal {
        errors, rows, first, ..
    } = journal;
    let Some(first) = first else {
        return Exit::Success;
    };
    let (noun, have) = match (rows, errors) {
        (1, _) => ("row", "has"),
        (_, 1) => ("rows", "has"),
        _ => ("rows", "have"),
    };
    let which = if *errors > 1 { "the first, " } else { "" };
    complain(&format!("{errors} of {rows} {noun} {have} no answer; {which}{first}"));
    Exit::Doubtful
}

/// What decides the answers and how they are written, by flag.
fn options(args: &PredictArgs, layout: Layout) -> BTreeMap<String, String> {
    fn shown(value: Option<impl Display>) -> Option<String> {
        value.map(|value| value.to_string())
    }
    let route = args.route.and_then(|route| route.to_possible_value());
    let set = |is: bool| is.then(|| "set".to_owned());
    let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let said = [
        ("format", Some(format!("{layout:?}").to_ascii_lowercase())),
        ("prefix", given(&args.bulk.prefix)),
        (
            "part-rows",
            (!layout.is_text()).then(|| args.bulk.part_rows.to_string()),
        ),
        ("task", args.task.first().cloned()),
        ("route", route.map(|route| route.get_name().to_owned())),
        ("model", given(&args.model)),
        ("min-confidence", shown(args.min_confidence)),
        ("min-precision", shown(args.min_precision)),
        ("allow-fallback", set(args.allow_fallback)),
        ("windows", set(args.windows)),
        ("scores", set(args.scores)),
        ("pair-column", args.pair_column.clone()),
    ];
    let mut options: BTreeMap<String, String> = said
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)))
        .collect();
    for flag in args.reading.arguments() {
        if let Some((name, value)) = flag.trim_start_matches('-').split_once('=') {
            options.insert(name.to_owned(), value.to_owned());
        }
    }
    options
}
