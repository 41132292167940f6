//! Distillation: a fast model learns from what a deep one says (Hinton, Vinyals and Dean, 2015), so that a task has a cascade
//! without a single label.
//!
//! In reading order: [`split`] (which texts are for what) → [`teacher`] (what the deep model says of them) → [`student`]
//! (the fast model) → the cascade of both, by [`crate::offline::calibration`].

pub mod split;
pub mod student;
pub mod teacher;
