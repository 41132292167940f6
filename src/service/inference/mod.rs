//! Inference: one loaded model and what stands around it. Knows no catalog, no tasks and no versions beside it.
//!
//! In reading order: [`texts`] (which of a request's texts) → [`loaded_model`] (runs them) → [`answer_cache`] (or what is kept of them) →
//! [`preparation`] (their preprocessing, in turns) → [`outputs`] (what came out) → [`errors`] (or what is said instead); beside them
//! [`mirror`] (copies of requests for a version that is compared) and [`memory_budget`] (what all loaded models take).

pub mod answer_cache;
pub mod errors;
pub mod loaded_model;
pub mod memory_budget;
pub mod mirror;
pub mod outputs;
pub mod preparation;
pub mod texts;
