//! What the graph of a scikit-learn export says about itself.

use crate::model::manifest::ProblemType;

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
    /// The output that names the winning class, where one label is right.
    pub label: Option<String>,
    /// Whether the output maps classes to numbers (a ZipMap).
    pub maps: bool,
    /// Whether a single column decides between two classes.
    pub single_column: bool,
    pub problem_type: ProblemType,
    /// The only batch size that the graph takes, if it was exported so.
    pub fixed_batch: Option<usize>,
}
