//! Files of texts, for the commands that read them: `tandem predict`, `bench`, `train`, `distill`, `calibrate` and `evaluate`.
//! No request passes through here.
//!
//! In reading order: [`reader`] (rows of a file) → [`dataset`] (texts with their labels) → [`evaluation`] (how good
//! answers are) → [`training`] (a fast model from labels) → [`calibration`] (a
//! cascade measured on texts) → [`report`] (what was found, for people). [`local_model`] runs a model on many texts, and
//! [`timing`] measures what that costs.

pub mod calibration;
pub mod dataset;
pub mod distillation;
pub mod evaluation;
pub mod local_model;
pub mod reader;
pub mod report;
pub mod timing;
pub mod training;
pub mod whole_files;
