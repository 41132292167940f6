//! What works on files of texts beside the path of a request: for `tandem predict`, `bench` and `calibrate`.

pub mod calibration;
pub mod labelled;
pub mod reader;
