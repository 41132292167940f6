//! Inference: one loaded model and the parts around it. It knows no catalog, no tasks and no other versions.
//!
//! In reading order: [`texts`] (some of a request's texts) → [`loaded_model`] (runs them) → [`answer_cache`] (or has
//! kept their outputs, or has run them for another task of the request, [`shared_runs`]) → [`preparation`]
//! (preprocessing, in turns) → [`outputs`] (of a model) → [`errors`] (where there are none). Besides: [`core_share`]
//! (what it takes of the cores), [`mirror`] (copies of requests for a comparison of versions) and [`memory_budget`] (the
//! RAM of all loaded models).

pub mod answer_cache;
pub mod core_share;
pub mod errors;
pub mod loaded_model;
pub mod memory_budget;
pub mod mirror;
pub mod outputs;
pub mod preparation;
pub mod shared_runs;
pub mod texts;
