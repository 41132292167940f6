//! How much of a load's examination is done before the model may serve.

use std::time::Duration;

use super::cost_probe;

/// How much of a load's examination is done before the model may serve. Every golden example runs in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Effort {
    /// Each golden example runs alone and among others, and costs are measured as long as it helps.
    #[default]
    Full,
    /// Each golden example runs once, some alone and some among others, and costs are measured for a moment: what runs
    /// cost is learnt from requests too. For a start, which somebody waits for.
    Short,
}

impl Effort {
    /// The longest that measuring costs may take.
    pub(super) fn measuring(self) -> Duration {
        match self {
            Self::Full => cost_probe::BUDGET,
            Self::Short => cost_probe::SHORT_BUDGET,
        }
    }
}
