//! What a run needs around ONNX Runtime, in reading order: [`library`] (where it is found) → [`wide_session`] (more
//! threads for a batch that runs alone) → [`thread_time`] (a thread's own clock) → `faults.rs` (for tests).

#[cfg(feature = "fault-injection")]
pub mod faults;
pub mod library;
pub mod thread_time;
pub mod wide_session;
