//! Batching: the only place that queues. Rows of many requests become batches for a model's instances; texts wait here
//! for a worker that preprocesses them.
//!
//! Knows rows and their widths, not texts, labels or protocols. In reading order: [`ticket`] (who waits for what) →
//! [`cost`] (what a batch takes on this machine) → [`batch_choice`] (which rows run together, pure functions) → [`shares`]
//! (who may have how much of the room) → [`queue`] (the state, plain Rust) → [`admission`] (what is refused on arrival)
//! → [`at_once`] (how many instances run at once) → [`shared_queue`] (the lock around it) → [`instance`] (the thread that runs batches) → [`on_arrival`] (runs too short
//! for another thread) → [`scheduler`] (what async callers see).
//!
//! The workers, in reading order: [`job`] (what is done in parts) → [`turns`] (whose part is next) → [`workers`] (the
//! threads that preprocess). [`sync`] holds the locks of all.

pub mod admission;
pub mod at_once;
pub mod batch_choice;
pub mod cost;
pub mod instance;
pub mod job;
#[cfg(all(test, feature = "shuttle"))]
mod model_check;
pub mod on_arrival;
pub mod queue;
pub mod scheduler;
pub mod shared_queue;
pub mod shares;
pub mod sync;
pub mod ticket;
mod traced;
pub mod turns;
pub mod workers;

pub use cost::{BatchLimits, BatchShape};
pub use scheduler::{Scheduler, SchedulerSettings};
pub use ticket::{ClientKey, Failure, Priority, RowOutput, SubmitOptions, Weight};
