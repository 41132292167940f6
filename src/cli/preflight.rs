//! Prints what a command found out about its texts before it begins.

use super::output::{self, complain};
use super::terminal::{width, wrap};
use crate::offline::dataset::preflight::Preflight;

/// Prints what the texts are like on standard output, and warnings on standard error.
pub fn tell(preflight: &Preflight, file: &str) {
    let lines = preflight.lines.iter().flat_map(|line| wrap(line, width()));
    lines.for_each(|line| output::line(&line));
    warn(preflight, file);
}

/// Prints the warnings alone, for commands whose standard output is for programs.
pub fn warn(preflight: &Preflight, file: &str) {
    let told = preflight
        .warnings
        .iter()
        .map(|warning| format!("{file}: warning: {warning}"));
    told.for_each(|warning| complain(&warning));
}
