//! `/classify` as vLLM has it, and in the form of Hugging Face's inference API, told apart by their keys: `input` and
//! `inputs`.
//!
//! In reading order: [`request`] (both bodies) → [`answer`] (both answers) → [`error`] (failures as `OpenAI` writes
//! them) → [`routes`].

pub mod answer;
pub mod error;
pub mod request;
pub mod routes;
