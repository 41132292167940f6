//! The arguments of `tandem distill`.

use std::path::PathBuf;

use crate::cli::dataset_args::DatasetArgs;
use crate::cli::train::args::TrainingArgs;

/// The arguments of `tandem distill`.
#[derive(clap::Args)]
pub struct DistillArgs {
    /// The deep model: a folder, or NAME or NAME@VERSION in the repository of --out
    #[arg(long, value_name = "FOLDER|NAME@VERSION")]
    pub deep: String,
    /// Texts like those to come, without labels: .txt (one a line), .tsv, .csv, .jsonl or .parquet
    #[arg(long, value_name = "FILE")]
    pub texts: PathBuf,
    /// Labelled texts, to see how good the cascade is by people's labels too
    #[arg(long, value_name = "FILE")]
    pub labelled: Option<PathBuf>,
    /// How the files are read, and the labels.
    #[command(flatten)]
    pub dataset: DatasetArgs,
    /// What the cascade must do: agreement>=0.99 with the deep model, certified; or cost<=0.3, the deep model for every text being 1
    #[arg(
        long,
        value_name = "TARGET",
        default_value = "agreement>=0.99",
        help_heading = "The cascade"
    )]
    pub target: String,
    /// How sure a certificate is
    #[arg(long, value_name = "SHARE", default_value_t = 0.95, help_heading = "The cascade")]
    pub confidence: f64,
    /// How often the student is trained; each time more on what is escalated
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=10), help_heading = "The cascade")]
    pub rounds: u8,
    /// How it is trained, and what is written.
    #[command(flatten)]
    pub training: TrainingArgs,
}
