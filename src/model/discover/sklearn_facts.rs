//! What the graph of a scikit-learn export says of itself.

use crate::model::manifest::ProblemType;

/// What the graph says of itself.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    /// The input that takes the text.
    pub input: String,
    /// The output with a number for each class; empty where `columns` names several.
    pub output: String,
    /// One output a class, in the order of the classes (`zipmap="columns"`).
    pub columns: Vec<String>,
    /// The classes, in the order of the columns.
    pub classes: Vec<String>,
    /// The output that names the winner, where one label is right.
    pub label: Option<String>,
    /// Whether the output maps classes to numbers (a ZipMap).
    pub maps: bool,
    /// Whether one number tells two classes apart.
    pub single_column: bool,
    /// What is asked of the classes.
    pub problem_type: ProblemType,
    /// The one batch size that the graph takes, if it was exported so.
    pub fixed_batch: Option<usize>,
}
