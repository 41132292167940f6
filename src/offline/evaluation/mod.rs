//! Evaluation: how good answers are, on texts whose labels are known. Pure: knows no model, no file and no server.
//!
//! In reading order: [`answer`] (texts, and what a contender says of them) → [`tally`] (counts, and the figures that
//! follow) → [`interval`] and [`bootstrap`] (how sure a figure is) → [`classes`] and [`coverage`] (the figures of each
//! class, and of the surest answers) → [`contest`] (all of it, for one contender or two side by side) → [`quality`] (the
//! names of figures that can be asked for), [`findings`] (what the figures say, in plain words).

pub mod answer;
pub mod bootstrap;
pub mod classes;
pub mod contest;
pub mod coverage;
pub mod findings;
pub mod interval;
pub mod quality;
pub mod tally;

#[cfg(test)]
mod tests;
