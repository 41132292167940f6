//! `tandem predict`: classifies texts from the command line, a file or standard input, in this process or by a server.

mod answers;
pub mod args;
mod backend;
mod explain;
mod source;

use answers::{Answered, Format, Writer};
use args::PredictArgs;
use backend::{Backend, local};
use source::Source;

use super::client::connect_as;
use super::exit::Exit;
use super::outcome::{Outcome, failure};
use super::output::{self, complain, fail};
use crate::api::pb;
use crate::api::pb::prediction_service_client::PredictionServiceClient;
use crate::config::Settings;
use crate::config::settings::RouteSetting;
use crate::offline::reader::Fields;

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
            .as_ref()
            .map(|file| format!("{}: ", file.display()))
            .unwrap_or_default();
        let line = line.map(|line| format!("line {line}: ")).unwrap_or_default();
        let first = if self.failed > 1 { "the first, " } else { "" };
        let failed = self.failed;
        let (noun, have) = if self.rows == 1 {
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

async fn predict(args: &PredictArgs, settings: &Settings) -> Outcome<Tally> {
    let mut source = Source::open(args)?;
    let mut backend = match &args.addr {
        Some(address) => {
            let own = settings.tls_cert.as_deref().zip(settings.tls_key.as_deref());
            let connection = connect_as(address, &args.credentials, own).await.map_err(failure)?;
            // An answer has every score of each text, so it needs no bound of its own.
            let client = PredictionServiceClient::new(connection).max_decoding_message_size(usize::MAX);
            Backend::Remote(Box::new(client))
        }
        None => Backend::Local(local(args, settings)?),
    };
    let given = !args.texts.is_empty() && args.texts != ["-"];
    let format = match (args.format, args.json, given) {
        (Some(format), ..) => format,
        (None, false, true) => Format::Table,
        _ => Format::Jsonl,
    };
    let mut tally = Tally::default();
    let mut writer = Writer::new(format, args.scores);
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
                Ok(fields) => explained(args, &mut backend, fields).await?,
                Err(problem) => Err(problem),
            };
            tally.count(line, outcome.as_ref().err());
            explain::write(format, tally.rows == 1, line, &text, &outcome);
            continue;
        }
        let outcomes = answers(args, &mut backend, &rows).await?;
        let answered = lines
            .into_iter()
            .zip(rows)
            .zip(outcomes)
            .map(|((line, row), outcome)| Answered {
                line,
                fields: row.unwrap_or_default(),
                outcome,
            });
        let answered: Vec<Answered> = answered.collect();
        for answer in &answered {
            tally.count(answer.line, answer.outcome.as_ref().err());
        }
        writer.write(&answered);
    }
    progress.finish_and_clear();
    Ok(tally)
}

/// The outcome of each row. Texts at fault are separated from the others, which are answered.
async fn answers(
    args: &PredictArgs,
    backend: &mut Backend,
    rows: &[Result<Fields, String>],
) -> Outcome<Vec<Result<pb::Prediction, String>>> {
    let mut outcomes: Vec<Option<Result<pb::Prediction, String>>> =
        rows.iter().map(|row| row.as_ref().err().cloned().map(Err)).collect();
    let readable = (0..rows.len()).filter(|at| rows[*at].is_ok()).collect();
    let mut parts: Vec<Vec<usize>> = vec![readable];
    while let Some(mut part) = parts.pop() {
        if part.is_empty() {
            continue;
        }
        let fields: Vec<&Fields> = part.iter().filter_map(|at| rows[*at].as_ref().ok()).collect();
        match backend.ask(request(args, &fields)).await {
            Ok(answer) if answer.predictions.len() == part.len() => {
                for (at, prediction) in part.into_iter().zip(answer.predictions) {
                    outcomes[at] = Some(Ok(prediction));
                }
            }
            Ok(_) => {
                return Err(failure(
                    "the server gave another number of answers than it was asked for",
                ));
            }
            Err(refusal) if !refusal.rows.is_empty() => {
                for (at, problem) in &refusal.rows {
                    if let Some(at) = part.get(*at) {
                        outcomes[*at] = Some(Err(problem.clone()));
                    }
                }
                let before = part.len();
                part.retain(|at| outcomes[*at].is_none());
                if part.len() == before {
                    return Err(failure(refusal.message));
                }
                parts.push(part);
            }
            // Halves show which of the texts it is.
            Err(refusal) if refusal.of_some && part.len() > 1 => {
                parts.push(part.split_off(part.len() / 2));
                parts.push(part);
            }
            Err(refusal) if refusal.of_some => outcomes[part[0]] = Some(Err(refusal.message)),
            Err(refusal) => return Err(failure(refusal.message)),
        }
    }
    let unanswered = || Err("no answer".to_owned());
    Ok(outcomes
        .into_iter()
        .map(|outcome| outcome.unwrap_or_else(unanswered))
        .collect())
}

async fn explained(
    args: &PredictArgs,
    backend: &mut Backend,
    fields: Fields,
) -> Outcome<Result<pb::Explanation, String>> {
    let request = pb::ExplainRequest {
        texts: vec![fields.text],
        task: args.task.clone(),
        route: route(args).into(),
        model: args.model.clone(),
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

fn request(args: &PredictArgs, fields: &[&Fields]) -> pb::PredictRequest {
    let texts = fields.iter().map(|fields| fields.text.clone());
    let pairs = fields.iter().filter_map(|fields| fields.pair.clone());
    pb::PredictRequest {
        texts: texts.collect(),
        text_pairs: pairs.collect(),
        task: args.task.clone(),
        route: route(args).into(),
        model: args.model.clone(),
        // All of them. The scores also say which labels a multi-label model selects.
        top_k: i32::MAX,
        min_confidence: args.min_confidence,
        allow_fallback: args.allow_fallback.then_some(true),
        ..pb::PredictRequest::default()
    }
}

fn route(args: &PredictArgs) -> pb::Route {
    match args.route {
        None => pb::Route::Unspecified,
        Some(RouteSetting::Fast) => pb::Route::Fast,
        Some(RouteSetting::Deep) => pb::Route::Deep,
        Some(RouteSetting::Cascade) => pb::Route::Cascade,
    }
}
