//! The arguments of `tandem evaluate`.

use std::path::PathBuf;

use crate::cli::client::{CredentialArgs, ServerAddress};
use crate::cli::config_args::ConfigArgs;
use crate::cli::dataset_args::DatasetArgs;
use crate::config::settings::RouteSetting;
use crate::offline::evaluation::quality::{Floor, share};

/// The arguments of `tandem evaluate`.
#[derive(clap::Args)]
pub struct EvaluateArgs {
    /// The labelled texts: .tsv, .csv (both with a header), .jsonl or .parquet
    #[arg(value_name = "LABELLED")]
    pub file: PathBuf,
    /// The task [default: the only task]
    #[arg(long, value_name = "TASK", default_value = "", hide_default_value = true)]
    pub task: String,
    /// Evaluate this route of the task [default: the task's]; with two, they stand side by side
    #[arg(long, value_name = "ROUTE")]
    pub route: Vec<RouteSetting>,
    /// Evaluate a model: its folder, or its name; with two, or one and a route, they stand side by side, routes first
    #[arg(long, value_name = "FOLDER|NAME[@VERSION]")]
    pub model: Vec<String>,
    /// Ask the server at this gRPC address instead of loading the models here
    #[arg(long, value_name = "ADDRESS", value_parser = ServerAddress::parse)]
    pub addr: Option<ServerAddress>,
    /// How this client identifies itself, and whom it trusts.
    #[command(flatten)]
    pub credentials: CredentialArgs,
    /// Read texts that are longer than the model reads whole, in windows that overlap
    #[arg(long)]
    pub windows: bool,
    /// How the file is read, and what the labels in it mean.
    #[command(flatten)]
    pub labelled: DatasetArgs,
    /// End with exit code 1 where a figure is below this: accuracy=0.9, macro-f1=80%, recall:LABEL=0.4, precision:LABEL=0.8; of two contenders the second's counts; may be repeated
    #[arg(long, value_name = "FIGURE=LEAST")]
    pub min: Vec<Floor>,
    /// Tell also how many texts are covered by the surest answers of which this share is right; may be repeated
    #[arg(long, value_name = "SHARE", value_parser = precision)]
    pub precision: Vec<f64>,
    /// Write none of the texts into files
    #[arg(long, help_heading = "Output")]
    pub without_texts: bool,
    /// Only look at the texts: columns, labels, duplicates, classes; no model is loaded
    #[arg(long)]
    pub dry_run: bool,
    /// What the intervals are drawn with
    #[arg(long, value_name = "NUMBER", default_value_t = 20_261_122)]
    pub seed: u64,
    /// Write the texts on which two contenders differ to a CSV file, with both answers and the truth
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub differences: Option<PathBuf>,
    /// Write the texts whose label is held least likely to a CSV file: their labels are probably wrong
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub doubts: Option<PathBuf>,
    /// The most texts in these files [default: 10000 differences, 50 doubts]
    #[arg(long, value_name = "TEXTS", help_heading = "Output")]
    pub most: Option<usize>,
    /// Write everything as JSON to a file too; `-` is standard output, instead of the table
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub json: Option<PathBuf>,
    /// Write a report: .html, one file that needs nothing else, or .md
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub report: Option<PathBuf>,
    /// The settings, and the file that holds them.
    #[command(flatten)]
    pub config: ConfigArgs,
}

fn precision(text: &str) -> Result<f64, String> {
    let wrong = || "write a share above 0 and up to 1, as in 0.95 or 95%".to_owned();
    share(text).filter(|share| *share > 0.0).ok_or_else(wrong)
}
