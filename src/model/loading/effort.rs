//! How much of a load's examination is done before the model may serve.

use super::cost_probe::{self, Measuring};

/// How much of a load's examination is done before the model may serve. Every golden example runs in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Effort {
    /// Each golden example runs alone and among others, and costs are measured as long as it helps.
    #[default]
    Full,
    /// Each golden example runs once, some alone and some among others; half as many rows tell whether neighbours matter;
    /// costs are measured at few shapes. For a start, which somebody waits for.
    Short,
}

impl Effort {
    pub(super) fn measuring(self) -> Measuring {
        match self {
            Self::Full => cost_probe::THOROUGH,
            Self::Short => cost_probe::SHORT,
        }
    }
}
