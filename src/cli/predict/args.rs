//! The arguments of `tandem predict`.

use std::path::PathBuf;

use super::answers::Format;
use super::bulk::args::BulkArgs;
use crate::cli::client::{CredentialArgs, ServerAddress};
use crate::cli::config_args::ConfigArgs;
use crate::cli::read_args::ReadArgs;
use crate::config::settings::RouteSetting;

/// The arguments of `tandem predict`.
#[derive(clap::Args)]
pub struct PredictArgs {
    /// The texts; `-` reads standard input, one text a line or as --input-format says
    #[arg(value_name = "TEXT", required_unless_present = "file", conflicts_with = "file")]
    pub texts: Vec<String>,
    /// Read texts from a file: one a line, or .tsv, .csv (both with a header), .jsonl; with --out from several, or a quoted pattern
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub file: Vec<PathBuf>,
    /// Where every row goes with its answer.
    #[command(flatten)]
    pub bulk: BulkArgs,
    /// The second text of a pair, for models that classify pairs; once for each text
    #[arg(long, value_name = "TEXT", conflicts_with_all = ["file", "pair_column", "explain"])]
    pub pair: Vec<String>,
    /// How the file is read.
    #[command(flatten)]
    pub reading: ReadArgs,
    /// The column, or key, of the second text of a pair
    #[arg(long, value_name = "NAME", help_heading = "Reading", conflicts_with = "explain")]
    pub pair_column: Option<String>,
    /// Which model answers [default: the task's]
    #[arg(long, value_name = "ROUTE")]
    pub route: Option<RouteSetting>,
    /// A model by its name, instead of a route
    #[arg(long, value_name = "NAME[@VERSION]", default_value = "", hide_default_value = true, conflicts_with_all = ["route", "min_confidence", "allow_fallback"])]
    pub model: String,
    /// For the cascade: the confidence from 0 to 1 at which the fast answer stands [default: the task's]
    #[arg(long, value_name = "CONFIDENCE")]
    pub min_confidence: Option<f32>,
    /// For the cascade: the share of given answers that must be right; surer ones alone are given then, by the calibration [default: the task's]
    #[arg(long, value_name = "SHARE", conflicts_with_all = ["model", "min_confidence", "explain"])]
    pub min_precision: Option<f32>,
    /// Let the fast model answer what the deep one can't in time or has no room for
    #[arg(long)]
    pub allow_fallback: bool,
    /// Read texts that are longer than the model reads whole, in windows that overlap; jsonl lists them
    #[arg(long, conflicts_with = "explain")]
    pub windows: bool,
    /// Say which n-grams speak for and against the answer, instead of classifying; for models over n-grams
    #[arg(long, conflicts_with_all = ["min_confidence", "allow_fallback", "scores"])]
    pub explain: bool,
    /// Write the score of each label, the highest first
    #[arg(long)]
    pub scores: bool,
    /// The task [default: the server's]; several times for several tasks at once, or * for all
    #[arg(long, value_name = "TASK")]
    pub task: Vec<String>,
    /// Ask the server at this gRPC address instead of loading the models here; with --out several, and all that a name stands for
    #[arg(long, value_name = "ADDRESS", value_parser = ServerAddress::parse, value_delimiter = ',')]
    pub addr: Vec<ServerAddress>,
    /// How this client identifies itself, and whom it trusts.
    #[command(flatten)]
    pub credentials: CredentialArgs,
    /// How answers are written [default: table for texts given here, jsonl otherwise]
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub format: Option<Format>,
    /// The same as --format jsonl
    #[arg(long, conflicts_with = "format")]
    pub json: bool,
    /// The settings, and the file that holds them.
    #[command(flatten)]
    pub config: ConfigArgs,
}
