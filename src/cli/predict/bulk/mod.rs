//! `tandem predict --out`: every row of some files with its answer, as a job that may take hours.
//!
//! In reading order: [`inputs`] (which files) → [`blocks`] (their rows, read on a thread) → [`asking`] (answers, in this
//! process or by servers) → [`columns`] (what is added to a row) → [`text_rows`] (a row as it is
//! written) → [`place`] (where, and how a file becomes whole) with [`journal`] (how far it is) → [`progress`]; [`job`] has the
//! loop, [`start`] its begin and end. A row that fails is a row with an error; the job goes on.

pub mod args;
pub mod asking;
#[cfg(feature = "parquet")]
pub mod batch_blocks;
#[cfg(feature = "parquet")]
pub mod batch_rows;
pub mod block;
pub mod blocks;
pub mod columns;
pub mod inputs;
pub mod job;
pub mod journal;
#[cfg(feature = "parquet")]
pub mod parts;
pub mod place;
pub mod progress;
pub mod start;
pub mod text_rows;
