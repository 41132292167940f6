//! Telemetry: logs, metrics, request ids. Request text appears in none of them.

pub mod cascade;
mod histogram;
pub mod inputs;
pub mod kept;
pub mod line_limit;
pub mod logs;
pub mod metrics;
pub mod process;
pub mod request_id;
pub mod stderr;
pub mod versions;
pub mod visible;
