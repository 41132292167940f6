//! Which answers carry a load report.

use serde::{Deserialize, Serialize};

/// Which answers carry a load report. Streams of reports are open unless it is [`LoadReports::Off`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum LoadReports {
    /// None: nothing is measured for reports.
    #[default]
    Off,
    /// Those to callers that ask, in the form that they ask for.
    Asked,
    /// All answers to callers that may call at all.
    Always,
}
