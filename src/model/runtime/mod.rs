//! What a run needs around ONNX Runtime: its library's place, a wide session for what runs alone, a thread's own clock, and faults
//! for tests.

#[cfg(feature = "fault-injection")]
pub mod faults;
pub mod library;
pub mod thread_time;
pub mod wide_session;
