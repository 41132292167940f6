//! The arguments of `tandem bench`, and the checks that they must pass together.

use std::path::PathBuf;

use clap::ValueEnum;

use crate::api::pb;
use crate::cli::client::{CredentialArgs, ServerAddress};
use crate::cli::config_args::ConfigArgs;
use crate::cli::read_args::ReadArgs;
use crate::config::HumanDuration;
use crate::config::settings::RouteSetting;

/// The arguments of `tandem bench`.
#[derive(clap::Args)]
pub struct BenchArgs {
    /// Ask the server at this gRPC address [default: 127.0.0.1:50051]
    #[arg(long, value_name = "ADDRESS", help_heading = "Server", conflicts_with = "spawn", value_parser = ServerAddress::parse)]
    pub server: Option<ServerAddress>,
    /// How this client identifies itself, and whom it trusts.
    #[command(flatten)]
    pub credentials: CredentialArgs,
    /// The server's process, to tell its processor time: one on this machine
    #[arg(long, value_name = "PID", help_heading = "Server", conflicts_with = "spawn")]
    pub server_pid: Option<u32>,
    /// Start a server with these settings, measure it, and end it
    #[arg(long, help_heading = "Server")]
    pub spawn: bool,
    /// The cores of what is spawned, as taskset takes them, for instance 0-1
    #[arg(long, value_name = "CORES", help_heading = "Server")]
    pub server_cpus: Option<String>,
    /// What the server is compared with, in alternating rounds on the same texts
    #[arg(long, value_enum, value_name = "REFERENCE", help_heading = "Server")]
    pub reference: Option<Reference>,
    /// Rows in a batch of the raw loop [default: the fastest of 1, 2, 4, 8, 16, 32]
    #[arg(long, value_name = "COUNT", help_heading = "Server", value_parser = clap::value_parser!(u64).range(1..=1024))]
    pub reference_batch: Option<u64>,
    /// Texts within which the raw loop sorts by length [default: those that the callers have in flight]
    #[arg(long, value_name = "COUNT", help_heading = "Server", value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub reference_window: Option<u64>,

    /// Callers, each of which waits for its answer before it asks again
    #[arg(long, value_name = "COUNT", help_heading = "Load", default_value_t = 8, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub concurrency: u64,
    /// Calls a second that arrive whether or not earlier ones are answered, instead of --concurrency
    #[arg(long, value_name = "CALLS", help_heading = "Load", value_parser = positive, conflicts_with = "reference")]
    pub rate: Option<f64>,
    /// Measure what the server can do first, and let so many times that arrive, instead of --rate
    #[arg(long, value_name = "FACTOR", help_heading = "Load", value_parser = positive, conflicts_with_all = ["rate", "reference", "calls"])]
    pub capacity_factor: Option<f64>,
    /// With a rate: calls that may be open; those that arrive beyond are counted and not sent
    #[arg(long, value_name = "COUNT", help_heading = "Load", default_value_t = 4096, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub max_open: u64,
    /// Connections, over which the calls are spread
    #[arg(long, value_name = "COUNT", help_heading = "Load", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1024))]
    pub connections: u64,
    /// How long to measure [default: 10s]
    #[arg(long, value_name = "DURATION", help_heading = "Load", conflicts_with = "calls")]
    pub duration: Option<HumanDuration>,
    /// How many calls to measure, instead of a time
    #[arg(long, value_name = "COUNT", help_heading = "Load", value_parser = clap::value_parser!(u64).range(1..))]
    pub calls: Option<u64>,
    /// How long to ask before anything is counted
    #[arg(long, value_name = "DURATION", help_heading = "Load", default_value = "1s")]
    pub warm_up: HumanDuration,
    /// Alternating rounds, of which the medians are compared
    #[arg(long, value_name = "COUNT", help_heading = "Load", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=100))]
    pub rounds: u64,
    /// Further callers, of bulk calls with 32 texts, that are not measured
    #[arg(long, value_name = "COUNT", help_heading = "Load", default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..=10_000))]
    pub bulk_callers: u64,
    /// Ask for health every 10 ms meanwhile, and tell how long that takes
    #[arg(long, help_heading = "Load", conflicts_with = "reference")]
    pub probe_health: bool,
    /// Threads of this client
    #[arg(long, value_name = "COUNT", help_heading = "Load", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=64))]
    pub client_threads: u64,

    /// Texts: one a line, or .tsv, .csv, .jsonl with a column or key `text` or `document` [default: 512 reviews]
    #[arg(long, value_name = "FILE", help_heading = "Calls")]
    pub texts: Option<PathBuf>,
    /// How the file is read.
    #[command(flatten)]
    pub reading: ReadArgs,
    /// Texts in a call
    #[arg(long, value_name = "COUNT", help_heading = "Calls", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub batch_size: u64,
    /// Which model answers [default: the task's]
    #[arg(long, value_name = "ROUTE", help_heading = "Calls", conflicts_with = "model")]
    pub route: Option<RouteSetting>,
    /// A model by its name
    #[arg(
        long,
        value_name = "NAME",
        help_heading = "Calls",
        default_value = "",
        hide_default_value = true
    )]
    pub model: String,
    /// The task [default: the server's]
    #[arg(
        long,
        value_name = "TASK",
        help_heading = "Calls",
        default_value = "",
        hide_default_value = true
    )]
    pub task: String,
    /// Which calls go first when the server is busy
    #[arg(long, value_enum, value_name = "PRIORITY", help_heading = "Calls")]
    pub priority: Option<Priority>,
    /// The deadline of each call
    #[arg(long, value_name = "DURATION", help_heading = "Calls")]
    pub timeout: Option<HumanDuration>,
    /// Draw each deadline at random between this and --timeout
    #[arg(long, value_name = "DURATION", help_heading = "Calls", requires = "timeout")]
    pub least_timeout: Option<HumanDuration>,
    /// The share of calls that are cancelled at random moments
    #[arg(long, value_name = "SHARE", help_heading = "Calls", value_parser = share)]
    pub cancel_share: Option<f64>,
    /// Check each answer against the label that the server gave when it had nothing else to do
    #[arg(long, help_heading = "Calls")]
    pub verify: bool,
    /// What the random moments follow from
    #[arg(long, value_name = "NUMBER", help_heading = "Calls", default_value_t = 1)]
    pub seed: u64,

    /// Write everything as JSON to a file too; `-` is standard output, instead of the table
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// The settings of a server that is spawned.
    #[command(flatten)]
    pub config: ConfigArgs,
}

/// What a server is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Reference {
    /// A bare loop over ONNX Runtime, tokenising included: no network, no deadlines, batches of like lengths.
    Onnx,
    /// A gRPC service that gives the same answer to everything.
    Echo,
}

/// Which calls go first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Priority {
    /// Someone waits for the answer.
    Interactive,
    /// The ordinary case.
    Normal,
    /// What the others leave.
    Bulk,
}

impl BenchArgs {
    /// The request of every call, without its texts.
    pub fn template(&self) -> pb::PredictRequest {
        let route = match self.route {
            None => pb::Route::Unspecified,
            Some(RouteSetting::Fast) => pb::Route::Fast,
            Some(RouteSetting::Deep) => pb::Route::Deep,
            Some(RouteSetting::Cascade) => pb::Route::Cascade,
        };
        let priority = match self.priority {
            None => pb::Priority::Unspecified,
            Some(Priority::Interactive) => pb::Priority::Interactive,
            Some(Priority::Normal) => pb::Priority::Normal,
            Some(Priority::Bulk) => pb::Priority::Bulk,
        };
        pb::PredictRequest {
            task: self.task.clone(),
            route: route.into(),
            model: self.model.clone(),
            priority: priority.into(),
            ..pb::PredictRequest::default()
        }
    }

    /// The texts within which the raw loop sorts: as many as a closed loop has in flight at a time, unless told.
    pub fn reference_window(&self) -> u64 {
        self.reference_window.unwrap_or(self.concurrency * self.batch_size)
    }
}

fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value > 0.0 && value <= 1e6 => Ok(value),
        _ => Err("it must be a number above 0 and at most 1000000".into()),
    }
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if (0.0..=1.0).contains(&value) => Ok(value),
        _ => Err("it must be a number from 0 to 1".into()),
    }
}
