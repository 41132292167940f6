//! The command line, with one file for each command. Parses, runs, and turns the outcome into an exit code.

pub mod admin_args;
pub mod audit;
pub mod bench;
pub mod calibrate;
pub mod calibration_files;
pub mod calibration_page;
pub mod calibration_report;
pub mod check;
pub mod client;
pub mod command_line;
pub mod config_args;
pub mod costs;
pub mod dataset_args;
pub mod distill;
pub mod evaluate;
pub mod exit;
pub mod healthcheck;
pub mod log_filter;
mod models;
pub mod models_here;
pub mod moment;
pub mod out_place;
pub mod outcome;
pub mod output;
pub mod predict;
pub mod preflight;
pub mod read_args;
pub mod serve;
mod service_manager;
pub mod signals;
pub mod target_args;
pub mod terminal;
pub mod train;
pub mod write_manifest;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::error::ContextValue;
use clap::{CommandFactory, Parser, Subcommand};

use self::config_args::ConfigArgs;
use self::exit::Exit;
use self::signals::Signals;
use self::terminal::ColorChoice;
use crate::model::onnx::Runtime;
use crate::telemetry::stderr;
use crate::telemetry::visible::visible;

/// A gRPC server for text classification: a fast and a deep model behind one API.
#[derive(Parser)]
#[command(name = "tandem", after_help = EXIT_CODES, arg_required_else_help = true)]
struct Cli {
    /// Print the versions of Tandem and of ONNX Runtime, and where that was found
    #[arg(short = 'V', long)]
    version: bool,
    /// When colours are written: always, never, or auto: on a terminal, unless NO_COLOR is set
    #[arg(
        long,
        value_enum,
        value_name = "WHEN",
        default_value = "auto",
        hide_possible_values = true,
        global = true
    )]
    color: ColorChoice,
    #[command(subcommand)]
    command: Option<Command>,
}

const EXIT_CODES: &str = "Exit codes: 0 success; 1 could not start or go on (a port in use, a model that fails its \
checks, a server out of reach), a text has no answer, or a figure is below its --min; 2 a mistake in the command line, the configuration, a manifest or a \
checksum; 3 something is doubtful, for `check --strict`, or some rows of `predict --out` have an error.";

#[derive(Subcommand)]
enum Command {
    /// Serve the models over gRPC and HTTP
    Serve(serve::ServeArgs),
    /// Classify texts, here or by a server
    #[command(mut_args = hide_server_settings, override_usage = "tandem predict [OPTIONS] <TEXT>... | --file <FILE> | -")]
    Predict(Box<predict::args::PredictArgs>),
    /// Train a fast model from labelled texts, for the server to serve
    Train(Box<train::args::TrainArgs>),
    /// Train a fast model from a deep one and texts without labels, and calibrate the cascade of both
    Distill(Box<distill::args::DistillArgs>),
    /// Measure a cascade on labelled texts, and write the chosen point where the next start finds it
    #[command(mut_args = hide_server_settings)]
    Calibrate(Box<calibrate::CalibrateArgs>),
    /// Tell how good a model, a route or two side by side are, on labelled texts, here or by a server
    #[command(mut_args = hide_server_settings)]
    Evaluate(Box<evaluate::args::EvaluateArgs>),
    /// Verify a model: manifest, checksums, loading, golden examples; or say what an export without a manifest is
    #[command(mut_args = hide_server_settings)]
    Check(check::CheckArgs),
    /// List the models of a server, roll versions out and back, by its admin port
    #[command(mut_args = |argument| admin_args::setting(hide_all_but_tls(argument)))]
    Models(Box<models::ModelsArgs>),
    /// Get the texts of live traffic that a server keeps as worth labelling, by its admin port
    #[command(mut_args = |argument| admin_args::setting(hide_all_but_tls(argument)))]
    Audit(Box<audit::AuditArgs>),
    /// Ask a server whether it serves; exit code 0 if so
    #[command(mut_args = hide_all_but_tls)]
    Healthcheck(Box<healthcheck::HealthcheckArgs>),
    /// Load a server and tell how fast it answers, alone or beside a reference
    #[command(mut_args = hide_server_settings)]
    Bench(Box<bench::args::BenchArgs>),
    /// A reference of `bench`: the raw loop over ONNX Runtime
    #[command(hide = true)]
    BenchOnnx(Box<bench::raw::RawArgs>),
    /// A reference of `bench`: a service that always gives the same answer
    #[command(hide = true)]
    BenchEcho(bench::echo::EchoArgs),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// Hides the settings that only a server has from a command's help. They are still accepted, also from the environment.
fn hide_server_settings(argument: clap::Arg) -> clap::Arg {
    let server_only = matches!(
        argument.get_help_heading(),
        Some("Listeners" | "Connections" | "Security" | "Roll-out" | "Kept texts" | "Logs")
    );
    argument.hide(server_only)
}

/// Hides the settings that do not say how to reach a server from a command's help.
fn hide_all_but_tls(argument: clap::Arg) -> clap::Arg {
    let other = argument.get_help_heading().is_some_and(|heading| heading != "TLS");
    argument.hide(other)
}

/// Runs the program.
pub fn main() -> ExitCode {
    #[expect(unsafe_code, reason = "the environment is set before any thread runs")]
    // SAFETY: no other thread runs yet.
    unsafe {
        std::env::set_var("ORT_DISABLE_TELEMETRY", "1");
    }
    let _last_lines = output::LastLines;
    terminal::choose_early(std::env::args_os());
    let exit = listen().and_then(|signals| match Cli::try_parse() {
        Ok(cli) => Ok(run(cli, &signals)),
        Err(error) => Err(tell_usage(error)),
    });
    let exit = exit.unwrap_or_else(|exit| exit);
    output::end(output::settle(exit))
}

/// Listens for signals before the command line is parsed, which takes some milliseconds. A server that is told to stop
/// during that time exits with 0.
fn listen() -> Result<Signals, Exit> {
    let signals = Signals::listen()?;
    if std::env::args_os().nth(1).is_some_and(|command| command == "serve") {
        signals.nothing_served();
    }
    Ok(signals)
}

fn run(cli: Cli, signals: &Signals) -> Exit {
    terminal::choose(cli.color);
    if cli.version {
        output::block(&version());
        return Exit::Success;
    }
    match cli.command {
        Some(Command::Serve(args)) => serve::run(&args, signals.clone()),
        Some(Command::Predict(args)) => predict::run(&args),
        Some(Command::Train(args)) => train::run(&args, signals),
        Some(Command::Distill(args)) => distill::run(&args, signals),
        Some(Command::Calibrate(args)) => calibrate::run(&args),
        Some(Command::Evaluate(args)) => evaluate::run(&args),
        Some(Command::Check(args)) => check::run(&args),
        Some(Command::Models(args)) => models::run(&args),
        Some(Command::Audit(args)) => audit::run(&args),
        Some(Command::Healthcheck(args)) => healthcheck::run(&args, serves_with),
        Some(Command::Bench(args)) => bench::run(&args, signals),
        Some(Command::BenchOnnx(args)) => bench::raw::run(&args),
        Some(Command::BenchEcho(args)) => bench::echo::run(&args),
        Some(Command::Completions { shell }) => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "tandem", &mut script);
            output::raw(&script);
            Exit::Success
        }
        None => Exit::Usage,
    }
}

/// The configuration in a command line, if it is that of a server.
fn serves_with(words: Vec<OsString>) -> Option<ConfigArgs> {
    match Cli::try_parse_from(words).ok()?.command? {
        Command::Serve(args) => Some(args.config),
        _ => None,
    }
}

/// Prints what is wrong with the command line, or the help that it asks for.
fn tell_usage(mut error: clap::Error) -> Exit {
    if error.use_stderr() {
        let quoted: Vec<_> = error.context().map(|(kind, value)| (kind, value.clone())).collect();
        for (kind, value) in quoted {
            if let ContextValue::String(text) = value {
                error.insert(kind, ContextValue::String(visible(&text).into_owned()));
            }
        }
        // Without colours, since it quotes its arguments.
        let text = error.render().to_string();
        text.trim_end()
            .split('\n')
            .for_each(|line| stderr::line(&visible(line)));
        return Exit::Usage;
    }
    let help = error.render();
    if terminal::has_colours() {
        output::raw(help.ansi().to_string().as_bytes());
    } else {
        output::raw(help.to_string().as_bytes());
    }
    Exit::Success
}

/// The versions of the program and of ONNX Runtime.
fn version() -> String {
    let tandem = env!("CARGO_PKG_VERSION");
    match Runtime::get() {
        Ok(runtime) => format!(
            "tandem {tandem}\nONNX Runtime {} ({})",
            runtime.version,
            runtime.library.display()
        ),
        Err(problem) => format!("tandem {tandem}\n{problem}"),
    }
}
