//! Files of texts, for the commands that read them: `tandem predict`, `bench` and `calibrate`. No request passes
//! through here.
//!
//! In reading order: [`reader`] (rows of a file) → [`dataset`] (texts with their labels) → [`evaluation`] (how good
//! answers are) → [`calibration`] (a cascade measured on them) → [`report`] (what was found, as a page).

pub mod calibration;
pub mod dataset;
pub mod evaluation;
pub mod reader;
pub mod report;
