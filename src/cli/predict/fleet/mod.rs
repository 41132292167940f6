//! Servers that answer a bulk job together: each gets as many requests as it takes, one that dies is left and tried again
//! later, and a request goes on to another until it has an answer.
//!
//! In reading order: [`addresses`] (which servers) → [`pace`] (how many requests each gets) → [`verdict`] (what a
//! failure means) → [`servers`] (who is next) → [`asking`] (a request, from server to server).

pub mod addresses;
pub mod asking;
pub mod pace;
pub mod servers;
pub mod verdict;
