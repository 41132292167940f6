//! Labelled texts from files: what `tandem train`, `distill`, `calibrate` and `evaluate` work on.
//!
//! In reading order: [`example`] (a row, and what its label is) → [`columns`] (which columns are read) → [`labels`]
//! (values of the label column become labels) → [`target`] (the cells of a row become its target) → [`reading`] (a
//! file becomes a dataset) with [`texts`] (where texts are held), [`group`] (which texts are equal, and on which side of
//! a split they are), [`places`] (rows of a kind, by their lines), [`duplicates`]
//! (rows of equal texts) and [`facts`] (what is told of the data) → [`preflight`] (what is doubtful, before the work).

pub mod columns;
pub mod duplicates;
pub mod example;
pub mod facts;
pub mod group;
pub mod labels;
pub mod places;
pub mod preflight;
pub mod reading;
pub mod target;
pub mod texts;

pub use columns::{DatasetColumns, Unlabelled};
pub use example::{Example, Target};
pub use facts::Facts;
pub use group::fold_of;
pub use labels::Labels;
pub use reading::{Dataset, read};
