//! Training a fast model: a linear one over hashed n-grams, for any script, from a [`crate::offline::dataset`].
//!
//! In reading order: [`recipe`] (what is chosen) → [`rows`] (texts as features) → [`linear`] (the trainer) → [`held_out`]
//! (cross-validation) with [`loss`] → [`search`] (for the best recipe) → [`mod@train`] (all of it) with [`balance`] (biases
//! for what matters) → [`mod@quantise`] (eight bits a weight) → [`golden`] (examples) → [`package`]
//! (the folder), and [`informative`] (which n-grams speak for a class) and [`checkpoint`] (so that a run goes on).

pub mod balance;
pub mod checkpoint;
pub mod golden;
pub mod held_out;
pub mod informative;
pub mod linear;
pub mod loss;
pub mod package;
pub mod quantise;
pub mod recipe;
pub mod rows;
pub mod search;
pub mod train;
