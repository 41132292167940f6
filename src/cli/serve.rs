//! `tandem serve`: configuration → manifests and checksums → ports → accept → load, warm up, check → serve → drain.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::config_args::ConfigArgs;
use super::exit::Exit;
use super::log_filter;
use super::models_here::not_opened;
use super::output::{self, complain, fail, outln};
use super::service_manager::ServiceManager;
use super::signals::Signals;
use super::terminal::takes_colours;
use crate::config::{Address, Settings, variables};
use crate::cores;
use crate::model::ModelError;
use crate::model::memory;
use crate::model::onnx::Runtime;
use crate::server::Server;
use crate::server::ports::Addresses;
use crate::server::security::{Expiry, Security, Tokens};
use crate::service::Service;
use crate::service::catalog::Catalog;
use crate::service::catalog::model_version::ModelVersion;
use crate::service::lifecycle::kept_file;
use crate::service::lifecycle::start::open_catalog;
use crate::telemetry::log_export::{self, LogExport};
use crate::telemetry::logs::{self, millis};
use crate::telemetry::metrics::Metrics;
use crate::telemetry::span_export::SpanExport;

/// The arguments of `tandem serve`.
#[derive(clap::Args)]
pub struct ServeArgs {
    /// The settings, and the file that holds them.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Print the configuration that would be used, as TOML, and exit
    #[arg(long)]
    pub print_config: bool,
    /// Load and verify everything as a start would, open no port, and exit
    #[arg(long)]
    pub check: bool,
}

/// How long the models' threads may take to end when the grace is over or the second signal has come.
const LAST_MOMENT: Duration = Duration::from_millis(200);
/// The longest that the last spans and log lines may take to be sent, of what is left of the grace.
const LAST_SENT: Duration = Duration::from_secs(5);

/// Runs the server until SIGTERM or SIGINT.
pub fn run(args: &ServeArgs, signals: Signals) -> Exit {
    if args.check || args.print_config {
        signals.nothing_to_serve();
    } else {
        signals.nothing_served();
    }
    let settings = match args.config.resolve() {
        Ok(settings) => settings,
        Err(error) => return fail(&error, Exit::Usage),
    };
    if args.print_config {
        output::raw(
            toml::to_string(&settings)
                .expect("settings are plain values with names")
                .as_bytes(),
        );
        return Exit::Success;
    }
    // A look tells nobody else.
    let export = if args.check {
        LogExport::off()
    } else {
        LogExport::start()
    };
    let colours = takes_colours(&io::stderr());
    if let Err(problem) = logs::start(settings.log_format, &settings.log_filter, colours, export) {
        return fail(&problem, Exit::Usage);
    }
    logs::log_panics();
    memory::hold_little();
    tell_unknown_variables();
    let security = match Tokens::of_environment().and_then(|tokens| Security::load(&settings, tokens)) {
        Ok(security) => security,
        Err(problem) => return fail(&problem, Exit::Usage),
    };
    let opened = match open_catalog(&settings) {
        Ok(opened) => opened,
        Err(error) => {
            let (problem, exit) = not_opened(error);
            return fail(&problem, exit);
        }
    };
    let runtime = match Runtime::get() {
        Ok(runtime) => runtime,
        Err(problem) => return fail(&problem, Exit::Failure),
    };
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        onnxruntime = runtime.version,
        library = %runtime.library.display(),
        "tandem starts"
    );
    let mut settings = settings;
    if args.check {
        // A look leaves nothing behind.
        if let Err(error) = kept_file::check(&settings) {
            return fail(&error, Exit::Failure);
        }
        settings.keep_texts = 0;
        settings.keep_file = None;
    }
    let fetched = opened.store.as_ref().map(|store| store.told());
    let service = match Service::new(&settings, opened, Metrics::new(&runtime.version)) {
        Ok(service) => service,
        Err(error) => return fail(&error, Exit::Failure),
    };
    if args.check {
        return check(&service, &security, fetched);
    }
    on_runtime(&settings, args.config.clone(), security, service, signals)
}

/// Serves on an async runtime of its own, and follows the log filter meanwhile.
fn on_runtime(settings: &Settings, config: ConfigArgs, security: Security, service: Service, signals: Signals) -> Exit {
    let threads = cores::usable();
    let tokio = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        // For short blocking work. Nothing whose length a request decides runs on these threads.
        .max_blocking_threads(threads.max(2))
        .enable_all()
        .build();
    match tokio {
        // A thread that is stuck, in a run or in preprocessing, must not delay the end.
        Ok(tokio) => output::end(tokio.block_on(async {
            let filter = log_filter::follow(config, signals.hang_up.clone(), settings.log_filter.clone());
            let following = tokio::spawn(filter);
            let exit = serve(settings, security, service, signals).await;
            following.abort();
            exit
        })),
        Err(error) => fail(&format!("can't start the async runtime: {error}"), Exit::Failure),
    }
}

fn tell_unknown_variables() {
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    for problem in variables::unknown(names) {
        tracing::warn!("{problem}");
    }
}

/// Says whether a start would succeed, and what was fetched for it. Does not open the ports, so it can't tell whether they are free.
fn check(service: &Service, security: &Security, fetched: Option<String>) -> Exit {
    let outcome = service.load_models();
    service.stop_models();
    let expiries = security.expiry_problems();
    for Expiry { problem, .. } in &expiries {
        complain(problem);
    }
    match outcome {
        Ok(()) if expiries.iter().any(|expiry| expiry.has_expired) => Exit::Failure,
        Ok(()) => {
            if let Some(fetched) = fetched {
                outln!("fetched: {fetched}");
            }
            outln!("ok: {}", loaded(&service.catalog()));
            Exit::Success
        }
        Err(error) => fail(&error, Exit::Failure),
    }
}

/// How many models were loaded, and which of them have no golden examples of their training framework.
fn loaded(catalog: &Catalog) -> String {
    let count = catalog.versions().count();
    let of = |version: &Arc<ModelVersion>| (!version.verified.verified).then(|| version.name().to_owned());
    let unverified: Vec<String> = catalog.versions().filter_map(of).collect();
    let noun = if count == 1 { "model" } else { "models" };
    if unverified.is_empty() {
        return format!("{count} {noun} loaded and verified");
    }
    let verified = match count - unverified.len() {
        0 => String::new(),
        verified => format!(", {verified} verified"),
    };
    format!(
        "{count} {noun} loaded{verified}; not verified: {}",
        unverified.join(", ")
    )
}

async fn serve(settings: &Settings, security: Security, service: Service, signals: Signals) -> Exit {
    let drain = settings.drain_pause.0.saturating_add(settings.drain_grace.0);
    signals.begin(drain);
    let export = SpanExport::start(service.metrics());
    let server = match Server::bind_traced(settings, security, service.clone(), export.spans.clone()).await {
        Ok(server) => server,
        Err(error) => return fail(&error, Exit::Failure),
    };
    match server.addresses() {
        Ok(addresses) => announce(addresses),
        Err(error) => return fail(&format!("can't tell the addresses in use: {error}"), Exit::Failure),
    }
    let manager = ServiceManager::of_environment();
    tokio::spawn(manager.clone().watchdog(server.runtimes()));
    let (sender, loaded) = tokio::sync::oneshot::channel();
    let loader = load(service.clone(), sender);
    let (listening, heeded) = (server.listening(), server.heeded());
    let mut exit = Exit::Success;
    let ready = async {
        // If the loader sent nothing, it panicked; the log has the panic.
        let Ok(load_time) = loaded.await else {
            return std::future::pending().await;
        };
        let load_time = load_time?;
        // So that whoever reads the line can connect.
        listening.cancelled().await;
        tracing::info!(load_ms = millis(load_time), "ready");
        manager.ready().await;
        manager.reloads(signals.hang_up.clone(), heeded).await;
        std::future::pending::<Result<(), ModelError>>().await
    };
    let mut told_to_stop = Instant::now();
    // Not awaited before the drain begins: the service manager must not keep health from saying NOT_SERVING.
    let mut stopping = None;
    let shutdown = async {
        tokio::select! {
            () = signals.stop.cancelled() => tracing::info!("told to stop, draining"),
            Err(error) = ready => {
                complain(&error);
                tracing::error!("a model failed its checks");
                exit = Exit::Failure;
            }
        }
        told_to_stop = Instant::now();
        stopping = Some(tokio::spawn(manager.clone().stopping()));
    };
    let served = server.run(shutdown, signals.hang_up.clone(), signals.hurry.clone());
    if let Err(error) = served.await {
        complain(&error);
        exit = Exit::Failure;
    }
    let left = drain.saturating_sub(told_to_stop.elapsed()).max(LAST_MOMENT);
    stop_models(service, loader, left, &signals).await;
    if let Some(told) = stopping {
        // Its own bound is short.
        let _ = told.await;
    }
    // What is sent of the last calls ends when all else has to end.
    let left = drain.saturating_sub(told_to_stop.elapsed());
    let until = Instant::now() + left.clamp(LAST_MOMENT, LAST_SENT);
    send_last(move |limit| export.end(limit), until, &signals).await;
    tracing::info!("stopped");
    send_last(log_export::end, until, &signals).await;
    exit
}

/// Waits for the end of the models' threads, at most so long.
async fn stop_models(service: Service, loader: JoinHandle<()>, left: Duration, signals: &Signals) {
    let (ended, models_ended) = tokio::sync::oneshot::channel();
    // On a thread of its own, since work that is stuck may hold all others.
    std::thread::spawn(move || {
        let _ = loader.join();
        service.stop_models();
        let _ = ended.send(());
    });
    let late = tokio::select! {
        _ = models_ended => false,
        () = tokio::time::sleep(left) => true,
        () = hurried(signals) => true,
    };
    if late {
        tracing::warn!("models still load or run, the process ends without them");
    }
}

/// Sends what is left, within what is left of a time but a moment at least, and until the second signal.
async fn send_last(send: impl FnOnce(Duration) + Send + 'static, until: Instant, signals: &Signals) {
    let limit = until.saturating_duration_since(Instant::now()).max(LAST_MOMENT);
    let (ended, sent) = tokio::sync::oneshot::channel();
    // It blocks.
    std::thread::spawn(move || {
        send(limit);
        let _ = ended.send(());
    });
    tokio::select! {
        _ = sent => {}
        () = hurried(signals) => {}
    }
}

/// Returns a moment after the second signal.
async fn hurried(signals: &Signals) {
    signals.hurry.cancelled().await;
    tokio::time::sleep(LAST_MOMENT).await;
}

/// Loads the models on a thread of their own, and sends how long it took. Ends when all models serve, when one fails,
/// or when a drain begins.
fn load(service: Service, sender: tokio::sync::oneshot::Sender<Result<Duration, ModelError>>) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let started = Instant::now();
        let outcome = service.load_models().map(|()| started.elapsed());
        // No error if nobody waits: the server is stopping.
        let _ = sender.send(outcome);
    })
}

fn announce(addresses: Addresses) {
    let show = |address: Option<Address>| address.map_or_else(|| "off".to_owned(), |address| address.to_string());
    let list = |addresses: &[Address]| match addresses {
        [] => "off".to_owned(),
        some => some.iter().map(Address::to_string).collect::<Vec<_>>().join(","),
    };
    tracing::info!(
        grpc = list(&addresses.grpc),
        http = list(&addresses.http),
        metrics = show(addresses.metrics),
        admin = show(addresses.admin),
        "listening"
    );
}
