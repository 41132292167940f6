//! Batching: the only place that queues. Rows of many requests become batches for a model's instances.
//!
//! Knows rows and their widths, not texts, labels or protocols. In reading order: [`ticket`] (who waits for what) →
//! [`policy`] (which rows run together, a pure function) → [`queue`] (the state, plain Rust) → [`scheduler`] (the
//! threads around it).

pub mod policy;
pub mod queue;
pub mod scheduler;
pub mod ticket;

pub use policy::BatchLimits;
pub use scheduler::{Scheduler, SchedulerSettings};
pub use ticket::{Failure, RowOutput};
