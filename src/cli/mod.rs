//! The command line: one file a command. Parses, runs, and turns the outcome into an exit code.

pub mod serve;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::Options;

/// What a command ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// All went well.
    Success = 0,
    /// It could not start or could not go on: a port in use, a model that fails its checks, a server out of reach.
    Failure = 1,
    /// What it was told can't be right: the command line, the configuration, a manifest, a checksum.
    Usage = 2,
}

/// A gRPC server for text classification: a fast and a deep model behind one API.
#[derive(Parser)]
#[command(name = "tandem", after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 success; 1 could not start or go on (a port in use, a model that fails its \
checks, a server out of reach); 2 a mistake in the command line, the configuration, a manifest or a checksum.";

#[derive(Subcommand)]
enum Command {
    /// Serve the models over gRPC and HTTP
    Serve(serve::ServeArgs),
}

/// Where the configuration file is.
#[derive(clap::Args)]
pub struct ConfigArgs {
    /// The configuration file [default: tandem.toml, if it is there]
    #[arg(long, env = "TANDEM_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The settings.
    #[command(flatten)]
    pub options: Options,
}

/// The version of the program and of ONNX Runtime.
fn version() -> String {
    "0.1.0".into()
}

/// Runs the program.
pub fn main() -> ExitCode {
    let exit = match Cli::parse().command {
        Command::Serve(args) => serve::run(&args),
    };
    ExitCode::from(exit as u8)
}

/// Says what went wrong, in one line, on standard error.
pub fn complain(problem: &dyn std::fmt::Display) {
    eprintln!("tandem: {problem}");
}
