//! The arguments of `tandem train`, and those that it shares with `tandem distill`.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::cli::dataset_args::DatasetArgs;
use crate::cores;
use crate::offline::dataset::DatasetColumns;
use crate::offline::training::recipe::Recipe;
use crate::offline::training::train::Metric;

/// The arguments of `tandem train`.
#[derive(clap::Args)]
pub struct TrainArgs {
    /// The labelled texts: .tsv, .csv (both with a header), .jsonl or .parquet
    #[arg(value_name = "LABELLED")]
    pub file: PathBuf,
    /// How the file is read, and its labels.
    #[command(flatten)]
    pub dataset: DatasetArgs,
    /// Labelled texts like those to come: figures, biases and temperature come from them [default: cross-validation]
    #[arg(long, value_name = "FILE", help_heading = "Training")]
    pub held_out: Option<PathBuf>,
    /// The column of the label in that file, which then has no soft targets and no weights [default: the same]
    #[arg(long, value_name = "NAME", requires = "held_out", help_heading = "Training")]
    pub held_out_label_column: Option<String>,
    /// The column of the text in that file [default: the same]
    #[arg(long, value_name = "NAME", requires = "held_out", help_heading = "Training")]
    pub held_out_text_column: Option<String>,
    /// What counts: the share of right answers, or the mean of the classes' F1
    #[arg(
        long,
        value_enum,
        value_name = "METRIC",
        default_value = "accuracy",
        help_heading = "Training"
    )]
    pub metric: Metric,
    /// How it is trained, and what is written.
    #[command(flatten)]
    pub training: TrainingArgs,
}

impl TrainArgs {
    /// The files that are read.
    pub fn files(&self) -> Vec<&Path> {
        let both = [Some(self.file.as_path()), self.held_out.as_deref()];
        both.into_iter().flatten().collect()
    }

    /// The columns of the held-out file: those of the other one, but where they have names of their own.
    pub fn held_out_columns(&self) -> DatasetColumns {
        let mut columns = self.dataset.columns();
        if let Some(text) = &self.held_out_text_column {
            columns.text = Some(text.clone());
        }
        if let Some(label) = &self.held_out_label_column {
            columns = DatasetColumns {
                label: Some(label.clone()),
                soft: Vec::new(),
                probabilities: None,
                weight: None,
                ..columns
            };
        }
        columns
    }
}

/// How a fast model is trained, and what is written.
#[derive(clap::Args)]
pub struct TrainingArgs {
    /// Where the model is written: models/NAME/VERSION
    #[arg(long, value_name = "FOLDER")]
    pub out: PathBuf,
    /// The task that the model serves [default: its name, without -fast]
    #[arg(long, value_name = "TASK")]
    pub task: Option<String>,
    /// How long the search for features and rates may take; 0s takes the usual ones
    #[arg(long, value_name = "TIME", default_value = "1m", value_parser = duration, help_heading = "Training")]
    pub budget: Duration,
    /// A model of `tandem train` whose features and rates are taken, without a search
    #[arg(long, value_name = "FOLDER", help_heading = "Training")]
    pub like: Option<PathBuf>,
    /// What everything random is drawn with
    #[arg(long, value_name = "NUMBER", default_value_t = 1, help_heading = "Training")]
    pub seed: u64,
    /// How many threads work [default: one for each core]
    #[arg(long, value_name = "COUNT", help_heading = "Training")]
    pub threads: Option<NonZeroUsize>,
    /// The licence of the model, for its manifest and card
    #[arg(
        long,
        value_name = "LICENCE",
        default_value = "",
        hide_default_value = true,
        help_heading = "The model"
    )]
    pub license: String,
    /// What the model is, in a line
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true,
        help_heading = "The model"
    )]
    pub description: String,
    /// Where the texts are from, for manifest and card [default: the file's name]
    #[arg(long, value_name = "TEXT", help_heading = "The model")]
    pub data: Option<String>,
    /// The licence of the texts
    #[arg(
        long,
        value_name = "LICENCE",
        default_value = "",
        hide_default_value = true,
        help_heading = "The model"
    )]
    pub data_license: String,
    /// Write none of the texts into golden examples, card and report
    #[arg(long, help_heading = "The model")]
    pub without_texts: bool,
    /// Where the report is written, .html or .md [default: FOLDER.report.html]
    #[arg(long, value_name = "FILE", help_heading = "The model")]
    pub report: Option<PathBuf>,
    /// Replace a model that is there
    #[arg(long)]
    pub force: bool,
    /// Only look at the texts: columns, labels, duplicates, classes, room, time
    #[arg(long)]
    pub dry_run: bool,
}

impl TrainingArgs {
    /// How long a search may take; `None` for no search.
    pub fn budget_of_search(&self, recipe: Option<Recipe>) -> Option<Duration> {
        (recipe.is_none() && !self.budget.is_zero()).then_some(self.budget)
    }

    /// The number of threads.
    pub fn threads(&self) -> NonZeroUsize {
        let cores = || NonZeroUsize::new(cores::usable()).unwrap_or(NonZeroUsize::MIN);
        self.threads.unwrap_or_else(cores)
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|error| error.to_string())
}
