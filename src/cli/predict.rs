//! `tandem predict`: classifies texts from the command line, a file or standard input, in this process or by a server.

use std::io::{self, BufRead, BufReader, IsTerminal};
use std::path::PathBuf;
use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};

use super::client::{Connection, CredentialArgs, connect_as, describe};
use super::table::{Format, Writer};
use super::{ConfigArgs, Exit, explain, fail, output};
use crate::api::pb::prediction_service_client::PredictionServiceClient;
use crate::api::{convert, pb};
use crate::config::Settings;
use crate::config::settings::RouteSetting;
use crate::model::Tier;
use crate::service::Service;
use crate::service::start::open_catalog;
use crate::service::types::{CallTimes, ClientKey, Weight};
use crate::service::validate::MAX_EXPLAINED_TEXTS;
use crate::telemetry::metrics::Metrics;

/// The arguments of `tandem predict`.
#[derive(clap::Args)]
pub struct PredictArgs {
    /// The texts; `-` reads one a line from standard input
    #[arg(value_name = "TEXT", required_unless_present = "file", conflicts_with = "file")]
    texts: Vec<String>,
    /// Read one text a line from a file
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Which model answers [default: the task's]
    #[arg(long, value_name = "ROUTE")]
    route: Option<RouteSetting>,
    /// For the cascade: the confidence from 0 to 1 at which the fast answer stands [default: the task's]
    #[arg(long, value_name = "CONFIDENCE")]
    min_confidence: Option<f32>,
    /// Let the fast model answer what the deep one can't in time or has no room for
    #[arg(long)]
    allow_fallback: bool,
    /// Say which n-grams speak for and against each label, instead of classifying; for models over n-grams
    #[arg(long, conflicts_with_all = ["min_confidence", "allow_fallback"])]
    explain: bool,
    /// The task [default: the server's]
    #[arg(long, value_name = "TASK", default_value = "", hide_default_value = true)]
    task: String,
    /// Ask the server at this gRPC address instead of loading the models here
    #[arg(long, value_name = "ADDRESS")]
    addr: Option<String>,
    /// What the server is shown.
    #[command(flatten)]
    credentials: CredentialArgs,
    /// How answers are written [default: table for texts given here, jsonl otherwise]
    #[arg(long, value_enum, value_name = "FORMAT")]
    format: Option<Format>,
    /// Where settings come from.
    #[command(flatten)]
    config: ConfigArgs,
}

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
        Ok(()) => Exit::Success,
        Err((problem, exit)) => fail(&problem, exit),
    }
}

type Outcome<T> = Result<T, (String, Exit)>;

fn failure<E: ToString>(error: E) -> (String, Exit) {
    (error.to_string(), Exit::Failure)
}

async fn predict(args: &PredictArgs, settings: &Settings) -> Outcome<()> {
    let source = Source::open(args)?;
    let mut backend = match &args.addr {
        Some(address) => {
            let own = settings.tls_cert.as_deref().zip(settings.tls_key.as_deref());
            let connection = connect_as(address, &args.credentials, own).await;
            Backend::Remote(Box::new(PredictionServiceClient::new(connection.map_err(failure)?)))
        }
        None => Backend::Local(local(args, settings)?),
    };
    let format = args.format.unwrap_or(if args.texts.is_empty() || args.texts == ["-"] {
        Format::Jsonl
    } else {
        Format::Table
    });
    if args.explain {
        return explain(args, backend, source, format).await;
    }
    let mut writer = Writer::new(format, io::stdout());
    let progress = source.progress();
    let mut texts = source.texts;
    loop {
        let batch = texts.by_ref().take(settings.max_texts).collect::<io::Result<Vec<_>>>();
        let batch = batch.map_err(|error| (format!("the texts can't be read: {error}"), Exit::Failure))?;
        if batch.is_empty() {
            break;
        }
        let answer = backend.ask(request(args, batch.clone())).await?;
        if let Err(error) = writer.write(&batch, &answer.predictions) {
            output::record(Err(error));
            break;
        }
        progress.inc(batch.iter().map(|text| text.len() as u64 + 1).sum());
    }
    progress.finish_and_clear();
    Ok(())
}

async fn explain(args: &PredictArgs, mut backend: Backend, source: Source, format: Format) -> Outcome<()> {
    let mut out = io::stdout().lock();
    let mut texts = source.texts;
    loop {
        let batch = texts.by_ref().take(MAX_EXPLAINED_TEXTS).collect::<io::Result<Vec<_>>>();
        let batch = batch.map_err(|error| (format!("the texts can't be read: {error}"), Exit::Failure))?;
        if batch.is_empty() {
            return Ok(());
        }
        let answer = backend
            .explain(pb::ExplainRequest {
                texts: batch.clone(),
                task: args.task.clone(),
                route: route(args).into(),
                ..pb::ExplainRequest::default()
            })
            .await?;
        for (text, explanation) in batch.iter().zip(&answer.explanations) {
            if let Err(error) = explain::write(&mut out, format, text, explanation) {
                output::record(Err(error));
                return Ok(());
            }
        }
    }
}

fn request(args: &PredictArgs, texts: Vec<String>) -> pb::PredictRequest {
    pb::PredictRequest {
        texts,
        task: args.task.clone(),
        route: route(args).into(),
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

/// Who answers.
enum Backend {
    Local(Service),
    Remote(Box<PredictionServiceClient<Connection>>),
}

impl Backend {
    async fn ask(&mut self, request: pb::PredictRequest) -> Outcome<pb::PredictResponse> {
        match self {
            Backend::Local(service) => {
                let input = convert::predict_input(request).map_err(failure)?;
                let output = service.handle(input, patient(service)).await.map_err(failure)?;
                Ok(convert::predict_response(output))
            }
            Backend::Remote(client) => {
                let answer = client.predict(request).await;
                answer
                    .map(tonic::Response::into_inner)
                    .map_err(|status| failure(describe(&status)))
            }
        }
    }

    async fn explain(&mut self, request: pb::ExplainRequest) -> Outcome<pb::ExplainResponse> {
        match self {
            Backend::Local(service) => {
                let input = convert::explain_input(request).map_err(failure)?;
                let output = service.explain(input, patient(service)).await.map_err(failure)?;
                Ok(convert::explain_response(output))
            }
            Backend::Remote(client) => {
                let answer = client.explain(request).await;
                answer
                    .map(tonic::Response::into_inner)
                    .map_err(|status| failure(describe(&status)))
            }
        }
    }
}

/// The times of a request for which nobody else is waiting: the longest deadline will do.
fn patient(service: &Service) -> CallTimes {
    let arrived = Instant::now();
    CallTimes {
        arrived,
        deadline: arrived + service.deadlines().max_timeout,
        client: ClientKey::default(),
        weight: Weight::default(),
    }
}

/// Loads the models that the route may ask.
fn local(args: &PredictArgs, settings: &Settings) -> Outcome<Service> {
    let catalog = open_catalog(settings).map_err(|error| (error.to_string(), Exit::Usage))?;
    let service = Service::new(settings, catalog, Metrics::new(""));
    let explained = args.explain.then_some(RouteSetting::Fast);
    let wanted = args.route.or(explained).and_then(|route| match route {
        RouteSetting::Fast => Some(Tier::Fast),
        RouteSetting::Deep if !args.allow_fallback => Some(Tier::Deep),
        RouteSetting::Deep | RouteSetting::Cascade => None,
    });
    for slot in service.catalog().slots() {
        if wanted.is_none_or(|tier| slot.verified.manifest.tier == tier) {
            service.load_model(slot, settings).map_err(failure)?;
        }
    }
    Ok(service)
}

/// Where texts come from.
struct Source {
    texts: Box<dyn Iterator<Item = io::Result<String>>>,
    /// The size of the file, for the progress bar.
    bytes: Option<u64>,
}

impl Source {
    fn open(args: &PredictArgs) -> Outcome<Self> {
        if let Some(path) = &args.file {
            let problem = |error: io::Error| (format!("{}: {error}", path.display()), Exit::Failure);
            let file = std::fs::File::open(path).map_err(problem)?;
            let bytes = file.metadata().map_err(problem)?.len();
            return Ok(Self {
                texts: Box::new(BufReader::new(file).lines()),
                bytes: Some(bytes),
            });
        }
        let texts: Box<dyn Iterator<Item = io::Result<String>>> = if args.texts == ["-"] {
            Box::new(BufReader::new(io::stdin()).lines())
        } else {
            Box::new(args.texts.clone().into_iter().map(Ok))
        };
        Ok(Self { texts, bytes: None })
    }

    /// A bar on a terminal, nothing elsewhere.
    fn progress(&self) -> ProgressBar {
        match self.bytes {
            Some(bytes) if io::stderr().is_terminal() => {
                let style = ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes}, {eta} left")
                    .unwrap_or_else(|_| ProgressStyle::default_bar());
                ProgressBar::new(bytes).with_style(style)
            }
            _ => ProgressBar::hidden(),
        }
    }
}
