//! The arguments of `tandem predict --out`.

use std::path::PathBuf;

/// Where every row goes with its answer, and what a run does that ends early.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct BulkArgs {
    /// Write every row with its other columns and its answer to this file, as bulk work; - is standard output
    #[arg(long, value_name = "FILE", help_heading = "Bulk", conflicts_with = "explain")]
    pub out: Option<PathBuf>,
    /// Go on where a run of the same command ended
    #[arg(long, help_heading = "Bulk", requires = "out")]
    pub resume: bool,
    /// Put this before the names of the columns that are added
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true,
        help_heading = "Bulk",
        requires = "out"
    )]
    pub prefix: String,
    /// End the run once more rows than this have no answer [default: go on]
    #[arg(long, value_name = "COUNT", help_heading = "Bulk", requires = "out")]
    pub max_errors: Option<u64>,
    /// Rows of each file in the folder that Parquet and Arrow are written to
    #[arg(
        long,
        value_name = "COUNT",
        default_value_t = 65_536,
        help_heading = "Bulk",
        requires = "out"
    )]
    pub part_rows: u64,
    /// Seconds to go on while no server answers
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 300,
        help_heading = "Bulk",
        requires = "out"
    )]
    pub patience: u64,
    /// Seconds between two lines of progress where standard error is no terminal; 0 for none
    #[arg(long, value_name = "SECONDS", default_value_t = 10, help_heading = "Bulk")]
    pub progress: u64,
}
