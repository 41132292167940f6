//! `tandem predict`: classifies texts from the command line, a file or standard input, in this process or by a server.

mod answered;
mod answers;
pub mod args;
pub mod backend;
mod bulk;
mod csv_rows;
mod explain;
mod fleet;
pub mod question;
mod refusal;
mod source;

use std::path::Path;
use std::time::Duration;

use answered::Answered;
use answers::{Format, Writer};
use args::PredictArgs;
use backend::{Backend, local};
use question::{Question, TaskOutcomes};
use source::Source;

use super::exit::Exit;
use super::outcome::{Outcome, failure};
use super::output::{self, complain, fail};
use crate::api::pb;
use crate::config::Settings;
use crate::config::settings::RouteSetting;
use crate::model::Tier;
use crate::model::model_name::ModelName;
use crate::offline::reader::Fields;
use crate::service::Service;

/// Classifies texts.
pub fn run(args: &PredictArgs) -> Exit {
    let settings = match args.config.resolve() {
        Ok(settings) => settings,
        Err(error) => return fail(&error, Exit::Usage),
    };
    let tokio = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(tokio) => tokio,
        Err(error) => return fail(&error, Exit::Failure),
    };
    if let Some(out) = &args.bulk.out {
        return match tokio.block_on(bulk(args, &settings, out)) {
            Ok(exit) => exit,
            Err((problem, exit)) => fail(&problem, exit),
        };
    }
    match tokio.block_on(predict(args, &settings)) {
        // A reader that has read enough does not need the summary.
        Ok(_) if output::failed() => Exit::Success,
        Ok(tally) => tally.tell(args),
        Err((problem, exit)) => fail(&problem, exit),
    }
}

/// The number of rows, and those without an answer.
#[derive(Default)]
struct Tally {
    rows: u64,
    failed: u64,
    first: Option<(Option<u64>, String)>,
}

impl Tally {
    fn count(&mut self, line: Option<u64>, problem: Option<&String>) {
        self.rows += 1;
        if let Some(problem) = problem {
            self.failed += 1;
            self.first.get_or_insert_with(|| (line, problem.clone()));
        }
    }

    /// Prints how many texts have no answer, if any.
    fn tell(self, args: &PredictArgs) -> Exit {
        let Some((line, problem)) = self.first else {
            return Exit::Success;
        };
        let file = args
            .file
            .first()
            .map(|file| format!("{}: ", file.display()))
            .unwrap_or_default();
        let line = line.map(|line| format!("line {line}: ")).unwrap_or_default();
        let first = if self.failed > 1 { "the first, " } else { "" };
        let failed = self.failed;
        let (noun, have) = if args.task.len() > 1 || args.task == ["*"] {
            let (rows, are) = (self.rows, if failed == 1 { "is" } else { "are" });
            complain(&format!(
                "{file}{failed} of {rows} answers {are} missing; {first}{line}{problem}"
            ));
            return Exit::Failure;
        } else if self.rows == 1 {
            ("text", "has")
        } else {
            ("texts", if failed == 1 { "has" } else { "have" })
        };
        complain(&format!(
            "{file}{failed} of {} {noun} {have} no answer; {first}{line}{problem}",
            self.rows
        ));
        Exit::Failure
    }
}

/// Writes every row with its answer to `out`.
async fn bulk(args: &PredictArgs, settings: &Settings, out: &Path) -> Outcome<Exit> {
    let prepared = bulk::start::prepare(args, out)?;
    let backend = if args.addr.is_empty() {
        Backend::Local(wanted(args, settings)?)
    } else {
        let patience = Duration::from_secs(args.bulk.patience);
        Backend::fleet(&args.addr, &args.credentials, settings, patience).await?
    };
    let question = Question {
        bulk: true,
        ..question(args)
    };
    bulk::start::run(args, settings, prepared, question, backend).await
}

async fn predict(args: &PredictArgs, settings: &Settings) -> Outcome<Tally> {
    let of_bulk = matches!(args.format, Some(Format::Tsv | Format::Parquet | Format::Arrow));
    if of_bulk || args.file.len() > 1 || args.addr.len() > 1 {
        let problem = "--format tsv, parquet and arrow, several files and several addresses go with --out alone";
        return Err((problem.to_owned(), Exit::Usage));
    }
    let mut source = Source::open(args)?;
    let mut backend = match args.addr.first() {
        Some(address) => Backend::remote(address, &args.credentials, settings).await?,
        None => Backend::Local(wanted(args, settings)?),
    };
    let question = question(args);
    if !question.tasks.is_empty() && (args.explain || !args.model.is_empty()) {
        let problem = "several --task do not go with --explain or --model";
        return Err((problem.to_owned(), Exit::Usage));
    }
    let given = !args.texts.is_empty() && args.texts != ["-"];
    let format = match (args.format, args.json, given) {
        (Some(format), ..) => format,
        (None, false, true) => Format::Table,
        _ => Format::Jsonl,
    };
    let mut tally = Tally::default();
    let mut writer = Writer::new(format, args.scores, !question.tasks.is_empty());
    let progress = source.progress();
    // Once nobody reads the output, nothing more is computed.
    while !output::failed() {
        let most = if args.explain { 1 } else { settings.max_texts };
        let (lines, rows): (Vec<_>, Vec<_>) = source.batch(most)?.into_iter().unzip();
        if rows.is_empty() {
            break;
        }
        progress.set_position(source.bytes_read());
        if args.explain {
            let (line, row) = (lines[0], rows.into_iter().next().expect("there is one"));
            let text = row.as_ref().map(|fields| fields.text.clone()).unwrap_or_default();
            let outcome = match row {
                Ok(fields) => explained(&question, &mut backend, fields).await?,
                Err(problem) => Err(problem),
            };
            tally.count(line, outcome.as_ref().err());
            explain::write(format, tally.rows == 1, line, &text, &outcome);
            continue;
        }
        let answered = answered(&question, &mut backend, lines, rows).await?;
        for answer in &answered {
            tally.count(answer.line, answer.outcome.as_ref().err());
        }
        writer.write(&answered);
    }
    progress.finish_and_clear();
    Ok(tally)
}

/// The rows with their answers: one a row, or with several tasks one for each task.
async fn answered(
    question: &Question,
    backend: &mut Backend,
    lines: Vec<Option<u64>>,
    rows: Vec<Result<Fields, String>>,
) -> Outcome<Vec<Answered>> {
    type OfRow = Vec<(Option<String>, Result<pb::Prediction, String>)>;
    let outcomes: Vec<OfRow> = if question.tasks.is_empty() {
        let outcomes = question.ask(backend, &rows, &mut Vec::new()).await?;
        outcomes.into_iter().map(|outcome| vec![(None, outcome)]).collect()
    } else {
        let by_task = |outcome: Result<TaskOutcomes, String>| match outcome {
            Ok(tasks) => tasks.into_iter().map(|(task, outcome)| (Some(task), outcome)).collect(),
            Err(problem) => vec![(None, Err(problem))],
        };
        let outcomes = question.ask_tasks(backend, &rows).await?;
        outcomes.into_iter().map(by_task).collect()
    };
    let rows = lines.into_iter().zip(rows).zip(outcomes);
    let answered = rows.flat_map(|((line, row), outcomes)| {
        let fields = row.unwrap_or_default();
        outcomes.into_iter().map(move |(task, outcome)| Answered {
            line,
            fields: fields.clone(),
            task,
            outcome,
        })
    });
    Ok(answered.collect())
}

/// The models that the route may need, loaded.
fn wanted(args: &PredictArgs, settings: &Settings) -> Outcome<Service> {
    let explained = (args.explain && args.model.is_empty()).then_some(RouteSetting::Fast);
    let tier = args.route.or(explained).and_then(|route| match route {
        RouteSetting::Fast => Some(Tier::Fast),
        RouteSetting::Deep if !args.allow_fallback => Some(Tier::Deep),
        RouteSetting::Deep | RouteSetting::Cascade => None,
    });
    let named = ModelName::parse(&args.model);
    local(settings, |_, version| {
        let is_named = named.as_ref().is_none_or(|named| named.name == version.name());
        is_named && tier.is_none_or(|tier| version.verified.manifest.tier == tier)
    })
}

fn question(args: &PredictArgs) -> Question {
    let (task, tasks) = match args.task.as_slice() {
        [] => (String::new(), Vec::new()),
        [one] if one != "*" => (one.clone(), Vec::new()),
        several => (String::new(), several.to_vec()),
    };
    Question {
        task,
        tasks,
        route: args.route,
        model: args.model.clone(),
        min_confidence: args.min_confidence,
        min_precision: args.min_precision,
        allow_fallback: args.allow_fallback,
        windows: args.windows,
        bulk: false,
    }
}

async fn explained(
    question: &Question,
    backend: &mut Backend,
    fields: Fields,
) -> Outcome<Result<pb::Explanation, String>> {
    let request = pb::ExplainRequest {
        texts: vec![fields.text],
        task: question.task.clone(),
        route: question.route().into(),
        model: question.model.clone(),
        ..pb::ExplainRequest::default()
    };
    match backend.explain(request).await {
        Ok(answer) => Ok(answer
            .explanations
            .into_iter()
            .next()
            .ok_or_else(|| "no answer".to_owned())),
        Err(refusal) => match refusal.rows.into_iter().next() {
            Some((_, problem)) => Ok(Err(problem)),
            None if refusal.of_some => Ok(Err(refusal.message)),
            None => Err(failure(refusal.message)),
        },
    }
}
